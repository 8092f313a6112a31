//! Writes past the page cache that are durable when they return: for a small overwrite less work than a write and a sync.

use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags};
use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::FileExt},
};

/// Offsets, lengths and memory are multiples of this, which every file system that can do it at all is content with.
const ALIGN: usize = 4096;
/// Longer writes are not sped up, and their copy would cost memory.
const MOST: usize = 1 << 20;
const FLAGS: OFlags = OFlags::WRONLY
    .union(OFlags::DIRECT)
    .union(OFlags::DSYNC)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// A second descriptor of a file.
#[derive(Debug)]
pub(super) struct Direct {
    file: fs::File,
    /// Somewhere in it there is an aligned copy of what is being written.
    buffer: Mutex<Vec<u8>>,
}

impl Direct {
    /// Opens the file that was just created there as `created`; `None` where this cannot be had.
    pub(super) fn open(folder: &OwnedFd, leaf: &str, created: &fs::File) -> Option<Self> {
        let file = fs::File::from(rustix::fs::openat(folder, leaf, FLAGS, Mode::empty()).ok()?);
        let identity = |file: &fs::File| {
            let seen = rustix::fs::fstat(file).ok()?;
            Some((seen.st_dev, seen.st_ino))
        };
        if identity(&file)? != identity(created)? {
            return None;
        }
        let this = Self { file, buffer: Mutex::default() };
        // Some file systems take the flags and then refuse to write.
        let tried = this.write(0, &[0; ALIGN]);
        created.set_len(0).ok()?;
        (tried.ok()? == ALIGN).then_some(this)
    }

    /// Writes durably and returns how many bytes; 0 for what can only be written in the ordinary way.
    pub(super) fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let whole = offset.is_multiple_of(ALIGN as u64) && bytes.len().is_multiple_of(ALIGN);
        if !whole || bytes.len() > MOST {
            return Ok(0);
        }
        let mut buffer = self.buffer.lock();
        let room = bytes.len() + ALIGN;
        if buffer.len() < room {
            buffer.resize(room, 0);
        }
        let start = buffer.as_ptr().align_offset(ALIGN);
        let aligned = &mut buffer[start..start + bytes.len()];
        aligned.copy_from_slice(bytes);
        match self.file.write_at(aligned, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            other => other,
        }
    }
}
