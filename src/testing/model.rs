//! The engine without a disk: what it must answer and hold, in the plainest way.
//!
//! The model decides on its own. From the engine it takes only what it can't know, the numbers of entries, and checks
//! that they grow.

use crate::{
    Engine, Error, Expect, IdempotencyKey, Keyspace, Outcome, Rejection, Request, SeqNo, Version,
};
use std::collections::BTreeMap;

/// Where the records of the model live.
pub const NUMBERS: Keyspace<u32, i64> = Keyspace::new("numbers");

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
        let mut request = match self.name {
            Some(name) => Request::new(
                IdempotencyKey::new("model", name.to_be_bytes()).expect("short and not empty"),
            ),
            None => Request::unkeyed(),
        };
        for &Operation { key, expect, action } in &self.operations {
            request = match action {
                Action::Check => request.check(&NUMBERS, &key, expect),
                Action::Put(value) => request.put(&NUMBERS, &key, &value, expect),
                Action::Delete => request.delete(&NUMBERS, &key, expect),
                Action::Add { delta, bounds } => {
                    request.add_expecting(&NUMBERS, &key, delta, bounds.0..=bounds.1, expect)
                }
            };
        }
        request.result(&self.result())
    }

    /// The result, which differs from key to key and has no zeros in it.
    pub(super) fn result(&self) -> Vec<u8> {
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
    ///
    /// # Panics
    /// When the order reuses a key for something else, which is not modelled.
    #[must_use]
    pub fn decide(&self, order: &Order) -> Decision {
        if let Some((first, _)) = order.name.and_then(|name| self.window.get(&name)) {
            assert_eq!(first, order, "one key, one order");
            return Decision::Remembered;
        }
        judge(&self.records, order)
    }

    /// Whether an order takes an entry of the log.
    #[must_use]
    pub fn is_logged(&self, order: &Order) -> bool {
        match self.decide(order) {
            Decision::Commit => true,
            Decision::Unmet(_) | Decision::OutOfBounds(_) => order.name.is_some(),
            Decision::Remembered | Decision::Conflict(_) => false,
        }
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
    ) -> Result<(), String> {
        let decision = self.decide(order);
        let wrong = || Err(format!("{order:?} got {answer:?}, and {decision:?} was due"));
        if decision == Decision::Remembered {
            let name = order.name.expect("only what has a key is remembered");
            let told = &mut self.window.get_mut(&name).expect("it was found before").1;
            let first = match told {
                Told::Answer(first) => first == answer,
                Told::Committed(seq) => is_receipt(order, answer, true, Some(*seq)),
                Told::Refused(decision) => is_refusal(answer, decision),
            };
            if !first {
                return Err(format!("a retry of {order:?} got {answer:?} instead of {told:?}"));
            }
            *told = Told::Answer(answer.clone());
            return Ok(());
        }
        let agrees = match &decision {
            Decision::Commit => is_receipt(order, answer, false, None),
            refusal => is_refusal(answer, refusal),
        };
        if !agrees {
            return wrong();
        }
        let logged = self.is_logged(order);
        let seq = match answer {
            Outcome::Committed(receipt) => receipt.seq,
            Outcome::Rejected(_) if logged => durable,
            Outcome::Rejected(_) => return Ok(()),
        };
        if seq <= self.last.max(self.passed) {
            let (last, passed) = (self.last, self.passed);
            return Err(format!(
                "{order:?} became entry {seq}, after {last}, {passed} being taken"
            ));
        }
        self.carry_out(order, seq);
        if let Some((_, told)) = order.name.and_then(|name| self.window.get_mut(&name)) {
            let mut again = answer.clone();
            if let Outcome::Committed(receipt) = &mut again {
                receipt.replayed = true;
            }
            *told = Told::Answer(again);
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
    pub fn compare(&self, engine: &Engine) -> Result<(), String> {
        let seen = records(engine).map_err(|error| format!("reading the records: {error}"))?;
        if seen != self.records {
            return Err(format!("the records are {seen:?} instead of {:?}", self.records));
        }
        let counted = engine.len(&NUMBERS).map_err(|error| format!("counting: {error}"))?;
        if counted != seen.len() as u64 {
            return Err(format!("{counted} records are counted where there are {}", seen.len()));
        }
        Ok(())
    }
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

fn records(engine: &Engine) -> Result<BTreeMap<u32, Held>, Error> {
    let items = engine.snapshot().range(&NUMBERS, ..);
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
