//! Keys come back as they were, and sort as they do.

use crate::{
    base::{Bytes, limits::RECORD_KEY_BYTES},
    codec::{
        AsKey, CodecError, Key, Prefix, Shape, decode_key, describe_shape, encode_key, encode_shape,
    },
};
use proptest::{collection::vec, prelude::*, sample::select};

pub(super) fn encoded<K: Key>(key: &(impl AsKey<K> + ?Sized)) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.encode(&mut bytes);
    bytes
}

/// Short strings of few characters, so that they are often equal, or one begins another, or hold NULs.
pub(super) fn strings() -> impl Strategy<Value = String> {
    let chars = prop_oneof![
        select(vec!['\0', '\u{1}', 'a', '\u{7f}', '\u{80}', '\u{10FFFF}']),
        any::<char>()
    ];
    vec(chars, 0..5).prop_map(String::from_iter)
}

pub(super) fn byte_strings() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![select(vec![0, 1, 0xFE, 0xFF]), any::<u8>()], 0..5)
}

fn check<K: Key + AsKey<K> + Ord + std::fmt::Debug>(a: K, b: K) -> Result<(), TestCaseError> {
    let (x, y) = (encoded::<K>(&a), encoded::<K>(&b));
    prop_assert_eq!(x.cmp(&y), a.cmp(&b));
    prop_assert!(x == y || !(x.starts_with(&y) || y.starts_with(&x)), "one begins the other");
    prop_assert_eq!(decode_key::<K>(&x)?, a);
    let trailing = [&y[..], &[0]].concat();
    prop_assert_eq!(decode_key::<K>(&trailing), Err(CodecError::TrailingBytes { left: 1 }));
    for cut in 0..x.len() {
        prop_assert!(decode_key::<K>(&x[..cut]).is_err());
    }
    Ok(())
}

macro_rules! ordered {
    ($($name:ident: $strategy:expr;)*) => {
        proptest! {$(
            #[test]
            fn $name(a in $strategy, b in $strategy) {
                check(a, b)?;
            }
        )*}
    };
}

ordered! {
    u8s: any::<u8>();
    u16s: any::<u16>();
    u32s: any::<u32>();
    u64s: any::<u64>();
    u128s: any::<u128>();
    i8s: any::<i8>();
    i16s: any::<i16>();
    i32s: any::<i32>();
    i64s: any::<i64>();
    i128s: any::<i128>();
    bools: any::<bool>();
    ids: any::<[u8; 16]>();
    texts: strings();
    bytes: byte_strings();
    pairs: (strings(), strings());
    threes: (byte_strings(), any::<i8>(), strings());
    fours: (any::<bool>(), byte_strings(), byte_strings(), any::<u8>());
    fives: (any::<bool>(), strings(), any::<bool>(), strings(), any::<i16>());
    sixes: (any::<bool>(), strings(), any::<bool>(), byte_strings(), strings(), any::<u128>());
    nested: ((strings(), any::<bool>()), (byte_strings(), (any::<i8>(), strings())));
}

/// Whatever decodes has exactly these bytes; nothing panics.
fn canonical<K: Key + AsKey<K>>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(key) = decode_key::<K>(bytes) {
        prop_assert_eq!(encoded::<K>(&key), bytes);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_decode_to_their_key_or_not_at_all(
        bytes in vec(prop_oneof![select(vec![0u8, 0, 0xFF, b'a']), any::<u8>()], 0..24)
    ) {
        canonical::<u8>(&bytes)?;
        canonical::<i128>(&bytes)?;
        canonical::<bool>(&bytes)?;
        canonical::<[u8; 16]>(&bytes)?;
        canonical::<String>(&bytes)?;
        canonical::<Vec<u8>>(&bytes)?;
        canonical::<(String, u8)>(&bytes)?;
        canonical::<(Vec<u8>, (String, bool))>(&bytes)?;
    }

    #[test]
    fn any_bytes_describe_a_shape_or_not(bytes in vec(prop_oneof![0x40u8..0x43, 0u8..6], 0..64)) {
        let _ = describe_shape(&bytes);
    }
}

#[test]
fn the_bytes_are_these_for_ever() {
    assert_eq!(encoded::<u32>(&4), [0, 0, 0, 4]);
    assert_eq!(encoded::<i16>(&-1), [0x7F, 0xFF]);
    assert_eq!(encoded::<i16>(&0), [0x80, 0]);
    assert_eq!(encoded::<bool>(&true), [1]);
    assert_eq!(encoded::<String>("a\0b"), [b'a', 0, 0xFF, b'b', 0, 0]);
    assert_eq!(encoded::<Vec<u8>>(b"\0"), [0, 0xFF, 0, 0]);
    assert_eq!(encoded::<[u8; 16]>(&[7; 16]), [7; 16]);
    assert_eq!(encoded::<(u8, String)>(&(7, "x")), [7, b'x', 0, 0]);
}

#[test]
fn byte_strings_have_many_forms() {
    let want = encoded::<Vec<u8>>(&b"ab".to_vec());
    assert_eq!(encoded::<Vec<u8>>(b"ab"), want);
    assert_eq!(encoded::<Vec<u8>>(&b"ab"[..]), want);
    assert_eq!(encoded::<Vec<u8>>(&&b"ab"[..]), want);
    assert_eq!(encoded::<Vec<u8>>(&Bytes::from_static(b"ab")), want);
}

#[test]
fn malformed_keys_are_refused() {
    let reason = |bytes: &[u8]| match decode_key::<String>(bytes) {
        Err(CodecError::MalformedKey(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(b""), "a string has no end");
    assert_eq!(reason(b"ab"), "a string has no end");
    assert_eq!(reason(b"ab\0"), "a string has an unknown escape");
    assert_eq!(reason(b"ab\0\x01"), "a string has an unknown escape");
    assert_eq!(reason(b"ab\0\xFF"), "a string has no end");
    assert_eq!(reason(b"\xFF\0\0"), "a string is not UTF-8");
    assert!(matches!(decode_key::<bool>(&[2]), Err(CodecError::MalformedKey(_))));
    assert!(matches!(decode_key::<u32>(&[0; 3]), Err(CodecError::MalformedKey(_))));
    assert_eq!(decode_key::<u32>(&[0; 6]), Err(CodecError::TrailingBytes { left: 2 }));
}

#[test]
fn a_record_key_has_a_least_and_a_greatest_length() {
    for empty in [encode_key::<String>(""), encode_key::<Vec<u8>>(b"")] {
        let error = empty.expect_err("empty");
        assert_eq!((error.what, error.actual, error.min), ("record key bytes", 0, 1));
    }
    assert!(encode_key::<String>("\0").is_ok());
    assert!(encode_key::<(String, String)>(&("", "")).is_ok());

    let longest = "x".repeat(RECORD_KEY_BYTES - 2);
    assert_eq!(encode_key::<String>(&longest).map(|key| key.len()), Ok(RECORD_KEY_BYTES));
    let error = encode_key::<String>(&(longest + "x")).expect_err("too long");
    assert_eq!((error.actual, error.max), (RECORD_KEY_BYTES + 1, RECORD_KEY_BYTES));
}

#[test]
fn shapes_have_tags_and_names() {
    type Deep = (u32, (String, Vec<u8>), [u8; 16], bool, i64);
    let stored = encode_shape(&Deep::SHAPE);
    assert_eq!(stored, [0x41, 5, 0x03, 0x41, 2, 0x31, 0x32, 0x33, 0x21, 0x14]);
    assert_eq!(describe_shape(&stored).as_deref(), Some("(u32, (str, bytes), id, bool, i64)"));
    assert_eq!(Deep::SHAPE.to_string(), "(u32, (str, bytes), id, bool, i64)");

    let all = [
        u8::SHAPE,
        u16::SHAPE,
        u32::SHAPE,
        u64::SHAPE,
        u128::SHAPE,
        i8::SHAPE,
        i16::SHAPE,
        i32::SHAPE,
        i64::SHAPE,
        i128::SHAPE,
    ];
    let all = all.map(|shape| (encode_shape(&shape)[0], shape.to_string()));
    let want = [
        (1, "u8"),
        (2, "u16"),
        (3, "u32"),
        (4, "u64"),
        (5, "u128"),
        (0x11, "i8"),
        (0x12, "i16"),
        (0x13, "i32"),
        (0x14, "i64"),
        (0x15, "i128"),
    ];
    assert_eq!(all, want.map(|(tag, name)| (tag, name.to_owned())));

    assert_eq!(describe_shape(&[]), None);
    assert_eq!(describe_shape(&[0x03, 0x03]), None);
    assert_eq!(describe_shape(&[0x41, 2, 0x03]), None);
    assert_eq!(describe_shape(&[0x41, 1].repeat(100_000)), None);
    const ROW: Shape = Shape::Tuple(&[Shape::U8; 300]);
    assert_eq!(ROW.to_string(), "(...)");
}

#[test]
fn prefixes_are_the_beginnings_of_their_keys() {
    fn bytes<K: Key>(prefix: &(impl Prefix<K> + ?Sized)) -> Vec<u8> {
        let mut bytes = Vec::new();
        prefix.encode(&mut bytes);
        bytes
    }
    assert_eq!(bytes::<String>("a\0"), [b'a', 0, 0xFF]);
    assert_eq!(bytes::<String>(""), []);
    assert_eq!(bytes::<Vec<u8>>(b"ab"), *b"ab");
    assert_eq!(bytes::<(u8, u16)>(&(7,)), [7]);
    assert_eq!(bytes::<(u8, String, u8)>(&(7, "x")), [7, b'x', 0, 0]);
    assert_eq!(bytes::<(u8, u8, u8, u8, u8, u8)>(&(1, 2, 3, 4, 5)), [1, 2, 3, 4, 5]);
}
