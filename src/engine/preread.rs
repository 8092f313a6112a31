//! The rows a request needs that only the checkpoint has, read before the sequencer's lock is taken.

use super::{
    core::{Core, View},
    merge::{CHUNK, Chunk},
    sequencer::Sequencer,
    transaction::Scan,
};
use crate::{
    admission,
    base::{
        Bytes, Control, IdempotencyKey, KeyspaceDefinition, KeyspaceId, KeyspaceIdentity,
        Remembered, RequestData, Row, SeqNo, WindowRow, sync::atomic::Ordering::Relaxed,
    },
    checkpoint::CheckpointError,
    codec::ByteRange,
    state::{draft::Records, fold::Fold, memtable::Memtable},
};
use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    ops::RangeBounds,
    sync::Arc,
};

/// Rows as one generation of the checkpoint has them.
#[derive(Debug)]
pub(super) struct Preread {
    generation: u64,
    rows: BTreeMap<(KeyspaceId, Bytes), Option<Row>>,
    ranges: Vec<Range>,
    window: Option<Option<Remembered>>,
    /// What is remembered whole under the request's key, wherever it was found.
    pub whole: Option<Arc<WindowRow>>,
    /// What was decided up to this entry was forgotten by then.
    forgotten: SeqNo,
    /// The keyspaces below this number were there.
    next_keyspace: KeyspaceId,
    /// The checkpoint has no rows at all.
    empty: bool,
}

impl Preread {
    /// Reads what the memtables do not know. May do I/O.
    pub(super) fn load(core: &Core, request: &RequestData) -> Result<Self, CheckpointError> {
        let view = core.view.read().clone();
        let mut this = Self {
            generation: view.base.generation(),
            rows: BTreeMap::new(),
            ranges: Vec::new(),
            window: None,
            whole: None,
            forgotten: core.forgotten(),
            next_keyspace: core.registry.read().next_id(),
            empty: view.base.meta().applied_seq.get() == 0,
        };
        // A request that was decided before has nothing else looked at.
        if !this.load_window(core, &view, request)? && !this.empty {
            this.load_records(core, &view, request)?;
        }
        Ok(this)
    }

    /// Whether it was read from the checkpoint of this view.
    pub(super) fn is_of(&self, view: &View) -> bool {
        self.generation == view.base.generation()
    }

    /// Whether this, with the memtables, is all a request can ask for: the checkpoint is still the one that was read,
    /// and no keyspace came into being that was not looked into.
    pub(super) fn holds_for(&self, sequencer: &Sequencer) -> bool {
        self.generation == sequencer.base.generation()
            && self.forgotten == sequencer.fold.control.forgotten
            && (self.empty || self.next_keyspace == sequencer.fold.registry.read().next_id())
    }

    /// Looks the key up; whether it is remembered.
    fn load_window(
        &mut self,
        core: &Core,
        view: &View,
        request: &RequestData,
    ) -> Result<bool, CheckpointError> {
        let Some((key, _)) = &request.key else { return Ok(false) };
        let bytes = key.as_bytes();
        let recent = view.active.window(bytes).or_else(|| view.frozen.as_ref()?.window(bytes));
        if let Some(row) = recent {
            let remembered = row.seq > self.forgotten;
            self.whole = Some(row);
            return Ok(remembered);
        }
        if self.empty {
            return Ok(false);
        }
        // The filter is read after the view: it knows all keys of the view's checkpoint, or more.
        let passed = core.settled.read().may_contain(key.hash());
        let row = if passed { view.base.window(bytes, key.hash())? } else { None };
        core.asked.fetch_add(1, Relaxed);
        if passed {
            core.passed.fetch_add(1, Relaxed);
            core.in_vain.fetch_add(u64::from(row.is_none()), Relaxed);
        }
        let row = row.filter(|row| row.seq() > self.forgotten);
        if let Some(Remembered::Row(row)) = &row {
            self.whole = Some(row.clone());
        }
        Ok(self.window.insert(row).is_some())
    }

    /// Reads the rows a request touches, where the memtables do not know them. May do I/O.
    pub(super) fn load_records(
        &mut self,
        core: &Core,
        view: &View,
        request: &RequestData,
    ) -> Result<(), CheckpointError> {
        let definitions = {
            let registry = core.registry.read();
            let definition = |identity: &KeyspaceIdentity| registry.newest(&identity.name);
            request.keyspaces.iter().map(definition).collect::<Vec<_>>()
        };
        for (identity, definition) in request.keyspaces.iter().zip(&definitions) {
            // Only a keyspace that is defined or raised has its own row looked at.
            if definition.as_ref().is_none_or(|definition| definition.schema < identity.schema) {
                self.load_record(view, KeyspaceId::DIRECTORY, &identity.name)?;
            }
        }
        let operations =
            request.operations.iter().map(|operation| (operation.keyspace, &operation.key));
        let reads = request.reads.iter().map(|read| (read.keyspace, &read.key));
        for (keyspace, key) in operations.chain(reads) {
            if let Some(definition) = &definitions[usize::from(keyspace)] {
                self.load_record(view, definition.id, key)?;
            }
        }
        Ok(())
    }

    fn load_record(
        &mut self,
        view: &View,
        keyspace: KeyspaceId,
        key: &Bytes,
    ) -> Result<(), CheckpointError> {
        let knows = |memtable: &Arc<Memtable>| memtable.knows(keyspace, key);
        if !knows(&view.active) && !view.frozen.as_ref().is_some_and(knows) {
            self.fetch(view, keyspace, key)?;
        }
        Ok(())
    }

    /// The row in the checkpoint, kept. May do I/O.
    pub(super) fn fetch(
        &mut self,
        view: &View,
        keyspace: KeyspaceId,
        key: &Bytes,
    ) -> Result<Option<Row>, CheckpointError> {
        if self.empty {
            return Ok(None);
        }
        if let Some(row) = self.rows.get(&(keyspace, key.clone())) {
            return Ok(row.clone());
        }
        let row = view.base.record(keyspace, key)?;
        self.rows.insert((keyspace, key.clone()), row.clone());
        Ok(row)
    }

    /// The first rows the checkpoint has in what is left of a range, kept. May do I/O.
    pub(super) fn fetch_rows(
        &mut self,
        view: &View,
        scan: &Scan<'_>,
        left: &ByteRange,
    ) -> Result<Chunk, CheckpointError> {
        loop {
            if let Some(chunk) = self.settled(scan, left) {
                return Ok(chunk);
            }
            let place = self.ranges.iter().position(|range| range.is_of(scan));
            let range = match place {
                Some(place) => &mut self.ranges[place],
                None => self.ranges.push_mut(Range::new(scan)),
            };
            range.extend(view)?;
        }
    }

    /// The first rows the checkpoint has in what is left of a range, as far as they were fetched; `None` where they were not.
    pub(super) fn settled(&self, scan: &Scan<'_>, left: &ByteRange) -> Option<Chunk> {
        if self.empty {
            return Some(Chunk::none());
        }
        self.ranges.iter().find(|range| range.is_of(scan))?.chunk(left)
    }
}

impl View {
    /// The row as of the entry `at` gives, as far as the memtables know.
    pub(super) fn in_memory(
        &self,
        keyspace: KeyspaceId,
        key: &[u8],
        at: impl Fn() -> SeqNo,
    ) -> Option<Option<Row>> {
        self.active
            .record(keyspace, key, &at)
            .or_else(|| self.frozen.as_ref()?.record(keyspace, key, &at))
    }
}

/// The rows of the checkpoint from one end of a range on, as far as they were fetched.
#[derive(Debug)]
struct Range {
    keyspace: KeyspaceId,
    range: ByteRange,
    reverse: bool,
    rows: Vec<(Bytes, Row)>,
    done: bool,
}

impl Range {
    fn new(scan: &Scan<'_>) -> Self {
        let Scan { keyspace, range, reverse } = *scan;
        Self { keyspace, range: range.clone(), reverse, rows: Vec::new(), done: false }
    }

    fn is_of(&self, scan: &Scan<'_>) -> bool {
        (self.keyspace, self.reverse) == (scan.keyspace, scan.reverse) && self.range == *scan.range
    }

    /// The next rows in what is left; `None` when they are still to be fetched.
    fn chunk(&self, left: &ByteRange) -> Option<Chunk> {
        // What has left the range comes first, from whichever end.
        let first = self.rows.partition_point(|(key, _)| !left.contains(&key[..]));
        let next = self.rows[first..].iter().take(CHUNK);
        let rows: VecDeque<_> = next.map(|(key, row)| (key.clone(), Some(row.clone()))).collect();
        let done = self.done && rows.len() < CHUNK;
        (done || !rows.is_empty()).then_some(Chunk { rows, done })
    }

    fn extend(&mut self, view: &View) -> Result<(), CheckpointError> {
        let mut left = self.range.clone();
        if let Some((key, _)) = self.rows.last() {
            left.leave(key, self.reverse);
        }
        let (lower, upper) = (left.start_bound(), left.end_bound());
        let rows = view.base.records(self.keyspace, lower, upper, CHUNK, self.reverse)?;
        self.done = rows.len() < CHUNK;
        self.rows.extend(rows);
        Ok(())
    }
}

/// The newest applied state: the fold, and below it what was read before.
pub(super) struct Newest<'a> {
    pub fold: &'a Fold,
    pub preread: &'a Preread,
}

impl Newest<'_> {
    /// The newest row; `None` when it is neither in the memtables nor was read before.
    pub(super) fn find(&self, keyspace: KeyspaceId, key: &[u8]) -> Option<Option<Row>> {
        if let Some(seen) = self.fold.record(keyspace, key) {
            return Some(seen);
        }
        // A keyspace that is being defined has no records in the checkpoint, and one that does not exist has none at all.
        if self.preread.empty || keyspace >= self.preread.next_keyspace {
            return Some(None);
        }
        self.preread.rows.get(&(keyspace, Bytes::copy_from_slice(key))).cloned()
    }

    /// Whether the rows that a request writes are all in memory.
    pub(super) fn knows(&self, request: &RequestData) -> bool {
        let definitions: Vec<_> =
            request.keyspaces.iter().map(|identity| self.fold.keyspace(&identity.name)).collect();
        let mut directory = request.keyspaces.iter().zip(&definitions);
        let defined = directory.all(|(identity, definition)| {
            definition.as_ref().is_some_and(|definition| definition.schema >= identity.schema)
                || self.find(KeyspaceId::DIRECTORY, &identity.name).is_some()
        });
        defined
            && request.operations.iter().all(|operation| {
                let definition = &definitions[usize::from(operation.keyspace)];
                definition
                    .as_ref()
                    .is_none_or(|definition| self.find(definition.id, &operation.key).is_some())
            })
    }
}

impl Records for Newest<'_> {
    type Error = Infallible;

    fn record(&self, keyspace: KeyspaceId, key: &[u8]) -> Result<Option<Row>, Infallible> {
        let row = self.find(keyspace, key);
        Ok(row.expect("every record of a request that the memtables do not know was read before"))
    }
}

impl admission::View for Newest<'_> {
    fn window(&self, key: &IdempotencyKey) -> Option<Remembered> {
        if let Some(row) = self.fold.window(key) {
            return row;
        }
        if self.preread.empty {
            return None;
        }
        let row = self.preread.window.as_ref();
        let row = row.expect("a key that the memtables do not know was looked up before");
        self.fold.control.recall(row.clone()?)
    }

    fn control(&self) -> &Control {
        &self.fold.control
    }

    fn scope_bytes(&self, first: u32, scope: &[u8]) -> u64 {
        self.fold.scopes.as_ref().map_or(0, |scopes| scopes.bytes(first, scope))
    }

    fn keyspace(&self, name: &[u8]) -> Option<KeyspaceDefinition> {
        self.fold.keyspace(name)
    }

    fn next_keyspace(&self) -> KeyspaceId {
        self.fold.registry.read().next_id()
    }

    fn at_hand(&self, keyspace: KeyspaceId, key: &[u8]) -> Option<Option<Row>> {
        self.find(keyspace, key)
    }
}
