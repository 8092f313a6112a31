//! One entry, decided once more.

use super::{
    compare, intent,
    report::{Deviation, Obstacle, Part},
    sight::{Reads, Sight},
};
use crate::{
    admission::{
        Admitted, At, Decision, Policy, Refusal, admit,
        rules::{RuleBook, Unjudged},
    },
    base::{Bytes, Entry, ProcedureCall, Recorded, RequestData, Step},
    engine::{Error, call::run_code, reentrancy, registry::Registry},
    recovery::Next,
    state::{control::Retention, draft::Change},
};

/// What came of deciding an entry once more.
#[derive(Debug)]
pub(super) enum Finding {
    /// The same.
    Exact,
    /// The same outcome, and something else in the entry.
    Effects(Vec<Deviation>),
    /// Another outcome.
    Outcome(Vec<Deviation>),
    /// It could not be.
    NotReplayable(Obstacle),
}

/// What is taken as the log has it: limits and retention are those of the engine that wrote it.
const POLICY: Policy = Policy {
    retention: Retention { whole: u64::MAX, stubs: u64::MAX },
    window_limit: u64::MAX,
    scope_limit: u64::MAX,
    time_ordered: false,
};

/// The rules that an entry records.
pub(super) fn recorded(entry: &Entry) -> Option<&Recorded> {
    entry.steps.iter().rev().find_map(|step| match step {
        Step::Rules(recorded) => Some(recorded),
        _ => None,
    })
}

/// Decides an entry once more, on the state before it. With what it does to records, where it comes out the same.
pub(super) fn replay(
    next: &Next<'_>,
    sight: &Sight<'_>,
    registry: &Registry,
    rules: &RuleBook,
) -> (Finding, Option<Vec<Change>>) {
    let Next { entry, fold, .. } = *next;
    let Some(request) = intent::of(entry, &fold.registry.read()) else {
        return (Finding::NotReplayable(Obstacle::Unreadable), None);
    };
    let mut deviations = Vec::new();
    if entry.time <= fold.time && fold.applied.get() > 0 {
        deviations.push(compare::time(entry, fold.time));
    }
    deviations.extend(compare::fingerprint(entry, intent::fingerprint(entry, &request)));
    let request = match &entry.call {
        None => request,
        Some(call) => match run(&request, call, sight, registry) {
            Ok(request) => request,
            Err(obstacle) => return (Finding::NotReplayable(obstacle), None),
        },
    };
    let at = At {
        applied: fold.applied,
        next: entry.seq,
        time: entry.time,
        writable: true,
        late: false,
        policy: POLICY,
        rules,
        unrecorded: recorded(entry),
    };
    let decision = {
        let _rules = (!rules.is_empty()).then(reentrancy::enter_procedure);
        admit(request, sight, at)
    };
    match decision {
        Decision::Append(mut admitted) => {
            if !rules.keeps_totals() {
                // Under other rules there may have been some: their code is not there.
                admitted.entry.totals.clone_from(&entry.totals);
            }
            judge(next, admitted, deviations)
        }
        Decision::Refused(Refusal::Unjudged(Unjudged::Panicked(rule))) => {
            (Finding::NotReplayable(Obstacle::Panicked { what: rule.to_owned() }), None)
        }
        other => (Finding::Outcome(vec![compare::not_logged(entry, other)]), None),
    }
}

/// What an entry is held against itself for, and the changes it makes when it is the same.
fn judge(
    next: &Next<'_>,
    admitted: Admitted,
    mut deviations: Vec<Deviation>,
) -> (Finding, Option<Vec<Change>>) {
    let Next { entry, fold, .. } = *next;
    let changes = if is_same(entry, &admitted.entry) {
        Some(admitted.changes)
    } else {
        let registry = fold.registry.read();
        deviations.extend(compare::entries(entry, &admitted.entry, &registry));
        None
    };
    let finding = if deviations.is_empty() {
        Finding::Exact
    } else if deviations.iter().any(|deviation| deviation.part == Part::Outcome) {
        Finding::Outcome(deviations)
    } else {
        Finding::Effects(deviations)
    };
    (finding, changes)
}

/// Whether it is the same entry. Of its steps, those that let outcomes be forgotten are taken as they are.
fn is_same(entry: &Entry, again: &Entry) -> bool {
    let Entry {
        seq,
        time,
        key,
        steps: _,
        keyspaces,
        operations,
        reads,
        call,
        totals,
        actor,
        correlation,
        outcome,
    } = entry;
    *outcome == again.outcome
        && *operations == again.operations
        && compare::are_same_keyspaces(keyspaces, &again.keyspaces)
        && *reads == again.reads
        && *call == again.call
        && *totals == again.totals
        && *actor == again.actor
        && *correlation == again.correlation
        && (*seq, *time, key) == (again.seq, again.time, &again.key)
        && intent::mode(entry) == intent::mode(again)
}

/// Runs the code of a procedure once more, with the time and the seed it had.
fn run(
    blank: &RequestData,
    call: &ProcedureCall,
    sight: &Sight<'_>,
    registry: &Registry,
) -> Result<RequestData, Obstacle> {
    let ProcedureCall { name, version, time, seed, .. } = call;
    let known = std::str::from_utf8(name).ok();
    let Some(code) = known.and_then(|name| registry.procedures.named(name, *version)) else {
        return Err(Obstacle::MissingVersion { name: text(name), version: *version });
    };
    let mut reads = Reads { sight, time: *time, seed: *seed };
    run_code("a procedure", code, blank, &mut reads, 1).map_err(|error| match error {
        Error::Panicked { .. } => Obstacle::Panicked { what: text(name) },
        error => {
            let told = error.to_string();
            let error = told.trim_end_matches("; nothing was logged").to_owned();
            Obstacle::Failed { name: text(name), error }
        }
    })
}

pub(super) fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
