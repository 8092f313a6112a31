//! What a checkpoint says of itself:
//! ```text
//! | format u32 | uuid u128 | applied seq u64 | applied g u64 | applied time u64 | chain 32 |
//! | digest version u32 | digest u128 | epoch u64 | trim u64 |
//! ```
//! `format` comes first and stays first, so that a later format can be told from damage.

use crate::{
    base::{Epoch, LogTime, SeqNo},
    format::VERSION,
    format::bytes::{Reader, put_bytes, put_u32, put_u64, put_u128},
};

/// The digest of a whole state, as it is stored: see `state::digest` for how it comes about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StateDigest(pub(crate) u128);

/// The position in the log at which a checkpoint was taken, and what the state was there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The version of the database's format.
    pub(crate) format: u32,
    /// The database this belongs to.
    pub(crate) uuid: u128,
    /// The last entry that is in.
    pub(crate) applied_seq: SeqNo,
    /// The last group that is in.
    pub(crate) applied_g: u64,
    /// The log time of the last entry that is in.
    pub(crate) applied_time: LogTime,
    /// The chain digest of the last group that is in.
    pub(crate) chain: [u8; 32],
    /// How `digest` was computed; only equal versions compare.
    pub(crate) digest_version: u32,
    /// The digest of the state.
    pub(crate) digest: StateDigest,
    /// The opening that took it.
    pub(crate) epoch: Epoch,
    /// The lowest segment that is still needed.
    pub(crate) trim: u64,
}

/// Appends the body of the meta row.
pub(crate) fn encode_meta(meta: &Meta, out: &mut Vec<u8>) {
    put_u32(out, meta.format);
    put_u128(out, meta.uuid);
    put_u64(out, meta.applied_seq.get());
    put_u64(out, meta.applied_g);
    put_u64(out, meta.applied_time.get());
    put_bytes(out, &meta.chain);
    put_u32(out, meta.digest_version);
    put_u128(out, meta.digest.0);
    put_u64(out, meta.epoch.get());
    put_u64(out, meta.trim);
}

/// Reads the body of the meta row.
pub(crate) fn decode_meta(body: &[u8]) -> Option<Meta> {
    let mut reader = Reader::new(body);
    let meta = Meta {
        format: reader.u32()?,
        uuid: reader.u128()?,
        applied_seq: SeqNo::new(reader.u64()?),
        applied_g: reader.u64()?,
        applied_time: LogTime::new(reader.u64()?),
        chain: reader.array()?,
        digest_version: reader.u32()?,
        digest: StateDigest(reader.u128()?),
        epoch: Epoch::new(reader.u64()?),
        trim: reader.u64()?,
    };
    reader.end()?;
    Some(meta)
}

/// Reads the number of another format from its meta row, of which nothing else is known.
pub(crate) fn decode_other_format(body: &[u8]) -> Option<Meta> {
    let format = Reader::new(body).u32()?;
    (format != VERSION).then(|| Meta { format, ..Meta::default() })
}
