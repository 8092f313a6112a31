#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! An embedded key-value state engine with deterministic replay.

mod admission;
mod base;
mod checkpoint;
mod codec;
mod disk;
mod engine;
mod format;
mod log;
mod recovery;
mod state;
#[cfg(feature = "testing")]
pub mod testing;

pub use admission::{Differs, keyspaces::Difference, shape::ShapeError};
pub use base::{
    Bytes, Epoch, Expect, IdempotencyKey, KeyspaceIdentity, LimitError, LogTime, Never, SeqNo,
    Version, limits,
};
pub use codec::{AsKey, Codec, CodecError, Key, KeyRange, Keyspace, Prefix, Shape};
pub use engine::{
    Abort, Background, Builder, Conflict, Engine, Error, ErrorKind, Found, Iter, OutOfBounds,
    Outcome, Receipt, Record, Rejection, Request, Retry, Snapshot, Ticket, Transaction, Unmet,
};
pub use recovery::{Phases, RecoveryReport, TornTail, Verdict};
