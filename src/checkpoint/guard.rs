//! The one place where calls go into redb and come back.
//!
//! redb trusts its pages on ordinary reads and may panic on a damaged one. Every call goes through [`guard`], which
//! turns a panic into [`CheckpointError::Damaged`], and everything of redb's with a destructor lives in a [`Guarded`].
//! Only redb runs inside: a panic of ours, or of an iterator given to us, goes its usual way. With `panic = "abort"`
//! there is nothing to catch, and the process ends.

use super::{backend::Backend, error::CheckpointError};
use redb::{ReadableDatabase, StorageError, TransactionError};
use std::{
    io,
    ops::{Deref, DerefMut},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
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
        Err(_) => Err(judge_panic(backend, doing)),
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
        error => {
            backend.note_damage();
            CheckpointError::damaged(format!("{doing}: {error}"))
        }
    }
}

fn judge_panic(backend: &Backend, doing: &'static str) -> CheckpointError {
    // Whoever is at fault, redb is in no state to write.
    backend.note_damage();
    match backend.failed() {
        Some(failure) => failure.into(),
        None => CheckpointError::damaged(format!("{doing}: a page made the store panic")),
    }
}

/// Holds something of redb's with a destructor, which may panic in its turn once anything panicked.
pub(super) struct Guarded<T> {
    inner: Option<T>,
    backend: Backend,
}

impl<T> Guarded<T> {
    pub(super) fn new(backend: &Backend, inner: T) -> Self {
        Self { inner: Some(inner), backend: backend.clone() }
    }

    /// Gives it back, to be consumed by a guarded call.
    pub(super) fn into_inner(mut self) -> T {
        self.inner.take().expect("taken only here")
    }
}

impl<T> Deref for Guarded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.inner.as_ref().expect("taken only by value")
    }
}

impl<T> DerefMut for Guarded<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect("taken only by value")
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else { return };
        if self.backend.damaged() {
            drop_idle(inner);
        } else {
            // There is nobody to report to: what matters was reported by the call that failed before.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(inner)));
        }
    }
}

/// Drops a transaction or a database of redb's without letting it work on its trees.
///
/// On drop a transaction rolls itself back and a database commits once more. Over damaged pages that can panic twice
/// at once, which ends the process. redb does neither while its thread is panicking, so let it be.
fn drop_idle<T>(inner: T) {
    if cfg!(panic = "abort") {
        std::mem::forget(inner);
        return;
    }
    let _ = catch_unwind(AssertUnwindSafe(move || {
        let _inner = inner;
        // Unlike a panic this runs no hook, so nothing is printed.
        resume_unwind(Box::new(()));
    }));
}

/// Drops a database of redb's without letting it write.
pub(super) fn drop_database(database: redb::Database) {
    // A poisoned lock would panic while the thread already does, which can't be caught. It is leaked instead.
    let usable = catch_unwind(AssertUnwindSafe(|| {
        let read = database.begin_read();
        !matches!(read, Err(TransactionError::Storage(StorageError::LockPoisoned(_))))
    }));
    if usable.unwrap_or(false) {
        drop_idle(database);
    } else {
        std::mem::forget(database);
    }
}
