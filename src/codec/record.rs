//! A record as those see it who know its keyspace.

use super::{CodecError, Key, Keyspace};
use crate::base::{Bytes, LogTime, Row, Version};

/// A record: a value and what is known of it. `Debug` shows the value as its own type does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record<V> {
    /// The value.
    pub value: V,
    /// The entry that last wrote it: name it in [`Expect::Version`](crate::Expect) to write only over this one.
    pub version: Version,
    /// The entry that created it.
    pub created: Version,
    /// When it was last written.
    pub time: LogTime,
    /// Who last wrote it, as given to [`Request::actor`](crate::Request::actor).
    pub actor: Bytes,
}

impl<V> Record<V> {
    pub(crate) fn decode<K: Key>(keyspace: &Keyspace<K, V>, row: &Row) -> Result<Self, CodecError> {
        Ok(Self {
            value: keyspace.decode(row.schema, &row.value)?,
            version: row.version,
            created: row.created,
            time: row.time,
            actor: row.actor.clone(),
        })
    }
}
