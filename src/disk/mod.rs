//! The seam between the engine and the machine: files, time and randomness.
//!
//! The engine reaches the outside through [`Disk`], [`File`], [`Clock`] and [`Entropy`] only, so that a test can put a
//! simulated machine in their place and run it deterministically from one seed.

mod contents;
mod folders;
mod memory;
mod name;
mod read_only;
mod real;
mod system;

#[cfg(test)]
mod conformance;
#[cfg(feature = "testing")]
mod sim;

pub use memory::MemoryDisk;
pub(crate) use read_only::ReadOnlyDisk;
pub use real::RealDisk;
#[cfg(feature = "testing")]
pub use sim::{Choice, Effect, Fault, Lie, Repeat, SimClock, SimDisk, SimEntropy, is_power_off};
pub use system::{SystemClock, SystemEntropy};

use std::{fmt::Debug, io, sync::Arc};

/// One database directory. Names are relative to it, with `/` between a folder and a file; at most two levels.
///
/// Implementations must not follow symbolic links below the directory, nor block on special files.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Takes the exclusive lock of the directory and holds it until the guard is dropped.
    ///
    /// # Errors
    /// `WouldBlock` when someone else holds it, here or in another process.
    fn lock(&self) -> io::Result<Box<dyn Lock>>;

    /// Takes the lock of the directory together with others who only read, and holds it until the guard is dropped. Where a
    /// disk does not know the difference, it is the exclusive one.
    ///
    /// # Errors
    /// `WouldBlock` when someone holds the exclusive lock, here or in another process.
    fn lock_shared(&self) -> io::Result<Box<dyn Lock>> {
        self.lock()
    }

    /// Creates a file of length 0 for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Creates a file of length 0 that will be zeroed, synced, and then written block by block with
    /// [`write_durably_at`](File::write_durably_at): a disk may prepare for that.
    ///
    /// # Errors
    /// Those of [`create`](Self::create).
    fn create_log(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.create(name)
    }

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// `NotFound` when there is none; `InvalidInput` when it is not a plain file with one name.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Opens a file for reading alone, which may be allowed where writing is not. What comes of a write to it is not said.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    fn open_to_read(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.open(name)
    }

    /// Renames a file, replacing what has the new name. Durable after [`sync_dir`](Self::sync_dir) of both folders.
    ///
    /// # Errors
    /// Those of the system.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Durable after [`sync_dir`](Self::sync_dir) of its folder.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Creates a folder. Durable after [`sync_dir`](Self::sync_dir) of `""`.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken.
    fn create_dir(&self, name: &str) -> io::Result<()>;

    /// What a folder (`""` is the directory itself) holds, sorted by name.
    ///
    /// # Errors
    /// `NotFound` when there is no such folder.
    fn list(&self, folder: &str) -> io::Result<Vec<Listed>>;

    /// Makes the names in a folder (`""` is the directory itself) durable.
    ///
    /// # Errors
    /// Those of the system; after one, nothing is known about the names.
    fn sync_dir(&self, folder: &str) -> io::Result<()>;

    /// Bytes that can still be allocated.
    ///
    /// # Errors
    /// Those of the system.
    fn free_bytes(&self) -> io::Result<u64>;

    /// Where this is, for messages.
    fn location(&self) -> String;
}

/// One open file. Reads and writes may be short, as those of the system.
#[allow(clippy::len_without_is_empty, reason = "a file is not a collection")]
pub trait File: Debug + Send + Sync + 'static {
    /// Reads into `buffer` from `offset` and returns how many bytes; 0 at the end of the file.
    ///
    /// # Errors
    /// Those of the system.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes `bytes` at `offset` and returns how many bytes it took.
    ///
    /// # Errors
    /// Those of the system.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Sets the length; new bytes are zero.
    ///
    /// # Errors
    /// Those of the system.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// Those of the system.
    fn len(&self) -> io::Result<u64>;

    /// Makes everything written so far durable, length included.
    ///
    /// # Errors
    /// Those of the system; after one, nothing is known about the bytes written since the last success.
    fn sync_data(&self) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`, inside of the file's synced length, and returns when they are durable. Says nothing of
    /// what else was written to the file. A crash may leave any part of them, as of a write that was not synced.
    ///
    /// # Errors
    /// Those of the system; after one, nothing is known about these bytes.
    fn write_durably_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(offset, bytes)?;
        self.sync_data()
    }

    /// Asks the system to forget its cached copy, so that the next read comes from the medium.
    ///
    /// # Errors
    /// Those of the system.
    fn drop_cache(&self) -> io::Result<()>;

    /// Reads exactly `buffer.len()` bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` past the end; those of the system.
    fn read_exact_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(offset, buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    buffer = &mut buffer[n..];
                    offset += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes all of `bytes`, going on after short writes.
    ///
    /// # Errors
    /// `WriteZero` when the system takes nothing; those of the system.
    fn write_all_at(&self, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(offset, bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    bytes = &bytes[n..];
                    offset += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Removes a file, or finds that there is none.
pub(crate) fn remove_if_there(disk: &dyn Disk, name: &str) -> io::Result<()> {
    match disk.remove(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether an error says that there is no room left.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Holds a directory's lock until it is dropped.
pub trait Lock: Debug + Send + Sync + 'static {}

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name, without its folder. Names that are not UTF-8 are given lossily.
    pub name: String,
    /// What it is.
    pub kind: ListedKind,
}

/// What a name in a folder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListedKind {
    /// A plain file.
    File,
    /// A folder.
    Folder,
    /// Anything else: a symbolic link, a pipe, a device.
    Other,
}

/// Where the engine gets the time.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Nanoseconds since the Unix epoch by the system's clock, which may jump.
    fn wall_nanos(&self) -> u64;

    /// Nanoseconds since some fixed moment, never going back. Time that the machine is suspended counts: a wall clock that
    /// goes further ahead than this one was set.
    fn monotonic_nanos(&self) -> u64;
}

/// Where the engine gets random numbers.
pub trait Entropy: Debug + Send + Sync + 'static {
    /// 128 bits nobody can guess.
    ///
    /// # Errors
    /// Those of the system.
    fn random(&self) -> io::Result<u128>;
}
