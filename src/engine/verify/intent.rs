//! What was asked, made again of what the log says of it.

use crate::{
    base::{
        Action, Bytes, Entry, Fingerprint, KeyspaceIdentity, KeyspaceRef, Mode, Operation,
        ProcedureCall, RequestData, Step, StoredOutcome, StoredRejection, Verdict,
    },
    engine::fingerprint,
    state::registry::Registry,
};

/// The request an entry was made of, as admission got it; `None` when the entry names a keyspace that does not exist, which
/// none of ours does.
pub(super) fn of(entry: &Entry, registry: &Registry) -> Option<RequestData> {
    if let Some(call) = &entry.call {
        return Some(blank(entry, call));
    }
    let keyspaces = entry.keyspaces.iter().map(|keyspace| identity(keyspace, registry));
    Some(RequestData {
        key: entry.key.clone(),
        keyspaces: keyspaces.collect::<Option<_>>()?,
        operations: entry.operations.iter().map(undecided).collect(),
        reads: entry.reads.clone(),
        call: None,
        actor: entry.actor.clone(),
        correlation: entry.correlation.clone(),
        verdict: verdict(entry),
    })
}

/// A call, before its code has run.
fn blank(entry: &Entry, call: &ProcedureCall) -> RequestData {
    let blank = RequestData::empty(entry.key.clone());
    RequestData { call: Some(Box::new(call.clone())), ..blank }
}

/// A keyspace as the caller must have named it. Of the older schemas it could read, the log proves the one that was in force.
fn identity(keyspace: &KeyspaceRef, registry: &Registry) -> Option<KeyspaceIdentity> {
    let (mut identity, stored) = match &keyspace.identity {
        Some(identity) => (identity.clone(), registry.newest(&identity.name)),
        None => {
            let (name, stored) = registry.numbered(keyspace.id)?;
            let (name, shape) = (name.clone(), stored.shape.clone());
            let identity = KeyspaceIdentity::stored(name, shape, stored.codec, keyspace.schema);
            (identity, Some(stored))
        }
    };
    let older = stored.map(|stored| stored.schema).filter(|schema| *schema != identity.schema);
    identity.upgrades_from.extend(older);
    Some(identity)
}

/// An operation before its sum was decided.
fn undecided(operation: &Operation) -> Operation {
    let mut operation = operation.clone();
    if let Action::Add { sum, .. } = &mut operation.action {
        *sum = Bytes::new();
    }
    operation
}

/// What was to be remembered. Of a request that the engine refused, the result it would have had is not known, nor needed.
fn verdict(entry: &Entry) -> Verdict {
    if let Some(mode) = mode(entry) {
        return Verdict::Mode(mode.clone());
    }
    match &entry.outcome {
        StoredOutcome::Committed(result) => Verdict::Commit(result.clone()),
        StoredOutcome::Rejected(StoredRejection::Procedure(rejection)) => {
            Verdict::Reject(rejection.clone())
        }
        StoredOutcome::Rejected(_) => Verdict::Commit(Bytes::new()),
        StoredOutcome::Fenced => Verdict::Fence,
    }
}

/// The mode an entry sets.
pub(super) fn mode(entry: &Entry) -> Option<&Mode> {
    entry.steps.iter().find_map(|step| match step {
        Step::Mode(mode) => Some(mode),
        _ => None,
    })
}

/// The fingerprint of the request, where it follows from what is logged: that of an intent does not.
pub(super) fn fingerprint(entry: &Entry, request: &RequestData) -> Option<Fingerprint> {
    let (_, recorded) = entry.key.as_ref()?;
    match (&entry.call, &entry.outcome) {
        (Some(call), _) => Some(fingerprint::of_call(&call.name, &call.arguments)),
        (None, StoredOutcome::Fenced) => Some(Fingerprint::NONE),
        (None, _) if recorded.kind == Fingerprint::INTENT => None,
        (None, _) => Some(fingerprint::of_operations(request)),
    }
}
