//! Holding all records against rules, and counting totals anew, as of one moment.

use super::{
    Engine, Snapshot,
    audit_across::Across,
    core::Core,
    error::Error,
    iter::Of,
    merge::{Chunk, Layers, Merge},
    rules::{AuditReport, AuditedTotal, Tallies, Tally},
    totals::{SumInvariantStatus, text},
};
use crate::{
    admission::{
        keyspaces::compare,
        rules::{
            CrossJudge, Enforcement, JudgedSum, Monitored, RuleBook, Ruled, SumInvariant, Sums,
            Unjudged, judge_sum,
        },
    },
    base::{Bytes, LogTime, Row, Totals},
    codec::ByteRange,
};
use std::collections::BTreeSet;

/// What an audit looks at, by name.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub invariants: BTreeSet<Bytes>,
    pub totals: BTreeSet<Bytes>,
    pub sums: BTreeSet<Bytes>,
    /// Of the records, those that are in memory: they changed since the checkpoint.
    pub touched: bool,
}

impl Scope {
    /// All that there is.
    pub(super) fn of(rules: &RuleBook) -> Self {
        let mut this = Self::default();
        let bytes = |name: &'static str| Bytes::from_static(name.as_bytes());
        for rules in rules.all() {
            this.invariants.extend(rules.judge.invariants().iter().map(|(name, ..)| bytes(name)));
            this.totals.extend(rules.judge.totals().into_iter().map(bytes));
        }
        this.invariants.extend(rules.across().iter().map(|rule| bytes(rule.name())));
        this.sums.extend(rules.sums().iter().map(|sum| bytes(sum.name())));
        this
    }

    /// Of records that changed since the checkpoint alone: no total can be counted in them. Invariants across records are held against all
    /// anchors: what one of them reads may have changed.
    pub(super) fn of_touched(self) -> Self {
        Self { totals: BTreeSet::new(), touched: true, ..self }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.invariants.is_empty() && self.totals.is_empty() && self.sums.is_empty()
    }

    /// Whether the records of these rules are to be looked at.
    fn looks_at(&self, rules: &Ruled) -> bool {
        let mut invariants = rules.judge.invariants().into_iter();
        let mut totals = rules.judge.totals().into_iter();
        invariants.any(|(name, ..)| self.invariants.contains(name.as_bytes()))
            || totals.any(|name| self.totals.contains(name.as_bytes()))
    }

    /// Whether any of these rules refuses what can't be judged.
    fn enforces(&self, rules: &Ruled) -> bool {
        rules.judge.invariants().into_iter().any(|(name, _, enforcement)| {
            enforcement == Enforcement::Enforce && self.invariants.contains(name.as_bytes())
        })
    }

    /// Whether it is in scope itself, or one of the totals it is about.
    fn holds_sums(&self, sum: &SumInvariant) -> bool {
        self.sums.contains(sum.name().as_bytes())
            || sum.totals().iter().any(|name| self.totals.contains(name.as_bytes()))
    }
}

/// What an audit has found so far.
struct Audit<'a> {
    scope: &'a Scope,
    records: u64,
    tallies: Tallies,
    unjudged: Tally,
    sums: Sums,
    /// Totals that a record can't be counted in.
    uncounted: BTreeSet<&'static str>,
    /// Keyspaces in which an enforced invariant could not be held against so many records.
    obstacles: Vec<(String, u64)>,
}

/// The records an audit looks at.
struct Looked<'a> {
    of: Of<'a>,
    touched: bool,
}

impl Layers for Looked<'_> {
    fn fetch(&mut self, layer: usize, range: &ByteRange, reverse: bool) -> Result<Chunk, Error> {
        // The last layer is the checkpoint.
        match (layer, self.touched) {
            (2, true) => Ok(Chunk::none()),
            _ => self.of.fetch(layer, range, reverse),
        }
    }
}

impl Engine {
    /// Looks at what is in scope. Says also in which keyspaces records can't be judged although an invariant is to be enforced, and how
    /// many.
    pub(super) fn audit_within(
        &self,
        scope: &Scope,
    ) -> Result<(AuditReport, Vec<(String, u64)>), Error> {
        let core = self.core();
        let (snapshot, kept) = Snapshot::with_totals(self.0.core.clone());
        let mut audit = Audit {
            scope,
            records: 0,
            tallies: Tallies::new(),
            unjudged: Tally::default(),
            sums: Sums::default(),
            uncounted: BTreeSet::new(),
            obstacles: Vec::new(),
        };
        // Not before the last entry that the snapshot shows.
        let time = core.log_time(&mut core.sequencer.lock());
        for rules in core.rules.keyspaces() {
            audit.keyspace(core, &snapshot, rules)?;
        }
        audit.across(core, &Across { core, snapshot: &snapshot, time })?;
        Ok(audit.report(core, &snapshot, time, &kept))
    }
}

impl Audit<'_> {
    fn keyspace(&mut self, core: &Core, snapshot: &Snapshot, rules: &[Ruled]) -> Result<(), Error> {
        let identity = &rules[0].identity;
        let stored = core.registry.read().at(&identity.name, snapshot.seq());
        let rules: Vec<_> = rules.iter().filter(|rules| self.scope.looks_at(rules)).collect();
        let Some(stored) = stored.filter(|_| !rules.is_empty()) else { return Ok(()) };
        if let Some(differs) = rules.iter().find_map(|rules| compare(&rules.identity, &stored)) {
            return Err(Error::KeyspaceMismatch { name: text(&identity.name), differs });
        }
        let mut obstacles = 0;
        let of = Of { snapshot, id: stored.id };
        let mut layers = Looked { of, touched: self.scope.touched };
        let (mut merge, mut left) = (Merge::<3>::new(false), ByteRange::of_bytes(Vec::new()));
        while let Some((key, row)) = merge.next(&mut layers, &mut left, usize::MAX)? {
            obstacles += u64::from(self.record(&rules, key, &row));
        }
        if obstacles > 0 {
            self.obstacles.push((text(&identity.name), obstacles));
        }
        Ok(())
    }

    /// Holds all anchors against the invariants across records.
    fn across(&mut self, core: &Core, across: &Across<'_>) -> Result<(), Error> {
        let in_scope =
            |rule: &dyn CrossJudge| self.scope.invariants.contains(rule.name().as_bytes());
        self.records += across.audit(&in_scope, &mut self.tallies, &mut self.unjudged)?;
        for rule in core.rules.across() {
            let unjudged = self.tallies.get(rule.name()).map_or(0, |tally| tally.unjudged);
            if unjudged > 0 && rule.how().1 == Enforcement::Enforce {
                self.obstacles.push((text(&rule.anchor().name), unjudged));
            }
        }
        Ok(())
    }

    /// Holds a record against all rules of its keyspace; whether one of them could not be and is to be enforced.
    fn record(&mut self, rules: &[&Ruled], key: Bytes, row: &Row) -> bool {
        let (mut unjudged, mut obstacle) = (false, false);
        for rules in rules {
            if self.judge(rules, &key, row).is_err() {
                unjudged = true;
                obstacle |= self.scope.enforces(rules);
            }
        }
        self.records += 1;
        if unjudged {
            self.unjudged.note(Some(key));
        }
        obstacle
    }

    fn judge(&mut self, rules: &Ruled, key: &Bytes, row: &Row) -> Result<(), Unjudged> {
        let counted = rules.judge.sum(key, None, Some(row), &mut self.sums);
        if counted.is_err() {
            self.uncounted.extend(rules.judge.totals());
        }
        let mut broken = Vec::new();
        let judged = rules.judge.audit(key, row, &mut broken);
        for (invariant, ..) in rules.judge.invariants() {
            let tally = self.tallies.entry(invariant).or_default();
            tally.checked += u64::from(judged.is_ok());
            tally.unjudged += u64::from(judged.is_err());
        }
        for Monitored { invariant, key } in broken {
            if self.scope.invariants.contains(invariant.as_bytes()) {
                self.tallies.entry(invariant).or_default().note(key);
            }
        }
        counted.and(judged)
    }

    /// What the records come to in a total.
    fn counted(&self, total: &'static str) -> Option<i128> {
        let sum = self.sums.iter().find(|(name, _)| *name == total).map(|(_, sum)| sum);
        sum.unwrap_or_default().value().filter(|_| !self.uncounted.contains(total))
    }

    fn totals(&self, core: &Core, kept: &Totals) -> Vec<AuditedTotal> {
        let mut totals = Vec::new();
        for Ruled { identity, judge, .. } in core.rules.all() {
            let names = judge.totals().into_iter();
            for name in names.filter(|name| self.scope.totals.contains(name.as_bytes())) {
                totals.push(AuditedTotal {
                    keyspace: text(&identity.name),
                    total: name.to_owned(),
                    kept: kept.get(name.as_bytes()).copied(),
                    counted: self.counted(name),
                });
            }
        }
        totals
    }

    /// The invariants of totals, held against what was counted, and what is kept of others.
    fn sum_invariants(&self, core: &Core, kept: &Totals) -> Vec<SumInvariantStatus> {
        let value = |name: &'static str| {
            if self.scope.totals.contains(name.as_bytes()) {
                self.counted(name)
            } else {
                kept.get(name.as_bytes()).copied()
            }
        };
        let in_scope = core.rules.sums().iter().filter(|sum| self.scope.holds_sums(sum));
        let status = |sum: &SumInvariant| {
            let known = sum.totals().iter().all(|name| value(name).is_some());
            let held = |name: &'static str| value(name).unwrap_or_default();
            let holds = known && matches!(judge_sum(sum, held), Ok(JudgedSum::Holds));
            SumInvariantStatus::new(sum, u64::from(!holds))
        };
        in_scope.map(status).collect()
    }

    fn report(
        self,
        core: &Core,
        snapshot: &Snapshot,
        time: LogTime,
        kept: &Totals,
    ) -> (AuditReport, Vec<(String, u64)>) {
        let mut invariants = core.statuses(&self.tallies);
        invariants.retain(|status| self.scope.invariants.contains(status.invariant.as_bytes()));
        let report = AuditReport {
            seq: snapshot.seq(),
            time,
            records: self.records,
            invariants,
            totals: self.totals(core, kept),
            sum_invariants: self.sum_invariants(core, kept),
            unjudged: self.unjudged.violations,
            unjudged_samples: self.unjudged.samples,
        };
        (report, self.obstacles)
    }
}
