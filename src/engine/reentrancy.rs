//! Notices when a closure that the engine runs calls the engine.

use super::error::Error;
use crate::base::sync::thread_local;
use std::cell::Cell;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as inside a closure until it is dropped.
pub(super) struct Inside(bool);

pub(super) fn enter() -> Inside {
    Inside(INSIDE.with(|inside| inside.replace(true)))
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.with(|inside| inside.set(self.0));
    }
}

/// Refuses a call from inside a closure.
pub(super) fn check(what: &'static str) -> Result<(), Error> {
    if INSIDE.with(Cell::get) { Err(Error::Reentrant { what }) } else { Ok(()) }
}
