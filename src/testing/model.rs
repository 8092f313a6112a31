//! The engine without a disk: what it must answer and hold, in the plainest way.
//!
//! The model decides on its own. From the engine it takes only what it can't know, the numbers of entries, and checks
//! that they grow.

use super::laws::{Breach, Law};
use crate::{
    Engine, Error, Expect, IdempotencyKey, Keyspace, Outcome, Rejection, Request, SeqNo, Snapshot,
    Version,
};
use std::collections::BTreeMap;

/// Where the records of the model live, but for those from [`OTHERS_FROM`] on.
pub const NUMBERS: Keyspace<u32, i64> = Keyspace::new("numbers");
/// Where those live.
pub const OTHERS: Keyspace<u32, i64> = Keyspace::new("others");
/// Keys from this one on are of the second keyspace.
pub const OTHERS_FROM: u32 = 1_000;

/// A request, as plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The idempotency key, if it has one.
    pub name: Option<u64>,
    /// Expectations and mutations, in order; no record twice.
    pub operations: Vec<Operation>,
    /// How many bytes the result has.
    pub result_bytes: usize,
}

/// One expectation, with or without a mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Of which record.
    pub key: u32,
    /// What it must be before.
    pub expect: Expect,
    /// What to do with it.
    pub action: Action,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Check,
    /// Sets the value.
    Put(i64),
    /// Removes the record.
    Delete,
    /// Adds so much, to a sum within the bounds.
    Add {
        /// How much.
        delta: i64,
        /// The least and the greatest sum.
        bounds: (i64, i64),
    },
}

/// A record, as far as the model knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// Its value.
    pub value: i64,
    /// The entry that last wrote it.
    pub version: Version,
    /// The entry that created it.
    pub created: Version,
}

/// What becomes of an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It is carried out.
    Commit,
    /// It was decided before.
    Remembered,
    /// An expected version is stale; this one is there.
    Conflict(Option<Version>),
    /// `Absent` or `Present` does not hold; this version is there.
    Unmet(Option<Version>),
    /// A sum would leave its bounds; this is what would be added to.
    OutOfBounds(i64),
    /// The key was used for something else.
    Reused,
}

/// The answer that is due to an order.
#[derive(Clone, Debug)]
pub enum Due {
    /// A receipt.
    Receipt {
        /// With this number, where that is known.
        seq: Option<SeqNo>,
        /// Whether an earlier delivery was carried out.
        replayed: bool,
    },
    /// A refusal that says this.
    Refusal(Decision),
    /// The very answer that was given before.
    Same(Outcome<Vec<u8>>),
    /// The error that says that the key was used for something else.
    Reused,
}

/// What is remembered under a key.
#[derive(Clone, Debug)]
enum Told {
    /// The answer that was given, as every retry must get it.
    Answer(Outcome<Vec<u8>>),
    /// Nobody was told: carried out as this entry.
    Committed(SeqNo),
    /// Nobody was told: refused.
    Refused(Decision),
}

/// The reference model.
#[derive(Clone, Debug, Default)]
pub struct Model {
    records: BTreeMap<u32, Held>,
    window: BTreeMap<u64, (Order, Told)>,
    last: SeqNo,
    passed: SeqNo,
}

impl Order {
    /// The request for the engine.
    ///
    /// # Panics
    /// Never: the idempotency key is well formed.
    pub fn request(&self) -> Request<Vec<u8>> {
        let mut request = self.idempotency_key().map_or_else(Request::unkeyed, Request::new);
        for &Operation { key, expect, action } in &self.operations {
            let keyspace = keyspace(key);
            request = match action {
                Action::Check => request.check(keyspace, &key, expect),
                Action::Put(value) => request.put(keyspace, &key, &value, expect),
                Action::Delete => request.delete(keyspace, &key, expect),
                Action::Add { delta, bounds } => {
                    request.add_expecting(keyspace, &key, delta, bounds.0..=bounds.1, expect)
                }
            };
        }
        request.result(&self.result())
    }

    /// The idempotency key of the request.
    pub(super) fn idempotency_key(&self) -> Option<IdempotencyKey> {
        let key = |name: u64| IdempotencyKey::new("model", name.to_be_bytes());
        self.name.map(|name| key(name).expect("short and not empty"))
    }

    /// The result, which differs from key to key and has no zeros in it.
    #[must_use]
    pub fn result(&self) -> Vec<u8> {
        let first = self.name.unwrap_or(7);
        (0..self.result_bytes as u64).map(|place| ((first + place) % 251 + 1) as u8).collect()
    }
}

impl Model {
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

    /// Every order that is remembered, by idempotency key.
    pub fn remembered(&self) -> impl DoubleEndedIterator<Item = &Order> {
        self.window.values().map(|(order, _)| order)
    }

    /// What must become of an order now.
    #[must_use]
    pub fn decide(&self, order: &Order) -> Decision {
        if let Some((first, _)) = order.name.and_then(|name| self.window.get(&name)) {
            let same = first.operations == order.operations;
            return if same { Decision::Remembered } else { Decision::Reused };
        }
        judge(&self.records, order)
    }

    /// Whether an order takes an entry of the log.
    #[must_use]
    pub fn is_logged(&self, order: &Order) -> bool {
        match self.decide(order) {
            Decision::Commit => true,
            Decision::Unmet(_) | Decision::OutOfBounds(_) => order.name.is_some(),
            Decision::Remembered | Decision::Conflict(_) | Decision::Reused => false,
        }
    }

    /// The answer an order must get now.
    #[must_use]
    pub fn due(&self, order: &Order) -> Due {
        let told = order.name.and_then(|name| self.window.get(&name)).map(|(_, told)| told);
        match (self.decide(order), told) {
            (Decision::Reused, _) => Due::Reused,
            (Decision::Remembered, Some(Told::Answer(answer))) => Due::Same(answer.clone()),
            (Decision::Remembered, Some(Told::Committed(seq))) => {
                Due::Receipt { seq: Some(*seq), replayed: true }
            }
            (Decision::Remembered, Some(Told::Refused(decision))) => Due::Refusal(decision.clone()),
            (Decision::Remembered | Decision::Commit, _) => {
                Due::Receipt { seq: None, replayed: false }
            }
            (refused, _) => Due::Refusal(refused),
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
        self.due(order).check(order, answer)?;
        let logged = self.is_logged(order);
        let seq = match answer {
            Outcome::Committed(receipt) => receipt.seq,
            Outcome::Rejected(_) => durable,
        };
        if logged && !self.is_free(seq) {
            let taken = self.last.max(self.passed);
            let what = format!("{order:?} became entry {seq}, {taken} being taken");
            return Err(Breach::new(Law::Versions, what));
        }
        self.carry_out(order, seq);
        if let Some((_, told)) = order.name.and_then(|name| self.window.get_mut(&name)) {
            *told = Told::Answer(again(answer));
        }
        Ok(())
    }

    /// No entry may have this number or a lower one from now on.
    pub fn pass(&mut self, seq: SeqNo) {
        self.passed = self.passed.max(seq);
    }

    /// Carries an order out as entry `seq`, without anybody being told. Does nothing if it takes no entry.
    pub fn carry_out(&mut self, order: &Order, seq: SeqNo) {
        if !self.is_logged(order) {
            return;
        }
        let decision = self.decide(order);
        self.last = seq;
        if decision == Decision::Commit {
            change(&mut self.records, order, seq.into());
        }
        if let Some(name) = order.name {
            let told = match decision {
                Decision::Commit => Told::Committed(seq),
                refused => Told::Refused(refused),
            };
            self.window.insert(name, (order.clone(), told));
        }
    }

    /// Compares the records an engine shows with those it must show.
    ///
    /// # Errors
    /// Where they differ, or what went wrong while reading.
    pub fn compare(&self, engine: &Engine) -> Result<(), Breach> {
        self.compare_snapshot(&engine.snapshot())
    }

    /// Compares the records of a snapshot with those it must show.
    ///
    /// # Errors
    /// Where they differ, or what went wrong while reading.
    pub fn compare_snapshot(&self, snapshot: &Snapshot) -> Result<(), Breach> {
        let failed = |error: Error| Breach::new(Law::Healing, format!("reading: {error}"));
        let seen = records_of(snapshot).map_err(failed)?;
        if seen != self.records {
            let what = format!("the records are {seen:?} instead of {:?}", self.records);
            return Err(Breach::loss(Law::Prefix, what));
        }
        let counted =
            snapshot.len(&NUMBERS).map_err(failed)? + snapshot.len(&OTHERS).map_err(failed)?;
        if counted != seen.len() as u64 {
            let what = format!("{counted} records are counted where there are {}", seen.len());
            return Err(Breach::new(Law::Prefix, what));
        }
        Ok(())
    }
}

impl Due {
    /// Holds an answer against what is due: laws 2 to 5.
    ///
    /// # Errors
    /// They differ.
    pub fn check(&self, order: &Order, answer: &Outcome<Vec<u8>>) -> Result<(), Breach> {
        let agrees = match self {
            Self::Receipt { seq, replayed } => is_receipt(order, answer, *replayed, *seq),
            Self::Refusal(decision) => is_refusal(answer, decision),
            Self::Same(first) => first == answer,
            Self::Reused => false,
        };
        if agrees {
            return Ok(());
        }
        let carried_out = matches!(answer, Outcome::Committed(_));
        let law = match self {
            Self::Same(_) | Self::Reused | Self::Receipt { replayed: true, .. } => Law::Once,
            Self::Refusal(Decision::Conflict(_)) if carried_out => Law::Versions,
            Self::Refusal(_) if carried_out => Law::Rejected,
            _ => Law::Shown,
        };
        Err(Breach::new(law, format!("{order:?} got {answer:?}, and {self:?} was due")))
    }
}

/// The answer every retry gets after this one.
pub fn again(answer: &Outcome<Vec<u8>>) -> Outcome<Vec<u8>> {
    let mut again = answer.clone();
    if let Outcome::Committed(receipt) = &mut again {
        receipt.replayed = true;
    }
    again
}

/// The keyspace of a record.
#[must_use]
pub fn keyspace(key: u32) -> &'static Keyspace<u32, i64> {
    if key < OTHERS_FROM { &NUMBERS } else { &OTHERS }
}

/// What becomes of an order that nothing is remembered of.
pub(super) fn judge(records: &BTreeMap<u32, Held>, order: &Order) -> Decision {
    let there = |operation: &Operation| records.get(&operation.key).map(|record| record.version);
    let stale = order.operations.iter().find_map(|operation| match operation.expect {
        Expect::Version(version) => Some(there(operation)).filter(|v| *v != Some(version)),
        _ => None,
    });
    if let Some(found) = stale {
        return Decision::Conflict(found);
    }
    let unmet = order.operations.iter().find_map(|operation| {
        let found = there(operation);
        match operation.expect {
            Expect::Absent => Some(found).filter(Option::is_some),
            Expect::Present => Some(found).filter(Option::is_none),
            _ => None,
        }
    });
    if let Some(found) = unmet {
        return Decision::Unmet(found);
    }
    let over = order.operations.iter().find_map(|operation| {
        let Action::Add { delta, bounds } = operation.action else { return None };
        let current = records.get(&operation.key).map_or(0, |record| record.value);
        let sum = current.checked_add(delta).filter(|sum| (bounds.0..=bounds.1).contains(sum));
        sum.is_none().then_some(current)
    });
    over.map_or(Decision::Commit, Decision::OutOfBounds)
}

/// Carries out all operations of an order, as entry `version`.
pub(super) fn change(records: &mut BTreeMap<u32, Held>, order: &Order, version: Version) {
    for operation in &order.operations {
        let old = records.get(&operation.key);
        let value = match operation.action {
            Action::Check => continue,
            Action::Delete => {
                records.remove(&operation.key);
                continue;
            }
            Action::Put(value) => value,
            Action::Add { delta, .. } => old.map_or(0, |old| old.value) + delta,
        };
        let created = old.map_or(version, |old| old.created);
        records.insert(operation.key, Held { value, version, created });
    }
}

pub(super) fn records(engine: &Engine) -> Result<BTreeMap<u32, Held>, Error> {
    records_of(&engine.snapshot())
}

pub(super) fn records_of(snapshot: &Snapshot) -> Result<BTreeMap<u32, Held>, Error> {
    let items = snapshot.range(&NUMBERS, ..).chain(snapshot.range(&OTHERS, ..));
    items
        .map(|item| {
            let (key, record) = item?;
            let (version, created) = (record.version, record.created);
            Ok((key, Held { value: record.value, version, created }))
        })
        .collect()
}

fn is_receipt(
    order: &Order,
    answer: &Outcome<Vec<u8>>,
    replayed: bool,
    seq: Option<SeqNo>,
) -> bool {
    match answer {
        Outcome::Committed(receipt) => {
            receipt.replayed == replayed
                && receipt.result == order.result()
                && seq.is_none_or(|seq| seq == receipt.seq)
        }
        Outcome::Rejected(_) => false,
    }
}

fn is_refusal(answer: &Outcome<Vec<u8>>, decision: &Decision) -> bool {
    match (answer, decision) {
        (Outcome::Rejected(Rejection::Conflict(conflict)), Decision::Conflict(found)) => {
            conflict.found() == *found
        }
        (Outcome::Rejected(Rejection::Expectation(unmet)), Decision::Unmet(version)) => {
            unmet.found.as_ref().map(|found| found.version) == *version
        }
        (Outcome::Rejected(Rejection::OutOfBounds(over)), Decision::OutOfBounds(current)) => {
            over.current == *current
        }
        _ => false,
    }
}
