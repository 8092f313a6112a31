//! The static header of a segment: two equal copies, in blocks 0 and 1; groups follow from [`DATA`].
//!
//! ```text
//! 0       8         12         16     32       40      48      64    68
//! | magic | version | reserved | uuid | number | bytes | nonce | crc |
//! ```

use super::{BLOCK, bytes::Reader, crc};

const MAGIC: &[u8; 8] = b"STEADSEG";
const BYTES: usize = 68;
/// Offset of the first group.
pub(crate) const DATA: u64 = 2 * BLOCK;

/// What a segment says of itself; nothing in it depends on history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub version: u32,
    pub uuid: u128,
    pub number: u64,
    /// Length of the file.
    pub bytes: u64,
    /// Seed of every CRC in the segment.
    pub nonce: u128,
}

impl SegmentHeader {
    /// Both copies, as they stand at offset 0.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut copy = MAGIC.to_vec();
        copy.extend(self.version.to_le_bytes());
        copy.extend([0; 4]);
        copy.extend(self.uuid.to_le_bytes());
        copy.extend(self.number.to_le_bytes());
        copy.extend(self.bytes.to_le_bytes());
        copy.extend(self.nonce.to_le_bytes());
        copy.extend(crc(0, &copy).to_le_bytes());
        copy.resize(BLOCK as usize, 0);
        copy.repeat(2)
    }

    /// Reads the first [`DATA`] bytes of a segment; `None` when neither copy is whole.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        bytes.chunks(BLOCK as usize).find_map(Self::decode_copy)
    }

    fn decode_copy(block: &[u8]) -> Option<Self> {
        let copy = block.get(..BYTES)?;
        let (body, sum) = copy.split_at(BYTES - 4);
        if sum != crc(0, body).to_le_bytes() {
            return None;
        }
        let mut reader = Reader::new(body.strip_prefix(MAGIC)?);
        let version = reader.u32()?;
        reader.u32()?;
        Some(Self {
            version,
            uuid: reader.u128()?,
            number: reader.u64()?,
            bytes: reader.u64()?,
            nonce: reader.u128()?,
        })
    }
}
