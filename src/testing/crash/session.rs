//! A run of the engine until its power is cut.

use super::{
    super::{
        laws::{self, Law, Unknown},
        model::{Answer, At, Deed, Order, Terms},
    },
    oracle::Problem,
    step::Step,
    world::{Machine, World, cut},
};
use crate::{Engine, Error, Outcome, Ticket};
use std::{
    pin::Pin,
    task::{Context, Waker},
};

/// How a run ended: with the power off.
#[derive(Debug)]
pub(super) struct Ended {
    pub world: World,
    /// The changing calls made until the engine was open, and after each step.
    pub marks: Vec<u64>,
}

impl World {
    /// Opens the database and takes the steps, until the power is cut right before the changing call `crash_at`, or
    /// after the last step.
    pub(super) fn run(&self, steps: &[Step], crash_at: Option<u64>) -> Result<Ended, Problem> {
        let disk = self.disk.snapshot();
        if let Some(call) = crash_at {
            disk.crash_at(call);
        }
        let machine = Machine::new(disk.clone(), self, 0);
        let world = Self { disk, ..self.clone() };
        let mut session = Session { engine: None, machine, world, marks: Vec::new() };
        if session.open()? && session.take(steps)? {
            let engine = session.engine.as_ref().expect("it was left open");
            session.world.model.compare(engine)?;
        }
        // What an engine does when it is dropped comes after the power cut.
        cut(&session.world.disk);
        drop(session.engine);
        Ok(Ended { world: session.world, marks: session.marks })
    }
}

struct Session {
    engine: Option<Engine>,
    machine: Machine,
    world: World,
    marks: Vec<u64>,
}

impl Session {
    /// Opens the database; false when the power is off.
    fn open(&mut self) -> Result<bool, Problem> {
        match self.machine.open() {
            Ok(engine) => {
                let World { model, unknown, .. } = &mut self.world;
                *model = laws::prefix(model, unknown, &engine)?;
                unknown.clear();
                self.engine = Some(engine);
                self.refuses_a_second()?;
                self.marks.push(self.world.disk.io_count());
                Ok(true)
            }
            Err(error) => self.power_off(&error).map_err(|_| Problem::refusal(&error)),
        }
    }

    /// An open database cannot be opened again.
    fn refuses_a_second(&self) -> Result<(), Problem> {
        match self.machine.open() {
            Err(Error::Locked { .. }) => Ok(()),
            _ if self.world.disk.powered_off() => Ok(()),
            _ => Err(Problem::new(Law::Opening, "an open database was opened once more")),
        }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("open between steps")
    }

    /// Takes steps; false when the power is off.
    fn take(&mut self, steps: &[Step]) -> Result<bool, Problem> {
        for step in steps {
            if !self.step(*step)? {
                return Ok(false);
            }
            self.marks.push(self.world.disk.io_count());
        }
        Ok(true)
    }

    fn step(&mut self, step: Step) -> Result<bool, Problem> {
        let orders = step.orders(&self.world.model, self.world.name);
        if step != Step::Retry {
            self.world.name += orders.len() as u64;
        }
        let deeds = step.deeds(self.world.name);
        if !deeds.is_empty() {
            self.world.name += 1;
            return self.deeds(deeds);
        }
        let done = match step {
            Step::Burst => return self.burst(orders),
            Step::Checkpoint => self.engine().checkpoint(),
            Step::Background => self.engine().run_background_step().map(drop),
            Step::CloseReopen => match self.engine.take().map(Engine::close).transpose() {
                Ok(_) => {
                    let opened = self.open()?;
                    // Those count for the step.
                    self.marks.pop();
                    return Ok(opened);
                }
                Err(error) => Err(error),
            },
            _ => {
                for order in orders {
                    let answer = self.engine().commit(order.request());
                    if !self.answered(order, answer)? {
                        return Ok(false);
                    }
                }
                return Ok(true);
            }
        };
        match done {
            Ok(()) => Ok(true),
            Err(error) => self.power_off(&error),
        }
    }

    /// Hands several requests in before any is written.
    fn burst(&mut self, orders: Vec<Order>) -> Result<bool, Problem> {
        let engine = self.engine();
        let mut tickets: Vec<_> =
            orders.iter().map(|order| engine.submit(order.request())).collect();
        // Law 3: as long as nothing of this is durable, nobody is told or shown any of it.
        if !self.world.disk.powered_off() {
            self.world.model.compare(engine)?;
            if tickets.iter_mut().any(told) && !self.world.disk.powered_off() {
                return Err(Problem::new(
                    Law::Shown,
                    "a reply was given before what it saw was durable",
                ));
            }
        }
        let written = engine.run_background_step().map(drop);
        let answers: Vec<_> = tickets.into_iter().map(|ticket| ticket.wait()).collect();
        let mut all = true;
        for (order, answer) in orders.into_iter().zip(answers) {
            all &= self.answered(order, answer)?;
        }
        match written {
            Ok(()) => Ok(all),
            Err(error) => self.power_off(&error),
        }
    }

    /// Hands in what is more than orders; false when the power is off.
    fn deeds(&mut self, deeds: Vec<(Deed, Terms)>) -> Result<bool, Problem> {
        for (deed, terms) in deeds {
            let answer = deed.call(self.engine(), terms);
            match answer {
                Ok(answer) if terms.buffered => self.buffered(deed, &answer)?,
                Ok(answer) => {
                    let durable = self.engine().durable_seq();
                    self.world.model.agree_on(&deed, terms, &answer, durable, None)?;
                }
                Err(error) if self.world.model.due_on(&deed, terms).is_error(&error) => {}
                Err(error) => {
                    if let Error::Indeterminate { seq } = error {
                        let at = At { seq, time: None };
                        self.world.unknown.push(Unknown { deed, at });
                    }
                    return self.power_off(&error);
                }
            }
        }
        self.sync()
    }

    /// It has its place, and may still be lost; nobody is shown it.
    fn buffered(&mut self, deed: Deed, answer: &Answer) -> Result<(), Problem> {
        let Answer::Outcome(Outcome::Committed(receipt)) = answer else {
            return Err(Problem::new(Law::Rejected, format!("{deed:?} got {answer:?}")));
        };
        let at = At { seq: receipt.seq, time: Some(receipt.time) };
        self.world.unknown.push(Unknown { deed, at });
        if self.world.disk.powered_off() {
            return Ok(());
        }
        Ok(self.world.model.compare(self.engine())?)
    }

    /// Makes what is buffered durable; false when the power is off.
    fn sync(&mut self) -> Result<bool, Problem> {
        let last = match self.engine().sync() {
            Ok(last) => last,
            Err(error) => return self.power_off(&error),
        };
        for Unknown { deed, at } in std::mem::take(&mut self.world.unknown) {
            if at.seq > last {
                let what = format!("a sync ended at {last}, and {deed:?} is entry {}", at.seq);
                return Err(Problem::new(Law::Prefix, what));
            }
            self.world.model.carry_out_deed(&deed, at);
        }
        Ok(true)
    }

    /// Takes an answer in; false when the power is off.
    fn answered(
        &mut self,
        order: Order,
        answer: Result<Outcome<Vec<u8>>, Error>,
    ) -> Result<bool, Problem> {
        match answer {
            Ok(answer) => {
                let durable = self.engine().durable_seq();
                let agreed = self.world.model.agree(&order, &answer, durable);
                Ok(agreed.map(|()| true)?)
            }
            Err(error) => {
                if let Error::Indeterminate { seq } = error {
                    let at = At { seq, time: None };
                    self.world.unknown.push(Unknown { deed: order.into(), at });
                }
                self.power_off(&error)
            }
        }
    }

    /// Nothing but the power being off is a reason to fail.
    fn power_off(&self, error: &Error) -> Result<bool, Problem> {
        let due = matches!(
            error,
            Error::Io { .. } | Error::Indeterminate { .. } | Error::Poisoned { .. }
        );
        if self.world.disk.powered_off() && due {
            Ok(false)
        } else {
            Err(Problem::new(Law::Healing, format!("without a reason: {error}")))
        }
    }
}

/// Whether a ticket has its answer, which is lost by looking.
fn told(ticket: &mut Ticket<Vec<u8>>) -> bool {
    Pin::new(ticket).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}
