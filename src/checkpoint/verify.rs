//! Reading everything once: each row against its checksum, all rows against the digest, all records against the counts.

use super::{
    error::CheckpointError,
    guard::{Guarded, guard, guard_plain},
    reader::{Reader, opened},
    tables::{self, keyspace_prefix, split_record_key},
};
use crate::{
    base::KeyspaceId,
    format::rows::{self, RowTag, decode_row, decode_window_row},
    state::digest::{RowHasher, StateDigest},
};
use redb::{ReadOnlyTable, ReadableTable};
use std::collections::BTreeMap;

/// How many rows go by between two reports of progress.
const REPORT_ROWS: u64 = 4096;

/// What a checkpoint holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verified {
    /// The sum over all rows, to be compared with the meta row's if that has the same version.
    pub(crate) digest: StateDigest,
    /// How many records, of all keyspaces together.
    pub(crate) records: u64,
    /// How many remembered outcomes.
    pub(crate) window_rows: u64,
    /// How many bytes of keys and rows.
    pub(crate) bytes: u64,
}

/// Reads every row. `on_progress` is called now and then with what was seen so far, `on_key` with each key of the window.
pub(crate) fn verify(
    reader: &Reader,
    hasher: &mut RowHasher,
    mut on_progress: impl FnMut(&Verified),
    mut on_key: impl FnMut(&[u8]),
) -> Result<Verified, CheckpointError> {
    let mut seen = Verified::default();
    let mut counted = BTreeMap::<KeyspaceId, u64>::new();
    each(reader, "records", &reader.records, |key, stored| {
        let (keyspace, _) = split_record_key(key)
            .ok_or_else(|| CheckpointError::damaged("records: a key is too short"))?;
        *counted.entry(keyspace).or_default() += 1;
        seen.records += 1;
        let row =
            row(hasher, "records", RowTag::Record, key, stored, |body| decode_row(body).map(drop))?;
        note(&mut seen, row, key, stored, &mut on_progress);
        Ok(())
    })?;
    each(reader, "window", &reader.window, |key, stored| {
        seen.window_rows += 1;
        on_key(key);
        let row = row(hasher, "window", RowTag::Window, key, stored, |body| {
            decode_window_row(body).map(drop)
        })?;
        note(&mut seen, row, key, stored, &mut on_progress);
        Ok(())
    })?;
    compare_counts(reader, counted)?;
    Ok(seen)
}

/// The digest of one row that passes its checksum and decodes.
fn row(
    hasher: &mut RowHasher,
    table: &'static str,
    tag: RowTag,
    key: &[u8],
    stored: &[u8],
    decode: impl FnOnce(&[u8]) -> Option<()>,
) -> Result<u128, CheckpointError> {
    opened(table, tag, key, stored, |body| {
        decode(body)?;
        Some(hasher.body(tag, key, body))
    })
}

fn note(
    seen: &mut Verified,
    row: u128,
    key: &[u8],
    stored: &[u8],
    on_progress: &mut impl FnMut(&Verified),
) {
    seen.digest.add(row);
    seen.bytes += (key.len() + stored.len()) as u64;
    if (seen.records + seen.window_rows).is_multiple_of(REPORT_ROWS) {
        on_progress(seen);
    }
}

/// Calls `visit` with each key and stored value of a table, and checks that the keys come in order.
fn each(
    reader: &Reader,
    table: &'static str,
    rows: &ReadOnlyTable<tables::Bytes, tables::Bytes>,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), CheckpointError>,
) -> Result<(), CheckpointError> {
    let backend = reader.backend();
    let mut range = Guarded::new(backend, guard(backend, table, || rows.iter())?);
    let mut previous: Option<Vec<u8>> = None;
    while let Some((key, stored)) = guard(backend, table, || range.next().transpose())? {
        let (key, stored) = guard_plain(backend, table, || (key.value(), stored.value()))?;
        let previous = previous.get_or_insert_with(Vec::new);
        if !previous.is_empty() && key <= &previous[..] {
            return Err(CheckpointError::damaged(format!("{table}: a row is out of its place")));
        }
        previous.clear();
        previous.extend_from_slice(key);
        visit(key, stored)?;
    }
    Ok(())
}

fn compare_counts(
    reader: &Reader,
    mut counted: BTreeMap<KeyspaceId, u64>,
) -> Result<(), CheckpointError> {
    let backend = reader.backend();
    let mut range = Guarded::new(backend, guard(backend, "counts", || reader.counts.iter())?);
    while let Some((keyspace, stored)) = guard(backend, "counts", || range.next().transpose())? {
        let (keyspace, stored) =
            guard_plain(backend, "counts", || (KeyspaceId::new(keyspace.value()), stored.value()))?;
        let body = rows::open(RowTag::Count, &keyspace_prefix(keyspace), stored)
            .ok_or_else(|| CheckpointError::damaged("counts: a row fails its checksum"))?;
        compare(keyspace, counted.remove(&keyspace).unwrap_or(0), body)?;
    }
    match counted.pop_first() {
        Some((keyspace, _)) => {
            Err(CheckpointError::damaged(format!("counts: no row for keyspace {keyspace}")))
        }
        None => Ok(()),
    }
}

fn compare(keyspace: KeyspaceId, counted: u64, body: &[u8]) -> Result<(), CheckpointError> {
    match body.try_into().map(u64::from_le_bytes) {
        Ok(stored) if stored == counted => Ok(()),
        Ok(stored) => Err(CheckpointError::damaged(format!(
            "records: keyspace {keyspace} has {counted} rows and should have {stored}"
        ))),
        Err(_) => Err(CheckpointError::damaged("counts: a row cannot be decoded")),
    }
}
