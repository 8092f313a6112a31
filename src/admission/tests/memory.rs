//! What is remembered under a key, row by row: an outcome exactly when asking again later could give another one.

use super::*;

/// Whether a decision goes into the log, and with that into memory.
fn logged(decision: &Decision) -> bool {
    matches!(decision, Decision::Append(_))
}

/// Asks, then changes the state so that it would fare otherwise, and asks again: the answer is the same.
fn remembers(request: &RequestData, change: &RequestData) -> StoredOutcome {
    let mut state = State::sample();
    let first = state.append(request);
    state.commit(change);
    let Decision::Remembered(row) = state.decide(request) else { panic!("it was forgotten") };
    assert_eq!((row.seq, row.time), (first.entry.seq, first.entry.time));
    assert_eq!(row.outcome, first.entry.outcome);
    row.outcome.clone()
}

/// Asks, then changes the state: asked again it fares otherwise, under the same key.
fn forgets(request: &RequestData, change: &RequestData) -> Decision {
    let mut state = State::sample();
    let (decision, before) = (state.decide(request), state.applied);
    assert!(!logged(&decision) && state.window.is_empty() && before == 2);
    state.commit(change);
    let _entry = state.append(request);
    decision
}

fn keyed() -> RequestData {
    request(Some("key"))
}

fn unkeyed() -> RequestData {
    request(None)
}

#[test]
fn a_commit_with_its_whole_result() {
    let outcome = remembers(&keyed().put("new", b"1"), &unkeyed().delete("new"));
    assert_eq!(outcome, StoredOutcome::Committed(b"done".as_slice().into()));
}

#[test]
fn a_commit_although_its_own_success_made_its_expectation_stale() {
    let version = version(1);
    let request = keyed().put_if("there", b"next", version);
    let outcome = remembers(&request, &unkeyed().put("other", b"1"));
    assert_eq!(outcome, StoredOutcome::Committed(b"done".as_slice().into()));
    let outcome =
        remembers(&keyed().put_if("new", b"1", Expect::Absent), &unkeyed().put("other", b"1"));
    assert!(matches!(outcome, StoredOutcome::Committed(_)));
}

#[test]
fn a_commit_with_nothing_to_do() {
    for request in [keyed().delete("missing"), keyed().check("there", Expect::Present)] {
        let mut state = State::sample();
        assert_eq!(state.append(&request).changes, []);
        let outcome = remembers(&request, &unkeyed().put("missing", b"1").delete("there"));
        assert!(matches!(outcome, StoredOutcome::Committed(_)));
    }
}

#[test]
fn a_record_that_was_there_or_was_not() {
    let absent =
        remembers(&keyed().put_if("there", b"1", Expect::Absent), &unkeyed().delete("there"));
    assert_eq!(
        absent,
        StoredOutcome::Rejected(StoredRejection::NotAbsent {
            keyspace: b"a".as_slice().into(),
            key: b"there".as_slice().into(),
            version: version(1),
            time: LogTime::new(1000),
            actor: b"me".as_slice().into(),
        })
    );
    let present = remembers(&keyed().check("new", Expect::Present), &unkeyed().put("new", b"1"));
    assert_eq!(
        present,
        StoredOutcome::Rejected(StoredRejection::NotPresent {
            keyspace: b"a".as_slice().into(),
            key: b"new".as_slice().into(),
        })
    );
}

#[test]
fn an_addition_out_of_its_bounds() {
    let rejected = remembers(&keyed().add("number", 6, 0, 10), &unkeyed().add("number", -5, 0, 10));
    let out_of_bounds = |key: &str, current, delta, min, max, at| {
        StoredOutcome::Rejected(StoredRejection::OutOfBounds {
            keyspace: b"a".as_slice().into(),
            key: key.as_bytes().into(),
            current,
            delta,
            min,
            max,
            version: version(at),
        })
    };
    assert_eq!(rejected, out_of_bounds("number", 5, 6, 0, 10, 2));
    let absent = remembers(&keyed().add("new", -1, 0, 10), &unkeyed().add("new", 9, 0, 10));
    assert_eq!(absent, out_of_bounds("new", 0, -1, 0, 10, 0));
    // Past what a number holds is out of any bounds.
    let (least, most) = (i64::MIN, i64::MAX);
    let wide = remembers(&keyed().add("number", most, least, most), &unkeyed().delete("number"));
    assert_eq!(wide, out_of_bounds("number", 5, most, least, most, 2));
}

#[test]
fn a_rejection_of_the_callers_own() {
    let mut request = keyed().put("new", b"1");
    request.verdict = Verdict::Reject(b"no".as_slice().into());
    let mut state = State::sample();
    assert_eq!(state.append(&request).changes, []);
    let outcome = remembers(&request, &unkeyed().put("new", b"1"));
    let no = StoredRejection::Procedure(b"no".as_slice().into());
    assert_eq!(outcome, StoredOutcome::Rejected(no));
    // What the engine finds comes before what the caller found.
    let unmet = State::sample().append(&request.check("missing", Expect::Present));
    assert!(matches!(
        unmet.entry.outcome,
        StoredOutcome::Rejected(StoredRejection::NotPresent { .. })
    ));
}

#[test]
fn not_a_stale_version() {
    let mut state = State::sample();
    let request = keyed().put_if("there", b"next", version(2));
    let Decision::Conflict(conflict) = state.decide(&request) else { panic!() };
    assert_eq!(conflict.expected, Some(version(2)));
    assert_eq!(conflict.current.as_ref(), state.row("there"));
    assert!(
        conflict.current.is_some_and(|row| row.version == version(1) && &row.value[..] == b"v")
    );
    // After the client refreshed, the same key takes the new version.
    state.commit(&keyed().put_if("there", b"next", version(1)));
    let missing = State::sample().decide(&keyed().put_if("missing", b"1", version(1)));
    assert!(matches!(missing, Decision::Conflict(Conflict { current: None, .. })));
}

#[test]
fn not_a_read_that_changed() {
    let new = unkeyed().put("new", b"1");
    let decision = forgets(&keyed().read("new", Some(3)).put("sum", b"1"), &new);
    assert!(matches!(decision, Decision::Conflict(Conflict { current: None, .. })));
    let decision =
        forgets(&keyed().read("there", None).put("sum", b"1"), &unkeyed().delete("there"));
    let Decision::Conflict(Conflict { expected: None, current: Some(row), .. }) = decision else {
        panic!("{decision:?}")
    };
    assert_eq!(row.version, version(1));
}

#[test]
fn not_what_cannot_be_done() {
    let future = forgets(&keyed().check("new", version(3)), &unkeyed().put("new", b"1"));
    let newest = SeqNo::new(2);
    let keyspace = b"a".as_slice().into();
    assert!(
        matches!(future, Decision::Refused(refusal) if refusal == Refusal::FutureVersion { keyspace, version: version(3), newest })
    );
    let number = forgets(&keyed().add("there", 1, 0, 9), &unkeyed().delete("there"));
    assert!(matches!(number, Decision::Refused(Refusal::NotANumber { .. })));
    let state = State::sample();
    let at = At { writable: false, ..state.at() };
    let decision = admit(keyed().put("new", b"1"), &state, at);
    assert!(matches!(decision, Decision::Refused(Refusal::NotWritable)));
}

#[test]
fn a_key_used_for_something_else_is_not_answered() {
    let mut state = State::sample();
    let first = state.commit(&keyed().put("new", b"1"));
    let mut other = keyed().put("new", b"1");
    other.key.as_mut().unwrap().1 = fingerprint(2);
    let Decision::Refused(Refusal::KeyReused { remembered, differs }) = state.decide(&other) else {
        panic!()
    };
    assert_eq!((remembered.seq, differs), (first.seq, Differs::Intent));
}

#[test]
fn a_stored_outcome_is_answered_in_every_mode() {
    let mut state = State::sample();
    let request = keyed().put("new", b"1");
    state.commit(&request);
    let at = At { writable: false, ..state.at() };
    assert!(matches!(admit(request, &state, at), Decision::Remembered(_)));
}

/// Without a key there is nothing to remember a refusal under, so it is not logged.
#[test]
fn unkeyed_refusals_are_not_logged() {
    let mut state = State::sample();
    let mut own = unkeyed().put("new", b"1");
    own.verdict = Verdict::Reject(b"no".as_slice().into());
    for request in [
        unkeyed().check("there", Expect::Absent),
        unkeyed().check("missing", Expect::Present),
        unkeyed().add("number", 6, 0, 10),
        own,
    ] {
        let decision = state.decide(&request);
        assert!(matches!(decision, Decision::Rejected(_)), "{decision:?}");
        assert_eq!(state.applied, 2);
    }
}
