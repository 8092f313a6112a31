//! Calling procedures: what a caller blocks for, and what it is given. What happens to a call is in [`call`](super::call).

use super::{
    Engine, Error, Outcome, Procedure, Ticket,
    call::Call,
    commit::Offered,
    payload,
    pressure::{Patience, Terms},
};
use crate::base::IdempotencyKey;

impl Engine {
    /// Runs a [`Procedure`] with these arguments when its turn has come, and blocks until the answer is durable: one write and
    /// one sync, shared with everyone who commits at the same time. A retry under the same key, with the same arguments, gets
    /// the first answer byte for byte, whichever version of the procedure it names; with others it is [`Error::KeyReused`].
    ///
    /// The procedure sees the newest state, in the order of the log, so it never meets a conflict. What it reads that is in the
    /// checkpoint only is read from its file first, outside of that order: the procedure is run again for it, up to eight
    /// times. See [`Procedure`] for an example.
    ///
    /// # Errors
    /// As [`commit`](Self::commit), but for those of deadlines, duplicates and versions; and nothing was logged:
    /// - [`Error::UnknownProcedure`]: it was not registered with [`Builder::procedure`](crate::Builder::procedure)
    /// - [`Error::Panicked`]: it panicked
    /// - [`Error::Overloaded`]: what it reads left memory again and again before its turn came
    /// - what it gave as [`Abort::Engine`](crate::Abort::Engine)
    pub fn call<P: Procedure>(
        &self,
        key: IdempotencyKey,
        procedure: &P,
    ) -> Result<Outcome<P::Output, P::Rejection>, Error> {
        self.enter("call")?;
        let call = Call::new(self.core(), key, procedure)?;
        self.core().call(&call)?.decode(payload::decode, payload::decode)
    }

    /// As [`call`](Self::call), without waiting for the outcome: the procedure runs now, on this thread, and its answer comes by
    /// the ticket once it is durable. Blocks for what [`submit`](Self::submit) may block for.
    pub fn submit_call<P: Procedure>(
        &self,
        key: IdempotencyKey,
        procedure: &P,
    ) -> Ticket<P::Output, P::Rejection> {
        self.hand_in_call(key, procedure)
            .unwrap_or_else(|error| Ticket::answered(Err(error), payload::decode, payload::decode))
    }

    fn hand_in_call<P: Procedure>(
        &self,
        key: IdempotencyKey,
        procedure: &P,
    ) -> Result<Ticket<P::Output, P::Rejection>, Error> {
        self.enter("submit_call")?;
        let core = &self.0.core;
        let call = Call::new(core, key, procedure)?;
        let terms = Terms { patience: Patience::Waits, ..Terms::patient() };
        Ok(match core.offer_call(&call, &terms)? {
            Offered::Answered(answer) => Ticket::answered(answer, payload::decode, payload::decode),
            Offered::Parked { slot, .. } => {
                Ticket::parked(core.clone(), slot, payload::decode, payload::decode)
            }
        })
    }
}
