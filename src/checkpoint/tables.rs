//! The tables of a checkpoint, and the keys of its records.
//! ```text
//! records  | keyspace u32 big-endian | record key |  -> sealed record
//! window-0 | idempotency key                      |  -> sealed window row   (generation 0)
//! counts   | keyspace u32                         |  -> sealed u64          (sealed under the big-endian number)
//! meta     | nothing                              |  -> sealed meta row
//! ```

use crate::base::KeyspaceId;
use redb::TableDefinition;
use std::ops::Bound;

pub(super) type Bytes = &'static [u8];

pub(super) const RECORDS: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("records");
pub(super) const WINDOW: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("window-0");
pub(super) const COUNTS: TableDefinition<'static, u32, Bytes> = TableDefinition::new("counts");
pub(super) const META: TableDefinition<'static, (), Bytes> = TableDefinition::new("meta");

/// The bytes a keyspace's record keys begin with.
pub(super) const fn keyspace_prefix(keyspace: KeyspaceId) -> [u8; 4] {
    keyspace.get().to_be_bytes()
}

/// Replaces what is in `out` by the key of a record.
pub(super) fn put_record_key(out: &mut Vec<u8>, keyspace: KeyspaceId, key: &[u8]) {
    out.clear();
    out.extend_from_slice(&keyspace_prefix(keyspace));
    out.extend_from_slice(key);
}

/// The key of a record.
pub(super) fn record_key(keyspace: KeyspaceId, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + key.len());
    put_record_key(&mut out, keyspace, key);
    out
}

/// The keyspace and the rest of a record's key.
pub(super) fn split_record_key(key: &[u8]) -> Option<(KeyspaceId, &[u8])> {
    let (keyspace, key) = key.split_first_chunk()?;
    Some((KeyspaceId::new(u32::from_be_bytes(*keyspace)), key))
}

/// The bounds of a range of the table.
pub(super) type KeyRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// A range within a keyspace as a range of the table; `None` when it is empty whatever is stored.
pub(super) fn record_range(
    keyspace: KeyspaceId,
    lower: Bound<&[u8]>,
    upper: Bound<&[u8]>,
) -> Option<KeyRange> {
    let lower = match lower {
        Bound::Unbounded => Bound::Included(record_key(keyspace, &[])),
        bound => bound.map(|key| record_key(keyspace, key)),
    };
    let upper = match upper {
        Bound::Unbounded => match keyspace.get().checked_add(1) {
            Some(next) => Bound::Excluded(record_key(KeyspaceId::new(next), &[])),
            None => Bound::Unbounded,
        },
        bound => bound.map(|key| record_key(keyspace, key)),
    };
    let empty = match (&lower, &upper) {
        (Bound::Included(a), Bound::Included(b)) => a > b,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => {
            a >= b
        }
        _ => false,
    };
    (!empty).then_some((lower, upper))
}
