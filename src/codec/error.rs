//! Why a key or a value did not encode or decode.

use crate::base::LimitError;
use thiserror::Error;

/// A key or a value did not encode or decode. Holds lengths and kinds, never the key or the value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes are not those of such a key, for this reason.
    #[error("not a key of this shape: {0}")]
    MalformedKey(&'static str),
    /// A key or a value ended before its bytes did.
    #[error("{left} bytes are left over after the end")]
    TrailingBytes {
        /// How many bytes were not used.
        left: usize,
    },
    /// The value could not be encoded.
    #[error("the value does not encode as {codec}: {kind}")]
    Encode {
        /// The name of the codec.
        codec: &'static str,
        /// The codec's word for what went wrong.
        kind: &'static str,
    },
    /// The bytes are not those of such a value.
    #[error("{len} bytes do not decode as a {codec} value of this type: {kind}")]
    Decode {
        /// The name of the codec.
        codec: &'static str,
        /// The codec's word for what went wrong.
        kind: &'static str,
        /// How many bytes there were.
        len: usize,
    },
    /// A typed value was given to, or asked of, the raw codec, which holds bytes as they are.
    #[error("the raw codec holds bytes, not typed values")]
    Untyped,
    /// A row was written under a schema number that the keyspace has no way to read.
    #[error(
        "a row of schema {row_schema} in a keyspace of schema {schema}, which has no upgrade from {row_schema}"
    )]
    NoUpgrade {
        /// The schema number of the row.
        row_schema: u32,
        /// The schema number of the keyspace.
        schema: u32,
    },
    /// An upgrade function of the caller's refused, for this reason.
    #[error("the upgrade refused: {0}")]
    Upgrade(&'static str),
    /// A limit was broken.
    #[error(transparent)]
    Limit(#[from] LimitError),
}
