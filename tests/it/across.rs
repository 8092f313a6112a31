//! Invariants across records, by the three examples that they were made for: a captured payment has its entry in the ledger, a
//! fulfilled order has a captured payment, an active subscription has an entitlement that is not over.

mod cold;
mod crashes;
mod edges;
mod examples;
mod random;

use crate::support::key;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use steadfast::{
    Abort, AsKey, Builder, CrossInvariant, Engine, Error, Expect, IdempotencyKey, Key, Keyspace,
    Never, Outcome, Procedure, Rejection, Request, Transaction, Violation,
};

const PAYMENTS: Keyspace<u64, Payment> = Keyspace::new("payments");
const LEDGER: Keyspace<u64, Entry> = Keyspace::new("ledger");
const ORDERS: Keyspace<u64, Order> = Keyspace::new("orders");
const SUBSCRIPTIONS: Keyspace<String, Subscription> = Keyspace::new("subscriptions");
const ENTITLEMENTS: Keyspace<u64, Entitlement> = Keyspace::new("entitlements");

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Payment {
    cents: i64,
    captured: bool,
    entry: u64,
    order: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    payment: u64,
    cents: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    fulfilled: bool,
    payment: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Subscription {
    active: bool,
    entitlement: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entitlement {
    user: String,
    expires: u64,
}

fn hold(holds: bool, reason: &str) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::new(reason)) }
}

fn booked() -> CrossInvariant<u64, Payment> {
    CrossInvariant::new("booked", &PAYMENTS, |look, id, payment| {
        let due = Entry { payment: *id, cents: payment.cents };
        let entry = look.get(&LEDGER, &payment.entry)?.map(|record| record.value);
        hold(!payment.captured || entry == Some(due), "no such entry")
    })
    .touched_by(&LEDGER, |_, entry| [entry.payment])
}

fn paid() -> CrossInvariant<u64, Order> {
    CrossInvariant::new("paid", &ORDERS, |look, id, order| {
        let payment = look.get(&PAYMENTS, &order.payment)?.map(|record| record.value);
        let paid = payment.is_some_and(|payment| payment.captured && payment.order == *id);
        hold(!order.fulfilled || paid, "not paid")
    })
    .touched_by(&PAYMENTS, |_, payment| Some(payment.order))
}

fn entitled() -> CrossInvariant<String, Subscription> {
    CrossInvariant::new("entitled", &SUBSCRIPTIONS, |look, user, subscription| {
        let now = look.now().get();
        let entitlement = look.get(&ENTITLEMENTS, &subscription.entitlement)?;
        let lasts = entitlement
            .is_some_and(|record| record.value.user == *user && record.value.expires > now);
        hold(!subscription.active || lasts, "no entitlement")
    })
    .touched_by(&ENTITLEMENTS, |_, entitlement| [entitlement.user.clone()])
}

/// With all three, and the procedure.
fn builder() -> Builder {
    let plain = Engine::builder().procedure::<Apply>();
    plain.cross_invariant(booked()).cross_invariant(paid()).cross_invariant(entitled())
}

/// One record that is set, or removed.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Op {
    Payment(u64, Option<Payment>),
    Entry(u64, Option<Entry>),
    Order(u64, Option<Order>),
    Subscription(String, Option<Subscription>),
    Entitlement(u64, Option<Entitlement>),
}

trait Sink {
    fn set<K: Key + AsKey<K>, V>(&mut self, keyspace: &Keyspace<K, V>, key: &K, value: Option<&V>);

    fn op(&mut self, op: &Op) {
        match op {
            Op::Payment(key, value) => self.set(&PAYMENTS, key, value.as_ref()),
            Op::Entry(key, value) => self.set(&LEDGER, key, value.as_ref()),
            Op::Order(key, value) => self.set(&ORDERS, key, value.as_ref()),
            Op::Subscription(key, value) => self.set(&SUBSCRIPTIONS, key, value.as_ref()),
            Op::Entitlement(key, value) => self.set(&ENTITLEMENTS, key, value.as_ref()),
        }
    }
}

impl Sink for Option<Request> {
    fn set<K: Key + AsKey<K>, V>(&mut self, keyspace: &Keyspace<K, V>, key: &K, value: Option<&V>) {
        let request = self.take().expect("it is put back");
        *self = Some(match value {
            Some(value) => request.put(keyspace, key, value, Expect::Any),
            None => request.delete(keyspace, key, Expect::Any),
        });
    }
}

impl Sink for Transaction<'_> {
    fn set<K: Key + AsKey<K>, V>(&mut self, keyspace: &Keyspace<K, V>, key: &K, value: Option<&V>) {
        match value {
            Some(value) => self.put(keyspace, key, value),
            None => self.delete(keyspace, key),
        }
        .expect("it is small");
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Apply(Vec<Op>);

impl Procedure for Apply {
    const NAME: &'static str = "apply";
    const VERSION: u32 = 1;
    type Output = ();
    type Rejection = Never;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<(), Abort> {
        self.0.iter().for_each(|op| tx.op(op));
        Ok(())
    }
}

/// How something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Request,
    Update,
    Call,
}

const WAYS: [Way; 3] = [Way::Request, Way::Update, Way::Call];

/// The name of a rule, and the encoded key of the record that would break it.
type Broken = (String, Vec<u8>);

fn outcome<T, R: std::fmt::Debug>(outcome: Outcome<T, R>) -> Result<(), Broken> {
    match outcome {
        Outcome::Committed(_) => Ok(()),
        Outcome::Rejected(Rejection::Invariant(broken)) => {
            Err((broken.invariant.clone(), broken.key.to_vec()))
        }
        Outcome::Rejected(other) => panic!("refused otherwise: {other:?}"),
    }
}

fn request(key: IdempotencyKey, ops: &[Op]) -> Request {
    let mut request = Some(Request::new(key));
    ops.iter().for_each(|op| request.op(op));
    request.expect("it was put back")
}

impl Way {
    fn run(
        self,
        engine: &Engine,
        key: IdempotencyKey,
        ops: &[Op],
    ) -> Result<Result<(), Broken>, Error> {
        Ok(match self {
            Self::Request => outcome(engine.commit(request(key, ops))?),
            Self::Update => outcome(engine.update::<(), Never>(key, &1, |tx| {
                ops.iter().for_each(|op| tx.op(op));
                Ok(())
            })?),
            Self::Call => outcome(engine.call(key, &Apply(ops.to_vec()))?),
        })
    }
}

/// Does it by a request, under a key of its own.
fn run(engine: &Engine, name: &str, ops: &[Op]) -> Result<(), Broken> {
    Way::Request.run(engine, key(name), ops).unwrap()
}

const CAPTURED: Payment = Payment { cents: 100, captured: true, entry: 70, order: 700 };
const ENTRY: Entry = Entry { payment: 7, cents: 100 };

/// Payment 7 is captured.
fn capture() -> Op {
    Op::Payment(7, Some(CAPTURED))
}

fn book() -> Op {
    Op::Entry(70, Some(ENTRY))
}

/// What the records are, and by hand what must be true of them.
#[derive(Clone, Debug, Default, PartialEq)]
struct Books {
    payments: BTreeMap<u64, Payment>,
    entries: BTreeMap<u64, Entry>,
    orders: BTreeMap<u64, Order>,
    subscriptions: BTreeMap<String, Subscription>,
    entitlements: BTreeMap<u64, Entitlement>,
}

impl Books {
    fn op(&mut self, op: &Op) {
        fn set<K: Ord + Clone, V: Clone>(map: &mut BTreeMap<K, V>, key: &K, value: &Option<V>) {
            match value {
                Some(value) => drop(map.insert(key.clone(), value.clone())),
                None => drop(map.remove(key)),
            }
        }
        match op {
            Op::Payment(key, value) => set(&mut self.payments, key, value),
            Op::Entry(key, value) => set(&mut self.entries, key, value),
            Op::Order(key, value) => set(&mut self.orders, key, value),
            Op::Subscription(key, value) => set(&mut self.subscriptions, key, value),
            Op::Entitlement(key, value) => set(&mut self.entitlements, key, value),
        }
    }

    /// All that is broken, by rule and key, where nothing expires but what always was over.
    fn broken(&self) -> Vec<Broken> {
        let mut broken = Vec::new();
        for (id, payment) in &self.payments {
            let due = Entry { payment: *id, cents: payment.cents };
            if payment.captured && self.entries.get(&payment.entry) != Some(&due) {
                broken.push(("booked".to_owned(), encoded(id)));
            }
        }
        for (user, subscription) in &self.subscriptions {
            let there = self.entitlements.get(&subscription.entitlement);
            if subscription.active && !there.is_some_and(|e| e.user == *user && e.expires > 0) {
                broken.push(("entitled".to_owned(), encoded(user)));
            }
        }
        for (id, order) in &self.orders {
            let payment = self.payments.get(&order.payment);
            if order.fulfilled && !payment.is_some_and(|p| p.captured && p.order == *id) {
                broken.push(("paid".to_owned(), encoded(id)));
            }
        }
        broken
    }

    /// What an engine holds.
    fn of(engine: &Engine) -> Self {
        fn all<K: Key + Ord, V>(engine: &Engine, keyspace: &Keyspace<K, V>) -> BTreeMap<K, V> {
            let snapshot = engine.snapshot();
            let records = snapshot.range(keyspace, ..).map(|item| item.unwrap());
            records.map(|(key, record)| (key, record.value)).collect()
        }
        Self {
            payments: all(engine, &PAYMENTS),
            entries: all(engine, &LEDGER),
            orders: all(engine, &ORDERS),
            subscriptions: all(engine, &SUBSCRIPTIONS),
            entitlements: all(engine, &ENTITLEMENTS),
        }
    }
}

fn encoded<K: Key + AsKey<K>>(key: &K) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.encode(&mut bytes);
    bytes
}
