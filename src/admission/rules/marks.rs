//! What is recorded of rules, so that another set of them is noticed. Code can't be compared, so its version is declared.

use super::{CrossJudge, Enforcement, Guard, Invariant, SumInvariant, Total};
use crate::base::{Bytes, KeyspaceIdentity, RuleKind, RuleMark, RuleName};

/// A rule as it is recorded.
pub(crate) type Marked = (RuleName, RuleMark);

/// Of a rule of a keyspace.
fn marked(
    identity: &KeyspaceIdentity,
    kind: RuleKind,
    name: &'static str,
    mark: RuleMark,
) -> Marked {
    let name = Bytes::from_static(name.as_bytes());
    (RuleName { kind, keyspace: identity.name.clone(), name }, mark)
}

/// How records are read is part of every rule of theirs: read otherwise, they may be judged or counted otherwise.
fn of_keyspace(identity: &KeyspaceIdentity) -> Vec<u8> {
    let mut data = identity.schema.to_le_bytes().to_vec();
    data.push(identity.codec);
    data.extend_from_slice(&identity.shape);
    data
}

const fn number(enforcement: Enforcement) -> u8 {
    match enforcement {
        Enforcement::Enforce => 1,
        Enforcement::Monitor => 2,
    }
}

pub(super) fn of_guard<V>(identity: &KeyspaceIdentity, guard: &Guard<V>) -> Marked {
    let mut data = vec![of_keyspace(identity)];
    for (from, to) in guard.table() {
        let state = |state: &Option<&'static str>| match state {
            None => vec![0],
            Some(state) => [&[1], state.as_bytes()].concat(),
        };
        data.push(state(from));
        data.extend(to.iter().map(state));
        data.push(Vec::new());
    }
    let mark = RuleMark {
        version: guard.declared_version(),
        severity: 0,
        enforcement: 0,
        details: RuleMark::hash(&data),
    };
    marked(identity, RuleKind::Guard, guard.field(), mark)
}

pub(super) fn of_invariant<K, V>(
    identity: &KeyspaceIdentity,
    invariant: &Invariant<K, V>,
) -> Marked {
    let (severity, enforcement) = invariant.how();
    let mark = RuleMark {
        version: invariant.declared_version(),
        severity: severity as u8,
        enforcement: number(enforcement),
        details: RuleMark::hash(&[of_keyspace(identity)]),
    };
    marked(identity, RuleKind::Invariant, invariant.name(), mark)
}

pub(super) fn of_total<K, V>(identity: &KeyspaceIdentity, total: &Total<K, V>) -> Marked {
    let mark = RuleMark {
        version: total.declared_version(),
        severity: 0,
        enforcement: 0,
        details: RuleMark::hash(&[of_keyspace(identity)]),
    };
    marked(identity, RuleKind::Total, total.name(), mark)
}

pub(super) fn of_sum_invariant(invariant: &SumInvariant) -> Marked {
    let (severity, enforcement) = invariant.how();
    let totals: Vec<_> = invariant.totals().iter().map(|total| total.as_bytes().to_vec()).collect();
    let mark = RuleMark {
        version: invariant.declared_version(),
        severity: severity as u8,
        enforcement: number(enforcement),
        details: RuleMark::hash(&totals),
    };
    let name = Bytes::from_static(invariant.name().as_bytes());
    (RuleName { kind: RuleKind::SumInvariant, keyspace: Bytes::new(), name }, mark)
}

pub(super) fn of_cross_invariant(rule: &dyn CrossJudge) -> Marked {
    let (severity, enforcement) = rule.how();
    let read = [rule.anchor()].into_iter().chain(rule.footprint());
    let data: Vec<_> =
        read.map(|keyspace| [&keyspace.name[..], &of_keyspace(keyspace)].concat()).collect();
    let mark = RuleMark {
        version: rule.declared_version(),
        severity: severity as u8,
        enforcement: number(enforcement),
        details: RuleMark::hash(&data),
    };
    marked(rule.anchor(), RuleKind::CrossInvariant, rule.name(), mark)
}
