//! The one place where calls go into redb and come back.
//!
//! redb trusts its pages on ordinary reads and may panic on a damaged one. Every call goes through [`guard`], which
//! turns a panic into [`CheckpointError::Damaged`], and everything of redb's with a destructor lives in a [`Guarded`].
//! Only redb runs inside: a panic of ours, or of an iterator given to us, goes its usual way. With `panic = "abort"`
//! there is nothing to catch, and the process ends.

use super::{backend::Backend, error::CheckpointError};
use std::{
    io,
    ops::{Deref, DerefMut},
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Calls into redb, `doing` something.
pub(super) fn guard<T, E: Into<redb::Error>>(
    backend: &Backend,
    doing: &'static str,
    call: impl FnOnce() -> Result<T, E>,
) -> Result<T, CheckpointError> {
    // Unwind safety: whatever a panic left half-done belongs to redb, which poisons its own locks.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(judge(backend, doing, error.into())),
        Err(_) => Err(backend.failed().map_or_else(
            || CheckpointError::damaged(format!("{doing}: a page made the store panic")),
            CheckpointError::Io,
        )),
    }
}

/// Calls something of redb's that cannot fail.
pub(super) fn guard_plain<T>(
    backend: &Backend,
    doing: &'static str,
    call: impl FnOnce() -> T,
) -> Result<T, CheckpointError> {
    guard(backend, doing, || Ok::<_, redb::Error>(call()))
}

/// The machine's fault or the bytes'? The backend saw every failure of the machine; what redb calls an I/O error
/// without one, such as a wrong magic number or a page past the end, is damage.
fn judge(backend: &Backend, doing: &'static str, error: redb::Error) -> CheckpointError {
    if let Some(failure) = backend.failed() {
        return failure.into();
    }
    match error {
        redb::Error::DatabaseClosed => io::Error::other("the checkpoint is closed").into(),
        redb::Error::TransactionInProgress => {
            io::Error::other("the checkpoint still has readers").into()
        }
        redb::Error::ValueTooLarge(_) | redb::Error::Unsupported => {
            io::Error::other(format!("{doing}: {error}")).into()
        }
        error => CheckpointError::damaged(format!("{doing}: {error}")),
    }
}

/// Holds something of redb's and survives a panic of its destructor, which redb's poisoned locks make likely once
/// anything panicked.
pub(super) struct Guarded<T>(Option<T>);

impl<T> Guarded<T> {
    pub(super) const fn new(inner: T) -> Self {
        Self(Some(inner))
    }

    /// Gives it back, to be consumed by a guarded call.
    pub(super) fn into_inner(mut self) -> T {
        self.0.take().expect("taken only here")
    }
}

impl<T> Deref for Guarded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.as_ref().expect("taken only by value")
    }
}

impl<T> DerefMut for Guarded<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("taken only by value")
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        // A destructor has nobody to report to: what matters was reported by the call that failed before.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(self.0.take())));
    }
}
