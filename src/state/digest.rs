//! The state digest, version 1: it finds faults, not forgers.
//!
//! A row's digest is XXH3-128, under a seed of the database's own, of
//! ```text
//! | row tag u8 | key length u32 | key | body as in format::rows |
//! ```
//! and the state's is the sum of its rows' modulo 2^128, so that it follows a change in O(rows changed) and does not
//! depend on any order. The key of a record begins with its keyspace number (u32, big-endian); the definitions of
//! keyspaces are the records of keyspace 0.

pub(crate) use crate::format::rows::StateDigest;

use crate::{
    base::{Control, KeyHash, KeyspaceId, Row, RuleMark, RuleName, Stub, WindowRow},
    format::rows::{
        RowTag, encode_boundaries, encode_mark, encode_row, encode_rule_name, encode_stub,
        encode_total, encode_window_row, key_len,
    },
};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

/// How the digest is computed; only digests of one version compare.
pub(crate) const VERSION: u32 = 1;

impl StateDigest {
    /// A row came into the state.
    pub(crate) const fn add(&mut self, row: u128) {
        self.0 = self.0.wrapping_add(row);
    }

    /// A row left the state.
    pub(crate) const fn sub(&mut self, row: u128) {
        self.0 = self.0.wrapping_sub(row);
    }
}

/// Bytes before the key: the tag, the length of the key.
const HEAD: usize = 5;

/// Computes the digests of single rows.
#[derive(Clone, Debug)]
pub(crate) struct RowHasher {
    seed: u64,
    scratch: Vec<u8>,
}

impl RowHasher {
    /// A hasher for the database of that id.
    pub(crate) fn new(uuid: u128) -> Self {
        Self { seed: xxh3_64(&uuid.to_le_bytes()), scratch: Vec::new() }
    }

    /// The digest of a record; `key` is without the keyspace.
    pub(crate) fn record(&mut self, keyspace: KeyspaceId, key: &[u8], row: &Row) -> u128 {
        let keyspace = keyspace.get().to_be_bytes();
        self.hash(RowTag::Record, &[&keyspace, key], |out| encode_row(row, out))
    }

    #[cfg(test)]
    /// The digest of a window row.
    pub(crate) fn window(&mut self, key: &[u8], row: &WindowRow) -> u128 {
        self.window_sized(key, row).0
    }

    /// The digest of a window row, and the length of the row without its key.
    pub(crate) fn window_sized(&mut self, key: &[u8], row: &WindowRow) -> (u128, usize) {
        let digest = self.hash(RowTag::Window, &[key], |out| encode_window_row(row, out));
        (digest, self.scratch.len() - HEAD - key.len())
    }

    /// The digest of what is left of a window row.
    pub(crate) fn stub(&mut self, key: &KeyHash, stub: &Stub) -> u128 {
        self.hash(RowTag::Stub, &[key], |out| encode_stub(stub, out))
    }

    /// The sum of the digests of what steps have brought about, rules and totals among it; 0 while there were none.
    pub(crate) fn control(&mut self, control: &Control) -> u128 {
        let mut sum = if control.is_as_made() {
            0
        } else {
            self.hash(RowTag::Control, &[], |out| encode_boundaries(control, out))
        };
        for (rule, mark) in &*control.rules.set {
            sum = sum.wrapping_add(self.rule(rule, mark));
        }
        for (name, value) in &*control.rules.totals {
            sum = sum.wrapping_add(self.total(name, *value));
        }
        sum
    }

    fn rule(&mut self, rule: &RuleName, mark: &RuleMark) -> u128 {
        let mut name = Vec::new();
        encode_rule_name(rule, &mut name);
        self.hash(RowTag::Rule, &[&name], |out| encode_mark(mark, out))
    }

    /// The digest of a total.
    pub(crate) fn total(&mut self, name: &[u8], value: i128) -> u128 {
        self.hash(RowTag::Total, &[name], |out| encode_total(value, out))
    }

    /// The digest of a row whose body is at hand; `key` is with the keyspace.
    pub(crate) fn body(&mut self, tag: RowTag, key: &[u8], body: &[u8]) -> u128 {
        self.hash(tag, &[key], |out| out.extend_from_slice(body))
    }

    fn hash(&mut self, tag: RowTag, key: &[&[u8]], body: impl FnOnce(&mut Vec<u8>)) -> u128 {
        let out = &mut self.scratch;
        out.clear();
        out.extend_from_slice(&[tag as u8, 0, 0, 0, 0]);
        for part in key {
            out.extend_from_slice(part);
        }
        let len = key_len(&out[HEAD..]);
        out[1..5].copy_from_slice(&len);
        body(out);
        xxh3_128_with_seed(out, self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Bytes, Fingerprint, LogTime, SeqNo, StoredOutcome, Version};

    fn row(value: &'static [u8]) -> Row {
        Row {
            value: Bytes::from_static(value),
            schema: 1,
            version: Version::new(2),
            created: Version::new(2),
            time: LogTime::new(3),
            actor: Bytes::new(),
        }
    }

    fn window_row() -> WindowRow {
        WindowRow {
            fingerprint: Fingerprint { hash: [1; 32], kind: 1, operations: 0, expectations: 0 },
            seq: SeqNo::new(1),
            time: LogTime::new(2),
            outcome: StoredOutcome::Committed(Bytes::new()),
        }
    }

    #[test]
    fn version_one_is_these_numbers() {
        let mut hasher = RowHasher::new(0x0123_4567_89ab_cdef);
        assert_eq!(
            [
                hasher.record(KeyspaceId::new(1), b"key", &row(b"value")),
                hasher.window(b"key", &window_row())
            ],
            [222459164617091039924997980569764430635, 338790736982845996433921999626225723332]
        );
    }

    #[test]
    fn a_row_counts_once_wherever_it_comes() {
        let mut hasher = RowHasher::new(7);
        let (a, b) = (
            hasher.record(KeyspaceId::new(1), b"a", &row(b"1")),
            hasher.record(KeyspaceId::new(1), b"b", &row(b"2")),
        );
        let (mut one, mut other) = (StateDigest::default(), StateDigest::default());
        one.add(a);
        one.add(b);
        other.add(b);
        other.add(a);
        assert_eq!(one, other);
        one.sub(a);
        one.sub(b);
        assert_eq!(one, StateDigest::default());
    }

    #[test]
    fn everything_that_matters_changes_it() {
        let mut hasher = RowHasher::new(7);
        let base = hasher.record(KeyspaceId::new(1), b"a", &row(b"1"));
        assert_ne!(base, hasher.record(KeyspaceId::new(2), b"a", &row(b"1")));
        assert_ne!(base, hasher.record(KeyspaceId::new(1), b"b", &row(b"1")));
        assert_ne!(base, hasher.record(KeyspaceId::new(1), b"a", &row(b"2")));
        assert_ne!(base, RowHasher::new(8).record(KeyspaceId::new(1), b"a", &row(b"1")));
        let mut body = Vec::new();
        encode_row(&row(b"1"), &mut body);
        assert_eq!(base, hasher.body(RowTag::Record, b"\0\0\0\x01a", &body));
        assert_ne!(base, hasher.body(RowTag::Window, b"\0\0\0\x01a", &body));
    }
}
