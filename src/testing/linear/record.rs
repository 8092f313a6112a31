//! Noting what callers ask and are told.

use super::{
    super::model::{Action, Decision, Held, NUMBERS, Operation, Order},
    history::{Answer, Asked, Call},
};
use crate::{
    Abort, Engine, Error, Expect, IdempotencyKey, Outcome, Record, Rejection, SeqNo, Snapshot,
    Ticket,
};
use std::sync::atomic::{AtomicU64, Ordering};

/// What is called: an engine, or one with something in front of it.
pub trait Store: Sync {
    /// The engine underneath.
    fn engine(&self) -> &Engine;

    /// Carries an order out.
    ///
    /// # Errors
    /// As [`Engine::commit`].
    fn commit(&self, order: &Order) -> Result<Outcome<Vec<u8>>, Error> {
        self.engine().commit(order.request())
    }

    /// Hands an order in.
    fn submit(&self, order: &Order) -> Ticket<Vec<u8>> {
        self.engine().submit(order.request())
    }

    /// The record under a key.
    ///
    /// # Errors
    /// As [`Engine::get`].
    fn get(&self, key: u32) -> Result<Option<Held>, Error> {
        Ok(self.engine().get(&NUMBERS, &key)?.map(held))
    }

    /// The records under several keys, and the entry they are from.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    fn snapshot(&self, keys: &[u32]) -> Result<(SeqNo, Vec<Option<Held>>), Error> {
        let snapshot = self.engine().snapshot();
        let get = |key: &u32| Ok(Snapshot::get(&snapshot, &NUMBERS, key)?.map(held));
        Ok((snapshot.seq(), keys.iter().map(get).collect::<Result<_, Error>>()?))
    }
}

impl Store for Engine {
    fn engine(&self) -> &Engine {
        self
    }
}

fn held(record: Record<i64>) -> Held {
    Held { value: record.value, version: record.version, created: record.created }
}

/// One caller, whose calls are noted.
#[derive(Debug)]
pub struct Recorder<'s, S> {
    store: &'s S,
    /// Counts what happens, for all callers together.
    time: &'s AtomicU64,
    process: usize,
    calls: Vec<Call>,
}

/// An order that was handed in.
#[derive(Debug)]
#[must_use = "an answer that nobody waits for is noted as unknown"]
pub struct Handed {
    call: usize,
    ticket: Ticket<Vec<u8>>,
}

impl<'s, S: Store> Recorder<'s, S> {
    /// The caller of that number. All callers of one history share `time`.
    pub const fn new(store: &'s S, time: &'s AtomicU64, process: usize) -> Self {
        Self { store, time, process, calls: Vec::new() }
    }

    /// What was noted.
    #[must_use]
    pub fn into_calls(self) -> Vec<Call> {
        self.calls
    }

    /// Carries an order out and waits for the answer.
    pub fn commit(&mut self, order: Order) {
        let invoked = self.now();
        let answer = answer(&order, self.store.commit(&order));
        self.note(invoked, Asked::Write(order), answer);
    }

    /// Hands an order in.
    pub fn submit(&mut self, order: Order) -> Handed {
        let invoked = self.now();
        let ticket = self.store.submit(&order);
        self.note(invoked, Asked::Write(order), Answer::Unknown(None));
        Handed { call: self.calls.len() - 1, ticket }
    }

    /// Waits for the answer to what was handed in.
    pub fn wait(&mut self, handed: Handed) {
        let answered = handed.ticket.wait();
        let returned = self.now();
        let call = &mut self.calls[handed.call];
        let Asked::Write(order) = &call.asked else { unreachable!("only orders are handed in") };
        call.answer = answer(order, answered);
        call.returned = returned;
    }

    /// Reads one record.
    pub fn get(&mut self, key: u32) -> Option<Held> {
        let invoked = self.now();
        let found = self.store.get(key);
        let seen = found.as_ref().ok().copied().flatten();
        let answer = read(found.map(|record| (None, vec![record])));
        self.note(invoked, Asked::Read(vec![key]), answer);
        seen
    }

    /// Reads several records at one entry.
    pub fn snapshot(&mut self, keys: &[u32]) {
        let invoked = self.now();
        let found = self.store.snapshot(keys);
        let answer = read(found.map(|(seq, records)| (Some(seq), records)));
        self.note(invoked, Asked::Read(keys.to_vec()), answer);
    }

    /// Writes over a record by [`Engine::update`], which is noted as the compare-and-swap it comes down to.
    pub fn update(&mut self, name: u64, key: u32, value: i64) {
        let invoked = self.now();
        let mut seen = None;
        let model = IdempotencyKey::new("model", name.to_be_bytes()).expect("short, not empty");
        let answered = self.store.engine().update(model, &(key, value), |tx| {
            seen = tx.get(&NUMBERS, &key)?.map(|record| record.version);
            tx.put(&NUMBERS, &key, &value)?;
            Ok::<_, Abort<()>>(Vec::new())
        });
        let expect = seen.map_or(Expect::Absent, Expect::Version);
        let operations = vec![Operation { key, expect, action: Action::Put(value) }];
        let order = Order { name: Some(name), operations, result_bytes: 0 };
        let answer = match answered {
            // It gave up, and what it last read it tells nobody.
            Ok(Outcome::Rejected(Rejection::Conflict(_))) => Answer::Nothing,
            answered => answer(&order, answered),
        };
        self.note(invoked, Asked::Write(order), answer);
    }

    fn now(&self) -> u64 {
        self.time.fetch_add(1, Ordering::SeqCst)
    }

    fn note(&mut self, invoked: u64, asked: Asked, answer: Answer) {
        let (process, now) = (self.process, self.now());
        self.calls.push(Call { process, invoked, handed_in: now, returned: now, asked, answer });
    }
}

fn answer<R>(order: &Order, answered: Result<Outcome<Vec<u8>, R>, Error>) -> Answer {
    match answered {
        Ok(Outcome::Committed(receipt)) if receipt.result == order.result() => {
            Answer::Committed { seq: receipt.seq, replayed: receipt.replayed }
        }
        Ok(Outcome::Committed(receipt)) => {
            Answer::Wrong(format!("the result {:?}", receipt.result))
        }
        Ok(Outcome::Rejected(rejection)) => match rejection {
            Rejection::Conflict(conflict) => Answer::Refused(Decision::Conflict(conflict.found())),
            Rejection::Expectation(unmet) => {
                Answer::Refused(Decision::Unmet(unmet.found.map(|found| found.version)))
            }
            Rejection::OutOfBounds(over) => Answer::Refused(Decision::OutOfBounds(over.current)),
            other => {
                Answer::Wrong(format!("no request of the campaign is refused like this: {other}"))
            }
        },
        Err(Error::Indeterminate { seq }) => Answer::Unknown(Some(seq)),
        Err(error) => nothing(&error),
    }
}

fn read(found: Result<(Option<SeqNo>, Vec<Option<Held>>), Error>) -> Answer {
    match found {
        Ok((at, records)) => Answer::Found { at, records },
        Err(error) => nothing(&error),
    }
}

/// An error after which nothing was done. Only the machine is a reason for one.
fn nothing(error: &Error) -> Answer {
    match error {
        Error::Poisoned { .. } | Error::Closed | Error::Io { .. } | Error::NoSpace { .. } => {
            Answer::Nothing
        }
        error => Answer::Wrong(error.to_string()),
    }
}
