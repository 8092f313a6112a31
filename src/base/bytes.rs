//! Shared bytes that never print themselves.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
    sync::Arc,
};

/// A cheaply cloned, immutable run of bytes. `Debug` shows its length only, so that values never reach a log.
///
/// Short runs, as most keys are, stand in the value itself: comparing and cloning them touches no other memory.
#[derive(Clone)]
pub struct Bytes(Repr);

#[derive(Clone)]
enum Repr {
    Inline { length: u8, bytes: [u8; INLINE] },
    Static(&'static [u8]),
    Shared(Arc<[u8]>),
}

/// Enough for most keys; measured against shorter ones.
const INLINE: usize = 38;

impl Bytes {
    /// An empty run.
    #[must_use]
    pub const fn new() -> Self {
        Self(Repr::Inline { length: 0, bytes: [0; INLINE] })
    }

    /// A run borrowed from the program itself.
    #[must_use]
    pub const fn from_static(bytes: &'static [u8]) -> Self {
        Self(Repr::Static(bytes))
    }

    /// Copies `bytes` into a run of its own.
    #[must_use]
    pub fn copy_from_slice(bytes: &[u8]) -> Self {
        Self::inline(bytes).unwrap_or_else(|| Self(Repr::Shared(bytes.into())))
    }

    fn inline(slice: &[u8]) -> Option<Self> {
        let mut bytes = [0; INLINE];
        bytes.get_mut(..slice.len())?.copy_from_slice(slice);
        Some(Self(Repr::Inline { length: slice.len() as u8, bytes }))
    }
}

impl Default for Bytes {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { length, bytes } => &bytes[..usize::from(*length)],
            Repr::Static(bytes) => bytes,
            Repr::Shared(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Borrow<[u8]> for Bytes {
    fn borrow(&self) -> &[u8] {
        self
    }
}

// All of these are those of the slice, as `Borrow` demands.
impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl PartialOrd for Bytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bytes {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for Bytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        bytes.as_slice().into()
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self::copy_from_slice(bytes)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes::copy_from_slice(bytes))
            }
            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(bytes.into())
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Bytes, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes.into())
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeMap, mem::size_of};

    #[test]
    fn short_runs_stand_in_the_value_and_behave_as_long_ones() {
        assert!(size_of::<Bytes>() <= 40);
        let long = [7; INLINE + 1];
        for length in [0, 1, INLINE, INLINE + 1] {
            let run = Bytes::copy_from_slice(&long[..length]);
            assert_eq!(matches!(run.0, Repr::Inline { .. }), length <= INLINE);
            assert_eq!(
                (&run[..], &run.clone()),
                (&long[..length], &Bytes::from(long[..length].to_vec()))
            );
            assert_eq!(format!("{run:?}"), format!("{length} bytes"));
        }
    }

    #[test]
    fn runs_compare_and_are_found_as_slices() {
        const SAME: Bytes = Bytes::from_static(b"same");
        assert_eq!(SAME, Bytes::from(b"same".to_vec()));
        let runs: BTreeMap<Bytes, ()> =
            [&[2; 50][..], &[1; 3], &[2; 3]].map(|run| (run.into(), ())).into();
        let sorted: Vec<_> = runs.keys().map(|run| run.len()).collect();
        assert_eq!(sorted, [3, 3, 50]);
        assert!(runs.contains_key(&[2; 50][..]) && !runs.contains_key(&[2; 4][..]));
    }
}
