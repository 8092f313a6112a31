//! What the engine tells of the totals it keeps, and of what must be true of them.

use super::{Engine, core::Core, reentrancy};
use crate::{
    admission::rules::{Enforcement, Severity, SumInvariant},
    base::{Bytes, Recorded, RuleKind, SeqNo, Totals},
};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// The totals that are kept, as of one durable entry; from [`Engine::totals`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TotalsReport {
    /// The entry they are after.
    pub seq: SeqNo,
    /// The totals, by name.
    pub totals: Vec<TotalStatus>,
    /// What this engine holds them against.
    pub invariants: Vec<SumInvariantStatus>,
}

/// A total. `Debug` does not show what it is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TotalStatus {
    /// The name of the keyspace whose records it sums up.
    pub keyspace: String,
    /// Its own name.
    pub total: String,
    /// What it is.
    pub value: i128,
}

/// An invariant of totals, and how it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SumInvariantStatus {
    /// Its name.
    pub invariant: String,
    /// How bad it is when it does not hold.
    pub severity: Severity,
    /// What is done about it.
    pub enforcement: Enforcement,
    /// How many requests were carried out since the opening that broke it, or left it broken, by another value of one of its totals; of
    /// an audit 1 when it does not hold.
    pub violations: u64,
}

impl fmt::Debug for TotalStatus {
    // The number is made of values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TotalStatus")
            .field("keyspace", &self.keyspace)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

impl TotalsReport {
    /// The total of that name, if there is one.
    #[must_use]
    pub fn get(&self, total: &str) -> Option<i128> {
        self.totals.iter().find(|there| there.total == total).map(|there| there.value)
    }
}

impl SumInvariantStatus {
    pub(super) fn new(invariant: &SumInvariant, violations: u64) -> Self {
        let (severity, enforcement) = invariant.how();
        Self { invariant: invariant.name().to_owned(), severity, enforcement, violations }
    }
}

impl Engine {
    /// The totals of the durable state, and how often those [invariants](crate::SumInvariant) of them broke since the opening that are only
    /// [monitored](Enforcement::Monitor). Does no I/O. An engine that only reads tells the totals that were kept when the database
    /// was last written.
    ///
    /// ```
    /// use steadfast::{Engine, Expect, Keyspace, Request, Rules, Total};
    ///
    /// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    ///
    /// let units = Total::new("units", |_: &u64, units: &u32| (*units).into());
    /// let engine = Engine::builder().rules(Rules::of(&STOCK).total(units)).in_memory()?;
    /// engine.commit(Request::unkeyed().put(&STOCK, &12, &7, Expect::Any))?.committed()?;
    /// let report = engine.totals();
    /// assert_eq!((report.seq, report.totals[0].value), (engine.durable_seq(), 7));
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    #[must_use]
    pub fn totals(&self) -> TotalsReport {
        reentrancy::assert_outside("totals");
        let core = self.core();
        let tallies = core.monitored.lock().clone();
        let (seq, totals, rules) = core.durable_totals();
        let of_total = |(name, value): (&Bytes, &i128)| TotalStatus {
            keyspace: keyspace_of(&rules, name),
            total: text(name),
            value: *value,
        };
        let status = |invariant: &SumInvariant| {
            let tally = tallies.get(invariant.name());
            SumInvariantStatus::new(invariant, tally.map_or(0, |tally| tally.violations))
        };
        TotalsReport {
            seq,
            totals: totals.iter().map(of_total).collect(),
            invariants: core.rules.sums().iter().map(status).collect(),
        }
    }
}

impl Core {
    /// The totals after the last durable entry, with that, and the rules that say what they are of.
    fn durable_totals(&self) -> (SeqNo, Arc<Totals>, Recorded) {
        let sequencer = self.sequencer.lock();
        let recorded = self.unrecorded(&sequencer).unwrap_or(&sequencer.fold.control.rules);
        (sequencer.durable, sequencer.durable_totals.clone(), recorded.clone())
    }
}

/// The keyspace of a total.
pub(super) fn keyspace_of(rules: &Recorded, total: &[u8]) -> String {
    let kept = |kind: RuleKind| kind == RuleKind::Total;
    let mut set = rules.set.keys().filter(|rule| kept(rule.kind));
    set.find(|rule| rule.name[..] == *total).map_or_else(String::new, |rule| text(&rule.keyspace))
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
