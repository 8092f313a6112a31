//! Iteration over a snapshot: memtables and checkpoint merged, a chunk at a time, from either end.

use super::{
    core::{Core, View},
    error::Error,
    merge::{CHUNK, Chunk, Layers, Merge},
    outcome::Record,
    reentrancy,
    snapshot::Snapshot,
};
use crate::{
    base::{KeyspaceId, Row, SeqNo},
    codec::{ByteRange, Key, Keyspace, decode_key},
    state::memtable::Memtable,
};
use std::{fmt, ops::RangeBounds, sync::Arc};

/// The records of a range, from [`Snapshot::range`] or [`Snapshot::prefix`]: each item a key and its record, or an
/// [`Error`], after which it ends. Owns its snapshot, so it can be kept and sent to another thread; holds no lock.
pub struct Iter<K, V> {
    snapshot: Snapshot,
    keyspace: Keyspace<K, V>,
    state: State,
}

enum State {
    Failed(Option<Error>),
    Open(Box<Open>),
}

struct Open {
    id: KeyspaceId,
    /// What is left of the range.
    range: ByteRange,
    front: Merge<3>,
    back: Merge<3>,
}

impl<K: Key, V> Iter<K, V> {
    pub(super) fn new(
        snapshot: Snapshot,
        keyspace: Keyspace<K, V>,
        id: Result<Option<KeyspaceId>, Error>,
        range: ByteRange,
    ) -> Self {
        let state = match id {
            Ok(Some(id)) if !range.is_empty() => State::Open(Box::new(Open {
                id,
                range,
                front: Merge::new(false),
                back: Merge::new(true),
            })),
            Ok(_) => State::Failed(None),
            Err(error) => State::Failed(Some(error)),
        };
        Self { snapshot, keyspace, state }
    }

    fn step(&mut self, reverse: bool) -> Option<Result<(K, Record<V>), Error>> {
        let State::Open(open) = &mut self.state else {
            let State::Failed(error) = &mut self.state else { return None };
            return error.take().map(Err);
        };
        let Open { id, range, front, back } = &mut **open;
        let merge = if reverse { back } else { front };
        match merge.next(&mut Of { snapshot: &self.snapshot, id: *id }, range, usize::MAX) {
            Ok(None) => None,
            Ok(Some((key, row))) => Some(self.decode(&key, &row)),
            Err(error) => self.fail(error),
        }
    }

    fn decode(&mut self, key: &[u8], row: &Row) -> Result<(K, Record<V>), Error> {
        let decoded = decode_key(key)
            .and_then(|key| Ok((key, Record::decode(&self.keyspace, row)?)))
            .map_err(Error::from);
        if decoded.is_err() {
            self.state = State::Failed(None);
        }
        decoded
    }

    fn fail<T>(&mut self, error: Error) -> Option<Result<T, Error>> {
        self.state = State::Failed(None);
        Some(Err(error))
    }
}

/// The layers of a snapshot's keyspace: active memtable, frozen memtable, checkpoint.
pub(super) struct Of<'a> {
    pub snapshot: &'a Snapshot,
    pub id: KeyspaceId,
}

impl Layers for Of<'_> {
    fn fetch(&mut self, layer: usize, range: &ByteRange, reverse: bool) -> Result<Chunk, Error> {
        reentrancy::check_read("an iterator")?;
        let Self { snapshot, id } = *self;
        snapshot.view().chunk(snapshot.core(), id, layer, range, snapshot.seq(), reverse)
    }
}

impl View {
    /// The first rows of a layer in a range, from one end, as of `seq`: 0 the active memtable, 1 the frozen one, 2 the
    /// checkpoint.
    pub(super) fn chunk(
        &self,
        core: &Core,
        id: KeyspaceId,
        layer: usize,
        range: &ByteRange,
        seq: SeqNo,
        reverse: bool,
    ) -> Result<Chunk, Error> {
        let memtable = match layer {
            0 => Some(&self.active),
            1 => self.frozen.as_ref(),
            _ => {
                let (lower, upper) = (range.start_bound(), range.end_bound());
                let rows = self.base.records(id, lower, upper, CHUNK, reverse);
                let rows = rows.map_err(|error| core.checkpoint_error(error))?;
                let rows = rows.into_iter().map(|(key, row)| (key, Some(row)));
                return Ok(Chunk::of(rows.collect()));
            }
        };
        Ok(memtable_chunk(memtable, id, range, seq, reverse))
    }
}

/// The first rows of a memtable in a range, from one end, as of `seq`; none where there is no memtable.
pub(super) fn memtable_chunk(
    memtable: Option<&Arc<Memtable>>,
    id: KeyspaceId,
    range: &ByteRange,
    seq: SeqNo,
    reverse: bool,
) -> Chunk {
    let Some(memtable) = memtable else { return Chunk::none() };
    let bounds = (range.start_bound(), range.end_bound());
    Chunk::of(memtable.range(id, bounds, seq, CHUNK, reverse).into())
}

impl<K: Key, V> Iterator for Iter<K, V> {
    type Item = Result<(K, Record<V>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(false)
    }
}

impl<K: Key, V> DoubleEndedIterator for Iter<K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(true)
    }
}

impl<K, V> fmt::Debug for Iter<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}
