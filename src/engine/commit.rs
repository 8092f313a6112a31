//! The path of a request, from the caller to the disk and back.
//!
//! Everything that happens to one, in order:
//!
//! 1. [`Core::offer`] pre-reads what only the checkpoint has, then takes the sequencer's lock
//! 2. [`Core::sequence`] admits it on the newest applied state, applies it, and appends it to the group being filled;
//!    or it gets its answer at once: a remembered outcome, a conflict, a refusal
//! 3. the answer, of whatever kind, is parked until everything it saw is durable
//! 4. whoever has the lead ([`Core::lead`]) takes the group, writes it and syncs it, outside of the lock, while the next
//!    group fills
//! 5. the group is published to readers, the lead is handed on, and only then its callers are woken
//!
//! The lead is a token, not a thread: a lone `commit` takes it and does the I/O itself, which costs one write, one sync
//! and no hand-over. It is handed to a blocked `commit` first, and to the committer thread if there are only tickets.
//! After the first failed write or sync nothing is written any more: those in that group can't know (`Indeterminate`),
//! those behind it were never written (`Poisoned`), nor was the group itself if already its segment could not be begun.

use super::{
    core::Core,
    error::Error,
    outcome::Answer,
    preread::{Newest, Preread},
    room,
    sequencer::{About, Parked, Sequencer, Taken},
    slot::{Slot, Woken},
};
use crate::{
    admission::{self, Admitted, At, Decision, Refusal, admit},
    base::{
        Bytes, Entry, LogTime, RequestData, SeqNo, StoredRejection, WindowRow,
        canary::canary,
        limits::UNSYNCED_ENTRIES,
        sync::{MutexGuard, atomic::Ordering},
    },
    log::{Position, writer::Failed},
    state::memtable::Horizon,
};
use std::sync::Arc;

/// Sequence numbers kept free for the gap after an unclean end.
const SEQ_RESERVE: u64 = 4 * UNSYNCED_ENTRIES;

/// Where an offered request stands.
pub(super) enum Offered {
    /// Its answer is durable already.
    Answered(Result<Answer, Error>),
    /// Its answer comes by the slot; the caller may have been given the lead.
    Parked { slot: Arc<Slot>, leads: bool },
}

impl Core {
    /// Sequences a request and blocks until its answer is durable.
    pub(super) fn commit(&self, request: RequestData) -> Result<Answer, Error> {
        match self.offer(request, true)? {
            Offered::Answered(answer) => answer,
            Offered::Parked { slot, leads } => self.await_reply(&slot, leads),
        }
    }

    fn await_reply(&self, slot: &Slot, leads: bool) -> Result<Answer, Error> {
        if leads {
            self.lead();
        }
        self.wait(slot)
    }

    /// Blocks until the slot is filled, leading groups whenever it is handed the lead.
    pub(super) fn wait(&self, slot: &Slot) -> Result<Answer, Error> {
        loop {
            match slot.wait() {
                Woken::Lead => self.lead(),
                Woken::Reply(reply) => return reply,
            }
        }
    }

    /// Sequences a request. Blocks only for room; does no log I/O but for preparing a segment when none is ready.
    pub(super) fn offer(&self, request: RequestData, blocking: bool) -> Result<Offered, Error> {
        let bytes = room::entry_bound(&request);
        loop {
            let preread =
                Preread::load(self, &request).map_err(|error| self.checkpoint_error(error))?;
            let mut sequencer = match self.room_for(bytes, blocking) {
                Ok(sequencer) => sequencer,
                // What is remembered is told in every mode.
                Err(error) if request.key.is_some() => {
                    return self.look_up(&request, blocking)?.ok_or(error);
                }
                Err(error) => return Err(error),
            };
            if preread.holds_for(&sequencer) {
                let (reply, about) = self.sequence(&mut sequencer, request, &preread);
                return Ok(self.park(sequencer, reply, about, blocking));
            }
        }
    }

    /// What is remembered under a request's key, once that is durable; if nothing is, whether it can be carried out at all.
    pub(super) fn probe(&self, request: &RequestData) -> Result<Option<Answer>, Error> {
        match self.look_up(request, true)? {
            None => self.check_writable().map(|()| None),
            Some(Offered::Answered(answer)) => answer.map(Some),
            Some(Offered::Parked { slot, leads }) => self.await_reply(&slot, leads).map(Some),
        }
    }

    /// Looks for what is remembered under a request's key. The rest of the request is not looked at.
    fn look_up(&self, request: &RequestData, blocking: bool) -> Result<Option<Offered>, Error> {
        let (key, fingerprint) = request.key.as_ref().expect("a probe has a key");
        loop {
            let preread =
                Preread::load(self, request).map_err(|error| self.checkpoint_error(error))?;
            let sequencer = self.sequencer.lock();
            if sequencer.closed {
                return Err(Error::Closed);
            }
            if !preread.holds_for(&sequencer) {
                continue;
            }
            let newest = Newest { fold: &sequencer.fold, preread: &preread };
            let row = admission::View::window(&newest, key.as_bytes());
            let Some(row) = row else { return Ok(None) };
            if let Some(error) = undurable(&sequencer, request, &newest) {
                return Err(error);
            }
            let seq = row.seq;
            let reply = match admission::differs(&row.fingerprint, fingerprint) {
                None => Ok(remembered(&row)),
                Some(differs) => {
                    Err(refused(Refusal::KeyReused { remembered: row, differs }, &sequencer))
                }
            };
            return Ok(Some(self.park(sequencer, reply, About::Entry(seq), blocking)));
        }
    }

    /// Parks a reply and blocks until it may be given.
    fn finish_reply(
        &self,
        sequencer: MutexGuard<'_, Sequencer>,
        reply: Result<Answer, Error>,
        about: About,
    ) -> Result<Answer, Error> {
        match self.park(sequencer, reply, about, true) {
            Offered::Answered(answer) => answer,
            Offered::Parked { slot, leads } => self.await_reply(&slot, leads),
        }
    }

    /// Waits until everything that was applied so far is durable; an error when it never will be.
    pub(super) fn settle(&self) -> Result<(), Error> {
        let sequencer = self.sequencer.lock();
        let nothing = StoredRejection::Procedure(Bytes::new());
        let reply = match &sequencer.poison {
            Some(poison) if sequencer.fold.applied > sequencer.durable => {
                Err(Self::poisoned(poison))
            }
            _ => Ok(Answer::Unremembered(nothing)),
        };
        self.finish_reply(sequencer, reply, About::State).map(drop)
    }

    /// Decides on a request: the reply, and what it is about.
    fn sequence(
        &self,
        sequencer: &mut Sequencer,
        request: RequestData,
        preread: &Preread,
    ) -> (Result<Answer, Error>, About) {
        let newest = Newest { fold: &sequencer.fold, preread };
        if let Some(reply) = undurable(sequencer, &request, &newest) {
            return (Err(reply), About::State);
        }
        let at = At {
            applied: sequencer.fold.applied,
            next: sequencer.next_seq,
            time: self.log_time(sequencer),
            writable: (sequencer.poison.is_none() || canary!(PoisonIgnored))
                && sequencer.next_seq.get() < u64::MAX - SEQ_RESERVE,
        };
        match admit(request, &newest, at) {
            Decision::Append(admitted) => {
                let Entry { seq, time, outcome, .. } = self.append(sequencer, admitted);
                let answer = Answer::Remembered { outcome, seq, time, replayed: false };
                (Ok(answer), About::Entry(seq))
            }
            Decision::Remembered(row) => (Ok(remembered(&row)), About::Entry(row.seq)),
            Decision::Rejected(rejection) => (Ok(Answer::Unremembered(rejection)), About::State),
            Decision::Conflict(conflict) => (Ok(Answer::Conflict(conflict)), About::State),
            Decision::Refused(refusal) => {
                let about = match &refusal {
                    Refusal::KeyReused { remembered, .. } => About::Entry(remembered.seq),
                    _ => About::State,
                };
                (Err(refused(refusal, sequencer)), about)
            }
        }
    }

    /// Appends an admitted entry to the group being filled, and applies it.
    fn append(&self, sequencer: &mut Sequencer, admitted: Admitted) -> Entry {
        let Admitted { entry, changes } = admitted;
        sequencer.pending.append(&entry);
        let live = self.live.lock();
        let horizon = Horizon { durable: sequencer.durable, snapshots: live.as_slice() };
        sequencer.fold.apply(&entry, changes, horizon);
        sequencer.next_seq = SeqNo::new(entry.seq.get() + 1);
        canary!(ReadsBeforeDurable => self.durable.store(entry.seq.get(), Ordering::Release));
        entry
    }

    /// Parks a reply, and takes the lead if it is free and there is something to write.
    fn park(
        &self,
        mut sequencer: MutexGuard<'_, Sequencer>,
        reply: Result<Answer, Error>,
        about: About,
        blocking: bool,
    ) -> Offered {
        let slot = Slot::new(blocking);
        let parked = Parked { slot: slot.clone(), reply, about };
        if let Some(parked) = sequencer.park(parked) {
            return Offered::Answered(parked.reply);
        }
        let free = !sequencer.led && sequencer.pending.entries > 0;
        let leads = free && blocking;
        sequencer.led |= leads;
        let committer = free && !blocking;
        drop(sequencer);
        if committer {
            self.wakes.committer();
        }
        Offered::Parked { slot, leads }
    }

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
        let Some(mut taken) = sequencer.take(freeze) else {
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
        let woken = match result {
            Ok(position) => {
                self.publish(&mut sequencer, in_flight.last_seq, &taken, position);
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
        if !sequencer.led {
            if sequencer.pending.entries > 0 {
                self.wakes.committer();
            }
            // Those who wait for a group to be written may have to write it themselves.
            self.room.notify_all();
        }
    }

    fn wants_freeze(&self, sequencer: &Sequencer) -> bool {
        sequencer.fold.frozen.is_none() && (sequencer.freeze_wanted || self.due(sequencer))
    }

    fn log_time(&self, sequencer: &Sequencer) -> LogTime {
        // The clock is not believed past the year 2262, so that log time never runs out.
        let now = self.machine.clock.wall_nanos().min(i64::MAX as u64);
        LogTime::new(now.max(sequencer.fold.time.get().saturating_add(1)))
    }
}

fn remembered(row: &WindowRow) -> Answer {
    let WindowRow { seq, time, outcome, .. } = row.clone();
    Answer::Remembered { outcome, seq, time, replayed: true }
}

/// After a failure the fold holds entries that may not be on the disk: what is remembered of them can't be told.
fn undurable(sequencer: &Sequencer, request: &RequestData, newest: &Newest<'_>) -> Option<Error> {
    let poison = sequencer.poison.as_ref()?;
    let (key, _) = request.key.as_ref()?;
    let row = admission::View::window(newest, key.as_bytes())?;
    let in_flight = sequencer.in_flight.as_ref().map_or(sequencer.durable, |group| group.last_seq);
    if row.seq <= in_flight {
        // Durable, or about to be or not to be: then the reply is parked with the group.
        None
    } else if row.seq <= poison.failed {
        Some(Error::Indeterminate { seq: row.seq })
    } else {
        Some(Core::poisoned(poison))
    }
}

fn refused(refusal: Refusal, sequencer: &Sequencer) -> Error {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match refusal {
        Refusal::KeyReused { remembered, differs } => {
            Error::KeyReused { seq: remembered.seq, time: remembered.time, differs }
        }
        Refusal::NotWritable => {
            sequencer.poison.as_ref().map_or(Error::SequenceExhausted, Core::poisoned)
        }
        Refusal::Keyspace(mismatch) => {
            Error::KeyspaceMismatch { name: text(&mismatch.name), differs: mismatch.differs }
        }
        Refusal::FutureVersion { keyspace, version, newest } => {
            Error::FutureVersion { keyspace: text(&keyspace), version, newest }
        }
        Refusal::NotANumber { keyspace, row_schema, schema } => {
            Error::NotANumber { keyspace: text(&keyspace), row_schema, schema }
        }
    }
}
