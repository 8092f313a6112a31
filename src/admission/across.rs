//! One request against the invariants across records.

use super::{
    View,
    evaluation::Evaluation,
    rules::{self, Ended, Lookup, Missing, Net, RuleBook},
};
use crate::{
    base::{
        Bytes, KeyspaceDefinition, KeyspaceId, KeyspaceRef, LogTime, RequestData, Row,
        StoredRejection,
    },
    state::draft::Change,
};

/// A request whose judgement needs rows that are not at hand, with what it would change on the state it was tried on.
#[derive(Debug)]
pub(crate) struct Cold {
    request: RequestData,
    keyspaces: Vec<KeyspaceRef>,
    changes: Vec<Change>,
    time: LogTime,
}

impl Cold {
    /// Judges it once more where rows may be waited for, so that they are read.
    pub(crate) fn rehearse(&self, rules: &RuleBook, lookup: &mut dyn Lookup) {
        let Self { request, keyspaces, changes, time } = self;
        rules::rehearse(
            rules,
            &Net::new(&request.keyspaces, keyspaces, changes.iter(), *time),
            lookup,
        );
    }

    /// The request, to be tried again.
    pub(crate) fn into_request(self) -> RequestData {
        self.request
    }
}

/// The newest applied state, as far as it is in memory.
struct AtHand<'a, V>(&'a V);

impl<V: View> Lookup for AtHand<'_, V> {
    fn definition(&self, name: &[u8]) -> Option<KeyspaceDefinition> {
        self.0.keyspace(name)
    }

    fn row(&mut self, keyspace: KeyspaceId, key: &Bytes) -> Result<Option<Row>, Missing> {
        self.0.at_hand(keyspace, key).ok_or(Missing)
    }
}

impl Evaluation<'_> {
    /// Holds what comes of the mutations against the invariants across records, once they are played.
    pub(super) fn judge_across<V: View>(
        &mut self,
        view: &V,
    ) -> Result<Option<StoredRejection>, Ended> {
        let Self { request, keyspaces, at, draft, monitored, .. } = self;
        if !at.rules.crosses(&request.keyspaces) {
            return Ok(None);
        }
        let net = Net::new(&request.keyspaces, keyspaces, draft.changed(), at.time);
        rules::judge_across(at.rules, &net, &mut AtHand(view), monitored)
    }

    /// What it is as long as rows are missing.
    pub(super) fn cold(self) -> Cold {
        let Self { request, keyspaces, at, draft, .. } = self;
        Cold { request, keyspaces, changes: draft.into_changes(), time: at.time }
    }
}
