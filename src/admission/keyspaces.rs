//! Which keyspaces a request means, by number, and whether they are what the caller thinks.

use super::View;
use crate::base::{Action, Bytes, KeyspaceDefinition, KeyspaceId, KeyspaceIdentity, KeyspaceRef, RequestData};

/// A keyspace is not what the caller thinks it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mismatch {
    pub name: Bytes,
    pub differs: Difference,
}

/// In what a keyspace differs from what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The shape of the keys.
    Shape,
    /// The value codec: the tag stored, the tag given.
    Codec {
        /// What is stored.
        stored: u8,
        /// What was given.
        given: u8,
    },
    /// The schema number: rows were written under one that the caller's keyspace cannot read.
    Schema {
        /// The greatest that is stored.
        stored: u32,
        /// What was given.
        given: u32,
    },
}

/// How a keyspace as a caller names it differs from its definition.
pub(crate) fn compare(identity: &KeyspaceIdentity, stored: &KeyspaceDefinition) -> Option<Difference> {
    if identity.shape != stored.shape {
        Some(Difference::Shape)
    } else if identity.codec != stored.codec {
        Some(Difference::Codec { stored: stored.codec, given: identity.codec })
    } else if !identity.reads(stored.schema) {
        Some(Difference::Schema { stored: stored.schema, given: identity.schema })
    } else {
        None
    }
}

/// Numbers the keyspaces of a request; those it writes to and that do not exist get the next numbers.
pub(super) fn resolve<V: View>(request: &RequestData, view: &V) -> Result<Vec<KeyspaceRef>, Mismatch> {
    let mut next = view.next_keyspace().get();
    request
        .keyspaces
        .iter()
        .enumerate()
        .map(|(index, identity)| {
            let writes = writes_to(request, index);
            match view.keyspace(&identity.name) {
                Some(stored) => known(identity, &stored, writes),
                None => Ok(unknown(identity, writes, &mut next)),
            }
        })
        .collect()
}

/// Takes back the numbers a request would have given, because it was refused.
pub(super) fn undefine<V: View>(refs: &mut [KeyspaceRef], identities: &[KeyspaceIdentity], view: &V) {
    for (keyspace, identity) in refs.iter_mut().zip(identities) {
        match view.keyspace(&identity.name) {
            Some(_) => keyspace.identity = None,
            None => keyspace.id = KeyspaceId::NONE,
        }
    }
}

fn known(identity: &KeyspaceIdentity, stored: &KeyspaceDefinition, writes: bool) -> Result<KeyspaceRef, Mismatch> {
    if let Some(differs) = compare(identity, stored) {
        return Err(Mismatch { name: identity.name.clone(), differs });
    }
    let raised = writes && identity.schema > stored.schema;
    Ok(KeyspaceRef {
        id: stored.id,
        schema: identity.schema,
        identity: raised.then(|| identity.clone()),
    })
}

fn unknown(identity: &KeyspaceIdentity, writes: bool, next: &mut u32) -> KeyspaceRef {
    let id = if writes { KeyspaceId::new(*next) } else { KeyspaceId::NONE };
    *next += u32::from(writes);
    KeyspaceRef { id, schema: identity.schema, identity: Some(identity.clone()) }
}

fn writes_to(request: &RequestData, keyspace: usize) -> bool {
    request.operations.iter().any(|operation| {
        usize::from(operation.keyspace) == keyspace
            && matches!(operation.action, Action::Put(_) | Action::Add { .. })
    })
}
