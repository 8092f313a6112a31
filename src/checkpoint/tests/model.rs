//! What a checkpoint should hold, and a few of them to test with.

use super::memory_file::MemoryFile;
use crate::{
    base::{
        Bytes, Control, Epoch, Fingerprint, IdempotencyKey, KeyspaceId, LogTime, Remembered, Row,
        SeqNo, StoredOutcome, StoredRejection, Version, WindowRow, key_hash,
    },
    checkpoint::{Changes, Checkpoint, CheckpointError, Meta, verify, verify::Verified},
    format::VERSION,
    state::digest::{self, RowHasher, StateDigest},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

pub(super) const CACHE: usize = 256 << 10;
pub(super) const UUID: u128 = 0xfeed;

#[derive(Clone, Default)]
pub(super) struct Model {
    pub(super) records: BTreeMap<(KeyspaceId, Vec<u8>), Row>,
    pub(super) window: BTreeMap<Vec<u8>, WindowRow>,
    pub(super) control: Control,
    seq: u64,
}

/// What one write changes.
pub(super) struct Step {
    changed: BTreeMap<(KeyspaceId, Vec<u8>), Option<Row>>,
    remembered: BTreeMap<Vec<u8>, WindowRow>,
}

pub(super) fn row(seq: u64, len: usize) -> Row {
    let byte = seq as u8;
    Row {
        value: vec![byte; len].into(),
        schema: 1,
        version: Version::new(seq),
        created: Version::new(seq),
        time: LogTime::new(seq),
        actor: Bytes::from_static(b"tester"),
    }
}

fn window_row(seq: u64) -> WindowRow {
    let outcome = if seq.is_multiple_of(2) {
        StoredOutcome::Committed(vec![seq as u8; 20].into())
    } else {
        StoredOutcome::Rejected(StoredRejection::NotPresent {
            keyspace: Bytes::from_static(b"stock"),
            key: Bytes::from_static(b"apple"),
        })
    };
    let hash = [seq as u8; 32];
    WindowRow {
        fingerprint: Fingerprint { hash, kind: 1, operations: 0, expectations: 0 },
        seq: SeqNo::new(seq),
        time: LogTime::new(seq),
        outcome,
    }
}

fn key(seq: u64) -> IdempotencyKey {
    IdempotencyKey::new("test", seq.to_le_bytes()).expect("short and not empty")
}

impl Model {
    pub(super) fn digest(&self) -> StateDigest {
        let mut hasher = RowHasher::new(UUID);
        let mut digest = StateDigest::default();
        for ((keyspace, key), row) in &self.records {
            digest.add(hasher.record(*keyspace, key, row));
        }
        for (key, row) in &self.window {
            digest.add(hasher.window(key, row));
        }
        digest
    }

    pub(super) fn meta(&self) -> Meta {
        Meta {
            format: VERSION,
            uuid: UUID,
            applied_seq: SeqNo::new(self.seq),
            applied_g: self.seq,
            applied_time: LogTime::new(self.seq),
            chain: [self.seq as u8; 32],
            digest_version: digest::VERSION,
            digest: self.digest(),
            epoch: Epoch::new(1),
            trim: 1,
        }
    }

    pub(super) fn count(&self, keyspace: KeyspaceId) -> u64 {
        self.records.keys().filter(|(there, _)| *there == keyspace).count() as u64
    }

    /// Puts and deletes some records in both, and remembers some outcomes.
    pub(super) fn step(&mut self, checkpoint: &Checkpoint, records: u64) {
        self.change(checkpoint, records).expect("the file is sound");
    }

    /// Like `step`, on a file that may be damaged; the model is as if it had succeeded.
    pub(super) fn change(
        &mut self,
        checkpoint: &Checkpoint,
        records: u64,
    ) -> Result<(), CheckpointError> {
        let step = self.plan(records);
        self.write(checkpoint, &step)
    }

    /// What `change` writes; the model is as if it had been written.
    pub(super) fn plan(&mut self, records: u64) -> Step {
        let mut changed = BTreeMap::new();
        let mut remembered = BTreeMap::new();
        let mut hasher = RowHasher::new(UUID);
        for n in 0..records {
            self.seq += 1;
            let place = (KeyspaceId::new((n % 3) as u32), (self.seq * 7).to_be_bytes().to_vec());
            changed.insert(place, Some(row(self.seq, 5 + (self.seq as usize * 37) % 300)));
            let (key, row) = (key(self.seq), window_row(self.seq));
            self.control.remember(&key, &row, &mut hasher);
            remembered.insert(key.as_bytes().to_vec(), row);
        }
        for (place, _) in self.records.iter().step_by(5) {
            changed.insert(place.clone(), None);
        }
        for (place, row) in &changed {
            match row {
                Some(row) => self.records.insert(place.clone(), row.clone()),
                None => self.records.remove(place),
            };
        }
        self.window.extend(remembered.clone());
        Step { changed, remembered }
    }

    /// Writes the step that was planned last.
    pub(super) fn write(
        &self,
        checkpoint: &Checkpoint,
        step: &Step,
    ) -> Result<(), CheckpointError> {
        let keyspaces: BTreeSet<_> = step.changed.keys().map(|(keyspace, _)| *keyspace).collect();
        let changes = Changes {
            records: step
                .changed
                .iter()
                .map(|((keyspace, key), row)| (*keyspace, &key[..], row.as_ref())),
            window: step.remembered.iter().map(|(key, row)| (&key[..], row)),
            control: &self.control,
            upkeep: 100,
            counts: keyspaces.iter().map(|keyspace| (*keyspace, self.count(*keyspace))),
        };
        checkpoint.write(changes, &self.meta())?;
        Ok(())
    }

    /// Everything a reader can be asked gives what it should.
    pub(super) fn check(&self, checkpoint: &Checkpoint) -> Result<bool, CheckpointError> {
        let reader = checkpoint.reader()?;
        let mut same = reader.meta() == &self.meta();
        for ((keyspace, key), row) in &self.records {
            same &= reader.record(*keyspace, key)?.as_ref() == Some(row);
        }
        for (key, row) in &self.window {
            let due = Remembered::Row(Arc::new(row.clone()));
            same &= reader.window(key, &key_hash(key))? == Some(due);
        }
        for keyspace in (0..4).map(KeyspaceId::new) {
            same &= reader.count(keyspace)? == self.count(keyspace);
            let mut listed =
                reader.records(keyspace, Bound::Unbounded, Bound::Unbounded, usize::MAX, true)?;
            listed.reverse();
            let expected = self.records.iter().filter(|((there, _), _)| *there == keyspace);
            same &= listed
                .iter()
                .map(|(key, row)| (&key[..], row))
                .eq(expected.map(|((_, key), row)| (&key[..], row)));
        }
        Ok(same)
    }

    pub(super) fn verify(&self, checkpoint: &Checkpoint) -> Result<Verified, CheckpointError> {
        verify(&*checkpoint.reader()?, &mut RowHasher::new(UUID), |_| {}, |_| {})
    }
}

pub(super) fn created() -> Arc<MemoryFile> {
    let file = MemoryFile::of(Vec::new());
    Checkpoint::create(file.clone(), &Model::default().meta(), CACHE).expect("a fresh file");
    file
}

/// A checkpoint after some writes: open, with its model.
pub(super) fn written(file: &Arc<MemoryFile>, steps: u64, records: u64) -> (Checkpoint, Model) {
    let checkpoint = opened(file);
    let mut model = Model::default();
    for _ in 0..steps {
        model.step(&checkpoint, records);
    }
    (checkpoint, model)
}

pub(super) fn opened(file: &Arc<MemoryFile>) -> Checkpoint {
    let checkpoint = Checkpoint::open_held(file.clone(), CACHE).expect("a sound file");
    checkpoint.release().expect("a working file");
    checkpoint
}
