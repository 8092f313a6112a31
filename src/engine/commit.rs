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
//! those behind it were never written (`Poisoned`).

use super::{
    core::Core,
    error::Error,
    outcome::Answer,
    preread::{Newest, Preread},
    sequencer::{Parked, Pending, Sequencer, Taken},
    slot::{Slot, Woken},
};
use crate::{
    admission::{self, At, Decision, Refusal, admit},
    base::{
        LogTime, RequestData, SeqNo, WindowRow,
        limits::{GROUP_BYTES, UNSYNCED_ENTRIES},
    },
    log::Position,
    state::memtable::Horizon,
};
use parking_lot::MutexGuard;
use std::{
    cell::Cell,
    io, mem,
    sync::{Arc, atomic::Ordering},
};

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
    pub(super) fn offer(&self, mut request: RequestData, blocking: bool) -> Result<Offered, Error> {
        let bytes = encoded_bound(&request);
        loop {
            let preread =
                Preread::load(self, &request).map_err(|error| self.checkpoint_error(error))?;
            let mut sequencer = match self.room_for(bytes) {
                Ok(sequencer) => sequencer,
                Err(error) => self.roomless(&request, &preread).ok_or(error)?,
            };
            if sequencer.base.generation() != preread.generation {
                continue;
            }
            match self.sequence(&mut sequencer, request, &preread) {
                Ok((reply, tells)) => return Ok(self.park(sequencer, reply, tells, blocking)),
                Err(again) => request = *again,
            }
        }
    }

    /// What is remembered under a request's key, once that is durable. The rest of the request is not looked at.
    pub(super) fn probe(&self, request: &RequestData) -> Result<Option<Answer>, Error> {
        let (key, fingerprint) = request.key.as_ref().expect("a probe has a key");
        loop {
            let preread =
                Preread::load(self, request).map_err(|error| self.checkpoint_error(error))?;
            let sequencer = self.sequencer.lock();
            if sequencer.closed {
                return Err(Error::Closed);
            }
            let newest =
                Newest { fold: &sequencer.fold, preread: &preread, missed: Cell::new(false) };
            let row = admission::View::window(&newest, key.as_bytes());
            if newest.missed.get() || sequencer.base.generation() != preread.generation {
                continue;
            }
            let Some(row) = row else { return Ok(None) };
            if let Some(error) = undurable(&sequencer, request, &newest) {
                return Err(error);
            }
            let (reply, seq) = match admission::differs(&row.fingerprint, fingerprint) {
                None => (Ok(remembered(&row)), row.seq),
                Some(differs) => (
                    Err(refused(Refusal::KeyReused { remembered: row, differs }, &sequencer)),
                    SeqNo::new(0),
                ),
            };
            return self.finish_reply(sequencer, reply, Some(seq)).map(Some);
        }
    }

    /// Parks a reply and blocks until it may be given.
    fn finish_reply(
        &self,
        sequencer: MutexGuard<'_, Sequencer>,
        reply: Result<Answer, Error>,
        tells: Option<SeqNo>,
    ) -> Result<Answer, Error> {
        match self.park(sequencer, reply, tells, true) {
            Offered::Answered(answer) => answer,
            Offered::Parked { slot, leads } => self.await_reply(&slot, leads),
        }
    }

    /// Waits until everything that was applied so far is durable.
    pub(super) fn settle(&self) -> Result<(), Error> {
        let sequencer = self.sequencer.lock();
        let reply = Ok(Answer::Unremembered(crate::base::StoredRejection::Procedure(
            crate::base::Bytes::new(),
        )));
        self.finish_reply(sequencer, reply, None).map(drop)
    }

    /// Decides on a request; gives it back when what was pre-read did not suffice.
    #[allow(clippy::type_complexity)]
    fn sequence(
        &self,
        sequencer: &mut Sequencer,
        request: RequestData,
        preread: &Preread,
    ) -> Result<(Result<Answer, Error>, Option<SeqNo>), Box<RequestData>> {
        let newest = Newest { fold: &sequencer.fold, preread, missed: Cell::new(false) };
        if let Some(reply) = undurable(sequencer, &request, &newest) {
            return Ok((Err(reply), None));
        }
        let at = At {
            applied: sequencer.fold.applied,
            next: sequencer.next_seq,
            time: self.log_time(sequencer),
            writable: sequencer.poison.is_none()
                && sequencer.next_seq.get() < u64::MAX - SEQ_RESERVE,
        };
        let again = (!preread.is_empty()).then(|| Box::new(request.clone()));
        let decision = admit(request, &newest, at);
        if let Some(again) = again.filter(|_| newest.missed.get()) {
            return Err(again);
        }
        Ok(match decision {
            Decision::Append(admitted) => {
                let admission::Admitted { entry, changes } = admitted;
                sequencer.pending.append(&entry);
                {
                    let live = self.live.lock();
                    let horizon =
                        Horizon { durable: sequencer.durable, snapshots: live.as_slice() };
                    sequencer.fold.apply(&entry, changes, horizon);
                }
                sequencer.next_seq = SeqNo::new(entry.seq.get() + 1);
                let (seq, time) = (entry.seq, entry.time);
                let answer =
                    Answer::Remembered { outcome: entry.outcome, seq, time, replayed: false };
                (Ok(answer), Some(seq))
            }
            Decision::Remembered(row) => (Ok(remembered(&row)), Some(row.seq)),
            Decision::Rejected(rejection) => (Ok(Answer::Unremembered(rejection)), None),
            Decision::Conflict(conflict) => (Ok(Answer::Conflict(conflict)), None),
            Decision::Refused(refusal) => (Err(refused(refusal, sequencer)), None),
        })
    }

    /// Parks a reply, and takes the lead if it is free and there is something to write.
    fn park(
        &self,
        mut sequencer: MutexGuard<'_, Sequencer>,
        reply: Result<Answer, Error>,
        tells: Option<SeqNo>,
        blocking: bool,
    ) -> Offered {
        let slot = Slot::new(blocking);
        let tells = tells.filter(|seq| *seq > sequencer.durable);
        let parked = Parked { slot: slot.clone(), reply, tells };
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
        let Some(mut taken) = sequencer.take(Vec::new(), freeze) else {
            sequencer.led = false;
            return;
        };
        if freeze {
            *self.view.write() = sequencer.view();
        }
        self.room.notify_all();
        drop(sequencer);
        let result = self.write(&mut writer, &mut taken);
        drop(writer);
        self.conclude(&taken, result);
    }

    fn write(
        &self,
        writer: &mut crate::log::writer::Writer,
        taken: &mut Taken,
    ) -> io::Result<Position> {
        writer.append(&mut taken.buffer, taken.sealing, taken.next.take())
    }

    /// Publishes a written group, hands the lead on, then wakes its callers.
    fn conclude(&self, taken: &Taken, result: io::Result<Position>) {
        let mut sequencer = self.sequencer.lock();
        let in_flight =
            sequencer.in_flight.take().expect("the group that was written is in flight");
        let mut woken = in_flight.parked;
        let failed = match result {
            Ok(position) => {
                sequencer.durable = in_flight.last_seq;
                self.durable.store(in_flight.last_seq.get(), Ordering::Release);
                if taken.freezes
                    && let Some(frozen) = &mut sequencer.frozen
                {
                    frozen.position = Some(position);
                }
                None
            }
            Err(error) => {
                self.poison(
                    &mut sequencer,
                    format!("writing the log failed: {error}"),
                    in_flight.last_seq,
                );
                // What was not written yet never will be.
                woken.append(
                    &mut mem::replace(&mut sequencer.pending, Pending::new(Vec::new())).parked,
                );
                sequencer.poison.clone()
            }
        };
        if let Some(poison) = failed {
            sequencer.led = false;
            drop(sequencer);
            woken.iter_mut().for_each(|parked| {
                parked.reply = Err(match parked.tells {
                    Some(seq) if seq <= poison.failed => Error::Indeterminate { seq },
                    _ => Self::poisoned(&poison),
                });
            });
        } else {
            self.hand_on(&mut sequencer);
            let maintain = taken.freezes || sequencer.wants_spare();
            drop(sequencer);
            if maintain {
                self.wakes.maintainer();
            }
        }
        for Parked { slot, reply, .. } in woken {
            slot.fill(reply);
        }
    }

    fn hand_on(&self, sequencer: &mut Sequencer) {
        if sequencer.pending.entries == 0 {
            sequencer.led = false;
        } else if let Some(next) =
            sequencer.pending.parked.iter().find(|parked| parked.slot.is_blocking())
        {
            next.slot.promote();
        } else {
            sequencer.led = false;
            self.wakes.committer();
        }
    }

    /// The sequencer, once the group being filled has room for `bytes` more and the memtable for its rows.
    fn room_for(&self, bytes: usize) -> Result<MutexGuard<'_, Sequencer>, Error> {
        loop {
            let sequencer = self.sequencer.lock();
            if sequencer.closed {
                return Err(Error::Closed);
            }
            if sequencer.poison.is_some() {
                return Ok(sequencer);
            }
            if sequencer.pending.entries > 0 && sequencer.pending.bytes() + bytes > GROUP_BYTES {
                self.wait_for_group(sequencer);
            } else if self.memtables_full(&sequencer) {
                self.wait_for_checkpoint(sequencer)?;
            } else if !sequencer.fits(bytes) {
                let room = super::sequencer::padded(sequencer.pending.buffer.len() + bytes);
                let in_the_way = sequencer.spare.is_some() && sequencer.pending.entries > 0;
                if in_the_way {
                    self.wait_for_group(sequencer);
                } else {
                    drop(sequencer);
                    self.ensure_spare(room)?;
                }
            } else {
                return Ok(sequencer);
            }
        }
    }

    /// The sequencer, where there is no room, for a request that needs none: its outcome is remembered.
    fn roomless(
        &self,
        request: &RequestData,
        preread: &Preread,
    ) -> Option<MutexGuard<'_, Sequencer>> {
        let (key, _) = request.key.as_ref()?;
        let sequencer = self.sequencer.lock();
        let newest = Newest { fold: &sequencer.fold, preread, missed: Cell::new(false) };
        let remembered = admission::View::window(&newest, key.as_bytes()).is_some();
        (remembered && !sequencer.closed).then_some(sequencer)
    }

    fn wait_for_group(&self, mut sequencer: MutexGuard<'_, Sequencer>) {
        if sequencer.led {
            self.room.wait(&mut sequencer);
        } else {
            sequencer.led = true;
            drop(sequencer);
            self.lead();
        }
    }

    fn wait_for_checkpoint(&self, mut sequencer: MutexGuard<'_, Sequencer>) -> Result<(), Error> {
        if self.options.threads {
            self.wakes.maintainer();
            self.room.wait(&mut sequencer);
            return Ok(());
        }
        // Nobody else will do it.
        if sequencer.pending.entries > 0 || sequencer.in_flight.is_some() {
            self.wait_for_group(sequencer);
            return Ok(());
        }
        drop(sequencer);
        self.checkpoint_step().map(drop)
    }

    /// The active memtable is full and the one before is still being written out.
    fn memtables_full(&self, sequencer: &Sequencer) -> bool {
        sequencer.fold.frozen.is_some() && self.due(sequencer)
    }

    fn wants_freeze(&self, sequencer: &Sequencer) -> bool {
        sequencer.fold.frozen.is_none() && (sequencer.freeze_wanted || self.due(sequencer))
    }

    pub(super) fn due(&self, sequencer: &Sequencer) -> bool {
        sequencer.fold.active.bytes() >= self.options.memtable_limit_bytes
            || sequencer.log_bytes >= self.options.log_limit_bytes
    }

    fn log_time(&self, sequencer: &Sequencer) -> LogTime {
        LogTime::new(self.machine.clock.wall_nanos().max(sequencer.fold.time.get() + 1))
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
    if row.seq <= sequencer.durable {
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

/// More than any entry that comes of this request takes up in the log.
fn encoded_bound(request: &RequestData) -> usize {
    const FIXED: usize = 1024;
    const REJECTION: usize = 5 << 10;
    let keyspaces: usize =
        request.keyspaces.iter().map(|k| k.name.len() + k.shape.len() + 32).sum();
    let operations: usize = request
        .operations
        .iter()
        .map(|operation| {
            let value = match &operation.action {
                crate::base::Action::Put(value) => value.len(),
                _ => 0,
            };
            operation.key.len() + value + 64
        })
        .sum();
    let reads: usize = request.reads.iter().map(|read| read.key.len() + 32).sum();
    let (crate::base::Verdict::Commit(result) | crate::base::Verdict::Reject(result)) =
        &request.verdict;
    FIXED
        + REJECTION
        + request.actor.len()
        + request.correlation.len()
        + result.len()
        + keyspaces
        + operations
        + reads
}
