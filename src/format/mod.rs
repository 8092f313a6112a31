//! Bytes to words and back: the only place that knows byte offsets and file names.

pub(crate) mod bytes;
pub(crate) mod clean;
pub(crate) mod entry;
pub(crate) mod group;
pub(crate) mod identity;
pub(crate) mod keyspace;
pub(crate) mod names;
pub(crate) mod rows;
pub(crate) mod segment;

/// Version of everything in a database directory.
pub(crate) const VERSION: u32 = 4;
/// Unit of alignment in the log: an acknowledged block is never rewritten.
pub(crate) const BLOCK: u64 = 4096;

/// `length` rounded up to whole blocks.
pub(crate) const fn blocks(length: u64) -> u64 {
    length.div_ceil(BLOCK) * BLOCK
}

/// CRC-32 over `bytes`, seeded so that bytes written under another seed do not verify.
pub(crate) fn crc(seed: u128, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// The fields between the magic number that begins a small file and the CRC that ends it; `None` when the bytes are
/// damaged.
fn checked_fields<'a>(bytes: &'a [u8], magic: &[u8], length: usize) -> Option<bytes::Reader<'a>> {
    let (body, sum) = bytes.split_last_chunk().filter(|_| bytes.len() == length)?;
    let fields = body.strip_prefix(magic).filter(|_| *sum == crc(0, body).to_le_bytes())?;
    Some(bytes::Reader::new(fields))
}

#[cfg(test)]
mod tests;
