//! What a client asked, as a hash: the intent it gave, the procedure it called, or the operations and expectations.

use crate::base::{Action, Expect, Fingerprint, Operation, RequestData};

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
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"procedure");
    framed(&mut hasher, name).update(arguments);
    Fingerprint {
        hash: *hasher.finalize().as_bytes(),
        kind: Fingerprint::PROCEDURE,
        operations: hint(&blake3::hash(name)),
        expectations: hint(&blake3::hash(arguments)),
    }
}

/// The fingerprint of a request without an intent. Never of its actor, correlation or result.
pub(super) fn of_operations(request: &RequestData) -> Fingerprint {
    let (mut operations, mut expectations) = (blake3::Hasher::new(), blake3::Hasher::new());
    for operation in &request.operations {
        let keyspace = &request.keyspaces[usize::from(operation.keyspace)];
        framed(&mut operations, &keyspace.name);
        framed(&mut operations, &operation.key);
        hash_action(&mut operations, operation);
        hash_expect(&mut expectations, operation.expect);
    }
    let (operations, expectations) = (operations.finalize(), expectations.finalize());
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"operations").update(operations.as_bytes()).update(expectations.as_bytes());
    Fingerprint {
        hash: *hasher.finalize().as_bytes(),
        kind: Fingerprint::OPERATIONS,
        operations: hint(&operations),
        expectations: hint(&expectations),
    }
}

fn hash_action(hasher: &mut blake3::Hasher, operation: &Operation) {
    match &operation.action {
        Action::Check => hasher.update(&[0]),
        Action::Put(value) => {
            hasher.update(&[1]);
            framed(hasher, value)
        }
        Action::Delete => hasher.update(&[2]),
        Action::Add { delta, min, max, .. } => {
            hasher.update(&[3]);
            [delta, min, max].into_iter().for_each(|number| {
                hasher.update(&number.to_le_bytes());
            });
            hasher
        }
    };
}

fn hash_expect(hasher: &mut blake3::Hasher, expect: Expect) {
    match expect {
        Expect::Any => hasher.update(&[0]),
        Expect::Absent => hasher.update(&[1]),
        Expect::Present => hasher.update(&[2]),
        Expect::Version(version) => hasher.update(&[3]).update(&version.get().to_le_bytes()),
    };
}

fn framed<'h>(hasher: &'h mut blake3::Hasher, bytes: &[u8]) -> &'h mut blake3::Hasher {
    hasher.update(&(bytes.len() as u32).to_le_bytes()).update(bytes)
}

fn hint(hash: &blake3::Hash) -> u32 {
    let [a, b, c, d, ..] = *hash.as_bytes();
    u32::from_le_bytes([a, b, c, d])
}
