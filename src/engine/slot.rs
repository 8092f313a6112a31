//! Where a caller waits for the answer to its request.

use super::{error::Error, outcome::Answer, reentrancy};
use crate::base::sync::{
    Condvar, Mutex,
    atomic::{AtomicBool, Ordering},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Poll, Waker},
};

/// What a ticket says that is asked again.
pub(super) const TAKEN: &str = "a ticket was asked after it had given its outcome";

type Reply = Result<Answer, Error>;

/// One caller's place. Filled exactly once.
#[derive(Debug, Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    changed: Condvar,
    /// Whether the caller blocks here, and can be handed the lead.
    blocking: AtomicBool,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Waiting,
    /// A future waits.
    Polled(Waker),
    /// The caller is to take the lead, and then to wait again.
    Lead,
    Filled(Reply),
    Taken,
}

/// What a blocked caller is woken for.
#[expect(clippy::large_enum_variant, reason = "made once, and taken apart right away")]
pub(super) enum Woken {
    Lead,
    Reply(Reply),
}

impl Slot {
    pub(super) fn new(blocking: bool) -> Arc<Self> {
        Arc::new(Self { blocking: AtomicBool::new(blocking), ..Self::default() })
    }

    /// The caller is about to block here, and no longer waits as a future.
    pub(super) fn block(&self) {
        let mut state = self.state.lock();
        let waker = match std::mem::take(&mut *state) {
            State::Polled(waker) => Some(waker),
            other => {
                *state = other;
                None
            }
        };
        drop(state);
        // A waker is the caller's code: it is dropped where no lock is held, and before this caller can be handed the lead,
        // for with the last handle in it the drop closes the engine, which waits for whoever leads.
        drop(waker);
        self.blocking.store(true, Ordering::SeqCst);
    }

    /// Gives the answer and wakes whoever waits for it.
    pub(super) fn fill(&self, reply: Reply) {
        let before = std::mem::replace(&mut *self.state.lock(), State::Filled(reply));
        match before {
            // A waker is the caller's code: if it panics, the others still get their answers.
            State::Polled(waker) => {
                let _inside = reentrancy::enter_waker();
                drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
            }
            _ => drop(self.changed.notify_one()),
        }
    }

    /// Hands the lead to a caller that blocks here, or is about to; false when nobody does.
    pub(super) fn promote(&self) -> bool {
        if !self.blocking.load(Ordering::SeqCst) {
            return false;
        }
        let mut state = self.state.lock();
        let waits = matches!(*state, State::Waiting);
        if waits {
            *state = State::Lead;
            self.changed.notify_one();
        }
        waits
    }

    /// Blocks until there is something to do.
    pub(super) fn wait(&self) -> Woken {
        let mut state = self.state.lock();
        loop {
            match std::mem::replace(&mut *state, State::Waiting) {
                State::Lead => return Woken::Lead,
                State::Filled(reply) => {
                    *state = State::Taken;
                    return Woken::Reply(reply);
                }
                State::Taken => panic!("{TAKEN}"),
                _ => self.changed.wait(&mut state),
            }
        }
    }

    /// The answer, or a promise to wake.
    pub(super) fn poll(&self, waker: &Waker) -> Poll<Reply> {
        let waker = waker.clone();
        let mut state = self.state.lock();
        let before = match std::mem::replace(&mut *state, State::Taken) {
            State::Filled(reply) => {
                drop(state);
                return Poll::Ready(reply);
            }
            State::Taken => panic!("{TAKEN}"),
            before => before,
        };
        *state = State::Polled(waker);
        drop(state);
        drop(before);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "after it had given its outcome")]
    fn nobody_waits_for_an_answer_that_was_given() {
        let slot = Slot::new(false);
        slot.fill(Err(Error::Closed));
        assert!(slot.poll(Waker::noop()).is_ready());
        let _ = slot.wait();
    }
}
