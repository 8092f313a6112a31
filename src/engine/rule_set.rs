//! The rules an engine was given against those its database was last written under. Where they are others, all records are held against
//! what is new before anything is written, and the first entry that is logged records the new set, with its totals.

use super::{
    Engine,
    audit::Scope,
    core::Core,
    error::Error,
    reentrancy,
    rules::{AuditReport, AuditedTotal},
    sequencer::Sequencer,
};
use crate::{
    admission::rules::Enforcement,
    base::{Recorded, RuleKind, RuleMark, RuleName, RuleSet, Totals, canary::canary},
    format::rows::encode_rules,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

/// What an opening does when records that are there break a rule that is new or another than before, and is enforced. Nothing of the
/// database is changed by any of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnBrokenRule {
    /// Opens all the same, and takes no writes ([`Error::ReadOnly`]): everything can be read, and [`Engine::rule_set`] tells what was
    /// found. The rules are not recorded.
    #[default]
    ReadOnly,
    /// Gives [`Error::RuleBroken`].
    Refuse,
    /// Takes the records as they are: the rules are recorded, and hold for what is written from now on. Totals that can't be counted
    /// can't be taken; then it is as with [`ReadOnly`](Self::ReadOnly).
    Accept,
}

/// The rules of an engine, and those its database is written under; from [`Engine::rule_set`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RuleSetStatus {
    /// The digest of the rules that the engine was given, in hexadecimal: of kinds, names, versions, severities, what is done, and what is
    /// declared as data.
    pub given: String,
    /// That of those the log records by now; the same, once anything was written.
    pub recorded: String,
    /// How many rules the engine was given that the log did not record when it was opened, or recorded otherwise.
    pub changed: usize,
    /// What came of holding the records that were there against those; `None` when there was none to hold them against.
    pub audit: Option<AuditReport>,
    /// Why the engine takes no writes, where that is because of its rules.
    pub refused: Option<String>,
}

/// What an opening found of the rules.
#[derive(Debug)]
pub(super) struct Registration {
    /// The rules to record, and the totals they begin with.
    rules: Recorded,
    /// How long that is in an entry.
    bytes: usize,
    changed: usize,
    audit: Option<AuditReport>,
    /// Why nothing is written under them.
    refused: Option<Arc<str>>,
}

impl Engine {
    /// The rules that the engine was given, and how the database stands to them. Does no I/O.
    ///
    /// ```
    /// use steadfast::{Engine, Expect, Invariant, Keyspace, Request, Rules, Violation};
    ///
    /// const STOCK: Keyspace<u64, i64> = Keyspace::new("stock");
    ///
    /// let counted = Invariant::new("counted", |_: &u64, units: &i64| {
    ///     if *units < 0 { Err(Violation::new("below 0")) } else { Ok(()) }
    /// });
    /// let engine = Engine::builder().rules(Rules::of(&STOCK).invariant(counted)).in_memory()?;
    /// assert_ne!(engine.rule_set().given, engine.rule_set().recorded);
    /// // The first entry records them.
    /// engine.commit(Request::unkeyed().put(&STOCK, &12, &7, Expect::Any))?.committed()?;
    /// assert_eq!(engine.rule_set().given, engine.rule_set().recorded);
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    #[must_use]
    pub fn rule_set(&self) -> RuleSetStatus {
        reentrancy::assert_outside("rule_set");
        let core = self.core();
        let recorded = core.sequencer.lock().fold.control.rules.set.clone();
        let found = core.registration.get();
        let refused = found.and_then(|found| found.refused.as_deref());
        RuleSetStatus {
            given: digest(core.rules.set().into()),
            recorded: digest(recorded),
            changed: found.map_or(0, |found| found.changed),
            audit: found.and_then(|found| found.audit.clone()),
            refused: refused.map(ToOwned::to_owned),
        }
    }

    /// Finds out, before anyone is served, whether the rules are others than those that are recorded, and whether the records that are
    /// there keep the new ones.
    pub(super) fn take_rules(&self, then: OnBrokenRule) -> Result<(), Error> {
        let core = self.core();
        let recorded = core.sequencer.lock().fold.control.rules.clone();
        let set = core.rules.set();
        if core.options.read_only || set == *recorded.set {
            return Ok(());
        }
        let changed = changed(&set, &recorded.set);
        let mut found = self.look_at(&scope(&changed, &recorded.set), &recorded.totals)?;
        found.totals.retain(|name, _| set.keys().any(|rule| is_total(rule, name)));
        let refused = found.refused(then).filter(|_| !canary!(RulesNotAudited));
        if let (OnBrokenRule::Refuse, Some(what)) = (then, &refused) {
            return Err(Error::RuleBroken { what: what.to_string() });
        }
        let rules = Recorded { set: Arc::new(set), totals: Arc::new(found.totals) };
        let (changed, audit) = (changed.len(), found.audit);
        let bytes = encoded(&rules).len();
        core.register(Registration { rules, bytes, changed, audit, refused });
        Ok(())
    }

    /// Holds what is there against what is in scope, beside the totals that are kept.
    fn look_at(&self, scope: &Scope, kept: &Totals) -> Result<Finding, Error> {
        let mut found = Finding { totals: kept.clone(), ..Finding::default() };
        if !scope.is_empty() {
            match self.audit_within(scope) {
                Ok((report, obstacles)) => found.of_audit(report, obstacles),
                // Nothing of the keyspace can be judged or counted.
                Err(error @ Error::KeyspaceMismatch { .. }) => found.grave.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

impl Core {
    /// From now on the next entry is to record the rules, unless they are why there is none.
    fn register(&self, registration: Registration) {
        let mut sequencer = self.sequencer.lock();
        if registration.refused.is_none() {
            sequencer.unrecorded = !canary!(RulesNotRecorded);
            sequencer.durable_totals = registration.rules.totals.clone();
        }
        self.registration.set(registration).expect("an engine takes its rules once");
    }

    /// The rules that the next entry is to record.
    pub(super) fn unrecorded(&self, sequencer: &Sequencer) -> Option<&Recorded> {
        if !sequencer.unrecorded {
            return None;
        }
        self.registration.get().map(|registration| &registration.rules)
    }

    /// More than what any entry says of rules and totals takes up in the log.
    pub(super) fn rules_bytes(&self, sequencer: &Sequencer) -> usize {
        let unrecorded = if sequencer.unrecorded { self.registration.get() } else { None };
        unrecorded.map_or(0, |registration| registration.bytes) + self.rules.totals_bytes()
    }

    /// Refuses a write to an engine that only reads, or whose rules the records break that are there.
    pub(super) fn check_takes_writes(&self) -> Result<(), Error> {
        self.check_writable()?;
        let registered = self.registration.get().and_then(|found| found.refused.as_ref());
        match self.findings.get().or(registered).cloned() {
            Some(reason) => Err(Error::ReadOnly { reason }),
            None => Ok(()),
        }
    }
}

fn is_total(rule: &RuleName, name: &[u8]) -> bool {
    rule.kind == RuleKind::Total && rule.name[..] == *name
}

/// Rules that are not recorded, or not like this.
fn changed(set: &RuleSet, recorded: &RuleSet) -> RuleSet {
    let others = set.iter().filter(|(rule, mark)| recorded.get(rule) != Some(mark));
    others.map(|(rule, mark)| (rule.clone(), *mark)).collect()
}

/// What is to be judged and counted: what is new, or of another version, declaration or enforcement.
fn scope(changed: &RuleSet, recorded: &RuleSet) -> Scope {
    let says_other = |(rule, mark): &(&RuleName, &RuleMark)| {
        let severity = mark.severity;
        recorded.get(rule).map(|before| RuleMark { severity, ..*before }) != Some(**mark)
    };
    let names = |kind: RuleKind| -> BTreeSet<_> {
        let of_kind = changed.iter().filter(|(rule, _)| rule.kind == kind);
        of_kind.filter(says_other).map(|(rule, _)| rule.name.clone()).collect()
    };
    Scope {
        invariants: &names(RuleKind::Invariant) | &names(RuleKind::CrossInvariant),
        totals: names(RuleKind::Total),
        sums: names(RuleKind::SumInvariant),
        touched: false,
    }
}

/// What was found, in words without keys and values.
#[derive(Default)]
struct Finding {
    audit: Option<AuditReport>,
    totals: Totals,
    /// Enforced, and broken.
    broken: Vec<String>,
    /// What can't be accepted either.
    grave: Vec<String>,
}

impl Finding {
    fn of_audit(&mut self, report: AuditReport, obstacles: Vec<(String, u64)>) {
        for status in &report.invariants {
            if status.enforcement == Enforcement::Enforce && status.violations > 0 {
                self.broken.push(format!(
                    "{:?} does not hold of {} in keyspace {:?}",
                    status.invariant,
                    records(status.violations),
                    status.keyspace
                ));
            }
        }
        for status in &report.sum_invariants {
            if status.enforcement == Enforcement::Enforce && status.violations > 0 {
                self.broken.push(format!("{:?} does not hold of the totals", status.invariant));
            }
        }
        for (keyspace, unjudged) in obstacles {
            let unjudged = records(unjudged);
            self.broken.push(format!("{unjudged} in keyspace {keyspace:?} can't be judged"));
        }
        for total in &report.totals {
            match total.counted {
                Some(counted) => {
                    self.totals.insert(total.total.as_bytes().into(), counted);
                }
                None => self.grave.push(format!(
                    "total {:?} of keyspace {:?} can't be counted: it is more than 128 bits hold, or records can't be judged",
                    total.total, total.keyspace
                )),
            }
        }
        self.audit = Some(report);
    }

    /// Why nothing may be written, if so.
    fn refused(&self, then: OnBrokenRule) -> Option<Arc<str>> {
        let accepted = then == OnBrokenRule::Accept;
        let broken = self.broken.iter().filter(|_| !accepted);
        let all: Vec<&str> = self.grave.iter().chain(broken).map(String::as_str).collect();
        (!all.is_empty()).then(|| all.join("; ").into())
    }
}

/// Which enforced rules an audit found broken, and which totals wrong, in words without keys and values.
pub(super) fn broken(report: &AuditReport, obstacles: Vec<(String, u64)>) -> Vec<String> {
    let mut found = Finding::default();
    found.of_audit(report.clone(), obstacles);
    let differs = |total: &&AuditedTotal| total.counted.is_some() && total.kept != total.counted;
    let wrong = report.totals.iter().filter(differs);
    let wrong = wrong.map(|total| format!("total {:?} is not what it is counted as", total.total));
    found.grave.into_iter().chain(found.broken).chain(wrong).collect()
}

/// So many records, in words.
fn records(number: u64) -> String {
    if number == 1 { "1 record".into() } else { format!("{number} records") }
}

/// Over the rules alone: totals change with every entry.
fn digest(set: Arc<RuleSet>) -> String {
    blake3::hash(&encoded(&Recorded { set, totals: Arc::default() })).to_hex().to_string()
}

fn encoded(rules: &Recorded) -> Vec<u8> {
    let mut encoded = Vec::new();
    encode_rules(rules, &mut encoded);
    encoded
}
