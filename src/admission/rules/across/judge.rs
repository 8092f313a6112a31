//! An invariant across records, held against what a request changes.

use super::{
    super::{
        Enforcement, Monitored, NAME_BYTES, REASON_BYTES, RuleBook, Severity, Unjudged, contained,
        guard::cut,
    },
    CrossInvariant, Ended, Look, Lookup, Net, Part,
};
use crate::{
    base::{
        Broken, Bytes, KeyspaceIdentity, Row, Standing, StoredRejection,
        limits::{ANCHORS, check},
    },
    codec::{Key, decode_key},
    state::draft::Change,
};
use std::collections::BTreeSet;

/// An invariant across records, without its types.
pub(crate) trait CrossJudge: Send + Sync {
    fn name(&self) -> &'static str;
    fn how(&self) -> (Severity, Enforcement);
    /// The version of its code, as declared.
    fn declared_version(&self) -> u32;
    /// The keyspace of its anchors.
    fn anchor(&self) -> &KeyspaceIdentity;
    /// The other keyspaces it reads.
    fn footprint(&self) -> Vec<&KeyspaceIdentity>;
    /// What is wrong with the declaration.
    fn flaw(&self) -> Option<&'static str>;
    /// Adds the anchors that the changes of a request may concern.
    fn concerned(&self, net: &Net<'_>, anchors: &mut BTreeSet<Bytes>) -> Result<(), Unjudged>;
    /// Holds a record against it: what it would not keep.
    fn check(
        &self,
        key: &Bytes,
        row: &Row,
        net: &Net<'_>,
        lookup: &mut dyn Lookup,
    ) -> Result<Option<Broken>, Ended>;
}

/// Holds what a request changes against all invariants across records, by name and by anchor: the first that would not hold. What is only
/// monitored is noted.
pub(in crate::admission) fn judge(
    rules: &RuleBook,
    net: &Net<'_>,
    lookup: &mut dyn Lookup,
    monitored: &mut Vec<Monitored>,
) -> Result<Option<StoredRejection>, Ended> {
    for rule in rules.across() {
        let refuses = rule.how().1 == Enforcement::Enforce;
        let mut note = |key| monitored.push(Monitored { invariant: rule.name(), key: Some(key) });
        let anchors = match anchors(&**rule, net) {
            Ok(anchors) => anchors,
            Err(unjudged) if refuses => return Err(unjudged.into()),
            Err(_) => {
                // Of which anchors is not known.
                note(Bytes::new());
                continue;
            }
        };
        for key in anchors {
            match judge_one(&**rule, &key, net, lookup) {
                Ok(None) => {}
                Ok(broken) if refuses => return Ok(broken),
                Err(Ended::Cold) => return Err(Ended::Cold),
                Err(ended) if refuses => return Err(ended),
                _ => note(key),
            }
        }
    }
    Ok(None)
}

/// Judges once more where everything can be read, so that it is: what comes of it does not matter.
pub(crate) fn rehearse(rules: &RuleBook, net: &Net<'_>, lookup: &mut dyn Lookup) {
    let _ = judge(rules, net, lookup, &mut Vec::new());
}

fn anchors(rule: &dyn CrossJudge, net: &Net<'_>) -> Result<BTreeSet<Bytes>, Unjudged> {
    let mut anchors = BTreeSet::new();
    rule.concerned(net, &mut anchors)?;
    check("records that one invariant is to be held against", anchors.len(), 0, ANCHORS)
        .map_err(Unjudged::Limit)?;
    Ok(anchors)
}

fn judge_one(
    rule: &dyn CrossJudge,
    key: &Bytes,
    net: &Net<'_>,
    lookup: &mut dyn Lookup,
) -> Result<Option<StoredRejection>, Ended> {
    let [before, row] = net.rows(lookup, rule.anchor(), key)?;
    let Some(row) = row else { return Ok(None) };
    let Some(broken) = rule.check(key, &row, net, lookup)? else { return Ok(None) };
    let before = before.map(|Row { version, time, actor, .. }| Standing { version, time, actor });
    let (keyspace, key) = (rule.anchor().name.clone(), key.clone());
    Ok(Some(StoredRejection::Broken { keyspace, key, before, broken: Box::new(broken) }))
}

impl<K: Key, V> CrossJudge for CrossInvariant<K, V> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn how(&self) -> (Severity, Enforcement) {
        (self.severity, self.enforcement)
    }

    fn declared_version(&self) -> u32 {
        self.version
    }

    fn anchor(&self) -> &KeyspaceIdentity {
        &self.anchor.identity
    }

    fn footprint(&self) -> Vec<&KeyspaceIdentity> {
        self.footprint.iter().map(|part| &part.keyspace.identity).collect()
    }

    fn flaw(&self) -> Option<&'static str> {
        let named = (1..=NAME_BYTES).contains(&self.name.len());
        (!named).then_some("its name has not 1 to 64 bytes")
    }

    fn concerned(&self, net: &Net<'_>, anchors: &mut BTreeSet<Bytes>) -> Result<(), Unjudged> {
        let there = net.changed(&self.anchor.identity)?.filter(|change| change.new.is_some());
        anchors.extend(there.map(|change| change.key.clone()));
        for Part { keyspace, anchors: of } in &self.footprint {
            for Change { key, old, new, .. } in net.changed(&keyspace.identity)? {
                for row in [old, new].into_iter().flatten() {
                    anchors.extend(contained(self.name, || of(key, row))??);
                }
                if anchors.len() > ANCHORS {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn check(
        &self,
        key: &Bytes,
        row: &Row,
        net: &Net<'_>,
        lookup: &mut dyn Lookup,
    ) -> Result<Option<Broken>, Ended> {
        let mut look = Look {
            net,
            lookup,
            rule: self.name,
            anchor: (&self.anchor, key),
            footprint: &self.footprint,
            reads: 0,
            ended: None,
        };
        let judged = contained(self.name, || {
            let value = self.keyspace.decode(row.schema, &row.value)?;
            Ok::<_, Unjudged>((self.holds)(&mut look, &decode_key(key)?, &value))
        });
        // Code that goes on without what it could not read, or panics for want of it, has judged nothing.
        if let Some(ended) = look.ended {
            return Err(ended);
        }
        Ok(judged??.err().map(|violation| {
            let reason = cut(violation.reason(), REASON_BYTES);
            Broken {
                invariant: Bytes::from_static(self.name.as_bytes()),
                severity: self.severity as u8,
                reason: Bytes::copy_from_slice(reason.as_bytes()),
            }
        }))
    }
}
