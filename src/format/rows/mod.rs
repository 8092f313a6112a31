//! Rows as the checkpoint stores them, and as the state digest hashes them.
//!
//! Every stored value is a *sealed* body:
//! ```text
//! | crc32 u32 | body ... |
//! ```
//! The CRC runs over the row's tag (u8), the length of its key (u32), its key, and the body, so that a row which turns
//! up under another key, or in another table, fails as a flipped bit does. Numbers are little-endian throughout.
//! Each layout has exactly one encoding of a row: a body that decodes is the body that was encoded.

mod control;
mod meta;
mod outcome;
mod record;
mod rules;
mod window;

pub(crate) use control::{
    decode_control, decode_mode, encode_boundaries, encode_control, encode_mode,
};
pub(crate) use meta::{Meta, StateDigest, decode_meta, decode_other_format, encode_meta};
pub(crate) use outcome::{decode_outcome, encode_outcome};
pub(crate) use record::{decode_row, encode_row};
pub(crate) use rules::{
    decode_rules, decode_totals, encode_mark, encode_rule_name, encode_rules, encode_total,
    encode_totals,
};
pub(crate) use window::{
    decode_fingerprint, decode_stub, decode_window_row, encode_fingerprint, encode_stub,
    encode_window_row,
};

const CRC_BYTES: usize = size_of::<u32>();

/// What kind of row a body is; part of its checksum and of its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum RowTag {
    Record = 1,
    Window = 2,
    Count = 3,
    Meta = 4,
    Stub = 5,
    Control = 6,
    Rule = 7,
    Total = 8,
}

#[cfg(test)]
/// Puts a checksum before `body`.
pub(crate) fn seal(tag: RowTag, key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(CRC_BYTES + body.len());
    seal_into(tag, key, &mut out, |out| out.extend_from_slice(body));
    out
}

/// Replaces what is in `out` by the sealed form of the body that `encode` appends.
pub(crate) fn seal_into(
    tag: RowTag,
    key: &[u8],
    out: &mut Vec<u8>,
    encode: impl FnOnce(&mut Vec<u8>),
) {
    out.clear();
    out.extend_from_slice(&[0; CRC_BYTES]);
    encode(out);
    let crc = crc(tag, key, &out[CRC_BYTES..]);
    out[..CRC_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// The body of a sealed value; `None` when its checksum is wrong.
pub(crate) fn open<'a>(tag: RowTag, key: &[u8], stored: &'a [u8]) -> Option<&'a [u8]> {
    let (stored_crc, body) = stored.split_first_chunk()?;
    (u32::from_le_bytes(*stored_crc) == crc(tag, key, body)).then_some(body)
}

fn crc(tag: RowTag, key: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[tag as u8]);
    hasher.update(&key_len(key));
    hasher.update(key);
    hasher.update(body);
    hasher.finalize()
}

/// The length of a key as it enters checksums and digests, so that no byte can move between key and body unnoticed.
pub(crate) fn key_len(key: &[u8]) -> [u8; 4] {
    u32::try_from(key.len()).expect("keys are limited to a few KiB").to_le_bytes()
}

#[cfg(test)]
mod tests;
