//! Folds the entries of accepted groups into the state, through the same `apply` as the live path.

use super::error::{Corruption, OpenError};
use crate::{
    base::{Bytes, Entry, KeyspaceId, Row, SeqNo, canary::canary},
    checkpoint::{CheckpointError, Reader},
    format::{bytes, entry, group::Kind, names},
    log::scan::Group,
    state::{
        digest,
        draft::{Change, Draft, Records},
        fold::{Fold, Over},
        memtable::Horizon,
    },
};

/// What lies below a fold: the checkpoint it began at, or nothing, of one that began with the first entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base<'a>(pub Option<&'a Reader>);

impl Records for Base<'_> {
    type Error = CheckpointError;

    fn record(&self, keyspace: KeyspaceId, key: &[u8]) -> Result<Option<Row>, CheckpointError> {
        self.0.map_or(Ok(None), |reader| reader.record(keyspace, key))
    }
}

/// The entry; a planted bug does as if it changed no totals.
fn replayed(entry: Entry) -> Entry {
    if canary!(TotalsNotReplayed) { Entry { totals: Vec::new(), ..entry } } else { entry }
}

/// An entry that is about to be applied.
pub(crate) struct Next<'a> {
    pub entry: &'a Entry,
    /// The state before it.
    pub fold: &'a Fold,
    pub base: Base<'a>,
}

/// Whoever looks at each entry before it is applied. Gives what it does to records, if they have worked that out.
pub(crate) type Visit<'v> = &'v mut dyn FnMut(&Next<'_>) -> Result<Option<Vec<Change>>, OpenError>;

/// The fold in progress, with what it counted.
pub(crate) struct Replay<'a, 'v> {
    pub fold: Fold,
    pub base: Base<'a>,
    /// The checkpoint that was found beside the log.
    pub checkpoint: &'a Reader,
    pub visit: Option<Visit<'v>>,
    pub entries: u64,
    pub window_entries: u64,
    pub digests: u64,
}

impl Replay<'_, '_> {
    /// Folds a group that the checkpoint does not hold yet, and compares the state digest after it.
    pub(crate) fn group(&mut self, group: &Group<'_>) -> Result<(), OpenError> {
        let applied_g = self.base.0.map_or(0, |reader| reader.meta().applied_g);
        if group.header.g < applied_g {
            return Ok(());
        }
        if group.header.g + u64::from(canary!(ReplayOffByOne)) > applied_g
            && group.header.kind == Kind::Entries
        {
            self.entries(group)?;
        }
        self.compare(group)?;
        if self.base.0.is_none() && group.header.g == self.checkpoint.meta().applied_g {
            return self.compare_checkpoint();
        }
        Ok(())
    }

    fn entries(&mut self, group: &Group<'_>) -> Result<(), OpenError> {
        let mut body = bytes::Reader::new(group.body);
        for position in 0..u64::from(group.header.entries) {
            let seq = SeqNo::new(group.header.first_seq.get() + position);
            let entry = entry::decode(&mut body, seq)
                .filter(|entry| {
                    entry.operations.iter().all(|o| usize::from(o.keyspace) < entry.keyspaces.len())
                        && self.fold.can_take(entry)
                })
                .ok_or_else(|| self.corrupt(group, "an entry does not parse"))?;
            let entry = replayed(entry);
            let (fold, base) = (&self.fold, self.base);
            let worked_out = match &mut self.visit {
                Some(visit) => visit(&Next { entry: &entry, fold, base })?,
                None => None,
            };
            let changes = match worked_out {
                Some(changes) => changes,
                None => Draft::changes(&entry, &Over { fold, base: &base })
                    .map_err(OpenError::checkpoint)?,
            };
            self.entries += 1;
            self.window_entries += u64::from(entry.key.is_some());
            let removed = self.removed(&changes);
            self.fold.apply(&entry, changes, Horizon { durable: seq, snapshots: &[] });
            for (keyspace, key) in removed {
                self.fold.active.drop_removed(keyspace, &key);
            }
        }
        body.end().ok_or_else(|| self.corrupt(group, "something follows the last entry"))
    }

    /// What is removed, where nothing is below the fold: all that ever was would pile up, and lie in the way of ranges that never
    /// met it when their checkpoints had let go of it.
    fn removed(&self, changes: &[Change]) -> Vec<(KeyspaceId, Bytes)> {
        if self.base.0.is_some() {
            return Vec::new();
        }
        let removed = changes.iter().filter(|change| change.new.is_none());
        removed.map(|change| (change.keyspace, change.key.clone())).collect()
    }

    fn compare(&mut self, group: &Group<'_>) -> Result<(), OpenError> {
        if group.header.digest_version != digest::VERSION {
            return Ok(());
        }
        self.digests += 1;
        if group.header.digest == self.fold.digest.0 || canary!(DigestIgnored) {
            return Ok(());
        }
        Err(self.corrupt(
            group,
            "the state after this group does not have the digest the group records",
        ))
    }

    /// A fold that began with the first entry comes to the state that was verified as the checkpoint's own.
    fn compare_checkpoint(&mut self) -> Result<(), OpenError> {
        let meta = self.checkpoint.meta();
        let differs = |what: &str| {
            let at = meta.applied_seq;
            let evidence = format!("{what} is not what the log leads to at entry {at}");
            Err(OpenError::corrupt(names::CHECKPOINT, evidence))
        };
        if (meta.applied_seq, meta.applied_time) != (self.fold.applied, self.fold.time) {
            return differs("the entry it stands at");
        }
        if meta.digest_version == digest::VERSION {
            self.digests += 1;
            if meta.digest != self.fold.digest {
                return differs("its state");
            }
        }
        Ok(())
    }

    fn corrupt(&self, group: &Group<'_>, what: &str) -> OpenError {
        OpenError::Corruption(Corruption {
            file: names::segment(group.position.segment),
            offset: group.position.end - group.header.padded_len(),
            after_seq: Some(self.fold.applied),
            evidence: format!("{what} (group {})", group.header.g),
        })
    }
}
