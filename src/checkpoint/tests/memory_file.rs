//! A file in memory that records what is done to it and can be told to fail.

use crate::disk::File;
use parking_lot::{Mutex, RwLock};
use std::{
    collections::BTreeSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

#[derive(Debug, Default)]
pub(super) struct MemoryFile {
    bytes: RwLock<Vec<u8>>,
    pub(super) done: Mutex<Vec<Done>>,
    pub(super) fail_reads: AtomicBool,
    pub(super) fail_writes: AtomicBool,
    /// How many more changes succeed, if that is limited.
    pub(super) changes_left: Mutex<Option<usize>>,
    /// How many more pages may be written that never were, if that is limited.
    pub(super) room: Mutex<Option<usize>>,
    /// Whether to grow takes room that there is not.
    pub(super) full_at_growth: AtomicBool,
    /// Whether a sync says that there is no room.
    pub(super) full_at_sync: AtomicBool,
    /// The pages that take room.
    pages: Mutex<BTreeSet<usize>>,
}

const PAGE: usize = 4096;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Write { offset: u64, len: usize },
    SetLen(u64),
    Sync,
}

impl MemoryFile {
    pub(super) fn of(bytes: Vec<u8>) -> Arc<Self> {
        let pages = Mutex::new((0..bytes.len() / PAGE).collect());
        Arc::new(Self { bytes: RwLock::new(bytes), pages, ..Self::default() })
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.bytes.read().clone()
    }

    /// The pages that take room.
    pub(super) fn pages(&self) -> BTreeSet<usize> {
        self.pages.lock().clone()
    }

    /// Whether a change succeeds.
    fn change(&self) -> io::Result<()> {
        let broken = || io::Error::other("a bad disk");
        if self.fail_writes.load(Ordering::Relaxed) {
            return Err(broken());
        }
        if let Some(left) = &mut *self.changes_left.lock() {
            *left = left.checked_sub(1).ok_or_else(broken)?;
        }
        Ok(())
    }

    /// Whether there is room for a write.
    fn make_room(&self, offset: usize, end: usize) -> io::Result<()> {
        let mut pages = self.pages.lock();
        for page in offset / PAGE..end.div_ceil(PAGE) {
            if !pages.contains(&page) {
                if let Some(left) = &mut *self.room.lock() {
                    *left = left.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
                }
                pages.insert(page);
            }
        }
        Ok(())
    }
}

impl File for MemoryFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if self.fail_reads.load(Ordering::Relaxed) {
            return Err(io::Error::other("a bad sector"));
        }
        let bytes = self.bytes.read();
        let there = bytes.get(offset as usize..).unwrap_or_default();
        let len = there.len().min(buffer.len());
        buffer[..len].copy_from_slice(&there[..len]);
        Ok(len)
    }

    fn write_at(&self, offset: u64, new: &[u8]) -> io::Result<usize> {
        self.change()?;
        let end = offset as usize + new.len();
        self.make_room(offset as usize, end)?;
        let mut bytes = self.bytes.write();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset as usize..end].copy_from_slice(new);
        self.done.lock().push(Done::Write { offset, len: new.len() });
        Ok(new.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change()?;
        if len > self.len()? && self.full_at_growth.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let cut = self.pages.lock().split_off(&(len as usize).div_ceil(PAGE));
        if let Some(left) = &mut *self.room.lock() {
            *left += cut.len();
        }
        self.bytes.write().resize(len as usize, 0);
        self.done.lock().push(Done::SetLen(len));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.read().len() as u64)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change()?;
        if self.full_at_sync.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.done.lock().push(Done::Sync);
        Ok(())
    }

    fn drop_cache(&self) -> io::Result<()> {
        Ok(())
    }
}
