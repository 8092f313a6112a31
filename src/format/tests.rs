//! Small files and headers: they come back, are these bytes, and show every flipped bit.

use super::{
    clean::{self, Clean},
    identity::{self, Identity},
    keyspace,
    segment::{DATA, SegmentHeader},
    *,
};
use crate::base::{KeyspaceDefinition, KeyspaceId};
use proptest::prelude::*;
use std::fmt::Debug;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each bit flipped, each shorter length, and one byte more.
fn spoiled(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let flipped = (0..bytes.len() * 8).map(|bit| {
        let mut bad = bytes.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        bad
    });
    let cut = (0..bytes.len()).map(|len| bytes[..len].to_vec());
    flipped.chain(cut).chain([[bytes, &[0]].concat()])
}

fn check<T: PartialEq + Debug>(item: &T, bytes: &[u8], decode: fn(&[u8]) -> Option<T>) {
    assert_eq!(decode(bytes).as_ref(), Some(item));
    for bad in spoiled(bytes) {
        assert_eq!(decode(&bad), None, "{}", hex(&bad));
    }
}

fn header() -> SegmentHeader {
    SegmentHeader { version: 1, uuid: 2, number: 3, bytes: 4, nonce: 5 }
}

#[test]
fn an_identity_is_these_bytes() {
    let identity = Identity { version: 1, uuid: 2 };
    let bytes = identity.encode();
    assert_eq!(bytes.len(), identity::BYTES);
    check(&identity, &bytes, Identity::decode);
    let number = "01000000".to_owned() + "02" + &"00".repeat(15);
    assert_eq!(hex(&bytes[..28]), hex(b"STEADFST") + &number);
}

#[test]
fn a_clean_marker_is_these_bytes() {
    let clean = Clean { uuid: 1, g: 2, segment: 3, end: 4, chain: [5; 32] };
    let bytes = clean.encode();
    assert_eq!(bytes.len(), clean::BYTES);
    check(&clean, &bytes, Clean::decode);
    let numbers: String = [2, 3, 4].map(|n| format!("0{n}00000000000000")).concat();
    let uuid = "01".to_owned() + &"00".repeat(15);
    assert_eq!(hex(&bytes[..80]), hex(b"STEADCLN") + &uuid + &numbers + &"05".repeat(32));
}

#[test]
fn a_segment_header_is_these_bytes_twice() {
    let bytes = header().encode();
    assert_eq!(bytes.len() as u64, DATA);
    let (first, second) = bytes.split_at(BLOCK as usize);
    assert_eq!(first, second);
    let uuid = "02".to_owned() + &"00".repeat(15);
    let nonce = "05".to_owned() + &"00".repeat(15);
    let numbers = "03000000000000000400000000000000";
    let numbers = "0100000000000000".to_owned() + &uuid + numbers + &nonce;
    assert_eq!(hex(&first[..64]), hex(b"STEADSEG") + &numbers);
}

#[test]
fn either_copy_of_a_segment_header_will_do() {
    let bytes = header().encode();
    let block = BLOCK as usize;
    for bit in 0..68 * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(SegmentHeader::decode(&bad), Some(header()), "bit {bit} of the first");
        assert_eq!(SegmentHeader::decode(&bad[..block]), None, "bit {bit} of the only");
        bad[block..].fill(0);
        assert_eq!(SegmentHeader::decode(&bad), None, "bit {bit}, and no second");
        bad[..block].copy_from_slice(&bytes[..block]);
        assert_eq!(SegmentHeader::decode(&bad), Some(header()), "no second");
    }
    for len in 0..68 {
        assert_eq!(SegmentHeader::decode(&bytes[..len]), None, "length {len}");
    }
    assert_eq!(SegmentHeader::decode(&vec![0; DATA as usize]), None);
}

proptest! {
    #[test]
    fn headers_come_back(version: u32, uuid: u128, number: u64, bytes: u64, nonce: u128, chain: [u8; 32]) {
        let header = SegmentHeader { version, uuid, number, bytes, nonce };
        prop_assert_eq!(SegmentHeader::decode(&header.encode()), Some(header));
        let identity = Identity { version, uuid };
        prop_assert_eq!(Identity::decode(&identity.encode()), Some(identity));
        let clean = Clean { uuid, g: number, segment: bytes, end: number ^ bytes, chain };
        prop_assert_eq!(Clean::decode(&clean.encode()), Some(clean));
    }

    // A definition is the value of a row, whose checksum covers it: what is left to it is to be said in one way only.
    #[test]
    fn a_definition_comes_back_and_is_said_in_one_way(
        id: u32, schema: u32, codec: u8, shape in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let id = KeyspaceId::new(id);
        let definition = KeyspaceDefinition { id, schema, codec, shape: shape.into() };
        let bytes = keyspace::encode(&definition);
        prop_assert_eq!(keyspace::decode(&bytes), Some(definition.clone()));
        for bad in spoiled(&bytes) {
            let read = keyspace::decode(&bad);
            prop_assert_ne!(read.as_ref(), Some(&definition));
            if let Some(other) = read {
                prop_assert_eq!(&keyspace::encode(&other)[..], &bad[..]);
            }
        }
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(Identity::decode(&bytes), None);
        prop_assert_eq!(Clean::decode(&bytes), None);
        prop_assert_eq!(SegmentHeader::decode(&bytes), None);
        let _ = keyspace::decode(&bytes);
    }
}
