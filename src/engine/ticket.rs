//! The promise of an outcome.

use super::{
    core::Core,
    error::Error,
    outcome::{Answer, Outcome},
    reentrancy,
    slot::{Slot, TAKEN},
};
use crate::{
    base::{Bytes, Never},
    codec::CodecError,
};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// The promise of an outcome: a `Future` for any executor, or [`wait`](Self::wait) for none.
///
/// Dropping it cancels nothing: the request is carried out all the same. The outcome is given once it is durable.
///
/// ```
/// use std::{
///     future::Future,
///     pin::pin,
///     sync::Arc,
///     task::{Context, Poll, Wake, Waker},
///     thread::{self, Thread},
/// };
/// use steadfast::{Engine, Expect, Keyspace, Request};
///
/// /// The least of executors: one future, on this thread.
/// fn block_on<F: Future>(future: F) -> F::Output {
///     struct Unpark(Thread);
///     impl Wake for Unpark {
///         fn wake(self: Arc<Self>) {
///             self.0.unpark();
///         }
///     }
///     let waker = Waker::from(Arc::new(Unpark(thread::current())));
///     let mut future = pin!(future);
///     loop {
///         match future.as_mut().poll(&mut Context::from_waker(&waker)) {
///             Poll::Ready(output) => return output,
///             Poll::Pending => thread::park(),
///         }
///     }
/// }
///
/// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
///
/// let engine = Engine::in_memory()?;
/// let first = engine.submit(Request::unkeyed().put(&STOCK, &1, &10, Expect::Absent));
/// let second = engine.submit(Request::unkeyed().put(&STOCK, &2, &20, Expect::Absent));
/// let receipt = block_on(async { first.await?.committed().map_err(steadfast::Error::from) })?;
/// assert!(receipt.seq < second.wait()?.committed()?.seq);
/// # Ok::<(), steadfast::Error>(())
/// ```
#[must_use = "dropping a ticket does not undo the request"]
pub struct Ticket<T = Bytes, R = Never> {
    place: Place,
    decode: fn(&[u8]) -> Result<T, CodecError>,
    rejection: fn(&[u8]) -> Result<R, CodecError>,
}

enum Place {
    Answered(Option<Box<Result<Answer, Error>>>),
    Parked { core: Arc<Core>, slot: Arc<Slot> },
}

impl<T, R> Ticket<T, R> {
    pub(super) fn answered(
        answer: Result<Answer, Error>,
        decode: fn(&[u8]) -> Result<T, CodecError>,
        rejection: fn(&[u8]) -> Result<R, CodecError>,
    ) -> Self {
        Self { place: Place::Answered(Some(Box::new(answer))), decode, rejection }
    }

    pub(super) fn parked(
        core: Arc<Core>,
        slot: Arc<Slot>,
        decode: fn(&[u8]) -> Result<T, CodecError>,
        rejection: fn(&[u8]) -> Result<R, CodecError>,
    ) -> Self {
        Self { place: Place::Parked { core, slot }, decode, rejection }
    }

    /// Blocks until the outcome is durable. May write and sync a group of requests itself.
    ///
    /// # Errors
    /// As [`Engine::commit`](crate::Engine::commit). With [`Error::Reentrant`] or [`Error::Forked`] the request is carried out
    /// all the same, or was, and a retry under its key tells.
    ///
    /// # Panics
    /// When it was polled before and gave its outcome then.
    pub fn wait(self) -> Result<Outcome<T, R>, Error> {
        let answer = match self.place {
            Place::Answered(answer) => *answer.expect(TAKEN),
            Place::Parked { core, slot } => {
                reentrancy::check("Ticket::wait")?;
                core.owner.check("Ticket::wait")?;
                // First, so that whoever hands the lead on from here can hand it to this caller.
                slot.block();
                if core.take_lead() {
                    core.lead();
                }
                core.wait(&slot)
            }
        };
        answer?.decode(self.decode, self.rejection)
    }
}

impl<T, R> Future for Ticket<T, R> {
    type Output = Result<Outcome<T, R>, Error>;

    /// # Panics
    /// When polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (decode, rejection) = (self.decode, self.rejection);
        let answer = match &mut self.place {
            Place::Answered(answer) => *answer.take().expect(TAKEN),
            // In a forked child nobody fills it.
            Place::Parked { core, .. } if core.owner.is_elsewhere() => {
                return Poll::Ready(Err(Error::Forked { what: "a ticket" }));
            }
            Place::Parked { slot, .. } => match slot.poll(context.waker()) {
                Poll::Ready(answer) => answer,
                Poll::Pending => return Poll::Pending,
            },
        };
        Poll::Ready(answer.and_then(|answer| answer.decode(decode, rejection)))
    }
}

impl<T, R> fmt::Debug for Ticket<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}
