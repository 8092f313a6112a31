//! Expectations, conflicts and sums of one request, on the records it touches.

use super::{Admitted, At, Conflict, Refusal, View, keyspaces, rules::Monitored};
use crate::{
    base::{
        Action, Bytes, Entry, Expect, KeyspaceId, KeyspaceIdentity, KeyspaceRef, Operation,
        RequestData, Row, Step, StoredOutcome, StoredRejection, Verdict, Version, canary::canary,
    },
    codec::{self, Codec},
    state::draft::{Draft, Stamp},
};

/// A request under evaluation, with the records it touches.
pub(super) struct Evaluation<'a> {
    pub(super) request: RequestData,
    pub(super) keyspaces: Vec<KeyspaceRef>,
    pub(super) at: At<'a>,
    pub(super) draft: Draft,
    pub(super) monitored: Vec<Monitored>,
    /// What the totals become that it changes.
    pub(super) totals: Vec<(Bytes, i128)>,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new<V: View>(
        request: RequestData,
        keyspaces: Vec<KeyspaceRef>,
        at: At<'a>,
        view: &V,
    ) -> Self {
        let stamp = Stamp { seq: at.next, time: at.time, actor: request.actor.clone() };
        let mut draft = Draft::new(stamp);
        for operation in &request.operations {
            let Ok(()) =
                draft.load(keyspaces[usize::from(operation.keyspace)].id, &operation.key, view);
        }
        Self { request, keyspaces, at, draft, monitored: Vec::new(), totals: Vec::new() }
    }

    fn before(&self, operation: &Operation) -> Option<&Row> {
        self.draft.before(self.id(operation.keyspace), &operation.key)
    }

    fn id(&self, keyspace: u16) -> KeyspaceId {
        self.keyspaces[usize::from(keyspace)].id
    }

    fn identity(&self, keyspace: u16) -> &KeyspaceIdentity {
        &self.request.keyspaces[usize::from(keyspace)]
    }

    fn name(&self, keyspace: u16) -> Bytes {
        self.identity(keyspace).name.clone()
    }

    pub(super) fn future_version(&self) -> Option<Refusal> {
        self.request.operations.iter().find_map(|operation| match operation.expect {
            Expect::Version(version) if version.get() > self.at.applied.get() => {
                let keyspace = self.name(operation.keyspace);
                Some(Refusal::FutureVersion { keyspace, version, newest: self.at.applied })
            }
            _ => None,
        })
    }

    /// The first read or expected version that is no longer so.
    pub(super) fn stale<V: View>(&self, view: &V) -> Option<Conflict> {
        let read = self.request.reads.iter().find_map(|read| {
            let Ok(current) = view.record(self.id(read.keyspace), &read.key);
            let changed = current.as_ref().map(|row| row.version) != read.seen;
            canary!(ReadsNotValidated => return None);
            changed.then(|| self.conflict(read.keyspace, &read.key, read.seen, current))
        });
        read.or_else(|| {
            self.request.operations.iter().find_map(|operation| {
                let Expect::Version(version) = operation.expect else { return None };
                canary!(StaleCasAccepted => return None);
                let current = self.before(operation);
                let changed = current.is_none_or(|row| row.version != version);
                changed.then(|| {
                    self.conflict(
                        operation.keyspace,
                        &operation.key,
                        Some(version),
                        current.cloned(),
                    )
                })
            })
        })
    }

    fn conflict(
        &self,
        keyspace: u16,
        key: &Bytes,
        expected: Option<Version>,
        current: Option<Row>,
    ) -> Conflict {
        Conflict { keyspace: self.name(keyspace), key: key.clone(), expected, current }
    }

    /// The first `Absent` or `Present` that does not hold.
    pub(super) fn unmet(&self) -> Option<StoredRejection> {
        self.request.operations.iter().find_map(|operation| {
            let (keyspace, key) = (self.name(operation.keyspace), operation.key.clone());
            match (operation.expect, self.before(operation)) {
                (Expect::Absent, Some(row)) => Some(StoredRejection::NotAbsent {
                    keyspace,
                    key,
                    version: row.version,
                    time: row.time,
                    actor: row.actor.clone(),
                }),
                (Expect::Present, None) => Some(StoredRejection::NotPresent { keyspace, key }),
                _ => None,
            }
        })
    }

    /// Plays the mutations in order, working out the sums; stops at the first that leaves its bounds.
    pub(super) fn play(&mut self) -> Result<Option<StoredRejection>, Refusal> {
        for index in 0..self.request.operations.len() {
            match self.sum(&self.request.operations[index])? {
                Some(Ok(encoded)) => {
                    if let Action::Add { sum, .. } = &mut self.request.operations[index].action {
                        *sum = encoded;
                    }
                }
                Some(Err(rejection)) => return Ok(Some(rejection)),
                None => {}
            }
            let operation = &self.request.operations[index];
            self.draft.play(&self.keyspaces[usize::from(operation.keyspace)], operation);
        }
        Ok(None)
    }

    /// The encoded sum of an addition, or the rejection when it is out of bounds.
    fn sum(
        &self,
        operation: &Operation,
    ) -> Result<Option<Result<Bytes, StoredRejection>>, Refusal> {
        let Action::Add { delta, min, max, .. } = operation.action else { return Ok(None) };
        let row = self.draft.now(self.id(operation.keyspace), &operation.key);
        let identity = self.identity(operation.keyspace);
        let current = row.map_or(Some(0), |row| {
            (row.schema == identity.schema).then(|| decode_number(identity, row))?
        });
        let Some(current) = current else {
            return Err(Refusal::NotANumber {
                keyspace: identity.name.clone(),
                row_schema: row.map_or(0, |row| row.schema),
                schema: identity.schema,
            });
        };
        Ok(Some(match current.checked_add(delta).filter(|sum| (min..=max).contains(sum)) {
            Some(sum) => Ok(encode_number(identity, sum)),
            None => Err(StoredRejection::OutOfBounds {
                keyspace: identity.name.clone(),
                key: operation.key.clone(),
                current,
                delta,
                min,
                max,
                // An earlier operation of this request may have left a row of a version that will never be.
                version: self.before(operation).map_or(Version::new(0), |row| row.version),
            }),
        }))
    }

    /// What the engine found, or else what the caller's own code did.
    pub(super) fn refusal(&self, found: Option<StoredRejection>) -> Option<StoredRejection> {
        found.or_else(|| match &self.request.verdict {
            Verdict::Commit(_) | Verdict::Fence | Verdict::Mode(_) => None,
            Verdict::Reject(rejection) => Some(StoredRejection::Procedure(rejection.clone())),
        })
    }

    /// The entry, with the changes it makes; none when it is refused.
    pub(super) fn conclude<V: View>(
        mut self,
        refused: Option<StoredRejection>,
        view: &V,
    ) -> Admitted {
        let mut steps = view.control().steps_due(self.at.policy.retention, self.at.time);
        let outcome = match (refused, self.request.verdict) {
            (Some(rejection), _) => StoredOutcome::Rejected(rejection),
            (None, Verdict::Commit(result) | Verdict::Reject(result)) => {
                StoredOutcome::Committed(result)
            }
            (None, Verdict::Fence) => StoredOutcome::Fenced,
            (None, Verdict::Mode(mode)) => {
                steps.push(Step::Mode(mode));
                StoredOutcome::Committed(Bytes::new())
            }
        };
        if let Some(rules) = self.at.unrecorded {
            steps.push(Step::Rules(rules.clone()));
        }
        let committed = matches!(outcome, StoredOutcome::Committed(_));
        if committed {
            for keyspace in &self.keyspaces {
                let Ok(()) = self.draft.define(keyspace, view);
            }
        } else {
            keyspaces::undefine(&mut self.keyspaces, &self.request.keyspaces, view);
        }
        let entry = Entry {
            seq: self.at.next,
            time: self.at.time,
            key: self.request.key,
            steps,
            keyspaces: self.keyspaces,
            operations: self.request.operations,
            reads: self.request.reads,
            call: self.request.call,
            totals: if committed { self.totals } else { Vec::new() },
            actor: self.request.actor,
            correlation: self.request.correlation,
            outcome,
        };
        let changes = if committed { self.draft.into_changes() } else { Vec::new() };
        let monitored = if committed { self.monitored } else { Vec::new() };
        Admitted { entry, changes, monitored }
    }
}

pub(super) fn decode_number(identity: &KeyspaceIdentity, row: &Row) -> Option<i64> {
    codec::decode_i64(Codec::from_tag(identity.codec)?, &row.value).ok()
}

fn encode_number(identity: &KeyspaceIdentity, number: i64) -> Bytes {
    let codec = Codec::from_tag(identity.codec).expect("the tag comes from a keyspace");
    codec::encode_i64(codec, number)
}
