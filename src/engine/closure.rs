//! What an incident came to.

use super::{AuditReport, KeyStatus};
use crate::{base::SeqNo, recovery::RecoveryReport};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which records are held against the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Audit {
    /// Those that changed since the last checkpoint. Totals are taken as they are kept.
    Touched,
    /// All, and every total is counted anew.
    Full,
}

/// What became of the keys that callers had no answer for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reconciliation {
    /// How many keys were asked for.
    pub asked: u64,
    /// Carried out.
    pub committed: u64,
    /// Refused for ever.
    pub rejected: u64,
    /// Decided so long ago that only that is known.
    pub stubs: u64,
    /// Fenced before.
    pub fenced: u64,
    /// Not remembered, and fenced now.
    pub fenced_now: u64,
    /// Not remembered, and left so.
    pub left: u64,
}

/// What an opening in steps found, did and compared; the end of an incident. From [`Verified::close`](crate::Verified::close).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClosureReport {
    /// What was found, replayed and cut off, and which digests agree.
    pub recovery: RecoveryReport,
    /// What became of the keys in doubt.
    pub reconciliation: Reconciliation,
    /// Which records were held against the rules. [`Audit::Full`] also where less was asked for, if a checkpoint was written while opening.
    pub coverage: Audit,
    /// Every invariant, and what was found of it.
    pub audit: AuditReport,
    /// Whether anything is left to be done.
    pub verdict: ClosureVerdict,
    /// Whether the engine takes no writes, since an enforced rule is broken.
    pub refuses_writes: bool,
    /// The entry of the log that holds this report, in words; `None` where it could not be written.
    pub entry: Option<SeqNo>,
}

/// Whether anything is left to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ClosureVerdict {
    /// Nothing.
    Clean,
    /// The database is served, and somebody has to look at this.
    Conditional {
        /// What is left, without keys and values.
        why: Vec<String>,
    },
}

impl Reconciliation {
    pub(super) fn note(&mut self, status: &KeyStatus, fenced: bool) {
        self.asked += 1;
        *match status {
            KeyStatus::Committed(_) => &mut self.committed,
            KeyStatus::Rejected { .. } => &mut self.rejected,
            KeyStatus::Stub { .. } => &mut self.stubs,
            KeyStatus::Fenced { .. } => &mut self.fenced,
            KeyStatus::NotRemembered { .. } if fenced => &mut self.fenced_now,
            KeyStatus::NotRemembered { .. } => &mut self.left,
        } += 1;
    }
}

impl ClosureVerdict {
    pub(super) fn of(why: Vec<String>) -> Self {
        if why.is_empty() { Self::Clean } else { Self::Conditional { why } }
    }

    pub(super) fn also(&mut self, more: String) {
        match self {
            Self::Clean => *self = Self::Conditional { why: vec![more] },
            Self::Conditional { why } => why.push(more),
        }
    }
}

impl fmt::Display for ClosureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.recovery)?;
        let Reconciliation { asked, committed, rejected, stubs, fenced, fenced_now, left } =
            self.reconciliation;
        writeln!(
            f,
            "  in doubt    {asked} keys: {committed} carried out, {rejected} refused, {stubs} decided long ago, {fenced} fenced before, {fenced_now} fenced now, {left} left"
        )?;
        let which = match self.coverage {
            Audit::Touched => "changed since the checkpoint",
            Audit::Full => "in all",
        };
        let AuditReport { records, unjudged, invariants, sum_invariants, totals, .. } = &self.audit;
        writeln!(f, "  rules       {records} records {which}, {unjudged} could not be judged")?;
        for invariant in invariants {
            let (name, violations) = (&invariant.invariant, invariant.violations);
            writeln!(f, "              {name:?} is broken by {violations}")?;
        }
        for invariant in sum_invariants {
            let holds = if invariant.violations == 0 { "holds" } else { "does not hold" };
            writeln!(f, "              {:?} {holds}", invariant.invariant)?;
        }
        for total in totals {
            let agrees = if total.kept == total.counted { "is" } else { "is not" };
            writeln!(f, "              total {:?} {agrees} what it is counted as", total.total)?;
        }
        match &self.verdict {
            ClosureVerdict::Clean => write!(f, "  verdict     clean"),
            ClosureVerdict::Conditional { why } => {
                write!(f, "  verdict     conditional: {}", why.join("; "))
            }
        }
    }
}
