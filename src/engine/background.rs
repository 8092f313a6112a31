//! Work that nobody waits for: leading for tickets, checkpoints, preparing segments. By threads, or step by step by the
//! caller, so that a test can run everything from one seed.

use super::{
    core::Core,
    error::Error,
    retention::LogRetention,
    sequencer::{FrozenPoint, Parked},
};
use crate::{
    base::{
        canary::canary,
        key_hash,
        sync::{
            Condvar, Mutex,
            atomic::Ordering,
            thread::{self, JoinHandle},
        },
    },
    checkpoint::{Changes, Checkpoint, CheckpointError, Meta, Reader},
    disk,
    format::{VERSION, names},
    state::{digest, memtable::Memtable},
};
use std::{io, mem, sync::Arc, time::Duration};

/// How background work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// By two threads of the engine's own.
    Threads,
    /// By [`Engine::run_background_step`](crate::Engine::run_background_step), and by writers that would have to wait
    /// for it.
    Manual,
}

/// Signals to the background threads.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    wanted: Mutex<Wanted>,
    committer: Condvar,
    maintainer: Condvar,
}

#[derive(Debug, Default)]
struct Wanted {
    committer: bool,
    /// There is something that nobody waits for.
    buffered: bool,
    maintainer: bool,
    stop: bool,
}

impl Wakes {
    /// There are tickets, and nobody has the lead.
    pub(super) fn committer(&self) {
        self.wanted.lock().committer = true;
        self.committer.notify_one();
    }

    /// There are buffered entries, and nobody has the lead: they are to be written before long.
    pub(super) fn committer_later(&self) {
        let mut wanted = self.wanted.lock();
        if !wanted.buffered {
            wanted.buffered = true;
            self.committer.notify_one();
        }
    }

    /// There is a memtable to write out, or a segment to prepare.
    pub(super) fn maintainer(&self) {
        self.wanted.lock().maintainer = true;
        self.maintainer.notify_one();
    }

    pub(super) fn stop(&self) {
        self.wanted.lock().stop = true;
        self.committer.notify_all();
        self.maintainer.notify_all();
    }

    /// Blocks until there is work for the committer, or buffered entries have waited for so long; false when it is time to
    /// stop.
    fn wait_committer(&self, interval: Duration) -> bool {
        let mut state = self.wanted.lock();
        loop {
            if state.stop {
                return false;
            }
            if mem::take(&mut state.committer) {
                // These are written with whatever else there is.
                state.buffered = false;
                return true;
            }
            if state.buffered {
                self.committer.wait_for(&mut state, interval);
                if !state.committer && !state.stop {
                    state.buffered = false;
                    return true;
                }
            } else {
                self.committer.wait(&mut state);
            }
        }
    }

    /// Blocks until there is work; false when it is time to stop.
    fn wait(&self, condvar: &Condvar, wanted: fn(&mut Wanted) -> &mut bool) -> bool {
        let mut state = self.wanted.lock();
        loop {
            if state.stop {
                return false;
            }
            if mem::take(wanted(&mut state)) {
                return true;
            }
            condvar.wait(&mut state);
        }
    }
}

/// Starts the threads.
pub(super) fn start(core: &Arc<Core>) -> io::Result<Vec<JoinHandle<()>>> {
    let committer = {
        let core = core.clone();
        move || {
            while core.wakes.wait_committer(core.options.buffered_interval) {
                while core.take_lead() {
                    core.lead();
                }
            }
        }
    };
    let maintainer = {
        let core = core.clone();
        move || {
            while core.wakes.wait(&core.wakes.maintainer, |wanted| &mut wanted.maintainer) {
                // What fails here is seen by the writers: a poisoned engine, or a segment they prepare themselves.
                while let Ok(true) = core.maintenance_step() {}
            }
        }
    };
    let thread = |name: &str| thread::Builder::new().name(name.into());
    let committer = thread("steadfast-commit").spawn(committer)?;
    match thread("steadfast-maintain").spawn(maintainer) {
        Ok(maintainer) => Ok(vec![committer, maintainer]),
        Err(error) => {
            core.wakes.stop();
            let _ = committer.join();
            Err(error)
        }
    }
}

/// A failure that ended the writes, and those who are to be told once no lock is held.
struct Stopped {
    error: Error,
    told: Vec<Parked>,
}

impl Core {
    /// Does one piece of background work; false when there was none.
    pub(super) fn background_step(&self) -> Result<bool, Error> {
        if self.take_lead() {
            self.lead();
            return Ok(true);
        }
        self.maintenance_step()
    }

    fn maintenance_step(&self) -> Result<bool, Error> {
        let written = self.checkpoint_step();
        if let Ok(true) = written {
            return written;
        }
        if let Ok(true) = self.begin_log() {
            return Ok(true);
        }
        let wanted = {
            let mut sequencer = self.sequencer.lock();
            let wanted = mem::take(&mut sequencer.wanted.room);
            (wanted > 0 || sequencer.wants_spare()).then_some(wanted)
        };
        // A checkpoint that finds no room keeps no segment from being prepared, for which somebody may be waiting.
        let Some(wanted) = wanted else { return written.and_then(|_| self.refill_step()) };
        self.ensure_spare(wanted).inspect_err(|_| {
            // Whoever needs one tries again; until then there is no point in it.
            self.sequencer.lock().low_room = 0;
        })
    }

    /// Writes a frozen memtable to the checkpoint and trims the log; false when there was none that is durable.
    pub(super) fn checkpoint_step(&self) -> Result<bool, Error> {
        // A waker may close the engine, so those that are told are woken where no lock is held.
        self.write_frozen().map_err(|Stopped { error, told }| {
            Self::answer(told);
            error
        })
    }

    fn write_frozen(&self) -> Result<bool, Stopped> {
        let checkpoint = self.checkpoint.lock();
        let (Some(point), Some(checkpoint)) = (self.frozen(), &*checkpoint) else {
            return Ok(false);
        };
        let before = self.checkpointed_g.load(Ordering::Acquire);
        canary!(TrimBeforeCheckpoint => { let all = self.writer.lock().trimmable(u64::MAX); self.trim(&all.unwrap_or_default().0)? });
        let Some((trimmed, lowest)) = self.writer.lock().trimmable(before) else {
            return Ok(false);
        };
        let meta = self.meta(&point, lowest);
        let reader =
            write_out(checkpoint, &point, &meta).map_err(|error| self.not_written(error))?;
        self.settle_keys(&point.memtable);
        let trim = reader.meta().trim;
        let healthy = self.replace_frozen(reader);
        // Here, where no lock is held, and before the next one fills up.
        drop(point);
        if !healthy {
            return Ok(false);
        }
        self.checkpointed_g.store(meta.applied_g, Ordering::Release);
        // Of a checkpoint that had to wait for room, an earlier attempt may be what was written in the end.
        let trimmed: Vec<u64> = trimmed.into_iter().filter(|number| *number < trim).collect();
        self.trim(&trimmed)?;
        Ok(true)
    }

    /// A checkpoint was not written: the end of all writes, unless it only wants for room. Then the memtable stays as it is,
    /// and whoever needs the room in memory that it takes is told.
    fn not_written(&self, error: CheckpointError) -> Stopped {
        if matches!(error, CheckpointError::Full) {
            {
                let mut sequencer = self.sequencer.lock();
                sequencer.shortages += 1;
                sequencer.short = true;
            }
            self.room.notify_all();
            return Stopped { error: Self::no_room_for_checkpoint(), told: Vec::new() };
        }
        let stopped = self.stop(format!("writing the checkpoint failed: {error}"));
        match error {
            CheckpointError::Io(_) => stopped,
            damaged => Stopped { error: self.checkpoint_error(damaged), ..stopped },
        }
    }

    /// Notes which keys are remembered by the checkpoint now, before anyone looks for them there. A few at a time, so that
    /// nobody waits long.
    fn settle_keys(&self, memtable: &Memtable) {
        canary!(FilterNotExtended => return);
        const AT_ONCE: usize = 256;
        memtable.frozen(|rows| {
            for keys in rows.window().chunks(AT_ONCE) {
                let mut settled = self.settled.write();
                keys.iter().for_each(|(key, _)| settled.add(&key_hash(key)));
            }
        });
    }

    /// Puts the new checkpoint in the place of the frozen memtable; false when the engine takes no more writes.
    fn replace_frozen(&self, reader: Arc<Reader>) -> bool {
        let mut sequencer = self.sequencer.lock();
        sequencer.base = reader;
        sequencer.fold.frozen = None;
        sequencer.frozen = None;
        sequencer.short = false;
        *self.view.write() = sequencer.view();
        self.room.notify_all();
        sequencer.poison.is_none()
    }

    /// Poisons the engine for a failure outside of the log. A group that is being written is left to its own fate.
    pub(super) fn stop_writes(&self, reason: String) -> Error {
        let Stopped { error, told } = self.stop(reason);
        Self::answer(told);
        error
    }

    fn stop(&self, reason: String) -> Stopped {
        let mut sequencer = self.sequencer.lock();
        let in_flight = sequencer.in_flight.as_ref().map(|group| group.last_seq);
        let failed = in_flight.unwrap_or(sequencer.durable);
        let told = self.poison(&mut sequencer, reason, failed, Vec::new());
        let error = Self::poisoned(sequencer.poison.as_ref().expect("it was just set"));
        Stopped { error, told }
    }

    fn meta(&self, point: &FrozenPoint, trim: u64) -> Meta {
        let position = point.position.expect("a memtable is written out once its end is durable");
        Meta {
            format: VERSION,
            uuid: self.source.uuid,
            applied_seq: point.seq,
            applied_g: position.g + u64::from(canary!(AppliedTooFar)),
            applied_time: point.time,
            chain: position.chain,
            digest_version: digest::VERSION,
            digest: point.digest,
            epoch: self.recovery.epoch,
            trim,
        }
    }

    /// Removes segments that no opening needs any more, unless they are to be kept: then this engine forgets them.
    fn trim(&self, numbers: &[u64]) -> Result<(), Stopped> {
        if self.options.log_retention == LogRetention::KeepAll {
            self.writer.lock().forget(numbers);
            return Ok(());
        }
        let removed = numbers.iter().try_for_each(|&number| {
            match self.machine.disk.remove(&names::segment(number)) {
                // Some file systems need room for that, too. It is tried again after the next checkpoint.
                Err(error) if disk::is_full(&error) => return Ok(()),
                removed => removed?,
            }
            self.writer.lock().forget(&[number]);
            Ok(())
        });
        let synced = removed.and_then(|()| {
            if numbers.is_empty() { Ok(()) } else { self.machine.disk.sync_dir(names::SEGMENTS) }
        });
        synced.map_err(|source| {
            // A later sync of the folder would prove nothing about names that go into it now.
            self.stop(format!("removing a segment of the log failed: {source}"))
        })
    }

    /// Writes everything that is applied by now to the checkpoint. Blocks.
    pub(super) fn checkpoint_now(&self) -> Result<(), Error> {
        let mut forced = false;
        let target = self.sequencer.lock().fold.applied;
        loop {
            self.settle()?;
            while self.checkpoint_step()? {}
            let writer = self.writer.lock();
            let mut sequencer = self.sequencer.lock();
            if let Some(poison) = &sequencer.poison {
                return Err(Self::poisoned(poison));
            }
            if sequencer.closed {
                return Err(Error::Closed);
            }
            if forced && sequencer.base.meta().applied_seq >= target {
                return Ok(());
            }
            if sequencer.fold.frozen.is_some() {
                continue;
            }
            forced = true;
            if sequencer.pending.entries == 0 && sequencer.in_flight.is_none() {
                sequencer.freeze(Some(writer.position()));
                *self.view.write() = sequencer.view();
            } else {
                // The next group to be written will end it.
                sequencer.freeze_wanted = true;
            }
        }
    }
}

/// Of tables whose outcomes were demoted or forgotten, a checkpoint rewrites or drops so many rows at least...
const UPKEEP_ROWS: usize = 4096;
/// ...and so many times as many as it adds: what is added is gone through twice in its life.
const UPKEEP_SHARE: usize = 4;

/// Writes a frozen memtable to the checkpoint, and opens what came of it.
fn write_out(
    checkpoint: &Checkpoint,
    point: &FrozenPoint,
    meta: &Meta,
) -> Result<Arc<Reader>, CheckpointError> {
    point.memtable.frozen(|rows| {
        let window = rows.window();
        let changes = Changes {
            records: rows.records(),
            window: window.iter().map(|&(key, row)| (&key[..], row.as_ref())),
            control: &point.control,
            upkeep: UPKEEP_ROWS.max(UPKEEP_SHARE * window.len()),
            counts: rows.counts(),
        };
        checkpoint.write(changes, meta)
    })?;
    checkpoint.reader()
}
