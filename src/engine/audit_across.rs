//! An audit of the invariants across records: every anchor of a snapshot, and what goes with it.

use super::{
    core::Core,
    error::Error,
    iter::Of,
    merge::Merge,
    rules::{Tallies, Tally},
    snapshot::Snapshot,
};
use crate::{
    admission::{
        keyspaces::compare,
        rules::{CrossJudge, Ended, Lookup, Missing, Net, Unjudged},
    },
    base::{Bytes, KeyspaceDefinition, KeyspaceId, LogTime, Row},
    codec::ByteRange,
};
use std::{collections::BTreeSet, sync::Arc};

/// The state that an audit looks at.
pub(super) struct Across<'a> {
    pub core: &'a Core,
    pub snapshot: &'a Snapshot,
    pub time: LogTime,
}

impl Across<'_> {
    /// Holds every anchor against the invariants across records that are in scope: how many records were looked at that no other rules
    /// are about.
    pub(super) fn audit(
        &self,
        in_scope: &dyn Fn(&dyn CrossJudge) -> bool,
        tallies: &mut Tallies,
        unjudged: &mut Tally,
    ) -> Result<u64, Error> {
        let rules = self.core.rules.across().iter();
        let rules: Vec<_> = rules.filter(|rule| in_scope(&***rule)).collect();
        let anchors: BTreeSet<&Bytes> = rules.iter().map(|rule| &rule.anchor().name).collect();
        let mut records = 0;
        for name in anchors {
            let of_anchors = rules.iter().filter(|rule| rule.anchor().name == *name);
            let rules: Vec<_> = of_anchors.copied().collect();
            let looked = self.audit_anchors(name, &rules, tallies, unjudged)?;
            let others = self.core.rules.of(name).iter();
            let counted = others.flat_map(|rules| rules.judge.invariants()).next().is_some();
            records += if counted { 0 } else { looked };
        }
        Ok(records)
    }

    fn audit_anchors(
        &self,
        name: &Bytes,
        rules: &[&Arc<dyn CrossJudge>],
        tallies: &mut Tallies,
        unjudged: &mut Tally,
    ) -> Result<u64, Error> {
        let Some(stored) = self.core.registry.read().at(name, self.snapshot.seq()) else {
            return Ok(0);
        };
        if let Some(differs) = rules.iter().find_map(|rule| compare(rule.anchor(), &stored)) {
            let name = String::from_utf8_lossy(name).into_owned();
            return Err(Error::KeyspaceMismatch { name, differs });
        }
        let mut layers = Of { snapshot: self.snapshot, id: stored.id };
        let (mut merge, mut left) = (Merge::<3>::new(false), ByteRange::of_bytes(Vec::new()));
        let mut looked = 0;
        while let Some((key, row)) = merge.next(&mut layers, &mut left, usize::MAX)? {
            looked += 1;
            for rule in rules {
                self.audit_anchor(&***rule, &key, &row, tallies, unjudged)?;
            }
        }
        Ok(looked)
    }

    fn audit_anchor(
        &self,
        rule: &dyn CrossJudge,
        key: &Bytes,
        row: &Row,
        tallies: &mut Tallies,
        unjudged: &mut Tally,
    ) -> Result<(), Error> {
        let mut stored = Stored { snapshot: self.snapshot, failed: None };
        let judged = {
            let _rules = self.core.enter_rules();
            rule.check(key, row, &Net::none(self.time), &mut stored)
        };
        if let Some(error) = stored.failed {
            return Err(error);
        }
        let tally = tallies.entry(rule.name()).or_default();
        match judged {
            Ok(None) => tally.checked += 1,
            Ok(Some(_)) => {
                tally.checked += 1;
                tally.note(Some(key.clone()));
            }
            Err(Ended::Unjudged(Unjudged::Keyspace(mismatch))) => {
                return Err(Unjudged::Keyspace(mismatch).into());
            }
            Err(_) => {
                tally.unjudged += 1;
                unjudged.note(Some(key.clone()));
            }
        }
        Ok(())
    }
}

/// The records of a snapshot.
struct Stored<'a> {
    snapshot: &'a Snapshot,
    /// What the disk said.
    failed: Option<Error>,
}

impl Lookup for Stored<'_> {
    fn definition(&self, name: &[u8]) -> Option<KeyspaceDefinition> {
        self.snapshot.core().registry.read().at(name, self.snapshot.seq())
    }

    fn row(&mut self, keyspace: KeyspaceId, key: &Bytes) -> Result<Option<Row>, Missing> {
        self.snapshot.row(keyspace, key).map_err(|error| {
            self.failed = Some(error);
            Missing
        })
    }
}
