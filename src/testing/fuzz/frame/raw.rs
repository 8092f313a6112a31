//! Arbitrary bytes through the decoders of files, groups, entries and rows: as they are, and with the checksum they
//! need, so that what stands behind a checksum is reached as well.

use crate::{
    base::{Bytes, IdempotencyKey, SeqNo},
    codec::describe_shape,
    format::{
        BLOCK,
        bytes::Reader,
        clean::Clean,
        crc, entry,
        group::{GroupHeader, HEADER, Link},
        identity::Identity,
        keyspace,
        names::{self, SegmentName},
        rows::{self, RowTag},
        segment::SegmentHeader,
    },
};

pub(super) fn decode_all(bytes: &[u8]) {
    segment_header(bytes);
    group(bytes);
    small_files(bytes);
    segment_name(bytes);
    entries(bytes);
    row_bodies(bytes);
    sealed_rows(bytes);
    shape(bytes);
}

/// `encode` of what was decoded must be the bytes it was decoded from.
fn same(what: &str, bytes: &[u8], encode: impl FnOnce(&mut Vec<u8>)) {
    let mut again = Vec::new();
    encode(&mut again);
    assert_eq!(again, bytes, "{what} decodes, and encodes to other bytes");
}

/// The bytes with a magic number in front and, behind so many of them, the checksum that makes them verify.
fn verifying(magic: &[u8], bytes: &[u8], body: usize, seed: u128) -> Option<Vec<u8>> {
    let mut fixed = bytes.get(..body)?.to_vec();
    fixed[..magic.len()].copy_from_slice(magic);
    fixed.extend(crc(seed, &fixed).to_le_bytes());
    fixed.extend(bytes.get(body + 4..).unwrap_or_default());
    Some(fixed)
}

fn segment_header(bytes: &[u8]) {
    const BODY: usize = 64;
    let check = |bytes: &[u8]| {
        let header = SegmentHeader::decode(bytes)?;
        let encoded = header.encode();
        assert_eq!(SegmentHeader::decode(&encoded), Some(header));
        assert_eq!(encoded.len() as u64, 2 * BLOCK);
        Some((header, encoded))
    };
    check(bytes);
    let Some(mut fixed) = verifying(b"STEADSEG", bytes, BODY, 0) else { return };
    check(&fixed).expect("a header with its checksum is one");
    // The reserved field is not looked at. With zeros in it there is one encoding.
    fixed[12..16].fill(0);
    let fixed = verifying(b"STEADSEG", &fixed, BODY, 0).expect("as long as before");
    let (_, encoded) = check(&fixed).expect("a header with its checksum is one");
    assert_eq!(encoded[..BODY + 4], fixed[..BODY + 4]);
}

fn group(bytes: &[u8]) {
    let nonce = |bytes: &[u8]| {
        let nonce = bytes.get(8..24).and_then(|nonce| nonce.try_into().ok());
        nonce.map_or(0, u128::from_le_bytes)
    };
    let check = |bytes: &[u8]| {
        let nonce = nonce(bytes);
        let Some(header) = GroupHeader::decode(nonce, bytes) else { return };
        assert!(header.padded_len().is_multiple_of(BLOCK) && header.padded_len() >= BLOCK);
        let Some(group) = bytes.get(..HEADER + header.body_len as usize) else { return };
        if header.covers(nonce, &group[HEADER..]) {
            let mut again = group.to_vec();
            assert_eq!(header.seal(nonce, &mut again), header);
            assert_eq!(again, group, "a group seals to other bytes");
        }
    };
    check(bytes);
    if let Some(mut whole) = bytes.get(..HEADER).map(|_| bytes.to_vec()) {
        let body_len = (whole.len() - HEADER) as u32;
        let sum = crc(nonce(&whole), &whole[HEADER..]);
        whole[56..60].copy_from_slice(&body_len.to_le_bytes());
        whole[120..124].copy_from_slice(&sum.to_le_bytes());
        for bytes in [bytes, &whole] {
            let fixed = verifying(b"STEADGRP", bytes, HEADER - 4, nonce(bytes));
            check(&fixed.expect("it has a whole header"));
        }
    }
    if let Some(link) = Link::decode(bytes) {
        same("a link", bytes, |out| link.encode(out));
    }
}

fn small_files(bytes: &[u8]) {
    let identity = verifying(b"STEADFST", bytes, 28, 0);
    for bytes in [Some(bytes), identity.as_deref()].into_iter().flatten() {
        if let Some(identity) = Identity::decode(bytes) {
            same("IDENTITY", bytes, |out| out.extend(identity.encode()));
        }
    }
    let clean = verifying(b"STEADCLN", bytes, 80, 0);
    for bytes in [Some(bytes), clean.as_deref()].into_iter().flatten() {
        if let Some(clean) = Clean::decode(bytes) {
            same("CLEAN", bytes, |out| out.extend(clean.encode()));
        }
    }
}

fn segment_name(bytes: &[u8]) {
    let name = String::from_utf8_lossy(bytes);
    let path = format!("{}/{name}", names::SEGMENTS);
    match names::parse(&name) {
        Some(SegmentName::Named(number)) => assert_eq!(names::segment(number), path),
        Some(SegmentName::Newest(number)) => assert_eq!(names::newest(number), path),
        Some(SegmentName::Spare) => assert_eq!(name.len(), "spare-".len() + 20),
        None => {}
    }
}

/// As the body of a group, and as one entry without the length in front.
fn entries(bytes: &[u8]) {
    let mut body = Reader::new(bytes);
    let mut at = 0;
    while let Some(found) = entry::decode(&mut body, SeqNo::new(7)) {
        let left = body.clone().rest().len();
        same("an entry", &bytes[at..bytes.len() - left], |out| entry::encode(&found, out));
        at = bytes.len() - left;
    }
    let mut framed = (bytes.len() as u32).to_le_bytes().to_vec();
    framed.extend(bytes);
    if let Some(found) = entry::decode(&mut Reader::new(&framed), SeqNo::new(7)) {
        same("an entry", &framed, |out| entry::encode(&found, out));
    }
}

fn row_bodies(bytes: &[u8]) {
    if let Some(row) = rows::decode_row(bytes) {
        same("a record", bytes, |out| rows::encode_row(&row, out));
    }
    if let Some(row) = rows::decode_window_row(bytes) {
        same("a window row", bytes, |out| rows::encode_window_row(&row, out));
    }
    if let Some(outcome) = rows::decode_outcome(bytes) {
        same("an outcome", bytes, |out| rows::encode_outcome(&outcome, out));
    }
    if let Some(meta) = rows::decode_meta(bytes) {
        same("a meta row", bytes, |out| rows::encode_meta(&meta, out));
    }
    let _ = rows::decode_other_format(bytes);
    let mut reader = Reader::new(bytes);
    if let Some(fingerprint) = rows::decode_fingerprint(&mut reader) {
        let used = bytes.len() - reader.rest().len();
        same("a fingerprint", &bytes[..used], |out| rows::encode_fingerprint(&fingerprint, out));
    }
    if let Some(definition) = keyspace::decode(bytes) {
        same("a definition", bytes, |out| out.extend_from_slice(&keyspace::encode(&definition)));
    }
    if let Some(key) = IdempotencyKey::from_bytes(Bytes::copy_from_slice(bytes)) {
        let again = IdempotencyKey::new(key.scope(), key.key()).expect("its parts are in bounds");
        same("an idempotency key", bytes, |out| out.extend_from_slice(again.as_bytes()));
    }
}

/// A row is found under its own tag and key, and under no other.
fn sealed_rows(bytes: &[u8]) {
    let tags = [RowTag::Record, RowTag::Window, RowTag::Count, RowTag::Meta];
    let (key, body) = bytes.split_at(bytes.len() / 3);
    for (place, tag) in tags.into_iter().enumerate() {
        let _ = rows::open(tag, key, body);
        let mut sealed = Vec::new();
        rows::seal_into(tag, key, &mut sealed, |out| out.extend_from_slice(body));
        assert_eq!(rows::open(tag, key, &sealed), Some(body));
        assert_eq!(rows::open(tags[(place + 1) % 4], key, &sealed), None);
    }
}

fn shape(bytes: &[u8]) {
    if let Some(text) = describe_shape(bytes) {
        assert!(text.len() <= 8 * bytes.len(), "{} bytes of text", text.len());
    }
}
