//! Decides what becomes of a request, on the newest applied state. Decides only: it writes nothing and does no I/O.
//!
//! The order of checks, the first failure being the answer:
//!
//! 1. shape and limits: before this module, where no state is needed ([`shape`])
//! 2. window: what is remembered under the key, the fingerprint first
//! 3. mode: whether the engine takes writes at all
//! 4. keyspaces are what the caller thinks they are; no version comes from the future
//! 5. what `update` read is still so; no expected version is stale: else a [`Conflict`], which is not remembered
//! 6. `Absent` and `Present`, operation by operation
//! 7. additions stay within their bounds, operation by operation
//!
//! From 6 on a refusal is remembered like a commit: asked again later, the request could fare otherwise.

pub(crate) mod keyspaces;
pub(crate) mod shape;

use crate::{
    base::{
        Action, Bytes, Entry, Expect, Fingerprint, KeyspaceId, KeyspaceIdentity, KeyspaceRef,
        LogTime, Operation, RequestData, Row, SeqNo, StoredOutcome, StoredRejection, Verdict,
        Version, WindowRow, canary::canary,
    },
    codec::{self, Codec},
    state::draft::{Change, Draft, Records, Stamp},
};
use std::{convert::Infallible, sync::Arc};

/// The newest applied state, as far as a request needs it.
pub(crate) trait View: Records<Error = Infallible> {
    /// What is remembered under a key.
    fn window(&self, key: &[u8]) -> Option<Arc<WindowRow>>;
    /// The newest definition of a keyspace.
    fn keyspace(&self, name: &[u8]) -> Option<crate::base::KeyspaceDefinition>;
    /// The number the next keyspace gets.
    fn next_keyspace(&self) -> KeyspaceId;
}

/// Where in the log the request would go, and whether the engine takes writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub applied: SeqNo,
    pub next: SeqNo,
    pub time: LogTime,
    pub writable: bool,
}

/// What becomes of a request.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made once, and taken apart right away")]
pub(crate) enum Decision {
    /// It goes into the log.
    Append(Admitted),
    /// It was decided before.
    Remembered(Arc<WindowRow>),
    /// It is refused, and there is no key to remember that under.
    Rejected(StoredRejection),
    /// A version is stale: refused, and not remembered.
    Conflict(Conflict),
    /// It can't be done, and nothing happened.
    Refused(Refusal),
}

/// Proof that an entry was admitted, with the changes it makes to the state it was admitted on.
#[must_use = "an admitted entry must be applied and appended"]
#[derive(Debug)]
pub(crate) struct Admitted {
    pub entry: Entry,
    pub changes: Vec<Change>,
}

/// A record that is not as the request expected it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Conflict {
    pub keyspace: Bytes,
    pub key: Bytes,
    /// The version that was named; `None` when `update` saw no record.
    pub expected: Option<Version>,
    /// What is there now.
    pub current: Option<Row>,
}

/// Why nothing happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Refusal {
    /// The key was used for something else.
    KeyReused { remembered: Arc<WindowRow>, differs: Differs },
    /// The engine takes no writes.
    NotWritable,
    /// A keyspace is not what the caller thinks it is.
    Keyspace(keyspaces::Mismatch),
    /// A version was named that no entry has yet.
    FutureVersion { keyspace: Bytes, version: Version, newest: SeqNo },
    /// An addition on a row that does not hold a number of this schema.
    NotANumber { keyspace: Bytes, row_schema: u32, schema: u32 },
}

/// In what two uses of one idempotency key differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Differs {
    /// The intents that were given.
    Intent,
    /// One was given an intent, the other not.
    Kind,
    /// The operations.
    Operations,
    /// The expectations only.
    Expectations,
}

/// Decides what becomes of `request`.
pub(crate) fn admit<V: View>(request: RequestData, view: &V, at: At) -> Decision {
    if let Some((key, fingerprint)) = &request.key
        && !canary!(RetryRunsAgain)
        && let Some(remembered) = view.window(key.as_bytes())
    {
        return match differs(&remembered.fingerprint, fingerprint) {
            None => Decision::Remembered(remembered),
            Some(differs) => Decision::Refused(Refusal::KeyReused { remembered, differs }),
        };
    }
    if !at.writable {
        return Decision::Refused(Refusal::NotWritable);
    }
    let keyspaces = match keyspaces::resolve(&request, view) {
        Ok(keyspaces) => keyspaces,
        Err(mismatch) => return Decision::Refused(Refusal::Keyspace(mismatch)),
    };
    let mut evaluation = Evaluation::new(request, keyspaces, at, view);
    if let Some(refusal) = evaluation.future_version() {
        return Decision::Refused(refusal);
    }
    if let Some(conflict) = evaluation.stale(view) {
        return Decision::Conflict(conflict);
    }
    let refused = match evaluation.unmet() {
        Some(rejection) => Some(rejection),
        None => match evaluation.play() {
            Ok(refused) => refused,
            Err(refusal) => return Decision::Refused(refusal),
        },
    };
    match evaluation.refusal(refused) {
        Some(rejection) if evaluation.request.key.is_none() => Decision::Rejected(rejection),
        refused => Decision::Append(evaluation.conclude(refused, view)),
    }
}

/// How `asked` differs from what is remembered, if it does.
pub(crate) fn differs(remembered: &Fingerprint, asked: &Fingerprint) -> Option<Differs> {
    if remembered.hash == asked.hash || canary!(KeyReuseAccepted) {
        None
    } else if remembered.kind != asked.kind {
        Some(Differs::Kind)
    } else if asked.kind == Fingerprint::INTENT {
        Some(Differs::Intent)
    } else if remembered.operations != asked.operations {
        Some(Differs::Operations)
    } else {
        Some(Differs::Expectations)
    }
}

fn decode_number(identity: &KeyspaceIdentity, row: &Row) -> Option<i64> {
    codec::decode_i64(Codec::from_tag(identity.codec)?, &row.value).ok()
}

fn encode_number(identity: &KeyspaceIdentity, number: i64) -> Bytes {
    let codec = Codec::from_tag(identity.codec).expect("the tag comes from a keyspace");
    codec::encode_i64(codec, number)
}

/// A request under evaluation, with the records it touches.
struct Evaluation {
    request: RequestData,
    keyspaces: Vec<KeyspaceRef>,
    at: At,
    draft: Draft,
}

impl Evaluation {
    fn new<V: View>(request: RequestData, keyspaces: Vec<KeyspaceRef>, at: At, view: &V) -> Self {
        let stamp = Stamp { seq: at.next, time: at.time, actor: request.actor.clone() };
        let mut draft = Draft::new(stamp);
        for operation in &request.operations {
            let Ok(()) =
                draft.load(keyspaces[usize::from(operation.keyspace)].id, &operation.key, view);
        }
        Self { request, keyspaces, at, draft }
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

    fn future_version(&self) -> Option<Refusal> {
        self.request.operations.iter().find_map(|operation| match operation.expect {
            Expect::Version(version) if version.get() > self.at.applied.get() => {
                let keyspace = self.name(operation.keyspace);
                Some(Refusal::FutureVersion { keyspace, version, newest: self.at.applied })
            }
            _ => None,
        })
    }

    /// The first read or expected version that is no longer so.
    fn stale<V: View>(&self, view: &V) -> Option<Conflict> {
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
    fn unmet(&self) -> Option<StoredRejection> {
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
    fn play(&mut self) -> Result<Option<StoredRejection>, Refusal> {
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
    fn refusal(&self, found: Option<StoredRejection>) -> Option<StoredRejection> {
        found.or_else(|| match &self.request.verdict {
            Verdict::Commit(_) => None,
            Verdict::Reject(rejection) => Some(StoredRejection::Procedure(rejection.clone())),
        })
    }

    /// The entry, with the changes it makes; none when it is refused.
    fn conclude<V: View>(mut self, refused: Option<StoredRejection>, view: &V) -> Admitted {
        let (Verdict::Commit(result) | Verdict::Reject(result)) = self.request.verdict;
        let outcome = refused.map_or(StoredOutcome::Committed(result), StoredOutcome::Rejected);
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
            keyspaces: self.keyspaces,
            operations: self.request.operations,
            reads: self.request.reads,
            actor: self.request.actor,
            correlation: self.request.correlation,
            outcome,
        };
        let changes = if committed { self.draft.into_changes() } else { Vec::new() };
        Admitted { entry, changes }
    }
}

#[cfg(test)]
mod tests;
