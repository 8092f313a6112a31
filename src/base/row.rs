//! What is stored: one row for a record, one for a remembered outcome.

use super::{Bytes, LogTime, SeqNo, Version};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

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
    /// What it is the hash of: 1 = an intent given by the caller, 2 = operations and expectations, 3 = the name of a
    /// procedure and its arguments.
    pub kind: u8,
    /// A short hash of the operations alone, or of the name of a procedure (0 for an intent).
    pub operations: u32,
    /// A short hash of the expectations alone, or of the arguments of a procedure (0 for an intent).
    pub expectations: u32,
}

impl Fingerprint {
    /// The `kind` of a fingerprint of an intent given by the caller.
    pub const INTENT: u8 = 1;
    /// The `kind` of a fingerprint of operations and expectations.
    pub const OPERATIONS: u8 = 2;
    /// The `kind` of a fingerprint of the name of a procedure and its arguments.
    pub const PROCEDURE: u8 = 3;
    /// Of no request at all: a key was fenced.
    pub const NONE: Self = Self { hash: [0; 32], kind: 0, operations: 0, expectations: 0 };
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
    /// Nothing was decided, and nothing ever will be.
    Fenced,
}

/// What became of a request, without the particulars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum OutcomeClass {
    /// It was carried out.
    Committed = 1,
    /// It was refused for ever.
    Rejected = 2,
    /// It never came, and its key was fenced.
    Fenced = 3,
}

impl fmt::Display for OutcomeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Committed => "committed",
            Self::Rejected => "rejected",
            Self::Fenced => "fenced",
        })
    }
}

/// What is left of a remembered outcome after a while: enough to never carry a request out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stub {
    /// The first half of the fingerprint.
    pub fingerprint: [u8; 16],
    /// What was decided.
    pub class: OutcomeClass,
    /// The entry that decided it.
    pub seq: SeqNo,
    /// When.
    pub time: LogTime,
}

/// What a look at the window finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// The whole outcome.
    Row(Arc<WindowRow>),
    /// What is left of it.
    Stub(Stub),
}

impl Outcome {
    /// What became of the request, without the particulars.
    #[must_use]
    pub const fn class(&self) -> OutcomeClass {
        match self {
            Self::Committed(_) => OutcomeClass::Committed,
            Self::Rejected(_) => OutcomeClass::Rejected,
            Self::Fenced => OutcomeClass::Fenced,
        }
    }
}

impl WindowRow {
    /// What will be left of it.
    #[must_use]
    pub fn stub(&self) -> Stub {
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&self.fingerprint.hash[..16]);
        Stub { fingerprint, class: self.outcome.class(), seq: self.seq, time: self.time }
    }
}

impl Remembered {
    /// The entry that decided it.
    #[must_use]
    pub fn seq(&self) -> SeqNo {
        match self {
            Self::Row(row) => row.seq,
            Self::Stub(stub) => stub.seq,
        }
    }

    /// What is left of it.
    #[must_use]
    pub fn stub(&self) -> Stub {
        match self {
            Self::Row(row) => row.stub(),
            Self::Stub(stub) => *stub,
        }
    }
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
    /// A guard does not allow what would become of a record.
    Illegal {
        /// The name of the keyspace.
        keyspace: Bytes,
        /// The encoded record key.
        key: Bytes,
        /// The record as it is.
        before: Option<Standing>,
        /// What would become of it.
        transition: Box<Transition>,
    },
    /// An invariant would not hold of a record.
    Broken {
        /// The name of the keyspace.
        keyspace: Bytes,
        /// The encoded record key.
        key: Bytes,
        /// The record as it is.
        before: Option<Standing>,
        /// What would not hold.
        broken: Box<Broken>,
    },
    /// An invariant would not hold of totals.
    BrokenSum(Box<Broken>),
    /// A total would be more, or less, than can be kept.
    TotalOverflow {
        /// The name of the total.
        total: Bytes,
    },
}

/// A record that is there, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its version.
    pub version: Version,
    /// When it was written.
    pub time: LogTime,
    /// By whom.
    pub actor: Bytes,
}

/// A field that would go from one state to another, and must not. No state stands for no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The name of the field.
    pub field: Bytes,
    /// The state it is in.
    pub from: Option<Bytes>,
    /// The state it would be in.
    pub to: Option<Bytes>,
    /// The states it may go into.
    pub allowed: Vec<Option<Bytes>>,
}

/// An invariant that would not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its name.
    pub invariant: Bytes,
    /// How bad that is, as a number.
    pub severity: u8,
    /// Why it would not hold, for people.
    pub reason: Bytes,
}
