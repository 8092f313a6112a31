//! The engine: the only module that knows the order in which everything happens. That order is in [`commit`].

mod background;
mod begin;
mod builder;
mod close;
mod close_report;
mod commit;
mod core;
mod error;
mod fingerprint;
mod iter;
mod live;
mod outcome;
mod owner;
mod payload;
mod preread;
mod pressure;
mod reentrancy;
mod request;
mod resolve;
mod room;
mod sequencer;
mod slot;
mod snapshot;
mod ticket;
mod time;
mod update;
mod window;

pub use background::Background;
pub use builder::Builder;
pub use close_report::{CloseMark, CloseReport, Closed};
pub use error::{Error, ErrorKind, Retry};
pub use iter::Iter;
pub use outcome::{Conflict, Found, OutOfBounds, Outcome, Receipt, Record, Rejection, Unmet};
pub use pressure::{Durability, OnDuplicate, QueueReport};
pub use request::Request;
pub use resolve::{Encoded, KeyStatus};
pub use snapshot::Snapshot;
pub use ticket::Ticket;
pub use update::{Abort, Transaction};
pub use window::WindowStatus;

use self::core::Core;
use crate::{
    base::{IdempotencyKey, Never, SeqNo, canary::canary},
    codec::{AsKey, CodecError, Key, Keyspace, encode_key},
    recovery::{self, Machine, OpenError, RecoveryReport, Settings},
};
use builder::Options;
use close::Handle;
use commit::Offered;
use pressure::Patience;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fmt, io,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

/// The end of the durable log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct ChainHead {
    /// The number of the last durable group; 0 before the first.
    pub group: u64,
    /// BLAKE3 of that group, which holds the digest of the one before; zeros before the first.
    pub digest: [u8; 32],
}

/// Segments that may hold the log before a checkpoint is written first thing.
const SEGMENTS_AT_OPEN: usize = 3;

/// An open database. Cheap to clone and to share between threads; the directory stays locked until it is closed.
///
/// ```
/// use steadfast::{Engine, Expect, IdempotencyKey, Keyspace, Request};
///
/// const ACCOUNTS: Keyspace<String, i64> = Keyspace::new("accounts");
///
/// let engine = Engine::in_memory()?;
/// let key = IdempotencyKey::new("alice", "open-account")?;
/// let receipt = engine.commit(Request::new(key).put(&ACCOUNTS, "alice", &100, Expect::Absent))?.committed()?;
///
/// // Written by compare-and-swap: only over the version that was read.
/// let alice = engine.get(&ACCOUNTS, "alice")?.expect("it was just opened");
/// assert_eq!((alice.value, alice.version), (100, receipt.version()));
/// let key = IdempotencyKey::new("alice", "deposit-1")?;
/// engine.commit(Request::new(key).put(&ACCOUNTS, "alice", &150, alice.version))?.committed()?;
/// # Ok::<(), steadfast::Error>(())
/// ```
#[derive(Clone)]
pub struct Engine(Arc<Handle>);

impl Engine {
    /// Opens the database in the directory `path` with the defaults of [`Builder`], or makes one. Blocks and syncs.
    ///
    /// # Errors
    /// As [`Builder::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder().open(path)
    }

    /// Opens the database in the directory `path` to read it only, with the defaults of [`Builder`], and changes nothing in it.
    /// Blocks.
    ///
    /// # Errors
    /// As [`Builder::open_read_only`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder().open_read_only(path)
    }

    /// Makes a database in memory, for the tests of a service. Every call makes another one; it is gone when it is
    /// closed.
    ///
    /// # Errors
    /// As [`Builder::in_memory`].
    pub fn in_memory() -> Result<Self, Error> {
        Self::builder().in_memory()
    }

    /// Sets an engine up with other than the defaults.
    pub fn builder() -> Builder {
        Builder::new()
    }

    fn open_machine(options: Options, machine: Machine) -> Result<Self, Error> {
        let location = machine.disk.location();
        let failed = |error: OpenError| Error::opening(error, location.clone());
        let settings = Settings {
            cache_bytes: options.checkpoint_cache_bytes,
            segment_bytes: options.segment_bytes,
            filter_bytes: options.filter_limit_bytes,
            scopes: options.policy.scope_limit < u64::MAX,
            accept_clock_jump: options.accept_clock_jump,
        };
        if options.read_only {
            let recovered = recovery::open_read_only(&machine, settings).map_err(failed)?;
            let core = Arc::new(Core::new(options, machine, recovered));
            return Ok(Self(Arc::new(Handle::start(core)?)));
        }
        let recovered = recovery::open(&machine, settings).map_err(failed)?;
        let many = recovered.segments > SEGMENTS_AT_OPEN;
        let core = Arc::new(Core::new(options, machine, recovered));
        let due = core.due(&core.sequencer.lock());
        if many || due {
            core.checkpoint_now().map_err(|error| match error {
                // There is no engine yet that could be said to take no more writes.
                Error::Poisoned { reason } => Error::Io {
                    what: "writing a checkpoint while opening".into(),
                    source: io::Error::other(&*reason),
                },
                error => error,
            })?;
        }
        Ok(Self(Arc::new(Handle::start(core)?)))
    }

    /// Carries a request out, or refuses it ([`Outcome::Rejected`]), and blocks until the answer is durable: one write
    /// and one sync, shared with everyone who commits at the same time. A retry under the same key gets the first
    /// answer. May first read the checkpoint's file, prepare a segment of the log, wait for its turn in a full queue
    /// ([`Builder::queue_limit_bytes`]), or wait for a checkpoint to make room.
    ///
    /// # Errors
    /// Nothing was logged:
    /// - [`Error::Shape`], [`Error::Limit`], [`Error::Codec`]: the request itself is wrong
    /// - [`Error::KeyReused`]: its key was used with another intent
    /// - [`Error::AlreadyDecided`]: its key was decided before, and it asks to be told so ([`Request::on_duplicate`])
    /// - [`Error::DeadlineExceeded`]: its deadline passed before its turn ([`Request::deadline_in`])
    /// - [`Error::KeyspaceMismatch`], [`Error::FutureVersion`], [`Error::NotANumber`]: it does not fit what is stored
    /// - [`Error::NoSpace`]: the disk has no room for another segment, or for the checkpoint that must make room in memory
    /// - [`Error::ReadOnly`]: it was opened to be read only
    /// - [`Error::Io`]: preparing a segment failed
    /// - [`Error::Corruption`]: the checkpoint's file is damaged
    /// - [`Error::Poisoned`], [`Error::Closed`], [`Error::SequenceExhausted`]: the engine takes no more writes
    /// - [`Error::Reentrant`]: called from inside a closure given to [`update`](Self::update)
    /// - [`Error::Forked`]: called in a forked child of the process that opened the engine
    ///
    /// Something may have been:
    /// - [`Error::Indeterminate`]: the write or the sync failed. The next opening decides, and a retry under the same key
    ///   tells
    /// - [`Error::Codec`] on a retry: the request was decided before, but its result is not a `T`
    pub fn commit<T>(&self, request: Request<T>) -> Result<Outcome<T>, Error> {
        self.enter("commit")?;
        let terms = request.terms(Patience::Leads, &*self.core().machine.clock);
        let request::Prepared { data, decode } = request.prepare()?;
        self.core().commit(data, terms)?.decode(decode, no_rejection)
    }

    /// Hands a request in without waiting for its outcome: a thread of the engine writes and syncs. Blocks only while
    /// too much is waiting already ([`Builder::queue_limit_bytes`]), and for what a [`commit`](Self::commit) may have to do before it: reading the
    /// checkpoint's file, preparing a segment. From within a waker it also writes and syncs where it would wait for that.
    ///
    /// The ticket gives what [`commit`](Self::commit) would, errors included. Requests are carried out in the order in
    /// which one thread hands them in, whether or not anyone waits for their tickets.
    pub fn submit<T>(&self, request: Request<T>) -> Ticket<T> {
        self.hand_in("submit", request, Patience::Waits).unwrap_or_else(|error| {
            Ticket::answered(Err(error), |_| Err(CodecError::Untyped), no_rejection)
        })
    }

    /// As [`submit`](Self::submit), but never waits for others: where that would wait, this gives
    /// [`Error::Overloaded`] at once, with a guess at when there will be room. It may read the checkpoint's file. A
    /// request whose key was decided durably before gets its outcome all the same.
    ///
    /// The first request after an opening, or one that meets the end of a file of the log, can be turned away although
    /// little waits: the next file is being prepared.
    ///
    /// ```
    /// use steadfast::{Engine, Error, Expect, Keyspace, Request};
    ///
    /// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    ///
    /// let engine = Engine::builder().queue_limit_requests(100).in_memory()?;
    /// let mut tickets = Vec::new();
    /// for product in 0..1_000 {
    ///     match engine.try_submit(Request::unkeyed().put(&STOCK, &product, &7, Expect::Any)) {
    ///         Ok(ticket) => tickets.push(ticket),
    ///         // A service would say "503, retry after".
    ///         Err(Error::Overloaded { retry_after }) => assert!(retry_after.as_millis() > 0),
    ///         Err(error) => return Err(error),
    ///     }
    ///     assert!(engine.queue().most_requests <= 100);
    /// }
    /// for ticket in tickets {
    ///     ticket.wait()?.committed()?;
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// It was not taken in, and nothing was logged: [`Error::Overloaded`], and those of [`commit`](Self::commit) that are
    /// known at once. What is known later comes by the ticket.
    pub fn try_submit<T>(&self, request: Request<T>) -> Result<Ticket<T>, Error> {
        self.hand_in("try_submit", request, Patience::Never)
    }

    fn hand_in<T>(
        &self,
        what: &'static str,
        request: Request<T>,
        patience: Patience,
    ) -> Result<Ticket<T>, Error> {
        self.enter(what)?;
        let core = &self.0.core;
        let terms = request.terms(patience, &*core.machine.clock);
        let request::Prepared { data, decode } = request.prepare()?;
        Ok(match core.offer(data, terms)? {
            Offered::Answered(answer) => Ticket::answered(answer, decode, no_rejection),
            Offered::Parked { slot, .. } => {
                Ticket::parked(core.clone(), slot, decode, no_rejection)
            }
        })
    }

    /// Runs `closure`, which reads and writes through a [`Transaction`], and commits what it wrote if all it read is
    /// still so; else pauses for a random while of at most 4 ms and runs it again, up to 64 times in all. After that it
    /// gives the [`Rejection::Conflict`], which is not remembered. Blocks until the answer is durable.
    ///
    /// `intent` is what the client asked, up to 1 MiB encoded: under the same key, the same intent gets the first answer
    /// without the closure being run, and another one is refused. The closure must have no effects of its own, since it
    /// may run more than once. What it returns is remembered with the outcome, up to 64 KiB encoded.
    ///
    /// ```
    /// use steadfast::{Abort, Engine, IdempotencyKey, Keyspace, Outcome};
    /// use serde::{Deserialize, Serialize};
    ///
    /// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    ///
    /// #[derive(Serialize, Deserialize, Debug, PartialEq)]
    /// struct SoldOut { left: u32 }
    ///
    /// let engine = Engine::in_memory()?;
    /// let key = IdempotencyKey::new("shop", "order-1")?;
    /// let outcome = engine.update(key, &("sell", 12u64, 3u32), |tx| {
    ///     let left = tx.get(&STOCK, &12)?.map_or(0, |record| record.value);
    ///     if left < 3 {
    ///         return Err(Abort::Reject(SoldOut { left }));
    ///     }
    ///     tx.put(&STOCK, &12, &(left - 3))?;
    ///     Ok(left - 3)
    /// })?;
    /// assert!(matches!(outcome, Outcome::Rejected(_)));
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`commit`](Self::commit), but for those of deadlines and duplicates; what the closure gave as [`Abort::Engine`]; [`Error::Panicked`] when it panicked.
    /// Nothing is logged or remembered for either of the last two.
    pub fn update<T, R>(
        &self,
        key: IdempotencyKey,
        intent: &(impl Serialize + ?Sized),
        closure: impl FnMut(&mut Transaction<'_>) -> Result<T, Abort<R>>,
    ) -> Result<Outcome<T, R>, Error>
    where
        T: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        self.enter("update")?;
        update::update(self.core(), &key, intent, closure)
    }

    /// The durable record under `key`; `None` when there is none. May read the checkpoint's file.
    ///
    /// # Errors
    /// As [`Snapshot::get`]; [`Error::Closed`].
    pub fn get<K: Key, V>(
        &self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
    ) -> Result<Option<Record<V>>, Error> {
        let row = self.row(keyspace, key)?;
        Ok(row.map(|row| Record::decode(keyspace, &row)).transpose()?)
    }

    /// Whether there is a durable record under `key`. May read the checkpoint's file.
    ///
    /// # Errors
    /// As [`Snapshot::contains`]; [`Error::Closed`].
    pub fn contains<K: Key, V>(
        &self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
    ) -> Result<bool, Error> {
        Ok(self.row(keyspace, key)?.is_some())
    }

    /// The durable records under several keys, all at one entry, in the order of the keys: `None` where there is none.
    /// May read the checkpoint's file.
    ///
    /// ```
    /// use steadfast::{Engine, Expect, Keyspace, Request};
    ///
    /// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    ///
    /// let engine = Engine::in_memory()?;
    /// let request = Request::unkeyed().put(&STOCK, &1, &10, Expect::Any).put(&STOCK, &2, &20, Expect::Any);
    /// engine.commit(request)?.committed()?;
    /// let records = engine.get_many(&STOCK, [2, 3, 1])?;
    /// let values: Vec<_> = records.into_iter().map(|record| record.map(|record| record.value)).collect();
    /// assert_eq!(values, [Some(20), None, Some(10)]);
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Snapshot::get`]; [`Error::Closed`].
    pub fn get_many<K: Key, V, Q: AsKey<K>>(
        &self,
        keyspace: &Keyspace<K, V>,
        keys: impl IntoIterator<Item = Q>,
    ) -> Result<Vec<Option<Record<V>>>, Error> {
        self.check_open()?;
        let snapshot = self.snapshot();
        keys.into_iter().map(|key| snapshot.get(keyspace, &key)).collect()
    }

    /// The durable state as it is now, for as long as the snapshot is held. Does no I/O and copies no records.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.0.core.clone())
    }

    /// The state as it is now, what is not durable yet included: a power cut can take what this shows. The first time after an
    /// opening this can sync a name in the directory; where that fails, it is a [`snapshot`](Self::snapshot). Otherwise as
    /// that.
    #[must_use]
    pub fn snapshot_applied(&self) -> Snapshot {
        // Without that, what a crash takes of it could come back as something else, of the same version.
        if self.core().begin().is_err() {
            return self.snapshot();
        }
        Snapshot::applied(self.0.core.clone())
    }

    /// Blocks until everything that was handed in before this call is durable, what is buffered included. Gives the last
    /// durable entry.
    ///
    /// # Errors
    /// [`Error::Poisoned`] when something could not be written; [`Error::Closed`]; [`Error::Reentrant`]; [`Error::Forked`].
    pub fn sync(&self) -> Result<SeqNo, Error> {
        self.check_open()?;
        self.enter("sync")?;
        canary!(SyncTooEarly => return Ok(self.core().sequencer.lock().fold.applied));
        self.core().settle()?;
        Ok(self.durable_seq())
    }

    /// How many durable records a keyspace has; 0 for one that nothing was written to. Does not count them one by one.
    ///
    /// # Errors
    /// As [`Snapshot::len`]; [`Error::Closed`].
    pub fn len<K: Key, V>(&self, keyspace: &Keyspace<K, V>) -> Result<u64, Error> {
        self.check_open()?;
        self.snapshot().len(keyspace)
    }

    /// The names of the keyspaces that were ever written to, sorted.
    #[must_use]
    pub fn keyspaces(&self) -> Vec<String> {
        self.snapshot().keyspaces()
    }

    /// The last durable entry; 0 before the first. What is read after this call shows at least that much.
    #[must_use]
    pub fn durable_seq(&self) -> SeqNo {
        self.core().durable()
    }

    /// Where the chain of the log stands, which carries each group's digest into the next: kept outside of the directory it
    /// shows later that nothing before it was changed. It is not keyed: it does not stop an owner who rewrites everything.
    ///
    /// ```
    /// use steadfast::{Engine, Expect, Keyspace, Request};
    ///
    /// const NAMES: Keyspace<u32, String> = Keyspace::new("names");
    ///
    /// let engine = Engine::in_memory()?;
    /// let before = engine.chain_head();
    /// engine.commit(Request::unkeyed().put(&NAMES, &1, &"one".to_owned(), Expect::Any))?.committed()?;
    /// assert!(engine.chain_head().group > before.group);
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    #[must_use]
    pub fn chain_head(&self) -> ChainHead {
        let head = self.core().sequencer.lock().head;
        ChainHead { group: head.g, digest: head.chain }
    }

    /// What waits for the disk now, and the most that ever did.
    ///
    /// ```
    /// let engine = steadfast::Engine::in_memory()?;
    /// let queue = engine.queue();
    /// assert_eq!((queue.requests, queue.most_requests, queue.limit_requests), (0, 0, 16_384));
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    #[must_use]
    pub fn queue(&self) -> QueueReport {
        self.core().sequencer.lock().queue()
    }

    /// What the opening of this engine found, did and proved.
    #[must_use]
    pub fn recovery(&self) -> &RecoveryReport {
        &self.core().recovery
    }

    /// Writes a checkpoint of everything committed before this call, and trims the log, which shortens the next recovery.
    /// It is done by itself when there is enough to write. Blocks while it writes and syncs; others can read and write
    /// meanwhile.
    ///
    /// # Errors
    /// [`Error::NoSpace`] when there is no room for it: then the engine goes on, and it is written when there is;
    /// [`Error::Poisoned`] when it could not be written for another reason, or an earlier write failed;
    /// [`Error::ReadOnly`]; [`Error::Corruption`] when the checkpoint's file is damaged; [`Error::Closed`];
    /// [`Error::Reentrant`] from inside a closure given to [`update`](Self::update); [`Error::Forked`]. Nothing durable is
    /// lost by any of them.
    pub fn checkpoint(&self) -> Result<(), Error> {
        self.check_open()?;
        self.enter("checkpoint")?;
        self.core().check_writable()?;
        self.core().checkpoint_now()
    }

    /// Does one bounded piece of background work: for an engine with [`Background::Manual`]. False when there was none.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint), and [`Error::NoSpace`] or [`Error::Io`] from preparing a segment. An engine that
    /// only reads has no such work.
    #[cfg_attr(not(feature = "testing"), doc(hidden))]
    pub fn run_background_step(&self) -> Result<bool, Error> {
        self.check_open()?;
        self.enter("run_background_step")?;
        self.core().background_step()
    }

    /// Closes the engine for all of its clones: waits until what was handed in is durable and a checkpoint under way is
    /// written, and leaves a mark that says where the log ended. Afterwards calls on clones give [`Error::Closed`], and
    /// the directory can be opened again. Blocks and syncs. On an engine that is closed already it does nothing. One that only
    /// reads leaves no mark. What it did, and where the log ended, is in the report.
    ///
    /// Dropping the last clone does the same as far as it can, and tells nobody when it can't. A [`Snapshot`] may be kept:
    /// what it needs from the checkpoint's file is refused from then on, as [`Error::Closed`].
    ///
    /// A call waits for one that is closing already, with one exception. The waker of a [`Ticket`] can run on a
    /// thread that the other call waits for. There, a call gives [`Closed::Meanwhile`] at once: nothing more is taken in, and the other
    /// call does the rest; the directory can be opened again once that one has returned. With no other call under way it
    /// does everything itself, but for waiting for the thread it is called on.
    ///
    /// # After a fork
    /// An engine belongs to the process that opened it. A forked child is refused whatever writes or waits
    /// ([`Error::Forked`]), closing too, and dropping the last handle in it does nothing at all: it leaks what the handle
    /// held. A child must not read either; that is not refused, since asking which process this is would make reads a
    /// third slower. What it reads is the state at the fork, or [`Error::Forked`], or it waits for ever for a lock that a thread of
    /// the parent held just then. As long as a child lives that neither exits nor executes another program, the directory
    /// stays locked even if the parent dies; not if the parent closes the engine.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let dir = dir.path();
    /// use steadfast::{CloseMark, Engine, Error, Keyspace, Verdict};
    ///
    /// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    ///
    /// let engine = Engine::open(dir)?;
    /// let clone = engine.clone();
    /// let report = engine.close()?;
    /// assert_eq!(report.mark, CloseMark::Left);
    /// println!("{report}");
    /// assert!(matches!(clone.get(&STOCK, &1), Err(Error::Closed)));
    /// let engine = Engine::open(dir)?;
    /// assert_eq!(engine.recovery().verdict, Verdict::Clean);
    /// assert_eq!(Some(&engine.recovery().state_digest), report.state_digest.as_ref());
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Poisoned`] when an earlier write failed; [`Error::NoSpace`] or [`Error::Io`] when the mark could not be left;
    /// [`Error::Reentrant`] from inside a closure given to [`update`](Self::update); [`Error::Forked`]. Nothing durable is
    /// lost by any of them.
    pub fn close(self) -> Result<CloseReport, Error> {
        self.enter("close")?;
        self.0.close()
    }

    fn row<K: Key, V>(
        &self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
    ) -> Result<Option<crate::base::Row>, Error> {
        self.check_open()?;
        let core = self.core();
        let key = encode_key(key)?;
        let view = core.view.read().clone();
        let Some(id) = snapshot::keyspace_at(core, keyspace, core.durable())? else {
            return Ok(None);
        };
        view.row(core, id, &key, || core.durable())
    }

    /// For calls that write or wait: not from inside a closure, nor in a forked child.
    fn enter(&self, what: &'static str) -> Result<(), Error> {
        reentrancy::check(what)?;
        self.core().owner.check(what)
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.core().stopped.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    fn core(&self) -> &Core {
        &self.0.core
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("location", &self.core().machine.disk.location())
            .field("durable", &self.durable_seq())
            .finish_non_exhaustive()
    }
}

/// A request has no rejection of the caller's own.
fn no_rejection(_: &[u8]) -> Result<Never, CodecError> {
    Err(CodecError::Untyped)
}
