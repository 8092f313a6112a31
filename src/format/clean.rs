//! `CLEAN`: where the log ended when the database was closed.
//!
//! ```text
//! 0       8      24  32        40    48      80    84
//! | magic | uuid | g | segment | end | chain | crc |
//! ```

use super::{checked_fields, crc};

const MAGIC: &[u8; 8] = b"STEADCLN";
pub(crate) const BYTES: usize = 84;

/// What `CLEAN` says: everything up to here was durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clean {
    pub uuid: u128,
    /// The last group.
    pub g: u64,
    /// The segment it is in.
    pub segment: u64,
    /// The offset after it.
    pub end: u64,
    /// The chain digest after it.
    pub chain: [u8; 32],
}

impl Clean {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(self.uuid.to_le_bytes());
        out.extend(self.g.to_le_bytes());
        out.extend(self.segment.to_le_bytes());
        out.extend(self.end.to_le_bytes());
        out.extend(self.chain);
        out.extend(crc(0, &out).to_le_bytes());
        out
    }

    /// `None` when the bytes are damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = checked_fields(bytes, MAGIC, BYTES)?;
        Some(Self {
            uuid: reader.u128()?,
            g: reader.u64()?,
            segment: reader.u64()?,
            end: reader.u64()?,
            chain: reader.array()?,
        })
    }
}
