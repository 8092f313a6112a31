//! All rules an engine has, by keyspace.

use super::{
    CrossJudge, Enforcement, REASON_BYTES, RULES, Severity, SumInvariant, Sums, TOTALS, Violation,
    contained,
    guard::cut,
    marks::{Marked, of_cross_invariant, of_sum_invariant},
};
use crate::{
    admission::{
        keyspaces::{Mismatch, compare},
        shape::ShapeError,
    },
    base::{
        Broken, Bytes, KeyspaceDefinition, KeyspaceId, KeyspaceIdentity, LimitError, Row, RuleSet,
        Transition,
    },
    codec::CodecError,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// The rules of one keyspace, without its types.
pub(crate) trait Judge: Send + Sync {
    /// The keyspace they are of.
    fn identity(&self) -> KeyspaceIdentity;
    /// The fields that are guarded.
    fn fields(&self) -> Vec<&'static str>;
    /// The invariants.
    fn invariants(&self) -> Vec<(&'static str, Severity, Enforcement)>;
    /// The totals.
    fn totals(&self) -> Vec<&'static str>;
    /// What is recorded of each rule.
    fn marks(&self) -> Vec<Marked>;
    /// A rule that is not well declared, and what is wrong with it.
    fn flaw(&self) -> Option<(&'static str, &'static str)>;
    /// Judges the net change of a record. What is only monitored is noted.
    fn judge(
        &self,
        key: &[u8],
        old: Option<&Row>,
        new: Option<&Row>,
        monitored: &mut Vec<Monitored>,
    ) -> Result<Judged, Unjudged>;
    /// Adds what the net change of a record makes of the totals.
    fn sum(
        &self,
        key: &[u8],
        old: Option<&Row>,
        new: Option<&Row>,
        sums: &mut Sums,
    ) -> Result<(), Unjudged>;
    /// Notes every invariant that does not hold of a record.
    fn audit(&self, key: &[u8], row: &Row, broken: &mut Vec<Monitored>) -> Result<(), Unjudged>;
}

/// What comes of judging a record.
#[derive(Debug)]
pub(crate) enum Judged {
    Holds,
    /// A guard refuses.
    Illegal(Transition),
    /// An invariant does not hold, and is enforced.
    Broken(Broken),
}

/// What comes of judging totals.
#[derive(Debug)]
pub(crate) enum JudgedSum {
    Holds,
    /// The invariant does not hold.
    Broken(Broken),
}

/// A record that breaks an invariant which is only monitored; no record, where it is one of totals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Monitored {
    pub invariant: &'static str,
    pub key: Option<Bytes>,
}

/// Why a record could not be judged: nothing happens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Unjudged {
    /// It does not decode as the rules' keyspace says.
    Codec(CodecError),
    /// The code of this rule panicked.
    Panicked(&'static str),
    /// A keyspace is not what the rule thinks it is.
    Keyspace(Mismatch),
    /// The rule is to look at too much.
    Limit(LimitError),
    /// The rule is not what it says of itself.
    Shape(ShapeError),
}

impl From<CodecError> for Unjudged {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
    }
}

/// Rules of one keyspace.
#[derive(Clone)]
pub(crate) struct Ruled {
    pub identity: KeyspaceIdentity,
    pub judge: Arc<dyn Judge>,
    /// Whether there are totals among them.
    pub keeps_totals: bool,
}

/// All rules of an engine.
#[derive(Clone, Default)]
pub(crate) struct RuleBook {
    by_keyspace: BTreeMap<Bytes, Vec<Ruled>>,
    sums: Vec<SumInvariant>,
    totals_bytes: usize,
    /// Invariants across records, by name.
    across: Vec<Arc<dyn CrossJudge>>,
    /// The names of the keyspaces that those are about.
    crossed: BTreeSet<Bytes>,
}

impl RuleBook {
    /// No rules.
    #[cfg(test)]
    pub(crate) const fn new() -> Self {
        Self {
            by_keyspace: BTreeMap::new(),
            sums: Vec::new(),
            totals_bytes: 0,
            across: Vec::new(),
            crossed: BTreeSet::new(),
        }
    }

    pub(crate) fn add(&mut self, judge: Arc<dyn Judge>) {
        let identity = judge.identity();
        let rules = self.by_keyspace.entry(identity.name.clone()).or_default();
        let totals = judge.totals();
        // A name behind its length, and 128 bits.
        self.totals_bytes += totals.iter().map(|name| 1 + name.len() + 16).sum::<usize>();
        let keeps_totals = !totals.is_empty();
        rules.push(Ruled { identity, judge, keeps_totals });
    }

    pub(crate) fn add_sum(&mut self, invariant: SumInvariant) {
        let place = self.sums.partition_point(|there| there.name() <= invariant.name());
        self.sums.insert(place, invariant);
    }

    /// The invariants of totals, by name.
    pub(crate) fn sums(&self) -> &[SumInvariant] {
        &self.sums
    }

    /// Whether there are any totals.
    pub(crate) const fn keeps_totals(&self) -> bool {
        self.totals_bytes > 0
    }

    /// No entry needs more bytes to say what becomes of the totals.
    pub(crate) const fn totals_bytes(&self) -> usize {
        self.totals_bytes
    }

    /// What is recorded of all of them.
    pub(crate) fn set(&self) -> RuleSet {
        let of_records = self.all().flat_map(|rules| rules.judge.marks());
        let of_totals = self.sums.iter().map(of_sum_invariant);
        let across = self.across.iter().map(|rule| of_cross_invariant(&**rule));
        of_records.chain(of_totals).chain(across).collect()
    }

    pub(crate) fn add_across(&mut self, rule: Arc<dyn CrossJudge>) {
        let keyspaces = rule.footprint().into_iter().chain([rule.anchor()]);
        self.crossed.extend(keyspaces.map(|keyspace| keyspace.name.clone()));
        self.across.push(rule);
        self.across.sort_by_key(|rule| rule.name());
    }

    /// These rules without the totals, for records of which nobody kept those.
    pub(crate) fn without_totals(&self) -> Self {
        let mut this = Self { sums: Vec::new(), totals_bytes: 0, ..self.clone() };
        let rules = this.by_keyspace.values_mut().flatten();
        rules.for_each(|rules| rules.keeps_totals = false);
        this
    }

    /// Takes over what another one has.
    pub(crate) fn extend(&mut self, other: &Self) {
        for rules in other.by_keyspace.values().flatten() {
            self.add(rules.judge.clone());
        }
        other.sums.iter().cloned().for_each(|sum| self.add_sum(sum));
        other.across.iter().cloned().for_each(|rule| self.add_across(rule));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_keyspace.is_empty() && self.across.is_empty()
    }

    /// The invariants across records, by name.
    pub(crate) fn across(&self) -> &[Arc<dyn CrossJudge>] {
        &self.across
    }

    /// Whether any of those is about one of these keyspaces.
    pub(crate) fn crosses(&self, keyspaces: &[KeyspaceIdentity]) -> bool {
        !self.across.is_empty()
            && keyspaces.iter().any(|keyspace| self.crossed.contains(&keyspace.name))
    }

    /// Those of one keyspace.
    pub(crate) fn of(&self, keyspace: &[u8]) -> &[Ruled] {
        self.by_keyspace.get(keyspace).map_or(&[], Vec::as_slice)
    }

    /// All of them, by keyspace.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Ruled> {
        self.by_keyspace.values().flatten()
    }

    /// Those of each keyspace.
    pub(crate) fn keyspaces(&self) -> impl Iterator<Item = &[Ruled]> {
        self.by_keyspace.values().map(Vec::as_slice)
    }

    /// Refuses rules that are not well declared, and two of one name.
    pub(crate) fn check(&self) -> Result<(), ShapeError> {
        let (mut invariants, mut totals) = (BTreeMap::new(), BTreeMap::new());
        for (keyspace, rules) in &self.by_keyspace {
            let mut fields = BTreeMap::new();
            for Ruled { judge: rules, .. } in rules {
                if let Some((rule, flaw)) = rules.flaw() {
                    return Err(ShapeError::Rule { rule, flaw });
                }
                let again =
                    rules.fields().into_iter().find(|field| fields.insert(*field, ()).is_some());
                let names = rules.invariants().into_iter().map(|(name, ..)| name);
                let again = again.or_else(|| {
                    names.into_iter().find(|name| invariants.insert(*name, keyspace).is_some())
                });
                if let Some(rule) = again {
                    return Err(twice(rule));
                }
            }
        }
        for total in self.all().flat_map(|rules| rules.judge.totals()) {
            if totals.insert(total, ()).is_some() {
                return Err(twice(total));
            }
        }
        self.check_sums(&totals, invariants)
    }

    fn check_sums(
        &self,
        totals: &BTreeMap<&'static str, ()>,
        mut invariants: BTreeMap<&'static str, &Bytes>,
    ) -> Result<(), ShapeError> {
        const NONE: &Bytes = &Bytes::new();
        if let Some((rule, ())) = totals.iter().nth(TOTALS) {
            return Err(ShapeError::Rule { rule, flaw: "there are more than 64 totals" });
        }
        for invariant in &self.sums {
            let rule = invariant.name();
            let unknown = invariant.totals().iter().any(|total| !totals.contains_key(total));
            let flaw = invariant.flaw();
            let flaw = flaw.or_else(|| unknown.then_some("there is no total of a name it gives"));
            if let Some(flaw) = flaw {
                return Err(ShapeError::Rule { rule, flaw });
            }
            if invariants.insert(rule, NONE).is_some() {
                return Err(twice(rule));
            }
        }
        for rule in &self.across {
            if let Some(flaw) = rule.flaw() {
                return Err(ShapeError::Rule { rule: rule.name(), flaw });
            }
            if invariants.insert(rule.name(), NONE).is_some() {
                return Err(twice(rule.name()));
            }
        }
        let of_records = self.all().map(|rules| rules.judge.marks().len()).sum::<usize>();
        match of_records + self.sums.len() + self.across.len() {
            0..=RULES => Ok(()),
            _ => Err(ShapeError::Rule { rule: "all", flaw: "there are more than 1,024 rules" }),
        }
    }
}

const fn twice(rule: &'static str) -> ShapeError {
    ShapeError::Rule { rule, flaw: "there is another one of that name" }
}

/// Holds totals against an invariant of theirs. It is code of the caller's.
pub(crate) fn judge_sum(
    invariant: &SumInvariant,
    value: impl Fn(&'static str) -> i128,
) -> Result<JudgedSum, Unjudged> {
    let values: Vec<i128> = invariant.totals().iter().map(|name| value(name)).collect();
    match contained(invariant.name(), || invariant.judge(&values))? {
        Ok(()) => Ok(JudgedSum::Holds),
        Err(violation) => {
            Ok(JudgedSum::Broken(broken(invariant.name(), invariant.how().0, &violation)))
        }
    }
}

/// A violation as it is remembered.
pub(super) fn broken(name: &'static str, severity: Severity, violation: &Violation) -> Broken {
    let reason = cut(violation.reason(), REASON_BYTES);
    Broken {
        invariant: Bytes::copy_from_slice(name.as_bytes()),
        severity: severity as u8,
        reason: Bytes::copy_from_slice(reason.as_bytes()),
    }
}

/// How the first rules that are about another keyspace than this one differ from it.
pub(crate) fn mismatch(rules: &[Ruled], identity: &KeyspaceIdentity) -> Option<Mismatch> {
    let stored = KeyspaceDefinition {
        id: KeyspaceId::NONE,
        shape: identity.shape.clone(),
        codec: identity.codec,
        schema: identity.schema,
    };
    let differs = rules.iter().find_map(|rules| compare(&rules.identity, &stored))?;
    Some(Mismatch { name: identity.name.clone(), differs })
}

impl fmt::Debug for RuleBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.all().map(|Ruled { identity, judge, .. }| {
                (&identity.name, (judge.fields(), judge.invariants()))
            }))
            .entries(self.across.iter().map(|rule| (&rule.anchor().name, rule.name())))
            .finish()
    }
}
