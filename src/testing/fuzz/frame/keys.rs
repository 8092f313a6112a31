//! Keys and values: bytes to types and back, and their order.

use super::super::input::Input;
use crate::{
    AsKey, Codec, Key,
    codec::{decode_i64, decode_key, encode_i64},
};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

fn encoded<K: Key + AsKey<K>>(key: &K) -> Vec<u8> {
    let mut out = Vec::new();
    AsKey::<K>::encode(key, &mut out);
    out
}

/// Bytes that are a key are the bytes of that key.
fn key<K: Key + AsKey<K>>(bytes: &[u8]) {
    if let Ok(key) = decode_key::<K>(bytes) {
        assert_eq!(encoded(&key), bytes, "a key of shape {} encodes to other bytes", K::SHAPE);
    }
    // The front of the bytes, as an element of a tuple is read.
    let mut left = bytes;
    if let Ok(key) = K::decode(&mut left) {
        assert_eq!(encoded(&key), bytes[..bytes.len() - left.len()], "shape {}", K::SHAPE);
    }
}

/// Bytes that are a value: of that value another encoding is the same value.
fn value<V: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(value) = Codec::DEFAULT.decode::<V>(bytes) else { return };
    let again = Codec::DEFAULT.encode(&value).expect("it came from no more bytes");
    assert_eq!(Codec::DEFAULT.decode::<V>(&again).as_ref(), Ok(&value));
}

pub(super) fn decode_all(bytes: &[u8]) {
    key::<u8>(bytes);
    key::<u64>(bytes);
    key::<u128>(bytes);
    key::<i8>(bytes);
    key::<i64>(bytes);
    key::<bool>(bytes);
    key::<String>(bytes);
    key::<Vec<u8>>(bytes);
    key::<[u8; 16]>(bytes);
    key::<(u32, String)>(bytes);
    key::<(String, Vec<u8>, i16)>(bytes);
    key::<((u8, bool), (String, u16))>(bytes);
    value::<Vec<u64>>(bytes);
    value::<String>(bytes);
    value::<Vec<Vec<u8>>>(bytes);
    value::<(Option<i64>, Vec<(u16, String)>)>(bytes);
    value::<std::collections::BTreeMap<u32, Vec<String>>>(bytes);
    for codec in [Codec::Raw, Codec::DEFAULT] {
        if let Ok(number) = decode_i64(codec, bytes) {
            assert_eq!(decode_i64(codec, &encode_i64(codec, number)), Ok(number));
        }
    }
}

/// Two keys sort as their bytes do, come back, and neither is the beginning of the other.
fn ordered<K: Key + AsKey<K> + Ord + Debug>(left: K, right: K) {
    let bytes = (encoded(&left), encoded(&right));
    assert_eq!(left.cmp(&right), bytes.0.cmp(&bytes.1), "{left:?} and {right:?}");
    assert!(left == right || !bytes.0.starts_with(&bytes.1), "{right:?} begins {left:?}");
    assert!(left == right || !bytes.1.starts_with(&bytes.0), "{left:?} begins {right:?}");
    assert_eq!(decode_key::<K>(&bytes.0).as_ref(), Ok(&left));
    assert_eq!(decode_key::<K>(&bytes.1).as_ref(), Ok(&right));
}

pub(super) fn compare(bytes: &[u8]) {
    let input = &mut Input::new(bytes);
    fn text(input: &mut Input<'_>) -> String {
        String::from_utf8_lossy(input.string(12)).into_owned()
    }
    fn run(input: &mut Input<'_>) -> Vec<u8> {
        input.string(12).to_vec()
    }
    ordered(input.u64(), input.u64());
    ordered(input.i64(), input.i64());
    ordered(input.i64() as i8, input.i64() as i8);
    ordered(input.u128() as i128, input.u128() as i128);
    ordered(input.flag(), input.flag());
    ordered(input.array::<16>(), input.array::<16>());
    ordered(text(input), text(input));
    ordered(run(input), run(input));
    ordered((text(input), input.u16()), (text(input), input.u16()));
    ordered((run(input), text(input), input.flag()), (run(input), text(input), input.flag()));
}
