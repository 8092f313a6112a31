//! A run that broke a law.

use super::{
    super::laws::{Breach, Law},
    plan::Plan,
    summary::Summary,
};
use std::fmt;

/// A plan that broke a law. Printed, it is all that is needed to see it again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// What was broken.
    pub breach: Breach,
    /// The plan.
    pub plan: Plan,
    /// The event that showed it, counted from 0; as many as there are when it was the checks at the end.
    pub at: usize,
    /// What had been done until then.
    pub summary: Summary,
    /// What was pending on the disk.
    pub pending: Vec<String>,
    /// What had been done to the disk since the machine was last turned on.
    pub trace: Vec<String>,
}

impl Failure {
    /// The law that was broken.
    #[must_use]
    pub const fn law(&self) -> Law {
        self.breach.law
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { breach, plan, at, summary, pending, trace } = self;
        writeln!(f, "{}", breach.law)?;
        writeln!(f, "  {:?}: {}", breach.kind, breach.what)?;
        writeln!(f, "  seed {}, event {at} of {}", plan.seed, plan.events.len())?;
        let (crashes, again) = (summary.crashes, summary.recovery_crashes);
        writeln!(f, "  after {crashes} crashes and {again} during recoveries; since then:")?;
        for (number, call) in (1..).zip(trace) {
            writeln!(f, "  call {number}: {call}")?;
        }
        for (unit, pending) in pending.iter().enumerate() {
            writeln!(f, "  unit {unit}: {pending}")?;
        }
        writeln!(f, "{}", plan.test())
    }
}

impl Plan {
    /// The plan as a test that fails as long as it breaks a law.
    #[must_use]
    pub fn test(&self) -> String {
        let seed = self.seed;
        let run = format!("{self:?}.run().unwrap();").replace('\n', "\n    ");
        format!(
            "#[test]\nfn plan_{seed}() {{\n    {}\n    {run}\n}}",
            Self::USE.replace('\n', "\n    ")
        )
    }
}

impl std::error::Error for Failure {}
