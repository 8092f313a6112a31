//! Room for a request, found before anything is logged: in the group being filled, in the memtables, on the disk. Where there
//! is none, the caller waits for whoever makes some, or makes it.

use super::{core::Core, error::Error, sequencer::Sequencer};
use crate::{
    base::{
        Action, RequestData, Verdict,
        limits::{GROUP_BYTES, UNSYNCED_ENTRIES},
        sync::MutexGuard,
    },
    disk,
    log::writer::room_in,
};
use std::io;

/// No entry is shorter in the log.
const ENTRY_MIN_BYTES: u64 = 36;
// One group in flight and one being filled are all that can be unsynced: never so many entries as the gap in sequence
// numbers after an unclean end.
const _: () = assert!(UNSYNCED_ENTRIES > 2 * (GROUP_BYTES as u64) / ENTRY_MIN_BYTES);

impl Core {
    /// The sequencer, once the group being filled has room for `bytes` more and the memtable for its rows.
    pub(super) fn room_for(
        &self,
        bytes: usize,
        blocking: bool,
    ) -> Result<MutexGuard<'_, Sequencer>, Error> {
        loop {
            let sequencer = self.sequencer.lock();
            if sequencer.closed {
                return Err(Error::Closed);
            }
            self.check_writable()?;
            if sequencer.poison.is_some() {
                return Ok(sequencer);
            }
            if sequencer.pending.entries > 0
                && sequencer.pending.bytes() + bytes > self.group_bytes()
            {
                self.wait_for_group(sequencer, blocking);
            } else if self.memtables_full(&sequencer) {
                self.wait_for_checkpoint(sequencer)?;
            } else if !sequencer.fits(bytes) {
                if sequencer.spare.is_some() && sequencer.pending.entries > 0 {
                    // The group counts on the spare there is, so that one must go first.
                    self.wait_for_group(sequencer, blocking);
                } else {
                    let room = sequencer.needed(bytes);
                    drop(sequencer);
                    self.ensure_spare(room)?;
                }
            } else {
                return Ok(sequencer);
            }
        }
    }

    /// How long a group may grow: with a small memtable less than the most, since two of them are in memory besides it.
    fn group_bytes(&self) -> usize {
        GROUP_BYTES.min(self.options.memtable_limit_bytes / 16)
    }

    /// Waits until the group being filled was taken. Takes it, if nobody else will.
    fn wait_for_group(&self, mut sequencer: MutexGuard<'_, Sequencer>, may_lead: bool) {
        if sequencer.led {
            self.room.wait(&mut sequencer);
        } else if may_lead || !self.options.threads {
            sequencer.led = true;
            drop(sequencer);
            self.lead();
        } else {
            self.wakes.committer();
            self.room.wait(&mut sequencer);
        }
    }

    fn wait_for_checkpoint(&self, mut sequencer: MutexGuard<'_, Sequencer>) -> Result<(), Error> {
        if self.options.threads {
            let before = sequencer.shortages;
            self.wakes.maintainer();
            self.room.wait(&mut sequencer);
            if sequencer.shortages != before {
                return Err(Self::no_room_for_checkpoint());
            }
            return Ok(());
        }
        // Nobody else will do it.
        if sequencer.pending.entries > 0 || sequencer.in_flight.is_some() {
            self.wait_for_group(sequencer, true);
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

    /// Prepares the next segment, unless there is one with that much room; false when nothing was to be done. Blocks
    /// while it writes and syncs zeros.
    pub(super) fn ensure_spare(&self, room: u64) -> Result<bool, Error> {
        let _preparing = self.preparing.lock();
        let (number, bytes) = {
            let mut sequencer = self.sequencer.lock();
            let enough = sequencer.spare.as_ref().is_some_and(|spare| room_in(spare) >= room);
            // A group that is being filled may count on the one there is.
            let needed = sequencer.spare.is_some() && sequencer.pending.entries > 0;
            if enough || needed || sequencer.closed || sequencer.poison.is_some() {
                return Ok(false);
            }
            if let Some(small) = sequencer.spare.take() {
                sequencer.next_segment.0 = small.number();
            }
            sequencer.next_segment
        };
        let made = self.source.prepare(number, bytes, room).or_else(|error| {
            // There may still be room for a short one.
            if disk::is_full(&error) {
                self.source.prepare(number, SHORT_SEGMENT_BYTES, room)
            } else {
                Err(error)
            }
        });
        let segment = made.map_err(spare_error)?;
        let mut sequencer = self.sequencer.lock();
        // A database that is written much gets longer segments, up to the limit.
        let longer = bytes.saturating_mul(4).min(self.options.segment_bytes);
        sequencer.next_segment = (number + 1, longer);
        sequencer.spare = Some(segment);
        Ok(true)
    }
}

/// The length of a segment where there is no room for the one that is due.
const SHORT_SEGMENT_BYTES: u64 = 64 << 10;

fn spare_error(source: io::Error) -> Error {
    let what = "preparing a segment of the log".to_owned();
    if disk::is_full(&source) { Error::NoSpace { what } } else { Error::Io { what, source } }
}

/// More than any entry that comes of this request takes up in the log.
pub(super) fn entry_bound(request: &RequestData) -> usize {
    const FIXED: usize = 1024;
    const REJECTION: usize = 5 << 10;
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
    let (Verdict::Commit(result) | Verdict::Reject(result)) = &request.verdict;
    FIXED
        + REJECTION
        + request.actor.len()
        + request.correlation.len()
        + result.len()
        + keyspaces
        + operations
        + reads
}
