//! Handing requests in: what a caller blocks for, and what it is given. What happens to them is in [`commit`](super::commit).

use super::{
    Abort, Engine, Error, Outcome, Request, Ticket, Transaction, commit::Offered,
    pressure::Patience, request, update,
};
use crate::{
    base::{IdempotencyKey, Never},
    codec::CodecError,
};
use serde::{Serialize, de::DeserializeOwned};

impl Engine {
    /// Carries a request out, or refuses it ([`Outcome::Rejected`]), and blocks until the answer is durable: one write
    /// and one sync, shared with everyone who commits at the same time. A retry under the same key gets the first
    /// answer. May first read the checkpoint's file, prepare a segment of the log, wait for its turn in a full queue
    /// ([`Builder::queue_limit_bytes`](crate::Builder::queue_limit_bytes)), or wait for a checkpoint to make room.
    ///
    /// # Errors
    /// Nothing was logged:
    /// - [`Error::Shape`], [`Error::Limit`], [`Error::Codec`]: the request itself is wrong
    /// - [`Error::KeyReused`]: its key was used with another intent
    /// - [`Error::AlreadyDecided`]: its key was decided before, and it asks to be told so ([`Request::on_duplicate`])
    /// - [`Error::DeadlineExceeded`]: its deadline passed before its turn ([`Request::deadline_in`])
    /// - [`Error::KeyspaceMismatch`], [`Error::FutureVersion`], [`Error::NotANumber`]: it does not fit what is stored
    /// - [`Error::Panicked`], [`Error::Shape`], [`Error::Limit`], [`Error::Codec`]: code of a rule panicked, or could not judge it
    /// - [`Error::Overloaded`]: what [invariants across records](crate::CrossInvariant) read left memory again and again before its turn
    /// - [`Error::NoSpace`]: the disk has no room for another segment, or for the checkpoint that must make room in memory
    /// - [`Error::ReadOnly`]: it was opened to be read only
    /// - [`Error::Io`]: preparing a segment failed
    /// - [`Error::Corruption`]: the checkpoint's file is damaged
    /// - [`Error::Poisoned`], [`Error::Closed`], [`Error::SequenceExhausted`]: the engine takes no more writes
    /// - [`Error::Reentrant`]: called from inside a closure given to [`update`](Self::update)
    /// - [`Error::Forked`]: called in a forked child of the process that opened the engine
    ///
    /// Something may have been:
    /// - [`Error::Indeterminate`]: the write or the sync failed. The next opening decides, and a retry under the same key
    ///   tells
    /// - [`Error::Codec`] on a retry: the request was decided before, but its result is not a `T`
    pub fn commit<T>(&self, request: Request<T>) -> Result<Outcome<T>, Error> {
        self.enter("commit")?;
        let terms = request.terms(Patience::Leads, &*self.core().machine.clock);
        let request::Prepared { data, decode } = request.prepare()?;
        self.core().commit(data, terms)?.decode(decode, no_rejection)
    }

    /// Hands a request in without waiting for its outcome: a thread of the engine writes and syncs. Blocks only while
    /// too much is waiting already ([`Builder::queue_limit_bytes`](crate::Builder::queue_limit_bytes)), and for what a [`commit`](Self::commit) may have to do before it: reading the
    /// checkpoint's file, preparing a segment. From within a waker it also writes and syncs where it would wait for that.
    ///
    /// The ticket gives what [`commit`](Self::commit) would, errors included. Requests are carried out in the order in
    /// which one thread hands them in, whether or not anyone waits for their tickets.
    pub fn submit<T>(&self, request: Request<T>) -> Ticket<T> {
        self.hand_in("submit", request, Patience::Waits).unwrap_or_else(|error| {
            Ticket::answered(Err(error), |_| Err(CodecError::Untyped), no_rejection)
        })
    }

    /// As [`submit`](Self::submit), but never waits for others: where that would wait, this gives
    /// [`Error::Overloaded`] at once, with a guess at when there will be room. It may read the checkpoint's file. A
    /// request whose key was decided durably before gets its outcome all the same.
    ///
    /// The first request after an opening, or one that meets the end of a file of the log, can be turned away although
    /// little waits: the next file is being prepared.
    ///
    /// ```
    /// use steadfast::{Engine, Error, Expect, Keyspace, Request};
    ///
    /// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    ///
    /// let engine = Engine::builder().queue_limit_requests(100).in_memory()?;
    /// let mut tickets = Vec::new();
    /// for product in 0..1_000 {
    ///     match engine.try_submit(Request::unkeyed().put(&STOCK, &product, &7, Expect::Any)) {
    ///         Ok(ticket) => tickets.push(ticket),
    ///         // A service would say "503, retry after".
    ///         Err(Error::Overloaded { retry_after }) => assert!(retry_after.as_millis() > 0),
    ///         Err(error) => return Err(error),
    ///     }
    ///     assert!(engine.queue().most_requests <= 100);
    /// }
    /// for ticket in tickets {
    ///     ticket.wait()?.committed()?;
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// It was not taken in, and nothing was logged: [`Error::Overloaded`], and those of [`commit`](Self::commit) that are
    /// known at once. What is known later comes by the ticket.
    pub fn try_submit<T>(&self, request: Request<T>) -> Result<Ticket<T>, Error> {
        self.hand_in("try_submit", request, Patience::Never)
    }

    fn hand_in<T>(
        &self,
        what: &'static str,
        request: Request<T>,
        patience: Patience,
    ) -> Result<Ticket<T>, Error> {
        self.enter(what)?;
        let core = &self.0.core;
        let terms = request.terms(patience, &*core.machine.clock);
        let request::Prepared { data, decode } = request.prepare()?;
        Ok(match core.offer(data, terms)? {
            Offered::Answered(answer) => Ticket::answered(answer, decode, no_rejection),
            Offered::Parked { slot, .. } => {
                Ticket::parked(core.clone(), slot, decode, no_rejection)
            }
        })
    }

    /// Runs `closure`, which reads and writes through a [`Transaction`], and commits what it wrote if all it read is
    /// still so; else pauses for a random while of at most 4 ms and runs it again, up to 64 times in all. After that it
    /// gives the [`Rejection::Conflict`](crate::Rejection::Conflict), which is not remembered. Blocks until the answer is durable.
    ///
    /// `intent` is what the client asked, up to 1 MiB encoded: under the same key, the same intent gets the first answer
    /// without the closure being run, and another one is refused. The closure must have no effects of its own, since it
    /// may run more than once. What it returns is remembered with the outcome, up to 64 KiB encoded.
    ///
    /// ```
    /// use steadfast::{Abort, Engine, IdempotencyKey, Keyspace, Outcome};
    /// use serde::{Deserialize, Serialize};
    ///
    /// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    ///
    /// #[derive(Serialize, Deserialize, Debug, PartialEq)]
    /// struct SoldOut { left: u32 }
    ///
    /// let engine = Engine::in_memory()?;
    /// let key = IdempotencyKey::new("shop", "order-1")?;
    /// let outcome = engine.update(key, &("sell", 12u64, 3u32), |tx| {
    ///     let left = tx.get(&STOCK, &12)?.map_or(0, |record| record.value);
    ///     if left < 3 {
    ///         return Err(Abort::Reject(SoldOut { left }));
    ///     }
    ///     tx.put(&STOCK, &12, &(left - 3))?;
    ///     Ok(left - 3)
    /// })?;
    /// assert!(matches!(outcome, Outcome::Rejected(_)));
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`commit`](Self::commit), but for those of deadlines and duplicates; what the closure gave as [`Abort::Engine`]; [`Error::Panicked`] when it panicked.
    /// Nothing is logged or remembered for either of the last two.
    pub fn update<T, R>(
        &self,
        key: IdempotencyKey,
        intent: &(impl Serialize + ?Sized),
        closure: impl FnMut(&mut Transaction<'_>) -> Result<T, Abort<R>>,
    ) -> Result<Outcome<T, R>, Error>
    where
        T: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        self.enter("update")?;
        update::update(self.core(), &key, intent, closure)
    }
}

/// A request has no rejection of the caller's own.
fn no_rejection(_: &[u8]) -> Result<Never, CodecError> {
    Err(CodecError::Untyped)
}
