//! Notices when code of the caller's that the engine runs, a closure or a waker, calls the engine.

use super::error::Error;
use crate::base::sync::{thread::LocalKey, thread_local};
use std::cell::Cell;

thread_local! {
    static IN_CLOSURE: Cell<bool> = const { Cell::new(false) };
    static IN_PROCEDURE: Cell<bool> = const { Cell::new(false) };
    static IN_WAKER: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as inside of such code until it is dropped.
pub(super) struct Inside {
    mark: &'static LocalKey<Cell<bool>>,
    before: bool,
}

/// Marks this thread as inside a closure.
pub(super) fn enter() -> Inside {
    Inside::of(&IN_CLOSURE)
}

/// Marks this thread as inside a procedure, which may hold the sequencer's lock.
pub(super) fn enter_procedure() -> [Inside; 2] {
    [Inside::of(&IN_CLOSURE), Inside::of(&IN_PROCEDURE)]
}

/// Marks this thread as inside a waker, of whichever engine.
pub(super) fn enter_waker() -> Inside {
    Inside::of(&IN_WAKER)
}

pub(super) fn in_waker() -> bool {
    IN_WAKER.with(Cell::get)
}

impl Inside {
    fn of(mark: &'static LocalKey<Cell<bool>>) -> Self {
        Self { mark, before: mark.with(|inside| inside.replace(true)) }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.mark.with(|inside| inside.set(self.before));
    }
}

/// Refuses to read from inside a procedure, which sees its transaction alone.
pub(super) fn check_read(what: &'static str) -> Result<(), Error> {
    if IN_PROCEDURE.with(Cell::get) { Err(Error::Reentrant { what }) } else { Ok(()) }
}

/// For calls that can't refuse, and would wait for a lock that their own thread holds. The panic ends the procedure, not the
/// engine.
pub(super) fn assert_outside(what: &'static str) {
    assert!(!IN_PROCEDURE.with(Cell::get), "{what} was called from inside a procedure");
}

/// Refuses a call from inside a closure.
pub(super) fn check(what: &'static str) -> Result<(), Error> {
    if IN_CLOSURE.with(Cell::get) { Err(Error::Reentrant { what }) } else { Ok(()) }
}
