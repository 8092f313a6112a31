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

pub use base::{
    Bytes, Epoch, Expect, IdempotencyKey, KeyspaceIdentity, LimitError, LogTime, SeqNo, Version,
};
pub use codec::{AsKey, Codec, CodecError, Key, KeyRange, Keyspace, Prefix, Shape};
