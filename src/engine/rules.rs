//! What the engine tells of its rules: how often those broke that are only monitored, and whether all records keep them.

use super::{
    Engine, audit_across::Across, core::Core, error::Error, iter::Of, merge::Merge, reentrancy,
};
use crate::{
    admission::{
        keyspaces::{Mismatch, compare},
        rules::{Enforcement, Monitored, Ruled, Severity, Unjudged},
    },
    base::{Bytes, LogTime, SeqNo},
    codec::ByteRange,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
}

impl AuditReport {
    /// Whether every invariant holds of every record, and none is left unjudged.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.unjudged == 0 && self.invariants.iter().all(|invariant| invariant.violations == 0)
    }
}

/// How often an invariant broke, and where.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    violations: u64,
    samples: Vec<Bytes>,
    pub checked: u64,
    pub unjudged: u64,
}

impl Tally {
    pub(super) fn note(&mut self, key: Bytes) {
        self.violations += 1;
        if self.samples.len() == SAMPLES {
            self.samples.remove(0);
        }
        self.samples.push(key);
    }
}

/// By the name of the invariant.
pub(super) type Tallies = BTreeMap<&'static str, Tally>;

impl Engine {
    /// The invariants this engine has, and how often those broke since the opening that are only
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

    /// Holds every durable record of the keyspaces that have invariants against them, as of one moment, those across records
    /// included. Reads all of them, which takes as long as that does; others read and write meanwhile. Changes nothing.
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
        let (core, snapshot) = (self.core(), self.snapshot());
        // Not before the last entry that the snapshot shows.
        let time = core.log_time(&mut core.sequencer.lock());
        let (mut records, mut tallies, mut unjudged) = (0, Tallies::new(), Tally::default());
        for rules in core.rules.keyspaces() {
            let identity = &rules[0].identity;
            let stored = core.registry.read().at(&identity.name, snapshot.seq());
            let judged = rules.iter().any(|rules| !rules.judge.invariants().is_empty());
            let Some(stored) = stored.filter(|_| judged) else { continue };
            if let Some(differs) = rules.iter().find_map(|rules| compare(&rules.identity, &stored))
            {
                let name = String::from_utf8_lossy(&identity.name).into_owned();
                return Err(Error::KeyspaceMismatch { name, differs });
            }
            let mut layers = Of { snapshot: &snapshot, id: stored.id };
            let (mut merge, mut left) = (Merge::<3>::new(false), ByteRange::of_bytes(Vec::new()));
            while let Some((key, row)) = merge.next(&mut layers, &mut left, usize::MAX)? {
                records += 1;
                let mut broken = Vec::new();
                let judged =
                    rules.iter().try_for_each(|rules| rules.judge.audit(&key, &row, &mut broken));
                for rules in rules {
                    for (invariant, ..) in rules.judge.invariants() {
                        let tally = tallies.entry(invariant).or_default();
                        tally.checked += u64::from(judged.is_ok());
                        tally.unjudged += u64::from(judged.is_err());
                    }
                }
                if judged.is_err() {
                    unjudged.note(key);
                }
                for Monitored { invariant, key } in broken {
                    tallies.entry(invariant).or_default().note(key);
                }
            }
        }
        let across = Across { core, snapshot: &snapshot, time };
        records += across.audit(&mut tallies, &mut unjudged)?;
        let invariants = core.statuses(&tallies);
        let Tally { violations, samples, .. } = unjudged;
        Ok(AuditReport {
            seq: snapshot.seq(),
            time,
            records,
            invariants,
            unjudged: violations,
            unjudged_samples: samples,
        })
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

    fn statuses(&self, tallies: &Tallies) -> Vec<InvariantStatus> {
        let of_records = self.rules.all().flat_map(|Ruled { identity, judge }| {
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
