//! bincode 2. It is unmaintained, so it is named here and nowhere else.

use super::{Capped, Codec, CodecError, VALUE_BYTES, decode_error};
use bincode::{
    config::{self, Configuration, Limit, LittleEndian, Varint},
    error::{DecodeError, EncodeError},
};
use serde::{Serialize, de::DeserializeOwned};

/// What a value may claim while it is decoded, before anything is allocated for it. bincode counts a number as wide
/// as its type, up to 16 bytes, however few it takes, so this is what the longest value that encodes can claim;
/// no length in damaged bytes allocates more.
const CLAIM_BYTES: usize = 16 * VALUE_BYTES;
const CONFIG: Configuration<LittleEndian, Varint, Limit<CLAIM_BYTES>> =
    config::standard().with_limit::<CLAIM_BYTES>();

pub(super) fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Capped) -> Result<(), CodecError> {
    match bincode::serde::encode_into_std_write(value, out, CONFIG) {
        Ok(_) => Ok(()),
        Err(error) => Err(CodecError::Encode { codec: "bincode", kind: encode_kind(&error) }),
    }
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    match bincode::serde::decode_from_slice(bytes, CONFIG) {
        Ok((value, used)) if used == bytes.len() => Ok(value),
        Ok((_, used)) => Err(CodecError::TrailingBytes { left: bytes.len() - used }),
        Err(error) => Err(decode_error(Codec::Bincode, decode_kind(&error), bytes.len())),
    }
}

/// The error's name alone: its text may quote the value.
const fn encode_kind(error: &EncodeError) -> &'static str {
    match error {
        EncodeError::Serde(bincode::serde::EncodeError::SequenceMustHaveLength) => {
            "a sequence doesn't know its length"
        }
        EncodeError::OtherString(_) | EncodeError::Other(_) => "its type refused",
        _ => "not supported",
    }
}

/// The error's name alone: its text may quote the value.
const fn decode_kind(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::UnexpectedEnd { .. } => "it ends too early",
        DecodeError::LimitExceeded => "it claims more than a value may have",
        DecodeError::InvalidIntegerType { .. } => "an integer has another width",
        DecodeError::UnexpectedVariant { .. } => "a variant is unknown",
        DecodeError::Utf8 { .. } => "a string is not UTF-8",
        DecodeError::InvalidCharEncoding(_) => "a char is not one",
        DecodeError::InvalidBooleanValue(_) => "a bool is neither 0 nor 1",
        DecodeError::OutsideUsizeRange(_) => "a length is too great",
        DecodeError::OtherString(_) | DecodeError::Other(_) => "its type refused",
        DecodeError::Serde(_) => "its type needs a self-describing codec",
        _ => "malformed",
    }
}
