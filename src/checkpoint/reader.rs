//! A checkpoint as of one transaction.

use super::{
    backend::Backend,
    error::CheckpointError,
    guard::{Guarded, guard, guard_plain},
    tables::{
        self, COUNTS, META, RECORDS, WINDOW, keyspace_prefix, record_key, record_range,
        split_record_key,
    },
};
use crate::{
    base::{Bytes, KeyspaceId, Row, WindowRow},
    format::rows::{
        self, Meta, RowTag, decode_meta, decode_other_format, decode_row, decode_window_row,
    },
};
use redb::{ReadOnlyTable, ReadableDatabase};
use std::{borrow::Borrow, fmt, ops::Bound};

/// Sees the checkpoint as one write left it, and keeps that alive. Every row it gives out has passed its checksum.
pub(crate) struct Reader {
    backend: Backend,
    generation: u64,
    meta: Meta,
    pub(super) records: Guarded<ReadOnlyTable<tables::Bytes, tables::Bytes>>,
    pub(super) window: Guarded<ReadOnlyTable<tables::Bytes, tables::Bytes>>,
    pub(super) counts: Guarded<ReadOnlyTable<u32, tables::Bytes>>,
}

impl Reader {
    pub(super) fn open(
        database: &redb::Database,
        backend: &Backend,
        generation: u64,
    ) -> Result<Self, CheckpointError> {
        let doing = "opening the tables";
        let read = Guarded::new(backend, guard(backend, doing, || database.begin_read())?);
        let records = Guarded::new(backend, guard(backend, doing, || read.open_table(RECORDS))?);
        let window = Guarded::new(backend, guard(backend, doing, || read.open_table(WINDOW))?);
        let counts = Guarded::new(backend, guard(backend, doing, || read.open_table(COUNTS))?);
        let meta = Guarded::new(backend, guard(backend, doing, || read.open_table(META))?);
        let decode = |body: &_| decode_meta(body).or_else(|| decode_other_format(body));
        let meta = get(backend, "meta", RowTag::Meta, &meta, &[], (), decode)?
            .ok_or_else(|| CheckpointError::damaged("meta: the row is missing"))?;
        Ok(Self { backend: backend.clone(), generation, meta, records, window, counts })
    }

    /// What the checkpoint says of itself.
    pub(crate) const fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Which write this sees: it grows with each.
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    /// One record.
    pub(crate) fn record(
        &self,
        keyspace: KeyspaceId,
        key: &[u8],
    ) -> Result<Option<Row>, CheckpointError> {
        let key = &record_key(keyspace, key)[..];
        get(&self.backend, "records", RowTag::Record, &self.records, key, key, decode_row)
    }

    /// One remembered outcome.
    pub(crate) fn window(&self, key: &[u8]) -> Result<Option<WindowRow>, CheckpointError> {
        get(&self.backend, "window", RowTag::Window, &self.window, key, key, decode_window_row)
    }

    /// How many records a keyspace has.
    pub(crate) fn count(&self, keyspace: KeyspaceId) -> Result<u64, CheckpointError> {
        let key = keyspace_prefix(keyspace);
        let decode = |body: &[u8]| body.try_into().ok().map(u64::from_le_bytes);
        let number = keyspace.get();
        let count =
            get(&self.backend, "counts", RowTag::Count, &self.counts, &key, number, decode)?;
        Ok(count.unwrap_or(0))
    }

    /// At most `limit` records of a range, from its front in order, or from its back in reverse order.
    pub(crate) fn records(
        &self,
        keyspace: KeyspaceId,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Row)>, CheckpointError> {
        let Some((lower, upper)) = record_range(keyspace, lower, upper) else {
            return Ok(Vec::new());
        };
        let bounds = (lower.as_ref().map(Vec::as_slice), upper.as_ref().map(Vec::as_slice));
        let doing = "reading records";
        let mut range = Guarded::new(
            &self.backend,
            guard(&self.backend, doing, || self.records.range::<&[u8]>(bounds))?,
        );
        let mut found = Vec::new();
        while found.len() < limit {
            let next = guard(&self.backend, doing, || {
                if reverse { range.next_back() } else { range.next() }.transpose()
            })?;
            let Some((key, stored)) = next else { break };
            let (key, stored) =
                guard_plain(&self.backend, doing, || (key.value(), stored.value()))?;
            found.push(self.listed(keyspace, key, stored)?);
        }
        Ok(found)
    }

    fn listed(
        &self,
        keyspace: KeyspaceId,
        key: &[u8],
        stored: &[u8],
    ) -> Result<(Bytes, Row), CheckpointError> {
        let row = opened("records", RowTag::Record, key, stored, decode_row)?;
        match split_record_key(key) {
            Some((there, key)) if there == keyspace => Ok((key.into(), row)),
            _ => Err(CheckpointError::damaged("records: a row is out of its place")),
        }
    }

    pub(super) const fn backend(&self) -> &Backend {
        &self.backend
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// Looks up one row, checks it and decodes it.
fn get<'k, K: redb::Key + 'static, T>(
    backend: &Backend,
    table: &'static str,
    tag: RowTag,
    rows: &ReadOnlyTable<K, tables::Bytes>,
    sealed_under: &[u8],
    key: impl Borrow<K::SelfType<'k>>,
    decode: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<Option<T>, CheckpointError> {
    let Some(stored) = guard(backend, table, || rows.get(key))? else { return Ok(None) };
    let stored = guard_plain(backend, table, || stored.value())?;
    opened(table, tag, sealed_under, stored, decode).map(Some)
}

/// Checks a row and decodes it.
pub(super) fn opened<T>(
    table: &'static str,
    tag: RowTag,
    key: &[u8],
    stored: &[u8],
    decode: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<T, CheckpointError> {
    let body = rows::open(tag, key, stored)
        .ok_or_else(|| CheckpointError::damaged(format!("{table}: a row fails its checksum")))?;
    decode(body)
        .ok_or_else(|| CheckpointError::damaged(format!("{table}: a row cannot be decoded")))
}
