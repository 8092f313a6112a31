//! Read, decide, write: the caller's own code between reading and writing, run again when what it read has changed.

use super::{
    core::Core,
    error::Error,
    fingerprint,
    outcome::{Answer, Outcome, Record},
    payload,
    pressure::Terms,
    reentrancy,
    request::position,
    snapshot::keyspace_at,
};
use crate::{
    admission::shape::check_request,
    base::{
        Action, Bytes, Expect, IdempotencyKey, LogTime, Never, Operation, Read, RequestData, Row,
        SeqNo, Verdict, Version,
        limits::{OPERATIONS, check},
        sync::thread,
    },
    codec::{self, AsKey, Codec, Key, Keyspace, encode_key},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    fmt,
    ops::RangeInclusive,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

/// How often a closure is run before the conflict is given to the caller.
const ATTEMPTS: u32 = 64;
/// Greatest pause between two runs.
const PAUSE_MAX: Duration = Duration::from_millis(4);

/// Why a closure ends without committing.
#[derive(Debug)]
pub enum Abort<R = Never> {
    /// It refuses: nothing changes, and this is remembered under the key.
    Reject(R),
    /// The engine failed in it: nothing changes, and nothing is remembered.
    Engine(Error),
}

impl<R, E: Into<Error>> From<E> for Abort<R> {
    fn from(error: E) -> Self {
        Self::Engine(error.into())
    }
}

/// What a closure given to [`Engine::update`](crate::Engine::update) reads and writes through.
///
/// It reads the newest state, which need not be durable yet: what the closure returns is held back until it is, and its
/// writes take effect only if everything it read is still so.
pub struct Transaction<'a> {
    core: &'a Core,
    data: RequestData,
    seen: BTreeMap<(u16, Bytes), Option<Row>>,
    attempt: u32,
}

impl Transaction<'_> {
    /// The record under `key`; `None` when there is none. After a write of this transaction's own, its value with the
    /// version, time and actor that were there before (version 0 for none).
    ///
    /// Reads the same each time within one run. May read the checkpoint's file.
    ///
    /// # Errors
    /// [`Error::KeyspaceMismatch`], [`Error::Codec`], [`Error::Limit`] for an impossible key or the 1,025th record read
    /// or operation, [`Error::Corruption`] or [`Error::Poisoned`] from the checkpoint.
    pub fn get<K: Key, V>(
        &mut self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
    ) -> Result<Option<Record<V>>, Error> {
        let key = encode_key(key)?;
        let place = position(&mut self.data, keyspace);
        let row = self.read(keyspace, place, key.clone())?;
        let row = self.overlay(keyspace, place, &key, row);
        Ok(row.map(|row| Record::decode(keyspace, &row)).transpose()?)
    }

    /// Sets the value of a record, up to 1 MiB encoded. It is conditional on what was read, and on nothing if the record
    /// was not.
    ///
    /// # Errors
    /// [`Error::Codec`] when the value does not encode; [`Error::Limit`] for a value, a key or a number of operations
    /// beyond it.
    pub fn put<K: Key, V>(
        &mut self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
        value: &V,
    ) -> Result<(), Error> {
        let value = keyspace.encode(value)?;
        self.write(keyspace, key, Action::Put(value))
    }

    /// Removes a record, if it is there.
    ///
    /// # Errors
    /// [`Error::Limit`] for an impossible key or the 1,025th record read or operation.
    pub fn delete<K: Key, V>(
        &mut self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
    ) -> Result<(), Error> {
        self.write(keyspace, key, Action::Delete)
    }

    /// Adds to a number without reading it, so that others who add to it do not conflict with this. A record that is
    /// not there counts as 0; a sum outside of `bounds` refuses the whole update.
    ///
    /// # Errors
    /// [`Error::Limit`] for an impossible key or the 1,025th record read or operation.
    pub fn add<K: Key>(
        &mut self,
        keyspace: &Keyspace<K, i64>,
        key: &(impl AsKey<K> + ?Sized),
        delta: i64,
        bounds: RangeInclusive<i64>,
    ) -> Result<(), Error> {
        let (min, max) = bounds.into_inner();
        self.write(keyspace, key, Action::Add { delta, min, max, sum: Bytes::new() })
    }

    /// Who asks, up to 64 bytes: kept with each record written.
    pub fn actor(&mut self, actor: impl AsRef<[u8]>) {
        self.data.actor = Bytes::copy_from_slice(actor.as_ref());
    }

    /// The caller's name for the flow this is part of, up to 1 KiB: kept in the log.
    pub fn correlation(&mut self, correlation: impl AsRef<[u8]>) {
        self.data.correlation = Bytes::copy_from_slice(correlation.as_ref());
    }

    /// Which run of the closure this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The newest row, the same each time, noted so that it is validated.
    fn read<K: Key, V>(
        &mut self,
        keyspace: &Keyspace<K, V>,
        place: u16,
        key: Bytes,
    ) -> Result<Option<Row>, Error> {
        if let Some(row) = self.seen.get(&(place, key.clone())) {
            return Ok(row.clone());
        }
        self.room_for_one()?;
        let row = newest(self.core, keyspace, &key)?;
        let seen = row.as_ref().map(|row| row.version);
        self.data.reads.push(Read { keyspace: place, key: key.clone(), seen });
        self.seen.insert((place, key), row.clone());
        Ok(row)
    }

    /// The row after this transaction's own writes.
    fn overlay<K: Key, V>(
        &self,
        keyspace: &Keyspace<K, V>,
        place: u16,
        key: &Bytes,
        row: Option<Row>,
    ) -> Option<Row> {
        let before = row.clone();
        let mine = self.data.operations.iter().filter(|o| o.keyspace == place && o.key == *key);
        mine.fold(row, |row, operation| match &operation.action {
            Action::Check => row,
            Action::Delete => None,
            Action::Put(value) => {
                Some(written(before.as_ref(), keyspace.schema_number(), value.clone()))
            }
            Action::Add { delta, .. } => {
                let codec = keyspace.codec();
                let current =
                    row.and_then(|row| codec::decode_i64(codec, &row.value).ok()).unwrap_or(0);
                let sum = codec::encode_i64(codec, current.saturating_add(*delta));
                Some(written(before.as_ref(), keyspace.schema_number(), sum))
            }
        })
    }

    fn write<K: Key, V>(
        &mut self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
        action: Action,
    ) -> Result<(), Error> {
        self.room_for_one()?;
        let key = encode_key(key)?;
        let keyspace = position(&mut self.data, keyspace);
        self.data.operations.push(Operation { keyspace, key, expect: Expect::Any, action });
        Ok(())
    }

    fn room_for_one(&self) -> Result<(), Error> {
        let count = self.data.operations.len() + self.data.reads.len() + 1;
        Ok(check("operations and reads", count, 1, OPERATIONS)?)
    }
}

/// A row of this transaction's own, with what was there before of everything but the value.
fn written(before: Option<&Row>, schema: u32, value: Bytes) -> Row {
    let blank = || Row {
        value: Bytes::new(),
        schema,
        version: Version::new(0),
        created: Version::new(0),
        time: LogTime::new(0),
        actor: Bytes::new(),
    };
    Row { value, schema, ..before.cloned().unwrap_or_else(blank) }
}

/// The newest row of a record, durable or not.
fn newest<K: Key, V>(
    core: &Core,
    keyspace: &Keyspace<K, V>,
    key: &[u8],
) -> Result<Option<Row>, Error> {
    let Some(id) = keyspace_at(core, keyspace, SeqNo::MAX)? else { return Ok(None) };
    let view = core.view.read().clone();
    view.row(core, id, key, || SeqNo::MAX)
}

/// Runs a closure until what it read is still so when it is sequenced.
pub(super) fn update<T, R>(
    core: &Core,
    key: &IdempotencyKey,
    intent: &(impl Serialize + ?Sized),
    mut closure: impl FnMut(&mut Transaction<'_>) -> Result<T, Abort<R>>,
) -> Result<Outcome<T, R>, Error>
where
    T: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned,
{
    let fingerprint = fingerprint::of_intent(&Codec::DEFAULT.encode(intent)?);
    let blank = RequestData::empty(Some((key.clone(), fingerprint)));
    for attempt in 1.. {
        let answer = match core.probe(&blank)? {
            Some(answer) => answer,
            None => match run(core, blank.clone(), attempt, &mut closure) {
                Ok(request) => core.commit(request, Terms::patient())?,
                Err(error) => {
                    // It may tell of something the closure read, so it waits until that is durable.
                    core.settle()?;
                    return Err(error);
                }
            },
        };
        if matches!(answer, Answer::Conflict(_)) && attempt < ATTEMPTS {
            pause(core, attempt);
            continue;
        }
        return answer.decode(payload::decode, payload::decode);
    }
    unreachable!("the last attempt returns")
}

/// Runs the closure once, and makes a request of what it did.
fn run<T: Serialize, R: Serialize>(
    core: &Core,
    data: RequestData,
    attempt: u32,
    closure: &mut impl FnMut(&mut Transaction<'_>) -> Result<T, Abort<R>>,
) -> Result<RequestData, Error> {
    let mut transaction = Transaction { core, data, seen: BTreeMap::new(), attempt };
    let result = {
        let _inside = reentrancy::enter();
        catch_unwind(AssertUnwindSafe(|| closure(&mut transaction)))
    };
    let mut data = transaction.data;
    match result.map_err(|_| Error::Panicked { what: "update" })? {
        Ok(result) => data.verdict = Verdict::Commit(payload::encode(&result)?),
        Err(Abort::Reject(rejection)) => {
            data.operations.clear();
            data.verdict = Verdict::Reject(payload::encode(&rejection)?);
        }
        Err(Abort::Engine(error)) => return Err(error),
    }
    check_request(&data)?;
    Ok(data)
}

/// Waits a random while, longer after each run, so that those in conflict do not meet again at once.
fn pause(core: &Core, attempt: u32) {
    if !core.options.threads {
        return;
    }
    let most = Duration::from_micros(10 << attempt.min(16)).min(PAUSE_MAX);
    let random = core.machine.entropy.random().unwrap_or(0) % most.as_nanos();
    let pause = Duration::from_nanos(u64::try_from(random).unwrap_or(0));
    #[allow(clippy::disallowed_methods, reason = "nothing is decided by how long this takes")]
    thread::sleep(pause);
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("attempt", &self.attempt).finish_non_exhaustive()
    }
}
