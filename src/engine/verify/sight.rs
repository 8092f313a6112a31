//! The state before an entry, as admission and procedures see it.

use crate::{
    admission::View,
    base::{
        Bytes, Control, IdempotencyKey, KeyspaceDefinition, KeyspaceId, LogTime, Remembered, Row,
        SeqNo,
    },
    checkpoint::CheckpointError,
    codec::ByteRange,
    engine::{
        Error,
        iter::memtable_chunk,
        merge::{CHUNK, Chunk},
        transaction::{Moment, Scan, Source},
    },
    recovery::{Base, Next},
    state::{draft::Records, fold::Fold},
};
use std::{cell::RefCell, convert::Infallible, ops::RangeBounds};

/// A fold, and what lies below it.
pub(super) struct Sight<'a> {
    pub fold: &'a Fold,
    base: Base<'a>,
    /// What the checkpoint said when it could not be read: whatever was decided since means nothing.
    failed: RefCell<Option<CheckpointError>>,
}

impl<'a> Sight<'a> {
    pub(super) fn before(next: &Next<'a>) -> Self {
        Self { fold: next.fold, base: next.base, failed: RefCell::new(None) }
    }

    pub(super) fn failed(self) -> Option<CheckpointError> {
        self.failed.into_inner()
    }

    fn settled<T>(&self, read: Result<T, CheckpointError>) -> Option<T> {
        read.map_err(|error| *self.failed.borrow_mut() = Some(error)).ok()
    }

    fn find(&self, keyspace: KeyspaceId, key: &[u8]) -> Option<Option<Row>> {
        match self.fold.record(keyspace, key) {
            Some(seen) => Some(seen),
            None => self.settled(self.base.record(keyspace, key)),
        }
    }
}

impl Records for Sight<'_> {
    type Error = Infallible;

    fn record(&self, keyspace: KeyspaceId, key: &[u8]) -> Result<Option<Row>, Infallible> {
        Ok(self.find(keyspace, key).flatten())
    }
}

impl View for Sight<'_> {
    fn window(&self, key: &IdempotencyKey) -> Option<Remembered> {
        if let Some(known) = self.fold.window(key) {
            return known;
        }
        let reader = self.base.0?;
        if !self.fold.settled.read().may_contain(key.hash()) {
            return None;
        }
        let row = self.settled(reader.window(key.as_bytes(), key.hash())).flatten()?;
        self.fold.control.recall(row)
    }

    fn control(&self) -> &Control {
        &self.fold.control
    }

    fn scope_bytes(&self, _: u32, _: &[u8]) -> u64 {
        // Limits are the program's of then, and not in the log.
        0
    }

    fn keyspace(&self, name: &[u8]) -> Option<KeyspaceDefinition> {
        self.fold.keyspace(name)
    }

    fn next_keyspace(&self) -> KeyspaceId {
        self.fold.registry.read().next_id()
    }
}

/// What a procedure reads from: nobody else writes.
pub(super) struct Reads<'a, 's> {
    pub sight: &'s Sight<'a>,
    pub time: LogTime,
    pub seed: u64,
}

impl Source for Reads<'_, '_> {
    fn definition(&self, name: &[u8]) -> Option<KeyspaceDefinition> {
        self.sight.fold.keyspace(name)
    }

    fn row(&mut self, keyspace: KeyspaceId, key: &Bytes) -> Result<Option<Row>, Error> {
        self.sight.find(keyspace, key).ok_or(Error::Cold)
    }

    fn rows(&mut self, scan: &Scan<'_>, layer: usize, left: &ByteRange) -> Result<Chunk, Error> {
        let Scan { keyspace, reverse, .. } = *scan;
        let memtable = match (layer, self.sight.base.0) {
            (0, _) => Some(&self.sight.fold.active),
            (1, _) | (_, None) => None,
            (_, Some(reader)) => {
                let (lower, upper) = (left.start_bound(), left.end_bound());
                let rows = reader.records(keyspace, lower, upper, CHUNK, reverse);
                let rows = self.sight.settled(rows).ok_or(Error::Cold)?;
                return Ok(Chunk::of(
                    rows.into_iter().map(|(key, row)| (key, Some(row))).collect(),
                ));
            }
        };
        Ok(memtable_chunk(memtable, keyspace, left, SeqNo::MAX, reverse))
    }

    fn moment(&mut self) -> Moment {
        Moment { time: self.time, seed: self.seed }
    }

    fn is_shared(&self) -> bool {
        false
    }
}
