//! Decides what becomes of a request, on the newest applied state. Decides only: it writes nothing and does no I/O.
//!
//! The order of checks, the first failure being the answer:
//!
//! 1. shape and limits: before this module, where no state is needed ([`shape`])
//! 2. window: what is remembered under the key, the fingerprint first; where nothing is, whether it may have been forgotten
//! 3. deadline: whether it has passed
//! 4. mode: whether the engine takes writes at all, and has room to remember one more outcome
//! 5. keyspaces are what the caller thinks they are; no version comes from the future
//! 6. what `update` read is still so; no expected version is stale: else a [`Conflict`], which is not remembered
//! 7. `Absent` and `Present`, operation by operation
//! 8. additions stay within their bounds, operation by operation
//!
//! From 7 on a refusal is remembered like a commit: asked again later, the request could fare otherwise.

pub(crate) mod keyspaces;
pub(crate) mod shape;

use crate::{
    base::{
        Action, Bytes, Control, Entry, Expect, Fingerprint, IdempotencyKey, KeyspaceId,
        KeyspaceIdentity, KeyspaceRef, LimitError, LogTime, Mode, Operation, OutcomeClass,
        Remembered, RequestData, Row, SeqNo, Step, StoredOutcome, StoredRejection, Stub, Verdict,
        Version, WindowRow, canary::canary, limits::KEY_AHEAD_NANOS,
    },
    codec::{self, Codec},
    state::{
        control::Retention,
        draft::{Change, Draft, Records, Stamp},
    },
};
use std::{convert::Infallible, sync::Arc};

/// The newest applied state, as far as a request needs it.
pub(crate) trait View: Records<Error = Infallible> {
    /// What is remembered under a key.
    fn window(&self, key: &IdempotencyKey) -> Option<Remembered>;
    /// The mode, and how much is remembered how.
    fn control(&self) -> &Control;
    /// Bytes of outcomes that are remembered whole for a scope, in generations from `first` on; 0 where nobody counts them.
    fn scope_bytes(&self, first: u32, scope: &[u8]) -> u64;
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
    /// Whether the request's deadline has passed.
    pub late: bool,
    pub policy: Policy,
}

/// What is remembered for how long, within which limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub retention: Retention,
    /// Bytes of all that is remembered.
    pub window_limit: u64,
    /// Bytes of outcomes that are remembered whole for one scope.
    pub scope_limit: u64,
    /// Whether a key must say when it was made.
    pub time_ordered: bool,
}

/// What becomes of a request.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made once, and taken apart right away")]
pub(crate) enum Decision {
    /// It goes into the log.
    Append(Admitted),
    /// It was decided before.
    Remembered(Arc<WindowRow>),
    /// What a key stands for, whatever was asked under it.
    Known(Remembered),
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
    KeyReused { remembered: Stub, differs: Differs },
    /// It was decided before, and only that is still known.
    AlreadyDecided(Stub),
    /// Nothing may ever be decided under the key.
    Fenced(Stub),
    /// The key is so old that its outcome may have been forgotten.
    KeyExpired { made: LogTime, horizon: LogTime },
    /// The key comes from the future.
    KeyAhead { made: LogTime, now: LogTime },
    /// The key does not say when it was made.
    KeyUntimed,
    /// The request's deadline has passed.
    DeadlineExceeded,
    /// There is no room to remember one more outcome.
    Limit(LimitError),
    /// The engine takes no writes.
    NotWritable,
    /// The database was set to take no writes.
    ReadOnly { reason: String },
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
    /// That is not known any more.
    Unknown,
}

/// Decides what becomes of `request`.
pub(crate) fn admit<V: View>(request: RequestData, view: &V, at: At) -> Decision {
    if let Some((key, fingerprint)) = &request.key
        && !canary!(RetryRunsAgain)
    {
        if let Some(remembered) = view.window(key).filter(|known| !overlooked(known)) {
            return match request.verdict {
                Verdict::Fence => Decision::Known(remembered),
                _ => recall(remembered, fingerprint),
            };
        }
        if let Some(refusal) = check_age(key, view.control(), &at) {
            return Decision::Refused(refusal);
        }
    }
    if at.late && !canary!(LateCarriedOut) {
        return Decision::Refused(Refusal::DeadlineExceeded);
    }
    if let Some(refusal) = check_mode(&request, view, &at) {
        return Decision::Refused(refusal);
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

/// Whether a planted bug does as if this were not there.
fn overlooked(known: &Remembered) -> bool {
    match known {
        Remembered::Stub(_) if canary!(StubRunsAgain) => true,
        known if canary!(FenceIgnored) => known.stub().class == OutcomeClass::Fenced,
        _ => false,
    }
}

/// What becomes of a request whose key was decided before: the fingerprint first, then the outcome.
pub(crate) fn recall(remembered: Remembered, asked: &Fingerprint) -> Decision {
    let stub = remembered.stub();
    if stub.class == OutcomeClass::Fenced {
        return Decision::Refused(Refusal::Fenced(stub));
    }
    let differs = match &remembered {
        Remembered::Row(row) => differs(&row.fingerprint, asked),
        Remembered::Stub(stub) => {
            (stub.fingerprint[..] != asked.hash[..16]).then_some(Differs::Unknown)
        }
    };
    match (differs, remembered) {
        (Some(differs), _) => Decision::Refused(Refusal::KeyReused { remembered: stub, differs }),
        (None, Remembered::Row(row)) => Decision::Remembered(row),
        (None, Remembered::Stub(stub)) => Decision::Refused(Refusal::AlreadyDecided(stub)),
    }
}

/// Whether a key under which nothing is remembered may be new: for one that says when it was made, that is after all that
/// was forgotten, and not in the future.
fn check_age(key: &IdempotencyKey, control: &Control, at: &At) -> Option<Refusal> {
    canary!(ExpiredAccepted => return None);
    let Some(made) = key.made_at() else {
        return at.policy.time_ordered.then_some(Refusal::KeyUntimed);
    };
    let horizon = control.forgotten_time;
    if made > at.time.plus(KEY_AHEAD_NANOS) {
        Some(Refusal::KeyAhead { made, now: at.time })
    } else if control.forgotten.get() > 0 && made <= horizon.plus(KEY_AHEAD_NANOS) {
        // What was forgotten may have been asked for under a key made that much after it was decided.
        Some(Refusal::KeyExpired { made, horizon })
    } else {
        None
    }
}

/// Whether the engine takes this write, and what it would have to remember of it.
fn check_mode<V: View>(request: &RequestData, view: &V, at: &At) -> Option<Refusal> {
    if !at.writable {
        return Some(Refusal::NotWritable);
    }
    match (&view.control().mode, &request.verdict) {
        (_, Verdict::Mode(_)) | (Mode::ReadWrite, _) => {}
        _ if canary!(ModeIgnored) => {}
        (Mode::ReadOnly { reason }, _) => {
            return Some(Refusal::ReadOnly { reason: reason.clone() });
        }
    }
    let (key, _) = request.key.as_ref()?;
    check_window(key, view, at).map(Refusal::Limit)
}

fn check_window<V: View>(key: &IdempotencyKey, view: &V, at: &At) -> Option<LimitError> {
    let Policy { window_limit, scope_limit, retention, .. } = at.policy;
    let full = |what, bytes: u64, limit: u64| LimitError {
        what,
        actual: usize::try_from(bytes).unwrap_or(usize::MAX),
        min: 0,
        max: usize::try_from(limit).unwrap_or(usize::MAX),
        hint: "wait until older outcomes are forgotten, or raise the limit",
    };
    let control = view.control();
    let of_scope = |control: &Control| {
        let first = control.generations.first().map_or(0, |generation| generation.number);
        view.scope_bytes(first, key.scope())
    };
    let whole = |control: &Control| control.bytes() >= window_limit;
    let share = |control: &Control| scope_limit < u64::MAX && of_scope(control) >= scope_limit;
    if !whole(control) && !share(control) {
        return None;
    }
    // The entry itself could make room.
    let mut after = control.clone();
    for step in after.steps_due(retention, at.time) {
        let _ = after.step(&step, &mut Default::default());
    }
    if whole(&after) {
        return Some(full("bytes of remembered outcomes", control.bytes(), window_limit));
    }
    let what = "bytes of outcomes remembered for the scope";
    share(&after).then(|| full(what, of_scope(control), scope_limit))
}

/// How `asked` differs from what is remembered, if it does.
fn differs(remembered: &Fingerprint, asked: &Fingerprint) -> Option<Differs> {
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
            Verdict::Commit(_) | Verdict::Fence | Verdict::Mode(_) => None,
            Verdict::Reject(rejection) => Some(StoredRejection::Procedure(rejection.clone())),
        })
    }

    /// The entry, with the changes it makes; none when it is refused.
    fn conclude<V: View>(mut self, refused: Option<StoredRejection>, view: &V) -> Admitted {
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
