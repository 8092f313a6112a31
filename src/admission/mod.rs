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
//! 9. the guards of all records that change, then the invariants of records, in the order of keyspaces and keys
//! 10. totals stay within what can be kept, then the invariants of those that change, each in the order of names
//! 11. the invariants across records, by name and by the key of the record they are about; what these need and is not in memory ends
//!     the evaluation ([`Cold`])
//!
//! From 7 on a refusal is remembered like a commit: asked again later, the request could fare otherwise.

mod across;
mod evaluation;
mod judgement;
pub(crate) mod keyspaces;
pub(crate) mod rules;
pub(crate) mod shape;
mod sums;
mod window;

pub(crate) use across::Cold;
pub(crate) use window::recall;

use crate::{
    base::{
        Bytes, Control, Entry, IdempotencyKey, KeyspaceId, LimitError, LogTime, Mode, OutcomeClass,
        Recorded, Remembered, RequestData, Row, SeqNo, StoredRejection, Stub, Totals, Verdict,
        Version, WindowRow, canary::canary,
    },
    state::{
        control::Retention,
        draft::{Change, Records},
    },
};
use evaluation::Evaluation;
use rules::{Ended, Monitored, RuleBook, Unjudged};
use std::{convert::Infallible, sync::Arc};
use window::{check_age, check_window};

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
    /// The newest row of any record; `None` when it is not in memory.
    fn at_hand(&self, keyspace: KeyspaceId, key: &[u8]) -> Option<Option<Row>> {
        let Ok(row) = self.record(keyspace, key);
        Some(row)
    }
}

/// Where in the log the request would go, and whether the engine takes writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    pub applied: SeqNo,
    pub next: SeqNo,
    pub time: LogTime,
    pub writable: bool,
    /// Whether the request's deadline has passed.
    pub late: bool,
    pub policy: Policy,
    /// What must hold of records.
    pub rules: &'a RuleBook,
    /// The rules, and the totals they begin with, where those that are recorded are others: then the next entry records them.
    pub unrecorded: Option<&'a Recorded>,
}

impl At<'_> {
    /// The totals before the request.
    fn totals<'a>(&'a self, control: &'a Control) -> &'a Totals {
        &self.unrecorded.unwrap_or(&control.rules).totals
    }
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
    /// Rules need rows that are not in memory: it is to be tried again with them.
    Cold(Box<Cold>),
}

/// Proof that an entry was admitted, with the changes it makes to the state it was admitted on.
#[must_use = "an admitted entry must be applied and appended"]
#[derive(Debug)]
pub(crate) struct Admitted {
    pub entry: Entry,
    pub changes: Vec<Change>,
    /// Records that break an invariant which is only monitored.
    pub monitored: Vec<Monitored>,
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
    /// There is no room to remember one more outcome, or no number for one more keyspace.
    Limit(LimitError),
    /// The engine takes no writes.
    NotWritable,
    /// The database was set to take no writes.
    ReadOnly { reason: String },
    /// A keyspace is not what the caller thinks it is.
    Keyspace(keyspaces::Mismatch),
    /// A version was named that no entry has yet.
    FutureVersion { keyspace: Bytes, version: Version, newest: SeqNo },
    /// A record could not be held against the rules.
    Unjudged(Unjudged),
    /// An addition on a row that does not hold a number of this schema.
    NotANumber { keyspace: Bytes, row_schema: u32, schema: u32 },
}

/// In what two uses of one idempotency key differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Differs {
    /// The intents that were given.
    Intent,
    /// One was given an intent, or called a procedure, and the other not.
    Kind,
    /// The procedures that were called.
    Procedure,
    /// The arguments of the procedure.
    Arguments,
    /// The operations.
    Operations,
    /// The expectations only.
    Expectations,
    /// That is not known any more.
    Unknown,
}

/// Decides what becomes of `request`.
pub(crate) fn admit<V: View>(request: RequestData, view: &V, at: At<'_>) -> Decision {
    match decided_before(&request, view, &at) {
        Some(decision) => decision,
        None => evaluate(request, view, at),
    }
}

/// The checks that do not look at what the request does, 2 to 4.
pub(crate) fn decided_before<V: View>(
    request: &RequestData,
    view: &V,
    at: &At<'_>,
) -> Option<Decision> {
    if let Some((key, fingerprint)) = &request.key
        && !canary!(RetryRunsAgain)
    {
        if let Some(remembered) = view.window(key).filter(|known| !overlooked(known)) {
            return Some(match request.verdict {
                Verdict::Fence => Decision::Known(remembered),
                _ => recall(remembered, fingerprint),
            });
        }
        if let Some(refusal) = check_age(key, view.control(), at) {
            return Some(Decision::Refused(refusal));
        }
    }
    if at.late && !canary!(LateCarriedOut) {
        return Some(Decision::Refused(Refusal::DeadlineExceeded));
    }
    check_mode(request, view, at).map(Decision::Refused)
}

/// The checks of what the request does, from 5 on: for a procedure after it was run.
pub(crate) fn evaluate<V: View>(request: RequestData, view: &V, at: At<'_>) -> Decision {
    let keyspaces = match keyspaces::resolve(&request, view) {
        Ok(keyspaces) => keyspaces,
        Err(refusal) => return Decision::Refused(refusal),
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
        None => match evaluation.play_and_judge(view) {
            Ok(refused) => refused,
            Err(refusal) => return Decision::Refused(refusal),
        },
    };
    let refused = match refused {
        Some(rejection) => Some(rejection),
        None => match evaluation.judge_across(view) {
            Ok(refused) => refused,
            Err(Ended::Cold) => return Decision::Cold(Box::new(evaluation.cold())),
            Err(Ended::Unjudged(unjudged)) => {
                return Decision::Refused(Refusal::Unjudged(unjudged));
            }
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

/// Whether the engine takes this write, and what it would have to remember of it.
fn check_mode<V: View>(request: &RequestData, view: &V, at: &At<'_>) -> Option<Refusal> {
    if !at.writable {
        return Some(Refusal::NotWritable);
    }
    if let Mode::ReadOnly { reason } = &view.control().mode
        && is_read_only(request, view.control())
        && !canary!(ModeIgnored)
    {
        return Some(Refusal::ReadOnly { reason: reason.clone() });
    }
    let (key, _) = request.key.as_ref()?;
    check_window(key, view, at).map(Refusal::Limit)
}

/// Whether the database was set to take no writes, and the request is not to change that: then no entry comes of it.
pub(crate) fn is_read_only(request: &RequestData, control: &Control) -> bool {
    matches!(control.mode, Mode::ReadOnly { .. }) && !matches!(request.verdict, Verdict::Mode(_))
}

#[cfg(test)]
mod tests;
