//! Writing the next checkpoint: one redb transaction.

use super::{
    backend::Backend,
    error::CheckpointError,
    guard::{Guarded, guard, guard_plain},
    tables::{self, CONTROL, COUNTS, META, RECORDS, keyspace_prefix, put_record_key},
    window,
};
use crate::{
    base::{Control, KeyspaceId, Row, WindowRow, canary::canary},
    format::rows::{Meta, RowTag, encode_control, encode_meta, encode_row, seal_into},
};
use redb::{Durability, Table, WriteTransaction};

/// What a write changes. The items are taken one by one and encoded one by one, so that a large memtable is never held
/// twice. In order of their keys they are written fastest.
pub(crate) struct Changes<'c, R, W, C> {
    /// Records put, or deleted where there is no row.
    pub(crate) records: R,
    /// Remembered outcomes.
    pub(crate) window: W,
    /// The mode, and how much is remembered how.
    pub(crate) control: &'c Control,
    /// How many rows of tables that are no longer what they were may be rewritten or dropped.
    pub(crate) upkeep: usize,
    /// For every keyspace that changed, keyspace 0 included, how many records it has now.
    pub(crate) counts: C,
}

pub(super) type RowTable<'txn> = Guarded<Table<'txn, tables::Bytes, tables::Bytes>>;

/// Commits `changes` and `meta` durably and returns how many bytes of keys and rows that were. While the backend
/// [is short](Backend::is_short), nothing of it is durable yet; when more than `hold_bytes` are held then, the transaction is
/// given up, and what is held are pages that nobody needs.
pub(super) fn commit<'a>(
    database: &redb::Database,
    backend: &Backend,
    changes: Changes<
        'a,
        impl Iterator<Item = (KeyspaceId, &'a [u8], Option<&'a Row>)>,
        impl Iterator<Item = (&'a [u8], &'a WindowRow)>,
        impl Iterator<Item = (KeyspaceId, u64)>,
    >,
    meta: &Meta,
    hold_bytes: u64,
) -> Result<u64, CheckpointError> {
    let mut txn = begin(database, backend)?;
    let mut writer = Writer { backend, scratch: Vec::new(), bytes: 0, hold_bytes };
    let control = changes.control;
    if let Err(error) = writer.rows(&txn, changes) {
        if matches!(error, CheckpointError::Full) {
            let txn = txn.into_inner();
            guard(backend, "giving a transaction up", || txn.abort())?;
        }
        return Err(error);
    }
    canary!(AppliedOutsideTransaction => txn = { guard(backend, "", || txn.into_inner().commit())?; begin(database, backend)? });
    writer.head(&txn, control, meta)?;
    // Two phases, or one flipped bit after an unclean end could roll the checkpoint back in silence; no saved
    // allocator state, or the same bit could be believed without the checksums being looked at.
    guard_plain(backend, "committing", || {
        txn.set_two_phase_commit(true);
        txn.set_quick_repair(false);
    })?;
    let txn = txn.into_inner();
    guard(backend, "committing", || txn.commit())?;
    Ok(writer.bytes)
}

fn begin(
    database: &redb::Database,
    backend: &Backend,
) -> Result<Guarded<WriteTransaction>, CheckpointError> {
    let mut txn = Guarded::new(
        backend,
        guard(backend, "beginning a transaction", || database.begin_write())?,
    );
    guard(backend, "beginning a transaction", || txn.set_durability(Durability::Immediate))?;
    Ok(txn)
}

pub(super) struct Writer<'b> {
    pub(super) backend: &'b Backend,
    /// The one row that is held encoded at a time.
    scratch: Vec<u8>,
    bytes: u64,
    hold_bytes: u64,
}

impl Writer<'_> {
    fn rows<'a>(
        &mut self,
        txn: &WriteTransaction,
        changes: Changes<
            'a,
            impl Iterator<Item = (KeyspaceId, &'a [u8], Option<&'a Row>)>,
            impl Iterator<Item = (&'a [u8], &'a WindowRow)>,
            impl Iterator<Item = (KeyspaceId, u64)>,
        >,
    ) -> Result<(), CheckpointError> {
        self.records(txn, changes.records)?;
        window::write(self, txn, changes.control, changes.window)?;
        window::keep_up(self, txn, changes.control, changes.upkeep)?;
        self.counts(txn, changes.counts)
    }

    fn records<'a>(
        &mut self,
        txn: &WriteTransaction,
        records: impl Iterator<Item = (KeyspaceId, &'a [u8], Option<&'a Row>)>,
    ) -> Result<(), CheckpointError> {
        let doing = "writing records";
        let mut table =
            Guarded::new(self.backend, guard(self.backend, doing, || txn.open_table(RECORDS))?);
        let mut key = Vec::new();
        for (keyspace, record, row) in records {
            put_record_key(&mut key, keyspace, record);
            match row {
                Some(row) => {
                    self.put(doing, RowTag::Record, &mut table, &key, |out| encode_row(row, out))?
                }
                None => {
                    canary!(DeleteNotInCheckpoint => continue);
                    guard(self.backend, doing, || table.remove(&key[..]).map(drop))?;
                    self.check_room()?;
                }
            }
        }
        self.close(doing, table)
    }

    fn counts(
        &mut self,
        txn: &WriteTransaction,
        counts: impl Iterator<Item = (KeyspaceId, u64)>,
    ) -> Result<(), CheckpointError> {
        let doing = "writing the counts";
        let mut table =
            Guarded::new(self.backend, guard(self.backend, doing, || txn.open_table(COUNTS))?);
        for (keyspace, count) in counts {
            seal_into(RowTag::Count, &keyspace_prefix(keyspace), &mut self.scratch, |out| {
                out.extend_from_slice(&count.to_le_bytes());
            });
            guard(self.backend, doing, || {
                table.insert(keyspace.get(), &self.scratch[..]).map(drop)
            })?;
        }
        self.close(doing, table)
    }

    fn head(
        &mut self,
        txn: &WriteTransaction,
        control: &Control,
        meta: &Meta,
    ) -> Result<(), CheckpointError> {
        let doing = "writing control";
        let mut table =
            Guarded::new(self.backend, guard(self.backend, doing, || txn.open_table(CONTROL))?);
        seal_into(RowTag::Control, &[], &mut self.scratch, |out| encode_control(control, out));
        guard(self.backend, doing, || table.insert((), &self.scratch[..]).map(drop))?;
        self.close(doing, table)?;
        let doing = "writing meta";
        let mut table =
            Guarded::new(self.backend, guard(self.backend, doing, || txn.open_table(META))?);
        seal_into(RowTag::Meta, &[], &mut self.scratch, |out| encode_meta(meta, out));
        guard(self.backend, doing, || table.insert((), &self.scratch[..]).map(drop))?;
        self.close(doing, table)
    }

    pub(super) fn put(
        &mut self,
        doing: &'static str,
        tag: RowTag,
        table: &mut RowTable<'_>,
        key: &[u8],
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), CheckpointError> {
        seal_into(tag, key, &mut self.scratch, encode);
        self.bytes += (key.len() + self.scratch.len()) as u64;
        guard(self.backend, doing, || table.insert(key, &self.scratch[..]).map(drop))?;
        self.check_room()
    }

    /// Whether what is held for want of room has become too much.
    fn check_room(&self) -> Result<(), CheckpointError> {
        if self.backend.short_bytes() > self.hold_bytes {
            Err(CheckpointError::Full)
        } else {
            Ok(())
        }
    }

    /// Closing a table hands its root to the transaction, so here, unlike in `Guarded`'s destructor, a panic counts.
    pub(super) fn close<T>(
        &self,
        doing: &'static str,
        table: Guarded<T>,
    ) -> Result<(), CheckpointError> {
        let table = table.into_inner();
        guard_plain(self.backend, doing, || drop(table))
    }
}
