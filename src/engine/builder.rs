//! How an engine is set up.

use super::{
    Background, Contained, Engine, OnBrokenRule, error::Error, pressure::Load,
    procedure::Procedure, registry::Registry, retention::LogRetention,
};
#[cfg(feature = "testing")]
use crate::base::{LogTime, SeqNo};
use crate::{
    admission::{
        Policy,
        rules::{CrossInvariant, Rules, SumInvariant},
    },
    base::limits::GROUP_BYTES,
    codec::Key,
    disk::{Clock, Disk, Entropy, MemoryDisk, ReadOnlyDisk, RealDisk, SystemClock, SystemEntropy},
    recovery::Machine,
    state::control::Retention,
};
use std::{io, path::Path, sync::Arc, time::Duration};

const HOUR: u64 = 3_600_000_000_000;
const MINUTE: Duration = Duration::from_secs(60);

/// `Duration::MAX`, and whatever else is too long for a `u64` of nanoseconds, is for ever.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What can be chosen, and its defaults.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub memtable_limit_bytes: usize,
    pub log_limit_bytes: u64,
    pub checkpoint_cache_bytes: usize,
    pub segment_bytes: u64,
    pub queue_limit: Load,
    pub threads: bool,
    pub buffered_interval: Duration,
    pub buffered_keys: bool,
    pub filter_limit_bytes: usize,
    pub policy: Policy,
    pub accept_clock_jump: bool,
    pub log_retention: LogRetention,
    pub read_only: bool,
    pub on_broken_rule: OnBrokenRule,
}

/// How many requests may wait for the disk, where nothing else was chosen.
const QUEUE_REQUESTS: usize = 16 << 10;
/// No more bytes may wait for the disk: a group on its way and one being filled.
const QUEUE_BYTES_MAX: usize = 2 * GROUP_BYTES;

/// Sets an engine up. Numbers outside of their limits are taken as the nearest one inside.
///
/// The memory an engine takes follows from these: twice the memtable, the cache, twice the queue (a group of the log is
/// up to a sixteenth of the memtable and 8 MiB), whatever versions of records live snapshots keep, two to four bytes for each
/// key that the checkpoint remembers (within [`key_filter_bytes`](Self::key_filter_bytes)), and four to eight bytes for each
/// 4 KiB of the checkpoint's file. While a full disk keeps a checkpoint from being written, the pages of it that find no room
/// are held, twice over: no more than the cache, but for file systems on which also what has its room can find none.
///
/// ```no_run
/// let engine = steadfast::Engine::builder()
///     .memtable_limit_bytes(32 << 20)
///     .checkpoint_cache_bytes(32 << 20)
///     .open("state")?;
/// # Ok::<(), steadfast::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it opens an engine"]
pub struct Builder {
    options: Options,
    registry: Registry,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    #[cfg(feature = "testing")]
    after: Option<(SeqNo, LogTime)>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            options: Options {
                memtable_limit_bytes: 64 << 20,
                log_limit_bytes: 512 << 20,
                checkpoint_cache_bytes: 64 << 20,
                segment_bytes: 64 << 20,
                queue_limit: Load { requests: QUEUE_REQUESTS, bytes: QUEUE_BYTES_MAX },
                threads: true,
                buffered_interval: Duration::from_millis(100),
                buffered_keys: false,
                filter_limit_bytes: 64 << 20,
                policy: Policy {
                    retention: Retention { whole: 72 * HOUR, stubs: 400 * 24 * HOUR },
                    window_limit: u64::MAX,
                    scope_limit: u64::MAX,
                    time_ordered: false,
                },
                accept_clock_jump: false,
                log_retention: LogRetention::default(),
                read_only: false,
                on_broken_rule: OnBrokenRule::ReadOnly,
            },
            registry: Registry::new(),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy),
            #[cfg(feature = "testing")]
            after: None,
        }
    }

    /// Registers a [`Procedure`], so that it can be [called](Engine::call). Several versions of one are several types under one
    /// name. Registering two types under one name and version makes the opening fail ([`Error::Shape`]).
    pub fn procedure<P: Procedure>(mut self) -> Self {
        self.registry = self.registry.procedure::<P>();
        self
    }

    /// Adds rules for the records of a keyspace: guards and invariants that every write is held against. Writing to a keyspace that is
    /// stored otherwise than it is given here is refused ([`Error::KeyspaceMismatch`]); rules that are not well declared, or of one name,
    /// make the opening fail ([`Error::Shape`]).
    ///
    /// Where they are others than the database was last written under, the opening holds all records against what is new, and counts new
    /// totals, before anything is written: see [`on_broken_rule`](Self::on_broken_rule).
    pub fn rules<K: Key, V: 'static>(mut self, rules: Rules<K, V>) -> Self {
        self.registry = self.registry.rules(rules);
        self
    }

    /// Adds the procedures and rules of a [`Registry`] to those that were given already.
    pub fn registry(mut self, registry: &Registry) -> Self {
        self.registry = self.registry.and(registry);
        self
    }

    /// Adds an invariant of totals. Its name must be its own among all invariants, and the totals it is about those of some
    /// [`rules`](Self::rules), or the opening fails ([`Error::Shape`]).
    pub fn sum_invariant(mut self, invariant: SumInvariant) -> Self {
        self.registry = self.registry.sum_invariant(invariant);
        self
    }

    /// Adds an invariant across records, which every write is held against that changes a record it is about. What only the checkpoint has of
    /// what it reads is fetched before its turn, so that no writer waits for another's. What was said of [`rules`](Self::rules) holds
    /// of it, too.
    pub fn cross_invariant<K: Key, V: 'static>(mut self, rule: CrossInvariant<K, V>) -> Self {
        self.registry = self.registry.cross_invariant(rule);
        self
    }

    /// What is to be done when records that are there break a rule which is new or changed since the database was last written, and
    /// enforced. Default [`OnBrokenRule::ReadOnly`].
    pub fn on_broken_rule(mut self, then: OnBrokenRule) -> Self {
        self.options.on_broken_rule = then;
        self
    }

    /// How many bytes of changed state, by estimate, are gathered in memory before they are written to the checkpoint.
    /// While that goes on as many again may gather; then writers wait. Default 64 MiB, at least 64 KiB.
    pub fn memtable_limit_bytes(mut self, bytes: usize) -> Self {
        self.options.memtable_limit_bytes = bytes.max(64 << 10);
        self
    }

    /// How many bytes of log are written before the next checkpoint, which bounds the time of a recovery. The disk holds
    /// the log since the checkpoint before the last one, in whole segments. Default 512 MiB, at least 64 KiB.
    pub fn log_limit_bytes(mut self, bytes: u64) -> Self {
        self.options.log_limit_bytes = bytes.max(64 << 10);
        self
    }

    /// How many bytes of the checkpoint are cached in memory. Default 64 MiB, at least 1 MiB.
    pub fn checkpoint_cache_bytes(mut self, bytes: usize) -> Self {
        self.options.checkpoint_cache_bytes = bytes.max(1 << 20);
        self
    }

    /// The greatest length in bytes of a file of the log. An opening begins with 1 MiB and goes on with four
    /// times as much each time, up to this. Default 64 MiB, 64 KiB to 1 GiB. A single large group can make
    /// one longer.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.options.segment_bytes = bytes.clamp(64 << 10, 1 << 30);
        self
    }

    /// For how long at most what is [`Durability::Buffered`](crate::Durability) stays in memory before it is written and synced.
    /// Default 100 ms, 1 ms to 1 hour.
    pub fn buffered_sync_interval(mut self, interval: Duration) -> Self {
        let (least, most) = (Duration::from_millis(1), Duration::from_secs(3600));
        self.options.buffered_interval = interval.clamp(least, most);
        self
    }

    /// Whether requests under an idempotency key may be [`Durability::Buffered`](crate::Durability): then a crash can take a
    /// receipt that was given, and a retry is carried out. Default no.
    pub fn allow_buffered_keys(mut self, allowed: bool) -> Self {
        self.options.buffered_keys = allowed;
        self
    }

    /// How long outcomes are remembered whole, by the clock of the log: for so long a retry gets the first answer. After it
    /// a retry is told that the request was decided ([`Error::AlreadyDecided`]), and still not carried out. `Duration::MAX`
    /// is for ever. Default 72 hours, at least one minute.
    ///
    /// Time passes with what is logged: nothing is forgotten by an engine that nobody writes to.
    pub fn remember_outcomes_for(mut self, time: Duration) -> Self {
        self.options.policy.retention.whole = nanos(time.max(MINUTE));
        self
    }

    /// How long it is remembered that a request was decided. After that its key is as good as new, unless it says when it
    /// was made: then it is refused ([`Error::KeyExpired`]). `Duration::MAX` is for ever. Default 400 days, at
    /// least one hour, and never less than outcomes are remembered whole.
    pub fn remember_keys_for(mut self, time: Duration) -> Self {
        self.options.policy.retention.stubs = nanos(time.max(60 * MINUTE));
        self
    }

    /// How many bytes of remembered outcomes there may be, keys included; stubs count 53 bytes each. Beyond that, requests
    /// with a new key are refused ([`Error::Limit`]) until older outcomes have become stubs or are forgotten: never is one
    /// forgotten early. Default none.
    pub fn window_limit_bytes(mut self, bytes: u64) -> Self {
        self.options.policy.window_limit = bytes;
        self
    }

    /// How many bytes of outcomes may be remembered whole for one scope of [`IdempotencyKey`](crate::IdempotencyKey), keys
    /// included, so that no tenant fills the window alone; beyond that, its requests with a new key are refused
    /// ([`Error::Limit`]). Takes about 60 bytes of memory for each scope in each eighth of the time outcomes are remembered
    /// whole. Default none.
    pub fn scope_limit_bytes(mut self, bytes: u64) -> Self {
        self.options.policy.scope_limit = bytes;
        self
    }

    /// Whether every key must say when it was made ([`IdempotencyKey::time_ordered`](crate::IdempotencyKey::time_ordered),
    /// [`from_uuid`](crate::IdempotencyKey::from_uuid)): then no request is ever carried out twice, however late a
    /// delivery comes. What was decided under another key is still answered. Default no.
    pub fn require_time_ordered_keys(mut self, required: bool) -> Self {
        self.options.policy.time_ordered = required;
        self
    }

    /// How many bytes the filter of remembered keys may take, which spares a request with a new key a look into the
    /// checkpoint's file. It takes two to four for each key; where that is more than this, more looks are in vain. While it
    /// is made anew, because most of its keys are forgotten, there are two. Default 64 MiB, at least 32 KiB.
    pub fn key_filter_bytes(mut self, bytes: usize) -> Self {
        self.options.filter_limit_bytes = bytes;
        self
    }

    /// Whether to open a database whose last entry is more than 30 days before the system's clock. By default that is refused
    /// ([`Error::ClockJump`]): if the clock is wrong, going on would forget in an instant what is to be remembered for long. Say
    /// yes when the database has rested for so long.
    pub fn accept_clock_jump(mut self, accepted: bool) -> Self {
        self.options.accept_clock_jump = accepted;
        self
    }

    /// What becomes of the log that no opening needs any more. Default [`LogRetention::Trim`].
    pub fn log_retention(mut self, retention: LogRetention) -> Self {
        self.options.log_retention = retention;
        self
    }

    /// How many bytes may wait for the disk: of requests that were handed in and are not answered yet, of their answers,
    /// and 512 for each. While there is no room for one more, [`Engine::commit`] and [`Engine::submit`] wait, and
    /// [`Engine::try_submit`] gives [`Error::Overloaded`]. What is alone is let in whatever its length, and so is one answer
    /// that quotes what is stored, such as the record of a conflict (up to 1 MiB). Default and most 16 MiB, at least 64 KiB.
    pub fn queue_limit_bytes(mut self, bytes: usize) -> Self {
        self.options.queue_limit.bytes = bytes.clamp(64 << 10, QUEUE_BYTES_MAX);
        self
    }

    /// How many requests may wait for the disk, retries and refusals too; otherwise as
    /// [`queue_limit_bytes`](Self::queue_limit_bytes). Default 16,384, 1 to 1,048,576.
    pub fn queue_limit_requests(mut self, requests: usize) -> Self {
        self.options.queue_limit.requests = requests.clamp(1, 1 << 20);
        self
    }

    /// Who does the background work. Default [`Background::Threads`].
    #[cfg_attr(not(feature = "testing"), doc(hidden))]
    pub fn background(mut self, background: Background) -> Self {
        self.options.threads = background == Background::Threads;
        self
    }

    /// Where the engine gets the time, in place of the system's clock.
    #[cfg(feature = "testing")]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Where the engine gets random numbers, in place of the system's.
    #[cfg(feature = "testing")]
    pub fn entropy(mut self, entropy: impl Entropy) -> Self {
        self.entropy = Arc::new(entropy);
        self
    }

    /// The number of the first entry of a database that is made, from 1, so that a test can see what happens near the end of
    /// all numbers. It does not change one that is there.
    ///
    /// ```
    /// use steadfast::{Engine, Error, Expect, Keyspace, Request};
    ///
    /// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    ///
    /// let put = || Request::unkeyed().put(&STOCK, &12, &7, Expect::Any);
    /// let engine = Engine::builder().first_seq(1 << 40).in_memory()?;
    /// assert_eq!(engine.commit(put())?.committed()?.seq.get(), 1 << 40);
    ///
    /// let engine = Engine::builder().first_seq(u64::MAX).in_memory()?;
    /// assert!(matches!(engine.commit(put()), Err(Error::SequenceExhausted)));
    /// # Ok::<(), Error>(())
    /// ```
    #[cfg(feature = "testing")]
    pub fn first_seq(mut self, seq: u64) -> Self {
        let (_, time) = self.after.unwrap_or_default();
        self.after = Some((SeqNo::new(seq.saturating_sub(1)), time));
        self
    }

    /// The log time after which a database that is made begins; see [`first_seq`](Self::first_seq). Log time never goes back,
    /// so a later one than the clock's makes it go on by single nanoseconds.
    #[cfg(feature = "testing")]
    pub fn begin_after(mut self, time: LogTime) -> Self {
        let (seq, _) = self.after.unwrap_or_default();
        self.after = Some((seq, time));
        self
    }

    /// Opens the database in the directory `path`, or makes one where there is no directory or an empty one (for the
    /// owner only: modes 0700 and 0600). Blocks while it verifies the checkpoint and replays the log, and syncs; what it
    /// found is in [`Engine::recovery`]. A symlink as `path` is followed, once; none is inside.
    ///
    /// # Errors
    /// Every byte of the directory is as it was:
    /// - [`Error::Locked`]: it is open, here or in another process
    /// - [`Error::NotADatabase`]: it holds something else, or is no directory
    /// - [`Error::UnsupportedFormat`]: another version of this crate wrote it
    /// - [`Error::Corruption`]: there is damage that a power cut cannot have caused
    /// - [`Error::ClockJump`]: the system's clock is more than 30 days past the last entry, and
    ///   [`accept_clock_jump`](Self::accept_clock_jump) was not called
    ///
    /// [`Error::RuleBroken`]: records break a rule that is new or changed, and [`OnBrokenRule::Refuse`] was chosen. Nothing was logged.
    ///
    /// In a program built with `panic = "abort"` a damaged checkpoint can end the process in place of `Corruption`: the
    /// store it is kept in panics on some damage, which is caught otherwise.
    ///
    /// Nothing is lost, and opening can be tried again:
    /// - [`Error::NoSpace`]: the disk has no room for a new database, or for what the store of the checkpoint repairs. What
    ///   else an opening writes waits for room, and meanwhile only reads and remembered outcomes are served
    /// - [`Error::Io`]: the system failed, or does not allow it
    pub fn open(self, path: impl AsRef<Path>) -> Result<Engine, Error> {
        self.open_disk(disk_of(path.as_ref())?)
    }

    /// Opens the database in the directory `path` in steps, for when somebody is to see what was found before anything is done about it:
    /// after a crash that is not understood, a disk that was restored, a clock that was wrong. [`open`](Self::open) is all but the
    /// reconciliation and the audit of this in one call.
    ///
    /// 1. [`Contained`]: locked, verified, and as it was found. Only where there is no database one is made
    /// 2. [`restore`](Contained::restore): what was never acknowledged is cut off, and the state can be read
    /// 3. [`reconcile`](crate::Restored::reconcile): what became of the keys that callers had no answer for; those of which nothing is
    ///    remembered can be fenced
    /// 4. [`verify`](crate::Reconciled::verify): records and totals are held against the rules
    /// 5. [`close`](crate::Verified::close): the report goes to the log, and the engine is there
    ///
    /// Dropped at any step, the database is let go; it can be opened again, at once.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let dir = dir.path();
    /// use steadfast::{Audit, ClosureVerdict, Engine, IdempotencyKey, KeyStatus, Settle};
    ///
    /// let contained = Engine::recover(dir)?;
    /// println!("{}", contained.report());
    /// let in_doubt = [IdempotencyKey::new("shop", "order-1")?];
    /// let reconciled = contained.restore()?.reconcile(in_doubt, |_key, status| match status {
    ///     // It will be sent again, under another key.
    ///     KeyStatus::NotRemembered { .. } => Settle::Fence,
    ///     _ => Settle::Leave,
    /// })?;
    /// let (engine, report) = reconciled.verify(Audit::Full)?.close()?;
    /// assert_eq!((report.verdict, report.reconciliation.fenced_now), (ClosureVerdict::Clean, 1));
    /// assert_eq!(report.entry, Some(engine.durable_seq()));
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`open`](Self::open), but for those of rules, which come later.
    pub fn recover(self, path: impl AsRef<Path>) -> Result<Contained, Error> {
        self.recover_disk(disk_of(path.as_ref())?)
    }

    /// Opens the database on a disk of the caller's in steps.
    ///
    /// # Errors
    /// As [`recover`](Self::recover).
    #[cfg(feature = "testing")]
    pub fn recover_on(self, disk: impl Disk) -> Result<Contained, Error> {
        self.recover_disk(Arc::new(disk))
    }

    /// Opens the database in the directory `path` to read it only, and changes no byte of it: neither now, nor later, nor when
    /// it is closed. Any number can have it open like this at the same time, here and in other processes, but nobody to write
    /// meanwhile. It may have been closed or not; [`Engine::recovery`] says how it was found. Verifies as much as
    /// [`open`](Self::open) does, and starts no threads.
    ///
    /// Reads and snapshots show the state after the last entry, and outcomes that are remembered are told to whoever asks
    /// under their keys. Everything else gets [`Error::ReadOnly`]. What the log holds since the last checkpoint is kept in
    /// memory, so that after a crash that can be more than [`memtable_limit_bytes`](Self::memtable_limit_bytes).
    ///
    /// No permission to write is needed, and no medium that can be written. An opening trusts no page cache: after a failed
    /// sync it can show what is not on the medium. So this one syncs all files, which changes none, and has their cached
    /// copies dropped. Where the system does not allow that, as on a file system that is mounted read-only, it is left out. If
    /// that file system became read-only after an error, what is read may then be newer than what is there after a
    /// restart of the machine.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let dir = dir.path();
    /// use steadfast::{Engine, Error, Expect, Keyspace, Request};
    ///
    /// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    ///
    /// let engine = Engine::open(dir)?;
    /// engine.commit(Request::unkeyed().put(&STOCK, &1, &10, Expect::Any))?.committed()?;
    /// engine.close()?;
    ///
    /// let reader = Engine::open_read_only(dir)?;
    /// assert_eq!(reader.get(&STOCK, &1)?.map(|record| record.value), Some(10));
    /// let refused = reader.commit(Request::unkeyed().put(&STOCK, &1, &11, Expect::Any));
    /// assert!(matches!(refused, Err(Error::ReadOnly { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Every byte of the directory is as it was:
    /// - [`Error::Locked`]: someone has it open to write, here or in another process
    /// - [`Error::NotADatabase`]: there is no directory, or it is empty, or holds something else, or a creation that did not
    ///   finish
    /// - [`Error::UnsupportedFormat`], [`Error::Corruption`]: as [`open`](Self::open)
    /// - [`Error::Io`]: the system failed, or does not allow it
    pub fn open_read_only(self, path: impl AsRef<Path>) -> Result<Engine, Error> {
        self.read_disk(reading(path.as_ref())?)
    }

    /// Opens the database on a disk of the caller's to read it only.
    ///
    /// # Errors
    /// As [`open_read_only`](Self::open_read_only).
    #[cfg(feature = "testing")]
    pub fn open_read_only_on(self, disk: impl Disk) -> Result<Engine, Error> {
        self.read_disk(Arc::new(disk))
    }

    fn read_disk(self, disk: Arc<dyn Disk>) -> Result<Engine, Error> {
        let Self { mut options, registry, clock, entropy, .. } = self;
        (options.read_only, options.threads) = (true, false);
        Engine::open_machine(
            options,
            registry,
            Machine { disk: Arc::new(ReadOnlyDisk(disk)), clock, entropy },
        )
    }

    /// Opens the database on a disk of the caller's.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[cfg(feature = "testing")]
    pub fn open_on(self, disk: impl Disk) -> Result<Engine, Error> {
        self.open_disk(Arc::new(disk))
    }

    /// Makes a database in memory, for the tests of a service: all of the engine but the real disk.
    ///
    /// ```
    /// let engine = steadfast::Engine::builder().memtable_limit_bytes(1 << 20).in_memory()?;
    /// assert_eq!(engine.durable_seq().get(), 0);
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] when there are no threads to be had.
    pub fn in_memory(self) -> Result<Engine, Error> {
        self.open_disk(Arc::new(MemoryDisk::new()))
    }

    fn open_disk(self, disk: Arc<dyn Disk>) -> Result<Engine, Error> {
        let (options, registry, machine) = self.machine(disk)?;
        Engine::open_machine(options, registry, machine)
    }

    fn recover_disk(self, disk: Arc<dyn Disk>) -> Result<Contained, Error> {
        let (options, registry, machine) = self.machine(disk)?;
        Contained::new(options, registry, machine)
    }

    fn machine(self, disk: Arc<dyn Disk>) -> Result<(Options, Registry, Machine), Error> {
        let Self { mut options, registry, clock, entropy, .. } = self;
        let retention = &mut options.policy.retention;
        retention.stubs = retention.stubs.max(retention.whole);
        let machine = Machine { disk, clock, entropy };
        #[cfg(feature = "testing")]
        if let Some((seq, time)) = self.after {
            let made = machine.begin_after(seq, time, options.checkpoint_cache_bytes);
            made.map_err(|error| Error::opening(error, machine.disk.location()))?;
        }
        Ok((options, registry, machine))
    }
}

fn disk_of(path: &Path) -> Result<Arc<dyn Disk>, Error> {
    let location = || path.display().to_string();
    let disk = RealDisk::open_or_create(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotADirectory => {
            Error::NotADatabase { location: location(), what: "it is not a directory".into() }
        }
        _ => Error::Io { what: format!("opening {}", location()), source },
    })?;
    Ok(Arc::new(disk))
}

/// The disk of a directory that is to be read only.
pub(super) fn reading(path: &Path) -> Result<Arc<dyn Disk>, Error> {
    let location = || path.display().to_string();
    let not_a_database =
        |what: &str| Error::NotADatabase { location: location(), what: what.into() };
    let disk = RealDisk::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotADirectory => not_a_database("it is not a directory"),
        io::ErrorKind::NotFound => not_a_database("there is nothing"),
        _ => Error::Io { what: format!("opening {}", location()), source },
    })?;
    Ok(Arc::new(disk))
}
