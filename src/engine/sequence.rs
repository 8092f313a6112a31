//! Step 2 of [`commit`](super::commit): what becomes of a request, on the newest applied state, in the one order of all.

use super::{
    core::Core,
    error::Error,
    lookup::undurable,
    outcome::Answer,
    preread::{Newest, Preread},
    pressure::{OnDuplicate, Terms},
    sequencer::{About, Poison, Sequencer},
};
use crate::{
    admission::{Admitted, At, Cold, Decision, Refusal, admit},
    base::{
        Entry, LogTime, RequestData, SeqNo, Step, Stub, WindowRow, canary::canary,
        sync::atomic::Ordering,
    },
    state::memtable::Horizon,
};

/// An answer, and what it is about.
pub(super) type Reply = (Result<Answer, Error>, About);

impl Core {
    /// Decides on a request: the reply, and what it is about; or what is to be read for it first.
    pub(super) fn sequence(
        &self,
        sequencer: &mut Sequencer,
        request: RequestData,
        preread: &Preread,
        terms: &Terms,
    ) -> Result<Reply, Box<Cold>> {
        let at = self.at(sequencer, terms);
        let newest = Newest { fold: &sequencer.fold, preread };
        if let Some(reply) = undurable(sequencer, &request, &newest) {
            return Ok((Err(reply), About::State));
        }
        let decision = {
            let _rules = self.enter_rules();
            admit(request, &newest, at)
        };
        self.carry_out(sequencer, decision, terms)
    }

    /// Where in the log the next request goes.
    pub(super) fn at(&self, sequencer: &mut Sequencer, terms: &Terms) -> At<'_> {
        At {
            time: self.log_time(sequencer),
            applied: sequencer.fold.applied,
            next: sequencer.next_seq,
            writable: sequencer.takes_writes() && sequencer.has_numbers(),
            late: terms.expired(&*self.machine.clock),
            policy: self.options.policy,
            rules: &self.rules,
            unrecorded: self.unrecorded(sequencer),
        }
    }

    /// Does what was decided: the reply, and what it is about; or what is to be read first.
    pub(super) fn carry_out(
        &self,
        sequencer: &mut Sequencer,
        decision: Decision,
        terms: &Terms,
    ) -> Result<Reply, Box<Cold>> {
        Ok(match decision {
            Decision::Append(admitted) => {
                let Entry { seq, time, outcome, .. } = self.append(sequencer, admitted);
                let answer = Answer::Remembered { outcome, seq, time, replayed: false };
                (Ok(answer), About::Entry(seq))
            }
            Decision::Remembered(row) => (decided(&row, terms.on_duplicate), About::Entry(row.seq)),
            Decision::Known(known) => {
                let about = sequencer.recalled(known.seq());
                let horizon = sequencer.fold.control.horizon();
                (Ok(Answer::Known { known: Some(known), horizon }), about)
            }
            Decision::Rejected(rejection) => (Ok(Answer::Unremembered(rejection)), About::State),
            Decision::Conflict(conflict) => (Ok(Answer::Conflict(conflict)), About::State),
            Decision::Refused(refusal) => {
                let about = match &refusal {
                    Refusal::KeyReused { remembered: stub, .. } | Refusal::AlreadyDecided(stub) => {
                        sequencer.recalled(stub.seq)
                    }
                    Refusal::Fenced(stub) => About::Entry(stub.seq),
                    _ => About::State,
                };
                (Err(refused(refusal, sequencer.poison.as_ref())), about)
            }
            Decision::Cold(cold) => return Err(cold),
        })
    }

    /// Appends an admitted entry to the group being filled, and applies it.
    fn append(&self, sequencer: &mut Sequencer, admitted: Admitted) -> Entry {
        let Admitted { entry, changes, monitored } = admitted;
        self.count(monitored);
        sequencer.pending.append(&entry);
        let live = self.live.lock();
        let horizon = Horizon { durable: sequencer.durable, snapshots: live.as_slice() };
        sequencer.fold.apply(&entry, changes, horizon);
        let control = &sequencer.fold.control;
        self.forgotten.store(control.forgotten.get(), Ordering::Release);
        self.stubs.store(control.last_stub().get(), Ordering::Release);
        sequencer.next_seq = SeqNo::new(entry.seq.get() + 1);
        sequencer.unrecorded = false;
        if entry.steps.iter().any(|step| matches!(step, Step::Demote { .. })) {
            sequencer.demoted = entry.seq;
        }
        canary!(ReadsBeforeDurable => self.durable.store(entry.seq.get(), Ordering::Release));
        entry
    }

    /// The time of the next entry.
    pub(super) fn log_time(&self, sequencer: &mut Sequencer) -> LogTime {
        let last = sequencer.fold.time;
        let now = sequencer.time.now(&*self.machine.clock, last);
        LogTime::new(now.max(last.get().saturating_add(1)))
    }
}

/// The answer to a request that was decided before.
pub(super) fn decided(row: &WindowRow, on_duplicate: OnDuplicate) -> Result<Answer, Error> {
    let WindowRow { seq, time, .. } = *row;
    match on_duplicate {
        OnDuplicate::Return => {
            let outcome = row.outcome.clone();
            Ok(Answer::Remembered { outcome, seq, time, replayed: true })
        }
        OnDuplicate::Reject => Err(Error::AlreadyDecided { class: row.outcome.class(), seq, time }),
    }
}

/// A refusal as the caller is told.
pub(super) fn refused(refusal: Refusal, poison: Option<&Poison>) -> Error {
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
        Refusal::NotWritable => poison.map_or(Error::SequenceExhausted, Core::poisoned),
        Refusal::Keyspace(mismatch) => {
            Error::KeyspaceMismatch { name: text(&mismatch.name), differs: mismatch.differs }
        }
        Refusal::FutureVersion { keyspace, version, newest } => {
            Error::FutureVersion { keyspace: text(&keyspace), version, newest }
        }
        Refusal::Unjudged(unjudged) => unjudged.into(),
        Refusal::NotANumber { keyspace, row_schema, schema } => {
            Error::NotANumber { keyspace: text(&keyspace), row_schema, schema }
        }
    }
}
