//! The value of a row in keyspace 0: the definition of the keyspace its key names.
//!
//! ```text
//! 0    4        8       9
//! | id | schema | codec | shape |
//! ```

use super::bytes::{Reader, put_bytes16};
use crate::base::{Bytes, KeyspaceDefinition, KeyspaceId};

pub(crate) fn encode(definition: &KeyspaceDefinition) -> Bytes {
    let mut out = definition.id.get().to_le_bytes().to_vec();
    out.extend(definition.schema.to_le_bytes());
    out.push(definition.codec);
    put_bytes16(&mut out, &definition.shape);
    out.into()
}

pub(crate) fn decode(value: &[u8]) -> Option<KeyspaceDefinition> {
    let mut reader = Reader::new(value);
    let (id, schema) = (KeyspaceId::new(reader.u32()?), reader.u32()?);
    let definition = KeyspaceDefinition { id, schema, codec: reader.u8()?, shape: reader.bytes16()?.into() };
    reader.end().map(|()| definition)
}
