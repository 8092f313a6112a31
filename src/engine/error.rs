//! Everything that can go wrong, with what to do about it.

use super::outcome::Rejection;
use crate::{
    admission::{Differs, keyspaces::Difference, shape::ShapeError},
    base::{LimitError, LogTime, Never, SeqNo, Version},
    codec::CodecError,
    recovery::OpenError,
};
use std::{io, sync::Arc};
use thiserror::Error;

/// What went wrong. Every message says what, where, and what to do next; none holds a key or a value.
///
/// | variant | what happened to the request | [`retry`](Self::retry) |
/// |---|---|---|
/// | `Rejected`, from `Rejection` | refused | as the rejection says |
/// | `KeyReused` | nothing | `Resolve` |
/// | `Shape`, `Limit`, `Codec`, `FutureVersion`, `NotANumber` | nothing | `Never`: change the request |
/// | `KeyspaceMismatch` | nothing | `Never`: change the program |
/// | `NoSpace` | nothing | `SameKey`, once there is room |
/// | `ReadOnly` | nothing | `SameKey`, once it takes writes |
/// | `Indeterminate` | unknown until the directory is opened again | `Resolve` |
/// | `Poisoned` | nothing | `SameKey`, after opening again |
/// | `Closed` | nothing | `SameKey`, after opening again |
/// | `Panicked`, `Reentrant` | nothing | `Never`: change the program |
/// | `Corruption`, `Io`, `SequenceExhausted` | nothing | `Never`: mend what is named first |
/// | `Locked`, of an opening | - | `SameKey`, once the other one is closed |
/// | `NotADatabase`, `UnsupportedFormat`, of an opening | - | `Never` |
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The request was refused; only made by turning a [`Rejection`] into an error.
    #[error("{0}")]
    Rejected(Box<Rejection<()>>),
    /// The idempotency key was used before for something else.
    #[error(
        "the idempotency key was used for another request, decided as entry {seq}: they differ in {differs:?}; ask which \
         one was meant, and use a new key for the other"
    )]
    KeyReused {
        /// The entry that decided the first request under the key.
        seq: SeqNo,
        /// When.
        time: LogTime,
        /// In what the two differ.
        differs: Differs,
    },
    /// The request is not well formed.
    #[error(transparent)]
    Shape(ShapeError),
    /// A limit was broken.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// A key, a value, an intent or a result did not encode or decode. When it is the result of a request that was decided
    /// before, that stands.
    #[error(transparent)]
    Codec(CodecError),
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
    /// The engine takes no writes: it was opened to be read only. Outcomes that are remembered are told all the same.
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
    #[error("the closure given to {what} panicked; nothing was logged")]
    Panicked {
        /// The call.
        what: &'static str,
    },
    /// The engine was called from inside a closure it runs.
    #[error(
        "{what} was called from inside a closure that the engine runs: use the transaction it was given"
    )]
    Reentrant {
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

/// What can sensibly be tried after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// The same request under the same key.
    SameKey,
    /// A changed request under a new key.
    NewKey,
    /// The same key, with expectations refreshed.
    AfterRefresh,
    /// Find out what happened under the key first: after `Indeterminate` by opening the directory again and retrying the
    /// very same request, after `KeyReused` by asking which request was meant.
    Resolve,
    /// Nothing: the request, the program or the directory must change.
    Never,
}

/// The kind of an [`Error`](enum@Error), without its particulars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // each is the variant of `Error` of that name
pub enum ErrorKind {
    Rejected,
    KeyReused,
    Shape,
    Limit,
    Codec,
    FutureVersion,
    NotANumber,
    KeyspaceMismatch,
    NoSpace,
    ReadOnly,
    Indeterminate,
    Poisoned,
    Closed,
    Panicked,
    Reentrant,
    Locked,
    NotADatabase,
    UnsupportedFormat,
    Corruption,
    Io,
    SequenceExhausted,
}

impl Error {
    /// The kind, to match on without the particulars.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Rejected(_) => ErrorKind::Rejected,
            Self::KeyReused { .. } => ErrorKind::KeyReused,
            Self::Shape(_) => ErrorKind::Shape,
            Self::Limit(_) => ErrorKind::Limit,
            Self::Codec(_) => ErrorKind::Codec,
            Self::FutureVersion { .. } => ErrorKind::FutureVersion,
            Self::NotANumber { .. } => ErrorKind::NotANumber,
            Self::KeyspaceMismatch { .. } => ErrorKind::KeyspaceMismatch,
            Self::NoSpace { .. } => ErrorKind::NoSpace,
            Self::ReadOnly { .. } => ErrorKind::ReadOnly,
            Self::Indeterminate { .. } => ErrorKind::Indeterminate,
            Self::Poisoned { .. } => ErrorKind::Poisoned,
            Self::Closed => ErrorKind::Closed,
            Self::Panicked { .. } => ErrorKind::Panicked,
            Self::Reentrant { .. } => ErrorKind::Reentrant,
            Self::Locked { .. } => ErrorKind::Locked,
            Self::NotADatabase { .. } => ErrorKind::NotADatabase,
            Self::UnsupportedFormat { .. } => ErrorKind::UnsupportedFormat,
            Self::Corruption { .. } => ErrorKind::Corruption,
            Self::Io { .. } => ErrorKind::Io,
            Self::SequenceExhausted => ErrorKind::SequenceExhausted,
        }
    }

    /// What can sensibly be tried.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Rejected(rejection) => rejection.retry(),
            Self::KeyReused { .. } | Self::Indeterminate { .. } => Retry::Resolve,
            Self::NoSpace { .. }
            | Self::ReadOnly { .. }
            | Self::Poisoned { .. }
            | Self::Closed
            | Self::Locked { .. } => Retry::SameKey,
            _ => Retry::Never,
        }
    }

    pub(crate) fn opening(error: OpenError, location: String) -> Self {
        match error {
            OpenError::Locked => Self::Locked { location },
            OpenError::NotADatabase { what } => Self::NotADatabase { location, what },
            OpenError::UnsupportedFormat { file, version } => {
                Self::UnsupportedFormat { file, version, supported: crate::format::VERSION }
            }
            OpenError::Corruption(corruption) => Self::Corruption {
                file: corruption.file,
                offset: corruption.offset,
                seq: corruption.after_seq,
                evidence: corruption.evidence,
            },
            OpenError::NoSpace { what } => Self::NoSpace { what },
            OpenError::Io { what, error } => Self::Io { what, source: error },
        }
    }
}

impl From<ShapeError> for Error {
    fn from(error: ShapeError) -> Self {
        match error {
            ShapeError::Limit(limit) => Self::Limit(limit),
            error => Self::Shape(error),
        }
    }
}

impl From<CodecError> for Error {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::Limit(limit) => Self::Limit(limit),
            error => Self::Codec(error),
        }
    }
}

impl<R> From<Rejection<R>> for Error {
    fn from(rejection: Rejection<R>) -> Self {
        Self::Rejected(Box::new(rejection.map(|_| ())))
    }
}

impl From<Never> for Error {
    fn from(never: Never) -> Self {
        match never {}
    }
}
