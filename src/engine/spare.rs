//! The segment that the log goes on in next: preparing it, and beginning the one of an opening.

use super::{core::Core, error::Error};
use crate::{disk, log::writer::room_in};
use std::io;

impl Core {
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
        let mut sequencer = self.sequencer.lock();
        sequencer.wanted.attempts += 1;
        let failure = made.as_ref().err().map(|error| (error.kind(), error.to_string()));
        sequencer.wanted.failure = failure;
        // For those who wait for it, in place of preparing one.
        self.room.notify_all();
        let segment = made.map_err(spare_error)?;
        // A database that is written much gets longer segments, up to the limit.
        let longer = bytes.saturating_mul(4).min(self.options.segment_bytes);
        sequencer.next_segment = (number + 1, longer);
        sequencer.spare = Some(segment);
        Ok(true)
    }

    /// What is due before anyone is served: a checkpoint, and the segment of this opening where it was put off.
    pub(super) fn set_going(&self, checkpoint: bool) -> Result<(), Error> {
        if checkpoint {
            self.checkpoint_now()?;
        }
        if self.sequencer.lock().unbegun {
            self.ensure_spare(0)?;
            self.begin_log()?;
        }
        Ok(())
    }

    /// Begins the segment of this opening, if it was put off and is prepared; false when nothing was to be done. Blocks for one
    /// durable write. A failure is final, as of any write to the log.
    pub(super) fn begin_log(&self) -> Result<bool, Error> {
        let mut writer = self.writer.lock();
        let (spare, next_seq) = {
            let mut sequencer = self.sequencer.lock();
            let due = sequencer.unbegun && sequencer.poison.is_none() && !sequencer.closed;
            let spare = if due { sequencer.spare.take() } else { None };
            let Some(spare) = spare else { return Ok(false) };
            (spare, sequencer.next_seq)
        };
        match writer.begin(spare, next_seq) {
            Ok(position) => {
                let mut sequencer = self.sequencer.lock();
                sequencer.unbegun = false;
                (sequencer.head, sequencer.room) = (position, writer.room());
                sequencer.low_room = sequencer.room / 2;
                self.room.notify_all();
                Ok(true)
            }
            Err(error) => {
                drop(writer);
                Err(self.stop_writes(format!("writing the log failed: {error}")))
            }
        }
    }
}

/// The length of a segment where there is no room for the one that is due.
pub(super) const SHORT_SEGMENT_BYTES: u64 = 64 << 10;

/// A failure that is told once more.
pub(super) fn again((kind, text): &(io::ErrorKind, String)) -> io::Error {
    io::Error::new(*kind, text.clone())
}

pub(super) fn spare_error(source: io::Error) -> Error {
    let what = "preparing a segment of the log".to_owned();
    if disk::is_full(&source) { Error::NoSpace { what } } else { Error::Io { what, source } }
}
