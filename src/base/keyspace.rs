//! What a keyspace is, apart from any Rust type.

use super::{Bytes, KeyspaceId};
use std::fmt;

/// What makes a keyspace itself: never the name of a Rust type. The name is not secret: `Debug` prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyspaceIdentity {
    /// The name, 1..=64 bytes.
    pub name: Bytes,
    /// The encoded shape of the keys.
    pub shape: Bytes,
    /// The tag of the value codec.
    pub codec: u8,
    /// The schema number that new rows are written under, from 1.
    pub schema: u32,
    /// The older schema numbers that can still be read, ascending.
    pub upgrades_from: Vec<u32>,
}

/// A keyspace as it was defined when its first record was written; only the schema number grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyspaceDefinition {
    /// Its number.
    pub id: KeyspaceId,
    /// The encoded shape of the keys.
    pub shape: Bytes,
    /// The tag of the value codec.
    pub codec: u8,
    /// The greatest schema number a record was written under.
    pub schema: u32,
}

impl KeyspaceIdentity {
    /// The identity of what is stored, which reads no other schema number.
    #[must_use]
    pub fn stored(name: Bytes, shape: Bytes, codec: u8, schema: u32) -> Self {
        Self { name, shape, codec, schema, upgrades_from: Vec::new() }
    }

    /// Whether a row written under this schema number can be read.
    #[must_use]
    pub fn reads(&self, schema: u32) -> bool {
        schema == self.schema || self.upgrades_from.contains(&schema)
    }
}

impl fmt::Debug for KeyspaceIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyspaceIdentity")
            .field("name", &String::from_utf8_lossy(&self.name))
            .field("shape", &&self.shape[..])
            .field("codec", &self.codec)
            .field("schema", &self.schema)
            .field("upgrades_from", &self.upgrades_from)
            .finish()
    }
}
