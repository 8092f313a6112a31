//! The end of an engine.

use super::{background, core::Core, error::Error};
use crate::{
    base::sync::{
        Mutex, ReentrantMutex,
        atomic::Ordering,
        thread::{self, JoinHandle},
    },
    checkpoint::CheckpointError,
    format::names,
};
use std::{io, mem, sync::Arc};

/// What the clones of an engine share; closes it when the last is dropped.
pub(super) struct Handle {
    pub core: Arc<Core>,
    closing: ReentrantMutex<()>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Handle {
    /// Starts the background threads, if there are to be any.
    pub(super) fn start(core: Arc<Core>) -> Result<Self, Error> {
        let threads = if core.options.threads {
            let failed =
                |source| Error::Io { what: "starting the background threads".into(), source };
            background::start(&core).map_err(failed)?
        } else {
            Vec::new()
        };
        Ok(Self { core, closing: ReentrantMutex::new(()), threads: Mutex::new(threads) })
    }

    /// Closes the engine once; later calls do nothing.
    pub(super) fn close(&self) -> Result<(), Error> {
        // Held to the end, so that a second call returns when the first is done; a waker may close from within.
        let _closing = self.closing.lock();
        if mem::replace(&mut self.core.sequencer.lock().closed, true) {
            return Ok(());
        }
        // Those who wait for room would wait for ever.
        self.core.room.notify_all();
        let settled = self.core.settle();
        self.core.wakes.stop();
        let threads = mem::take(&mut *self.threads.lock());
        for thread in threads {
            // A waker can close on a thread of the engine's own, which then ends by itself; one that panicked has told.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
        let finished = self.core.finish();
        settled.and(finished)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

impl Core {
    /// Closes the files. Nothing is in flight any more.
    fn finish(&self) -> Result<(), Error> {
        let checkpoint = self.checkpoint.lock().take();
        let poison = self.sequencer.lock().poison.clone();
        self.stopped.store(true, Ordering::Release);
        let io = |what: &str| {
            let what = what.to_owned();
            move |source: io::Error| Error::Io { what, source }
        };
        let closed = match (checkpoint, &poison) {
            (Some(checkpoint), Some(_)) => {
                // After a failure nothing is written any more, not even what redb writes at its end.
                checkpoint.abandon();
                Ok(())
            }
            (Some(checkpoint), None) => checkpoint.close(),
            (None, _) => Ok(()),
        };
        // Whoever prepares a segment now is done with it before the directory is given up.
        let preparing = self.preparing.lock();
        let marked = match poison {
            Some(poison) => Err(Self::poisoned(&poison)),
            None if closed.is_err() => Ok(()),
            None => self.leave_mark().map_err(io("marking the log as closed")),
        };
        *self.lock.lock() = None;
        drop(preparing);
        closed.map_err(|error| match error {
            CheckpointError::Io(source) => io("closing the checkpoint")(source),
            CheckpointError::Damaged { what } => {
                io("closing the checkpoint")(io::Error::other(what))
            }
        })?;
        marked
    }

    fn leave_mark(&self) -> io::Result<()> {
        if let Some(spare) = self.sequencer.lock().spare.take() {
            self.machine.disk.remove(&names::spare(spare.number()))?;
        }
        self.writer.lock().mark_clean(self.source.uuid)
    }
}
