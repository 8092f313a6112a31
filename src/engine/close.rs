//! The end of an engine.

use super::{
    ChainHead, Engine, background,
    close_report::{CloseMark, CloseReport, Closed},
    core::Core,
    error::Error,
    reentrancy,
    spare::SHORT_SEGMENT_BYTES,
};
use crate::{
    base::sync::{
        Mutex, ReentrantMutex,
        atomic::{AtomicBool, Ordering},
        thread::{self, JoinHandle},
    },
    checkpoint::CheckpointError,
    disk,
    format::names,
};
use std::{io, mem, sync::Arc};

/// What the clones of an engine share; closes it when the last is dropped.
pub(super) struct Handle {
    pub core: Arc<Core>,
    /// Held by the call that closes, to its end. A waker may close from within.
    closing: ReentrantMutex<Closing>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Whether a call has begun to close, and what came of it.
#[derive(Default)]
struct Closing {
    begun: AtomicBool,
    report: Mutex<Option<CloseReport>>,
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
        let closing = ReentrantMutex::new(Closing::default());
        Ok(Self { core, closing, threads: Mutex::new(threads) })
    }

    /// Closes the engine once; later calls wait for the first, but for those that can't. Whoever has `closing` waits for
    /// others: for those who lead, and for the engine's threads. So a waker, which any of these may be running, never
    /// waits for `closing`, and leaves the rest to whoever has it.
    pub(super) fn close(&self) -> Result<CloseReport, Error> {
        self.core.owner.check("close")?;
        // First, so that also a call that leaves the rest to another one returns when nothing more is taken in.
        self.core.take_no_more();
        // Those who wait for room would wait for ever.
        self.core.room.notify_all();
        let in_waker = reentrancy::in_waker();
        let closing = if in_waker { self.closing.try_lock() } else { Some(self.closing.lock()) };
        match closing {
            None => Ok(self.core.report(Closed::Meanwhile, CloseMark::Missing)),
            Some(closing) if !closing.begun.swap(true, Ordering::Relaxed) => {
                let closed = self.close_first();
                let mark = closed.as_ref().map_or(CloseMark::Missing, |mark| *mark);
                let report = self.core.report(Closed::Now, mark);
                *closing.report.lock() = Some(report.clone());
                closed.map(|_| report)
            }
            Some(closing) => {
                if !in_waker {
                    self.join();
                }
                let before = closing.report.lock().clone();
                let before = before.map(|report| CloseReport { closed: Closed::Before, ..report });
                Ok(before
                    .unwrap_or_else(|| self.core.report(Closed::Meanwhile, CloseMark::Missing)))
            }
        }
    }

    fn close_first(&self) -> Result<CloseMark, Error> {
        let settled = self.core.settle();
        self.core.wakes.stop();
        self.join();
        let finished = self.core.finish();
        settled.and(finished)
    }

    /// Waits for the engine's threads. The caller has `closing`.
    fn join(&self) {
        let threads = mem::take(&mut *self.threads.lock());
        for thread in threads {
            if thread.thread().id() == thread::current().id() {
                // A waker closes on a thread of the engine's own, which then ends by itself. Whoever closes next waits for it.
                self.threads.lock().push(thread);
            } else {
                // One that panicked has told.
                let _ = thread.join();
            }
        }
    }
}

impl Engine {
    /// Closes the engine for all of its clones: waits until what was handed in is durable and a checkpoint under way is
    /// written, and leaves a mark that says where the log ended. Afterwards calls on clones give [`Error::Closed`], and
    /// the directory can be opened again. Blocks and syncs. On an engine that is closed already it does nothing. One that only
    /// reads leaves no mark. What it did, and where the log ended, is in the report.
    ///
    /// Dropping the last clone does the same as far as it can, and tells nobody when it can't. A [`Snapshot`](crate::Snapshot) may be kept:
    /// what it needs from the checkpoint's file is refused from then on, as [`Error::Closed`].
    ///
    /// A call waits for one that is closing already, with one exception. The waker of a [`Ticket`](crate::Ticket) can run on a
    /// thread that the other call waits for. There, a call gives [`Closed::Meanwhile`] at once: nothing more is taken in, and the other
    /// call does the rest; the directory can be opened again once that one has returned. With no other call under way it
    /// does everything itself, but for waiting for the thread it is called on.
    ///
    /// # After a fork
    /// An engine belongs to the process that opened it. A forked child is refused whatever writes or waits
    /// ([`Error::Forked`]), closing too, and dropping the last handle in it does nothing at all: it leaks what the handle
    /// held. A child must not read either; that is not refused, since asking which process this is would make reads a
    /// third slower. What it reads is the state at the fork, or [`Error::Forked`], or it waits for ever for a lock that a thread of
    /// the parent held just then. As long as a child lives that neither exits nor executes another program, the directory
    /// stays locked even if the parent dies; not if the parent closes the engine.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let dir = dir.path();
    /// use steadfast::{CloseMark, Engine, Error, Keyspace, Verdict};
    ///
    /// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    ///
    /// let engine = Engine::open(dir)?;
    /// let clone = engine.clone();
    /// let report = engine.close()?;
    /// assert_eq!(report.mark, CloseMark::Left);
    /// println!("{report}");
    /// assert!(matches!(clone.get(&STOCK, &1), Err(Error::Closed)));
    /// let engine = Engine::open(dir)?;
    /// assert_eq!(engine.recovery().verdict, Verdict::Clean);
    /// assert_eq!(Some(&engine.recovery().state_digest), report.state_digest.as_ref());
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Poisoned`] when an earlier write failed; [`Error::NoSpace`] or [`Error::Io`] when the mark could not be left;
    /// [`Error::Reentrant`] from inside a closure given to [`update`](Self::update); [`Error::Forked`]. Nothing durable is
    /// lost by any of them.
    pub fn close(self) -> Result<CloseReport, Error> {
        self.enter("close")?;
        self.0.close()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.core.owner.is_elsewhere() {
            // What the last handle in a forked child lets go of writes, unlocks or waits when it is dropped.
            mem::forget(self.core.clone());
            mem::forget(mem::take(self.threads.get_mut()));
        } else {
            let _ = self.close();
        }
    }
}

impl Core {
    /// What a closing comes to.
    fn report(&self, closed: Closed, mark: CloseMark) -> CloseReport {
        let sequencer = self.sequencer.lock();
        let head = sequencer.head;
        let known = mark != CloseMark::Missing && sequencer.fold.applied == sequencer.durable;
        CloseReport {
            closed,
            durable_seq: sequencer.durable,
            chain_head: ChainHead { group: head.g, digest: head.chain },
            state_digest: known.then(|| format!("{:032x}", sequencer.fold.digest.0)),
            mark,
        }
    }

    /// Closes the files.
    fn finish(&self) -> Result<CloseMark, Error> {
        let checkpoint = self.checkpoint.lock().take();
        let poison = self.sequencer.lock().poison.clone();
        self.stopped.store(true, Ordering::Release);
        let io = |what: &str| {
            let what = what.to_owned();
            move |source: io::Error| match disk::is_full(&source) {
                true => Error::NoSpace { what },
                false => Error::Io { what, source },
            }
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
        // So is whoever writes a group: after a failure elsewhere nobody waited for it, and what it will be told must be so.
        drop(self.writer.lock());
        let marked = match poison {
            Some(poison) => Err(Self::poisoned(&poison)),
            None if closed.is_err() || self.options.read_only => Ok(CloseMark::Missing),
            None => self.leave_mark().map_err(io("marking the log as closed")),
        };
        *self.lock.lock() = None;
        drop(preparing);
        closed.map_err(|error| match error {
            CheckpointError::Io(source) => io("closing the checkpoint")(source),
            CheckpointError::Full => Self::no_room_for_checkpoint(),
            CheckpointError::Damaged { what } => {
                io("closing the checkpoint")(io::Error::other(what))
            }
        })?;
        marked
    }

    fn leave_mark(&self) -> io::Result<CloseMark> {
        let mut writer = self.writer.lock();
        let (spare, number, next_seq, unbegun) = {
            let mut sequencer = self.sequencer.lock();
            let number = sequencer.next_segment.0;
            (sequencer.spare.take(), number, sequencer.next_seq, sequencer.unbegun)
        };
        if unbegun {
            // Else the mark would say that the log can be gone on with, with the numbers that the crash may have taken.
            let prepared =
                spare.map_or_else(|| self.source.prepare(number, SHORT_SEGMENT_BYTES, 0), Ok)?;
            let head = writer.begin(prepared, next_seq)?;
            self.sequencer.lock().head = head;
        } else if let Some(spare) = spare {
            self.machine.disk.remove(&names::spare(spare.number()))?;
        }
        let kept = writer.is_marked_clean();
        writer.mark_clean(self.source.uuid)?;
        Ok(if kept { CloseMark::Kept } else { CloseMark::Left })
    }
}
