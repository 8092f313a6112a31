//! What became of a key, whatever happened; and making sure that nothing ever will.

use super::{
    Engine, Error, Receipt, Rejection,
    outcome::{Answer, decode_rejection},
    payload,
    pressure::Terms,
};
use crate::{
    base::{
        Bytes, Fingerprint, IdempotencyKey, LogTime, Mode, OutcomeClass, Remembered, RequestData,
        SeqNo, StoredOutcome, Stub, Verdict, WindowRow,
    },
    codec::CodecError,
};
use serde::de::DeserializeOwned;
use std::fmt;

/// What a key stands for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum KeyStatus {
    /// Its request was carried out.
    Committed(Receipt<Encoded>),
    /// Its request was refused for ever.
    Rejected {
        /// Why.
        rejection: Rejection<Encoded>,
        /// The entry that decided it.
        seq: SeqNo,
        /// When.
        time: LogTime,
    },
    /// Its request was decided so long ago that only that is still known.
    Stub {
        /// What was decided.
        class: OutcomeClass,
        /// The entry that decided it.
        seq: SeqNo,
        /// When.
        time: LogTime,
    },
    /// It was fenced: nothing will ever be decided under it.
    Fenced {
        /// The entry that fenced it.
        seq: SeqNo,
        /// When.
        time: LogTime,
    },
    /// Nothing was decided under it, or that is forgotten by now. A delivery that is still on its way can be carried out
    /// when it arrives, unless the key is [fenced](Engine::fence).
    NotRemembered {
        /// What was decided up to then is forgotten; `None` while nothing is.
        horizon: Option<LogTime>,
    },
}

/// A result or a rejection as it is remembered.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded(Bytes);

impl Encoded {
    /// The value, which must be of the type that was given with the request; [`Bytes`] can't be had this way where the
    /// request had no result.
    ///
    /// # Errors
    /// [`Error::Codec`] when it is not a `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(payload::decode(&self.0)?)
    }

    /// Whether there is no value: the request had no result.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoded({} bytes)", self.0.len())
    }
}

impl Engine {
    /// What became of a key. Blocks until that is durable: a request that is being written is waited for. After a crash,
    /// or an [`Error::Indeterminate`], ask an engine that was opened since: it knows. May read the checkpoint's file.
    ///
    /// ```
    /// use steadfast::{Engine, Expect, IdempotencyKey, Keyspace, KeyStatus, Request};
    ///
    /// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    ///
    /// let engine = Engine::in_memory()?;
    /// let key = IdempotencyKey::new("shop", "order-1")?;
    /// assert!(matches!(engine.resolve(&key)?, KeyStatus::NotRemembered { .. }));
    /// let request = Request::new(key.clone()).put(&STOCK, &12, &7, Expect::Any).result(&"done".to_owned());
    /// engine.commit(request)?.committed()?;
    /// match engine.resolve(&key)? {
    ///     KeyStatus::Committed(receipt) => assert_eq!(receipt.result.decode::<String>()?, "done"),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Indeterminate`] or [`Error::Poisoned`] when the entry that decided it could not be written;
    /// [`Error::Corruption`] from the checkpoint; [`Error::Closed`]; [`Error::Reentrant`] from inside a closure given to
    /// [`update`](Self::update).
    pub fn resolve(&self, key: &IdempotencyKey) -> Result<KeyStatus, Error> {
        self.check_open()?;
        self.enter("resolve")?;
        let core = self.core();
        match core.probe(&asking(key))? {
            Some(Answer::Known { known, horizon }) => Ok(status(known, horizon)?),
            other => unreachable!("{other:?} is no answer to what a key stands for"),
        }
    }

    /// Makes sure that nothing is decided under a key any more: what was decided stands and is told; a key of which nothing
    /// is remembered is fenced, so that a delivery that comes late gets [`Error::Fenced`] and is not carried out. Blocks
    /// until that is durable. Like an outcome, a fence becomes a stub and is forgotten in time.
    ///
    /// ```
    /// use steadfast::{Engine, Error, Expect, IdempotencyKey, Keyspace, KeyStatus, Request};
    ///
    /// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    ///
    /// let engine = Engine::in_memory()?;
    /// // The client gives up on an order of which it does not know whether it arrived.
    /// let key = IdempotencyKey::new("shop", "order-1")?;
    /// assert!(matches!(engine.fence(&key)?, KeyStatus::Fenced { .. }));
    /// // It arrives now.
    /// let late = engine.commit(Request::new(key).put(&STOCK, &12, &7, Expect::Any));
    /// assert!(matches!(late, Err(Error::Fenced { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`commit`](Self::commit): [`Error::KeyExpired`] among them, with which a late delivery would be refused, too.
    pub fn fence(&self, key: &IdempotencyKey) -> Result<KeyStatus, Error> {
        self.enter("fence")?;
        match self.core().commit(asking(key), Terms::patient())? {
            Answer::Remembered { seq, time, .. } => Ok(KeyStatus::Fenced { seq, time }),
            Answer::Known { known, horizon } => Ok(status(known, horizon)?),
            other => unreachable!("{other:?} is no answer to a fence"),
        }
    }

    /// Makes the database take writes, or not. That is an entry of the log itself, so it holds in every later opening until
    /// it is changed. Blocks until it is durable. Reads, retries of what was decided, [`resolve`](Self::resolve) and
    /// background work go on in every mode. The reason may have up to 1 KiB.
    ///
    /// ```
    /// use steadfast::{Engine, Error, Expect, Keyspace, Mode, Request};
    ///
    /// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    ///
    /// let engine = Engine::in_memory()?;
    /// engine.set_mode(Mode::ReadOnly { reason: "moving to another machine".into() })?;
    /// let refused = engine.commit(Request::unkeyed().put(&STOCK, &12, &7, Expect::Any));
    /// assert!(matches!(refused, Err(Error::ReadOnly { .. })));
    /// engine.set_mode(Mode::ReadWrite)?;
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`commit`](Self::commit); [`Error::Limit`] for a reason that is too long.
    pub fn set_mode(&self, mode: Mode) -> Result<SeqNo, Error> {
        self.enter("set_mode")?;
        let request = RequestData { verdict: Verdict::Mode(mode), ..RequestData::empty(None) };
        crate::admission::shape::check_request(&request)?;
        match self.core().commit(request, Terms::patient())? {
            Answer::Remembered { seq, .. } => Ok(seq),
            other => unreachable!("{other:?} is no answer to a change of mode"),
        }
    }

    /// Whether the database takes writes. Blocks until all that was handed in before is durable.
    ///
    /// # Errors
    /// [`Error::Poisoned`] when something could not be written; [`Error::Closed`]; [`Error::Reentrant`].
    pub fn mode(&self) -> Result<Mode, Error> {
        self.check_open()?;
        self.enter("mode")?;
        self.core().mode()
    }
}

fn status(known: Option<Remembered>, horizon: Option<LogTime>) -> Result<KeyStatus, CodecError> {
    Ok(match known {
        None => KeyStatus::NotRemembered { horizon },
        Some(Remembered::Stub(Stub { class: OutcomeClass::Fenced, seq, time, .. })) => {
            KeyStatus::Fenced { seq, time }
        }
        Some(Remembered::Stub(Stub { class, seq, time, .. })) => {
            KeyStatus::Stub { class, seq, time }
        }
        Some(Remembered::Row(row)) => whole(&row)?,
    })
}

fn whole(row: &WindowRow) -> Result<KeyStatus, CodecError> {
    let WindowRow { seq, time, outcome, .. } = row.clone();
    Ok(match outcome {
        StoredOutcome::Committed(bytes) => {
            KeyStatus::Committed(Receipt { seq, time, result: Encoded(bytes), replayed: true })
        }
        StoredOutcome::Rejected(stored) => {
            let encoded = |bytes: &[u8]| Ok(Encoded(Bytes::copy_from_slice(bytes)));
            KeyStatus::Rejected { rejection: decode_rejection(stored, encoded)?, seq, time }
        }
        StoredOutcome::Fenced => KeyStatus::Fenced { seq, time },
    })
}

/// A question for what a key stands for; committed, it fences the key.
fn asking(key: &IdempotencyKey) -> RequestData {
    let key = Some((key.clone(), Fingerprint::NONE));
    RequestData { verdict: Verdict::Fence, ..RequestData::empty(key) }
}
