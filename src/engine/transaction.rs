//! What the caller's own code reads and writes through, in `update` and in a procedure.

use super::{
    chance::Rng,
    error::Error,
    merge::{Chunk, Layers, Merge},
    outcome::Record,
    request::position,
};
use crate::{
    admission::{keyspaces::compare, shape::ShapeError},
    base::{
        Action, Bytes, Expect, KeyspaceDefinition, KeyspaceId, LogTime, Operation, Read,
        RequestData, Row, Version,
        limits::{OPERATIONS, check},
    },
    codec::{self, AsKey, ByteRange, Key, KeyRange, Keyspace, Prefix, decode_key, encode_key},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    ops::{RangeBounds, RangeInclusive},
};

/// What the code given to [`Engine::update`](crate::Engine::update), or that of a [`Procedure`](crate::Procedure), reads
/// and writes through.
///
/// It reads the newest state, which need not be durable yet: what the code returns is held back until it is. The writes of an
/// `update` take effect only if everything it read is still so; a procedure has the state to itself.
pub struct Transaction<'a> {
    source: &'a mut dyn Source,
    data: RequestData,
    seen: BTreeMap<(u16, Bytes), Option<Row>>,
    /// Rows that ranges have given.
    rows: usize,
    attempt: u32,
    /// Once it is asked for.
    moment: Option<Moment>,
    rng: Option<Rng>,
}

/// What the code is told of time, and what its random numbers come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub time: LogTime,
    pub seed: u64,
}

/// Where a transaction reads.
pub(super) trait Source {
    /// The newest definition of a keyspace.
    fn definition(&self, name: &[u8]) -> Option<KeyspaceDefinition>;

    /// The newest row.
    fn row(&mut self, keyspace: KeyspaceId, key: &Bytes) -> Result<Option<Row>, Error>;

    /// The first rows of layer 0 to 2 of a keyspace in what is left of the range `scan`, from one end.
    fn rows(&mut self, scan: &Scan<'_>, layer: usize, left: &ByteRange) -> Result<Chunk, Error>;

    /// When and as what the code runs.
    fn moment(&mut self) -> Moment;

    /// Whether others can write between a read and the decision, so that reads have to be validated.
    fn is_shared(&self) -> bool;
}

/// A range that is read.
#[derive(Clone, Copy)]
pub(super) struct Scan<'a> {
    pub keyspace: KeyspaceId,
    pub range: &'a ByteRange,
    pub reverse: bool,
}

/// Most keys that one range looks at, those of removed records included: while it does, nobody else is sequenced.
const WALKED: usize = 16 << 10;

impl<'a> Transaction<'a> {
    pub(super) fn new(source: &'a mut dyn Source, data: RequestData, attempt: u32) -> Self {
        Self { source, data, seen: BTreeMap::new(), rows: 0, attempt, moment: None, rng: None }
    }

    /// What was read and written.
    pub(super) fn into_data(self) -> RequestData {
        self.data
    }

    /// The record under `key`; `None` when there is none. After a write of this transaction's own, its value with the
    /// version, time and actor that were there before (version 0 for none).
    ///
    /// Reads the same each time within one run. May read the checkpoint's file.
    ///
    /// # Errors
    /// [`Error::KeyspaceMismatch`], [`Error::Codec`], [`Error::Limit`] for an impossible key or the 1,025th record read
    /// or operation, [`Error::Corruption`] or [`Error::Poisoned`] from the checkpoint. In a procedure [`Error::Cold`], which is
    /// to be passed on: the record is fetched and the procedure run again.
    pub fn get<K: Key, V>(
        &mut self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
    ) -> Result<Option<Record<V>>, Error> {
        let key = encode_key(key)?;
        let place = position(&mut self.data, keyspace);
        let row = self.read(place, key.clone())?;
        let row = self.overlay(place, &key, row);
        Ok(row.map(|row| Record::decode(keyspace, &row)).transpose()?)
    }

    /// Sets the value of a record, up to 1 MiB encoded. In `update` it is conditional on what was read, and on nothing if the
    /// record was not.
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
    /// not there counts as 0; a sum outside of `bounds` refuses the whole transaction.
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

    /// The first `limit` records of a range of keys, 1 to 1,024, ascending; with what this transaction wrote. For procedures:
    /// what others write into a range that an `update` has read could not be noticed.
    ///
    /// # Errors
    /// As [`get`](Self::get); [`Error::Limit`] for another `limit`, the 1,025th row that ranges give in one run, or a range that
    /// goes over more than 16,384 keys, those of removed records included, to find its rows;
    /// [`Error::Shape`] in `update`.
    pub fn range<K: Key, V>(
        &mut self,
        keyspace: &Keyspace<K, V>,
        range: impl KeyRange<K>,
        limit: usize,
    ) -> Result<Vec<(K, Record<V>)>, Error> {
        self.scan(keyspace, ByteRange::of(&range), limit, false)
    }

    /// The last `limit` records of a range, descending. Otherwise as [`range`](Self::range).
    ///
    /// # Errors
    /// As [`range`](Self::range).
    pub fn range_back<K: Key, V>(
        &mut self,
        keyspace: &Keyspace<K, V>,
        range: impl KeyRange<K>,
        limit: usize,
    ) -> Result<Vec<(K, Record<V>)>, Error> {
        self.scan(keyspace, ByteRange::of(&range), limit, true)
    }

    /// The first `limit` records whose keys begin with `prefix`. Otherwise as [`range`](Self::range).
    ///
    /// # Errors
    /// As [`range`](Self::range).
    pub fn prefix<K: Key, V>(
        &mut self,
        keyspace: &Keyspace<K, V>,
        prefix: impl Prefix<K>,
        limit: usize,
    ) -> Result<Vec<(K, Record<V>)>, Error> {
        self.scan(keyspace, ByteRange::of_prefix(&prefix), limit, false)
    }

    /// Who asks, up to 64 bytes: kept with each record written.
    pub fn actor(&mut self, actor: impl AsRef<[u8]>) {
        self.data.actor = Bytes::copy_from_slice(actor.as_ref());
    }

    /// The caller's name for the flow this is part of, up to 1 KiB: kept in the log.
    pub fn correlation(&mut self, correlation: impl AsRef<[u8]>) {
        self.data.correlation = Bytes::copy_from_slice(correlation.as_ref());
    }

    /// Which run of the code this is, from 1. A procedure must not let it decide anything.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// What time it is, as the log believes it. In a procedure the same in each run: that of its entry, or a little earlier where
    /// what it reads had to be fetched first. In `update` that of this run.
    pub fn now(&mut self) -> LogTime {
        self.moment().time
    }

    /// A generator of random numbers: in a procedure they follow from its entry, in `update` they are new in each run.
    pub fn rng(&mut self) -> &mut Rng {
        let Moment { seed, .. } = self.moment();
        self.rng.get_or_insert_with(|| Rng::new(seed))
    }

    /// A new id: a UUID of version 7, of [`now`](Self::now) and random bits from [`rng`](Self::rng). It sorts by time.
    pub fn new_id(&mut self) -> [u8; 16] {
        let now = self.now();
        self.rng().id(now)
    }

    fn moment(&mut self) -> Moment {
        *self.moment.get_or_insert_with(|| self.source.moment())
    }

    /// The newest row, the same each time, noted so that it can be validated.
    fn read(&mut self, place: u16, key: Bytes) -> Result<Option<Row>, Error> {
        if let Some(row) = self.seen.get(&(place, key.clone())) {
            return Ok(row.clone());
        }
        self.room_for_one()?;
        let row = self.stored(place, &key)?;
        if self.source.is_shared() {
            let seen = row.as_ref().map(|row| row.version);
            self.data.reads.push(Read { keyspace: place, key: key.clone(), seen });
        }
        self.seen.insert((place, key), row.clone());
        Ok(row)
    }

    /// The row before this transaction's own writes.
    fn stored(&mut self, place: u16, key: &Bytes) -> Result<Option<Row>, Error> {
        match self.number(place)? {
            Some(id) => self.source.row(id, key),
            None => Ok(None),
        }
    }

    /// The number of a keyspace, if it exists.
    fn number(&self, place: u16) -> Result<Option<KeyspaceId>, Error> {
        let identity = &self.data.keyspaces[usize::from(place)];
        let Some(stored) = self.source.definition(&identity.name) else { return Ok(None) };
        match compare(identity, &stored) {
            None => Ok(Some(stored.id)),
            Some(differs) => {
                let name = String::from_utf8_lossy(&identity.name).into_owned();
                Err(Error::KeyspaceMismatch { name, differs })
            }
        }
    }

    /// The row after this transaction's own writes.
    fn overlay(&self, place: u16, key: &Bytes, row: Option<Row>) -> Option<Row> {
        let before = row.clone();
        let identity = &self.data.keyspaces[usize::from(place)];
        let codec = codec::Codec::from_tag(identity.codec).expect("the tag comes from a keyspace");
        let mine = self.data.operations.iter().filter(|o| o.keyspace == place && o.key == *key);
        mine.fold(row, |row, operation| match &operation.action {
            Action::Check => row,
            Action::Delete => None,
            Action::Put(value) => Some(written(before.as_ref(), identity.schema, value.clone())),
            Action::Add { delta, .. } => {
                let current =
                    row.and_then(|row| codec::decode_i64(codec, &row.value).ok()).unwrap_or(0);
                let sum = codec::encode_i64(codec, current.saturating_add(*delta));
                Some(written(before.as_ref(), identity.schema, sum))
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
        let reads = if self.source.is_shared() { self.data.reads.len() } else { self.seen.len() };
        let count = self.data.operations.len() + reads + 1;
        Ok(check("operations and reads", count, 1, OPERATIONS)?)
    }

    fn scan<K: Key, V>(
        &mut self,
        keyspace: &Keyspace<K, V>,
        range: ByteRange,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(K, Record<V>)>, Error> {
        if self.source.is_shared() {
            return Err(ShapeError::RangeInUpdate.into());
        }
        check("limit of a range", limit, 1, OPERATIONS)?;
        let place = position(&mut self.data, keyspace);
        let rows = self.merged(place, range, limit, reverse)?;
        self.rows += rows.len();
        check("rows of ranges", self.rows, 0, OPERATIONS)?;
        let decode = |(key, row): (Bytes, Row)| -> Result<_, Error> {
            Ok((decode_key(&key)?, Record::decode(keyspace, &row)?))
        };
        rows.into_iter().map(decode).collect()
    }

    /// The first rows of a range, from one end, after this transaction's own writes.
    fn merged(
        &mut self,
        place: u16,
        range: ByteRange,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Row)>, Error> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let own = self.own(place, &range, reverse)?;
        let keyspace = self.number(place)?;
        let scan = keyspace.map(|keyspace| Scan { keyspace, range: &range, reverse });
        let mut layers = Over { own: Some(own), scan, source: &mut *self.source };
        let (mut left, mut merge) = (range.clone(), Merge::<4>::new(reverse));
        let mut rows = Vec::new();
        while rows.len() < limit {
            let next = merge.next(&mut layers, &mut left, WALKED)?;
            check("removed records that a range walks over", merge.walked(), 0, WALKED)?;
            let Some(row) = next else { break };
            rows.push(row);
        }
        Ok(rows)
    }

    /// The records in a range that this transaction has written, as they are now.
    fn own(&mut self, place: u16, range: &ByteRange, reverse: bool) -> Result<Chunk, Error> {
        let mine = self.data.operations.iter().filter(|o| o.keyspace == place);
        let keys =
            mine.map(|operation| operation.key.clone()).filter(|key| range.contains(&key[..]));
        let keys: BTreeSet<Bytes> = keys.collect();
        let mut rows = VecDeque::with_capacity(keys.len());
        for key in keys {
            let row = self.stored(place, &key)?;
            let row = self.overlay(place, &key, row);
            if reverse { rows.push_front((key, row)) } else { rows.push_back((key, row)) }
        }
        Ok(Chunk { rows, done: true })
    }
}

/// A transaction's own writes over what is there.
struct Over<'a> {
    own: Option<Chunk>,
    /// None for a keyspace that does not exist.
    scan: Option<Scan<'a>>,
    source: &'a mut dyn Source,
}

impl Layers for Over<'_> {
    fn fetch(&mut self, layer: usize, range: &ByteRange, _: bool) -> Result<Chunk, Error> {
        match (layer.checked_sub(1), &self.scan) {
            (None, _) => Ok(self.own.take().unwrap_or(Chunk::none())),
            (Some(layer), Some(scan)) => self.source.rows(scan, layer, range),
            (Some(_), None) => Ok(Chunk::none()),
        }
    }
}

/// A row of a transaction's own, with what was there before of everything but the value.
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

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("attempt", &self.attempt).finish_non_exhaustive()
    }
}
