//! The tables of a checkpoint, and the keys of its records.
//! ```text
//! records  | keyspace u32 big-endian | record key |  -> sealed record
//! window-G | idempotency key                      |  -> sealed window row   (of generation G)
//! stubs-E  | hash of the idempotency key          |  -> sealed stub         (of the era that begins with generation E)
//! counts   | keyspace u32                         |  -> sealed u64          (sealed under the big-endian number)
//! meta     | nothing                              |  -> sealed meta row
//! control  | nothing                              |  -> sealed control row
//! ```
//! A generation or an era without rows may have no table. A table of a generation that was demoted, or of anything that was
//! forgotten, is emptied little by little: what its rows are is for the control row to say.

use crate::base::KeyspaceId;
use redb::{TableDefinition, TableHandle};
use std::ops::Bound;

pub(super) type Bytes = &'static [u8];

pub(super) const RECORDS: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("records");
pub(super) const COUNTS: TableDefinition<'static, u32, Bytes> = TableDefinition::new("counts");
pub(super) const META: TableDefinition<'static, (), Bytes> = TableDefinition::new("meta");
pub(super) const CONTROL: TableDefinition<'static, (), Bytes> = TableDefinition::new("control");

/// A table of remembered outcomes, the oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WindowTable {
    /// Of this era, as stubs.
    Stubs(u32),
    /// Of this generation, whole.
    Whole(u32),
}

impl WindowTable {
    pub(super) fn name(self) -> String {
        match self {
            Self::Whole(number) => format!("window-{number}"),
            Self::Stubs(number) => format!("stubs-{number}"),
        }
    }

    /// The table of that name, if it is one of these.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (kind, number) = name.split_once('-')?;
        let number = number.parse().ok()?;
        let table = match kind {
            "window" => Self::Whole(number),
            "stubs" => Self::Stubs(number),
            _ => return None,
        };
        (table.name() == name).then_some(table)
    }

    /// Those among the tables of a database, ascending.
    pub(super) fn among(handles: impl Iterator<Item = impl TableHandle>) -> Vec<Self> {
        let mut found: Vec<_> = handles.filter_map(|handle| Self::parse(handle.name())).collect();
        found.sort_unstable();
        found
    }
}

/// The definition of a table of remembered outcomes.
pub(super) fn window_table(name: &str) -> TableDefinition<'_, Bytes, Bytes> {
    TableDefinition::new(name)
}

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
