//! redb's view of our file.
//!
//! redb writes as soon as it opens a file: a repair after an unclean end, and a mark that the file is in use. An open
//! that is refused must not have changed one byte, so a [`Backend`] starts *held*: what redb writes is kept in memory,
//! and visible to redb, until it is either [released](Backend::release), that is, carried out in exactly redb's order,
//! or [abandoned](Backend::abandon). After that it passes everything on, or nothing.
//!
//! redb takes an error for the end: it refuses everything from then on. But a full disk passes. So from the first write
//! that finds no room on, a backend that passes everything on is *short*: it holds what finds none, then also the sync that
//! comes next and all that follows it, and redb goes on as if nothing were. A sync that is held makes nothing durable, so
//! whoever commits must [release](Backend::release) before believing it.

use super::{
    error::CheckpointError,
    held::{Held, Stuck},
    sums::{self, Sums},
};
use crate::disk::{self, File};
use parking_lot::{Mutex, RwLock};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// A handle; clones share one file.
#[derive(Clone, Debug)]
pub(super) struct Backend(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: Arc<dyn File>,
    /// One at a time carries out what was held. Taken before `mode`.
    releasing: Mutex<()>,
    mode: RwLock<Mode>,
    /// Whether the last change was that the file grew: see [`Shared::sync`].
    grown: AtomicBool,
    /// The length redb sees. We are the file's only user, so nobody else changes it.
    len: AtomicU64,
    /// What was read or written before must be there when it is read again.
    sums: Sums,
    failure: Mutex<Option<Failure>>,
    damaged: AtomicBool,
}

#[derive(Debug)]
enum Mode {
    /// Until it is said what becomes of it.
    Held(Held),
    Passing,
    /// Until there is room.
    Short(Held),
    Abandoned,
}

impl Mode {
    const fn held(&self) -> Option<&Held> {
        match self {
            Self::Held(held) | Self::Short(held) => Some(held),
            Self::Passing | Self::Abandoned => None,
        }
    }
}

/// The first failure of the machine, in a form that can be given out again and again.
#[derive(Debug)]
struct Failure {
    kind: io::ErrorKind,
    os: Option<i32>,
    text: String,
}

impl Failure {
    fn error(&self) -> io::Error {
        match self.os {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(self.kind, self.text.clone()),
        }
    }
}

impl Backend {
    /// Holds back what is written.
    pub(super) fn held(file: Arc<dyn File>) -> io::Result<Self> {
        let len = file.len()?;
        Ok(Self::new(file, len, Mode::Held(Held::new(len))))
    }

    /// Passes on what is written.
    pub(super) fn passing(file: Arc<dyn File>) -> io::Result<Self> {
        let len = file.len()?;
        Ok(Self::new(file, len, Mode::Passing))
    }

    fn new(file: Arc<dyn File>, len: u64, mode: Mode) -> Self {
        Self(Arc::new(Shared {
            file,
            releasing: Mutex::default(),
            mode: RwLock::new(mode),
            grown: AtomicBool::new(false),
            len: AtomicU64::new(len),
            sums: Sums::default(),
            failure: Mutex::new(None),
            damaged: AtomicBool::new(false),
        }))
    }

    /// Carries out what was held back, and passes everything on from now on. Readers go on meanwhile.
    ///
    /// Without room for all of it, the file holds a prefix of redb's writes, as after a crash, and the rest stays held: it can
    /// be tried again. When it fails, that prefix is all, and nothing more is ever written.
    pub(super) fn release(&self) -> Result<(), CheckpointError> {
        let _releasing = self.0.releasing.lock();
        loop {
            let replayed = match self.0.mode.read().held() {
                Some(held) => held.replay(&*self.0.file),
                None => return Ok(()),
            };
            let mut mode = self.0.mode.write();
            match replayed {
                Err(Stuck::Full) => return Err(CheckpointError::Full),
                Err(Stuck::Failed(error)) => {
                    *mode = Mode::Abandoned;
                    return self.0.note(Err(error)).map_err(CheckpointError::Io);
                }
                // Unless something more was held meanwhile.
                Ok(()) if mode.held().is_none_or(Held::is_done) => {
                    *mode = Mode::Passing;
                    return Ok(());
                }
                Ok(()) => {}
            }
        }
    }

    /// Drops what was held back; nothing reaches the file any more.
    pub(super) fn abandon(&self) {
        *self.0.mode.write() = Mode::Abandoned;
    }

    /// Whether there was no room for something that is held since.
    pub(super) fn is_short(&self) -> bool {
        matches!(*self.0.mode.read(), Mode::Short(_))
    }

    /// How many bytes are held because there was no room for them.
    pub(super) fn short_bytes(&self) -> u64 {
        match &*self.0.mode.read() {
            Mode::Short(held) => held.bytes(),
            _ => 0,
        }
    }

    /// The first failure of the machine, if there was one.
    pub(super) fn failed(&self) -> Option<io::Error> {
        self.0.failure.lock().as_ref().map(Failure::error)
    }

    /// True while everything written reaches the file.
    pub(super) fn passes(&self) -> bool {
        matches!(*self.0.mode.read(), Mode::Passing)
    }

    /// redb came upon damage: it must not be made to write any more.
    pub(super) fn note_damage(&self) {
        self.0.damaged.store(true, Ordering::Release);
    }

    /// Whether redb came upon damage.
    pub(super) fn damaged(&self) -> bool {
        self.0.damaged.load(Ordering::Acquire)
    }

    /// The length of the file as redb sees it.
    pub(super) fn bytes(&self) -> u64 {
        self.0.len.load(Ordering::Acquire)
    }
}

impl Shared {
    fn note<T>(&self, done: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &done {
            self.failure.lock().get_or_insert_with(|| Failure {
                kind: error.kind(),
                os: error.raw_os_error(),
                text: error.to_string(),
            });
        }
        done
    }

    /// After a failure nothing more may be written: a later sync could succeed without the bytes that failed.
    fn refuse_after_failure(&self) -> io::Result<()> {
        self.failure.lock().as_ref().map_or(Ok(()), |failure| Err(failure.error()))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        // A page number that damage sent past the end is no failure of the machine, so it is not noted.
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > self.len.load(Ordering::Acquire)) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match &*self.mode.read() {
            Mode::Passing => self.note(self.file.read_exact_at(offset, out)),
            Mode::Held(held) | Mode::Short(held) => self.note(held.read(&*self.file, offset, out)),
            Mode::Abandoned => Err(abandoned()),
        }?;
        // Not noted either: this is damage.
        self.sums.check(offset, out)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.refuse_after_failure()?;
        if bytes.is_empty() {
            return Ok(());
        }
        self.sums.forget(sums::touched(offset, bytes));
        self.grown.store(false, Ordering::Release);
        self.change(
            |held| held.lets_pass(offset, bytes),
            || self.file.write_all_at(offset, bytes),
            |held| held.write(&*self.file, offset, bytes),
        )?;
        self.sums.wrote(offset, bytes);
        self.len.fetch_max(offset + bytes.len() as u64, Ordering::AcqRel);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.refuse_after_failure()?;
        let hold = |held: &mut Held| held.set_len(&*self.file, len);
        self.change(|_| false, || self.file.set_len(len), hold)?;
        self.sums.cut(len);
        let before = self.len.swap(len, Ordering::AcqRel);
        self.grown.store(len > before, Ordering::Release);
        Ok(())
    }

    /// redb syncs each growth of its file at once, while it fills a transaction and while it commits one, so that the length is
    /// there before a header that names it. Nothing durable refers to the transaction's pages by then, so such a sync does
    /// not divide what may be written before what: it passes what is held for want of room, unless that is the length.
    fn sync(&self) -> io::Result<()> {
        self.refuse_after_failure()?;
        let hold = |held: &mut Held| {
            held.sync();
            Ok(())
        };
        // Whatever a sync that fails says, nothing is known about the bytes: that one is final.
        let failed = |error: io::Error| {
            if disk::is_full(&error) { io::Error::other(error) } else { error }
        };
        let grown = self.grown.swap(false, Ordering::AcqRel);
        let lets_pass = |held: &Held| grown && held.has_its_length();
        self.change(lets_pass, || self.file.sync_data().map_err(failed), hold)
    }

    /// Passes a change on, holds it back, or refuses it. Passing only needs the mode not to change meanwhile.
    fn change(
        &self,
        lets_pass: impl Fn(&Held) -> bool,
        pass: impl Fn() -> io::Result<()>,
        hold: impl FnOnce(&mut Held) -> io::Result<()>,
    ) -> io::Result<()> {
        {
            let mode = self.mode.read();
            let passes = match &*mode {
                Mode::Passing => true,
                Mode::Short(held) => lets_pass(held),
                Mode::Held(_) => false,
                Mode::Abandoned => return Err(abandoned()),
            };
            if passes {
                match pass() {
                    Err(error) if disk::is_full(&error) => {}
                    done => return self.note(done),
                }
            }
        }
        let mut mode = self.mode.write();
        if matches!(*mode, Mode::Passing) {
            // What found no room, or came while the last of what was held was released: to hold it is right in any case.
            *mode = Mode::Short(Held::short(self.len.load(Ordering::Acquire)));
        }
        match &mut *mode {
            Mode::Held(held) | Mode::Short(held) => self.note(hold(held)),
            Mode::Passing | Mode::Abandoned => Err(abandoned()),
        }
    }
}

fn abandoned() -> io::Error {
    io::Error::other("the checkpoint was abandoned")
}

impl redb::StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write(offset, bytes)
    }

    // The file is ours to close, and the directory's lock ours to hold.
    fn close(&self) -> io::Result<()> {
        Ok(())
    }
}
