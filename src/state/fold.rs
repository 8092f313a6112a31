//! The fold: the newest applied state, and the one way to change it. The live path and replay both end here.

use super::{
    digest::{RowHasher, StateDigest},
    draft::{Change, Records},
    filter::Filters,
    memtable::{Horizon, Memtable, Seen},
    registry::Registry,
    scopes::Scopes,
};
use crate::{
    base::{
        Bytes, Control, Entry, IdempotencyKey, KeyspaceDefinition, KeyspaceId, LogTime, Remembered,
        Row, SeqNo, Step, StoredOutcome, WindowRow, canary::canary, sync::RwLock,
    },
    format::keyspace,
};
use std::{collections::BTreeMap, sync::Arc};

/// The newest applied state, but for what only the checkpoint has.
#[derive(Debug)]
pub(crate) struct Fold {
    pub active: Arc<Memtable>,
    /// Being written to the checkpoint.
    pub frozen: Option<Arc<Memtable>>,
    pub registry: Arc<RwLock<Registry>>,
    /// The keys whose outcomes the checkpoint remembers, and a few more.
    pub settled: Arc<RwLock<Filters>>,
    pub counts: BTreeMap<KeyspaceId, u64>,
    /// The mode, and how much is remembered how.
    pub control: Control,
    /// How much is remembered for each scope, if anyone asks.
    pub scopes: Option<Scopes>,
    pub digest: StateDigest,
    pub hasher: RowHasher,
    /// The last entry applied.
    pub applied: SeqNo,
    pub time: LogTime,
}

impl Fold {
    /// The newest row of a record, as far as the memtables know.
    pub(crate) fn record(&self, keyspace: KeyspaceId, key: &[u8]) -> Option<Seen> {
        let newest = || SeqNo::MAX;
        self.active
            .record(keyspace, key, newest)
            .or_else(|| self.frozen.as_ref()?.record(keyspace, key, newest))
    }

    /// What is remembered under a key, as far as the memtables know; the inner `None` when it was forgotten.
    pub(crate) fn window(&self, key: &IdempotencyKey) -> Option<Option<Remembered>> {
        let key = key.as_bytes();
        let row = self.active.window(key).or_else(|| self.frozen.as_ref()?.window(key))?;
        Some(self.control.recall_row(row))
    }

    /// Whether an entry's steps can be taken, and the totals be changed that it changes. Only what nobody of ours wrote can't.
    pub(crate) fn can_take(&self, entry: &Entry) -> bool {
        let Entry { steps, totals, outcome, .. } = entry;
        if steps.is_empty() && totals.is_empty() {
            return true;
        }
        let mut after = self.control.clone();
        steps.iter().all(|step| after.step(step, &mut StateDigest::default()).is_some())
            && (totals.is_empty() || matches!(outcome, StoredOutcome::Committed(_)))
            && totals.iter().all(|(name, _)| after.rules.totals.contains_key(name))
    }

    /// Applies an entry whose changes were worked out on this very state.
    pub(crate) fn apply(&mut self, entry: &Entry, changes: Vec<Change>, horizon: Horizon<'_>) {
        if !entry.steps.is_empty() {
            self.take_steps(&entry.steps);
        }
        for change in changes {
            self.change(entry.seq, change, horizon);
        }
        if !entry.totals.is_empty() {
            self.set_totals(&entry.totals);
        }
        if let Some((key, fingerprint)) = &entry.key {
            canary!(RejectionForgotten => if matches!(entry.outcome, crate::base::StoredOutcome::Rejected(_)) { return self.applied = entry.seq });
            let row = WindowRow {
                fingerprint: *fingerprint,
                seq: entry.seq,
                time: entry.time,
                outcome: entry.outcome.clone(),
            };
            self.remember(key, row);
        }
        (self.applied, self.time) = (entry.seq, entry.time);
    }

    fn remember(&mut self, key: &IdempotencyKey, row: WindowRow) {
        let (digest, bytes) = self.control.remember(key, &row, &mut self.hasher);
        self.digest.add(digest);
        if let Some(scopes) = &mut self.scopes {
            scopes.add(self.control.open().number, key.scope(), bytes);
        }
        self.active.remember(key.as_bytes(), row);
    }

    /// Steps change the digest by what their generation or era sums up to, and by what they leave behind.
    fn take_steps(&mut self, steps: &[Step]) {
        self.digest.sub(self.hasher.control(&self.control));
        for step in steps {
            let taken = self.control.step(step, &mut self.digest);
            taken.expect("admission makes, and replay lets pass, only steps that can be taken");
        }
        self.digest.add(self.hasher.control(&self.control));
        if let Some(scopes) = &mut self.scopes {
            scopes.keep(&self.control);
        }
    }

    fn set_totals(&mut self, changed: &[(Bytes, i128)]) {
        let totals = Arc::make_mut(&mut self.control.rules.totals);
        for (name, value) in changed {
            let total = totals.get_mut(name).expect("an entry changes no total that is not kept");
            self.digest.sub(self.hasher.total(name, *total));
            self.digest.add(self.hasher.total(name, *value));
            *total = *value;
        }
    }

    fn change(&mut self, seq: SeqNo, change: Change, horizon: Horizon<'_>) {
        let Change { keyspace, key, old, new } = change;
        if let Some(old) = &old {
            self.digest.sub(self.hasher.record(keyspace, &key, old));
        }
        if let Some(new) = &new {
            self.digest.add(self.hasher.record(keyspace, &key, new));
        }
        if old.is_some() != new.is_some() {
            let count = self.counts.entry(keyspace).or_default();
            *count = if new.is_some() { *count + 1 } else { count.saturating_sub(1) };
            canary!(CountDrifts => if new.is_none() { *count += 1 });
            self.active.set_count(keyspace, seq, *count, horizon);
        }
        if keyspace == KeyspaceId::DIRECTORY {
            let definition = new.as_ref().and_then(|row| keyspace::decode(&row.value));
            let definition = definition.expect("the definition was encoded by this very fold");
            self.registry.write().define(seq, &key, &definition);
        }
        self.active.put(keyspace, &key, seq, new, horizon);
    }

    /// The newest definition of a keyspace.
    pub(crate) fn keyspace(&self, name: &[u8]) -> Option<KeyspaceDefinition> {
        self.registry.read().newest(name)
    }
}

/// Rows of the memtables first, then of `base`.
pub(crate) struct Over<'a, B> {
    pub fold: &'a Fold,
    pub base: &'a B,
}

impl<B: Records> Records for Over<'_, B> {
    type Error = B::Error;

    fn record(&self, keyspace: KeyspaceId, key: &[u8]) -> Result<Option<Row>, B::Error> {
        match self.fold.record(keyspace, key) {
            Some(seen) => Ok(seen),
            None => self.base.record(keyspace, key),
        }
    }
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
