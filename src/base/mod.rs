//! The words everything else is said in: ids, rows, requests, outcomes, limits. No I/O, no clock.

mod bytes;
pub mod canary;
mod expect;
mod idempotency_key;
mod ids;
mod keyspace;
pub mod limits;
mod never;
mod outcome_class;
mod request;
mod row;
pub mod sync;

pub use self::bytes::Bytes;
pub use expect::Expect;
pub use idempotency_key::IdempotencyKey;
pub use ids::{Epoch, KeyspaceId, LogTime, SeqNo, Version};
pub use keyspace::{KeyspaceDefinition, KeyspaceIdentity};
pub use limits::LimitError;
pub use never::Never;
pub use outcome_class::OutcomeClass;
pub use request::{Action, Entry, KeyspaceRef, Operation, Read, RequestData, Verdict};
pub use row::{
    Fingerprint, Outcome as StoredOutcome, Rejection as StoredRejection, Row, WindowRow,
};
