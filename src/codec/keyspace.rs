//! A named collection of records, as a constant.

use super::{
    Codec, CodecError, Key, Shape, encode_shape,
    value::{decode_raw, encode_raw},
};
use crate::base::{
    Bytes, KeyspaceIdentity, LimitError,
    limits::{KEYSPACE_NAME_BYTES, check},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt, marker::PhantomData};

/// Most older schema numbers that a keyspace reads.
const UPGRADES: usize = 8;

type Upgrade<V> = fn(&[u8]) -> Result<V, CodecError>;

/// A named collection of records, each a typed key and a typed value: a `const`, made once and named everywhere.
///
/// What it is, is its name, the shape of its keys, its value codec and its schema number, never the name of a Rust
/// type. Every row keeps the schema number it was written under. After a change to `V` that changes its bytes, raise
/// [`schema`](Self::schema) and say with [`upgrade`](Self::upgrade) how to read the rows that are there.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use steadfast::{Codec, Keyspace};
///
/// #[derive(Serialize, Deserialize, Debug, PartialEq)]
/// struct Stock {
///     units: u64,
///     reserved: u64,
/// }
///
/// const STOCK: Keyspace<(u32, u64), Stock> = Keyspace::new("stock").schema(2).upgrade(1, |old| {
///     // Schema 1 had the units alone.
///     Ok(Stock { units: Codec::DEFAULT.decode(old)?, reserved: 0 })
/// });
///
/// let old = Codec::DEFAULT.encode(&12u64)?;
/// assert_eq!(STOCK.decode(1, &old)?, Stock { units: 12, reserved: 0 });
///
/// let new = STOCK.encode(&Stock { units: 12, reserved: 3 })?;
/// assert_eq!(STOCK.decode(2, &new)?, Stock { units: 12, reserved: 3 });
/// # Ok::<(), steadfast::CodecError>(())
/// ```
///
/// A name that is empty or too long does not compile:
///
/// ```compile_fail
/// const NAMELESS: steadfast::Keyspace<u32, u64> = steadfast::Keyspace::new("");
/// # let _ = NAMELESS;
/// ```
pub struct Keyspace<K, V> {
    name: &'static str,
    codec: Codec,
    schema: u32,
    upgrades: [Option<(u32, Upgrade<V>)>; UPGRADES],
    encode: fn(Codec, &V) -> Result<Bytes, CodecError>,
    decode: fn(Codec, &[u8]) -> Result<V, CodecError>,
    keys: PhantomData<fn() -> K>,
}

impl<K, V> Clone for Keyspace<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Keyspace<K, V> {}

impl<K: Key, V: Serialize + DeserializeOwned> Keyspace<K, V> {
    /// Names a keyspace whose values go through [`Codec::DEFAULT`].
    ///
    /// # Panics
    /// When the name is not 1..=64 bytes long: at compile time for a `const`.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self::typed(name, Codec::DEFAULT)
    }

    /// As [`new`](Self::new), for a name that was made at run time.
    ///
    /// # Errors
    /// [`LimitError`] when the name is not 1..=64 bytes long.
    pub const fn try_new(name: &'static str) -> Result<Self, LimitError> {
        match check_name(name) {
            Ok(()) => Ok(Self::new(name)),
            Err(error) => Err(error),
        }
    }

    /// Names a keyspace whose values go through bincode, whichever codec is the default.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[cfg(feature = "bincode")]
    #[must_use]
    pub const fn bincode(name: &'static str) -> Self {
        Self::typed(name, Codec::Bincode)
    }

    /// Names a keyspace whose values go through postcard, whichever codec is the default.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[cfg(feature = "postcard")]
    #[must_use]
    pub const fn postcard(name: &'static str) -> Self {
        Self::typed(name, Codec::Postcard)
    }

    const fn typed(name: &'static str, codec: Codec) -> Self {
        Self::with(
            name,
            codec,
            |codec, value| codec.encode(value),
            |codec, bytes| codec.decode(bytes),
        )
    }
}

impl<K: Key> Keyspace<K, Bytes> {
    /// Names a keyspace whose values are bytes as they are.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[must_use]
    pub const fn raw(name: &'static str) -> Self {
        Self::with(name, Codec::Raw, encode_raw, decode_raw)
    }
}

impl<K: Key, V> Keyspace<K, V> {
    const fn with(
        name: &'static str,
        codec: Codec,
        encode: fn(Codec, &V) -> Result<Bytes, CodecError>,
        decode: fn(Codec, &[u8]) -> Result<V, CodecError>,
    ) -> Self {
        assert!(check_name(name).is_ok(), "the name of a keyspace has 1..=64 bytes");
        Self {
            name,
            codec,
            schema: 1,
            upgrades: [None; UPGRADES],
            encode,
            decode,
            keys: PhantomData,
        }
    }

    /// Sets the schema number that rows are written under; it is 1 unless this is called.
    ///
    /// # Panics
    /// When it is 0, or not above every number that [`upgrade`](Self::upgrade) was called with: at compile time for
    /// a `const`.
    #[must_use]
    pub const fn schema(self, number: u32) -> Self {
        assert!(number >= 1, "schema numbers start at 1");
        let mut slot = 0;
        while slot < UPGRADES {
            if let Some((from, _)) = self.upgrades[slot] {
                assert!(from < number, "an upgrade reads an older schema than the keyspace's");
            }
            slot += 1;
        }
        Self { schema: number, ..self }
    }

    /// Reads rows of an older schema number with `read`, which gets the encoded value as it was written. Up to 8.
    /// They are read so as long as nobody writes them again.
    ///
    /// # Panics
    /// When `from` is 0, not below the number given to [`schema`](Self::schema) before, or given already, and
    /// on the ninth: at compile time for a `const`.
    #[must_use]
    pub const fn upgrade(mut self, from: u32, read: fn(&[u8]) -> Result<V, CodecError>) -> Self {
        assert!(from >= 1, "schema numbers start at 1");
        assert!(
            from < self.schema,
            "an upgrade reads an older schema: call `schema` before `upgrade`"
        );
        let mut slot = 0;
        while let Some((other, _)) = self.upgrades[slot] {
            assert!(other != from, "this schema has an upgrade already");
            slot += 1;
            assert!(slot < UPGRADES, "a keyspace has at most 8 upgrades");
        }
        self.upgrades[slot] = Some((from, read));
        self
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The schema number that rows are written under.
    #[must_use]
    pub const fn schema_number(&self) -> u32 {
        self.schema
    }

    /// How values become bytes.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// What keys are made of.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        K::SHAPE
    }

    /// What it is, apart from its Rust types.
    #[must_use]
    pub fn identity(&self) -> KeyspaceIdentity {
        let mut upgrades_from: Vec<u32> =
            self.upgrades.iter().flatten().map(|(from, _)| *from).collect();
        upgrades_from.sort_unstable();
        KeyspaceIdentity {
            name: Bytes::from_static(self.name.as_bytes()),
            shape: encode_shape(&K::SHAPE).into(),
            codec: self.codec.tag(),
            schema: self.schema,
            upgrades_from,
        }
    }

    /// Encodes a value as a row of this keyspace's schema number has it.
    ///
    /// # Errors
    /// [`CodecError::Limit`] when it takes more than 1 MiB; [`CodecError::Encode`] when the codec can't say it.
    pub fn encode(&self, value: &V) -> Result<Bytes, CodecError> {
        (self.encode)(self.codec, value)
    }

    /// Decodes the value of a row that was written under the schema number `row_schema`.
    ///
    /// # Errors
    /// [`CodecError::NoUpgrade`] when that is another number than the keyspace's, with no upgrade from it; what the
    /// upgrade says; [`CodecError::Decode`] and [`CodecError::TrailingBytes`] when `bytes` are not those of a `V`.
    pub fn decode(&self, row_schema: u32, bytes: &[u8]) -> Result<V, CodecError> {
        if row_schema == self.schema {
            return (self.decode)(self.codec, bytes);
        }
        match self.upgrades.iter().flatten().find(|(from, _)| *from == row_schema) {
            Some((_, read)) => read(bytes),
            None => Err(CodecError::NoUpgrade { row_schema, schema: self.schema }),
        }
    }
}

impl<K: Key, V> fmt::Debug for Keyspace<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.identity().fmt(f)
    }
}

const fn check_name(name: &str) -> Result<(), LimitError> {
    check("keyspace name bytes", name.len(), 1, KEYSPACE_NAME_BYTES)
}
