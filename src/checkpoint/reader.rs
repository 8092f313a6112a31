//! A checkpoint as of one transaction.

use super::{
    backend::Backend,
    error::CheckpointError,
    guard::{Guarded, guard, guard_plain},
    tables::{
        self, CONTROL, COUNTS, META, RECORDS, WindowTable, keyspace_prefix, record_key,
        record_range, split_record_key, window_table,
    },
};
use crate::{
    base::{Bytes, Control, KeyHash, KeyspaceId, Remembered, Row, key_hash},
    format::{
        VERSION,
        rows::{
            self, Meta, RowTag, decode_control, decode_meta, decode_other_format, decode_row,
            decode_stub, decode_window_row,
        },
    },
    state::control::Place,
};
use redb::{ReadOnlyTable, ReadTransaction, ReadableDatabase};
use std::{borrow::Borrow, fmt, ops::Bound, sync::Arc};

pub(super) type RowTable = Guarded<ReadOnlyTable<tables::Bytes, tables::Bytes>>;

/// Sees the checkpoint as one write left it, and keeps that alive. Every row it gives out has passed its checksum.
pub(crate) struct Reader {
    backend: Backend,
    generation: u64,
    meta: Meta,
    control: Control,
    pub(super) records: RowTable,
    /// Of remembered outcomes, the oldest first.
    pub(super) window: Vec<(WindowTable, RowTable)>,
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
        let counts = Guarded::new(backend, guard(backend, doing, || read.open_table(COUNTS))?);
        let meta = Guarded::new(backend, guard(backend, doing, || read.open_table(META))?);
        let decode = |body: &_| decode_meta(body).or_else(|| decode_other_format(body));
        let meta = get(backend, "meta", RowTag::Meta, &meta, &[], (), decode)?
            .ok_or_else(|| CheckpointError::damaged("meta: the row is missing"))?;
        let mut this = Self {
            backend: backend.clone(),
            generation,
            meta,
            control: Control::default(),
            records,
            window: Vec::new(),
            counts,
        };
        // Of another format nothing else is known.
        if this.meta.format == VERSION {
            this.open_window(&read)?;
        }
        Ok(this)
    }

    fn open_window(&mut self, read: &ReadTransaction) -> Result<(), CheckpointError> {
        let (backend, doing) = (&self.backend, "opening the tables");
        let control = Guarded::new(backend, guard(backend, doing, || read.open_table(CONTROL))?);
        self.control = get(backend, "control", RowTag::Control, &control, &[], (), decode_control)?
            .ok_or_else(|| CheckpointError::damaged("control: the row is missing"))?;
        let handles = guard(backend, doing, || read.list_tables())?;
        for table in guard_plain(backend, doing, || WindowTable::among(handles))? {
            let name = table.name();
            let rows = guard(backend, doing, || read.open_table(window_table(&name)))?;
            self.window.push((table, Guarded::new(backend, rows)));
        }
        Ok(())
    }

    /// What the checkpoint says of itself.
    pub(crate) const fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The mode, and how much is remembered how.
    pub(crate) const fn control(&self) -> &Control {
        &self.control
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

    /// The newest that is stored under a key, which may be no more than a stub by now, or forgotten.
    pub(crate) fn window(
        &self,
        key: &[u8],
        hash: &KeyHash,
    ) -> Result<Option<Remembered>, CheckpointError> {
        let mut newest: Option<Remembered> = None;
        for (table, rows) in self.window.iter().rev() {
            let found = self.remembered(*table, rows, key, hash)?;
            let newer = found.as_ref().map(Remembered::seq) > newest.as_ref().map(Remembered::seq);
            newest = if newer { found } else { newest };
            // A later one was never forgotten. Below that, an old row that is still to be dropped can hide a later stub.
            if newest.is_some() && self.is_whole(*table) {
                break;
            }
        }
        Ok(newest)
    }

    fn remembered(
        &self,
        table: WindowTable,
        rows: &RowTable,
        key: &[u8],
        hash: &KeyHash,
    ) -> Result<Option<Remembered>, CheckpointError> {
        let backend = &self.backend;
        match table {
            WindowTable::Whole(_) => {
                let row =
                    get(backend, "window", RowTag::Window, rows, key, key, decode_window_row)?;
                Ok(row.map(|row| Remembered::Row(Arc::new(row))))
            }
            WindowTable::Stubs(_) => {
                let stub = get(backend, "stubs", RowTag::Stub, rows, hash, &hash[..], decode_stub)?;
                Ok(stub.map(Remembered::Stub))
            }
        }
    }

    /// Whether the rows of a table are remembered whole.
    fn is_whole(&self, table: WindowTable) -> bool {
        let WindowTable::Whole(number) = table else { return false };
        self.control.generations.iter().any(|generation| generation.number == number)
    }

    /// Whether the rows of a table are only still to be dropped.
    fn is_forgotten(&self, table: WindowTable) -> bool {
        match table {
            WindowTable::Whole(number) => self.control.place_of(number) == Place::Forgotten,
            WindowTable::Stubs(number) => self.control.eras.iter().all(|era| era.number != number),
        }
    }

    /// Calls `visit` with what stands for the keys of up to `most` rows of the window from `position` on, which moves behind
    /// them, but for those that are only still to be dropped. False when there are no more.
    pub(crate) fn window_keys(
        &self,
        position: &mut WindowPosition,
        most: usize,
        mut visit: impl FnMut(&KeyHash),
    ) -> Result<bool, CheckpointError> {
        while self.window.get(position.table).is_some_and(|(table, _)| self.is_forgotten(*table)) {
            position.table += 1;
        }
        let Some((table, rows)) = self.window.get(position.table) else { return Ok(false) };
        let (backend, doing) = (&self.backend, "reading the window");
        let after = (Bound::Excluded(&position.after[..]), Bound::Unbounded);
        let mut range =
            Guarded::new(backend, guard(backend, doing, || rows.range::<&[u8]>(after))?);
        let mut last = None;
        for _ in 0..most {
            let Some((key, _)) = guard(backend, doing, || range.next().transpose())? else {
                *position = WindowPosition { table: position.table + 1, after: Vec::new() };
                return Ok(true);
            };
            let key = guard_plain(backend, doing, || key.value().to_vec())?;
            match table {
                WindowTable::Whole(_) => visit(&key_hash(&key)),
                WindowTable::Stubs(_) => visit(
                    key[..]
                        .try_into()
                        .map_err(|_| CheckpointError::damaged("stubs: a key is not a hash"))?,
                ),
            }
            last = Some(key);
        }
        position.after = last.unwrap_or_default();
        Ok(true)
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

/// A place between the rows of the window, as one reader sees them.
#[derive(Debug, Default)]
pub(crate) struct WindowPosition {
    table: usize,
    after: Vec<u8>,
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
