//! What is read, held against the plain maps.

use super::{super::input::Input, KEYS, Run, TEXTS, Texts, text_key};
use crate::{
    Error, Record, Snapshot,
    testing::model::{Held, NUMBERS},
};
use std::{collections::BTreeMap, ops::Bound};

impl Run {
    pub fn ranges(&self, input: &mut Input<'_>) {
        let mut bound = || {
            let key = input.below(KEYS + 1) as u32;
            input.pick(&[Bound::Included(key), Bound::Excluded(key), Bound::Unbounded])
        };
        let range = (bound(), bound());
        let snapshot = self.engine.snapshot();
        let read = |item: Result<(u32, Record<i64>), Error>| {
            let (key, record) = item.unwrap_or_else(|error| panic!("{error}"));
            (key, record.value)
        };
        let seen: Vec<_> = snapshot.range(&NUMBERS, range).map(read).collect();
        let all = || self.model.records().iter().map(|(key, record)| (*key, record.value));
        let due: Vec<_> = all().filter(|(key, _)| within(key, &range)).collect();
        assert_eq!(seen, due, "{range:?}");
        let mut backwards: Vec<_> = snapshot.range(&NUMBERS, range).rev().map(read).collect();
        backwards.reverse();
        assert_eq!(backwards, due, "{range:?}, backwards");
        let keys: Vec<u32> = (0..input.below(6)).map(|_| input.below(KEYS + 2) as u32).collect();
        let many = self.engine.get_many(&NUMBERS, &keys).unwrap_or_else(|error| panic!("{error}"));
        let many: Vec<_> =
            many.into_iter().map(|record| record.map(|r| (r.value, r.version))).collect();
        let due = |key| self.model.records().get(key).map(|held| (held.value, held.version));
        assert_eq!(many, keys.iter().map(due).collect::<Vec<_>>(), "{keys:?}");
        for key in &keys {
            let there =
                self.engine.contains(&NUMBERS, key).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(there, self.model.records().contains_key(key), "{key}");
        }
    }

    pub fn texts_alike(&self, input: &mut Input<'_>) {
        let first = input.u8() % 4;
        let snapshot = self.engine.snapshot();
        let read = |item: Result<((u8, String), Record<String>), Error>| {
            let (key, record) = item.unwrap_or_else(|error| panic!("{error}"));
            (key, record.value)
        };
        let seen: Texts = snapshot.prefix(&TEXTS, (first,)).map(read).collect();
        let alike = |key: &(u8, String)| key.0 == first;
        let pairs = |texts: &Texts| texts.clone().into_iter();
        let due: Texts = pairs(&self.texts).filter(|(key, _)| alike(key)).collect();
        assert!(seen == due, "with {first} in front: {:?}, due {:?}", seen.keys(), due.keys());
        let range = (text_key(input), text_key(input));
        let range = (Bound::Included(range.0), Bound::Excluded(range.1));
        let seen: Texts = snapshot.range(&TEXTS, range.clone()).map(read).collect();
        let due: Texts = pairs(&self.texts).filter(|(key, _)| within(key, &range)).collect();
        assert!(seen == due, "{range:?}: {:?}, due {:?}", seen.keys(), due.keys());
    }
}

pub(super) fn check_snapshot(snapshot: &Snapshot, records: &BTreeMap<u32, Held>, texts: &Texts) {
    let seen: Result<BTreeMap<_, _>, Error> = snapshot
        .range(&NUMBERS, ..)
        .map(|item| {
            let (key, record) = item?;
            let (version, created) = (record.version, record.created);
            Ok((key, Held { value: record.value, version, created }))
        })
        .collect();
    assert_eq!(seen.as_ref().ok(), Some(records), "{:?}", seen.as_ref().err());
    let seen: Result<Texts, Error> = snapshot
        .range(&TEXTS, ..)
        .map(|item| item.map(|(key, record)| (key, record.value)))
        .collect();
    let seen = seen.unwrap_or_else(|error| panic!("{error}"));
    assert!(seen == *texts, "{:?}, due {:?}", seen.keys(), texts.keys());
}

fn within<K: Ord>(key: &K, range: &(Bound<K>, Bound<K>)) -> bool {
    let after = match &range.0 {
        Bound::Included(start) => key >= start,
        Bound::Excluded(start) => key > start,
        Bound::Unbounded => true,
    };
    let before = match &range.1 {
        Bound::Included(end) => key <= end,
        Bound::Excluded(end) => key < end,
        Bound::Unbounded => true,
    };
    after && before
}
