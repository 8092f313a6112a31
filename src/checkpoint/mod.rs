//! The checkpoint: the state settled in redb. The only module that names redb.
//!
//! What always holds:
//! - one write is one redb transaction, committed in two phases, never with quick-repair;
//! - every row carries a checksum over its table, key and body, and none is given out that fails it;
//! - an open changes no byte of the file before [`Checkpoint::release`];
//! - a full disk fails nothing: what finds no room is held in memory, in its order, and written when there is some; until
//!   then a write says [`CheckpointError::Full`], and the file is what the one before left;
//! - dropping writes nothing, and after damage nothing is written: redb over damaged pages can end the process;
//! - an error says whether the machine failed or the bytes are damaged, and a panic of redb is damage.
//!
//! redb verifies its pages in two cases only: in the repair that follows an unclean end, and in
//! [`Checkpoint::check_pages`]. A flipped bit in a branch page can otherwise hide a row that [`verify`], which walks
//! the leaves, still sees. So only both together prove a checkpoint.

mod backend;
mod error;
mod guard;
mod held;
mod reader;
mod sums;
mod tables;
mod verify;
mod window;
mod write;

pub(crate) use self::{
    error::CheckpointError,
    reader::{Reader, WindowPosition},
    verify::{Key, Verified, verify},
    write::Changes,
};
pub(crate) use crate::format::rows::Meta;

use self::{
    backend::Backend,
    guard::{drop_database, guard},
};
use crate::{
    base::{Control, KeyspaceId, Row, WindowRow, canary::canary},
    disk::File,
};
use parking_lot::Mutex;
use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// An open checkpoint file.
pub(crate) struct Checkpoint {
    /// The bytes of a write that redb has committed and the file does not hold yet, for want of room.
    unsettled: Mutex<Option<u64>>,
    latest: Mutex<Latest>,
    /// How much may be held for want of room before a write is given up.
    hold_bytes: u64,
    /// `None` once it is being closed.
    database: Option<redb::Database>,
    backend: Backend,
    pages_checked: bool,
}

/// What the last write left.
#[derive(Default)]
struct Latest {
    generation: u64,
    reader: Option<Arc<Reader>>,
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// The generation that readers see from now on.
    pub(crate) generation: u64,
    /// How many bytes of keys and rows were put.
    pub(crate) bytes: u64,
    /// The length of the file now.
    pub(crate) file_bytes: u64,
}

impl Checkpoint {
    /// Makes a checkpoint of an empty file: all tables, no rows but `meta`; durable and closed on return.
    pub(crate) fn create(
        file: Arc<dyn File>,
        seed_meta: &Meta,
        cache_bytes: usize,
    ) -> Result<(), CheckpointError> {
        if file.len()? != 0 {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists).into());
        }
        let this = Self::open(Backend::passing(file)?, cache_bytes)?;
        let nothing = Changes {
            records: std::iter::empty(),
            window: std::iter::empty(),
            control: &Control::default(),
            upkeep: 0,
            counts: std::iter::empty(),
        };
        write::commit(this.database(), &this.backend, nothing, seed_meta, u64::MAX)?;
        this.settle()?;
        this.close()
    }

    /// Opens a checkpoint and holds back what redb writes, in memory, until [`release`](Self::release).
    pub(crate) fn open_held(
        file: Arc<dyn File>,
        cache_bytes: usize,
    ) -> Result<Self, CheckpointError> {
        let backend =
            if canary!(CheckpointNotHeld) { Backend::passing(file)? } else { Backend::held(file)? };
        // redb would make a new database of an empty file.
        if backend.bytes() == 0 {
            return Err(CheckpointError::damaged("the file is empty"));
        }
        Self::open(backend, cache_bytes)
    }

    fn open(backend: Backend, cache_bytes: usize) -> Result<Self, CheckpointError> {
        let repaired = Arc::new(AtomicBool::new(false));
        let mut builder = redb::Builder::new();
        builder.set_cache_size(cache_bytes);
        let note = repaired.clone();
        builder.set_repair_callback(move |_| note.store(true, Ordering::Relaxed));
        let database = guard(&backend, "opening", || builder.create_with_backend(backend.clone()))?;
        Ok(Self {
            unsettled: Mutex::default(),
            latest: Mutex::default(),
            // redb writes as much again when it commits.
            hold_bytes: (cache_bytes / 2) as u64,
            database: Some(database),
            backend,
            pages_checked: repaired.load(Ordering::Relaxed),
        })
    }

    /// Verifies every page of the file against redb's checksums, and its free pages against its used ones, unless
    /// opening it after an unclean end did that already. No reader may be in use.
    ///
    /// redb would repair the free pages; nothing but damage can have made them wrong, so that is refused, too.
    pub(crate) fn check_pages(&mut self) -> Result<(), CheckpointError> {
        if self.pages_checked {
            return Ok(());
        }
        self.latest.get_mut().reader = None;
        let database = self.database.as_mut().expect("taken only when closing");
        if !guard(&self.backend, "checking pages", || database.check_integrity())? {
            return Err(CheckpointError::damaged("checking pages: free and used pages disagree"));
        }
        self.pages_checked = true;
        Ok(())
    }

    /// Writes the next checkpoint, in one transaction; durable on return.
    ///
    /// After [`CheckpointError::Full`] nothing has happened that readers see or that a crash would leave, and the same
    /// changes are to be written again, until that succeeds: part of it may be done already.
    pub(crate) fn write<'a>(
        &self,
        changes: Changes<
            'a,
            impl Iterator<Item = (KeyspaceId, &'a [u8], Option<&'a Row>)>,
            impl Iterator<Item = (&'a [u8], &'a WindowRow)>,
            impl Iterator<Item = (KeyspaceId, u64)>,
        >,
        meta: &Meta,
    ) -> Result<Written, CheckpointError> {
        self.refuse_after_damage()?;
        if let Some(failure) = self.backend.failed() {
            return Err(failure.into());
        }
        // While it is kept, nobody can open a reader between the commit and the new generation.
        let _before = self.reader()?;
        let mut unsettled = self.unsettled.lock();
        self.settle()?;
        if unsettled.is_none() {
            let hold = self.hold_bytes;
            *unsettled = Some(write::commit(self.database(), &self.backend, changes, meta, hold)?);
            self.settle()?;
        }
        let bytes = unsettled.take().expect("committed now or before");
        let generation = self.publish()?;
        Ok(Written { generation, bytes, file_bytes: self.backend.bytes() })
    }

    /// Writes what an earlier call found no room for.
    fn settle(&self) -> Result<(), CheckpointError> {
        if self.backend.is_short() { self.backend.release() } else { Ok(()) }
    }

    fn publish(&self) -> Result<u64, CheckpointError> {
        let mut latest = self.latest.lock();
        latest.generation += 1;
        latest.reader = None;
        latest.reader(self.database(), &self.backend)?;
        Ok(latest.generation)
    }

    /// The state as the last write left it. Readers of one generation are one.
    pub(crate) fn reader(&self) -> Result<Arc<Reader>, CheckpointError> {
        self.latest.lock().reader(self.database(), &self.backend)
    }

    /// Carries out what was held back; from now on writes go to the file.
    pub(crate) fn release(&self) -> Result<(), CheckpointError> {
        self.backend.release()
    }

    /// Closes without another write, as dropping does: what was held back is gone, and the file is as the last durable
    /// write left it. The next open verifies all its pages.
    pub(crate) fn abandon(self) {
        drop(self);
    }

    /// Closes cleanly, so that the next open need not look at every page. Readers still in use fail from now on. What
    /// was never released is abandoned, and so is what there is no room for; then the next open verifies all pages.
    pub(crate) fn close(mut self) -> Result<(), CheckpointError> {
        self.latest.get_mut().reader = None;
        if let Some(failure) = self.backend.failed() {
            return Err(failure.into());
        }
        self.refuse_after_damage()?;
        match self.settle() {
            Err(CheckpointError::Full) => {}
            settled => settled?,
        }
        if self.backend.passes() {
            let database = self.database.take();
            guard::guard_plain(&self.backend, "closing", || drop(database))?;
        }
        self.backend.failed().map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// The first failure of the machine, if there was one. After it redb refuses everything.
    #[cfg(test)]
    pub(crate) fn failed(&self) -> Option<io::Error> {
        self.backend.failed()
    }

    fn refuse_after_damage(&self) -> Result<(), CheckpointError> {
        if self.backend.damaged() {
            return Err(CheckpointError::damaged("damage was found before"));
        }
        Ok(())
    }

    const fn database(&self) -> &redb::Database {
        self.database.as_ref().expect("taken only when closing")
    }
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        let Some(database) = self.database.take() else { return };
        self.backend.abandon();
        self.latest.get_mut().reader = None;
        drop_database(database);
    }
}

impl Latest {
    fn reader(
        &mut self,
        database: &redb::Database,
        backend: &Backend,
    ) -> Result<Arc<Reader>, CheckpointError> {
        if let Some(reader) = &self.reader {
            return Ok(reader.clone());
        }
        let reader = Arc::new(Reader::open(database, backend, self.generation)?);
        self.reader = Some(reader.clone());
        Ok(reader)
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint").field("backend", &self.backend).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
