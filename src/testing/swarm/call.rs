//! Calls of the engine, and what must come of them.

use super::{
    super::{
        laws::{Breach, Law},
        model::{self, Action, Answer, Deed, Operation, Order, Terms, key_of},
    },
    mirror::{Asked, Expected, Mirror, Way},
    run::Run,
};
use crate::{Abort, Engine, Error, LogTime, OutOfBounds, Outcome, Rejection, Ticket, base::Bytes};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// The queue or the group, the memtables, the log.
const ROOMS: usize = 3;

/// What a call gave.
pub(super) type Given = Result<Answer, Error>;

/// A ticket, and what it must give.
#[derive(Debug)]
pub(super) struct Promise {
    ticket: Ticket<Vec<u8>>,
    asked: Asked,
}

impl Promise {
    fn poll(&mut self) -> Option<Given> {
        match Pin::new(&mut self.ticket).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Some(answer.map(Answer::Outcome)),
            Poll::Pending => None,
        }
    }
}

impl Run {
    /// Commits an order and checks the answer.
    pub(super) fn commit(&mut self, order: Order, way: Way) -> Result<bool, Breach> {
        self.make(order.into(), Terms::default(), way)
    }

    /// Makes a call that waits for its answer, and checks that; true when it is as it should be, with nothing in its way.
    pub(super) fn make(&mut self, deed: Deed, terms: Terms, way: Way) -> Result<bool, Breach> {
        let Some(engine) = &self.open else { return Ok(false) };
        let mut asked = self.mirror.ask(deed, terms);
        let before = engine.window().time;
        let answer = call(engine, &asked.deed, terms, way);
        let (durable, time) = (engine.durable_seq(), engine.window().time);
        let last = terms.buffered.then(|| engine.snapshot_applied().seq());
        self.summary.operations += 1;
        Mirror::refusal(&asked, &answer)?;
        let doubt =
            matches!(answer, Err(Error::Indeterminate { .. })) && self.mirror.is_logged(&asked);
        // Others may have become durable before it.
        let before_it = doubt || terms.buffered;
        if before_it {
            self.mirror.observe(durable)?;
        }
        if answer.is_ok() || doubt {
            self.check_logged(&asked, time > before)?;
            self.mirror.sequence(&mut asked, way, time)?;
        } else if !self.mirror.stopped && !self.is_shaky() && time > before {
            return Err(logged_all_the_same(&asked));
        }
        if !before_it {
            self.mirror.observe(durable)?;
        }
        if let (Some(last), true) = (last, answer.is_ok() && !self.mirror.stopped) {
            self.mirror.applied_to(last)?;
        }
        let fine = self.answered(&asked, answer)?;
        self.compare_window()?;
        Ok(fine)
    }

    /// What is to be logged is, and nothing else.
    fn check_logged(&self, asked: &Asked, logged: bool) -> Result<(), Breach> {
        match (self.mirror.is_logged(asked), logged) {
            (false, true) => Err(logged_all_the_same(asked)),
            (true, false) => {
                let what = format!("{:?} was not logged", asked.deed);
                Err(Breach::new(Law::Prefix, what))
            }
            _ => Ok(()),
        }
    }

    /// Compares what is remembered, after the last entry that was handed in.
    pub(super) fn compare_window(&self) -> Result<(), Breach> {
        match &self.open {
            // Of what could not be written, more may have been handed in than is known.
            Some(engine) if !self.mirror.stopped && !self.is_shaky() => {
                self.mirror.applied().compare_window(engine)
            }
            _ => Ok(()),
        }
    }

    /// Hands an order in and keeps the ticket.
    pub(super) fn submit(&mut self, client: u8, order: Order) -> Result<(), Breach> {
        let Some(engine) = &self.open else { return Ok(()) };
        let asked = self.mirror.ask(order.into(), Terms::default());
        let before = engine.window().time;
        let order = asked.deed.order().expect("it was one");
        let ticket = engine.submit(order.request());
        self.handed_in(client, ticket, asked, before)
    }

    /// Hands an order in unless it would have to wait. Who is turned away finds room once the work is done.
    pub(super) fn try_submit(&mut self, client: u8, order: Order) -> Result<(), Breach> {
        let Some(engine) = &self.open else { return Ok(()) };
        let asked = self.mirror.ask(order.into(), Terms::default());
        let before = engine.window().time;
        let order = asked.deed.order().expect("it was one");
        let mut ticket = engine.try_submit(order.request());
        // Once for each of what there can be no room in.
        for _ in 0..ROOMS {
            // A full disk is told as it was when somebody last looked, which who does not wait never does.
            if !matches!(ticket, Err(Error::Overloaded { .. } | Error::NoSpace { .. }))
                || self.is_shaky()
                || self.mirror.stopped
            {
                break;
            }
            if engine.window().time > before {
                return Err(logged_all_the_same(&asked));
            }
            self.summary.turned_away += 1;
            while engine.run_background_step().is_ok_and(|done| done) {}
            ticket = engine.try_submit(order.request());
        }
        match ticket {
            Ok(ticket) => self.handed_in(client, ticket, asked, before),
            Err(Error::Overloaded { .. }) if self.is_shaky() || self.mirror.stopped => {
                self.look_around()
            }
            Err(error) => {
                self.look_around()?;
                self.answered(&asked, Err(error)).map(drop)
            }
        }
    }

    fn handed_in(
        &mut self,
        client: u8,
        ticket: Ticket<Vec<u8>>,
        mut asked: Asked,
        before: LogTime,
    ) -> Result<(), Breach> {
        let engine = self.engine();
        let (durable, time) = (engine.durable_seq(), engine.window().time);
        self.summary.operations += 1;
        self.mirror.observe(durable)?;
        let logged = time > before;
        if logged && !self.mirror.is_logged(&asked) && !self.mirror.stopped {
            return Err(logged_all_the_same(&asked));
        }
        let mut promise = Promise { ticket, asked: asked.clone() };
        let answer = if logged && !self.is_shaky() {
            None
        } else {
            // It may not even have been sequenced.
            promise.poll()
        };
        if let Some(answer) = answer {
            self.answered(&asked, answer)?;
            return self.compare_window();
        }
        if matches!(asked.due, Expected::Nothing) {
            let what = format!("{:?} waits, and an error was due", asked.deed);
            return Err(Breach::new(Law::Rejected, what));
        }
        if logged {
            self.mirror.sequence(&mut asked, Way::Request, time)?;
        }
        promise.asked = asked;
        self.clients[usize::from(client % 8)].push(promise);
        self.compare_window()
    }

    fn pick(&mut self, client: u8, ticket: u8) -> Option<Promise> {
        let promises = &mut self.clients[usize::from(client % 8)];
        let count = promises.len();
        (count > 0).then(|| promises.remove(usize::from(ticket) % count))
    }

    pub(super) fn poll(&mut self, client: u8, ticket: u8) -> Result<(), Breach> {
        let Some(mut promise) = self.pick(client, ticket) else { return Ok(()) };
        match promise.poll() {
            Some(answer) => self.answered(&promise.asked, answer).map(drop),
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
        self.answered(&asked, answer.map(Answer::Outcome)).map(drop)
    }

    pub(super) fn forget(&mut self, client: u8, ticket: u8) {
        drop(self.pick(client, ticket));
    }

    /// Takes in all answers that are there. With `all`, they all must be.
    pub(super) fn drain(&mut self, all: bool) -> Result<(), Breach> {
        for mut promise in self.clients.iter_mut().flat_map(std::mem::take).collect::<Vec<_>>() {
            match promise.poll() {
                Some(answer) => drop(self.answered(&promise.asked, answer)?),
                None if all => {
                    let what = format!("{:?} waits for ever", promise.asked.deed);
                    return Err(Breach::new(Law::Opening, what));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Holds an answer against the model, or an error against what is due or its reasons; true when it is what is due.
    fn answered(&mut self, asked: &Asked, answer: Given) -> Result<bool, Breach> {
        self.summary.answers += 1;
        let error = match answer {
            Ok(answer) => {
                self.mirror.answered(asked, &answer)?;
                self.summary.note_answer(asked.terms.buffered, &answer);
                if self.mirror.is_again(asked) {
                    self.summary.note_again();
                }
                return Ok(true);
            }
            Err(error) => error,
        };
        if self.mirror.is_due(asked, &error) {
            self.summary.note_error(&error);
            return Ok(true);
        }
        self.excuse(&error, || format!("{:?}", asked.deed))?;
        self.summary.in_doubt += u64::from(matches!(error, Error::Indeterminate { .. }));
        self.mirror.failed(asked, &error)?;
        Ok(false)
    }

    /// Asks what a key stands for, which is told when everything that was handed in before is durable.
    pub(super) fn resolve(&mut self, name: u64) -> Result<(), Breach> {
        let Some(engine) = &self.open else { return Ok(()) };
        let told = engine.resolve(&key_of(name));
        self.look_around()?;
        match told {
            Ok(status) => {
                self.summary.note_status(&status);
                self.mirror.check_status(name, &status)
            }
            Err(error) => self.excuse(&error, || format!("resolving {name}")),
        }
    }
}

fn logged_all_the_same(asked: &Asked) -> Breach {
    let what = format!("{:?} was logged, and {:?} was due", asked.deed, asked.due);
    Breach::new(Law::Rejected, what)
}

/// Makes the call.
fn call(engine: &Engine, deed: &Deed, terms: Terms, way: Way) -> Given {
    match (deed, way) {
        (Deed::Order(order), Way::Update) => update(engine, order).map(Answer::Outcome),
        _ => deed.call(engine, terms),
    }
}

/// The closure's refusal becomes that of an addition, which the model knows.
fn update(engine: &Engine, order: &Order) -> Result<Outcome<Vec<u8>>, Error> {
    let key = key_of(order.name.expect("an update has a key"));
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
        Outcome::Rejected(
            Rejection::IllegalTransition(_)
            | Rejection::Invariant(_)
            | Rejection::SumInvariant(_)
            | Rejection::TotalOverflow { .. },
        ) => {
            unreachable!("the simulation has no rules")
        }
    })
}
