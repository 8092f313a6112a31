//! The engine without a disk: what it must answer and hold, in the plainest way.
//!
//! The model decides on its own. From the engine it takes only what it can't know, the numbers and times of entries, and
//! checks that they grow. Where nobody tells it the times, nothing is ever forgotten.

mod compare;
mod due;
mod memory;
mod order;
mod records;

pub use due::{Answer, At, Decision, Due, Reason, Status, again};
pub use memory::Kept;
pub use order::{
    Action, Deed, FUTURE, NUMBERS, OTHERS, OTHERS_FROM, Operation, Order, Terms, dated, key_of,
    keyspace, made_at,
};

pub use records::Held;
pub(super) use records::{change, judge, records, records_of};

use super::laws::{Breach, Law};
use crate::{LogTime, Mode, Outcome, SeqNo, base::limits::KEY_AHEAD_NANOS};
use memory::{Memory, Row};
use std::collections::BTreeMap;

/// The reference model.
#[derive(Clone, Debug, Default)]
pub struct Model {
    records: BTreeMap<u32, Held>,
    memory: Memory,
    mode: Mode,
    /// Whether an order with a key may be answered before it is durable.
    buffered_keys: bool,
    last: SeqNo,
    passed: SeqNo,
    /// Of the last entry, where that is known.
    time: Option<LogTime>,
}

impl Model {
    /// The model of an engine with these settings; see [`remember_outcomes_for`](crate::Builder::remember_outcomes_for),
    /// [`remember_keys_for`](crate::Builder::remember_keys_for) and
    /// [`allow_buffered_keys`](crate::Builder::allow_buffered_keys). It must be told the time of every entry.
    #[must_use]
    pub fn with(kept: Option<Kept>, buffered_keys: bool) -> Self {
        let memory = kept.map_or_else(Memory::default, Memory::keeping);
        Self { memory, buffered_keys, ..Self::default() }
    }

    /// The records, by key.
    #[must_use]
    pub fn records(&self) -> &BTreeMap<u32, Held> {
        &self.records
    }

    /// The last entry of the log.
    #[must_use]
    pub fn last(&self) -> SeqNo {
        self.last
    }

    /// Its time, where that is known.
    #[must_use]
    pub fn time(&self) -> Option<LogTime> {
        self.time
    }

    /// Whether the database takes writes.
    #[must_use]
    pub fn mode(&self) -> &Mode {
        &self.mode
    }

    /// Every order that is remembered whole, by idempotency key.
    pub fn remembered(&self) -> impl DoubleEndedIterator<Item = &Order> {
        self.memory.rows().filter(|(_, row)| !row.stub).filter_map(|(_, row)| row.order.as_ref())
    }

    /// Every name that something is remembered of.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.memory.rows().map(|(name, _)| name)
    }

    /// Which entry decided about a name, if that is remembered.
    #[must_use]
    pub fn decided(&self, name: u64) -> Option<At> {
        self.memory.get(name).map(|row| row.at)
    }

    /// Whether only a stub is left of what was decided about a name, and `durable`, this model as of an earlier entry, does not
    /// hold the last step that made stubs yet: what becomes of that step decides what the name stands for.
    #[must_use]
    pub fn rests_on_a_step_since(&self, durable: &Self, name: u64) -> bool {
        let newer = self.memory.demotions > durable.memory.demotions;
        newer && self.memory.get(name).is_some_and(|row| row.stub)
    }

    /// What must become of an order now.
    #[must_use]
    pub fn decide(&self, order: &Order) -> Decision {
        self.decide_order(order, Terms::default())
    }

    /// What must become of it now: an error where it says something of a fence.
    #[must_use]
    pub fn decide_on(&self, deed: &Deed, terms: Terms) -> Decision {
        match deed {
            Deed::Order(order) => self.decide_order(order, terms),
            Deed::Mode(_) => Decision::Commit,
            Deed::Fence(name) if self.memory.get(*name).is_some() => Decision::Remembered,
            Deed::Fence(name) => {
                let refused = self.expired(*name).or_else(|| self.read_only());
                refused.map_or(Decision::Commit, Decision::Error)
            }
        }
    }

    fn decide_order(&self, order: &Order, terms: Terms) -> Decision {
        if terms.buffered && order.name.is_some() && !self.buffered_keys {
            return Decision::Error(Reason::BufferedKey);
        }
        if let Some(row) = order.name.and_then(|name| self.memory.get(name)) {
            return match &row.order {
                None => Decision::Error(Reason::Fenced),
                Some(first) if first.operations != order.operations => {
                    Decision::Error(Reason::Reused)
                }
                Some(_) if row.stub || terms.rejects_duplicates => Decision::Error(Reason::Decided),
                Some(_) => Decision::Remembered,
            };
        }
        let expired = order.name.and_then(|name| self.expired(name));
        let late = || terms.late.then_some(Reason::Late);
        let future = || order.is_of_the_future().then_some(Reason::Future);
        let refused = expired.or_else(late).or_else(|| self.read_only()).or_else(future);
        refused.map_or_else(|| judge(&self.records, order), Decision::Error)
    }

    /// What is forgotten may have been decided under a key that says that it was made ten minutes later than that.
    fn expired(&self, name: u64) -> Option<Reason> {
        let (made, horizon) = (made_at(name)?, self.memory.horizon?);
        let expired = made.get() <= horizon.get().saturating_add(KEY_AHEAD_NANOS);
        expired.then_some(Reason::Expired(horizon))
    }

    fn read_only(&self) -> Option<Reason> {
        match &self.mode {
            Mode::ReadWrite => None,
            Mode::ReadOnly { reason } => Some(Reason::ReadOnly(reason.clone())),
        }
    }

    /// Whether an order takes an entry of the log.
    #[must_use]
    pub fn is_logged(&self, order: &Order) -> bool {
        is_logged(order.name, &self.decide(order))
    }

    /// Whether it takes an entry of the log.
    #[must_use]
    pub fn is_logged_on(&self, deed: &Deed, terms: Terms) -> bool {
        is_logged(deed.name(), &self.decide_on(deed, terms))
    }

    /// The answer an order must get now.
    #[must_use]
    pub fn due(&self, order: &Order) -> Due {
        self.due_to(self.decide(order), order.name)
    }

    /// The answer that must be given now.
    #[must_use]
    pub fn due_on(&self, deed: &Deed, terms: Terms) -> Due {
        match (self.decide_on(deed, terms), deed) {
            (Decision::Commit, Deed::Mode(_)) => Due::Entry(None),
            (Decision::Commit, Deed::Fence(_)) => Due::Status(Status::Fenced(None)),
            (Decision::Remembered, Deed::Fence(name)) => Due::Status(self.status(*name)),
            (decision, deed) => self.due_to(decision, deed.name()),
        }
    }

    fn due_to(&self, decision: Decision, name: Option<u64>) -> Due {
        let row = name.and_then(|name| self.memory.get(name));
        match (decision, row) {
            (Decision::Error(reason), row) => {
                Due::Error(reason, row.map(|row| (row.class(), row.at)))
            }
            (Decision::Remembered, Some(Row { answer: Some(answer), .. })) => {
                Due::Same(answer.clone())
            }
            (Decision::Remembered, Some(Row { decision: Decision::Commit, at, .. })) => {
                Due::Receipt { at: Some(*at), replayed: true }
            }
            (Decision::Remembered, Some(Row { decision, .. })) => Due::Refusal(decision.clone()),
            (Decision::Remembered | Decision::Commit, _) => {
                Due::Receipt { at: None, replayed: false }
            }
            (refused, _) => Due::Refusal(refused),
        }
    }

    /// What a key stands for now.
    #[must_use]
    pub fn status(&self, name: u64) -> Status {
        let Some(row) = self.memory.get(name) else {
            return Status::NotRemembered(self.memory.horizon);
        };
        match (&row.order, &row.decision) {
            (None, _) => Status::Fenced(Some(row.at)),
            _ if row.stub => Status::Stub(row.at, row.class()),
            (Some(order), Decision::Commit) => Status::Committed(row.at, order.result()),
            (_, refused) => Status::Rejected(row.at, refused.clone()),
        }
    }

    /// Whether an entry may have this number: it is above all that are taken.
    #[must_use]
    pub fn is_free(&self, seq: SeqNo) -> bool {
        seq > self.last.max(self.passed)
    }

    /// Compares an answer with what it must be, and carries the order out. `durable` is the engine's last entry after
    /// it: the one place where the number of a refusal can be seen.
    ///
    /// # Errors
    /// What is wrong with the answer.
    pub fn agree(
        &mut self,
        order: &Order,
        answer: &Outcome<Vec<u8>>,
        durable: SeqNo,
    ) -> Result<(), Breach> {
        let deed = Deed::Order(order.clone());
        self.agree_on(&deed, Terms::default(), &Answer::Outcome(answer.clone()), durable, None)
    }

    /// Compares an answer with what it must be, and carries it out as an entry of this time. `last` is the engine's last
    /// entry after it.
    ///
    /// # Errors
    /// What is wrong with the answer.
    pub fn agree_on(
        &mut self,
        deed: &Deed,
        terms: Terms,
        answer: &Answer,
        last: SeqNo,
        time: Option<LogTime>,
    ) -> Result<(), Breach> {
        let logged = self.is_logged_on(deed, terms);
        self.due_on(deed, terms).check_answer(deed, answer)?;
        let seq = match answer {
            Answer::Outcome(Outcome::Committed(receipt)) => receipt.seq,
            Answer::Outcome(Outcome::Rejected(_)) | Answer::Status(_) => last,
            Answer::Entry(seq) => *seq,
        };
        if logged && !self.is_free(seq) {
            let taken = self.last.max(self.passed);
            let what = format!("{deed:?} became entry {seq}, {taken} being taken");
            return Err(Breach::new(Law::Versions, what));
        }
        if logged {
            self.carry_out_deed(deed, At { seq, time });
        }
        if let (Deed::Order(Order { name: Some(name), .. }), Answer::Outcome(answer)) =
            (deed, answer)
        {
            self.memory.tell(*name, again(answer));
        }
        Ok(())
    }

    /// No entry may have this number or a lower one from now on.
    pub fn pass(&mut self, seq: SeqNo) {
        self.passed = self.passed.max(seq);
    }

    /// Carries an order out as entry `seq`, without anybody being told. Does nothing if it takes no entry.
    pub fn carry_out(&mut self, order: &Order, seq: SeqNo) {
        let deed = Deed::Order(order.clone());
        self.carry_out_deed(&deed, At { seq, time: None });
    }

    /// Carries it out as this entry, without anybody being told. Does nothing if it takes no entry.
    pub fn carry_out_deed(&mut self, deed: &Deed, at: At) {
        let decision = self.decide_on(deed, Terms::default());
        if !is_logged(deed.name(), &decision) {
            return;
        }
        self.last = at.seq;
        if let Some(time) = at.time {
            self.memory.pass(time);
            self.time = Some(time);
        }
        match deed {
            Deed::Mode(mode) => self.mode = mode.clone(),
            Deed::Order(order) if decision == Decision::Commit => {
                change(&mut self.records, order, at.seq.into());
            }
            Deed::Order(_) | Deed::Fence(_) => {}
        }
        if let Some(name) = deed.name() {
            let (order, answer) = (deed.order().cloned(), None);
            self.memory.remember(name, Row { at, order, decision, answer, stub: false });
        }
    }
}

/// Whether what becomes of it is an entry of the log.
fn is_logged(name: Option<u64>, decision: &Decision) -> bool {
    match decision {
        Decision::Commit => true,
        Decision::Unmet(_) | Decision::OutOfBounds(_) => name.is_some(),
        Decision::Remembered | Decision::Conflict(_) | Decision::Error(_) => false,
    }
}
