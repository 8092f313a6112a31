//! What is stored: one row for a record, one for a remembered outcome.

use super::{Bytes, LogTime, SeqNo, Version};

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The encoded value.
    pub value: Bytes,
    /// The schema number it was encoded under.
    pub schema: u32,
    /// The entry that last wrote it.
    pub version: Version,
    /// The entry that created it.
    pub created: Version,
    /// When it was last written.
    pub time: LogTime,
    /// Who last wrote it.
    pub actor: Bytes,
}

/// What a client asked, as a hash, with hints at its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// BLAKE3-256 of what the client asked.
    pub hash: [u8; 32],
    /// What it is the hash of: 1 = an intent given by the caller, 2 = operations and expectations.
    pub kind: u8,
    /// First four bytes of the hash of the operations alone (0 for an intent).
    pub operations: u32,
    /// First four bytes of the hash of the expectations alone (0 for an intent).
    pub expectations: u32,
}

impl Fingerprint {
    /// The `kind` of a fingerprint of an intent given by the caller.
    pub const INTENT: u8 = 1;
    /// The `kind` of a fingerprint of operations and expectations.
    pub const OPERATIONS: u8 = 2;
}

/// What the window remembers under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRow {
    /// What was asked.
    pub fingerprint: Fingerprint,
    /// The entry that decided it.
    pub seq: SeqNo,
    /// When it was decided.
    pub time: LogTime,
    /// What was decided.
    pub outcome: Outcome,
}

/// A remembered outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Carried out, with this result.
    Committed(Bytes),
    /// Refused for ever.
    Rejected(Rejection),
}

/// Why a request was refused for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// A record was expected absent and is there.
    NotAbsent {
        /// The name of the keyspace.
        keyspace: Bytes,
        /// The encoded record key.
        key: Bytes,
        /// The version that is there.
        version: Version,
        /// When it was written.
        time: LogTime,
        /// By whom.
        actor: Bytes,
    },
    /// A record was expected present and is not there.
    NotPresent {
        /// The name of the keyspace.
        keyspace: Bytes,
        /// The encoded record key.
        key: Bytes,
    },
    /// An addition left its bounds.
    OutOfBounds {
        /// The name of the keyspace.
        keyspace: Bytes,
        /// The encoded record key.
        key: Bytes,
        /// What was there (0 for an absent record), after the operations before this one.
        current: i64,
        /// What was to be added.
        delta: i64,
        /// Least allowed sum.
        min: i64,
        /// Greatest allowed sum.
        max: i64,
        /// The version that is there before the request (0 for an absent record).
        version: Version,
    },
    /// The caller's own code refused, with this encoded rejection.
    Procedure(Bytes),
}
