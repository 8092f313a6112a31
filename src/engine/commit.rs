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
    pressure::{Durability, Load, OnDuplicate, Patience, Terms},
    room,
    sequencer::{About, Parked, Sequencer, Taken},
    slot::{Slot, Woken},
};
use crate::{
    admission::{self, Admitted, At, Decision, Refusal, admit, shape::ShapeError},
    base::{
        Bytes, Entry, LogTime, Mode, RequestData, SeqNo, StoredRejection, Stub, Verdict, WindowRow,
        canary::canary,
        sync::{MutexGuard, atomic::Ordering},
    },
    log::{Position, writer::Failed},
    state::memtable::Horizon,
};
use std::sync::Arc;

/// Where an offered request stands.
pub(super) enum Offered {
    /// Its answer is durable already.
    Answered(Result<Answer, Error>),
    /// Its answer comes by the slot; the caller may have been given the lead.
    Parked { slot: Arc<Slot>, leads: bool },
}

impl Core {
    /// Sequences a request and blocks until its answer is durable.
    pub(super) fn commit(&self, request: RequestData, terms: Terms) -> Result<Answer, Error> {
        match self.offer(request, terms)? {
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

    /// Sequences a request. Blocks only for room, and for that only a caller with the patience; does no log I/O but for
    /// preparing a segment when none is ready.
    pub(super) fn offer(&self, request: RequestData, terms: Terms) -> Result<Offered, Error> {
        let bytes = room::entry_bound(&request);
        let buffered = terms.durability == Durability::Buffered;
        if buffered && request.key.is_some() && !self.options.buffered_keys {
            return Err(ShapeError::BufferedKey.into());
        }
        loop {
            let preread =
                Preread::load(self, &request).map_err(|error| self.checkpoint_error(error))?;
            let mut sequencer = match self.room_for(bytes, &terms) {
                Ok(sequencer) => sequencer,
                // What is remembered is told in every mode.
                Err(error) if request.key.is_some() => {
                    return self.look_up(&request, &terms, false)?.ok_or(error);
                }
                Err(error) => return Err(error),
            };
            if !preread.holds_for(&sequencer) {
                continue;
            }
            let before = sequencer.pending.bytes();
            let (reply, about) = self.sequence(&mut sequencer, request, &preread, &terms);
            if let Err(Error::DeadlineExceeded) = reply {
                // It tells nothing but the time, and whoever is late does not wait for the disk.
                return Err(Error::DeadlineExceeded);
            }
            if buffered {
                self.write_later(&sequencer);
                return Ok(Offered::Answered(reply));
            }
            let load = Load::of(sequencer.pending.bytes() - before, &reply);
            return Ok(self.park(sequencer, reply, about, load, terms.patience));
        }
    }

    /// Sees to it that what nobody waits for is written in time.
    fn write_later(&self, sequencer: &Sequencer) {
        if !sequencer.led && sequencer.pending.entries > 0 {
            self.wakes.committer_later();
        }
    }

    /// What is remembered under a request's key, once that is durable; to who asks what the key stands for, also that nothing
    /// is; to others, whether it can be carried out at all.
    pub(super) fn probe(&self, request: &RequestData) -> Result<Option<Answer>, Error> {
        let asks = request.verdict == Verdict::Fence;
        match self.look_up(request, &Terms::patient(), asks)? {
            None => self.check_writable().map(|()| None),
            Some(Offered::Answered(answer)) => answer.map(Some),
            Some(Offered::Parked { slot, leads }) => self.await_reply(&slot, leads).map(Some),
        }
    }

    /// Looks for what is remembered under a request's key. The rest of the request is not looked at. What is not durable
    /// is only told by waiting for it, so a caller who would have to wait for the place to wait in is told nothing.
    fn look_up(
        &self,
        request: &RequestData,
        terms: &Terms,
        asks: bool,
    ) -> Result<Option<Offered>, Error> {
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
            let known = admission::View::window(&newest, key);
            if known.is_none() && !asks {
                return Ok(None);
            }
            if let Some(error) = undurable(&sequencer, request, &newest) {
                return Err(error);
            }
            let about = known.as_ref().map_or(About::State, |known| About::Entry(known.seq()));
            let undurable = known.as_ref().is_none_or(|known| known.seq() > sequencer.durable);
            if undurable && !asks && sequencer.queue_full(0) {
                if terms.patience == Patience::Never || terms.expired(&*self.machine.clock) {
                    return Ok(None);
                }
                self.wait_for_group(sequencer, terms);
                continue;
            }
            let reply = match known {
                Some(known) if request.verdict != Verdict::Fence => {
                    match admission::recall(known, fingerprint) {
                        Decision::Refused(refusal) => Err(refused(refusal, &sequencer)),
                        Decision::Remembered(row) => decided(&row, terms.on_duplicate),
                        other => unreachable!("{other:?} is not remembered"),
                    }
                }
                known => Ok(Answer::Known { known, horizon: sequencer.fold.control.horizon() }),
            };
            let load = Load::of(0, &reply);
            return Ok(Some(self.park(sequencer, reply, about, load, terms.patience)));
        }
    }

    /// Parks a reply and blocks until it may be given. It is the engine's own, so it has room in every queue.
    fn finish_reply(
        &self,
        sequencer: MutexGuard<'_, Sequencer>,
        reply: Result<Answer, Error>,
        about: About,
    ) -> Result<Answer, Error> {
        match self.park(sequencer, reply, about, Load::default(), Patience::Leads) {
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

    /// The mode of the database, once it is durable.
    pub(super) fn mode(&self) -> Result<Mode, Error> {
        let sequencer = self.sequencer.lock();
        if sequencer.closed {
            return Err(Error::Closed);
        }
        let mode = Ok(Answer::Mode(sequencer.fold.control.mode.clone()));
        let reply = match &sequencer.poison {
            Some(poison) if sequencer.fold.applied > sequencer.durable => {
                Err(Self::poisoned(poison))
            }
            _ => mode,
        };
        match self.finish_reply(sequencer, reply, About::State)? {
            Answer::Mode(mode) => Ok(mode),
            other => unreachable!("{other:?} is no mode"),
        }
    }

    /// Decides on a request: the reply, and what it is about.
    fn sequence(
        &self,
        sequencer: &mut Sequencer,
        request: RequestData,
        preread: &Preread,
        terms: &Terms,
    ) -> (Result<Answer, Error>, About) {
        let time = self.log_time(sequencer);
        let newest = Newest { fold: &sequencer.fold, preread };
        if let Some(reply) = undurable(sequencer, &request, &newest) {
            return (Err(reply), About::State);
        }
        let at = At {
            applied: sequencer.fold.applied,
            next: sequencer.next_seq,
            time,
            writable: (sequencer.poison.is_none() || canary!(PoisonIgnored))
                && sequencer.has_numbers(),
            late: terms.expired(&*self.machine.clock),
            policy: self.options.policy,
        };
        match admit(request, &newest, at) {
            Decision::Append(admitted) => {
                let Entry { seq, time, outcome, .. } = self.append(sequencer, admitted);
                let answer = Answer::Remembered { outcome, seq, time, replayed: false };
                (Ok(answer), About::Entry(seq))
            }
            Decision::Remembered(row) => (decided(&row, terms.on_duplicate), About::Entry(row.seq)),
            Decision::Known(known) => {
                let about = About::Entry(known.seq());
                let horizon = sequencer.fold.control.horizon();
                (Ok(Answer::Known { known: Some(known), horizon }), about)
            }
            Decision::Rejected(rejection) => (Ok(Answer::Unremembered(rejection)), About::State),
            Decision::Conflict(conflict) => (Ok(Answer::Conflict(conflict)), About::State),
            Decision::Refused(refusal) => {
                let about = match &refusal {
                    Refusal::KeyReused { remembered: stub, .. }
                    | Refusal::AlreadyDecided(stub)
                    | Refusal::Fenced(stub) => About::Entry(stub.seq),
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
        self.forgotten.store(sequencer.fold.control.forgotten.get(), Ordering::Release);
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
        load: Load,
        patience: Patience,
    ) -> Offered {
        // Most retries: nothing to wait in is made for them.
        if sequencer.tells_at_once(about) {
            return Offered::Answered(reply);
        }
        let blocking = patience == Patience::Leads;
        let slot = Slot::new(blocking);
        let parked = Parked { slot: slot.clone(), reply, about };
        if let Some(parked) = sequencer.park(parked, load) {
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

    fn log_time(&self, sequencer: &mut Sequencer) -> LogTime {
        let now = sequencer.time.now(&*self.machine.clock);
        LogTime::new(now.max(sequencer.fold.time.get().saturating_add(1)))
    }
}

/// The answer to a request that was decided before.
fn decided(row: &WindowRow, on_duplicate: OnDuplicate) -> Result<Answer, Error> {
    let WindowRow { seq, time, .. } = *row;
    match on_duplicate {
        OnDuplicate::Return => {
            let outcome = row.outcome.clone();
            Ok(Answer::Remembered { outcome, seq, time, replayed: true })
        }
        OnDuplicate::Reject => Err(Error::AlreadyDecided { class: row.outcome.class(), seq, time }),
    }
}

/// After a failure the fold holds entries that may not be on the disk: what is remembered of them can't be told.
fn undurable(sequencer: &Sequencer, request: &RequestData, newest: &Newest<'_>) -> Option<Error> {
    let poison = sequencer.poison.as_ref()?;
    let (key, _) = request.key.as_ref()?;
    let in_flight = sequencer.in_flight.as_ref().map_or(sequencer.durable, |group| group.last_seq);
    let Some(known) = admission::View::window(newest, key) else {
        // An entry that was never written may have forgotten it.
        return (sequencer.fold.applied > in_flight).then(|| Core::poisoned(poison));
    };
    let seq = known.seq();
    if seq <= in_flight {
        // Durable, or about to be or not to be: then the reply is parked with the group.
        None
    } else if seq <= poison.failed {
        Some(Error::Indeterminate { seq })
    } else {
        Some(Core::poisoned(poison))
    }
}

fn refused(refusal: Refusal, sequencer: &Sequencer) -> Error {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match refusal {
        Refusal::KeyReused { remembered, differs } => {
            let Stub { class, seq, time, .. } = remembered;
            Error::KeyReused { class, seq, time, differs }
        }
        Refusal::AlreadyDecided(Stub { class, seq, time, .. }) => {
            Error::AlreadyDecided { class, seq, time }
        }
        Refusal::Fenced(Stub { seq, time, .. }) => Error::Fenced { seq, time },
        Refusal::KeyExpired { made, horizon } => Error::KeyExpired { made, horizon },
        Refusal::KeyAhead { made, now } => Error::KeyAhead { made, now },
        Refusal::KeyUntimed => Error::KeyUntimed,
        Refusal::DeadlineExceeded => Error::DeadlineExceeded,
        Refusal::Limit(limit) => Error::Limit(limit),
        Refusal::ReadOnly { reason } => Error::ReadOnly { reason: reason.into() },
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
