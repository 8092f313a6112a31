//! Values: serde through one of two codecs, or bytes as they are.

#[cfg(feature = "bincode")]
mod with_bincode;
#[cfg(feature = "postcard")]
mod with_postcard;

use super::CodecError;
use crate::base::{
    Bytes,
    limits::{VALUE_BYTES, check},
};
use serde::{Serialize, de::DeserializeOwned};
use std::io;

/// How values become bytes. The number is stored and never changes. Only codecs that were compiled in exist.
///
/// Values carry no names or types of their fields: what reads a value must ask for the type that wrote it. So
/// `#[serde(skip_serializing_if)]`, `flatten`, `untagged` and the like may encode and then not decode. A sequence
/// of elements that take no bytes, `Vec<()>`, is only as long as its length says: don't decode one you don't trust.
///
/// ```
/// use steadfast::{Codec, CodecError};
///
/// let bytes = Codec::DEFAULT.encode(&(7u32, "seven"))?;
/// assert_eq!(Codec::DEFAULT.decode::<(u32, String)>(&bytes)?, (7, "seven".to_owned()));
/// assert_eq!(Codec::DEFAULT.decode::<u32>(&bytes), Err(CodecError::TrailingBytes { left: 6 }));
/// # Ok::<(), CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Codec {
    /// Bytes as they are.
    Raw = 0,
    /// bincode 2, standard configuration.
    #[cfg(feature = "bincode")]
    Bincode = 1,
    /// postcard 1.
    #[cfg(feature = "postcard")]
    Postcard = 2,
}

impl Codec {
    /// bincode where its feature is on, else postcard. As one crate of a build may turn on the feature for all,
    /// libraries had better name the codec they mean.
    #[cfg(feature = "bincode")]
    pub const DEFAULT: Self = Self::Bincode;
    /// bincode where its feature is on, else postcard. As one crate of a build may turn on the feature for all,
    /// libraries had better name the codec they mean.
    #[cfg(all(feature = "postcard", not(feature = "bincode")))]
    pub const DEFAULT: Self = Self::Postcard;
    #[cfg(not(any(feature = "bincode", feature = "postcard")))]
    pub(crate) const DEFAULT: Self = Self::Raw;

    /// The codec of a stored number, if it was compiled in.
    #[must_use]
    pub const fn from_tag(tag: u8) -> Option<Self> {
        match tag {
            0 => Some(Self::Raw),
            #[cfg(feature = "bincode")]
            1 => Some(Self::Bincode),
            #[cfg(feature = "postcard")]
            2 => Some(Self::Postcard),
            _ => None,
        }
    }

    /// The number that is stored.
    #[must_use]
    pub const fn tag(self) -> u8 {
        self as u8
    }

    /// Encodes a value, holding no more than 1 MiB of it.
    ///
    /// # Errors
    /// [`CodecError::Limit`] when it takes more than 1 MiB; [`CodecError::Encode`] when the codec can't say it;
    /// [`CodecError::Untyped`] for [`Codec::Raw`].
    pub fn encode<T: Serialize + ?Sized>(self, value: &T) -> Result<Bytes, CodecError> {
        // Most values fit without growing.
        let mut out = Capped { kept: Vec::with_capacity(256), written: 0 };
        match self {
            Self::Raw => return Err(CodecError::Untyped),
            #[cfg(feature = "bincode")]
            Self::Bincode => with_bincode::encode(value, &mut out)?,
            #[cfg(feature = "postcard")]
            Self::Postcard => with_postcard::encode(value, &mut out)?,
        }
        check("value bytes", out.written, 0, VALUE_BYTES)?;
        Ok(out.kept.into())
    }

    /// Decodes a value from the whole of `bytes`.
    ///
    /// # Errors
    /// [`CodecError::Decode`] when `bytes` are not those of a `T`, or more than 1 MiB; [`CodecError::TrailingBytes`]
    /// when something follows the value; [`CodecError::Untyped`] for [`Codec::Raw`].
    pub fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, CodecError> {
        check_stored(self, bytes)?;
        match self {
            Self::Raw => Err(CodecError::Untyped),
            #[cfg(feature = "bincode")]
            Self::Bincode => with_bincode::decode(bytes),
            #[cfg(feature = "postcard")]
            Self::Postcard => with_postcard::decode(bytes),
        }
    }
}

/// The name of a stored codec number, whether compiled in or not.
pub(crate) const fn codec_name(tag: u8) -> &'static str {
    match tag {
        0 => "raw",
        1 => "bincode",
        2 => "postcard",
        _ => "unknown",
    }
}

/// Encodes a counter; as eight bytes, big-endian, under [`Codec::Raw`].
pub(crate) fn encode_i64(codec: Codec, number: i64) -> Bytes {
    match codec {
        Codec::Raw => Bytes::copy_from_slice(&number.to_be_bytes()),
        #[cfg(any(feature = "bincode", feature = "postcard"))]
        typed => typed.encode(&number).expect("an i64 has at most ten bytes in every codec"),
    }
}

/// Decodes a counter.
///
/// # Errors
/// As [`Codec::decode`].
pub(crate) fn decode_i64(codec: Codec, bytes: &[u8]) -> Result<i64, CodecError> {
    match (codec, <[u8; 8]>::try_from(bytes)) {
        (Codec::Raw, Ok(bytes)) => Ok(i64::from_be_bytes(bytes)),
        (Codec::Raw, Err(_)) => Err(decode_error(codec, "not eight bytes", bytes.len())),
        _ => codec.decode(bytes),
    }
}

/// Takes bytes as a value, as they are.
pub(super) fn encode_raw(_: Codec, value: &Bytes) -> Result<Bytes, CodecError> {
    check("value bytes", value.len(), 0, VALUE_BYTES)?;
    Ok(value.clone())
}

/// Gives a value's bytes, as they are.
pub(super) fn decode_raw(codec: Codec, bytes: &[u8]) -> Result<Bytes, CodecError> {
    check_stored(codec, bytes)?;
    Ok(Bytes::copy_from_slice(bytes))
}

fn check_stored(codec: Codec, bytes: &[u8]) -> Result<(), CodecError> {
    if bytes.len() > VALUE_BYTES {
        return Err(decode_error(codec, "longer than a value may be", bytes.len()));
    }
    Ok(())
}

const fn decode_error(codec: Codec, kind: &'static str, len: usize) -> CodecError {
    CodecError::Decode { codec: codec_name(codec.tag()), kind, len }
}

/// Keeps what is written while it is at most [`VALUE_BYTES`], and counts all of it.
struct Capped {
    kept: Vec<u8>,
    written: usize,
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written = self.written.saturating_add(bytes.len());
        if self.written <= VALUE_BYTES {
            self.kept.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
