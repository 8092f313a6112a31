//! A run of the engine until its power is cut.

use super::{
    super::{
        laws::{self, Law},
        model::{Model, Order},
    },
    case::End,
    oracle::Problem,
    step::Step,
};
use crate::{
    Background, Engine, Error, Outcome, SeqNo, Ticket,
    disk::{Choice, Lie, SimClock, SimDisk, SimEntropy},
};
use std::{
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};

/// What a run begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nothing at all: opening makes the database.
    Empty,
    /// A database with records, remembered outcomes, a checkpoint and several segments, closed.
    Closed,
    /// The same, but the power was cut while it was being written to, and the end of its log is torn.
    Torn,
    /// The first database again, with a log that is longer than it may be: opening writes a checkpoint, and later ones
    /// become due while the log goes on.
    Due,
}

/// A disk without power on it, and what is known of what it holds.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub disk: SimDisk,
    pub model: Model,
    /// Requests nobody was told the outcome of, in order, with the entries they became if they were carried out.
    pub unknown: Vec<(Order, SeqNo)>,
    /// The first idempotency key not in use.
    pub name: u64,
    pub seed: u64,
    /// With so much log a checkpoint is due.
    pub log_limit_bytes: u64,
    /// How often it was started before.
    pub lives: u64,
}

/// How a run ended: with the power off.
#[derive(Debug)]
pub(super) struct Ended {
    pub world: World,
    /// The changing calls made until the engine was open, and after each step.
    pub marks: Vec<u64>,
}

impl Start {
    /// Sets the scene.
    pub(super) fn world(self, seed: u64) -> Result<World, Problem> {
        let disk = SimDisk::new();
        // redb updates part of a sector of its header in place, and documents that it needs a medium on which that
        // leaves the rest of the sector alone.
        disk.assume_powersafe("checkpoint.redb");
        let empty = World {
            disk,
            model: Model::default(),
            unknown: Vec::new(),
            name: 1,
            seed,
            log_limit_bytes: 1 << 20,
            lives: 0,
        };
        if self == Self::Empty {
            return Ok(empty);
        }
        let steps = [
            Step::Put,
            Step::CasMiss,
            Step::CasMiss,
            Step::Add,
            Step::AddTooMuch,
            Step::Rotate,
            Step::Checkpoint,
            Step::Batch,
            Step::CloseReopen,
            Step::CasMiss,
            Step::CasHit,
            Step::CloseReopen,
        ];
        let closed = empty.run(&steps, None)?.world.after(&End::PowerCut(Choice::None));
        match self {
            Self::Empty | Self::Closed => return Ok(closed),
            Self::Due => return Ok(World { log_limit_bytes: 64 << 10, ..closed }),
            Self::Torn => {}
        }
        // Cut off before the sync of a group, of which the first sector is there and the others are not.
        let measured = closed.run(&[Step::Put, Step::Burst, Step::Rotate], None)?;
        let last = measured.marks[measured.marks.len() - 1];
        let cut = closed.run(&[Step::Put, Step::Burst, Step::Rotate], Some(last))?.world;
        let first = cut.disk.telling_units().first().copied().unwrap_or(0);
        Ok(cut.after(&End::PowerCut(Choice::Only(first))))
    }
}

impl World {
    /// The same with the power back on.
    pub(super) fn after(&self, end: &End) -> Self {
        let disk = match end {
            End::Kill => self.disk.after_kill(),
            End::PowerCut(choice) => self.disk.after_power_cut(choice),
        };
        Self { disk, lives: self.lives + 1, ..self.clone() }
    }

    /// The same on a disk that lies until the power is cut.
    pub(super) fn lying(self, lie: Option<Lie>) -> Self {
        if let Some(lie) = lie {
            self.disk.lie(lie);
        }
        self
    }

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

/// Cuts the power now.
pub(super) fn cut(disk: &SimDisk) {
    disk.crash_at(disk.io_count() + 1);
}

/// One machine from power on to power off.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub disk: SimDisk,
    clock: SimClock,
    entropy: SimEntropy,
    log_limit_bytes: u64,
}

impl Machine {
    /// The machine in the life of `world` that comes so many after its own. In every life it is later, and other random
    /// numbers come up.
    pub(super) fn new(disk: SimDisk, world: &World, after: u64) -> Self {
        let lives = world.lives + after;
        let clock = SimClock::new(1_700_000_000_000_000_000, 1_000);
        clock.advance(Duration::from_secs(lives * 60));
        let entropy = SimEntropy::new(world.seed.wrapping_mul(1 << 20).wrapping_add(lives));
        Self { disk, clock, entropy, log_limit_bytes: world.log_limit_bytes }
    }

    pub(super) fn open(&self) -> Result<Engine, Error> {
        Engine::builder()
            .background(Background::Manual)
            .segment_bytes(64 << 10)
            .log_limit_bytes(self.log_limit_bytes)
            .checkpoint_cache_bytes(1 << 20)
            .clock(self.clock.clone())
            .entropy(self.entropy.clone())
            .open_on(self.disk.clone())
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
                    self.world.unknown.push((order, seq));
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
