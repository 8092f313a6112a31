//! The state as the checkpoint holds it: what of it is kept in memory.

use super::Settings;
use crate::{
    base::{Control, KeyspaceDefinition, KeyspaceId, LogTime, SeqNo, sync::RwLock},
    checkpoint::{CheckpointError, Meta, Reader},
    format::keyspace,
    state::{
        digest::{RowHasher, StateDigest},
        filter::Filters,
        fold::Fold,
        registry::Registry,
        scopes::Scopes,
    },
};
use std::{collections::BTreeMap, ops::Bound, sync::Arc};

const CHUNK: usize = 256;

/// A fold that stands where the checkpoint does.
pub(crate) fn fold(
    meta: &Meta,
    reader: &Reader,
    settings: &Settings,
) -> Result<Fold, CheckpointError> {
    let registry = keyspaces(meta.applied_seq, reader)?;
    let mut counts =
        BTreeMap::from([(KeyspaceId::DIRECTORY, reader.count(KeyspaceId::DIRECTORY)?)]);
    for (_, definition) in registry.all(meta.applied_seq) {
        counts.insert(definition.id, reader.count(definition.id)?);
    }
    Ok(Fold {
        active: Arc::default(),
        frozen: None,
        registry: Arc::new(RwLock::new(registry)),
        settled: Arc::new(RwLock::new(Filters::new(settings.filter_bytes))),
        counts,
        control: reader.control().clone(),
        scopes: settings.scopes.then(Scopes::default),
        digest: meta.digest,
        hasher: RowHasher::new(meta.uuid),
        applied: meta.applied_seq,
        time: meta.applied_time,
    })
}

/// A fold that stands before the first entry.
pub(crate) fn genesis(uuid: u128, settings: &Settings) -> Fold {
    Fold {
        active: Arc::default(),
        frozen: None,
        registry: Arc::default(),
        settled: Arc::new(RwLock::new(Filters::new(settings.filter_bytes))),
        counts: BTreeMap::new(),
        control: Control::default(),
        scopes: None,
        digest: StateDigest::default(),
        hasher: RowHasher::new(uuid),
        applied: SeqNo::new(0),
        time: LogTime::new(0),
    }
}

/// Reads keyspace 0.
fn keyspaces(applied: SeqNo, reader: &Reader) -> Result<Registry, CheckpointError> {
    let mut registry = Registry::default();
    let mut after = Vec::new();
    loop {
        let rows = reader.records(
            KeyspaceId::DIRECTORY,
            Bound::Excluded(&after[..]),
            Bound::Unbounded,
            CHUNK,
            false,
        )?;
        let Some((last, _)) = rows.last() else { return Ok(registry) };
        after = last.to_vec();
        for (name, row) in &rows {
            let named = |definition: &KeyspaceDefinition| {
                ![KeyspaceId::DIRECTORY, KeyspaceId::NONE].contains(&definition.id)
            };
            let definition = keyspace::decode(&row.value).filter(named).ok_or_else(|| {
                CheckpointError::Damaged {
                    what: "records: the definition of a keyspace does not parse".into(),
                }
            })?;
            registry.define(applied, name, &definition);
        }
    }
}
