//! Keys are written in a request as one would write them in a sentence: no type is ever named.

use super::keys::encoded;
use crate::codec::{AsKey, Key, KeyRange, Keyspace, Prefix, decode_key};
use serde::{Deserialize, Serialize};
use std::ops::Bound;

#[derive(Serialize, Deserialize)]
struct Stock {
    units: u64,
}

const STOCK: Keyspace<(u32, u64), Stock> = Keyspace::new("stock").schema(2);
const ACCOUNTS: Keyspace<String, i64> = Keyspace::new("accounts");
const BY_NAME: Keyspace<(u32, String), i64> = Keyspace::new("by-name");
const BY_ID: Keyspace<[u8; 16], i64> = Keyspace::new("by-id");
const BLOBS: Keyspace<Vec<u8>, i64> = Keyspace::new("blobs");
const DEEP: Keyspace<(i64, (u8, String), bool), i64> = Keyspace::new("deep");

struct Engine;

impl Engine {
    fn get<K: Key, V>(&self, _: &Keyspace<K, V>, key: &(impl AsKey<K> + ?Sized)) -> K {
        decode_key(&encoded::<K>(key)).expect("its own key")
    }

    fn put<K: Key, V: Serialize>(
        &self,
        _: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
        _: &V,
    ) -> Vec<u8> {
        encoded::<K>(key)
    }

    fn range<K: Key, V>(&self, _: &Keyspace<K, V>, range: impl KeyRange<K>) -> Bound<Vec<u8>> {
        range.bounds().0
    }

    fn prefix<K: Key, V>(&self, _: &Keyspace<K, V>, prefix: impl Prefix<K>) -> Vec<u8> {
        let mut bytes = Vec::new();
        prefix.encode(&mut bytes);
        bytes
    }
}

#[test]
fn keys_need_no_types() {
    let name = String::from("x");
    assert_eq!(Engine.get(&STOCK, &(4, 12)), (4, 12));
    assert_eq!(Engine.put(&STOCK, &(4, 12), &Stock { units: 3 }).len(), 12);
    assert_eq!(Engine.get(&ACCOUNTS, "alice"), "alice");
    assert_eq!(Engine.get(&ACCOUNTS, &name), "x");
    assert_eq!(Engine.get(&BY_NAME, &(7, "x")), (7, name.clone()));
    assert_eq!(Engine.get(&BY_NAME, &(7, &name)), (7, name.clone()));
    assert_eq!(Engine.get(&BY_NAME, &(7, String::new())), (7, String::new()));
    assert_eq!(Engine.get(&BY_ID, &[7; 16]), [7; 16]);
    assert_eq!(Engine.get(&BLOBS, b"x"), b"x");
    assert_eq!(Engine.get(&BLOBS, &[1, 2]), [1, 2]);
    assert_eq!(Engine.get(&BLOBS, &[1, 2][..]), [1, 2]);
    assert_eq!(Engine.get(&DEEP, &(-3, (4, "x"), true)), (-3, (4, name), true));
}

#[test]
fn ranges_need_no_types() {
    assert_eq!(Engine.range(&STOCK, ..), Bound::Unbounded);
    let store = Bound::Included(vec![0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(Engine.range(&STOCK, (4, 0)..(5, 0)), store);
    assert_eq!(Engine.range(&STOCK, (4, 0)..=(5, 0)), store);
    assert_eq!(Engine.range(&STOCK, (4, 0)..), store);
    assert_eq!(Engine.range(&STOCK, ..(5, 0)), Bound::Unbounded);
    assert_eq!(Engine.range(&STOCK, ..=(5, 0)), Bound::Unbounded);
    assert_eq!(Engine.range(&ACCOUNTS, "a".."b"), Bound::Included(vec![b'a', 0, 0]));
    let after = (Bound::Excluded((7, "x")), Bound::Unbounded);
    assert!(matches!(Engine.range(&BY_NAME, after), Bound::Excluded(_)));
}

#[test]
fn prefixes_need_no_types() {
    assert_eq!(Engine.prefix(&STOCK, (4,)), [0, 0, 0, 4]);
    assert_eq!(Engine.prefix(&ACCOUNTS, "al"), *b"al");
    assert_eq!(Engine.prefix(&ACCOUNTS, String::from("al")), *b"al");
    assert_eq!(Engine.prefix(&BY_NAME, (7,)), [0, 0, 0, 7]);
    assert_eq!(Engine.prefix(&BLOBS, b"x"), *b"x");
    assert_eq!(Engine.prefix(&BLOBS, [1, 2]), [1, 2]);
    assert_eq!(Engine.prefix(&DEEP, (-1, (4, "x"))).len(), 12);
}
