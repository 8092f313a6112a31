//! Which keyspaces a request means, by number, and whether they are what the caller thinks.

use super::{Refusal, View};
use crate::{
    base::{
        Action, Bytes, KeyspaceDefinition, KeyspaceId, KeyspaceIdentity, KeyspaceRef, LimitError,
        RequestData,
    },
    codec::{codec_name, describe_shape},
};
use std::fmt;

/// A keyspace is not what the caller thinks it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mismatch {
    pub name: Bytes,
    pub differs: Difference,
}

/// In what a keyspace differs from what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The shape of the keys.
    Shape {
        /// What is stored.
        stored: String,
        /// What was given.
        given: String,
    },
    /// The value codec.
    Codec {
        /// What is stored.
        stored: &'static str,
        /// What was given.
        given: &'static str,
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
pub(crate) fn compare(
    identity: &KeyspaceIdentity,
    stored: &KeyspaceDefinition,
) -> Option<Difference> {
    if identity.shape != stored.shape {
        Some(Difference::Shape { stored: shape(&stored.shape), given: shape(&identity.shape) })
    } else if identity.codec != stored.codec {
        Some(Difference::Codec {
            stored: codec_name(stored.codec),
            given: codec_name(identity.codec),
        })
    } else if !identity.reads(stored.schema) {
        Some(Difference::Schema { stored: stored.schema, given: identity.schema })
    } else {
        None
    }
}

fn shape(encoded: &[u8]) -> String {
    describe_shape(encoded).unwrap_or_else(|| "of a later version".into())
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape { stored, given } => write!(f, "its keys are {stored}, not {given}"),
            Self::Codec { stored, given } => write!(f, "its values are {stored}, not {given}"),
            Self::Schema { stored, given } => {
                write!(
                    f,
                    "it holds rows of schema {stored}, which schema {given} as defined cannot read"
                )
            }
        }
    }
}

/// Numbers the keyspaces of a request, no two of one name; those it writes to and that do not exist get the next numbers.
pub(super) fn resolve<V: View>(
    request: &RequestData,
    view: &V,
) -> Result<Vec<KeyspaceRef>, Refusal> {
    let mut next = view.next_keyspace().get();
    let keyspaces = request.keyspaces.iter().enumerate();
    keyspaces
        .map(|(index, identity)| {
            let writes = writes_to(request, index);
            match view.keyspace(&identity.name) {
                Some(stored) => known(identity, &stored, writes).map_err(Refusal::Keyspace),
                None => unknown(identity, writes, &mut next).map_err(Refusal::Limit),
            }
        })
        .collect()
}

/// Takes back the numbers a request would have given, because it was refused.
pub(super) fn undefine<V: View>(
    refs: &mut [KeyspaceRef],
    identities: &[KeyspaceIdentity],
    view: &V,
) {
    for (keyspace, identity) in refs.iter_mut().zip(identities) {
        match view.keyspace(&identity.name) {
            Some(_) => keyspace.identity = None,
            None => {
                (keyspace.id, keyspace.identity) = (KeyspaceId::NONE, Some(identity.clone()));
            }
        }
    }
}

fn known(
    identity: &KeyspaceIdentity,
    stored: &KeyspaceDefinition,
    writes: bool,
) -> Result<KeyspaceRef, Mismatch> {
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

fn unknown(
    identity: &KeyspaceIdentity,
    writes: bool,
    next: &mut u32,
) -> Result<KeyspaceRef, LimitError> {
    let mut id = KeyspaceId::NONE;
    if writes {
        id = KeyspaceId::new(*next);
        *next = next.checked_add(1).ok_or_else(too_many)?;
    }
    Ok(KeyspaceRef { id, schema: identity.schema, identity: Some(identity.clone()) })
}

/// The last number stands for no keyspace, and none is given out twice.
fn too_many() -> LimitError {
    let most = KeyspaceId::NONE.get() as usize;
    LimitError {
        what: "keyspaces ever written to",
        actual: most,
        min: 0,
        max: most - 1,
        hint: "use those that are there",
        passes: false,
    }
}

fn writes_to(request: &RequestData, keyspace: usize) -> bool {
    request.operations.iter().any(|operation| {
        usize::from(operation.keyspace) == keyspace
            && matches!(operation.action, Action::Put(_) | Action::Add { .. })
    })
}
