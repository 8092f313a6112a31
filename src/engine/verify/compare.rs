//! In what a decision differs from the one that is logged, in words that quote no value.

use super::{
    intent,
    replay::text,
    report::{Deviation, Part},
};
use crate::{
    admission::Decision,
    base::{
        Action, Bytes, Entry, Fingerprint, KeyspaceIdentity, KeyspaceRef, LogTime, Mode, Operation,
        StoredOutcome,
    },
    engine::{outcome::decode_rejection, sequence::refused},
    format::rows::encode_outcome,
    state::registry::Registry,
};

/// Most differences of one entry that are told.
const TOLD: usize = 8;

/// All in which an entry differs from what it came to again, the outcome first.
pub(super) fn entries(entry: &Entry, again: &Entry, registry: &Registry) -> Vec<Deviation> {
    let mut found = Vec::new();
    found.extend(outcome(&entry.outcome, &again.outcome));
    found.extend(mode(intent::mode(entry), intent::mode(again)));
    for index in 0..entry.operations.len().max(again.operations.len()) {
        let recorded = entry.operations.get(index).map(|operation| (operation, entry));
        let replayed = again.operations.get(index).map(|operation| (operation, again));
        found.extend(self::operation(recorded, replayed, registry));
    }
    found.extend(totals(&entry.totals, &again.totals));
    found.extend(keyspaces(&entry.keyspaces, &again.keyspaces));
    let about = [
        (Part::Actor, &entry.actor, &again.actor),
        (Part::Correlation, &entry.correlation, &again.correlation),
    ];
    for (part, recorded, replayed) in about {
        if recorded != replayed {
            found.push(Deviation::new(part, bytes(recorded), bytes(replayed)));
        }
    }
    found.truncate(TOLD);
    found
}

/// Nothing would be logged of what was logged.
pub(super) fn not_logged(entry: &Entry, decision: Decision) -> Deviation {
    let replayed = match decision {
        Decision::Append(_) => unreachable!("it would be logged"),
        Decision::Cold(_) => unreachable!("all of the state is at hand"),
        Decision::Remembered(_) | Decision::Known(_) => {
            "nothing: the key was decided before".to_owned()
        }
        Decision::Rejected(_) => "a refusal without a key, which is not logged".to_owned(),
        Decision::Conflict(conflict) => {
            let current = conflict.current.map_or(0, |row| row.version.get());
            let expected = conflict.expected.map_or(0, |version| version.get());
            let replayed = format!(
                "a conflict, which is not logged: version {current} in place of {expected} (0 for no record)"
            );
            let found = Deviation::new(Part::Outcome, described(&entry.outcome), replayed);
            return found.about(Some(text(&conflict.keyspace)), Some(&conflict.key));
        }
        Decision::Refused(refusal) => {
            let told = refused(refusal, None).to_string();
            format!("nothing: {}", told.trim_end_matches("; nothing was logged"))
        }
    };
    Deviation::new(Part::Outcome, described(&entry.outcome), replayed)
}

/// Log time does not go on.
pub(super) fn time(entry: &Entry, before: LogTime) -> Deviation {
    let replayed = format!("later than {before}, that of the entry before");
    Deviation::new(Part::Time, entry.time.to_string(), replayed)
}

/// The fingerprint is not that of what is logged.
pub(super) fn fingerprint(entry: &Entry, again: Option<Fingerprint>) -> Option<Deviation> {
    let ((_, recorded), again) = (entry.key.as_ref()?, again?);
    let shown = |fingerprint: &Fingerprint| {
        let [a, b, c, d, ..] = fingerprint.hash;
        format!("kind {}, {:08x}", fingerprint.kind, u32::from_be_bytes([a, b, c, d]))
    };
    (*recorded != again).then(|| Deviation::new(Part::Fingerprint, shown(recorded), shown(&again)))
}

fn outcome(recorded: &StoredOutcome, replayed: &StoredOutcome) -> Option<Deviation> {
    if recorded == replayed {
        return None;
    }
    let found = Deviation::new(Part::Outcome, described(recorded), described(replayed));
    Some(match (recorded, replayed) {
        (StoredOutcome::Committed(recorded), StoredOutcome::Committed(replayed)) => {
            found.with_values(recorded, replayed)
        }
        _ => found,
    })
}

fn described(outcome: &StoredOutcome) -> String {
    match outcome {
        StoredOutcome::Committed(result) if result.is_empty() => "committed".to_owned(),
        StoredOutcome::Committed(result) => format!("committed, a result of {}", bytes(result)),
        StoredOutcome::Fenced => "fenced".to_owned(),
        StoredOutcome::Rejected(rejection) => {
            let mut encoded = Vec::new();
            encode_outcome(outcome, &mut encoded);
            let told = decode_rejection(rejection.clone(), |_| Ok(()));
            let told = told.map_or_else(|error| error.to_string(), |told| told.to_string());
            let told = told.split(": the key stands").next().unwrap_or_default();
            format!("rejected: {told} ({})", digest(&encoded))
        }
    }
}

fn mode(recorded: Option<&Mode>, replayed: Option<&Mode>) -> Option<Deviation> {
    let shown = |mode: Option<&Mode>| match mode {
        None => "none".to_owned(),
        Some(Mode::ReadWrite) => "read and write".to_owned(),
        Some(Mode::ReadOnly { .. }) => "read only".to_owned(),
    };
    (recorded != replayed).then(|| Deviation::new(Part::Mode, shown(recorded), shown(replayed)))
}

/// One operation, where there is one, with the entry it is of.
type In<'a> = Option<(&'a Operation, &'a Entry)>;

fn operation(recorded: In<'_>, replayed: In<'_>, registry: &Registry) -> Option<Deviation> {
    let (there, again) = (place(recorded), place(replayed));
    if let (Some((a, _)), Some((b, _))) = (recorded, replayed)
        && is_same_record(there, again)
        && (a.expect, &a.action) == (b.expect, &b.action)
    {
        return None;
    }
    let shown = |at: In<'_>| at.map_or("none".to_owned(), |(operation, _)| action(operation));
    let mut found = Deviation::new(Part::Operation, shown(recorded), shown(replayed));
    if there.is_some() && again.is_some() && !is_same_record(there, again) {
        found.replayed.push_str(", of another record");
    }
    let named = there.or(again);
    let keyspace = named.and_then(|(keyspace, _)| name(keyspace, registry));
    let found = found.about(keyspace, named.map(|(_, key)| key));
    Some(match (value(recorded), value(replayed)) {
        (Some(recorded), Some(replayed)) => found.with_values(recorded, replayed),
        _ => found,
    })
}

/// The record an operation is about.
type Place<'a> = Option<(&'a KeyspaceRef, &'a Bytes)>;

fn place<'a>(at: In<'a>) -> Place<'a> {
    let (operation, entry) = at?;
    Some((&entry.keyspaces[usize::from(operation.keyspace)], &operation.key))
}

fn is_same_record(there: Place<'_>, again: Place<'_>) -> bool {
    let id = |place: Place<'_>| place.map(|(keyspace, _)| keyspace.id);
    let key = |place: Place<'_>| place.map(|(_, key)| key.clone());
    (id(there), key(there)) == (id(again), key(again))
}

fn value<'a>(at: In<'a>) -> Option<&'a Bytes> {
    match &at?.0.action {
        Action::Put(value) | Action::Add { sum: value, .. } => Some(value),
        Action::Check | Action::Delete => None,
    }
}

fn name(keyspace: &KeyspaceRef, registry: &Registry) -> Option<String> {
    let here = keyspace.identity.as_ref().map(|identity| &identity.name);
    here.or_else(|| registry.numbered(keyspace.id).map(|(name, _)| name)).map(text)
}

fn action(operation: &Operation) -> String {
    match &operation.action {
        Action::Check => "check".to_owned(),
        Action::Delete => "delete".to_owned(),
        Action::Put(value) => format!("put of {}", bytes(value)),
        Action::Add { sum, .. } if sum.is_empty() => "addition that came to nothing".to_owned(),
        Action::Add { sum, .. } => format!("addition to a sum of {}", bytes(sum)),
    }
}

fn keyspaces(recorded: &[KeyspaceRef], replayed: &[KeyspaceRef]) -> Option<Deviation> {
    let shown = |keyspaces: &[KeyspaceRef]| {
        let each = keyspaces.iter().map(|keyspace| {
            let new = if keyspace.identity.is_some() { ", defined here" } else { "" };
            format!("number {} of schema {}{new}", keyspace.id, keyspace.schema)
        });
        each.collect::<Vec<_>>().join("; ")
    };
    (!are_same_keyspaces(recorded, replayed))
        .then(|| Deviation::new(Part::Keyspaces, shown(recorded), shown(replayed)))
}

/// Which older schemas a program could read is not in the log.
pub(super) fn are_same_keyspaces(recorded: &[KeyspaceRef], replayed: &[KeyspaceRef]) -> bool {
    let is_same = |(recorded, replayed): (&KeyspaceRef, &KeyspaceRef)| {
        let identity = |keyspace: &KeyspaceRef| {
            let identity = keyspace.identity.clone()?;
            Some(KeyspaceIdentity { upgrades_from: Vec::new(), ..identity })
        };
        (recorded.id, recorded.schema) == (replayed.id, replayed.schema)
            && recorded.identity.is_some() == replayed.identity.is_some()
            && (recorded.identity.is_none() || identity(recorded) == identity(replayed))
    };
    recorded.len() == replayed.len() && recorded.iter().zip(replayed).all(is_same)
}

fn totals(recorded: &[(Bytes, i128)], replayed: &[(Bytes, i128)]) -> Option<Deviation> {
    let shown = |totals: &[(Bytes, i128)]| {
        let each = totals
            .iter()
            .map(|(name, value)| format!("{} ({})", text(name), digest(&value.to_le_bytes())));
        each.reduce(|all, next| all + "; " + &next).unwrap_or_else(|| "none".to_owned())
    };
    (recorded != replayed).then(|| Deviation::new(Part::Totals, shown(recorded), shown(replayed)))
}

fn bytes(bytes: &Bytes) -> String {
    format!("{} bytes ({})", bytes.len(), digest(bytes))
}

/// Enough to tell two values apart.
fn digest(bytes: &[u8]) -> String {
    let [a, b, c, d, ..] = *blake3::hash(bytes).as_bytes();
    format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
}
