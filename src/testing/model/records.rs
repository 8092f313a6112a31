//! Records, and what an order does to them.

use super::{Action, Decision, NUMBERS, OTHERS, Operation, Order};
use crate::{Engine, Error, Expect, Snapshot, Version};
use std::collections::BTreeMap;

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

/// What becomes of an order that nothing is remembered of.
pub(in super::super) fn judge(records: &BTreeMap<u32, Held>, order: &Order) -> Decision {
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
pub(in super::super) fn change(records: &mut BTreeMap<u32, Held>, order: &Order, version: Version) {
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

pub(in super::super) fn records(engine: &Engine) -> Result<BTreeMap<u32, Held>, Error> {
    records_of(&engine.snapshot())
}

pub(in super::super) fn records_of(snapshot: &Snapshot) -> Result<BTreeMap<u32, Held>, Error> {
    let items = snapshot.range(&NUMBERS, ..).chain(snapshot.range(&OTHERS, ..));
    items
        .map(|item| {
            let (key, record) = item?;
            let (version, created) = (record.version, record.created);
            Ok((key, Held { value: record.value, version, created }))
        })
        .collect()
}
