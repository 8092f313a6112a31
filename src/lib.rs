#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! An embedded key-value state engine with deterministic replay.

mod base;
mod checkpoint;
mod codec;
mod disk;
mod format;
mod state;

pub use base::{Bytes, Epoch, Expect, IdempotencyKey, LimitError, LogTime, SeqNo, Version};
