//! What a client asked, as a hash: the intent it gave, the procedure it called, or the operations and expectations.

use crate::base::{Action, Expect, Fingerprint, Operation, RequestData};
use xxhash_rust::xxh3::xxh3_64;

/// The fingerprint of an encoded intent.
pub(super) fn of_intent(intent: &[u8]) -> Fingerprint {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"intent").update(intent);
    Fingerprint {
        hash: *hasher.finalize().as_bytes(),
        kind: Fingerprint::INTENT,
        operations: 0,
        expectations: 0,
    }
}

/// The fingerprint of a call of a procedure. Never of its version: a retry may reach a newer program.
pub(super) fn of_call(name: &[u8], arguments: &[u8]) -> Fingerprint {
    let mut asked = Vec::with_capacity(16 + name.len() + arguments.len());
    asked.extend_from_slice(b"procedure");
    put_framed(&mut asked, name);
    asked.extend_from_slice(arguments);
    Fingerprint {
        hash: *blake3::hash(&asked).as_bytes(),
        kind: Fingerprint::PROCEDURE,
        operations: hint(name),
        expectations: hint(arguments),
    }
}

/// The fingerprint of a request without an intent. Never of its actor, correlation or result.
pub(super) fn of_operations(request: &RequestData) -> Fingerprint {
    // In one run, and hashed once: that is most of what a retry costs.
    let mut asked = Vec::with_capacity(size(request));
    asked.extend_from_slice(b"operations");
    asked.extend_from_slice(&(request.operations.len() as u32).to_le_bytes());
    let operations = asked.len();
    for operation in &request.operations {
        let keyspace = &request.keyspaces[usize::from(operation.keyspace)];
        put_framed(&mut asked, &keyspace.name);
        put_framed(&mut asked, &operation.key);
        put_action(&mut asked, operation);
    }
    let expectations = asked.len();
    request.operations.iter().for_each(|operation| put_expect(&mut asked, operation.expect));
    Fingerprint {
        hash: *blake3::hash(&asked).as_bytes(),
        kind: Fingerprint::OPERATIONS,
        operations: hint(&asked[operations..expectations]),
        expectations: hint(&asked[expectations..]),
    }
}

/// No less than what is hashed of a request.
fn size(request: &RequestData) -> usize {
    const FIXED: usize = 48;
    let operations = request.operations.iter().map(|operation| {
        let value = if let Action::Put(value) = &operation.action { value.len() } else { 0 };
        let keyspace = &request.keyspaces[usize::from(operation.keyspace)];
        FIXED + keyspace.name.len() + operation.key.len() + value
    });
    FIXED + operations.sum::<usize>()
}

fn put_action(out: &mut Vec<u8>, operation: &Operation) {
    match &operation.action {
        Action::Check => out.push(0),
        Action::Put(value) => {
            out.push(1);
            put_framed(out, value);
        }
        Action::Delete => out.push(2),
        Action::Add { delta, min, max, .. } => {
            out.push(3);
            [delta, min, max].into_iter().for_each(|number| out.extend(number.to_le_bytes()));
        }
    }
}

fn put_expect(out: &mut Vec<u8>, expect: Expect) {
    match expect {
        Expect::Any => out.push(0),
        Expect::Absent => out.push(1),
        Expect::Present => out.push(2),
        Expect::Version(version) => {
            out.push(3);
            out.extend(version.get().to_le_bytes());
        }
    }
}

fn put_framed(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Tells which part differs, where the whole does; no more rests on it.
fn hint(part: &[u8]) -> u32 {
    xxh3_64(part) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Bytes, KeyspaceIdentity};

    fn request(operations: Vec<(&'static [u8], Expect, Action)>) -> RequestData {
        let identity = KeyspaceIdentity::stored(Bytes::from_static(b"k"), Bytes::new(), 1, 1);
        let operation = |(key, expect, action)| Operation {
            keyspace: 0,
            key: Bytes::from_static(key),
            expect,
            action,
        };
        RequestData {
            keyspaces: vec![identity],
            operations: operations.into_iter().map(operation).collect(),
            ..RequestData::empty(None)
        }
    }

    fn put(value: &'static [u8]) -> Action {
        Action::Put(Bytes::from_static(value))
    }

    /// What one part ends with can't be taken for what the next begins with.
    #[test]
    fn different_requests_have_different_fingerprints() {
        let add = |delta| Action::Add { delta, min: 0, max: 9, sum: Bytes::new() };
        let requests = [
            request(vec![]),
            request(vec![(b"a", Expect::Any, Action::Check)]),
            request(vec![(b"a", Expect::Absent, Action::Check)]),
            request(vec![(b"a", Expect::Any, Action::Delete)]),
            request(vec![(b"a", Expect::Any, put(b""))]),
            request(vec![(b"a", Expect::Any, put(b"b"))]),
            request(vec![(b"ab", Expect::Any, put(b""))]),
            request(vec![(b"a", Expect::Any, add(1))]),
            request(vec![(b"a", Expect::Any, add(2))]),
            request(vec![(b"a", Expect::Any, put(b"")), (b"b", Expect::Absent, Action::Check)]),
            request(vec![(b"a", Expect::Absent, put(b"")), (b"b", Expect::Any, Action::Check)]),
        ];
        let hashes: Vec<_> = requests.iter().map(|request| of_operations(request).hash).collect();
        for (index, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..index].contains(hash), "{index}");
        }
        assert_ne!(of_call(b"ab", b"c").hash, of_call(b"a", b"bc").hash);
    }

    #[test]
    fn hints_tell_which_part_differs() {
        let of = |expect, value| of_operations(&request(vec![(b"a", expect, put(value))]));
        let first = of(Expect::Any, b"1");
        let (other, stricter) = (of(Expect::Any, b"2"), of(Expect::Absent, b"1"));
        assert!(first.operations != other.operations && first.expectations == other.expectations);
        assert!(first.operations == stricter.operations);
        assert!(first.expectations != stricter.expectations);
    }

    /// Room is asked for once.
    #[test]
    fn what_is_hashed_is_no_longer_than_is_thought() {
        let add = Action::Add { delta: 1, min: 0, max: 9, sum: Bytes::new() };
        let version = Expect::Version(crate::base::Version::new(1));
        let request = request(vec![(b"key", version, add), (b"k", version, put(&[7; 100]))]);
        let mut asked = Vec::new();
        for operation in &request.operations {
            put_framed(&mut asked, b"k");
            put_framed(&mut asked, &operation.key);
            put_action(&mut asked, operation);
            put_expect(&mut asked, operation.expect);
        }
        assert!(asked.len() + 14 <= size(&request));
    }
}
