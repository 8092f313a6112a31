//! The process an engine belongs to: the one that opened it.
//!
//! A forked child has a copy of the memory and shares the open files and the lock, but none of the threads. What they held is
//! locked there for ever, and what it wrote would meet what the parent writes. So a child is refused whatever writes or
//! waits, and when it drops a handle, what that holds is left alone: nothing is locked, joined, written or unlocked.
//!
//! Asking the system who one is takes about fifty nanoseconds: little beside a write, and a third of a read from memory. So
//! reads are not refused; one that fails is told the reason.

use super::error::Error;
use crate::base::sync::atomic::{AtomicU32, Ordering};

/// The process that opened an engine.
#[derive(Debug)]
pub(super) struct Owner(AtomicU32);

impl Owner {
    /// This process.
    pub(super) fn here() -> Self {
        Self(AtomicU32::new(std::process::id()))
    }

    /// Whether this is a forked child of the process that opened the engine.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.0.load(Ordering::Relaxed) != std::process::id()
    }

    /// Refuses a call from a forked child.
    pub(super) fn check(&self, what: &'static str) -> Result<(), Error> {
        if self.is_elsewhere() { Err(Error::Forked { what }) } else { Ok(()) }
    }

    /// Makes this process look like a forked child, or like the owner again.
    #[cfg(test)]
    pub(super) fn pretend(&self, elsewhere: bool) {
        self.0.store(std::process::id() ^ u32::from(elsewhere), Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "owner_tests.rs"]
mod tests;
