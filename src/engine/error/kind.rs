//! The kinds of errors.

use super::Error;

/// The kind of an [`Error`](enum@Error), without its particulars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // each is the variant of `Error` of that name
pub enum ErrorKind {
    Rejected,
    KeyReused,
    AlreadyDecided,
    Fenced,
    KeyExpired,
    KeyAhead,
    KeyUntimed,
    Overloaded,
    DeadlineExceeded,
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
    UnknownProcedure,
    Cold,
    Reentrant,
    Forked,
    Locked,
    NotADatabase,
    ClockJump,
    RuleBroken,
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
            Self::AlreadyDecided { .. } => ErrorKind::AlreadyDecided,
            Self::Fenced { .. } => ErrorKind::Fenced,
            Self::KeyExpired { .. } => ErrorKind::KeyExpired,
            Self::KeyAhead { .. } => ErrorKind::KeyAhead,
            Self::KeyUntimed => ErrorKind::KeyUntimed,
            Self::ReadOnly { .. } => ErrorKind::ReadOnly,
            Self::Overloaded { .. } => ErrorKind::Overloaded,
            Self::DeadlineExceeded => ErrorKind::DeadlineExceeded,
            Self::Shape(_) => ErrorKind::Shape,
            Self::Limit(_) => ErrorKind::Limit,
            Self::Codec(_) => ErrorKind::Codec,
            Self::FutureVersion { .. } => ErrorKind::FutureVersion,
            Self::NotANumber { .. } => ErrorKind::NotANumber,
            Self::KeyspaceMismatch { .. } => ErrorKind::KeyspaceMismatch,
            Self::NoSpace { .. } => ErrorKind::NoSpace,
            Self::Indeterminate { .. } => ErrorKind::Indeterminate,
            Self::Poisoned { .. } => ErrorKind::Poisoned,
            Self::Closed => ErrorKind::Closed,
            Self::Panicked { .. } => ErrorKind::Panicked,
            Self::UnknownProcedure { .. } => ErrorKind::UnknownProcedure,
            Self::Cold => ErrorKind::Cold,
            Self::Reentrant { .. } => ErrorKind::Reentrant,
            Self::Forked { .. } => ErrorKind::Forked,
            Self::Locked { .. } => ErrorKind::Locked,
            Self::NotADatabase { .. } => ErrorKind::NotADatabase,
            Self::ClockJump { .. } => ErrorKind::ClockJump,
            Self::RuleBroken { .. } => ErrorKind::RuleBroken,
            Self::UnsupportedFormat { .. } => ErrorKind::UnsupportedFormat,
            Self::Corruption { .. } => ErrorKind::Corruption,
            Self::Io { .. } => ErrorKind::Io,
            Self::SequenceExhausted => ErrorKind::SequenceExhausted,
        }
    }
}
