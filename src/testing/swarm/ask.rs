//! What is asked, as orders and calls of the engine.

use super::{
    super::model::{self, Action, FUTURE, Operation, Order, dated},
    event::Ask,
    mirror::{Mirror, Way},
};
use crate::{Expect, Version};

/// Sums of small additions may be anything; those of large ones may not.
const WIDE: (i64, i64) = (i64::MIN / 2, i64::MAX / 2);
const NARROW: (i64, i64) = (-1_000, 1_000);

/// A record by a small number: every other one is in the second keyspace.
pub(super) fn record(key: u8) -> u32 {
    u32::from(key / 2) + if key % 2 == 1 { model::OTHERS_FROM } else { 0 }
}

/// Everything that was asked, so that it can be asked again.
#[derive(Debug, Default)]
pub(super) struct History {
    pub orders: Vec<(Order, Way)>,
    names: u64,
    values: i64,
}

impl History {
    fn name(&mut self) -> u64 {
        self.names += 1;
        self.names
    }

    /// A value no other order writes.
    fn value(&mut self) -> i64 {
        self.values += 1;
        10_000 + self.values
    }

    fn back(&self, back: u8) -> Option<&(Order, Way)> {
        let last = self.orders.len().checked_sub(1)?;
        self.orders.get(last - usize::from(back) % (last + 1))
    }

    /// The name of an order so many ago.
    pub(super) fn name_of(&self, back: u8) -> Option<u64> {
        self.back(back)?.0.name
    }

    /// Every name there is, the newest first.
    pub(super) fn names(&self) -> impl Iterator<Item = u64> {
        self.orders.iter().rev().filter_map(|(order, _)| order.name)
    }

    /// The order for what is asked, by what readers see; it is so late by the clock.
    pub(super) fn order(
        &mut self,
        ask: Ask,
        mirror: &Mirror,
        now_millis: u64,
    ) -> Option<(Order, Way)> {
        let seen = mirror.durable();
        let there = |key| seen.records().get(&record(key)).copied();
        let put = |history: &mut Self, key, expect| Operation {
            key: record(key),
            expect,
            action: Action::Put(history.value()),
        };
        let one = |operation| (vec![operation], 20);
        let (operations, result_bytes) = match ask {
            Ask::Put(key) | Ask::Plain(key) | Ask::Dated(key, _) => {
                one(put(self, key, Expect::Any))
            }
            Ask::Insert(key) => one(put(self, key, Expect::Absent)),
            Ask::Replace(key) => one(put(self, key, Expect::Present)),
            Ask::Swap(key) => {
                let expect = there(key).map_or(Expect::Absent, |held| held.version.into());
                one(put(self, key, expect))
            }
            Ask::Stale(key) => {
                let half = Version::new(seen.last().get() / 2);
                let created = there(key).filter(|held| held.created != held.version);
                one(put(self, key, created.map_or(half, |held| held.created).into()))
            }
            Ask::Future(key) => one(put(self, key, Version::new(FUTURE).into())),
            Ask::Delete(key) => {
                one(Operation { key: record(key), expect: Expect::Any, action: Action::Delete })
            }
            Ask::Add(key, delta) => one(add(key, delta.into())),
            Ask::Check(key) => one(check(key, Expect::Absent)),
            Ask::PlainCheck(key) => one(check(key, Expect::Present)),
            Ask::Batch(key) => {
                let next = |n| key.wrapping_add(n);
                let delete =
                    Operation { key: record(next(1)), expect: Expect::Any, action: Action::Delete };
                let operations = vec![
                    put(self, key, Expect::Any),
                    delete,
                    add(next(2), 1),
                    put(self, next(3), Expect::Any),
                    Operation { key: 999, expect: Expect::Absent, action: Action::Check },
                ];
                (operations, 20)
            }
            Ask::Large(key, kib) => {
                (vec![put(self, key, Expect::Any)], usize::from(kib % 64) << 10)
            }
            Ask::Retry(back) => return self.back(back).cloned(),
            Ask::Reuse(back) => {
                let name = self.back(back)?.0.name;
                let operations = vec![put(self, back % 8, Expect::Any)];
                return Some((Order { name, operations, result_bytes: 3 }, Way::Request));
            }
        };
        let name = match ask {
            Ask::Plain(_) | Ask::PlainCheck(_) | Ask::Future(_) => None,
            Ask::Dated(_, seconds) => {
                let made = now_millis.saturating_add_signed(i64::from(seconds) * 1_000);
                Some(dated(made, self.name()))
            }
            _ => Some(self.name()),
        };
        let order = Order { name, operations, result_bytes };
        if name.is_some() {
            self.orders.push((order.clone(), Way::Request));
        }
        Some((order, Way::Request))
    }

    /// A new name, of an order that is not handed in yet.
    pub(super) fn unasked(&mut self) -> u64 {
        let name = self.name();
        let action = Action::Put(self.value());
        let operations = vec![Operation { key: record(0), expect: Expect::Any, action }];
        let order = Order { name: Some(name), operations, result_bytes: 20 };
        self.orders.push((order, Way::Request));
        name
    }

    /// The order for a sum that is read and written.
    pub(super) fn update(&mut self, key: u8, delta: i8) -> Order {
        let operations = vec![add(key, i64::from(delta) * 8)];
        let order = Order { name: Some(self.name()), operations, result_bytes: 9 };
        self.orders.push((order.clone(), Way::Update));
        order
    }
}

fn add(key: u8, delta: i64) -> Operation {
    let bounds = if delta.abs() >= 900 { NARROW } else { WIDE };
    Operation { key: record(key), expect: Expect::Any, action: Action::Add { delta, bounds } }
}

fn check(key: u8, expect: Expect) -> Operation {
    Operation { key: record(key), expect, action: Action::Check }
}
