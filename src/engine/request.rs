//! A request as the caller builds it.

use super::{
    error::Error,
    fingerprint, payload,
    pressure::{Durability, OnDuplicate, Patience, Terms},
};
use crate::{
    admission::shape::{ShapeError, check_request},
    base::{Action, Bytes, Expect, IdempotencyKey, Operation, RequestData, Verdict},
    codec::{AsKey, Codec, CodecError, Key, Keyspace, encode_key},
    disk::Clock,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt, ops::RangeInclusive, time::Duration};

/// An operation as data: what to expect of some records and what to do with some, all or nothing.
///
/// Expectations are judged on the state before the request; mutations apply in order; a second mutation of one record
/// must expect [`Expect::Any`]. Where these methods take an expectation, a [`Version`](crate::Version) will do.
///
/// Building never fails: what does not encode, or breaks one of the [`limits`](crate::limits) (up to 1,024 operations,
/// 1 MiB in all, record keys of 1 byte to 4 KiB encoded), is reported by `commit` or `submit`.
///
/// ```
/// use steadfast::{Engine, Expect, IdempotencyKey, Keyspace, Request};
///
/// const STOCK: Keyspace<(u32, u64), u32> = Keyspace::new("stock");
/// const SOLD: Keyspace<u32, i64> = Keyspace::new("sold");
///
/// let engine = Engine::in_memory()?;
/// let request = |key: &str| {
///     Ok::<_, steadfast::Error>(
///         Request::new(IdempotencyKey::new("store-4", key)?)
///             .put(&STOCK, &(4, 12), &7, Expect::Absent)
///             .add(&SOLD, &4, 3, 0..=i64::MAX)
///             .result(&"sold".to_owned()),
///     )
/// };
/// let first = engine.commit(request("basket-1")?)?.committed()?;
/// let again = engine.commit(request("basket-1")?)?.committed()?;
/// assert_eq!((first.replayed, again.replayed), (false, true));
/// assert_eq!(first.seq, again.seq);
/// # Ok::<(), steadfast::Error>(())
/// ```
#[must_use = "a request does nothing until it is committed or submitted"]
pub struct Request<T = Bytes> {
    data: RequestData,
    key: Option<IdempotencyKey>,
    intent: Option<Bytes>,
    first_error: Option<Error>,
    on_duplicate: OnDuplicate,
    deadline_in: Option<Duration>,
    durability: Durability,
    decode: fn(&[u8]) -> Result<T, CodecError>,
}

/// A request that is well formed, with the way to read its result.
pub(crate) struct Prepared<T> {
    pub data: RequestData,
    pub decode: fn(&[u8]) -> Result<T, CodecError>,
}

impl Request {
    /// A request whose outcome is remembered under `key`, for as long as
    /// [`Builder::remember_keys_for`](crate::Builder::remember_keys_for) says.
    pub fn new(key: IdempotencyKey) -> Self {
        Self::with(Some(key))
    }

    /// A request that is carried out each time it is delivered: after a lost answer there is no way to tell whether it was.
    pub fn unkeyed() -> Self {
        Self::with(None)
    }

    fn with(key: Option<IdempotencyKey>) -> Self {
        let data = RequestData::empty(None);
        let decode = |bytes: &[u8]| Ok(Bytes::copy_from_slice(bytes));
        Self {
            data,
            key,
            intent: None,
            first_error: None,
            on_duplicate: OnDuplicate::Return,
            deadline_in: None,
            durability: Durability::Synced,
            decode,
        }
    }
}

impl<T> Request<T> {
    /// Sets the value of a record, creating it where there is none. The encoded value may have up to 1 MiB.
    pub fn put<K: Key, V>(
        mut self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
        value: &V,
        expect: impl Into<Expect>,
    ) -> Self {
        match keyspace.encode(value) {
            Ok(value) => self.operation(keyspace, key, expect.into(), Action::Put(value)),
            Err(error) => self.fail(error.into()),
        }
        self
    }

    /// Removes a record. Removing one that is not there does nothing.
    pub fn delete<K: Key, V>(
        mut self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
        expect: impl Into<Expect>,
    ) -> Self {
        self.operation(keyspace, key, expect.into(), Action::Delete);
        self
    }

    /// Expects something of a record and leaves it as it is: its version does not change.
    pub fn check<K: Key, V>(
        mut self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
        expect: impl Into<Expect>,
    ) -> Self {
        self.operation(keyspace, key, expect.into(), Action::Check);
        self
    }

    /// Adds to a number, whatever it is by then, so that those who add do not conflict; a record that is not there counts
    /// as 0. A sum outside of `bounds`, or of the `i64`s, refuses the request
    /// ([`Rejection::OutOfBounds`](crate::Rejection)).
    pub fn add<K: Key>(
        self,
        keyspace: &Keyspace<K, i64>,
        key: &(impl AsKey<K> + ?Sized),
        delta: i64,
        bounds: RangeInclusive<i64>,
    ) -> Self {
        self.add_expecting(keyspace, key, delta, bounds, Expect::Any)
    }

    /// [`add`](Self::add) with an expectation of the record.
    pub fn add_expecting<K: Key>(
        mut self,
        keyspace: &Keyspace<K, i64>,
        key: &(impl AsKey<K> + ?Sized),
        delta: i64,
        bounds: RangeInclusive<i64>,
        expect: impl Into<Expect>,
    ) -> Self {
        let (min, max) = bounds.into_inner();
        let action = Action::Add { delta, min, max, sum: Bytes::new() };
        self.operation(keyspace, key, expect.into(), action);
        self
    }

    /// What the client asked, to tell a retry from another request under the same key. Without it, that is the
    /// operations and expectations: give the intent wherever those are computed from anything but the client's
    /// request. Up to 1 MiB encoded; it is hashed as encoded, so it must hold nothing whose order varies, such as a
    /// `HashMap`.
    pub fn intent(mut self, intent: &(impl Serialize + ?Sized)) -> Self {
        match Codec::DEFAULT.encode(intent) {
            Ok(bytes) => self.intent = Some(bytes),
            Err(error) => self.fail(error.into()),
        }
        self
    }

    /// Who asks, up to 64 bytes: kept with each record written.
    pub fn actor(mut self, actor: impl AsRef<[u8]>) -> Self {
        self.data.actor = Bytes::copy_from_slice(actor.as_ref());
        self
    }

    /// The caller's name for the flow this is part of, up to 1 KiB: kept in the log.
    pub fn correlation(mut self, correlation: impl AsRef<[u8]>) -> Self {
        self.data.correlation = Bytes::copy_from_slice(correlation.as_ref());
        self
    }

    /// What to answer if the key was decided before, in place of the outcome. Default [`OnDuplicate::Return`]. Neither
    /// logged nor part of what the key stands for: a retry may ask for the other.
    ///
    /// ```
    /// use steadfast::{Engine, Error, Expect, IdempotencyKey, Keyspace, OnDuplicate, OutcomeClass, Request};
    ///
    /// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    ///
    /// let engine = Engine::in_memory()?;
    /// let request = || {
    ///     let key = IdempotencyKey::new("shop", "recount-1")?;
    ///     Ok::<_, Error>(Request::new(key).put(&STOCK, &12, &7, Expect::Any))
    /// };
    /// let first = engine.commit(request()?.on_duplicate(OnDuplicate::Reject))?.committed()?;
    /// match engine.commit(request()?.on_duplicate(OnDuplicate::Reject)) {
    ///     Err(Error::AlreadyDecided { class, seq, .. }) => {
    ///         assert_eq!((class, seq), (OutcomeClass::Committed, first.seq));
    ///     }
    ///     other => panic!("{other:?}"),
    /// }
    /// assert!(engine.commit(request()?)?.committed()?.replayed);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn on_duplicate(mut self, on_duplicate: OnDuplicate) -> Self {
        self.on_duplicate = on_duplicate;
        self
    }

    /// Gives up unless the request has its place in the log within so long of being handed in, by the engine's monotonic
    /// clock: then it is [`Error::DeadlineExceeded`], and nothing happened. Zero has always passed. Neither logged nor part
    /// of what the key stands for.
    ///
    /// The wait for room ends at the deadline; a read of the checkpoint's file on the way is not cut short. A key that was
    /// decided before gets its outcome all the same, also while that is on its way to the disk, if the queue has a place to
    /// wait for it in. Once the request has its place, the deadline means nothing: it is
    /// carried out, and its outcome given when it is durable.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steadfast::{Engine, Error, Expect, Keyspace, Request};
    ///
    /// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    ///
    /// let engine = Engine::in_memory()?;
    /// let put = || Request::unkeyed().put(&STOCK, &12, &7, Expect::Any);
    /// engine.commit(put().deadline_in(Duration::from_secs(60)))?.committed()?;
    /// let late = engine.commit(put().deadline_in(Duration::ZERO));
    /// assert!(matches!(late, Err(Error::DeadlineExceeded)));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn deadline_in(mut self, duration: Duration) -> Self {
        self.deadline_in = Some(duration);
        self
    }

    /// When it is answered: once it is durable, or at once, for what one can afford to lose. Not part of what the client asked.
    /// A request under an idempotency key is refused as [`Durability::Buffered`] ([`Error::Shape`]), unless
    /// [`Builder::allow_buffered_keys`](crate::Builder::allow_buffered_keys) was called: its receipt could be lost, and the
    /// request carried out a second time.
    ///
    /// ```
    /// use steadfast::{Durability, Engine, Expect, Keyspace, Request};
    ///
    /// const SEEN: Keyspace<u64, u64> = Keyspace::new("last-seen");
    ///
    /// let engine = Engine::in_memory()?;
    /// let seen = Request::unkeyed().put(&SEEN, &12, &1_790_000_000, Expect::Any);
    /// engine.commit(seen.durability(Durability::Buffered))?.committed()?;
    /// assert!(engine.snapshot_applied().contains(&SEEN, &12)?);
    /// engine.sync()?;
    /// assert!(engine.contains(&SEEN, &12)?);
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How it is handed in, now.
    pub(super) fn terms(&self, patience: Patience, clock: &dyn Clock) -> Terms {
        let deadline = self.deadline_in.map(|duration| {
            let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
            clock.monotonic_nanos().saturating_add(nanos)
        });
        let Self { on_duplicate, durability, .. } = *self;
        Terms { patience, deadline, on_duplicate, durability }
    }

    /// What the receipt gives back, to a retry too: [`Receipt::result`](crate::Receipt), up to 64 KiB encoded. A retry must
    /// ask for the same type.
    pub fn result<U: Serialize + DeserializeOwned>(mut self, result: &U) -> Request<U> {
        match payload::encode(result) {
            Ok(bytes) => self.data.verdict = Verdict::Commit(bytes),
            Err(error) => self.fail(error.into()),
        }
        let Self { data, key, intent, first_error, on_duplicate, deadline_in, durability, .. } =
            self;
        let decode = payload::decode;
        Request { data, key, intent, first_error, on_duplicate, deadline_in, durability, decode }
    }

    /// Checks the request and seals it with its fingerprint.
    pub(crate) fn prepare(mut self) -> Result<Prepared<T>, Error> {
        if let Some(error) = self.first_error {
            return Err(error);
        }
        if self.data.operations.is_empty() {
            return Err(ShapeError::NoOperation.into());
        }
        check_request(&self.data)?;
        if let Some(key) = self.key {
            let fingerprint = match &self.intent {
                Some(intent) => fingerprint::of_intent(intent),
                None => fingerprint::of_operations(&self.data),
            };
            self.data.key = Some((key, fingerprint));
        }
        Ok(Prepared { data: self.data, decode: self.decode })
    }

    fn operation<K: Key, V>(
        &mut self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
        expect: Expect,
        action: Action,
    ) {
        match encode_key(key) {
            Ok(key) => {
                let keyspace = position(&mut self.data, keyspace);
                self.data.operations.push(Operation { keyspace, key, expect, action });
            }
            Err(error) => self.fail(error.into()),
        }
    }

    fn fail(&mut self, error: Error) {
        self.first_error.get_or_insert(error);
    }
}

/// The position of a keyspace among those of a request. There are never more of them than operations, so it fits.
pub(super) fn position<K: Key, V>(data: &mut RequestData, keyspace: &Keyspace<K, V>) -> u16 {
    let identity = keyspace.identity();
    let known = data.keyspaces.iter().position(|known| *known == identity);
    let position = known.unwrap_or_else(|| {
        data.keyspaces.push(identity);
        data.keyspaces.len() - 1
    });
    u16::try_from(position).unwrap_or(u16::MAX)
}

impl<T> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("key", &self.key)
            .field("operations", &self.data.operations.len())
            .finish_non_exhaustive()
    }
}
