//! Typed keys and values, to bytes and back. Keys sort as bytes the way they sort as values; values go through
//! serde, within a limit, and every byte of them must be used. The only module that names a value codec's crate.

#[cfg(not(any(feature = "bincode", feature = "postcard")))]
compile_error!(
    "steadfast needs a value codec: turn on the feature `bincode` (on by default) or `postcard`"
);

mod error;
mod key;
mod keyspace;
mod range;
mod record;
#[cfg(test)]
mod tests;
mod value;

pub use error::CodecError;
pub use key::{AsKey, Key, Prefix, Shape};
pub(crate) use key::{decode_key, describe_shape, encode_key, encode_shape};
pub use keyspace::Keyspace;
pub(crate) use range::ByteRange;
pub use range::KeyRange;
pub use record::Record;
pub use value::Codec;
pub(crate) use value::{codec_name, decode_i64, encode_i64};
