//! What an entry does to each record it touches, worked out before anything is changed.

use crate::{
    base::{
        Action, Bytes, Entry, KeyspaceDefinition, KeyspaceId, KeyspaceRef, LogTime, Operation, Row,
        SeqNo, StoredOutcome, Version, canary::canary,
    },
    format::keyspace,
};
use std::collections::BTreeMap;

/// With more records than this an index finds them; up to here a look at each is faster.
const SCANNED: usize = 16;

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
    touched: Vec<Touched>,
    /// Positions in `touched`, once there are many.
    index: BTreeMap<(KeyspaceId, Bytes), usize>,
}

#[derive(Debug)]
struct Touched {
    change: Change,
    mutated: bool,
}

impl Draft {
    pub(crate) fn new(stamp: Stamp) -> Self {
        Self { stamp, touched: Vec::new(), index: BTreeMap::new() }
    }

    /// The changes of a committed entry; none of another one.
    pub(crate) fn changes<R: Records>(entry: &Entry, records: &R) -> Result<Vec<Change>, R::Error> {
        let StoredOutcome::Committed(_) = entry.outcome else { return Ok(Vec::new()) };
        let mut draft =
            Self::new(Stamp { seq: entry.seq, time: entry.time, actor: entry.actor.clone() });
        for operation in &entry.operations {
            let keyspace = &entry.keyspaces[usize::from(operation.keyspace)];
            draft.load(keyspace.id, &operation.key, records)?;
            draft.play(keyspace, operation);
            canary!(BatchReplayedInPart => break);
        }
        for keyspace in &entry.keyspaces {
            draft.define(keyspace, records)?;
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
        if self.find(keyspace, key).is_some() {
            return Ok(());
        }
        let old = records.record(keyspace, key)?;
        let change = Change { keyspace, key: key.clone(), new: old.clone(), old };
        self.touched.push(Touched { change, mutated: false });
        self.extend_index();
        Ok(())
    }

    /// Defines a keyspace, or raises its schema number, where the entry says so.
    pub(crate) fn define<R: Records>(
        &mut self,
        keyspace: &KeyspaceRef,
        records: &R,
    ) -> Result<(), R::Error> {
        let defined = keyspace.identity.as_ref().filter(|_| keyspace.id != KeyspaceId::NONE);
        let Some(identity) = defined else { return Ok(()) };
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
        self.touched[self.find(keyspace, key)?].change.old.as_ref()
    }

    /// The row of a loaded record after what was played so far.
    pub(crate) fn now(&self, keyspace: KeyspaceId, key: &Bytes) -> Option<&Row> {
        self.touched[self.find(keyspace, key)?].change.new.as_ref()
    }

    /// Plays a mutation on its loaded record.
    pub(crate) fn play(&mut self, keyspace: &KeyspaceRef, operation: &Operation) {
        let key = &operation.key;
        match &operation.action {
            Action::Check => {}
            Action::Put(value) | Action::Add { sum: value, .. } => {
                self.put(keyspace.id, key, value.clone(), keyspace.schema);
            }
            Action::Delete => {
                let touched = self.touched(keyspace.id, key);
                (touched.change.new, touched.mutated) = (None, true);
            }
        }
    }

    /// The net changes so far.
    pub(crate) fn changed(&self) -> impl Iterator<Item = &Change> {
        let changed = |change: &&Change| change.old.is_some() || change.new.is_some();
        let mutated = self.touched.iter().filter(|touched| touched.mutated);
        mutated.map(|touched| &touched.change).filter(changed)
    }

    pub(crate) fn into_changes(self) -> Vec<Change> {
        let changed = |change: &Change| change.old.is_some() || change.new.is_some();
        self.touched
            .into_iter()
            .filter(|touched| touched.mutated && changed(&touched.change))
            .map(|touched| touched.change)
            .collect()
    }

    fn put(&mut self, keyspace: KeyspaceId, key: &Bytes, value: Bytes, schema: u32) {
        let version = Version::new(self.stamp.seq.get() - u64::from(canary!(VersionOffByOne)));
        let (time, actor) = (self.stamp.time, self.stamp.actor.clone());
        let touched = self.touched(keyspace, key);
        let created = touched.change.new.as_ref().map_or(version, |row| row.created);
        touched.change.new = Some(Row { value, schema, version, created, time, actor });
        touched.mutated = true;
    }

    fn touched(&mut self, keyspace: KeyspaceId, key: &Bytes) -> &mut Touched {
        let position = self.find(keyspace, key).expect("a record is loaded before it is played");
        &mut self.touched[position]
    }

    fn find(&self, keyspace: KeyspaceId, key: &Bytes) -> Option<usize> {
        if !self.index.is_empty() {
            return self.index.get(&(keyspace, key.clone())).copied();
        }
        self.touched
            .iter()
            .position(|touched| touched.change.keyspace == keyspace && touched.change.key == *key)
    }

    fn extend_index(&mut self) {
        if self.touched.len() <= SCANNED {
            return;
        }
        for position in self.index.len()..self.touched.len() {
            let Change { keyspace, key, .. } = &self.touched[position].change;
            self.index.insert((*keyspace, key.clone()), position);
        }
    }
}
