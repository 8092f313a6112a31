//! Iteration over a snapshot: memtables and checkpoint merged, a chunk at a time, from either end.

use super::{error::Error, outcome::Record, snapshot::Snapshot};
use crate::{
    base::{Bytes, KeyspaceId, Row},
    codec::{ByteRange, Key, Keyspace, decode_key},
};
use std::{collections::VecDeque, fmt, ops::RangeBounds};

/// Rows fetched from one source at a time; no lock is held in between.
const CHUNK: usize = 64;

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
    front: Merge,
    back: Merge,
}

/// The next rows of each source, from one end.
struct Merge {
    reverse: bool,
    /// Active memtable, frozen memtable, checkpoint: the first that knows a key is right about it.
    sources: [Source; 3],
}

#[derive(Default)]
struct Source {
    rows: VecDeque<(Bytes, Option<Row>)>,
    done: bool,
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
        match merge.next(&self.snapshot, *id, range) {
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

impl Merge {
    fn new(reverse: bool) -> Self {
        Self { reverse, sources: Default::default() }
    }

    /// The next record, which leaves the range.
    fn next(
        &mut self,
        snapshot: &Snapshot,
        id: KeyspaceId,
        range: &mut ByteRange,
    ) -> Result<Option<(Bytes, Row)>, Error> {
        loop {
            for source in 0..self.sources.len() {
                self.refill(source, snapshot, id, range)?;
            }
            let Some(key) = self.next_key() else { return Ok(None) };
            if !range.contains(&key[..]) {
                // The other end has been there.
                return Ok(None);
            }
            let seen = self.take(&key);
            range.leave(&key, self.reverse);
            if let Some(row) = seen {
                return Ok(Some((key, row)));
            }
        }
    }

    fn next_key(&self) -> Option<Bytes> {
        let heads =
            self.sources.iter().filter_map(|source| source.rows.front()).map(|(key, _)| key);
        if self.reverse { heads.max() } else { heads.min() }.cloned()
    }

    /// Takes the key from every source that has it; the first is right.
    fn take(&mut self, key: &Bytes) -> Option<Row> {
        let mut seen = None;
        for source in &mut self.sources {
            if source.rows.front().is_some_and(|(head, _)| head == key) {
                let (_, row) = source.rows.pop_front().expect("it has a head");
                seen = seen.or(Some(row));
            }
        }
        seen.flatten()
    }

    fn refill(
        &mut self,
        source: usize,
        snapshot: &Snapshot,
        id: KeyspaceId,
        range: &ByteRange,
    ) -> Result<(), Error> {
        if self.sources[source].done || !self.sources[source].rows.is_empty() {
            return Ok(());
        }
        if range.is_empty() {
            self.sources[source].done = true;
            return Ok(());
        }
        let (view, reverse) = (snapshot.view(), self.reverse);
        let memtable = match source {
            0 => Some(&view.active),
            1 => view.frozen.as_ref(),
            _ => None,
        };
        let rows: VecDeque<_> = match (memtable, source) {
            (Some(memtable), _) => {
                let bounds = (range.start_bound(), range.end_bound());
                memtable.range(id, bounds, snapshot.seq(), CHUNK, reverse).into()
            }
            (None, 2) => {
                let (lower, upper) = (range.start_bound(), range.end_bound());
                let rows = view.base.records(id, lower, upper, CHUNK, reverse);
                let rows = rows.map_err(|error| snapshot.core().checkpoint_error(error))?;
                rows.into_iter().map(|(key, row)| (key, Some(row))).collect()
            }
            _ => VecDeque::new(),
        };
        self.sources[source] = Source { done: rows.len() < CHUNK, rows };
        Ok(())
    }
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
