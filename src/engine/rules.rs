//! What the engine tells of its rules: how often those broke that are only monitored, and whether all records keep them.

use super::{Engine, SumInvariantStatus, audit::Scope, core::Core, error::Error, reentrancy};
use crate::{
    admission::{
        keyspaces::Mismatch,
        rules::{Enforcement, Monitored, Ruled, Severity, Unjudged},
    },
    base::{Bytes, LogTime, SeqNo},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Keys that are kept of records that break one invariant.
const SAMPLES: usize = 8;

/// An invariant, and how it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InvariantStatus {
    /// The name of the keyspace; for an invariant across records, that of its anchors.
    pub keyspace: String,
    /// Its own name.
    pub invariant: String,
    /// How bad it is when it does not hold.
    pub severity: Severity,
    /// What is done about it.
    pub enforcement: Enforcement,
    /// How many records broke it.
    pub violations: u64,
    /// The encoded keys of up to eight of them, the last ones; an empty one where a rule across records could not say which.
    pub samples: Vec<Bytes>,
    /// By an audit: how many records were held against it. [`Engine::rules`] does not count them.
    pub checked: u64,
    /// By an audit: how many could not be.
    pub unjudged: u64,
}

/// What came of holding every record against the invariants; from [`Engine::audit`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditReport {
    /// The state that was looked at: that after this entry.
    pub seq: SeqNo,
    /// The log time at which it was, which invariants across records are told.
    pub time: LogTime,
    /// How many records were looked at.
    pub records: u64,
    /// Every invariant, enforced or monitored.
    pub invariants: Vec<InvariantStatus>,
    /// How many records could not be judged: they do not decode as the rules say, or an invariant panicked on them. By an invariant
    /// across records a record is judged again.
    pub unjudged: u64,
    /// The encoded keys of up to eight of them, the last ones.
    pub unjudged_samples: Vec<Bytes>,
    /// Every total, counted anew.
    pub totals: Vec<AuditedTotal>,
    /// Every invariant of totals, held against what was counted.
    pub sum_invariants: Vec<SumInvariantStatus>,
}

/// A total that was counted anew. `Debug` does not show what it is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditedTotal {
    /// The name of the keyspace whose records it sums up.
    pub keyspace: String,
    /// Its own name.
    pub total: String,
    /// What was kept; `None` where none of that name was.
    pub kept: Option<i128>,
    /// What the records come to; `None` where that is more than 128 bits hold, or a record can't be judged.
    pub counted: Option<i128>,
}

impl AuditedTotal {
    /// Whether what was kept is what the records come to.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.counted.is_some() && self.kept == self.counted
    }
}

impl fmt::Debug for AuditedTotal {
    // The numbers are made of values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditedTotal")
            .field("keyspace", &self.keyspace)
            .field("total", &self.total)
            .field("agrees", &self.agrees())
            .finish_non_exhaustive()
    }
}

impl AuditReport {
    /// Whether every invariant holds of every record and of the totals, none is left unjudged, and the totals that are kept are what the
    /// records come to.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.unjudged == 0
            && self.invariants.iter().all(|invariant| invariant.violations == 0)
            && self.totals.iter().all(AuditedTotal::agrees)
            && self.sum_invariants.iter().all(|invariant| invariant.violations == 0)
    }
}

/// How often an invariant broke, and where.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) violations: u64,
    pub(super) samples: Vec<Bytes>,
    pub(super) checked: u64,
    pub(super) unjudged: u64,
}

impl Tally {
    /// One more; of totals without a record.
    pub(super) fn note(&mut self, key: Option<Bytes>) {
        self.violations += 1;
        let Some(key) = key else { return };
        if self.samples.len() == SAMPLES {
            self.samples.remove(0);
        }
        self.samples.push(key);
    }
}

/// By the name of the invariant.
pub(super) type Tallies = BTreeMap<&'static str, Tally>;

impl Engine {
    /// The invariants of records this engine has (those of totals are in [`totals`](Self::totals)), and how often those broke since the opening that are only
    /// [monitored](Enforcement::Monitor), by requests that were carried out, durable or not. Does no I/O.
    ///
    /// ```
    /// use steadfast::{Enforcement, Engine, Expect, Invariant, Keyspace, Request, Rules, Violation};
    ///
    /// const STOCK: Keyspace<u64, i64> = Keyspace::new("stock");
    ///
    /// let known = Invariant::new("counted", |_: &u64, units: &i64| {
    ///     if *units < 0 { Err(Violation::new("below 0")) } else { Ok(()) }
    /// });
    /// let rules = Rules::of(&STOCK).invariant(known.enforcement(Enforcement::Monitor));
    /// let engine = Engine::builder().rules(rules).in_memory()?;
    /// engine.commit(Request::unkeyed().put(&STOCK, &12, &-1, Expect::Any))?.committed()?;
    /// assert_eq!(engine.rules()[0].violations, 1);
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    #[must_use]
    pub fn rules(&self) -> Vec<InvariantStatus> {
        let core = self.core();
        let tallies = core.monitored.lock().clone();
        core.statuses(&tallies)
    }

    /// Holds every durable record of the keyspaces that have invariants against them, those across records included, and counts totals
    /// anew, as of one moment. Reads all of them, which takes as long as that does; others read and write meanwhile. Changes nothing.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let dir = dir.path();
    /// use steadfast::{Engine, Expect, Invariant, Keyspace, Request, Rules, Violation};
    ///
    /// const STOCK: Keyspace<u64, i64> = Keyspace::new("stock");
    ///
    /// let engine = Engine::open(dir)?;
    /// engine.commit(Request::unkeyed().put(&STOCK, &12, &-1, Expect::Any))?.committed()?;
    /// engine.close()?;
    ///
    /// // A rule that came later.
    /// let counted = Invariant::new("counted", |_: &u64, units: &i64| {
    ///     if *units < 0 { Err(Violation::new("below 0")) } else { Ok(()) }
    /// });
    /// let engine = Engine::builder().rules(Rules::of(&STOCK).invariant(counted)).open(dir)?;
    /// let report = engine.audit()?;
    /// assert!(!report.holds());
    /// assert_eq!((report.records, report.invariants[0].violations), (1, 1));
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyspaceMismatch`]; [`Error::Corruption`] or [`Error::Poisoned`] from the checkpoint; [`Error::Closed`];
    /// [`Error::Reentrant`]; [`Error::Forked`].
    pub fn audit(&self) -> Result<AuditReport, Error> {
        self.check_open()?;
        self.enter("audit")?;
        Ok(self.audit_within(&Scope::of(&self.core().rules))?.0)
    }
}

impl Core {
    /// While a request is admitted, with the sequencer's lock held: code of rules must call no engine.
    pub(super) fn enter_rules(&self) -> Option<[reentrancy::Inside; 2]> {
        (!self.rules.is_empty()).then(reentrancy::enter_procedure)
    }

    /// Counts what broke and is only monitored.
    pub(super) fn count(&self, monitored: Vec<Monitored>) {
        if monitored.is_empty() {
            return;
        }
        let mut tallies = self.monitored.lock();
        for Monitored { invariant, key } in monitored {
            tallies.entry(invariant).or_default().note(key);
        }
    }

    pub(super) fn statuses(&self, tallies: &Tallies) -> Vec<InvariantStatus> {
        let of_records = self.rules.all().flat_map(|Ruled { identity, judge, .. }| {
            judge
                .invariants()
                .into_iter()
                .map(move |(name, severity, how)| (identity, name, severity, how))
        });
        let across = self.rules.across().iter().map(|rule| {
            let (severity, how) = rule.how();
            (rule.anchor(), rule.name(), severity, how)
        });
        let all = of_records.chain(across);
        all.map(|(identity, invariant, severity, enforcement)| {
            let tally = tallies.get(invariant).cloned().unwrap_or_default();
            InvariantStatus {
                keyspace: String::from_utf8_lossy(&identity.name).into_owned(),
                invariant: invariant.to_owned(),
                severity,
                enforcement,
                violations: tally.violations,
                samples: tally.samples,
                checked: tally.checked,
                unjudged: tally.unjudged,
            }
        })
        .collect()
    }
}

impl From<Unjudged> for Error {
    fn from(unjudged: Unjudged) -> Self {
        match unjudged {
            Unjudged::Codec(error) => error.into(),
            Unjudged::Panicked(what) => Self::Panicked { what },
            Unjudged::Keyspace(Mismatch { name, differs }) => Self::KeyspaceMismatch {
                name: String::from_utf8_lossy(&name).into_owned(),
                differs,
            },
            Unjudged::Limit(limit) => Self::Limit(limit),
            Unjudged::Shape(error) => error.into(),
        }
    }
}
