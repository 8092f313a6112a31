//! A group: header and body, written by one call, starting on a block boundary.
//!
//! ```text
//! 0       8       24  32          40         48          56         60     64      96       112
//! | magic | nonce | g | first seq | last seq | durable g | body len | kind | chain | digest | ..
//!    112              116       120        124          128
//! .. | digest version | entries | body crc | header crc | body ..
//! ```
//! The header lies within one sector. Both CRCs are seeded with the segment's nonce.

use super::{BLOCK, blocks, bytes::Reader, crc};
use crate::base::{Epoch, SeqNo, canary::canary, limits::GROUP_BYTES};

const MAGIC: &[u8; 8] = b"STEADGRP";
/// Length of the header.
pub(crate) const HEADER: usize = 128;
/// Longest body: a group of the greatest size with one more entry of the greatest size.
pub(crate) const BODY_MAX: usize = GROUP_BYTES + (4 << 20);

/// What a group's body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    /// Entries.
    Entries = 1,
    /// A [`Link`]: the first group of a segment.
    Link = 2,
}

/// The header of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    /// The group's number, dense.
    pub g: u64,
    pub kind: Kind,
    /// The first entry's number; of a group without entries, the next number to give.
    pub first_seq: SeqNo,
    pub last_seq: SeqNo,
    /// The last group known to be synced when this one was built.
    pub durable_g: u64,
    pub body_len: u32,
    pub entries: u32,
    /// Chain digest of the group before.
    pub chain: [u8; 32],
    /// State digest after the last entry.
    pub digest: u128,
    pub digest_version: u32,
    pub body_crc: u32,
}

impl GroupHeader {
    /// Fills the first [`HEADER`] bytes of `group`, whose body stands behind them, and sets its body's length and CRC.
    pub(crate) fn seal(mut self, nonce: u128, group: &mut [u8]) -> Self {
        let (head, body) = group.split_at_mut(HEADER);
        self.body_len = body.len() as u32;
        self.body_crc = crc(nonce, body);
        let mut out = Vec::with_capacity(HEADER);
        out.extend(MAGIC);
        out.extend(nonce.to_le_bytes());
        out.extend(self.g.to_le_bytes());
        out.extend(self.first_seq.get().to_le_bytes());
        out.extend(self.last_seq.get().to_le_bytes());
        out.extend(self.durable_g.to_le_bytes());
        out.extend(self.body_len.to_le_bytes());
        out.extend((self.kind as u32).to_le_bytes());
        out.extend(self.chain);
        out.extend(self.digest.to_le_bytes());
        out.extend(self.digest_version.to_le_bytes());
        out.extend(self.entries.to_le_bytes());
        out.extend(self.body_crc.to_le_bytes());
        out.extend(crc(nonce, &out).to_le_bytes());
        head.copy_from_slice(&out);
        self
    }

    /// Reads a header written under `nonce`. Its lengths are within bounds; its body is not looked at.
    pub(crate) fn decode(nonce: u128, bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.get(..HEADER)?.split_at(HEADER - 4);
        let mut reader = Reader::new(body.strip_prefix(MAGIC)?);
        if reader.u128()? != nonce || sum != crc(nonce, body).to_le_bytes() {
            return None;
        }
        let (g, first_seq, last_seq, durable_g) =
            (reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?);
        let body_len = reader.u32()?;
        let kind = match reader.u32()? {
            1 => Kind::Entries,
            2 => Kind::Link,
            _ => return None,
        };
        let header = Self {
            g,
            kind,
            first_seq: SeqNo::new(first_seq),
            last_seq: SeqNo::new(last_seq),
            durable_g,
            body_len,
            chain: reader.array()?,
            digest: reader.u128()?,
            digest_version: reader.u32()?,
            entries: reader.u32()?,
            body_crc: reader.u32()?,
        };
        header.is_possible().then_some(header)
    }

    /// Whether `body` is what this header was sealed over.
    pub(crate) fn covers(&self, nonce: u128, body: &[u8]) -> bool {
        canary!(GroupCrcIgnored => return true);
        body.len() == self.body_len as usize && crc(nonce, body) == self.body_crc
    }

    /// Length on disk, padding included.
    pub(crate) fn padded_len(&self) -> u64 {
        padded_len(self.body_len as usize)
    }

    fn is_possible(&self) -> bool {
        let span = self.last_seq.get().wrapping_sub(self.first_seq.get()).wrapping_add(1);
        self.first_seq.get() > 0
            && self.last_seq.get() < u64::MAX
            && self.g < u64::MAX
            && self.body_len as usize <= BODY_MAX
            && self.durable_g < self.g
            && span == u64::from(self.entries)
    }
}

/// Length on disk of a group with a body of `body_len` bytes.
pub(crate) const fn padded_len(body_len: usize) -> u64 {
    blocks((HEADER + body_len) as u64)
}

/// Chain digest after a group: BLAKE3 of its header and body, the header holding the digest before.
pub(crate) fn chain(header_and_body: &[u8]) -> [u8; 32] {
    *blake3::hash(header_and_body).as_bytes()
}

/// The body of the first group of a segment: what depends on history.
///
/// ```text
/// 0                  8              16      24
/// | segment before | its end      | epoch | ends unclean (1) |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Number of the segment before.
    pub previous: u64,
    /// Offset after its last accepted group.
    pub end: u64,
    /// Number of the opening that wrote this.
    pub epoch: Epoch,
    /// Whether this segment begins an opening after an unclean end.
    pub after_crash: bool,
}

impl Link {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.previous.to_le_bytes());
        out.extend(self.end.to_le_bytes());
        out.extend(self.epoch.get().to_le_bytes());
        out.push(u8::from(self.after_crash));
    }

    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let link = Self {
            previous: reader.u64()?,
            end: reader.u64()?,
            epoch: Epoch::new(reader.u64()?),
            after_crash: match reader.u8()? {
                0 => false,
                1 => true,
                _ => return None,
            },
        };
        reader.end().filter(|()| link.end.is_multiple_of(BLOCK)).map(|()| link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONCE: u128 = 0xfeed_face_cafe_beef;

    fn header(g: u64, entries: u32) -> GroupHeader {
        GroupHeader {
            g,
            kind: Kind::Entries,
            first_seq: SeqNo::new(10),
            last_seq: SeqNo::new(9 + u64::from(entries)),
            durable_g: g - 1,
            body_len: 0,
            entries,
            chain: [7; 32],
            digest: 99,
            digest_version: 1,
            body_crc: 0,
        }
    }

    #[test]
    fn zeros_never_verify() {
        assert_eq!(GroupHeader::decode(0, &[0; 512]), None);
        assert_eq!(GroupHeader::decode(NONCE, &[0; 512]), None);
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let mut group = vec![0; HEADER];
        group.extend(b"some body");
        let sealed = header(4, 2).seal(NONCE, &mut group);
        assert_eq!(GroupHeader::decode(NONCE, &group), Some(sealed));
        for bit in 0..group.len() * 8 {
            let mut bad = group.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let seen = GroupHeader::decode(NONCE, &bad).filter(|h| h.covers(NONCE, &bad[HEADER..]));
            assert_eq!(seen, None, "bit {bit}");
        }
    }

    #[test]
    fn another_nonce_does_not_verify() {
        let mut group = vec![0; HEADER];
        header(4, 0).seal(NONCE, &mut group);
        assert_eq!(GroupHeader::decode(NONCE + 1, &group), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_parse(bytes in proptest::collection::vec(any::<u8>(), 0..300), nonce: u128) {
            prop_assert_eq!(GroupHeader::decode(nonce, &bytes), None);
            let _ = Link::decode(&bytes);
        }

        #[test]
        fn a_link_reads_back(previous: u64, blocks in 0..1u64 << 40, epoch: u64, after_crash: bool) {
            let link = Link { previous, end: blocks * BLOCK, epoch: Epoch::new(epoch), after_crash };
            let mut out = Vec::new();
            link.encode(&mut out);
            prop_assert_eq!(Link::decode(&out), Some(link));
        }
    }
}
