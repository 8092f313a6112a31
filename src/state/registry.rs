//! The keyspaces there are, kept in memory: a copy of keyspace 0 that also knows since when.

use crate::base::{Bytes, KeyspaceDefinition, KeyspaceId, SeqNo};
use std::collections::BTreeMap;

/// Definitions by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    by_name: BTreeMap<Bytes, Known>,
    names: BTreeMap<KeyspaceId, Bytes>,
    last: u32,
}

#[derive(Clone, Debug)]
struct Known {
    id: KeyspaceId,
    shape: Bytes,
    codec: u8,
    /// Schema numbers by the entry that raised them to that, ascending.
    schemas: Vec<(SeqNo, u32)>,
}

impl Registry {
    /// Takes note that the entry `seq` defined a keyspace or raised its schema number.
    pub(crate) fn define(&mut self, seq: SeqNo, name: &Bytes, definition: &KeyspaceDefinition) {
        let known = self.by_name.entry(name.clone()).or_insert_with(|| Known {
            id: definition.id,
            shape: definition.shape.clone(),
            codec: definition.codec,
            schemas: Vec::new(),
        });
        known.schemas.push((seq, definition.schema));
        self.names.entry(definition.id).or_insert_with(|| name.clone());
        self.last = self.last.max(definition.id.get());
    }

    /// The number the next keyspace gets; [`KeyspaceId::NONE`] when there is none left.
    pub(crate) fn next_id(&self) -> KeyspaceId {
        KeyspaceId::new(self.last.saturating_add(1))
    }

    /// The definition of `name` after the entry `seq`.
    pub(crate) fn at(&self, name: &[u8], seq: SeqNo) -> Option<KeyspaceDefinition> {
        self.by_name.get(name).and_then(|known| known.at(seq))
    }

    /// The newest definition of `name`.
    pub(crate) fn newest(&self, name: &[u8]) -> Option<KeyspaceDefinition> {
        self.at(name, SeqNo::MAX)
    }

    /// The name and the newest definition of the keyspace of that number.
    pub(crate) fn numbered(&self, id: KeyspaceId) -> Option<(&Bytes, KeyspaceDefinition)> {
        let (name, known) = self.by_name.get_key_value(self.names.get(&id)?)?;
        Some((name, known.at(SeqNo::MAX)?))
    }

    /// All definitions after the entry `seq`, by name.
    pub(crate) fn all(&self, seq: SeqNo) -> Vec<(Bytes, KeyspaceDefinition)> {
        self.by_name
            .iter()
            .filter_map(|(name, known)| Some((name.clone(), known.at(seq)?)))
            .collect()
    }
}

impl Known {
    fn at(&self, seq: SeqNo) -> Option<KeyspaceDefinition> {
        let since = self.schemas.partition_point(|(since, _)| *since <= seq);
        let (_, schema) = *self.schemas.get(since.checked_sub(1)?)?;
        Some(KeyspaceDefinition {
            id: self.id,
            shape: self.shape.clone(),
            codec: self.codec,
            schema,
        })
    }
}
