//! Room for a request, found before anything is logged: in the queue, in the group being filled, in the memtables, on the disk. Where there
//! is none, the caller waits for whoever makes some, or makes it.

use super::{
    core::Core,
    error::Error,
    pressure::{Patience, Terms},
    reentrancy,
    sequencer::Sequencer,
    spare::{again, spare_error},
};
use crate::{
    admission,
    base::{
        Action, RequestData,
        limits::{GROUP_BYTES, RECORD_KEY_BYTES, UNSYNCED_ENTRIES},
        sync::MutexGuard,
    },
};
use std::time::Duration;

/// No entry is shorter in the log.
const ENTRY_MIN_BYTES: u64 = 36;
// One group in flight and one being filled are all that can be unsynced: never so many entries as the gap in sequence
// numbers after an unclean end.
const _: () = assert!(UNSYNCED_ENTRIES > 2 * (GROUP_BYTES as u64) / ENTRY_MIN_BYTES);

/// The least that a wait with a deadline takes.
const SHORTEST_WAIT: Duration = Duration::from_micros(100);

/// What there is no room in.
enum Lack {
    /// The queue, or the group being filled: one must be written.
    Group,
    /// Both memtables: a checkpoint must be.
    Checkpoint,
    /// The log: a segment with so much room must be prepared.
    Segment(u64),
    /// The log: the segment of this opening, which is prepared, must be begun.
    Beginning,
}

impl Core {
    /// The sequencer, once the queue has room for one more, the group being filled for its entry, and the memtable for its
    /// rows.
    pub(super) fn room_for(
        &self,
        request: &RequestData,
        terms: &Terms,
    ) -> Result<MutexGuard<'_, Sequencer>, Error> {
        let bytes = self.entry_bound(request);
        // How many segments had been prepared when the first was asked for.
        let mut asked = None;
        loop {
            let mut sequencer = self.sequencer.lock();
            if sequencer.closed {
                return Err(Error::Closed);
            }
            self.check_takes_writes()?;
            let Some(lack) = self.lack(&sequencer, request, bytes) else { return Ok(sequencer) };
            if terms.expired(&*self.machine.clock) {
                return Err(Error::DeadlineExceeded);
            }
            match lack {
                lack if terms.patience == Patience::Never => {
                    return Err(self.turn_away(&mut sequencer, lack));
                }
                Lack::Group => self.wait_for_group(sequencer, terms),
                Lack::Checkpoint => self.wait_for_checkpoint(sequencer, terms)?,
                Lack::Beginning => {
                    drop(sequencer);
                    self.begin_log()?;
                }
                Lack::Segment(room) if terms.deadline.is_some() && self.options.threads => {
                    let before = *asked.get_or_insert(sequencer.wanted.attempts);
                    if sequencer.wanted.attempts > before
                        && let Some(failure) = &sequencer.wanted.failure
                    {
                        return Err(spare_error(again(failure)));
                    }
                    sequencer.wanted.room = room;
                    self.wakes.maintainer();
                    self.wait_for_room(&mut sequencer, terms);
                }
                Lack::Segment(room) => {
                    drop(sequencer);
                    self.ensure_spare(room)?;
                }
            }
        }
    }

    /// Whether there is room for the entry of a request now.
    pub(super) fn has_room(&self, sequencer: &Sequencer, request: &RequestData) -> bool {
        self.lack(sequencer, request, self.entry_bound(request)).is_none()
    }

    /// More than any entry that comes of a request takes up in the log.
    fn entry_bound(&self, request: &RequestData) -> usize {
        let crosses = self.rules.crosses(&request.keyspaces);
        entry_bound(request, if crosses { RECORD_KEY_BYTES } else { 0 })
    }

    /// What there is no room in, for a request whose entry has at most so many bytes.
    fn lack(&self, sequencer: &Sequencer, request: &RequestData, bytes: usize) -> Option<Lack> {
        let bytes = bytes + self.rules_bytes(sequencer);
        if sequencer.queue_full(bytes) {
            return Some(Lack::Group);
        }
        // Nothing will come of it that needs room: what it is told instead comes before a full disk in the order of checks.
        if sequencer.poison.is_some() || admission::is_read_only(request, &sequencer.fold.control) {
            return None;
        }
        let filling = sequencer.pending.entries > 0;
        if filling && sequencer.pending.bytes() + bytes > self.group_bytes() {
            Some(Lack::Group)
        } else if self.memtables_full(sequencer) {
            Some(Lack::Checkpoint)
        } else if sequencer.unbegun {
            let needed = sequencer.needed(bytes);
            let prepared = sequencer.spare_room() >= needed;
            Some(if prepared { Lack::Beginning } else { Lack::Segment(needed) })
        } else if sequencer.fits(bytes) {
            None
        } else if filling && sequencer.spare.is_some() {
            // The group counts on the spare there is, so that one must go first.
            Some(Lack::Group)
        } else {
            Some(Lack::Segment(sequencer.needed(bytes)))
        }
    }

    /// Sees to it that somebody makes room, and tells a caller who is not to wait.
    fn turn_away(&self, sequencer: &mut Sequencer, lack: Lack) -> Error {
        match lack {
            Lack::Group if sequencer.led => {}
            Lack::Group => self.wakes.committer(),
            Lack::Checkpoint | Lack::Beginning => {
                self.wakes.maintainer();
                if sequencer.short && matches!(lack, Lack::Checkpoint) {
                    return Self::no_room_for_checkpoint();
                }
            }
            Lack::Segment(room) => {
                sequencer.wanted.room = room;
                self.wakes.maintainer();
                if let Some(failure) = &sequencer.wanted.failure {
                    return spare_error(again(failure));
                }
            }
        }
        sequencer.overloaded(&*self.machine.clock)
    }

    /// How long a group may grow: with a small memtable less than the most, since two of them are in memory besides it.
    fn group_bytes(&self) -> usize {
        GROUP_BYTES.min(self.options.memtable_limit_bytes / 16)
    }

    /// Waits until the group being filled was taken. Takes it, if nobody else will.
    pub(super) fn wait_for_group(&self, mut sequencer: MutexGuard<'_, Sequencer>, terms: &Terms) {
        if sequencer.led {
            self.wait_for_room(&mut sequencer, terms);
        } else if terms.leads() || !self.options.threads || reentrancy::in_waker() {
            // A waker may be running on the very thread that would have to.
            sequencer.led = true;
            drop(sequencer);
            self.lead();
        } else {
            self.wakes.committer();
            self.wait_for_room(&mut sequencer, terms);
        }
    }

    /// Waits until somebody says that there is room, or until the deadline.
    fn wait_for_room(&self, sequencer: &mut MutexGuard<'_, Sequencer>, terms: &Terms) {
        match terms.deadline {
            None => self.room.wait(sequencer),
            Some(deadline) => {
                let left = deadline.saturating_sub(self.machine.clock.monotonic_nanos());
                // A clock that a test has stopped is looked at again and again.
                self.room.wait_for(sequencer, Duration::from_nanos(left).max(SHORTEST_WAIT));
            }
        }
    }

    fn wait_for_checkpoint(
        &self,
        mut sequencer: MutexGuard<'_, Sequencer>,
        terms: &Terms,
    ) -> Result<(), Error> {
        if self.options.threads {
            let before = sequencer.shortages;
            self.wakes.maintainer();
            self.wait_for_room(&mut sequencer, terms);
            if sequencer.shortages != before {
                return Err(Self::no_room_for_checkpoint());
            }
            return Ok(());
        }
        // Nobody else will do it.
        if sequencer.pending.entries > 0 || sequencer.in_flight.is_some() {
            self.wait_for_group(sequencer, terms);
            return Ok(());
        }
        drop(sequencer);
        self.checkpoint_step().map(drop)
    }

    /// The active memtable is full and the one before is still being written out.
    fn memtables_full(&self, sequencer: &Sequencer) -> bool {
        sequencer.fold.frozen.is_some() && self.due(sequencer)
    }

    /// Whether enough was gathered to write a checkpoint.
    pub(super) fn due(&self, sequencer: &Sequencer) -> bool {
        sequencer.fold.active.bytes() >= self.options.memtable_limit_bytes
            || sequencer.log_bytes >= self.options.log_limit_bytes
    }
}

/// More than any entry that comes of this request takes up in the log, where a refusal can quote a record that it does not name, with
/// a key of up to so many bytes.
fn entry_bound(request: &RequestData, quoted: usize) -> usize {
    const FIXED: usize = 1024;
    // Besides the key of the record that it is about.
    const REJECTION: usize = 2 << 10;
    let keys = request.operations.iter().map(|operation| operation.key.len());
    let longest = keys.chain(request.reads.iter().map(|read| read.key.len())).max();
    let keyspaces: usize =
        request.keyspaces.iter().map(|k| k.name.len() + k.shape.len() + 32).sum();
    let operations: usize = request
        .operations
        .iter()
        .map(|operation| {
            let value = match &operation.action {
                Action::Put(value) => value.len(),
                _ => 0,
            };
            operation.key.len() + value + 64
        })
        .sum();
    let reads: usize = request.reads.iter().map(|read| read.key.len() + 32).sum();
    let call = request.call.as_ref().map_or(0, |call| call.name.len() + call.arguments.len());
    FIXED
        + REJECTION
        + longest.unwrap_or(0).max(quoted)
        + call
        + request.actor.len()
        + request.correlation.len()
        + request.verdict.payload().len()
        + keyspaces
        + operations
        + reads
}
