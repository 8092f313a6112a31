//! Ranges of keys, and the ranges of bytes they stand for.

use super::{AsKey, Key, Prefix};
use std::{
    fmt,
    ops::{
        Bound, Range, RangeBounds, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive,
    },
};

/// A range of `K`s: `..`, `a..b`, `a..=b`, `a..`, `..b`, `..=b`, or a pair of bounds (for "after this key").
/// A range that starts after its end is empty.
///
/// ```
/// use steadfast::KeyRange;
/// use std::ops::Bound;
///
/// fn start(range: impl KeyRange<(u32, u64)>) -> Bound<Vec<u8>> {
///     range.bounds().0
/// }
/// assert_eq!(start(..), Bound::Unbounded);
/// assert_eq!(start((4, 0)..(5, 0)), Bound::Included(vec![0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0]));
/// ```
pub trait KeyRange<K: Key> {
    /// The bounds as encoded keys.
    fn bounds(&self) -> (Bound<Vec<u8>>, Bound<Vec<u8>>);
}

impl<K: Key> KeyRange<K> for RangeFull {
    fn bounds(&self) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        (Bound::Unbounded, Bound::Unbounded)
    }
}

macro_rules! ranges {
    ($($range:ty),*) => {$(
        impl<K: Key, Q: AsKey<K>> KeyRange<K> for $range {
            fn bounds(&self) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
                (RangeBounds::start_bound(self).map(encoded), RangeBounds::end_bound(self).map(encoded))
            }
        }
    )*};
}

ranges!(
    Range<Q>,
    RangeInclusive<Q>,
    RangeFrom<Q>,
    RangeTo<Q>,
    RangeToInclusive<Q>,
    (Bound<Q>, Bound<Q>)
);

fn encoded<K: Key>(key: &impl AsKey<K>) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.encode(&mut bytes);
    bytes
}

/// A range of encoded keys.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ByteRange {
    /// Where it starts.
    pub start: Bound<Vec<u8>>,
    /// Where it ends.
    pub end: Bound<Vec<u8>>,
}

impl ByteRange {
    /// The keys in `range`.
    pub(crate) fn of<K: Key>(range: &impl KeyRange<K>) -> Self {
        let (start, end) = range.bounds();
        Self { start, end }
    }

    /// The keys that begin with `prefix`.
    pub(crate) fn of_prefix<K: Key>(prefix: &(impl Prefix<K> + ?Sized)) -> Self {
        let mut start = Vec::new();
        prefix.encode(&mut start);
        Self::of_bytes(start)
    }

    /// The keys that begin with these bytes.
    pub(crate) fn of_bytes(prefix: Vec<u8>) -> Self {
        let end = prefix_end(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
        Self { start: Bound::Included(prefix), end }
    }

    /// Moves past a key that was given out at one end.
    pub(crate) fn leave(&mut self, key: &[u8], at_end: bool) {
        *(if at_end { &mut self.end } else { &mut self.start }) = Bound::Excluded(key.to_vec());
    }

    /// Whether it starts at or after its end, so that nothing can be in it: `BTreeMap::range` would panic.
    pub(crate) fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (
                Bound::Included(start) | Bound::Excluded(start),
                Bound::Included(end) | Bound::Excluded(end),
            ) => start >= end,
        }
    }
}

/// Keys print as their lengths.
impl fmt::Debug for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |bound: &Bound<Vec<u8>>| bound.as_ref().map(Vec::len);
        f.debug_tuple("ByteRange").field(&length(&self.start)).field(&length(&self.end)).finish()
    }
}

impl RangeBounds<[u8]> for ByteRange {
    fn start_bound(&self) -> Bound<&[u8]> {
        self.start.as_ref().map(Vec::as_slice)
    }

    fn end_bound(&self) -> Bound<&[u8]> {
        self.end.as_ref().map(Vec::as_slice)
    }
}

/// The least run of bytes greater than all that begin with `prefix`. `None` when there is none: an empty prefix, or
/// one of FF alone.
fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xFF)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}
