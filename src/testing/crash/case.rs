//! One crash, as data: what a failure prints, and what can be run again.

use super::{
    super::laws::{Breach, Kind, Law},
    oracle::{Oracle, Problem, caught, cut_recovery},
    step::Step,
    world::{Machine, Start, World, cut},
};
use crate::disk::{Choice, Lie};
use std::fmt;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The process was killed: what it had written is there for the next one, and still pending.
    Kill,
    /// The power was cut: of what was pending this choice reached the disk.
    PowerCut(Choice),
}

/// One crash, and how the disk came up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Where the random numbers come from.
    pub seed: u64,
    /// What was there before.
    pub start: Start,
    /// What the disk only said it did.
    pub lie: Option<Lie>,
    /// What was done.
    pub steps: Vec<Step>,
    /// The changing call, counted from the opening, right before which it ended.
    pub crash_at: u64,
    /// How.
    pub end: End,
    /// The same for a power cut during recovery.
    pub again: Option<(u64, Choice)>,
}

/// A crash after which something was wrong. Printed, it is all that is needed to see it again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The crash.
    pub case: Case,
    /// The law that was broken.
    pub law: Law,
    /// What that means.
    pub kind: Kind,
    /// In words.
    pub what: String,
    /// What was pending at the cut, by unit.
    pub pending: Vec<String>,
    /// What had been done to the disk since the opening.
    pub trace: Vec<String>,
}

impl Case {
    /// Runs the case again.
    ///
    /// # Errors
    /// The [`Failure`], if it still fails.
    pub fn run(&self) -> Result<(), Box<Failure>> {
        let ended = caught(|| {
            let world = self.start.world(self.seed)?.lying(self.lie);
            world.run(&self.steps, Some(self.crash_at))
        });
        let ended = ended.map_err(|problem| self.failure(problem, Vec::new(), Vec::new()))?;
        let (pending, trace) = (ended.world.disk.describe_pending(), ended.world.disk.trace());
        let checked = caught(|| self.check(&ended.world));
        checked.map_err(|problem| self.failure(problem, pending, trace))
    }

    fn check(&self, cut_off: &World) -> Result<(), Problem> {
        let world = cut_off.after(&self.end);
        let mut oracle = Oracle::default();
        let Some((call, choice)) = &self.again else { return oracle.check(&world, false) };
        let whole = Machine::new(world.disk.snapshot(), &world, 0);
        let engine = whole.open().map_err(|error| Problem::refusal(&error))?;
        let (report, total) = (engine.recovery().clone(), whole.disk.io_count());
        cut(&whole.disk);
        drop(engine);
        let cut_off = cut_recovery(&world, *call, total)?;
        oracle.recover_again(&world, &cut_off, choice, *call > total, &report)
    }

    pub(super) fn failure(
        &self,
        problem: Problem,
        pending: Vec<String>,
        trace: Vec<String>,
    ) -> Box<Failure> {
        let Problem { breach: Breach { law, kind, what }, again } = problem;
        let case = Self { again: again.or_else(|| self.again.clone()), ..self.clone() };
        Box::new(Failure { case, law, kind, what, pending, trace })
    }
}

impl Failure {
    /// The failure of the same law with the fewest steps that leaving steps out leads to. Without them other calls are
    /// made, so the crash is looked for at each. A failure that is not seen again by its case stays as it is.
    #[must_use]
    pub fn shrink(&self) -> Self {
        let mut best = self.clone();
        let mut place = 0;
        while place < best.case.steps.len() {
            let mut steps = best.case.steps.clone();
            steps.remove(place);
            match best.case.with(steps).any_crash(self.law) {
                Some(failure) => best = failure,
                None => place += 1,
            }
        }
        best
    }
}

impl Case {
    fn with(&self, steps: Vec<Step>) -> Self {
        Self { steps, ..self.clone() }
    }

    /// The first crash, ending as this one does, that breaks a law.
    fn any_crash(&self, law: Law) -> Option<Failure> {
        let calls = caught(|| {
            let ended = self.start.world(self.seed)?.lying(self.lie).run(&self.steps, None)?;
            Ok(ended.marks.last().copied().unwrap_or(0))
        });
        let cases = (1..=calls.ok()? + 1).map(|crash_at| Self { crash_at, ..self.clone() });
        let failures = cases.filter_map(|case| case.run().err());
        failures.map(|failure| *failure).find(|failure| failure.law == law)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}: {}", self.kind, self.what)?;
        writeln!(f, "  {}", self.law)?;
        writeln!(f, "  {:?}", self.case)?;
        for (number, call) in (1..).zip(&self.trace) {
            writeln!(f, "  call {number}: {call}")?;
        }
        for (unit, pending) in self.pending.iter().enumerate() {
            writeln!(f, "  unit {unit}: {pending}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
