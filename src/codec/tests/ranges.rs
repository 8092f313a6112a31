//! Ranges and prefixes select the same keys as a plain look at every key.

use super::keys::{byte_strings, encoded, strings};
use crate::codec::{AsKey, ByteRange, Key, KeyRange, Prefix, decode_key};
use proptest::{collection::vec, prelude::*};
use std::{
    collections::BTreeMap,
    ops::{Bound, RangeBounds},
};

fn store<K: Key + AsKey<K>>(keys: &[K]) -> BTreeMap<Vec<u8>, ()> {
    keys.iter().map(|key| (encoded::<K>(key), ())).collect()
}

fn select<K: Key>(store: &BTreeMap<Vec<u8>, ()>, range: &ByteRange) -> Vec<K> {
    if range.is_empty() {
        return Vec::new();
    }
    let bounds = (range.start_bound(), range.end_bound());
    let found = store.range::<[u8], _>(bounds).map(|(key, ())| decode_key(key));
    found.collect::<Result<_, _>>().expect("only keys are stored")
}

fn sorted<K: Ord + Clone>(keys: &[K], wanted: impl Fn(&K) -> bool) -> Vec<K> {
    let mut keys: Vec<K> = keys.iter().filter(|key| wanted(key)).cloned().collect();
    keys.sort();
    keys.dedup();
    keys
}

fn check_ranges<K>(keys: &[K], a: &K, b: &K) -> Result<(), TestCaseError>
where
    K: Key + AsKey<K> + Ord + Clone + std::fmt::Debug,
{
    let store = store(keys);
    macro_rules! same {
        ($range:expr) => {
            let want = sorted(keys, |key| RangeBounds::<&K>::contains(&$range, &key));
            prop_assert_eq!(select::<K>(&store, &ByteRange::of::<K>(&$range)), want);
        };
    }
    same!(a..b);
    same!(a..=b);
    same!(a..);
    same!(..b);
    same!(..=b);
    same!((Bound::Excluded(a), Bound::Excluded(b)));
    same!((Bound::Excluded(a), Bound::Included(b)));
    same!((Bound::Excluded(a), Bound::<&K>::Unbounded));
    prop_assert_eq!(select::<K>(&store, &ByteRange::of::<K>(&..)), sorted(keys, |_| true));
    Ok(())
}

fn check_prefix<K>(
    keys: &[K],
    prefix: &(impl Prefix<K> + ?Sized),
    begins: impl Fn(&K) -> bool,
) -> Result<(), TestCaseError>
where
    K: Key + AsKey<K> + Ord + Clone + std::fmt::Debug,
{
    let range = ByteRange::of_prefix::<K>(prefix);
    prop_assert_eq!(select::<K>(&store(keys), &range), sorted(keys, begins));
    Ok(())
}

proptest! {
    #[test]
    fn ranges_of_strings(keys in vec(strings(), 0..20), a in strings(), b in strings()) {
        check_ranges(&keys, &a, &b)?;
    }

    #[test]
    fn ranges_of_pairs(
        keys in vec((-2i8..2, byte_strings()), 0..20),
        a in (-2i8..2, byte_strings()),
        b in (-2i8..2, byte_strings()),
    ) {
        check_ranges(&keys, &a, &b)?;
    }

    #[test]
    fn prefixes_of_strings(keys in vec(strings(), 0..20), prefix in strings()) {
        check_prefix(&keys, &prefix, |key| key.starts_with(&prefix))?;
        check_prefix(&keys, prefix.as_str(), |key| key.starts_with(&prefix))?;
    }

    #[test]
    fn prefixes_of_byte_strings(keys in vec(byte_strings(), 0..20), prefix in byte_strings()) {
        check_prefix(&keys, prefix.as_slice(), |key| key.starts_with(&prefix))?;
    }

    #[test]
    fn prefixes_of_tuples(
        keys in vec((strings(), 254u8..=255, byte_strings()), 0..20),
        a in strings(),
        b in 254u8..=255,
    ) {
        check_prefix(&keys, &(a.as_str(),), |key| key.0 == a)?;
        check_prefix(&keys, &(a.as_str(), b), |key| key.0 == a && key.1 == b)?;
    }

    #[test]
    fn prefixes_of_numbers(keys in vec((250u8.., any::<bool>()), 0..20), a in 250u8..) {
        check_prefix(&keys, &(a,), |key| key.0 == a)?;
    }
}

#[test]
fn the_end_of_a_prefix() {
    let end = |prefix: &[u8]| ByteRange::of_bytes(prefix.to_vec()).end;
    assert_eq!(end(&[]), Bound::Unbounded);
    assert_eq!(end(&[0xFF, 0xFF]), Bound::Unbounded);
    assert_eq!(end(&[1]), Bound::Excluded(vec![2]));
    assert_eq!(end(&[1, 0xFF, 0xFF]), Bound::Excluded(vec![2]));
    assert_eq!(end(&[1, 0xFE]), Bound::Excluded(vec![1, 0xFF]));
}

#[test]
fn a_range_that_starts_after_its_end_is_empty() {
    let (one, two) = (1, 2);
    assert!(ByteRange::of::<u8>(&(two..one)).is_empty());
    assert!(ByteRange::of::<u8>(&(two..two)).is_empty());
    assert!(ByteRange::of::<u8>(&(two..=one)).is_empty());
    assert!(!ByteRange::of::<u8>(&(two..=two)).is_empty());
    assert!(!ByteRange::of::<u8>(&(two..)).is_empty());
    assert!(ByteRange::of::<u8>(&(Bound::Excluded(1), Bound::Excluded(1))).is_empty());
}

#[test]
fn bounds_are_those_of_the_trait() {
    let bounds = KeyRange::<u8>::bounds(&(1..=2));
    assert_eq!(bounds, (Bound::Included(vec![1]), Bound::Included(vec![2])));
}
