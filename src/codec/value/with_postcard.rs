//! postcard 1.

use super::{Capped, Codec, CodecError, decode_error};
use postcard::Error;
use serde::{Serialize, de::DeserializeOwned};

pub(super) fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Capped) -> Result<(), CodecError> {
    match postcard::to_io(value, out) {
        Ok(_) => Ok(()),
        Err(error) => Err(CodecError::Encode { codec: "postcard", kind: kind(&error) }),
    }
}

/// A length is checked against what is left of `bytes` before anything is allocated for it.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(CodecError::TrailingBytes { left: rest.len() }),
        Err(error) => Err(decode_error(Codec::Postcard, kind(&error), bytes.len())),
    }
}

const fn kind(error: &Error) -> &'static str {
    match error {
        Error::WontImplement => "its type needs a self-describing codec",
        Error::SerializeSeqLengthUnknown => "a sequence doesn't know its length",
        Error::DeserializeUnexpectedEnd => "it ends too early",
        Error::DeserializeBadVarint => "a number is malformed",
        Error::DeserializeBadBool => "a bool is neither 0 nor 1",
        Error::DeserializeBadChar => "a char is not one",
        Error::DeserializeBadUtf8 => "a string is not UTF-8",
        Error::DeserializeBadOption => "an option is neither 0 nor 1",
        Error::DeserializeBadEnum => "a variant is unknown",
        Error::SerdeSerCustom | Error::SerdeDeCustom => "its type refused",
        _ => "malformed",
    }
}
