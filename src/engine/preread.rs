//! The rows a request needs that only the checkpoint has, read before the sequencer's lock is taken.

use super::{
    core::{Core, View},
    sequencer::Sequencer,
};
use crate::{
    admission,
    base::{
        Bytes, Control, IdempotencyKey, KeyspaceDefinition, KeyspaceId, KeyspaceIdentity,
        Remembered, RequestData, Row, SeqNo, sync::atomic::Ordering::Relaxed,
    },
    checkpoint::CheckpointError,
    state::{draft::Records, fold::Fold, memtable::Memtable},
};
use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

/// Rows as one generation of the checkpoint has them.
#[derive(Debug)]
pub(super) struct Preread {
    generation: u64,
    rows: BTreeMap<(KeyspaceId, Bytes), Option<Row>>,
    window: Option<Option<Remembered>>,
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
            window: None,
            forgotten: core.forgotten(),
            next_keyspace: core.registry.read().next_id(),
            empty: view.base.meta().applied_seq.get() == 0,
        };
        if !this.empty {
            // A request that was decided before has nothing else looked at.
            if !this.load_window(core, &view, request)? {
                this.load_records(core, &view, request)?;
            }
        }
        Ok(this)
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
        let decided = |memtable: &Arc<Memtable>| Some(memtable.window(bytes)?.seq);
        let decided = decided(&view.active).or_else(|| decided(view.frozen.as_ref()?));
        if let Some(seq) = decided {
            return Ok(seq > self.forgotten);
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
        Ok(self.window.insert(row).is_some())
    }

    fn load_records(
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
            let row = view.base.record(keyspace, key)?;
            self.rows.insert((keyspace, key.clone()), row);
        }
        Ok(())
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

/// The newest applied state: the fold, and below it what was read before.
pub(super) struct Newest<'a> {
    pub fold: &'a Fold,
    pub preread: &'a Preread,
}

impl Records for Newest<'_> {
    type Error = Infallible;

    fn record(&self, keyspace: KeyspaceId, key: &[u8]) -> Result<Option<Row>, Infallible> {
        if let Some(seen) = self.fold.record(keyspace, key) {
            return Ok(seen);
        }
        // A keyspace that is being defined has no records in the checkpoint, and one that does not exist has none at all.
        if self.preread.empty || keyspace >= self.preread.next_keyspace {
            return Ok(None);
        }
        let row = self.preread.rows.get(&(keyspace, Bytes::copy_from_slice(key)));
        Ok(row
            .expect("every record of a request that the memtables do not know was read before")
            .clone())
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
}
