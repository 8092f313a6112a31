//! What to do about an error.

use super::Error;
use crate::base::LimitError;

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
    /// very same request, after `KeyReused` by asking which request was meant, after `AlreadyDecided` by retrying the request
    /// with [`OnDuplicate::Return`](crate::OnDuplicate), which gives the outcome as long as it is remembered.
    Resolve,
    /// Nothing: the request, the program or the directory must change.
    Never,
}

impl Error {
    /// What can sensibly be tried.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Rejected(rejection) => rejection.retry(),
            Self::KeyReused { .. } | Self::AlreadyDecided { .. } | Self::Indeterminate { .. } => {
                Retry::Resolve
            }
            Self::Limit(LimitError { passes: true, .. })
            | Self::Overloaded { .. }
            | Self::DeadlineExceeded
            | Self::NoSpace { .. }
            | Self::Poisoned { .. }
            | Self::ReadOnly { .. }
            | Self::Closed
            | Self::Cold
            | Self::Locked { .. } => Retry::SameKey,
            Self::Fenced { .. }
            | Self::KeyExpired { .. }
            | Self::KeyAhead { .. }
            | Self::KeyUntimed => Retry::NewKey,
            Self::Shape(_)
            | Self::Limit(_)
            | Self::Codec(_)
            | Self::FutureVersion { .. }
            | Self::NotANumber { .. }
            | Self::KeyspaceMismatch { .. }
            | Self::Panicked { .. }
            | Self::UnknownProcedure { .. }
            | Self::Reentrant { .. }
            | Self::Forked { .. }
            | Self::NotADatabase { .. }
            | Self::ClockJump { .. }
            | Self::RuleBroken { .. }
            | Self::UnsupportedFormat { .. }
            | Self::Corruption { .. }
            | Self::Io { .. }
            | Self::SequenceExhausted => Retry::Never,
        }
    }
}
