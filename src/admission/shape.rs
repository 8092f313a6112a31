//! The checks that need no state: limits, and the shape of a request as a whole.

use crate::base::{
    Action, Bytes, Expect, LimitError, Operation, RequestData, Verdict,
    limits::{
        ACTOR_BYTES, METADATA_BYTES, OPERATIONS, RECORD_KEY_BYTES, REQUEST_BYTES, RESULT_BYTES,
        VALUE_BYTES, check,
    },
};
use std::collections::HashSet;
use thiserror::Error;

/// A request is not well formed; nothing happened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// It breaks a limit.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// It does nothing at all.
    #[error(
        "the request has no operation: add a `put`, `delete`, `add` or `check`; nothing was logged"
    )]
    NoOperation,
    /// It has an idempotency key and is to be answered before it is durable.
    #[error(
        "a request under an idempotency key can't be buffered: its receipt could be lost, and it carried out again; sync it, leave the key, or allow it with `allow_buffered_keys`; nothing was logged"
    )]
    BufferedKey,
    /// It mutates a record for the second time and expects something of it.
    #[error(
        "operation {operation} mutates a record in keyspace {keyspace:?} that an earlier one mutates, and does not expect \
         `Any`: expectations are about the state before the request, so put it on the first; nothing was logged"
    )]
    SecondMutation {
        /// The position of the operation, from 0.
        operation: usize,
        /// The name of the keyspace.
        keyspace: String,
    },
    /// A closure given to `update` reads a range.
    #[error(
        "a range was read inside `update`, which could not notice what others write into it: read its records one by one, or make a procedure of it; nothing was logged"
    )]
    RangeInUpdate,
    /// A rule is not well declared.
    #[error("rule {rule:?} is not well declared: {flaw}")]
    Rule {
        /// Its name, or that of its field.
        rule: &'static str,
        /// What is wrong with it.
        flaw: &'static str,
    },
    /// An invariant across records read a keyspace that it does not name as part of its footprint: what happens there would go
    /// by it.
    #[error(
        "rule {rule:?} reads keyspace {keyspace:?} without saying so: add `touched_by` to it; nothing was logged"
    )]
    Undeclared {
        /// Its name.
        rule: &'static str,
        /// The name of the keyspace.
        keyspace: &'static str,
    },
    /// Two types were registered as one procedure.
    #[error(
        "two types were registered as version {version} of procedure {name:?}: give one of them another version, or another name"
    )]
    ProcedureTwice {
        /// The name.
        name: &'static str,
        /// The version.
        version: u32,
    },
    /// The least bound of an addition is greater than its greatest.
    #[error(
        "operation {operation} adds within empty bounds: the least must not be above the greatest; nothing was logged"
    )]
    EmptyBounds {
        /// The position of the operation, from 0.
        operation: usize,
    },
    /// It names a keyspace under two definitions.
    #[error(
        "keyspace {keyspace:?} is used under two definitions in one request: use one of them; nothing was logged"
    )]
    TwoDefinitions {
        /// The name of the keyspace.
        keyspace: String,
    },
}

/// Checks everything about a request that needs no state.
pub(crate) fn check_request(request: &RequestData) -> Result<(), ShapeError> {
    check("operations and reads", request.operations.len() + request.reads.len(), 0, OPERATIONS)?;
    check("actor bytes", request.actor.len(), 0, ACTOR_BYTES)?;
    check("correlation bytes", request.correlation.len(), 0, METADATA_BYTES)?;
    let result = request.verdict.payload();
    match &request.verdict {
        Verdict::Mode(_) => check("reason bytes", result.len(), 0, METADATA_BYTES)?,
        // The first byte says how the rest is encoded.
        _ => check("result bytes", result.len().saturating_sub(1), 0, RESULT_BYTES)?,
    }
    check("keyspaces", request.keyspaces.len(), 0, OPERATIONS)?;
    let arguments = request.call.as_ref().map_or(0, |call| call.arguments.len());
    let mut total = request.actor.len() + request.correlation.len() + result.len() + arguments;
    for (position, operation) in request.operations.iter().enumerate() {
        total += check_operation(position, operation)?;
    }
    for read in &request.reads {
        total += check_key(&read.key)?;
    }
    check("request bytes", total, 0, REQUEST_BYTES)?;
    check_definitions(request)?;
    check_repeats(request)
}

/// Two definitions of one keyspace would each count as a keyspace of its own.
fn check_definitions(request: &RequestData) -> Result<(), ShapeError> {
    let mut names = HashSet::with_capacity(request.keyspaces.len());
    match request.keyspaces.iter().find(|keyspace| !names.insert(&keyspace.name)) {
        Some(twice) => Err(ShapeError::TwoDefinitions {
            keyspace: String::from_utf8_lossy(&twice.name).into_owned(),
        }),
        None => Ok(()),
    }
}

fn check_operation(position: usize, operation: &Operation) -> Result<usize, ShapeError> {
    let key = check_key(&operation.key)?;
    match &operation.action {
        Action::Put(value) => {
            check("value bytes", value.len(), 0, VALUE_BYTES)?;
            Ok(key + value.len())
        }
        Action::Add { min, max, .. } if min > max => {
            Err(ShapeError::EmptyBounds { operation: position })
        }
        _ => Ok(key),
    }
}

fn check_key(key: &Bytes) -> Result<usize, LimitError> {
    check("record key bytes", key.len(), 1, RECORD_KEY_BYTES).map(|()| key.len())
}

/// A second mutation of a record can only expect `Any`: what else it could mean is not what it would do.
fn check_repeats(request: &RequestData) -> Result<(), ShapeError> {
    if request.operations.len() < 2 {
        return Ok(());
    }
    let mut mutated = HashSet::with_capacity(request.operations.len());
    for (position, operation) in request.operations.iter().enumerate() {
        if operation.action == Action::Check {
            continue;
        }
        let first = mutated.insert((operation.keyspace, &operation.key));
        if !first && operation.expect != Expect::Any {
            let name = &request.keyspaces[usize::from(operation.keyspace)].name;
            let keyspace = String::from_utf8_lossy(name).into_owned();
            return Err(ShapeError::SecondMutation { operation: position, keyspace });
        }
    }
    Ok(())
}
