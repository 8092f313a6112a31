//! Folds the entries of accepted groups into the state, through the same `apply` as the live path.

use super::error::{Corruption, OpenError};
use crate::{
    base::{Entry, SeqNo, canary::canary},
    checkpoint::{CheckpointError, Reader},
    format::{bytes, entry, group::Kind, names},
    log::scan::Group,
    state::{
        digest,
        draft::{Draft, Records},
        fold::{Fold, Over},
        memtable::Horizon,
    },
};

impl Records for Reader {
    type Error = CheckpointError;

    fn record(
        &self,
        keyspace: crate::base::KeyspaceId,
        key: &[u8],
    ) -> Result<Option<crate::base::Row>, CheckpointError> {
        self.record(keyspace, key)
    }
}

/// The entry; a planted bug does as if it changed no totals.
fn replayed(entry: Entry) -> Entry {
    if canary!(TotalsNotReplayed) { Entry { totals: Vec::new(), ..entry } } else { entry }
}

/// The fold in progress, with what it counted.
pub(crate) struct Replay<'a> {
    pub fold: Fold,
    pub base: &'a Reader,
    pub entries: u64,
    pub window_entries: u64,
    pub digests: u64,
}

impl Replay<'_> {
    /// Folds a group that the checkpoint does not hold yet, and compares the state digest after it.
    pub(crate) fn group(&mut self, group: &Group<'_>) -> Result<(), OpenError> {
        let meta = self.base.meta();
        if group.header.g < meta.applied_g {
            return Ok(());
        }
        if group.header.g + u64::from(canary!(ReplayOffByOne)) > meta.applied_g
            && group.header.kind == Kind::Entries
        {
            self.entries(group)?;
        }
        self.compare(group)
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
            let over = Over { fold: &self.fold, base: self.base };
            let changes = Draft::changes(&entry, &over).map_err(OpenError::checkpoint)?;
            self.entries += 1;
            self.window_entries += u64::from(entry.key.is_some());
            self.fold.apply(&entry, changes, Horizon { durable: seq, snapshots: &[] });
        }
        body.end().ok_or_else(|| self.corrupt(group, "something follows the last entry"))
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

    fn corrupt(&self, group: &Group<'_>, what: &str) -> OpenError {
        OpenError::Corruption(Corruption {
            file: names::segment(group.position.segment),
            offset: group.position.end - group.header.padded_len(),
            after_seq: Some(self.fold.applied),
            evidence: format!("{what} (group {})", group.header.g),
        })
    }
}
