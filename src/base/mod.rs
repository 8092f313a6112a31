//! The words everything else is said in: ids, rows, requests, outcomes, limits. No I/O, no clock.

mod bytes;
pub mod canary;
mod control;
mod expect;
mod idempotency_key;
mod ids;
mod keyspace;
pub mod limits;
mod never;
mod request;
mod row;
mod rules;
pub mod sync;

pub use self::bytes::Bytes;
pub use control::{Control, Era, Generation, Mode, Step};
pub use expect::Expect;
pub(crate) use idempotency_key::key_hash;
pub use idempotency_key::{IdempotencyKey, KeyHash};
pub use ids::{Epoch, KeyspaceId, LogTime, SeqNo, Version};
pub use keyspace::{KeyspaceDefinition, KeyspaceIdentity};
pub use limits::LimitError;
pub use never::Never;
pub use request::{
    Action, Entry, KeyspaceRef, Operation, ProcedureCall, Read, RequestData, Verdict,
};
pub use row::{
    Broken, Fingerprint, Outcome as StoredOutcome, OutcomeClass, Rejection as StoredRejection,
    Remembered, Row, Standing, Stub, Transition, WindowRow,
};
pub use rules::{Recorded, RuleKind, RuleMark, RuleName, RuleSet, Totals};
