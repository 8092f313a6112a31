//! All rules an engine has, by keyspace.

use super::{Enforcement, Severity};
use crate::{
    admission::{
        keyspaces::{Mismatch, compare},
        shape::ShapeError,
    },
    base::{Broken, Bytes, KeyspaceDefinition, KeyspaceId, KeyspaceIdentity, Row, Transition},
    codec::CodecError,
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// The rules of one keyspace, without its types.
pub(crate) trait Judge: Send + Sync {
    /// The keyspace they are of.
    fn identity(&self) -> KeyspaceIdentity;
    /// The fields that are guarded.
    fn fields(&self) -> Vec<&'static str>;
    /// The invariants.
    fn invariants(&self) -> Vec<(&'static str, Severity, Enforcement)>;
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

/// A record that breaks an invariant which is only monitored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Monitored {
    pub invariant: &'static str,
    pub key: Bytes,
}

/// Why a record could not be judged: nothing happens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Unjudged {
    /// It does not decode as the rules' keyspace says.
    Codec(CodecError),
    /// The code of this rule panicked.
    Panicked(&'static str),
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
}

/// All rules of an engine.
#[derive(Clone, Default)]
pub(crate) struct RuleBook {
    by_keyspace: BTreeMap<Bytes, Vec<Ruled>>,
}

impl RuleBook {
    /// No rules.
    #[cfg(test)]
    pub(crate) const fn new() -> Self {
        Self { by_keyspace: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, judge: Arc<dyn Judge>) {
        let identity = judge.identity();
        let rules = self.by_keyspace.entry(identity.name.clone()).or_default();
        rules.push(Ruled { identity, judge });
    }

    /// Takes over what another one has.
    pub(crate) fn extend(&mut self, other: &Self) {
        for (name, rules) in &other.by_keyspace {
            self.by_keyspace.entry(name.clone()).or_default().extend_from_slice(rules);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_keyspace.is_empty()
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
        let mut invariants = BTreeMap::new();
        for (keyspace, rules) in &self.by_keyspace {
            let mut fields = BTreeMap::new();
            for Ruled { judge: rules, .. } in rules {
                if let Some((rule, flaw)) = rules.flaw() {
                    return Err(ShapeError::Rule { rule, flaw });
                }
                let twice =
                    rules.fields().into_iter().find(|field| fields.insert(*field, ()).is_some());
                let names = rules.invariants().into_iter().map(|(name, ..)| name);
                let twice = twice.or_else(|| {
                    names.into_iter().find(|name| invariants.insert(*name, keyspace).is_some())
                });
                if let Some(rule) = twice {
                    return Err(ShapeError::Rule {
                        rule,
                        flaw: "there is another one of that name",
                    });
                }
            }
        }
        Ok(())
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
            .entries(self.all().map(|Ruled { identity, judge }| {
                (&identity.name, (judge.fields(), judge.invariants()))
            }))
            .finish()
    }
}
