//! A keyspace knows what it is and which rows it reads.

use crate::{
    base::{Bytes, limits::VALUE_BYTES},
    codec::{Codec, CodecError, Keyspace},
};
use std::panic::catch_unwind;

fn doubled(old: &[u8]) -> Result<u64, CodecError> {
    Codec::DEFAULT.decode::<u32>(old).map(|units| 2 * u64::from(units))
}

fn refused(_: &[u8]) -> Result<u64, CodecError> {
    Err(CodecError::Upgrade("too old"))
}

const STOCK: Keyspace<(u32, String), u64> =
    Keyspace::new("stock").schema(4).upgrade(3, doubled).upgrade(1, refused);
const BLOBS: Keyspace<u64, Bytes> = Keyspace::raw("blobs");

#[test]
fn identity_is_everything_but_the_types() {
    let identity = STOCK.identity();
    assert_eq!(*identity.name, *b"stock");
    assert_eq!(*identity.shape, [0x41, 2, 0x03, 0x31]);
    assert_eq!(identity.codec, Codec::DEFAULT.tag());
    assert_eq!(identity.schema, 4);
    assert_eq!(identity.upgrades_from, [1, 3]);
    assert_eq!(
        [1, 2, 3, 4, 5].map(|schema| identity.reads(schema)),
        [true, false, true, true, false]
    );
    assert_eq!(identity, STOCK.clone().identity());
    assert!(format!("{STOCK:?}").contains("\"stock\""));

    assert_eq!((STOCK.name(), STOCK.schema_number(), STOCK.codec()), ("stock", 4, Codec::DEFAULT));
    assert_eq!(STOCK.shape().to_string(), "(u32, str)");
    assert_eq!((BLOBS.codec(), BLOBS.schema_number()), (Codec::Raw, 1));
}

#[test]
fn rows_are_read_by_the_schema_they_were_written_under() {
    let old = Codec::DEFAULT.encode(&21u32).expect("encodes");
    let new = STOCK.encode(&42).expect("encodes");
    assert_eq!(STOCK.decode(4, &new), Ok(42));
    assert_eq!(STOCK.decode(3, &old), Ok(42));
    assert_eq!(STOCK.decode(1, &old), Err(CodecError::Upgrade("too old")));
    for row_schema in [0, 2, 5] {
        let error = CodecError::NoUpgrade { row_schema, schema: 4 };
        assert_eq!(STOCK.decode(row_schema, &new), Err(error));
    }
}

#[test]
fn raw_values_are_bytes_within_the_limit() {
    let value = Bytes::from(vec![7; VALUE_BYTES]);
    assert_eq!(BLOBS.encode(&value), Ok(value.clone()));
    assert_eq!(BLOBS.decode(1, &value), Ok(value));
    let long = vec![7; VALUE_BYTES + 1];
    assert!(matches!(BLOBS.encode(&Bytes::from(&long[..])), Err(CodecError::Limit(_))));
    assert!(matches!(BLOBS.decode(1, &long), Err(CodecError::Decode { codec: "raw", .. })));
}

#[test]
fn names_have_a_length() {
    type Any = Keyspace<u8, u8>;
    assert!(Any::try_new("x").is_ok());
    let long: &'static str = "x".repeat(65).leak();
    assert!(Any::try_new(&long[..64]).is_ok());
    for name in ["", long] {
        let error = Any::try_new(name).expect_err("its length");
        assert_eq!((error.what, error.actual), ("keyspace name bytes", name.len()));
        assert!(catch_unwind(|| Any::new(name)).is_err());
    }
}

#[test]
fn schemas_and_upgrades_are_consistent() {
    type Any = Keyspace<u8, u64>;
    assert!(catch_unwind(|| Any::new("x").schema(0)).is_err());
    assert!(catch_unwind(|| Any::new("x").upgrade(1, doubled)).is_err());
    assert!(catch_unwind(|| Any::new("x").schema(2).upgrade(0, doubled)).is_err());
    assert!(catch_unwind(|| Any::new("x").schema(2).upgrade(2, doubled)).is_err());
    assert!(catch_unwind(|| STOCK.upgrade(3, doubled)).is_err());
    assert!(catch_unwind(|| STOCK.schema(3)).is_err());

    let full = (1..=8).fold(Any::new("x").schema(99), |all, from| all.upgrade(from, doubled));
    assert_eq!(full.identity().upgrades_from, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(catch_unwind(|| full.upgrade(9, doubled)).is_err());
}

#[cfg(feature = "postcard")]
#[test]
fn a_codec_can_be_named() {
    const NOTES: Keyspace<u8, i64> = Keyspace::postcard("notes");
    assert_eq!(NOTES.codec(), Codec::Postcard);
    assert_eq!(NOTES.encode(&-300).map(|bytes| bytes.to_vec()), Ok(vec![0xD7, 0x04]));
}

#[cfg(feature = "bincode")]
#[test]
fn bincode_can_be_named() {
    const NOTES: Keyspace<u8, i64> = Keyspace::bincode("notes");
    assert_eq!(NOTES.codec(), Codec::Bincode);
    assert_eq!(NOTES.encode(&-300).map(|bytes| bytes.to_vec()), Ok(vec![0xFB, 0x57, 0x02]));
}
