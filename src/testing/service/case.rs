//! One crash of a service, as data: what a failure prints, and what can be run again.

use super::{super::crash::End, summary::Summary};
use serde::Serialize;
use std::{error::Error, fmt};

/// A crash, and how the disk came up. Shown, it is the expression that makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Where the random numbers come from.
    pub seed: u64,
    /// The changing call, counted from the opening, right before which the power was cut.
    pub crash_at: u64,
    /// How.
    pub end: End,
}

/// When something was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Stage {
    /// While the scene was set.
    Preparing,
    /// While the service worked and nothing disturbed it.
    Undisturbed,
    /// While it worked, until the power failed.
    Working,
    /// While the database was opened after the crash: that is this crate's fault.
    Opening,
    /// In the check after the crash.
    AfterCrash,
    /// While the service went on with its work.
    Restarted,
    /// In the check after it had done all of it.
    AfterRestart,
    /// When the entries of the log were decided once more, by the code that made them.
    Replayed,
}

/// Something was wrong. Printed, it is all that is needed to see it again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// When.
    pub stage: Stage,
    /// What: the error of a closure, or its panic.
    pub what: String,
    /// The crash, if there was one.
    pub case: Option<Case>,
    /// The facts of the journal by then.
    pub facts: Vec<String>,
    /// What was pending at the cut, by unit.
    pub pending: Vec<String>,
    /// What had been done to the disk since the opening.
    pub trace: Vec<String>,
    /// What had been explored by then.
    pub summary: Summary,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, crash_at, end } = self;
        write!(f, "Case {{ seed: {seed}, crash_at: {crash_at}, end: ")?;
        match end {
            End::Kill => f.write_str("End::Kill")?,
            End::PowerCut(choice) => write!(f, "End::PowerCut(Choice::{choice:?})")?,
        }
        f.write_str(" }")
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preparing => "while the scene was set",
            Self::Undisturbed => "without any crash",
            Self::Working => "while the power failed",
            Self::Opening => "opening after the crash",
            Self::AfterCrash => "after the crash",
            Self::Restarted => "going on after the crash",
            Self::AfterRestart => "after going on to the end",
            Self::Replayed => "replaying the log",
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.stage, self.what)?;
        writeln!(f, "  told by then: {}", self.facts.join(", "))?;
        if let Some(case) = &self.case {
            writeln!(f, "  to run it again: exploration.run_case(&{case})")?;
        }
        for (number, call) in (1..).zip(&self.trace) {
            writeln!(f, "  call {number}: {call}")?;
        }
        for (unit, pending) in self.pending.iter().enumerate() {
            writeln!(f, "  pending {unit}: {pending}")?;
        }
        write!(f, "  found after: {}", self.summary)
    }
}

impl Error for Failure {}
