//! What changed since the last checkpoint, in memory: rows with the versions a reader may still ask for.
//!
//! A reader asks "as of entry s". The versions kept of a record are: every one past the durable watermark, the newest
//! durable one, and for each live snapshot the newest it can see. So a record written over and over costs no memory.

use super::seeded::Seeded;
use crate::base::{
    Bytes, KeyspaceId, Row, SeqNo, StoredOutcome, StoredRejection, WindowRow, sync::RwLock,
};
use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Cost of a row besides its bytes: map nodes, counts, the row itself. An estimate, on the high side.
const ROW_OVERHEAD: usize = 320;

/// A row as of some entry; `None` when the record was removed by then.
pub(crate) type Seen = Option<Row>;

/// A memtable, shared between the one writer and any reader.
#[derive(Debug, Default)]
pub(crate) struct Memtable {
    tables: RwLock<Tables>,
    bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Tables {
    records: BTreeMap<KeyspaceId, BTreeMap<Bytes, Versions<Seen>>>,
    counts: BTreeMap<KeyspaceId, Versions<u64>>,
    window: HashMap<Bytes, Arc<WindowRow>, Seeded>,
}

/// What one place held after which entry; the newest first, the others ascending behind it.
#[derive(Debug)]
struct Versions<T> {
    newest: (SeqNo, T),
    older: Vec<(SeqNo, T)>,
}

/// Which versions a reader may still ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Horizon<'a> {
    pub durable: SeqNo,
    /// The entries live snapshots stand at, ascending.
    pub snapshots: &'a [SeqNo],
}

impl<T> Versions<T> {
    fn new(seq: SeqNo, value: T) -> Self {
        Self { newest: (seq, value), older: Vec::new() }
    }

    fn at(&self, seq: SeqNo) -> Option<&T> {
        if self.newest.0 <= seq {
            return Some(&self.newest.1);
        }
        self.older.iter().rev().find(|(since, _)| *since <= seq).map(|(_, value)| value)
    }

    /// Adds a version and drops those nobody can ask for any more: durable ones that a durable one follows, unless a
    /// snapshot stands in between.
    fn push(&mut self, seq: SeqNo, value: T, horizon: Horizon<'_>) {
        if self.newest.0 == seq {
            self.newest.1 = value;
            return;
        }
        self.older.push(std::mem::replace(&mut self.newest, (seq, value)));
        let durable = self.older.partition_point(|(since, _)| *since <= horizon.durable);
        let followed = if seq <= horizon.durable { durable } else { durable.saturating_sub(1) };
        // A version is visible from its own number to that of the next one.
        let until = |versions: &Self, index: usize| {
            versions.older.get(index + 1).map_or(seq, |(since, _)| *since)
        };
        let stays = |versions: &Self, index: usize| {
            index >= followed || horizon.shows(versions.older[index].0, until(versions, index))
        };
        let Some(gap) = (0..followed).find(|&index| !stays(self, index)) else { return };
        let mut kept = gap;
        for index in gap + 1..self.older.len() {
            if stays(self, index) {
                self.older.swap(kept, index);
                kept += 1;
            }
        }
        self.older.truncate(kept);
    }
}

impl Horizon<'_> {
    /// Whether a snapshot stands in `since..until`.
    fn shows(&self, since: SeqNo, until: SeqNo) -> bool {
        let first = self.snapshots.partition_point(|seq| *seq < since);
        self.snapshots.get(first).is_some_and(|&seq| seq < until)
    }
}

impl Memtable {
    /// Sets a record. For the one writer.
    pub(crate) fn put(
        &self,
        keyspace: KeyspaceId,
        key: &Bytes,
        seq: SeqNo,
        row: Seen,
        horizon: Horizon<'_>,
    ) {
        let cost = row_bytes(&row);
        let mut tables = self.tables.write();
        let records = tables.records.entry(keyspace).or_default();
        match records.get_mut(key) {
            Some(versions) => {
                let held = row_bytes(&versions.newest.1);
                versions.push(seq, row, horizon);
                self.bytes.fetch_add(cost, Relaxed);
                self.bytes.fetch_sub(held, Relaxed);
            }
            None => {
                records.insert(key.clone(), Versions::new(seq, row));
                self.bytes.fetch_add(ROW_OVERHEAD + key.len() + cost, Relaxed);
            }
        }
    }

    /// Drops a record that was removed, where there is nothing below this memtable that it would have to hide. For the one
    /// writer.
    pub(crate) fn drop_removed(&self, keyspace: KeyspaceId, key: &[u8]) {
        let mut tables = self.tables.write();
        let Some(records) = tables.records.get_mut(&keyspace) else { return };
        if records.get(key).is_some_and(|versions| versions.newest.1.is_none()) {
            records.remove(key);
            self.bytes.fetch_sub(ROW_OVERHEAD + key.len(), Relaxed);
        }
    }

    /// Sets the number of records of a keyspace. For the one writer.
    pub(crate) fn set_count(
        &self,
        keyspace: KeyspaceId,
        seq: SeqNo,
        count: u64,
        horizon: Horizon<'_>,
    ) {
        let mut tables = self.tables.write();
        match tables.counts.get_mut(&keyspace) {
            Some(versions) => versions.push(seq, count, horizon),
            None => drop(tables.counts.insert(keyspace, Versions::new(seq, count))),
        }
    }

    /// Remembers an outcome. For the one writer.
    pub(crate) fn remember(&self, key: &Bytes, row: WindowRow) {
        self.bytes.fetch_add(ROW_OVERHEAD + key.len() + outcome_bytes(&row.outcome), Relaxed);
        self.tables.write().window.insert(key.clone(), Arc::new(row));
    }

    /// The record as of the entry that `at` gives, which is asked once the rows stand still; `None` when this memtable
    /// does not know.
    pub(crate) fn record(
        &self,
        keyspace: KeyspaceId,
        key: &[u8],
        at: impl FnOnce() -> SeqNo,
    ) -> Option<Seen> {
        let tables = self.tables.read();
        tables.records.get(&keyspace)?.get(key)?.at(at()).cloned()
    }

    /// Whether this memtable has the record at all.
    pub(crate) fn knows(&self, keyspace: KeyspaceId, key: &[u8]) -> bool {
        let tables = self.tables.read();
        tables.records.get(&keyspace).is_some_and(|records| records.contains_key(key))
    }

    /// The number of records of a keyspace as of `seq`; `None` when this memtable does not know.
    pub(crate) fn count(&self, keyspace: KeyspaceId, seq: SeqNo) -> Option<u64> {
        self.tables.read().counts.get(&keyspace)?.at(seq).copied()
    }

    /// What is remembered under a key.
    pub(crate) fn window(&self, key: &[u8]) -> Option<Arc<WindowRow>> {
        self.tables.read().window.get(key).cloned()
    }

    /// Up to `limit` records between the bounds as of `seq`, from the front or from the back; removed ones included.
    pub(crate) fn range(
        &self,
        keyspace: KeyspaceId,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
        seq: SeqNo,
        limit: usize,
        reverse: bool,
    ) -> Vec<(Bytes, Seen)> {
        let tables = self.tables.read();
        let Some(records) = tables.records.get(&keyspace) else { return Vec::new() };
        let seen = |(key, versions): (&Bytes, &Versions<Seen>)| {
            Some((key.clone(), versions.at(seq)?.clone()))
        };
        let range = records.range::<[u8], _>(bounds);
        if reverse {
            range.rev().filter_map(seen).take(limit).collect()
        } else {
            range.filter_map(seen).take(limit).collect()
        }
    }

    /// An estimate of the memory this holds.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// Shows everything at its newest. For a memtable that is not written any more: a writer would wait.
    pub(crate) fn frozen<T>(&self, show: impl FnOnce(Frozen<'_>) -> T) -> T {
        show(Frozen(&self.tables.read()))
    }
}

fn outcome_bytes(outcome: &StoredOutcome) -> usize {
    match outcome {
        StoredOutcome::Fenced => 0,
        StoredOutcome::Committed(bytes)
        | StoredOutcome::Rejected(StoredRejection::Procedure(bytes)) => bytes.len(),
        StoredOutcome::Rejected(
            StoredRejection::NotAbsent { key, .. }
            | StoredRejection::NotPresent { key, .. }
            | StoredRejection::OutOfBounds { key, .. }
            | StoredRejection::Illegal { key, .. },
        ) => key.len(),
        StoredOutcome::Rejected(StoredRejection::Broken { key, broken, .. }) => {
            key.len() + broken.reason.len()
        }
        StoredOutcome::Rejected(StoredRejection::BrokenSum(broken)) => broken.reason.len(),
        StoredOutcome::Rejected(StoredRejection::TotalOverflow { .. }) => 0,
    }
}

fn row_bytes(row: &Seen) -> usize {
    row.as_ref().map_or(0, |row| row.value.len() + row.actor.len())
}

/// All that a memtable holds, at its newest.
pub(crate) struct Frozen<'a>(&'a Tables);

impl<'a> Frozen<'a> {
    /// Every record, in order.
    pub(crate) fn records(
        &self,
    ) -> impl Iterator<Item = (KeyspaceId, &'a [u8], Option<&'a Row>)> + use<'a> {
        self.0.records.iter().flat_map(|(&keyspace, records)| {
            records
                .iter()
                .map(move |(key, versions)| (keyspace, &key[..], versions.newest.1.as_ref()))
        })
    }

    /// Every remembered outcome, ordered by key.
    pub(crate) fn window(&self) -> Vec<(&'a Bytes, &'a Arc<WindowRow>)> {
        #[allow(clippy::disallowed_methods, reason = "sorted in the next line")]
        let mut rows: Vec<_> = self.0.window.iter().collect();
        rows.sort_unstable_by(|a, b| a.0.cmp(b.0));
        rows
    }

    /// The number of records of each keyspace in which it changed.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (KeyspaceId, u64)> + use<'a> {
        self.0.counts.iter().map(|(&keyspace, versions)| (keyspace, versions.newest.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seq(n: u64) -> SeqNo {
        SeqNo::new(n)
    }

    fn kept(snapshots: &[SeqNo], durable: u64, written: &[u64]) -> Vec<u64> {
        let mut versions = Versions::new(seq(written[0]), ());
        for &n in &written[1..] {
            versions.push(seq(n), (), Horizon { durable: seq(durable), snapshots });
        }
        versions.older.iter().map(|(n, ())| n.get()).chain([versions.newest.0.get()]).collect()
    }

    #[test]
    fn a_hot_record_keeps_the_newest_durable_and_what_is_not_durable() {
        assert_eq!(kept(&[], 9, &[1, 2, 3, 4, 10]), [4, 10]);
        assert_eq!(kept(&[], 3, &[1, 2, 3, 4, 10]), [3, 4, 10]);
        assert_eq!(kept(&[], 10, &[1, 2, 3, 4, 10]), [10]);
    }

    #[test]
    fn what_one_entry_writes_twice_counts_once() {
        assert_eq!(kept(&[], 0, &[1, 2, 2, 2, 3, 3]), [1, 2, 3]);
    }

    #[test]
    fn versions_are_dropped_between_those_that_stay() {
        let mut versions = Versions::new(seq(1), ());
        for n in 2..=9 {
            versions.push(seq(n), (), Horizon { durable: seq(0), snapshots: &[seq(2), seq(5)] });
        }
        versions.push(seq(10), (), Horizon { durable: seq(8), snapshots: &[seq(2), seq(5)] });
        let left: Vec<_> = versions.older.iter().map(|(n, ())| n.get()).collect();
        assert_eq!(left, [2, 5, 8, 9]);
    }

    #[test]
    fn a_snapshot_keeps_the_one_version_it_sees() {
        assert_eq!(kept(&[seq(2)], 10, &[1, 2, 3, 4, 10]), [2, 10]);
        assert_eq!(kept(&[seq(1), seq(3)], 10, &[1, 2, 3, 4, 10]), [1, 3, 10]);
        assert_eq!(kept(&[seq(0)], 10, &[1, 2, 3, 4, 10]), [10]);
    }

    #[test]
    fn reads_see_the_version_of_their_entry() {
        let mut versions = Versions::new(seq(2), 'a');
        versions.push(seq(5), 'b', Horizon { durable: seq(2), snapshots: &[] });
        let at = |n| versions.at(seq(n)).copied();
        assert_eq!(
            [at(1), at(2), at(4), at(5), at(9)],
            [None, Some('a'), Some('a'), Some('b'), Some('b')]
        );
    }
}
