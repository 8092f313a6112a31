//! Errors of the layers below, as the caller is told.

use super::Error;
use crate::{
    admission::shape::ShapeError, base::Never, codec::CodecError, engine::outcome::Rejection,
    recovery::OpenError,
};

impl Error {
    pub(crate) fn opening(error: OpenError, location: String) -> Self {
        match error {
            OpenError::Locked => Self::Locked { location },
            OpenError::NotADatabase { what } => Self::NotADatabase { location, what },
            OpenError::ClockJump { last, now } => Self::ClockJump { location, last, now },
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
