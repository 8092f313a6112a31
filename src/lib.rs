#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![doc = include_str!("../README.md")]
//!
//! # In this crate
//!
//! Open an [`Engine`]; name [`Keyspace`]s as constants; hand in a [`Request`] by [`Engine::commit`] or
//! [`Engine::submit`], or run code between reading and writing by [`Engine::update`]; read by [`Engine::get`] or from a
//! [`Snapshot`]. [`Engine::recovery`] tells what the opening found and proved. The limits are in [`limits`].

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

pub use admission::{
    Differs,
    keyspaces::Difference,
    rules::{
        CrossInvariant, Enforcement, Guard, Invariant, Look, Rules, Severity, SumInvariant, Total,
        Unread, Violation,
    },
    shape::ShapeError,
};
pub use base::{
    Bytes, Epoch, Expect, IdempotencyKey, KeyspaceIdentity, LimitError, LogTime, Mode, Never,
    OutcomeClass, SeqNo, Version, limits,
};
pub use codec::{AsKey, Codec, CodecError, Key, KeyRange, Keyspace, Prefix, Shape};
pub use engine::{
    Abort, Audit, AuditReport, AuditedTotal, Background, BrokenInvariant, BrokenSumInvariant,
    Builder, ChainHead, ClockStatus, CloseMark, CloseReport, Closed, ClosureReport, ClosureVerdict,
    Conflict, Contained, Coverage, Deviation, Divergence, Durability, Encoded, Engine, Error,
    ErrorKind, Found, IllegalTransition, InvariantStatus, Iter, KeyStatus, LogRetention,
    MissingProcedure, Obstacle, OnBrokenRule, OnDuplicate, OutOfBounds, Outcome, Part, Procedure,
    QueueReport, Receipt, Reconciled, Reconciliation, Record, Registry, Rejection, ReplayTally,
    ReplayVerdict, Request, Restored, Retry, Rng, RuleSetStatus, Settle, Snapshot, Subject,
    SumInvariantStatus, Ticket, TotalStatus, TotalsReport, Transaction, Unmet, Verified,
    VerifyReport, WindowStatus, verify,
};
pub use recovery::{Phases, RecoveryReport, TornTail, Verdict};
