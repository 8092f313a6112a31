//! What is remembered under a key, and whether there is room to remember more.

use super::{At, Decision, Differs, Policy, Refusal, View};
use crate::base::{
    Control, Fingerprint, IdempotencyKey, LimitError, OutcomeClass, Remembered, canary::canary,
    limits::KEY_AHEAD_NANOS,
};

/// What becomes of a request whose key was decided before: the fingerprint first, then the outcome.
pub(crate) fn recall(remembered: Remembered, asked: &Fingerprint) -> Decision {
    let stub = remembered.stub();
    if stub.class == OutcomeClass::Fenced {
        return Decision::Refused(Refusal::Fenced(stub));
    }
    let differs = match &remembered {
        Remembered::Row(row) => differs(&row.fingerprint, asked),
        Remembered::Stub(stub) => {
            (stub.fingerprint[..] != asked.hash[..16]).then_some(Differs::Unknown)
        }
    };
    match (differs, remembered) {
        (Some(differs), _) => Decision::Refused(Refusal::KeyReused { remembered: stub, differs }),
        (None, Remembered::Row(row)) => Decision::Remembered(row),
        (None, Remembered::Stub(stub)) => Decision::Refused(Refusal::AlreadyDecided(stub)),
    }
}

/// Whether a key under which nothing is remembered may be new: for one that says when it was made, that is after all that
/// was forgotten, and not in the future.
pub(super) fn check_age(key: &IdempotencyKey, control: &Control, at: &At<'_>) -> Option<Refusal> {
    canary!(ExpiredAccepted => return None);
    let Some(made) = key.made_at() else {
        return at.policy.time_ordered.then_some(Refusal::KeyUntimed);
    };
    let horizon = control.forgotten_time;
    if made > at.time.plus(KEY_AHEAD_NANOS) {
        Some(Refusal::KeyAhead { made, now: at.time })
    } else if control.forgotten.get() > 0 && made <= horizon.plus(KEY_AHEAD_NANOS) {
        // What was forgotten may have been asked for under a key made that much after it was decided.
        Some(Refusal::KeyExpired { made, horizon })
    } else {
        None
    }
}

/// Whether there is room to remember one more outcome, under this key.
pub(super) fn check_window<V: View>(
    key: &IdempotencyKey,
    view: &V,
    at: &At<'_>,
) -> Option<LimitError> {
    let Policy { window_limit, scope_limit, retention, .. } = at.policy;
    let full = |what, bytes: u64, limit: u64| LimitError {
        what,
        actual: usize::try_from(bytes).unwrap_or(usize::MAX),
        min: 0,
        max: usize::try_from(limit).unwrap_or(usize::MAX),
        hint: "wait until older outcomes are forgotten, or raise the limit",
        passes: true,
    };
    let control = view.control();
    let of_scope = |control: &Control| {
        let first = control.generations.first().map_or(0, |generation| generation.number);
        view.scope_bytes(first, key.scope())
    };
    let whole = |control: &Control| control.bytes() >= window_limit;
    let share = |control: &Control| scope_limit < u64::MAX && of_scope(control) >= scope_limit;
    if !whole(control) && !share(control) {
        return None;
    }
    // The entry itself could make room.
    let mut after = control.clone();
    for step in after.steps_due(retention, at.time) {
        let _ = after.step(&step, &mut Default::default());
    }
    if whole(&after) {
        return Some(full("bytes of remembered outcomes", control.bytes(), window_limit));
    }
    let what = "bytes of outcomes remembered for the scope";
    share(&after).then(|| full(what, of_scope(control), scope_limit))
}

/// How `asked` differs from what is remembered, if it does.
pub(super) fn differs(remembered: &Fingerprint, asked: &Fingerprint) -> Option<Differs> {
    if remembered.hash == asked.hash || canary!(KeyReuseAccepted) {
        None
    } else if remembered.kind != asked.kind {
        Some(Differs::Kind)
    } else if asked.kind == Fingerprint::INTENT {
        Some(Differs::Intent)
    } else if asked.kind == Fingerprint::PROCEDURE {
        let same = remembered.operations == asked.operations;
        Some(if same { Differs::Arguments } else { Differs::Procedure })
    } else if remembered.operations != asked.operations {
        Some(Differs::Operations)
    } else {
        Some(Differs::Expectations)
    }
}
