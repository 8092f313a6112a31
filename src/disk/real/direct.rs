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

/// File systems (by their numbers in `statfs`) that honour `O_DSYNC` for such writes: ext4, XFS, Btrfs, F2FS. Others may
/// take the flag and leave it to somebody else, as FUSE does.
const KNOWN: [u64; 4] = [0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010];

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
        if !is_known(created) {
            return None;
        }
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
            // It was not written, or not all of it: the ordinary way writes every byte of it again, and syncs that.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Interrupted
                        | io::ErrorKind::InvalidInput
                        | io::ErrorKind::Unsupported
                ) =>
            {
                Ok(0)
            }
            other => other,
        }
    }
}

fn is_known(file: &fs::File) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|seen| KNOWN.contains(&(seen.f_type as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, File, RealDisk};

    /// Where the tests run is mostly one of the known file systems; elsewhere the ordinary way is all there is.
    #[test]
    fn whole_blocks_are_written_and_all_else_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let disk = RealDisk::open_or_create(directory.path()).unwrap();
        let (folder, leaf) = disk.locate("a").unwrap();
        let file = super::super::RealFile::create(&folder, leaf).unwrap();
        let direct = Direct::open(&folder, leaf, &file.0);
        assert_eq!(direct.is_some(), is_known(&file.0), "it was refused where it is known");
        assert_eq!(file.len().unwrap(), 0);
        let Some(direct) = direct else { return };
        file.write_all_at(0, &vec![0; 4 * MOST]).unwrap();
        file.sync_data().unwrap();
        for (offset, length, written) in [
            (0, ALIGN, ALIGN),
            (ALIGN, 3 * ALIGN, 3 * ALIGN),
            (MOST, MOST, MOST),
            (1, ALIGN, 0),
            (0, 1, 0),
            (0, MOST + ALIGN, 0),
        ] {
            let bytes = vec![7; length];
            assert_eq!(direct.write(offset as u64, &bytes).unwrap(), written);
            let mut seen = vec![0; written];
            disk.open("a").unwrap().read_exact_at(offset as u64, &mut seen).unwrap();
            assert!(seen == bytes[..written]);
        }
    }
}
