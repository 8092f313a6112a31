//! Steps 4 and 5 of [`commit`](super::commit): writing a group, publishing it, handing the lead on.

use super::{
    core::Core,
    sequencer::{Sequencer, Taken},
};
use crate::{
    base::{SeqNo, sync::atomic::Ordering},
    log::{Position, writer::Failed},
};

impl Core {
    /// Takes the lead if it is free and there is something to write.
    pub(super) fn take_lead(&self) -> bool {
        let mut sequencer = self.sequencer.lock();
        let free = !sequencer.led && sequencer.pending.entries > 0;
        sequencer.led |= free;
        free
    }

    /// Writes one group and hands the lead on. The caller has the lead.
    pub(super) fn lead(&self) {
        let mut writer = self.writer.lock();
        let mut sequencer = self.sequencer.lock();
        let freeze = self.wants_freeze(&sequencer);
        let Some(mut taken) = sequencer.take(freeze, self.machine.clock.monotonic_nanos()) else {
            sequencer.led = false;
            return;
        };
        if freeze {
            *self.view.write() = sequencer.view();
        }
        self.room.notify_all();
        drop(sequencer);
        let result = writer.append(&mut taken.buffer, taken.sealing, taken.next.take());
        drop(writer);
        self.conclude(taken, result);
    }

    /// Publishes a written group, hands the lead on, then wakes its callers.
    fn conclude(&self, taken: Taken, result: Result<Position, Failed>) {
        let mut sequencer = self.sequencer.lock();
        let in_flight =
            sequencer.in_flight.take().expect("the group that was written is in flight");
        let now = self.machine.clock.monotonic_nanos();
        sequencer.pressure.took(now.saturating_sub(in_flight.began));
        let woken = match result {
            Ok(position) => {
                self.publish(&mut sequencer, in_flight.last_seq, &taken, position);
                sequencer.durable_totals = in_flight.totals;
                sequencer.keep(taken.buffer);
                in_flight.parked
            }
            Err(Failed { error, written }) => {
                let failed = if written { in_flight.last_seq } else { sequencer.durable };
                let reason = format!("writing the log failed: {error}");
                self.poison(&mut sequencer, reason, failed, in_flight.parked)
            }
        };
        self.hand_on(&mut sequencer);
        let maintain = taken.freezes || sequencer.wants_spare();
        drop(sequencer);
        if maintain {
            self.wakes.maintainer();
        }
        Self::answer(woken);
    }

    fn publish(
        &self,
        sequencer: &mut Sequencer,
        last_seq: SeqNo,
        taken: &Taken,
        position: Position,
    ) {
        sequencer.durable = last_seq;
        sequencer.head = position;
        self.durable.store(last_seq.get(), Ordering::Release);
        if taken.freezes
            && let Some(frozen) = &mut sequencer.frozen
        {
            frozen.position = Some(position);
        }
    }

    /// Hands the lead to someone with a reason to take it, or lays it down.
    fn hand_on(&self, sequencer: &mut Sequencer) {
        let pending = &sequencer.pending;
        sequencer.led =
            pending.entries > 0 && pending.parked.iter().any(|parked| parked.slot.promote());
        if !sequencer.led && sequencer.pending.entries > 0 {
            if sequencer.pending.parked.is_empty() {
                // Nobody waits for what is buffered.
                self.wakes.committer_later();
            } else {
                self.wakes.committer();
            }
        }
        // The queue is shorter now; and those who wait for a group to be written may have to write it themselves.
        self.room.notify_all();
    }

    fn wants_freeze(&self, sequencer: &Sequencer) -> bool {
        sequencer.fold.frozen.is_none() && (sequencer.freeze_wanted || self.due(sequencer))
    }
}
