//! What came of a request, as the caller sees it.

use super::error::{Error, Retry};
use crate::{
    admission::{self, rules::Severity},
    base::{
        Bytes, LogTime, Mode, Never, Remembered, SeqNo, Standing, StoredOutcome, StoredRejection,
        Transition, Version,
    },
    codec::{AsKey, CodecError, Key, Keyspace, encode_key},
};
use std::fmt;

pub use crate::codec::Record;

/// What came of a request. A refusal is an outcome, not an error; [`committed`](Self::committed) makes it one.
///
/// ```
/// use steadfast::{Engine, Expect, IdempotencyKey, Keyspace, Outcome, Rejection, Request};
///
/// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
///
/// let engine = Engine::in_memory()?;
/// let key = IdempotencyKey::new("shop", "recount-1")?;
/// match engine.commit(Request::new(key).put(&STOCK, &12, &7, Expect::Present))? {
///     Outcome::Committed(receipt) => println!("recounted as entry {}", receipt.seq),
///     Outcome::Rejected(Rejection::Expectation(unmet)) => assert_eq!(unmet.found, None),
///     Outcome::Rejected(rejection) => panic!("{rejection}"),
/// }
/// # Ok::<(), steadfast::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Outcome<T = Bytes, R = Never> {
    /// It was carried out, once.
    Committed(Receipt<T>),
    /// It was refused, and nothing changed.
    Rejected(Rejection<R>),
}

/// Proof that a request was carried out and is durable. `Debug` shows the result as its own type does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt<T = Bytes> {
    /// The entry that carried it out; every record it wrote has this version.
    pub seq: SeqNo,
    /// When, in log time: nanoseconds since the Unix epoch, as the clock was believed.
    pub time: LogTime,
    /// The result given with the request that came first under the key.
    pub result: T,
    /// Whether that was an earlier delivery than this one.
    pub replayed: bool,
}

impl<T> Receipt<T> {
    /// The version of every record the request wrote.
    #[must_use]
    pub fn version(&self) -> Version {
        self.seq.into()
    }
}

/// Why a request was refused. *Remembered* means: under a key, every retry gets this very answer, whatever the state has
/// become since; a new intent needs a new key. Without a key nothing is remembered.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rejection<R = Never> {
    /// A version is stale. Not remembered: refresh, and retry under the same key.
    Conflict(Box<Conflict>),
    /// A record is there, or is not there, against the expectation. Remembered.
    Expectation(Box<Unmet>),
    /// An addition would have left its bounds. Remembered.
    OutOfBounds(Box<OutOfBounds>),
    /// A field would go from one state to another that its [guard](crate::Guard) does not allow. Remembered.
    IllegalTransition(Box<IllegalTransition>),
    /// An [invariant](crate::Invariant) would not hold. Remembered.
    Invariant(Box<BrokenInvariant>),
    /// An [invariant of totals](crate::SumInvariant) would not hold. Remembered.
    SumInvariant(Box<BrokenSumInvariant>),
    /// A [total](crate::Total) would be more, or less, than 128 bits hold. Remembered.
    TotalOverflow {
        /// The name of the total.
        total: String,
    },
    /// The caller's own code refused. Remembered. `Debug` shows this as its own type does; no message does.
    Procedure(R),
}

/// A record that is not at the version that was expected, with the record as it is: enough to try again without reading.
///
/// The outcome is not remembered, so the retry goes under the same key. Give an [`intent`](crate::Request::intent) when
/// doing so: should an earlier delivery have been carried out, the refreshed request still gets its receipt.
///
/// ```
/// use steadfast::{Engine, Error, Expect, IdempotencyKey, Keyspace, Outcome, Rejection, Request};
///
/// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
///
/// let engine = Engine::in_memory()?;
/// engine.commit(Request::unkeyed().put(&STOCK, &12, &9, Expect::Absent))?.committed()?;
/// let mut seen = engine.get(&STOCK, &12)?.expect("it was just written");
/// // Somebody else is faster.
/// engine.commit(Request::unkeyed().put(&STOCK, &12, &8, seen.version))?.committed()?;
///
/// let key = IdempotencyKey::new("shop", "order-1")?;
/// let receipt = loop {
///     let request = Request::new(key.clone()).intent(&("sell", 12u64));
///     match engine.commit(request.put(&STOCK, &12, &(seen.value - 1), seen.version))? {
///         Outcome::Committed(receipt) => break receipt,
///         Outcome::Rejected(Rejection::Conflict(conflict)) => {
///             seen = conflict.current(&STOCK)?.expect("nothing is deleted here");
///         }
///         Outcome::Rejected(rejection) => return Err(Error::from(rejection)),
///     }
/// };
/// let stock = engine.get(&STOCK, &12)?.expect("it was just written");
/// assert_eq!((stock.value, stock.version), (7, receipt.version()));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Conflict {
    inner: admission::Conflict,
}

/// An expectation `Absent` or `Present` that did not hold.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unmet {
    /// The name of the keyspace.
    pub keyspace: String,
    /// The encoded key of the record.
    pub key: Bytes,
    /// What was there, against `Absent`; `None` when nothing was, against `Present`.
    pub found: Option<Found>,
}

/// A record that was there: all but its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// Its version.
    pub version: Version,
    /// When it was written.
    pub time: LogTime,
    /// By whom.
    pub actor: Bytes,
}

/// An addition that would have left its bounds.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutOfBounds {
    /// The name of the keyspace.
    pub keyspace: String,
    /// The encoded key of the record.
    pub key: Bytes,
    /// What was there, after the operations before this one; 0 for no record.
    pub current: i64,
    /// What was to be added.
    pub delta: i64,
    /// The least and the greatest sum that was allowed.
    pub bounds: (i64, i64),
    /// The version that was there before the request; `None` for no record.
    pub version: Option<Version>,
}

/// A transition that a guard does not allow. No state stands for no record: the one before its creation, and after its
/// removal.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IllegalTransition {
    /// The name of the keyspace.
    pub keyspace: String,
    /// The encoded key of the record.
    pub key: Bytes,
    /// The name of the field.
    pub field: String,
    /// The state it is in.
    pub from: Option<String>,
    /// The state it would be in.
    pub to: Option<String>,
    /// The states it may go into from where it is.
    pub allowed: Vec<Option<String>>,
    /// The record as it was; `None` for no record.
    pub found: Option<Found>,
}

/// An invariant that would not hold of a record.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokenInvariant {
    /// The name of the keyspace.
    pub keyspace: String,
    /// The encoded key of the record.
    pub key: Bytes,
    /// The name of the invariant.
    pub invariant: String,
    /// How bad that would be.
    pub severity: Severity,
    /// Why it would not hold, in the words of the program. No message shows it.
    pub reason: String,
    /// The record as it was; `None` for no record.
    pub found: Option<Found>,
}

/// An invariant that would not hold of totals.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokenSumInvariant {
    /// The name of the invariant.
    pub invariant: String,
    /// How bad that would be.
    pub severity: Severity,
    /// Why it would not hold, in the words of the program. No message shows it.
    pub reason: String,
}

impl<T, R> Outcome<T, R> {
    /// The receipt, or the rejection as an error.
    ///
    /// # Errors
    /// The [`Rejection`], which is an error itself and turns into [`Error`].
    pub fn committed(self) -> Result<Receipt<T>, Rejection<R>> {
        match self {
            Self::Committed(receipt) => Ok(receipt),
            Self::Rejected(rejection) => Err(rejection),
        }
    }
}

impl<R> Rejection<R> {
    /// What can sensibly be tried.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Conflict(_) => Retry::AfterRefresh,
            Self::Expectation(_)
            | Self::OutOfBounds(_)
            | Self::IllegalTransition(_)
            | Self::Invariant(_)
            | Self::SumInvariant(_)
            | Self::TotalOverflow { .. }
            | Self::Procedure(_) => Retry::NewKey,
        }
    }

    pub(crate) fn map<S>(self, f: impl FnOnce(R) -> S) -> Rejection<S> {
        match self {
            Self::Conflict(conflict) => Rejection::Conflict(conflict),
            Self::Expectation(unmet) => Rejection::Expectation(unmet),
            Self::OutOfBounds(bounds) => Rejection::OutOfBounds(bounds),
            Self::IllegalTransition(illegal) => Rejection::IllegalTransition(illegal),
            Self::Invariant(broken) => Rejection::Invariant(broken),
            Self::SumInvariant(broken) => Rejection::SumInvariant(broken),
            Self::TotalOverflow { total } => Rejection::TotalOverflow { total },
            Self::Procedure(rejection) => Rejection::Procedure(f(rejection)),
        }
    }
}

impl Conflict {
    /// The name of the keyspace.
    #[must_use]
    pub fn keyspace(&self) -> String {
        lossy(&self.inner.keyspace)
    }

    /// The encoded key of the record; [`is_about`](Self::is_about) compares it with a typed one.
    #[must_use]
    pub fn key(&self) -> &Bytes {
        &self.inner.key
    }

    /// The version that was expected; `None` when `update` had seen no record.
    #[must_use]
    pub fn expected(&self) -> Option<Version> {
        self.inner.expected
    }

    /// The version that was there; `None` for no record.
    #[must_use]
    pub fn found(&self) -> Option<Version> {
        self.inner.current.as_ref().map(|row| row.version)
    }

    /// Whether this is about the record `key` of `keyspace`.
    #[must_use]
    pub fn is_about<K: Key, V>(
        &self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
    ) -> bool {
        self.inner.keyspace.as_ref() == keyspace.name().as_bytes()
            && encode_key(key).is_ok_and(|key| key == self.inner.key)
    }

    /// The record as it was when the request was judged; `None` when there was none. Reads nothing.
    ///
    /// # Errors
    /// [`Error::Codec`] when the conflict is about a keyspace of another name, or the value does not decode as one of
    /// `keyspace`.
    pub fn current<K: Key, V>(
        &self,
        keyspace: &Keyspace<K, V>,
    ) -> Result<Option<Record<V>>, Error> {
        if self.inner.keyspace.as_ref() != keyspace.name().as_bytes() {
            return Err(CodecError::MalformedKey("the conflict is about another keyspace").into());
        }
        let record = self.inner.current.as_ref().map(|row| Record::decode(keyspace, row));
        record.transpose().map_err(Error::from)
    }
}

/// An outcome whose result and rejection are still encoded.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Remembered {
        outcome: StoredOutcome,
        seq: SeqNo,
        time: LogTime,
        replayed: bool,
    },
    Unremembered(StoredRejection),
    Conflict(admission::Conflict),
    /// What a key stands for, to whoever asks that, and up to when outcomes are forgotten.
    Known {
        known: Option<Remembered>,
        horizon: Option<LogTime>,
    },
    /// The mode of the database, to whoever asks that.
    Mode(Mode),
}

impl Answer {
    /// The typed outcome.
    pub(crate) fn decode<T, R>(
        self,
        result: fn(&[u8]) -> Result<T, CodecError>,
        rejection: fn(&[u8]) -> Result<R, CodecError>,
    ) -> Result<Outcome<T, R>, Error> {
        match self {
            Self::Remembered { outcome: StoredOutcome::Committed(bytes), seq, time, replayed } => {
                Ok(Outcome::Committed(Receipt { seq, time, result: result(&bytes)?, replayed }))
            }
            Self::Remembered { outcome: StoredOutcome::Rejected(stored), .. }
            | Self::Unremembered(stored) => {
                Ok(Outcome::Rejected(decode_rejection(stored, rejection)?))
            }
            Self::Conflict(inner) => {
                Ok(Outcome::Rejected(Rejection::Conflict(Box::new(Conflict { inner }))))
            }
            // Admission tells these as what they are, an error or a status.
            Self::Remembered { outcome: StoredOutcome::Fenced, seq, time, .. } => {
                Err(Error::Fenced { seq, time })
            }
            Self::Known { .. } | Self::Mode(_) => Err(CodecError::Untyped.into()),
        }
    }
}

pub(super) fn decode_rejection<R>(
    stored: StoredRejection,
    rejection: impl FnOnce(&[u8]) -> Result<R, CodecError>,
) -> Result<Rejection<R>, CodecError> {
    Ok(match stored {
        StoredRejection::NotAbsent { keyspace, key, version, time, actor } => {
            let found = Some(Found { version, time, actor });
            Rejection::Expectation(Box::new(Unmet { keyspace: lossy(&keyspace), key, found }))
        }
        StoredRejection::NotPresent { keyspace, key } => {
            Rejection::Expectation(Box::new(Unmet { keyspace: lossy(&keyspace), key, found: None }))
        }
        StoredRejection::OutOfBounds { keyspace, key, current, delta, min, max, version } => {
            Rejection::OutOfBounds(Box::new(OutOfBounds {
                keyspace: lossy(&keyspace),
                key,
                current,
                delta,
                bounds: (min, max),
                version: (version.get() != 0).then_some(version),
            }))
        }
        StoredRejection::Procedure(bytes) => Rejection::Procedure(rejection(&bytes)?),
        StoredRejection::Illegal { keyspace, key, before, transition } => {
            let Transition { field, from, to, allowed } = *transition;
            let state = |state: Option<Bytes>| state.map(|state| lossy(&state));
            Rejection::IllegalTransition(Box::new(IllegalTransition {
                keyspace: lossy(&keyspace),
                key,
                field: lossy(&field),
                from: state(from),
                to: state(to),
                allowed: allowed.into_iter().map(state).collect(),
                found: before.map(Found::from),
            }))
        }
        StoredRejection::Broken { keyspace, key, before, broken } => {
            Rejection::Invariant(Box::new(BrokenInvariant {
                keyspace: lossy(&keyspace),
                key,
                invariant: lossy(&broken.invariant),
                severity: Severity::from_number(broken.severity),
                reason: lossy(&broken.reason),
                found: before.map(Found::from),
            }))
        }
        StoredRejection::BrokenSum(broken) => {
            Rejection::SumInvariant(Box::new(BrokenSumInvariant {
                invariant: lossy(&broken.invariant),
                severity: Severity::from_number(broken.severity),
                reason: lossy(&broken.reason),
            }))
        }
        StoredRejection::TotalOverflow { total } => {
            Rejection::TotalOverflow { total: lossy(&total) }
        }
    })
}

impl From<Standing> for Found {
    fn from(standing: Standing) -> Self {
        let Standing { version, time, actor } = standing;
        Self { version, time, actor }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl<R> fmt::Display for Rejection<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(conflict) => write!(
                f,
                "a record in keyspace {:?} is at {}, not at {}: refresh and retry under the same key; nothing was changed",
                conflict.keyspace(),
                describe(conflict.found()),
                describe(conflict.expected()),
            ),
            Self::Expectation(unmet) => write!(
                f,
                "a record in keyspace {:?} was expected {}: the key stands for this answer, a new intent needs a new key",
                unmet.keyspace,
                if unmet.found.is_some() { "absent and is there" } else { "present and is not there" },
            ),
            Self::OutOfBounds(bounds) => write!(
                f,
                "an addition in keyspace {:?} would leave its bounds: the key stands for this answer, a new intent needs a new key",
                bounds.keyspace,
            ),
            Self::IllegalTransition(illegal) => write!(
                f,
                "{} of a record in keyspace {:?} can't go from {} to {}, only to {}: the key stands for this answer, a new intent needs a new key",
                illegal.field,
                illegal.keyspace,
                state(illegal.from.as_ref()),
                state(illegal.to.as_ref()),
                states(&illegal.allowed),
            ),
            Self::Invariant(broken) => write!(
                f,
                "{:?} would not hold of a record in keyspace {:?}: the key stands for this answer, a new intent needs a new key",
                broken.invariant, broken.keyspace,
            ),
            Self::SumInvariant(broken) => write!(
                f,
                "{:?} would not hold of the totals: the key stands for this answer, a new intent needs a new key",
                broken.invariant,
            ),
            Self::TotalOverflow { total } => write!(
                f,
                "total {total:?} would be more, or less, than can be kept: the key stands for this answer, a new intent needs a new key",
            ),
            Self::Procedure(_) => f.write_str("the caller's code refused: the key stands for this answer, a new intent needs a new key"),
        }
    }
}

fn state(state: Option<&String>) -> String {
    state.map_or_else(|| "no record".into(), |state| format!("{state:?}"))
}

fn states(allowed: &[Option<String>]) -> String {
    let names: Vec<_> = allowed.iter().map(|name| state(name.as_ref())).collect();
    if names.is_empty() { "nothing else".into() } else { names.join(" or ") }
}

fn describe(version: Option<Version>) -> String {
    version.map_or_else(|| "no record".into(), |version| format!("version {version}"))
}

impl<R: fmt::Debug> std::error::Error for Rejection<R> {}

impl fmt::Debug for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conflict")
            .field("keyspace", &self.keyspace())
            .field("expected", &self.expected())
            .field("found", &self.found())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unmet")
            .field("keyspace", &self.keyspace)
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OutOfBounds {
    // The numbers are values, so they are not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutOfBounds").field("keyspace", &self.keyspace).finish_non_exhaustive()
    }
}

impl fmt::Debug for IllegalTransition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IllegalTransition")
            .field("keyspace", &self.keyspace)
            .field("field", &self.field)
            .field("from", &self.from)
            .field("to", &self.to)
            .field("allowed", &self.allowed)
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for BrokenInvariant {
    // The reason may quote values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokenInvariant")
            .field("keyspace", &self.keyspace)
            .field("invariant", &self.invariant)
            .field("severity", &self.severity)
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for BrokenSumInvariant {
    // The reason may quote values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokenSumInvariant")
            .field("invariant", &self.invariant)
            .field("severity", &self.severity)
            .finish_non_exhaustive()
    }
}

/// One rejection of each kind.
#[cfg(test)]
pub(super) fn examples(inner: admission::Conflict) -> [Rejection<()>; 8] {
    let (keyspace, key) = (lossy(&inner.keyspace), inner.key.clone());
    let version = None;
    [
        Rejection::IllegalTransition(Box::new(IllegalTransition {
            keyspace: keyspace.clone(),
            key: key.clone(),
            field: "status".into(),
            from: None,
            to: Some("paid".into()),
            allowed: vec![Some("pending".into()), None],
            found: None,
        })),
        Rejection::Invariant(Box::new(BrokenInvariant {
            keyspace: keyspace.clone(),
            key: key.clone(),
            invariant: "solvent".into(),
            severity: Severity::Critical,
            reason: "-1 cents".into(),
            found: None,
        })),
        Rejection::SumInvariant(Box::new(BrokenSumInvariant {
            invariant: "conserved".into(),
            severity: Severity::Error,
            reason: "off by 1".into(),
        })),
        Rejection::TotalOverflow { total: "cash".into() },
        Rejection::Expectation(Box::new(Unmet {
            keyspace: keyspace.clone(),
            key: key.clone(),
            found: None,
        })),
        Rejection::OutOfBounds(Box::new(OutOfBounds {
            keyspace,
            key,
            current: 0,
            delta: 1,
            bounds: (0, 0),
            version,
        })),
        Rejection::Conflict(Box::new(Conflict { inner })),
        Rejection::Procedure(()),
    ]
}
