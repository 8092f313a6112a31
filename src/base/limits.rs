//! The limits of the engine, one table. Breaking one is refused before anything is logged.

use thiserror::Error;

/// Longest scope or key of an idempotency key, in bytes.
pub const IDEMPOTENCY_PART_BYTES: usize = 255;
/// Longest encoded record key, in bytes.
pub const RECORD_KEY_BYTES: usize = 4 << 10;
/// Longest encoded value, in bytes.
pub const VALUE_BYTES: usize = 1 << 20;
/// Largest request: keys, values, result, metadata and arguments together, in bytes.
pub const REQUEST_BYTES: usize = 1 << 20;
/// Most operations and read validations in a request.
pub const OPERATIONS: usize = 1024;
/// Longest encoded result or rejection, in bytes.
pub const RESULT_BYTES: usize = 64 << 10;
/// Longest correlation, in bytes.
pub const METADATA_BYTES: usize = 1 << 10;
/// Longest actor, in bytes.
pub const ACTOR_BYTES: usize = 64;
/// Longest keyspace name, in bytes.
pub const KEYSPACE_NAME_BYTES: usize = 64;
/// Most records that one invariant across records is held against for one request.
pub const ANCHORS: usize = 1024;
/// Most records that an invariant across records reads to judge one.
pub const ANCHOR_READS: usize = 256;
/// Longest name of a procedure, in bytes.
pub const PROCEDURE_NAME_BYTES: usize = 64;
/// Most entries that may wait for the disk at once; also the gap in sequence numbers after an unclean end.
pub const UNSYNCED_ENTRIES: u64 = 1 << 20;
/// How far ahead of the log's time a key may say it was made, in nanoseconds: 10 minutes. By as much the clocks of clients
/// may be wrong.
pub const KEY_AHEAD_NANOS: u64 = 600_000_000_000;
/// Largest group of entries written by one call, in bytes.
pub const GROUP_BYTES: usize = 8 << 20;

/// A limit was broken; nothing happened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what} is {actual}, allowed are {min}..={max}: {hint}; nothing was logged")]
pub struct LimitError {
    /// What was measured, with its unit.
    pub what: &'static str,
    /// What it measured.
    pub actual: usize,
    /// The least allowed.
    pub min: usize,
    /// The most allowed.
    pub max: usize,
    /// What to do.
    pub hint: &'static str,
    /// Whether it passes by itself: of what is remembered there will be less in time. Other limits are for ever.
    pub passes: bool,
}

/// Checks that `min <= actual <= max`.
///
/// # Errors
/// [`LimitError`] when it is not.
pub const fn check(
    what: &'static str,
    actual: usize,
    min: usize,
    max: usize,
) -> Result<(), LimitError> {
    if actual < min || actual > max {
        Err(LimitError { what, actual, min, max, hint: "change the request", passes: false })
    } else {
        Ok(())
    }
}
