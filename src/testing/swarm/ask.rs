//! What is asked, as orders and calls of the engine.

use super::{
    super::{
        laws::{Breach, Law},
        model::{self, Action, Operation, Order},
    },
    event::Ask,
    mirror::{Asked, Expected, Mirror, Way},
    run::Run,
};
use crate::{
    Abort, Engine, Error, Expect, IdempotencyKey, OutOfBounds, Outcome, Rejection, Ticket, Version,
    base::Bytes,
};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// Sums of small additions may be anything; those of large ones may not.
const WIDE: (i64, i64) = (i64::MIN / 2, i64::MAX / 2);
const NARROW: (i64, i64) = (-1_000, 1_000);

/// What a call gave.
pub(super) type Answer = Result<Outcome<Vec<u8>>, Error>;

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

    /// The order for what is asked, by what readers see.
    pub(super) fn order(&mut self, ask: Ask, mirror: &Mirror) -> Option<(Order, Way)> {
        let seen = mirror.durable();
        let there = |key| seen.records().get(&record(key)).copied();
        let put = |history: &mut Self, key, expect| Operation {
            key: record(key),
            expect,
            action: Action::Put(history.value()),
        };
        let one = |operation| (vec![operation], 20);
        let (operations, result_bytes) = match ask {
            Ask::Put(key) | Ask::Plain(key) => one(put(self, key, Expect::Any)),
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
            Ask::Future(key) => one(put(self, key, Version::new(1 << 60).into())),
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
        let plain = matches!(ask, Ask::Plain(_) | Ask::PlainCheck(_) | Ask::Future(_));
        let name = if plain { None } else { Some(self.name()) };
        let order = Order { name, operations, result_bytes };
        if name.is_some() {
            self.orders.push((order.clone(), Way::Request));
        }
        Some((order, Way::Request))
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

/// A ticket, and what it must give.
#[derive(Debug)]
pub(super) struct Promise {
    ticket: Ticket<Vec<u8>>,
    asked: Asked,
}

impl Promise {
    fn poll(&mut self) -> Option<Answer> {
        match Pin::new(&mut self.ticket).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }
}

impl Run {
    fn asked(&self, order: Order) -> Asked {
        let future = order.operations.iter().any(
            |operation| matches!(operation.expect, Expect::Version(version) if version.get() == 1 << 60),
        );
        let due = match self.mirror.expect(&order) {
            Expected::Answer(_) if future => Expected::Future,
            due => due,
        };
        Asked { order, due, index: None }
    }

    /// Commits an order and checks the answer.
    pub(super) fn commit(&mut self, order: Order, way: Way) -> Result<bool, Breach> {
        let Some(engine) = &self.open else { return Ok(false) };
        let mut asked = self.asked(order);
        let in_flight = self.mirror.is_in_flight(&asked.order);
        let answer = match way {
            Way::Request => engine.commit(asked.order.request()),
            Way::Update => update(engine, &asked.order),
        };
        let durable = engine.durable_seq();
        self.summary.operations += 1;
        Mirror::refusal(&asked, &answer)?;
        let doubt = matches!(answer, Err(Error::Indeterminate { .. })) && !in_flight;
        if doubt {
            // Others may have become durable before it.
            self.mirror.observe(durable)?;
        }
        if (answer.is_ok() || doubt) && matches!(asked.due, Expected::Answer(_)) {
            asked.index = self.mirror.sequence(&asked.order, way);
        }
        if !doubt {
            self.mirror.observe(durable)?;
        }
        let fine = answer.is_ok();
        self.answered(&asked, answer)?;
        Ok(fine)
    }

    /// Hands an order in and keeps the ticket.
    pub(super) fn submit(&mut self, client: u8, order: Order) -> Result<(), Breach> {
        let Some(engine) = &self.open else { return Ok(()) };
        let asked = self.asked(order);
        let ticket = engine.submit(asked.order.request());
        let durable = engine.durable_seq();
        self.summary.operations += 1;
        self.mirror.observe(durable)?;
        let mut promise = Promise { ticket, asked };
        let answer = if self.is_shaky() || !matches!(promise.asked.due, Expected::Answer(_)) {
            // It may not even have been sequenced.
            promise.poll()
        } else {
            None
        };
        if let Some(answer) = answer {
            return self.answered(&promise.asked, answer);
        }
        if matches!(promise.asked.due, Expected::Nothing) {
            let what = format!("{:?} waits, and an error was due", promise.asked.order);
            return Err(Breach::new(Law::Rejected, what));
        }
        if matches!(promise.asked.due, Expected::Answer(_)) {
            promise.asked.index = self.mirror.sequence(&promise.asked.order, Way::Request);
        }
        self.clients[usize::from(client % 8)].push(promise);
        Ok(())
    }

    fn pick(&mut self, client: u8, ticket: u8) -> Option<Promise> {
        let promises = &mut self.clients[usize::from(client % 8)];
        let count = promises.len();
        (count > 0).then(|| promises.remove(usize::from(ticket) % count))
    }

    pub(super) fn poll(&mut self, client: u8, ticket: u8) -> Result<(), Breach> {
        let Some(mut promise) = self.pick(client, ticket) else { return Ok(()) };
        match promise.poll() {
            Some(answer) => self.answered(&promise.asked, answer),
            None => {
                self.clients[usize::from(client % 8)].push(promise);
                Ok(())
            }
        }
    }

    pub(super) fn wait(&mut self, client: u8, ticket: u8) -> Result<(), Breach> {
        let Some(Promise { ticket, asked }) = self.pick(client, ticket) else { return Ok(()) };
        let answer = ticket.wait();
        self.look_around()?;
        self.answered(&asked, answer)
    }

    pub(super) fn forget(&mut self, client: u8, ticket: u8) {
        drop(self.pick(client, ticket));
    }

    /// Takes in all answers that are there. With `all`, they all must be.
    pub(super) fn drain(&mut self, all: bool) -> Result<(), Breach> {
        for mut promise in self.clients.iter_mut().flat_map(std::mem::take).collect::<Vec<_>>() {
            match promise.poll() {
                Some(answer) => self.answered(&promise.asked, answer)?,
                None if all => {
                    let what = format!("{:?} waits for ever", promise.asked.order);
                    return Err(Breach::new(Law::Opening, what));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Holds an answer against the model, or an error against its reasons.
    fn answered(&mut self, asked: &Asked, answer: Answer) -> Result<(), Breach> {
        self.summary.answers += 1;
        let error = match answer {
            Ok(answer) => return self.mirror.answered(asked, &answer),
            Err(error) => error,
        };
        match (&error, &asked.due) {
            (Error::KeyReused { .. }, Expected::Answer(model::Due::Reused))
            | (Error::FutureVersion { .. }, Expected::Future) => return Ok(()),
            _ => {}
        }
        self.excuse(&error, || format!("{:?}", asked.order))?;
        self.summary.in_doubt += u64::from(matches!(error, Error::Indeterminate { .. }));
        self.mirror.failed(asked, &error)
    }
}

/// The closure's refusal becomes that of an addition, which the model knows.
fn update(engine: &Engine, order: &Order) -> Answer {
    let name = order.name.expect("an update has a key");
    let key = IdempotencyKey::new("model", name.to_be_bytes())?;
    let Operation { key: record, action: Action::Add { delta, bounds }, .. } = order.operations[0]
    else {
        unreachable!("an update adds")
    };
    let keyspace = model::keyspace(record);
    let outcome = engine.update(key, &("sum", record, delta), |tx| {
        let current = tx.get(keyspace, &record)?.map_or(0, |record| record.value);
        let sum = current + delta;
        if !(bounds.0..=bounds.1).contains(&sum) {
            return Err(Abort::Reject(current));
        }
        tx.put(keyspace, &record, &sum)?;
        Ok(order.result())
    })?;
    Ok(match outcome {
        Outcome::Committed(receipt) => Outcome::Committed(receipt),
        Outcome::Rejected(Rejection::Procedure(current)) => {
            let keyspace = keyspace.name().to_owned();
            let key = Bytes::new();
            let over = OutOfBounds { keyspace, key, current, delta, bounds, version: None };
            Outcome::Rejected(Rejection::OutOfBounds(Box::new(over)))
        }
        Outcome::Rejected(Rejection::Conflict(conflict)) => {
            Outcome::Rejected(Rejection::Conflict(conflict))
        }
        Outcome::Rejected(Rejection::Expectation(unmet)) => {
            Outcome::Rejected(Rejection::Expectation(unmet))
        }
        Outcome::Rejected(Rejection::OutOfBounds(over)) => {
            Outcome::Rejected(Rejection::OutOfBounds(over))
        }
    })
}
