//! What came of a request, as the caller sees it.

use super::error::{Error, Retry};
use crate::{
    admission,
    base::{Bytes, LogTime, Never, Row, SeqNo, StoredOutcome, StoredRejection, Version},
    codec::{AsKey, CodecError, Key, Keyspace, encode_key},
};
use std::fmt;

/// A record: a value and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record<V> {
    /// The value.
    pub value: V,
    /// The entry that last wrote it: name it in [`Expect::Version`](crate::Expect) to write only over this one.
    pub version: Version,
    /// The entry that created it.
    pub created: Version,
    /// When it was last written.
    pub time: LogTime,
    /// Who last wrote it, as given to [`Request::actor`](crate::Request::actor).
    pub actor: Bytes,
}

impl<V> Record<V> {
    pub(crate) fn decode<K: Key>(keyspace: &Keyspace<K, V>, row: &Row) -> Result<Self, CodecError> {
        Ok(Self {
            value: keyspace.decode(row.schema, &row.value)?,
            version: row.version,
            created: row.created,
            time: row.time,
            actor: row.actor.clone(),
        })
    }
}

/// What came of a request. A refusal is an outcome, not an error; [`committed`](Self::committed) makes it one.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Outcome<T = Bytes, R = Never> {
    /// It was carried out, once.
    Committed(Receipt<T>),
    /// It was refused, and nothing changed.
    Rejected(Rejection<R>),
}

/// Proof that a request was carried out and is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt<T = Bytes> {
    /// The entry that carried it out; every record it wrote has this version.
    pub seq: SeqNo,
    /// When, in log time.
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

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rejection<R = Never> {
    /// A version is stale. Not remembered: refresh, and retry under the same key.
    Conflict(Box<Conflict>),
    /// A record is there, or is not there, against the expectation. Remembered.
    Expectation(Box<Unmet>),
    /// An addition would have left its bounds. Remembered.
    OutOfBounds(Box<OutOfBounds>),
    /// The caller's own code refused. Remembered.
    Procedure(R),
}

/// A record that is not at the version that was expected.
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
            _ => Retry::NewKey,
        }
    }

    pub(crate) fn map<S>(self, f: impl FnOnce(R) -> S) -> Rejection<S> {
        match self {
            Self::Conflict(conflict) => Rejection::Conflict(conflict),
            Self::Expectation(unmet) => Rejection::Expectation(unmet),
            Self::OutOfBounds(bounds) => Rejection::OutOfBounds(bounds),
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

    /// The encoded key of the record.
    #[must_use]
    pub fn key(&self) -> &Bytes {
        &self.inner.key
    }

    /// The version that was expected; `None` when `update` had seen no record.
    #[must_use]
    pub fn expected(&self) -> Option<Version> {
        self.inner.expected
    }

    /// The version that is there; `None` for no record.
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

    /// The record as it is now; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::KeyspaceMismatch`] is not checked here: [`Error::Codec`] when the value does not decode as this
    /// keyspace's, or when the conflict is about another keyspace.
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
    Remembered { outcome: StoredOutcome, seq: SeqNo, time: LogTime, replayed: bool },
    Unremembered(StoredRejection),
    Conflict(admission::Conflict),
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
        }
    }
}

fn decode_rejection<R>(
    stored: StoredRejection,
    rejection: fn(&[u8]) -> Result<R, CodecError>,
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
    })
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
            Self::Procedure(_) => f.write_str("the caller's code refused: the key stands for this answer, a new intent needs a new key"),
        }
    }
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
