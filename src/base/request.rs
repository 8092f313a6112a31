//! An operation as data, and the entry of the log it becomes.

use super::{
    Bytes, Expect, Fingerprint, IdempotencyKey, KeyspaceId, KeyspaceIdentity, LogTime, Mode, SeqNo,
    Step, StoredOutcome, Version,
};

/// What a caller asks for, encoded and within the limits that need no state to check.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestData {
    /// The key to remember the outcome under, with what was asked.
    pub key: Option<(IdempotencyKey, Fingerprint)>,
    /// The keyspaces its operations and reads name by position.
    pub keyspaces: Vec<KeyspaceIdentity>,
    /// Expectations and mutations, in order.
    pub operations: Vec<Operation>,
    /// What `update` read before it decided.
    pub reads: Vec<Read>,
    /// The procedure that made the operations, if one did.
    pub call: Option<Box<ProcedureCall>>,
    /// Who asks.
    pub actor: Bytes,
    /// The caller's name for the flow this is part of.
    pub correlation: Bytes,
    /// What is to be remembered when it is admitted.
    pub verdict: Verdict,
}

impl RequestData {
    /// A request that names nothing yet.
    #[must_use]
    pub fn empty(key: Option<(IdempotencyKey, Fingerprint)>) -> Self {
        Self {
            key,
            keyspaces: Vec::new(),
            operations: Vec::new(),
            reads: Vec::new(),
            call: None,
            actor: Bytes::new(),
            correlation: Bytes::new(),
            verdict: Verdict::Commit(Bytes::new()),
        }
    }
}

/// What the caller wants remembered if the expectations hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Commit, with this result.
    Commit(Bytes),
    /// The caller's code refused: remember this encoded rejection and change nothing.
    Reject(Bytes),
    /// Remember that nothing may ever be decided under the key.
    Fence,
    /// Change the mode of the database.
    Mode(Mode),
}

impl Verdict {
    /// The encoded result or rejection.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        match self {
            Self::Commit(bytes) | Self::Reject(bytes) => bytes,
            Self::Fence => &[],
            Self::Mode(Mode::ReadWrite) => &[],
            Self::Mode(Mode::ReadOnly { reason }) => reason.as_bytes(),
        }
    }
}

/// One expectation, with or without a mutation.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Position in the request's keyspaces.
    pub keyspace: u16,
    /// The encoded record key.
    pub key: Bytes,
    /// What the record must be before the request.
    pub expect: Expect,
    /// What to do with it.
    pub action: Action,
}

/// What an operation does to its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Check,
    /// Set the encoded value.
    Put(Bytes),
    /// Remove the record.
    Delete,
    /// Add to a number; an absent record counts as 0.
    Add {
        /// What to add.
        delta: i64,
        /// Least allowed sum.
        min: i64,
        /// Greatest allowed sum.
        max: i64,
        /// The encoded sum: empty until admission decided it.
        sum: Bytes,
    },
}

/// A record `update` read: the version it saw, `None` for no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Position in the request's keyspaces.
    pub keyspace: u16,
    /// The encoded record key.
    pub key: Bytes,
    /// What was there.
    pub seen: Option<Version>,
}

/// A procedure as it was called: all that its code decides from, but for the records it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcedureCall {
    /// Its name.
    pub name: Bytes,
    /// The version of its code.
    pub version: u32,
    /// What time it was told that it is: that of the entry, or of when it was first tried.
    pub time: LogTime,
    /// What its random numbers and ids come from.
    pub seed: u64,
    /// Its encoded arguments, behind the tag of their codec.
    pub arguments: Bytes,
}

/// A decided operation: the unit of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its number.
    pub seq: SeqNo,
    /// Its log time.
    pub time: LogTime,
    /// See [`RequestData::key`].
    pub key: Option<(IdempotencyKey, Fingerprint)>,
    /// What it does before its request is carried out, in order.
    pub steps: Vec<Step>,
    /// The keyspaces its operations name by position.
    pub keyspaces: Vec<KeyspaceRef>,
    /// See [`RequestData::operations`].
    pub operations: Vec<Operation>,
    /// See [`RequestData::reads`].
    pub reads: Vec<Read>,
    /// See [`RequestData::call`].
    pub call: Option<Box<ProcedureCall>>,
    /// What the totals are after it that it changes, by name.
    pub totals: Vec<(Bytes, i128)>,
    /// Who asked.
    pub actor: Bytes,
    /// The caller's name for the flow this is part of.
    pub correlation: Bytes,
    /// What was decided.
    pub outcome: StoredOutcome,
}

/// A keyspace as an entry names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyspaceRef {
    /// Its number; [`KeyspaceId::NONE`] when it does not exist and the entry does not define it.
    pub id: KeyspaceId,
    /// The schema number of the values this entry writes.
    pub schema: u32,
    /// Its identity, when this entry defines it, raises its schema number, or names one that does not exist.
    pub identity: Option<KeyspaceIdentity>,
}
