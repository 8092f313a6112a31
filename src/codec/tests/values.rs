//! Values come back as they were, from the whole of their bytes, within a limit.

use crate::{
    base::{Bytes, limits::VALUE_BYTES},
    codec::{Codec, CodecError, codec_name, decode_i64, encode_i64},
};
use proptest::{collection::vec, prelude::*};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

const TYPED: &[Codec] = &[
    #[cfg(feature = "bincode")]
    Codec::Bincode,
    #[cfg(feature = "postcard")]
    Codec::Postcard,
];

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
enum Event {
    Nothing,
    Named { name: String, letter: char, tags: BTreeMap<u16, Option<bool>> },
    Measured(f64, i128, Vec<u8>),
}

fn events() -> impl Strategy<Value = Event> {
    let name = vec(any::<char>(), 0..9).prop_map(String::from_iter);
    let tags = proptest::collection::btree_map(any::<u16>(), any::<Option<bool>>(), 0..9);
    prop_oneof![
        Just(Event::Nothing),
        (name, any::<char>(), tags).prop_map(|(name, letter, tags)| Event::Named {
            name,
            letter,
            tags
        }),
        (any::<i32>(), any::<i128>(), vec(any::<u8>(), 0..99))
            .prop_map(|(number, wide, bytes)| Event::Measured(f64::from(number), wide, bytes)),
    ]
}

fn whole<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    codec: Codec,
    value: &T,
) -> Result<(), TestCaseError> {
    let bytes = codec.encode(value)?;
    prop_assert_eq!(&codec.decode::<T>(&bytes)?, value);
    let trailing = [&bytes[..], &[0; 3]].concat();
    prop_assert_eq!(codec.decode::<T>(&trailing), Err(CodecError::TrailingBytes { left: 3 }));
    for cut in 0..bytes.len() {
        prop_assert!(codec.decode::<T>(&bytes[..cut]).is_err());
    }
    Ok(())
}

proptest! {
    #[test]
    fn values_come_back(event in events(), events in vec(events(), 0..3)) {
        for &codec in TYPED {
            whole(codec, &event)?;
            whole(codec, &events)?;
        }
    }

    #[test]
    fn counters_come_back(number in any::<i64>()) {
        for &codec in TYPED.iter().chain(&[Codec::Raw]) {
            let bytes = encode_i64(codec, number);
            prop_assert_eq!(decode_i64(codec, &bytes), Ok(number));
        }
        for &codec in TYPED {
            prop_assert_eq!(codec.encode(&number)?, encode_i64(codec, number));
        }
    }

    #[test]
    fn any_bytes_decode_or_not(bytes in vec(any::<u8>(), 0..64)) {
        for &codec in TYPED {
            let _ = codec.decode::<Event>(&bytes);
            let _ = codec.decode::<Vec<Event>>(&bytes);
            let _ = codec.decode::<(String, Option<Vec<u64>>, char)>(&bytes);
            let _ = codec.decode::<Bytes>(&bytes);
            let _ = codec.decode::<BTreeMap<String, i64>>(&bytes);
            let _ = decode_i64(codec, &bytes);
        }
    }
}

/// bincode counts a number by the width of its type: what encodes must not be too much to decode.
#[test]
fn every_value_within_the_limit_can_be_read_again() {
    for &codec in TYPED {
        let (longest, too_long) = (vec![0u128; VALUE_BYTES - 5], vec![0u128; VALUE_BYTES]);
        let bytes = codec.encode(&longest).expect("fits");
        assert_eq!(codec.decode::<Vec<u128>>(&bytes).map(|all| all.len()), Ok(longest.len()));

        let Err(CodecError::Limit(error)) = codec.encode(&too_long) else { panic!("too long") };
        assert_eq!((error.what, error.max), ("value bytes", VALUE_BYTES));
        assert!((VALUE_BYTES + 1..VALUE_BYTES + 10).contains(&error.actual));
    }
}

#[test]
fn an_overlong_value_is_not_decoded() {
    for &codec in TYPED {
        let bytes = vec![0; VALUE_BYTES + 1];
        assert!(matches!(codec.decode::<()>(&bytes), Err(CodecError::Decode { .. })));
    }
}

/// A length far beyond the input is an error at once, whatever it is the length of.
#[test]
fn a_huge_length_is_an_error() {
    for &codec in TYPED {
        for bytes in [&[0xFD, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F][..], &[0xFF; 9]] {
            assert!(matches!(codec.decode::<String>(bytes), Err(CodecError::Decode { .. })));
            assert!(matches!(codec.decode::<Vec<u8>>(bytes), Err(CodecError::Decode { .. })));
            assert!(matches!(codec.decode::<Bytes>(bytes), Err(CodecError::Decode { .. })));
            assert!(matches!(codec.decode::<Vec<u64>>(bytes), Err(CodecError::Decode { .. })));
            let map = codec.decode::<BTreeMap<u64, u64>>(bytes);
            assert!(matches!(map, Err(CodecError::Decode { .. })));
        }
    }
}

/// A type whose messages quote what it saw: none of that may come through.
#[derive(Debug)]
struct Telltale;

impl Serialize for Telltale {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("secret"))
    }
}

impl<'de> Deserialize<'de> for Telltale {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom(String::deserialize(deserializer)?))
    }
}

#[test]
fn errors_never_quote_the_value() {
    for &codec in TYPED {
        let bytes = codec.encode("secret").expect("encodes");
        let errors = [
            codec.encode(&Telltale).expect_err("refuses"),
            codec.decode::<Telltale>(&bytes).expect_err("refuses"),
            codec.decode::<u8>(&bytes).expect_err("not a number"),
        ];
        for error in errors {
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
        let kind = codec.decode::<Telltale>(&bytes).map(|_| ()).map_err(|error| error.to_string());
        let name = codec_name(codec.tag());
        let want =
            format!("7 bytes do not decode as a {name} value of this type: its type refused");
        assert_eq!(kind, Err(want));
    }
}

#[test]
fn the_raw_codec_has_no_types() {
    assert_eq!(Codec::Raw.encode(&7), Err(CodecError::Untyped));
    assert_eq!(Codec::Raw.decode::<u8>(&[7]), Err(CodecError::Untyped));
    assert_eq!(*encode_i64(Codec::Raw, 258), [0, 0, 0, 0, 0, 0, 1, 2]);
    assert!(matches!(decode_i64(Codec::Raw, &[0; 7]), Err(CodecError::Decode { len: 7, .. })));
}

#[test]
fn tags_are_these_for_ever() {
    for &codec in TYPED.iter().chain(&[Codec::Raw]) {
        assert_eq!(Codec::from_tag(codec.tag()), Some(codec));
    }
    assert_eq!(Codec::Raw.tag(), 0);
    #[cfg(feature = "bincode")]
    assert_eq!(
        (Codec::Bincode.tag(), encode_i64(Codec::Bincode, -300).to_vec()),
        (1, vec![0xFB, 0x57, 0x02])
    );
    #[cfg(feature = "postcard")]
    assert_eq!(
        (Codec::Postcard.tag(), encode_i64(Codec::Postcard, -300).to_vec()),
        (2, vec![0xD7, 0x04])
    );
    assert_eq!(Codec::from_tag(3), None);
    assert_eq!((codec_name(0), codec_name(1), codec_name(2)), ("raw", "bincode", "postcard"));
    assert_eq!(codec_name(3), "unknown");
}
