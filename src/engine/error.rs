//! Everything that can go wrong, with what to do about it.

mod from;
mod kind;
mod retry;

pub use kind::ErrorKind;
pub use retry::Retry;

use super::outcome::Rejection;
use crate::{
    admission::{Differs, keyspaces::Difference, shape::ShapeError},
    base::{LimitError, LogTime, OutcomeClass, SeqNo, Version},
    codec::CodecError,
};
use std::{io, sync::Arc, time::Duration};
use thiserror::Error;

/// What went wrong. Every message says what, where, and what to do next; none holds a key or a value.
///
/// This is `docs/ERRORS.md`, which a test holds against the code:
///
#[doc = include_str!("../../docs/ERRORS.md")]
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The request was refused; only made by turning a [`Rejection`] into an error.
    #[error("{0}")]
    Rejected(#[source] Box<Rejection<()>>),
    /// The idempotency key was used before for something else.
    #[error(
        "the idempotency key was used for another request, decided as entry {seq}: they differ in {differs:?}; ask which \
         one was meant, and use a new key for the other"
    )]
    KeyReused {
        /// What was decided.
        class: OutcomeClass,
        /// The entry that decided the first request under the key.
        seq: SeqNo,
        /// When.
        time: LogTime,
        /// In what the two differ.
        differs: Differs,
    },
    /// The idempotency key was decided before, and the outcome is not given: because the request asks to be told so
    /// ([`OnDuplicate::Reject`](crate::OnDuplicate)), or because no more than this is remembered of it. Nothing was done
    /// again. Told once the decision is durable.
    #[error(
        "the idempotency key was decided before: {class}, as entry {seq}; nothing was done again: find out what came of it before using a new key"
    )]
    AlreadyDecided {
        /// Which way it was decided.
        class: OutcomeClass,
        /// The entry that decided it.
        seq: SeqNo,
        /// When.
        time: LogTime,
    },
    /// The key was given to [`Engine::fence`](crate::Engine::fence) before anything was decided under it.
    #[error(
        "the idempotency key was fenced as entry {seq}: nothing is ever decided under it; use a new key if the request is still wanted"
    )]
    Fenced {
        /// The entry that fenced it.
        seq: SeqNo,
        /// When.
        time: LogTime,
    },
    /// The key says that it was made so long ago that its outcome may have been forgotten.
    #[error(
        "the idempotency key was made at {made}, and what was decided up to {horizon} is forgotten: it may have been carried out; nothing was logged"
    )]
    KeyExpired {
        /// When the key was made.
        made: LogTime,
        /// Up to when outcomes are forgotten.
        horizon: LogTime,
    },
    /// The key says that it was made more than ten minutes from now.
    #[error(
        "the idempotency key says that it was made at {made}, and it is {now}: set the clock of whoever makes the keys; nothing was logged"
    )]
    KeyAhead {
        /// When the key says it was made.
        made: LogTime,
        /// The time of the log.
        now: LogTime,
    },
    /// The key does not say when it was made, and
    /// [`require_time_ordered_keys`](crate::Builder::require_time_ordered_keys) is set.
    #[error(
        "the idempotency key does not say when it was made: make it with `time_ordered` or `from_uuid`; nothing was logged"
    )]
    KeyUntimed,
    /// Too much waits for the disk, and the request was not to wait for its turn; or what a procedure or an invariant across records
    /// reads left memory again and again before its turn. Nothing was logged.
    #[error(
        "too much waits for the disk: try again in {} ms under the same key; nothing was logged", .retry_after.as_millis()
    )]
    Overloaded {
        /// When there should be room, by how long the last groups took: 1 ms to 10 s.
        retry_after: Duration,
    },
    /// The request's deadline passed before it had its place in the log. This delivery did nothing.
    #[error(
        "the deadline passed before the request had its place in the log: try again under the same key with more time; nothing was logged"
    )]
    DeadlineExceeded,
    /// The request is not well formed.
    #[error("{0}")]
    Shape(#[source] ShapeError),
    /// A limit was broken. A quota of what is remembered ([`LimitError::passes`]) is less used in time: then the same request under
    /// the same key can be tried again.
    #[error("{0}")]
    Limit(#[from] LimitError),
    /// A key, a value, an intent or a result did not encode or decode. When it is the result of a request that was decided
    /// before, that stands.
    #[error("{0}")]
    Codec(#[source] CodecError),
    /// A version was named that no entry has yet.
    #[error(
        "version {version} in keyspace {keyspace:?} comes from the future: the newest entry is {newest}; it was read from \
         another database, or made up; nothing was logged"
    )]
    FutureVersion {
        /// The name of the keyspace.
        keyspace: String,
        /// The version.
        version: Version,
        /// The newest entry.
        newest: SeqNo,
    },
    /// An addition met a row that is not a number of the keyspace's schema.
    #[error(
        "`add` in keyspace {keyspace:?} met a row of schema {row_schema} that is not a number of schema {schema}: rewrite \
         it with `update`; nothing was logged"
    )]
    NotANumber {
        /// The name of the keyspace.
        keyspace: String,
        /// The schema number of the row.
        row_schema: u32,
        /// The schema number of the keyspace.
        schema: u32,
    },
    /// A keyspace is not what the program thinks it is.
    #[error(
        "keyspace {name:?} is stored otherwise: {differs}; open it with the definition it was written with"
    )]
    KeyspaceMismatch {
        /// The name of the keyspace.
        name: String,
        /// In what it differs.
        differs: Difference,
    },
    /// The disk is full. Nothing was logged, and the engine is healthy: reads and remembered outcomes go on, and writes do
    /// by themselves when there is room.
    #[error("no space left while {what}: make room and try again; nothing was logged")]
    NoSpace {
        /// What needed the space.
        what: String,
    },
    /// The database takes no writes: it was opened to be read only, or [set so](crate::Engine::set_mode). Outcomes that are remembered are told all the same.
    #[error("the database takes no writes: {reason}; nothing was logged")]
    ReadOnly {
        /// Why.
        reason: Arc<str>,
    },
    /// The write or the sync of the request's entry failed: whether it counts is decided when the directory is opened
    /// again.
    #[error(
        "writing entry {seq} failed, so whether it counts is unknown until the directory is opened again: open it, then retry under the same key"
    )]
    Indeterminate {
        /// The entry.
        seq: SeqNo,
    },
    /// An earlier write or sync failed; the engine takes no more writes. Durable state can still be read.
    #[error(
        "the engine takes no more writes: {reason}; nothing was logged; open the directory again"
    )]
    Poisoned {
        /// What failed.
        reason: Arc<str>,
    },
    /// The engine was closed.
    #[error("the engine was closed; nothing was logged")]
    Closed,
    /// Code of the caller's panicked; nothing was logged, and the engine is healthy.
    #[error("the caller's own code panicked in {what}; nothing was logged")]
    Panicked {
        /// The call, or the name of the procedure or rule.
        what: &'static str,
    },
    /// A procedure was called that the engine does not know.
    #[error(
        "version {version} of procedure {name:?} is not registered: name it with `procedure` when building the engine; nothing was logged"
    )]
    UnknownProcedure {
        /// The name.
        name: &'static str,
        /// The version.
        version: u32,
    },
    /// What a procedure reads is not in memory. Only seen inside of procedures, which must pass it on: what it reads is
    /// fetched, and it is run again.
    #[error("what the procedure reads is being fetched: pass this error on, and it is run again")]
    Cold,
    /// The engine was called from inside a closure it runs.
    #[error(
        "{what} was called from inside a closure that the engine runs: use the transaction it was given"
    )]
    Reentrant {
        /// The call.
        what: &'static str,
    },
    /// The engine was opened by another process, of which this one is a forked child. It has the engine's memory but not its
    /// threads, and must not write where the parent does.
    #[error(
        "{what} was called in a forked child of the process that opened the engine: fork before opening it, or let the child execute another program, or open the directory in the child once the parent has closed it; nothing was changed"
    )]
    Forked {
        /// The call.
        what: &'static str,
    },
    /// Somebody else has the directory open.
    #[error("{location} is open here or in another process: close it there first")]
    Locked {
        /// The directory.
        location: String,
    },
    /// The directory holds something else.
    #[error(
        "{location} is not a database: {what}; nothing was changed; choose an empty or a new directory"
    )]
    NotADatabase {
        /// The directory.
        location: String,
        /// What was found.
        what: String,
    },
    /// The system's clock is far past the last entry of the log.
    #[error(
        "the last entry of {location} was made at {last} and the clock says {now}, more than 30 days later: set the clock, or open with `accept_clock_jump` if the database has rested for so long; nothing was changed"
    )]
    ClockJump {
        /// The directory.
        location: String,
        /// The log time of the last entry.
        last: LogTime,
        /// What the clock says.
        now: LogTime,
    },
    /// Records that are there break rules that the database was not written under before; see
    /// [`OnBrokenRule::Refuse`](crate::OnBrokenRule).
    #[error(
        "records that are there break rules: {what}; open without these rules and mend the records, or accept them as they are by `on_broken_rule`; nothing was logged"
    )]
    RuleBroken {
        /// Which, where, and how many.
        what: String,
    },
    /// The directory was written by another version of this crate.
    #[error(
        "{file} has format {version}, and this version of the crate reads format {supported}: use one that reads it; nothing was changed"
    )]
    UnsupportedFormat {
        /// The file.
        file: String,
        /// Its format.
        version: u32,
        /// What this version reads.
        supported: u32,
    },
    /// Something durable was damaged. Nothing was changed.
    #[error(
        "{file} is damaged at offset {offset}: {evidence}; nothing was changed; restore a copy, or keep the directory for inspection"
    )]
    Corruption {
        /// The file.
        file: String,
        /// Where in the file.
        offset: u64,
        /// The last entry before the damage, where that is known.
        seq: Option<SeqNo>,
        /// What says so.
        evidence: String,
    },
    /// The system failed.
    #[error("{what} failed: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// There are no numbers left for entries.
    #[error("the log has used up its sequence numbers; copy the records into a new database")]
    SequenceExhausted,
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
