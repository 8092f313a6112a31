//! One run of a plan.

use super::{
    super::{
        laws::{self, Breach, Law},
        model::{Deed, Held, Kept, Model, Order, Terms},
    },
    ask::{History, record},
    call::Promise,
    event::{Ask, Event, Whose},
    failure::Failure,
    machine::{Hurdle, Stop},
    mirror::{Mirror, Way},
    plan::Plan,
    summary::Summary,
    trouble::Struck,
};
use crate::{
    Engine, Error, ErrorKind, Mode, Snapshot,
    disk::{Clock, SimClock, SimDisk, SimEntropy},
};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Where the clock begins.
const BEGIN_NANOS: u64 = 1_700_000_000_000_000_000;
/// Operations that must succeed when all is over.
pub(super) const AFTERWARDS: u64 = 100;

/// A stop of the machine that is due.
#[derive(Debug)]
pub(super) struct Armed {
    pub stop: Stop,
    pub hurdles: [Option<Hurdle>; 2],
    pub twice: bool,
}

/// A machine with an engine on it, its clients, and the model of it all.
#[derive(Debug)]
pub(super) struct Run {
    pub plan: Plan,
    pub disk: SimDisk,
    pub clock: SimClock,
    pub entropy: SimEntropy,
    pub open: Option<Engine>,
    pub mirror: Mirror,
    pub history: History,
    pub clients: [Vec<Promise>; 8],
    pub held: Vec<(Snapshot, BTreeMap<u32, Held>)>,
    pub armed: Option<Armed>,
    pub troubles: Vec<Struck>,
    pub hurdles: VecDeque<Hurdle>,
    pub twice: bool,
    /// Whether the next opening must find that the engine was closed.
    pub closed: bool,
    pub summary: Summary,
    /// What was done to each disk so far, when that is asked for.
    pub traces: Option<Vec<String>>,
}

impl Plan {
    fn kept(&self) -> Option<Kept> {
        let nanos = |seconds: u32| u64::from(seconds) * 1_000_000_000;
        self.remember.map(|(whole, stubs)| Kept { whole: nanos(whole), stubs: nanos(stubs) })
    }

    /// Runs the plan, and holds everything against the laws.
    ///
    /// # Errors
    /// The first breach. It is not shrunk; see [`Failure::shrink`].
    pub fn run(&self) -> Result<Summary, Box<Failure>> {
        Run::new(self).finish(self).map(|run| run.summary)
    }

    /// Everything the plan does to the disk, call by call, with a digest of it after each stop of the machine.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn trace(&self) -> Result<Vec<String>, Box<Failure>> {
        let mut run = Run::new(self);
        run.traces = Some(Vec::new());
        let run = run.finish(self)?;
        let mut traces = run.traces.unwrap_or_default();
        traces.extend(run.disk.trace());
        Ok(traces)
    }
}

impl Run {
    fn new(plan: &Plan) -> Self {
        let disk = SimDisk::new();
        // redb updates part of a sector of its header in place, and documents that it needs a medium on which that
        // leaves the rest of the sector alone.
        disk.assume_powersafe("checkpoint.redb");
        if let Some(lie) = plan.lie {
            disk.lie(lie);
        }
        Self {
            plan: plan.with(Vec::new()),
            disk,
            clock: SimClock::new(BEGIN_NANOS, plan.clock_step_nanos),
            entropy: SimEntropy::new(plan.seed),
            open: None,
            mirror: Mirror::new(Model::with(plan.kept(), plan.buffered_keys)),
            history: History::default(),
            clients: Default::default(),
            held: Vec::new(),
            armed: None,
            troubles: Vec::new(),
            hurdles: VecDeque::new(),
            twice: false,
            closed: false,
            summary: Summary { seeds: 1, ..Summary::default() },
            traces: None,
        }
    }

    fn finish(mut self, plan: &Plan) -> Result<Self, Box<Failure>> {
        for (at, event) in plan.events.iter().enumerate() {
            if let Err(breach) = laws::caught(|| self.event(event)) {
                return Err(self.failure(plan, at, breach));
            }
        }
        match laws::caught(|| self.end()) {
            Ok(()) => Ok(self),
            Err(breach) => Err(self.failure(plan, plan.events.len(), breach)),
        }
    }

    fn failure(mut self, plan: &Plan, at: usize, breach: Breach) -> Box<Failure> {
        self.summary.count(breach.kind);
        let (pending, trace) = (self.disk.describe_pending(), self.disk.trace());
        // Nothing of this machine may go on while it is taken apart.
        super::life::cut(&self.disk);
        let summary = self.summary.clone();
        Box::new(Failure { breach, plan: plan.clone(), at, summary, pending, trace })
    }

    fn event(&mut self, event: &Event) -> Result<(), Breach> {
        *self.summary.events.entry(event.name()).or_default() += 1;
        match *event {
            Event::Crash { after, stop, hurdles, twice } => {
                self.arm(after, Armed { stop, hurdles, twice })?;
            }
            Event::Fault { trouble, after, forever } => self.begin(trouble, after, forever),
            Event::Damage { file, offset, rot } => self.damage(file, offset.into(), rot)?,
            Event::Heal => self.heal(12)?,
            Event::SetClock { seconds } => {
                let jump = i64::from(seconds).saturating_mul(1_000_000_000);
                let now = self.clock.wall_nanos();
                self.clock.set_wall_nanos(now.saturating_add_signed(jump));
            }
            Event::Pass { seconds } => self.clock.advance(Duration::from_secs(seconds.into())),
            _ => {
                if self.ready()? {
                    self.use_engine(event)?;
                }
            }
        }
        self.look_at_machine()
    }

    fn use_engine(&mut self, event: &Event) -> Result<(), Breach> {
        match *event {
            Event::Submit { client, ask } => match self.order(ask) {
                Some((order, Way::Request)) => self.submit(client, order),
                Some((order, Way::Update)) => self.commit(order, Way::Update).map(drop),
                None => Ok(()),
            },
            Event::Try { client, ask } => match self.order(ask) {
                Some((order, Way::Request)) => self.try_submit(client, order),
                _ => Ok(()),
            },
            Event::Commit { ask } => self.commit_on(ask, Terms::default()),
            Event::Late { ask } => self.commit_on(ask, Terms { late: true, ..Terms::default() }),
            Event::Once { ask } => {
                self.commit_on(ask, Terms { rejects_duplicates: true, ..Terms::default() })
            }
            Event::Buffered { ask } => {
                self.commit_on(ask, Terms { buffered: true, ..Terms::default() })
            }
            Event::Fence { whose } => match self.name(whose) {
                Some(name) => {
                    self.make(Deed::Fence(name), Terms::default(), Way::Request).map(drop)
                }
                None => Ok(()),
            },
            Event::Resolve { whose } => match self.name(whose) {
                Some(name) => self.resolve(name),
                None => Ok(()),
            },
            Event::SetMode { read_only } => self.set_mode(read_only).map(drop),
            Event::Sync => self.sync(),
            Event::Applied => self.look_at_applied(),
            Event::Update { key, delta } => {
                let order = self.history.update(key, delta);
                self.commit(order, Way::Update).map(drop)
            }
            Event::Poll { client, ticket } => self.poll(client, ticket),
            Event::Wait { client, ticket } => self.wait(client, ticket),
            Event::Forget { client, ticket } => {
                self.forget(client, ticket);
                Ok(())
            }
            Event::Get { key } => self.get(record(key)),
            Event::Range { from, backwards } => self.range(record(from), backwards),
            Event::Hold => {
                self.hold();
                Ok(())
            }
            Event::Look { snapshot, keep } => self.look(snapshot, keep),
            Event::Step => {
                let done = self.engine().run_background_step().map(drop);
                self.done(done, "background work")
            }
            Event::Checkpoint => {
                let done = self.engine().checkpoint();
                self.done(done, "a checkpoint")
            }
            Event::Close => self.close(),
            _ => unreachable!("it is handled where no engine is needed"),
        }
    }

    /// The order for what is asked.
    pub(super) fn order(&mut self, ask: Ask) -> Option<(Order, Way)> {
        let now_millis = match ask {
            Ask::Dated(..) => self.clock.wall_nanos() / 1_000_000,
            _ => 0,
        };
        self.history.order(ask, &self.mirror, now_millis)
    }

    /// Commits what is asked on these terms; a closure has none.
    fn commit_on(&mut self, ask: Ask, terms: Terms) -> Result<(), Breach> {
        match self.order(ask) {
            Some((order, Way::Request)) => self.make(order.into(), terms, Way::Request).map(drop),
            Some((order, Way::Update)) => self.commit(order, Way::Update).map(drop),
            None => Ok(()),
        }
    }

    fn name(&mut self, whose: Whose) -> Option<u64> {
        match whose {
            Whose::Asked(back) => self.history.name_of(back),
            Whose::New => Some(self.history.unasked()),
        }
    }

    /// True when that is done.
    pub(super) fn set_mode(&mut self, read_only: bool) -> Result<bool, Breach> {
        let reason = || "resting".to_owned();
        let mode = if read_only { Mode::ReadOnly { reason: reason() } } else { Mode::ReadWrite };
        self.make(Deed::Mode(mode), Terms::default(), Way::Request)
    }

    /// Sees to it that writes are taken, unless the machine fails.
    pub(super) fn take_writes(&mut self) -> Result<bool, Breach> {
        match self.mirror.applied().mode() {
            Mode::ReadWrite => Ok(true),
            Mode::ReadOnly { .. } => self.set_mode(false),
        }
    }

    fn sync(&mut self) -> Result<(), Breach> {
        let done = self.engine().sync();
        self.look_around()?;
        match done {
            Ok(last) => self.mirror.synced(last),
            Err(error) => self.excuse(&error, || "a sync".to_owned()),
        }
    }

    /// The engine, of which the caller knows that it is open.
    pub(super) fn engine(&self) -> &Engine {
        self.open.as_ref().expect("an engine is open")
    }

    /// Takes in what became durable.
    pub(super) fn look_around(&mut self) -> Result<(), Breach> {
        match &self.open {
            Some(engine) => self.mirror.observe(engine.durable_seq()),
            None => Ok(()),
        }
    }

    fn done(&mut self, done: Result<(), Error>, what: &str) -> Result<(), Breach> {
        self.look_around()?;
        done.or_else(|error| self.excuse(&error, || what.to_owned()))
    }

    /// Whether the machine gives reasons to fail.
    pub(super) fn is_shaky(&self) -> bool {
        self.disk.powered_off() || !self.troubles.is_empty()
    }

    /// An error is no breach while the machine fails and the error is one that says so.
    pub(super) fn excuse(
        &mut self,
        error: &Error,
        what: impl FnOnce() -> String,
    ) -> Result<(), Breach> {
        let due = matches!(
            error.kind(),
            ErrorKind::Io | ErrorKind::NoSpace | ErrorKind::Poisoned | ErrorKind::Indeterminate
        );
        // A full disk is said to be full, and ends nothing, unless something else did before.
        let too_much =
            self.only_wants_room() && !self.mirror.stopped && error.kind() != ErrorKind::NoSpace;
        if !self.is_shaky() || !due || too_much {
            return Err(Breach::new(Law::Healing, format!("{}: {error}", what())));
        }
        self.mirror.stopped |=
            matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Indeterminate);
        self.out_of_room(error);
        Ok(())
    }

    /// Some operations, of all kinds, that must succeed unless the machine fails.
    pub(super) fn go_on(&mut self, count: u64) -> Result<(), Breach> {
        if count > 0 {
            self.take_writes()?;
        }
        for n in 0..count {
            let key = (n % 9) as u8;
            let ask = match n % 7 {
                0 => Ask::Swap(key),
                1 => Ask::Add(key, 1),
                2 => Ask::Batch(key),
                3 => Ask::Delete(key),
                4 => Ask::Retry(n as u8),
                5 => Ask::Plain(key),
                _ => Ask::Insert(key),
            };
            let Some((order, way)) = self.order(ask) else { continue };
            self.commit(order, way)?;
        }
        Ok(())
    }
}
