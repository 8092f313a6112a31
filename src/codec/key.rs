//! Keys: bytes that sort as the values do, and none of which is the beginning of another.

mod byte_string;
mod escape;
mod fixed;
mod shape;
mod text;
mod tuple;

use super::CodecError;
use crate::base::{
    Bytes, LimitError,
    limits::{RECORD_KEY_BYTES, check},
};
pub use shape::Shape;
pub(crate) use shape::{describe_shape, encode_shape};

/// The owned form of a key, what iteration gives back: integers, `bool`, `String`, `Vec<u8>`, `[u8; 16]`, and
/// tuples of two to six of these.
///
/// Keys sort as their values do: integers by number, strings and byte strings byte by byte, tuples by their first
/// element, then by the next. A type of your own may delegate to one of these, or follow the same rules: equal
/// values encode equally, greater ones to greater bytes, and no encoding is the beginning of another.
///
/// ```
/// use steadfast::{AsKey, CodecError, Key, Keyspace, Shape};
///
/// struct Store(u32);
///
/// impl Key for Store {
///     const SHAPE: Shape = u32::SHAPE;
///     fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
///         Ok(Self(u32::decode(input)?))
///     }
/// }
///
/// impl AsKey<Store> for Store {
///     fn encode(&self, out: &mut Vec<u8>) {
///         self.0.encode(out);
///     }
/// }
///
/// const STOCK: Keyspace<(Store, u64), i64> = Keyspace::new("stock");
/// assert_eq!(STOCK.shape().to_string(), "(u32, u64)");
/// ```
pub trait Key: Sized + Send + 'static {
    /// What the bytes of such a key are made of: part of the identity of a keyspace.
    const SHAPE: Shape;

    /// Takes one key from the front of `input`.
    ///
    /// # Errors
    /// [`CodecError::MalformedKey`] when `input` does not begin with one.
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError>;
}

/// Anything that encodes as a `K`: a `&str` where the key is a `String`, `(4, "x")` where it is `(u32, String)`.
///
/// ```
/// use steadfast::AsKey;
///
/// let encode = |name: &str| {
///     let mut bytes = Vec::new();
///     AsKey::<String>::encode(name, &mut bytes);
///     bytes
/// };
/// assert!(encode("a") < encode("a\0"));
/// assert!(encode("a\0") < encode("ab"));
/// ```
pub trait AsKey<K: Key> {
    /// Adds the bytes of the key to `out`.
    fn encode(&self, out: &mut Vec<u8>);
}

impl<K: Key, Q: AsKey<K> + ?Sized> AsKey<K> for &Q {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

/// The beginning of a `K`: the beginning of a string or byte string, or the leading elements of a tuple, `(4,)`
/// where the key is `(u32, u64)`. An empty string begins every key.
pub trait Prefix<K: Key> {
    /// Adds to `out` the bytes with which exactly the keys with this prefix begin.
    fn encode(&self, out: &mut Vec<u8>);
}

impl<K: Key, P: Prefix<K> + ?Sized> Prefix<K> for &P {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

/// Encodes the key of a record.
///
/// # Errors
/// [`LimitError`] when the key is an empty string or byte string, or longer than [`RECORD_KEY_BYTES`] once encoded.
pub(crate) fn encode_key<K: Key>(key: &(impl AsKey<K> + ?Sized)) -> Result<Bytes, LimitError> {
    let mut bytes = Vec::new();
    key.encode(&mut bytes);
    let empty = matches!(K::SHAPE, Shape::Str | Shape::Bytes) && bytes == escape::END;
    let len = if empty { 0 } else { bytes.len() };
    check("record key bytes", len, 1, RECORD_KEY_BYTES)?;
    Ok(bytes.into())
}

/// Decodes the whole of `bytes` as one key.
///
/// # Errors
/// [`CodecError::MalformedKey`], or [`CodecError::TrailingBytes`] when something follows the key.
pub(crate) fn decode_key<K: Key>(mut bytes: &[u8]) -> Result<K, CodecError> {
    let key = K::decode(&mut bytes)?;
    match bytes.len() {
        0 => Ok(key),
        left => Err(CodecError::TrailingBytes { left }),
    }
}

/// Takes `N` bytes from the front of `input`.
fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], CodecError> {
    let (head, tail) =
        input.split_first_chunk().ok_or(CodecError::MalformedKey("it ends too early"))?;
    *input = tail;
    Ok(*head)
}
