//! How an engine is set up.

use super::{Background, Engine, error::Error};
use crate::{
    disk::{Clock, Disk, Entropy, MemoryDisk, ReadOnlyDisk, RealDisk, SystemClock, SystemEntropy},
    recovery::Machine,
};
use std::{io, path::Path, sync::Arc};

/// What can be chosen, and its defaults.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub memtable_limit_bytes: usize,
    pub log_limit_bytes: u64,
    pub checkpoint_cache_bytes: usize,
    pub segment_bytes: u64,
    pub threads: bool,
    pub read_only: bool,
}

/// Sets an engine up. Numbers outside of their limits are taken as the nearest one inside.
///
/// The memory an engine takes follows from these: twice the memtable, the cache, two groups of the log (each up to a
/// sixteenth of the memtable and 8 MiB), whatever versions of records live snapshots keep, two to four bytes for each
/// outcome that the checkpoint remembers, and four to eight bytes for each 4 KiB of the checkpoint's file. While a full
/// disk keeps a checkpoint from being written, what of it finds no room is held: up to twice the cache more.
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
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            options: Options {
                memtable_limit_bytes: 64 << 20,
                log_limit_bytes: 512 << 20,
                checkpoint_cache_bytes: 64 << 20,
                segment_bytes: 64 << 20,
                threads: true,
                read_only: false,
            },
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy),
        }
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
    ///
    /// In a program built with `panic = "abort"` a damaged checkpoint can end the process in place of `Corruption`: the
    /// store it is kept in panics on some damage, which is caught otherwise.
    ///
    /// Nothing is lost, and opening can be tried again:
    /// - [`Error::NoSpace`]: the disk has no room for what an opening writes
    /// - [`Error::Io`]: the system failed, or does not allow it
    pub fn open(self, path: impl AsRef<Path>) -> Result<Engine, Error> {
        let path = path.as_ref();
        let location = || path.display().to_string();
        let disk = RealDisk::open_or_create(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotADirectory => {
                Error::NotADatabase { location: location(), what: "it is not a directory".into() }
            }
            _ => Error::Io { what: format!("opening {}", location()), source },
        })?;
        self.open_disk(Arc::new(disk))
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
        let path = path.as_ref();
        let location = || path.display().to_string();
        let not_a_database =
            |what: &str| Error::NotADatabase { location: location(), what: what.into() };
        let disk = RealDisk::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotADirectory => not_a_database("it is not a directory"),
            io::ErrorKind::NotFound => not_a_database("there is nothing"),
            _ => Error::Io { what: format!("opening {}", location()), source },
        })?;
        self.read_disk(Arc::new(disk))
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
        let Self { mut options, clock, entropy } = self;
        (options.read_only, options.threads) = (true, false);
        Engine::open_machine(
            options,
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
        let Self { options, clock, entropy } = self;
        Engine::open_machine(options, Machine { disk, clock, entropy })
    }
}
