//! Results and rejections as they are remembered: behind the tag of the codec that encoded them, so that a retry gets its
//! answer also from a program that was built with another default codec.

use crate::{
    base::Bytes,
    codec::{Codec, CodecError},
};
use serde::{Serialize, de::DeserializeOwned};

/// Encodes by the default codec. The length is limited with the request as a whole.
pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, CodecError> {
    let body = Codec::DEFAULT.encode(value)?;
    let mut out = Vec::with_capacity(1 + body.len());
    out.push(Codec::DEFAULT.tag());
    out.extend_from_slice(&body);
    Ok(out.into())
}

/// Decodes by the codec of the tag.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (tag, body) = bytes.split_first().ok_or(CodecError::Untyped)?;
    Codec::from_tag(*tag).ok_or(CodecError::Untyped)?.decode(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_says_how_to_decode() {
        let encoded = encode(&(7u32, "seven")).unwrap();
        assert_eq!(encoded[0], Codec::DEFAULT.tag());
        assert_eq!(decode::<(u32, String)>(&encoded).unwrap(), (7, "seven".to_owned()));
        for refused in [&[][..], &[0xFF, 1]] {
            assert_eq!(decode::<u32>(refused), Err(CodecError::Untyped));
        }
    }
}
