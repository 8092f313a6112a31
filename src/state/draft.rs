//! What an entry does to each record it touches, worked out before anything is changed.

use crate::base::{
    Action, Bytes, Entry, KeyspaceDefinition, KeyspaceId, KeyspaceRef, LogTime, Operation, Row,
    SeqNo, StoredOutcome, Version,
};
use crate::format::keyspace;
use std::collections::BTreeMap;

/// Where rows are read from.
pub(crate) trait Records {
    /// Why a row could not be read.
    type Error;
    /// The newest row of a record.
    fn record(&self, keyspace: KeyspaceId, key: &[u8]) -> Result<Option<Row>, Self::Error>;
}

/// The net change of one record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub keyspace: KeyspaceId,
    pub key: Bytes,
    pub old: Option<Row>,
    pub new: Option<Row>,
}

/// Who writes, and when: what every row written by one entry has in common.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub seq: SeqNo,
    pub time: LogTime,
    pub actor: Bytes,
}

/// The records an entry touches, with their rows before it and after what was played so far.
#[derive(Debug)]
pub(crate) struct Draft {
    stamp: Stamp,
    touched: BTreeMap<(KeyspaceId, Bytes), Touched>,
}

#[derive(Debug)]
struct Touched {
    old: Option<Row>,
    new: Option<Row>,
    mutated: bool,
}

impl Draft {
    pub(crate) fn new(stamp: Stamp) -> Self {
        Self { stamp, touched: BTreeMap::new() }
    }

    /// The changes of a committed entry; none of a refused one.
    pub(crate) fn changes<R: Records>(entry: &Entry, records: &R) -> Result<Vec<Change>, R::Error> {
        if let StoredOutcome::Rejected(_) = entry.outcome {
            return Ok(Vec::new());
        }
        let mut draft = Self::new(Stamp { seq: entry.seq, time: entry.time, actor: entry.actor.clone() });
        for keyspace in &entry.keyspaces {
            draft.define(keyspace, records)?;
        }
        for operation in &entry.operations {
            let keyspace = &entry.keyspaces[usize::from(operation.keyspace)];
            draft.load(keyspace.id, &operation.key, records)?;
            draft.play(keyspace, operation);
        }
        Ok(draft.into_changes())
    }

    /// Reads the record before the entry, once.
    pub(crate) fn load<R: Records>(
        &mut self,
        keyspace: KeyspaceId,
        key: &Bytes,
        records: &R,
    ) -> Result<(), R::Error> {
        let place = (keyspace, key.clone());
        if !self.touched.contains_key(&place) {
            let old = records.record(keyspace, key)?;
            self.touched.insert(place, Touched { new: old.clone(), old, mutated: false });
        }
        Ok(())
    }

    /// Defines a keyspace, or raises its schema number, where the entry says so.
    pub(crate) fn define<R: Records>(&mut self, keyspace: &KeyspaceRef, records: &R) -> Result<(), R::Error> {
        let Some(identity) = keyspace.identity.as_ref().filter(|_| keyspace.id != KeyspaceId::NONE) else {
            return Ok(());
        };
        let definition = KeyspaceDefinition {
            id: keyspace.id,
            shape: identity.shape.clone(),
            codec: identity.codec,
            schema: keyspace.schema,
        };
        self.load(KeyspaceId::DIRECTORY, &identity.name, records)?;
        self.put(KeyspaceId::DIRECTORY, &identity.name, keyspace::encode(&definition), 1);
        Ok(())
    }

    /// The row of a loaded record before the entry.
    pub(crate) fn before(&self, keyspace: KeyspaceId, key: &Bytes) -> Option<&Row> {
        self.touched.get(&(keyspace, key.clone()))?.old.as_ref()
    }

    /// The row of a loaded record after what was played so far.
    pub(crate) fn now(&self, keyspace: KeyspaceId, key: &Bytes) -> Option<&Row> {
        self.touched.get(&(keyspace, key.clone()))?.new.as_ref()
    }

    /// Plays a mutation on its loaded record.
    pub(crate) fn play(&mut self, keyspace: &KeyspaceRef, operation: &Operation) {
        match &operation.action {
            Action::Check => {}
            Action::Put(value) => self.put(keyspace.id, &operation.key, value.clone(), keyspace.schema),
            Action::Add { sum, .. } => self.put(keyspace.id, &operation.key, sum.clone(), keyspace.schema),
            Action::Delete => {
                let touched = self.touched(keyspace.id, &operation.key);
                (touched.new, touched.mutated) = (None, true);
            }
        }
    }

    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.touched
            .into_iter()
            .filter(|(_, touched)| touched.mutated && (touched.old.is_some() || touched.new.is_some()))
            .map(|((keyspace, key), Touched { old, new, .. })| Change { keyspace, key, old, new })
            .collect()
    }

    fn put(&mut self, keyspace: KeyspaceId, key: &Bytes, value: Bytes, schema: u32) {
        let version = Version::from(self.stamp.seq);
        let (time, actor) = (self.stamp.time, self.stamp.actor.clone());
        let touched = self.touched(keyspace, key);
        let created = touched.new.as_ref().map_or(version, |row| row.created);
        touched.new = Some(Row { value, schema, version, created, time, actor });
        touched.mutated = true;
    }

    fn touched(&mut self, keyspace: KeyspaceId, key: &Bytes) -> &mut Touched {
        self.touched.get_mut(&(keyspace, key.clone())).expect("a record is loaded before it is played")
    }
}
