//! The engine: the only module that knows the order in which everything happens. That order is in [`commit`].

mod background;
mod builder;
mod close;
mod commit;
mod core;
mod error;
mod fingerprint;
mod iter;
mod live;
mod outcome;
mod payload;
mod preread;
mod reentrancy;
mod request;
mod sequencer;
mod slot;
mod snapshot;
mod ticket;
mod update;

pub use background::Background;
pub use builder::Builder;
pub use error::{Error, ErrorKind, Retry};
pub use iter::Iter;
pub use outcome::{Conflict, Found, OutOfBounds, Outcome, Receipt, Record, Rejection, Unmet};
pub use request::Request;
pub use snapshot::Snapshot;
pub use ticket::Ticket;
pub use update::{Abort, Transaction};

use self::core::Core;
use crate::{
    base::{IdempotencyKey, Never, SeqNo},
    codec::{AsKey, CodecError, Key, Keyspace, encode_key},
    recovery::{self, Machine, OpenError, RecoveryReport},
};
use builder::Options;
use close::Handle;
use commit::Offered;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fmt, io,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

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
    /// Opens the database in the directory `path` with the defaults of [`Builder`], or makes one.
    ///
    /// # Errors
    /// As [`Builder::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder().open(path)
    }

    /// Makes a database in memory, for the tests of a service.
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
        let recovered =
            recovery::open(&machine, options.checkpoint_cache_bytes, options.segment_bytes)
                .map_err(failed)?;
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

    /// Carries a request out, or refuses it, and blocks until the answer is durable (one write and one sync, shared
    /// with everyone who commits at the same time). A retry under the same key gets the first answer.
    ///
    /// # Errors
    /// Before anything is logged: [`Error::Shape`], [`Error::Limit`], [`Error::Codec`], [`Error::KeyReused`],
    /// [`Error::KeyspaceMismatch`], [`Error::FutureVersion`], [`Error::NotANumber`], [`Error::NoSpace`],
    /// [`Error::Poisoned`], [`Error::Closed`], [`Error::Reentrant`]. When the write or the sync failed:
    /// [`Error::Indeterminate`].
    pub fn commit<T>(&self, request: Request<T>) -> Result<Outcome<T>, Error> {
        reentrancy::check("commit")?;
        let request::Prepared { data, decode } = request.prepare()?;
        self.core().commit(data)?.decode(decode, no_rejection)
    }

    /// Hands a request in without waiting for its outcome, and does no log I/O but for preparing a segment when the log
    /// has no room. Blocks only while too much is waiting already.
    ///
    /// The ticket gives what [`commit`](Self::commit) would.
    pub fn submit<T>(&self, request: Request<T>) -> Ticket<T> {
        let core = &self.0.core;
        let prepared = reentrancy::check("submit").and_then(|()| request.prepare());
        let request::Prepared { data, decode } = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                return Ticket::answered(Err(error), |_| Err(CodecError::Untyped), no_rejection);
            }
        };
        match core.offer(data, false) {
            Ok(Offered::Parked { slot, .. }) => {
                Ticket::parked(core.clone(), slot, decode, no_rejection)
            }
            Ok(Offered::Answered(answer)) => Ticket::answered(answer, decode, no_rejection),
            Err(error) => Ticket::answered(Err(error), decode, no_rejection),
        }
    }

    /// Runs `closure`, which reads and writes through a [`Transaction`], and commits what it wrote if all it read is
    /// still so; else runs it again, up to 64 times. Blocks until the answer is durable.
    ///
    /// `intent` is what the client asked: under the same key, the same intent gets the first answer without the closure
    /// being run, and another one is refused. The closure must have no effects of its own, since it may run more than
    /// once.
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
    /// As [`commit`](Self::commit); what the closure gave as [`Abort::Engine`]; [`Error::Panicked`].
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
        reentrancy::check("update")?;
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

    /// Whether there is a durable record under `key`.
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

    /// The durable records under several keys, all at one entry, in the order of the keys.
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

    /// The durable state as it is now, for as long as the snapshot is held. Does no I/O and copies nothing.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.0.core.clone())
    }

    /// How many durable records a keyspace has.
    ///
    /// # Errors
    /// As [`Snapshot::len`]; [`Error::Closed`].
    pub fn len<K: Key, V>(&self, keyspace: &Keyspace<K, V>) -> Result<u64, Error> {
        self.check_open()?;
        self.snapshot().len(keyspace)
    }

    /// The names of the keyspaces there are, sorted.
    #[must_use]
    pub fn keyspaces(&self) -> Vec<String> {
        self.snapshot().keyspaces()
    }

    /// The last durable entry.
    #[must_use]
    pub fn durable_seq(&self) -> SeqNo {
        self.core().durable()
    }

    /// What the opening of this engine found, did and proved.
    #[must_use]
    pub fn recovery(&self) -> &RecoveryReport {
        &self.core().recovery
    }

    /// Writes a checkpoint now and trims the log, which shortens the next recovery. It is done by itself when there is
    /// enough to write. Blocks while it writes and syncs.
    ///
    /// # Errors
    /// [`Error::Poisoned`], [`Error::Closed`], [`Error::Io`].
    pub fn checkpoint(&self) -> Result<(), Error> {
        self.check_open()?;
        reentrancy::check("checkpoint")?;
        self.core().checkpoint_now()
    }

    /// Does one bounded piece of background work, if there is any: for an engine with [`Background::Manual`].
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint).
    #[cfg_attr(not(feature = "testing"), doc(hidden))]
    pub fn run_background_step(&self) -> Result<bool, Error> {
        self.check_open()?;
        self.core().background_step()
    }

    /// Closes the engine for all of its clones: waits for what was handed in, and leaves a mark that says where the log
    /// ended. Afterwards calls on clones give [`Error::Closed`], and the directory can be opened again. Blocks.
    ///
    /// Dropping the last clone does the same as far as it can, and tells nobody when it can't.
    ///
    /// # Errors
    /// [`Error::Poisoned`] when an earlier write failed; [`Error::Io`] when the mark could not be left. Nothing durable
    /// is lost by either.
    pub fn close(self) -> Result<(), Error> {
        reentrancy::check("close")?;
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
