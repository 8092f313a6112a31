//! `IDENTITY`: what this directory is.
//!
//! ```text
//! 0       8         12     28    32
//! | magic | version | uuid | crc |
//! ```

use super::{checked_fields, crc};

const MAGIC: &[u8; 8] = b"STEADFST";
pub(crate) const BYTES: usize = 32;

/// What `IDENTITY` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub version: u32,
    pub uuid: u128,
}

impl Identity {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend(self.uuid.to_le_bytes());
        out.extend(crc(0, &out).to_le_bytes());
        out
    }

    /// `None` when the bytes are damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = checked_fields(bytes, MAGIC, BYTES)?;
        Some(Self { version: reader.u32()?, uuid: reader.u128()? })
    }
}
