//! What a request does to records and keyspaces.

use super::*;

fn number(number: i64) -> [u8; 8] {
    number.to_be_bytes()
}

fn keyspace(state: &State, name: &str) -> Option<(u32, u32)> {
    View::keyspace(state, name.as_bytes()).map(|found| (found.id.get(), found.schema))
}

#[test]
fn expectations_are_about_the_state_before_the_request() {
    let mut state = State::sample();
    state.commit(
        &request(None)
            .put_if("new", b"1", Expect::Absent)
            .check("new", Expect::Absent)
            .check("there", version(1))
            .delete("there")
            .check("there", Expect::Present)
            .check("there", version(1)),
    );
    assert_eq!((state.row("new").is_some(), state.row("there").is_some()), (true, false));
}

#[test]
fn mutations_apply_in_order() {
    let rows: [(RequestData, Option<i64>); 7] = [
        (request(None).put("x", &number(3)).add("x", 4, 0, 9), Some(7)),
        (request(None).put("x", &number(3)).add("x", 4, 0, 9).delete("x"), None),
        (request(None).put("number", &number(3)).delete("number").add("number", 4, 0, 9), None),
        (request(None).delete("x").put("x", &number(1)), Some(1)),
        (request(None).add("x", 2, 0, 9).add("x", 3, 0, 9).add("x", -5, 0, 9), Some(0)),
        (request(None).add("x", 2, 0, 9).put("x", &number(9)), Some(9)),
        (request(None).put("x", &number(1)).put("x", &number(2)), Some(2)),
    ];
    for (request, expected) in rows {
        let mut state = State::sample();
        state.commit(&request);
        assert_eq!(state.number("x"), expected);
    }
    // The sums are logged as they were decided.
    let entry =
        State::sample().commit(&request(None).add("number", 1, 0, 9).add("number", 2, 0, 9));
    let sums: Vec<_> = entry
        .operations
        .iter()
        .map(|operation| match &operation.action {
            Action::Add { sum, .. } => sum.to_vec(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sums, [number(6), number(8)]);
}

#[test]
fn one_addition_out_of_bounds_undoes_all() {
    let mut state = State::sample();
    let before = state.records.clone();
    let admitted = state
        .append(&request(Some("key")).put("x", b"1").add("number", 1, 0, 9).add("number", 4, 0, 9));
    assert_eq!(admitted.changes, []);
    let StoredOutcome::Rejected(StoredRejection::OutOfBounds { current, version, .. }) =
        admitted.entry.outcome
    else {
        panic!("{:?}", admitted.entry.outcome)
    };
    // The sum it met counts the addition before it; the version is one that a reader can see.
    assert_eq!((current, version), (6, super::version(2)));
    assert_eq!(state.records, before);
}

#[test]
fn a_change_is_the_net_of_the_request() {
    let mut state = State::sample();
    let changes = |request: &RequestData| State::sample().append(request).changes;
    assert_eq!(changes(&request(None).put("x", b"1").delete("x")), []);
    assert_eq!(changes(&request(None).delete("x")), []);
    assert_eq!(changes(&request(None).check("there", Expect::Any)), []);
    let there = state.row("there").cloned();
    let deleted = changes(&request(None).put("there", b"1").delete("there"));
    let [Change { old, new: None, .. }] = &deleted[..] else { panic!("{deleted:?}") };
    assert_eq!(old, &there);
    let twice = state.append(&request(None).put("there", b"1").put("there", b"2")).changes;
    let [Change { new: Some(row), .. }] = &twice[..] else { panic!("{twice:?}") };
    assert_eq!((&row.value[..], row.version, row.created), (&b"2"[..], version(3), version(1)));
}

#[test]
fn rows_say_who_wrote_them_when_and_under_what() {
    let mut state = State::sample();
    let row = |state: &State| state.row("there").map(|row| (row.version, row.created));
    assert_eq!(row(&state), Some((version(1), version(1))));
    let mut update = request(None).put("there", b"w");
    update.actor = b"you".as_slice().into();
    state.commit(&update);
    assert_eq!(
        state.row("there"),
        Some(&Row {
            value: b"w".as_slice().into(),
            schema: 1,
            version: version(3),
            created: version(1),
            time: LogTime::new(1002),
            actor: b"you".as_slice().into(),
        })
    );
    // Made anew, it begins anew: in one request, or in two.
    state.commit(&request(None).delete("there").put("there", b"x"));
    assert_eq!(row(&state), Some((version(4), version(4))));
    state.commit(&request(None).delete("there"));
    assert_eq!(row(&state), None);
    state.commit(&request(None).put("there", b"y"));
    assert_eq!(row(&state), Some((version(6), version(6))));
}

#[test]
fn only_a_commit_that_writes_defines_a_keyspace() {
    let key = || request(Some("key"));
    let mut own = key().put("x", b"1");
    own.verdict = Verdict::Reject(Bytes::new());
    let rows: [(RequestData, bool); 7] = [
        (key().put("x", b"1"), true),
        (key().add("x", 1, 0, 9), true),
        (key().put("x", b"1").delete("x"), true),
        (key().delete("x"), false),
        (key().check("x", Expect::Absent), false),
        (key().put_if("x", b"1", Expect::Present), false),
        (own, false),
    ];
    for (request, defines) in rows {
        let mut state = State::default();
        let entry = state.append(&request).entry;
        assert_eq!(keyspace(&state, "a"), defines.then_some((1, 1)), "{:?}", request.operations);
        let id = if defines { KeyspaceId::new(1) } else { KeyspaceId::NONE };
        // An undefined one is still called by its name, for whoever reads the log.
        assert_eq!(entry.keyspaces[0].id, id);
        assert_eq!(entry.keyspaces[0].identity, Some(identity("a")));
        // Once it is defined, entries name it by number.
        state.commit(&super::request(None).put("y", b"1"));
        let entry = state.append(&super::request(None).put("y", b"2")).entry;
        assert_eq!(
            (entry.keyspaces[0].id, &entry.keyspaces[0].identity),
            (KeyspaceId::new(1), &None)
        );
    }
}

#[test]
fn keyspaces_of_one_request_are_numbered_in_order() {
    let mut state = State::sample();
    let mut request = request(None).put("x", b"1");
    let positions = ["b", "c", "d"].map(|name| request.keyspace(identity(name)));
    let write = || Action::Put(b"1".as_slice().into());
    request = request
        .operation(positions[2], "x", Expect::Any, write())
        .operation(positions[1], "x", Expect::Absent, Action::Check)
        .operation(positions[0], "x", Expect::Any, write());
    let entry = state.commit(&request);
    let ids: Vec<_> = entry.keyspaces.iter().map(|keyspace| keyspace.id).collect();
    assert_eq!(ids, [1, 2, u32::MAX, 3].map(KeyspaceId::new));
    let known = ["a", "b", "c", "d"].map(|name| keyspace(&state, name).map(|known| known.0));
    assert_eq!(known, [Some(1), Some(2), None, Some(3)]);
}

#[test]
fn a_write_under_a_greater_schema_raises_it() {
    let upgraded = || {
        let mut request = request(Some("key"));
        request.keyspaces[0] =
            KeyspaceIdentity { schema: 3, upgrades_from: vec![1], ..identity("a") };
        request
    };
    let schema = |request: &RequestData| {
        let mut state = State::sample();
        let entry = state.append(request).entry;
        let named = entry.keyspaces[0].identity.is_some();
        (keyspace(&state, "a").unwrap().1, state.row("there").map(|row| row.schema), named)
    };
    assert_eq!(schema(&upgraded().put("there", b"1")), (3, Some(3), true));
    assert_eq!(schema(&upgraded().put("x", b"1")), (3, Some(1), true));
    assert_eq!(schema(&upgraded().check("there", Expect::Present)), (1, Some(1), false));
    assert_eq!(schema(&upgraded().delete("there")), (1, None, false));
    let refused = upgraded().put("there", b"1").check("missing", Expect::Present);
    assert_eq!(schema(&refused), (1, Some(1), false));
}

#[test]
fn a_keyspace_must_be_what_the_caller_thinks() {
    let mut state = State::sample();
    let mut raise = request(None).put("there", b"1");
    raise.keyspaces[0] = KeyspaceIdentity { schema: 3, upgrades_from: vec![1], ..identity("a") };
    state.commit(&raise);
    let mut differs = |given: KeyspaceIdentity| {
        let mut request = request(Some("key")).check("there", Expect::Any);
        request.keyspaces[0] = given;
        match state.decide(&request) {
            Decision::Refused(Refusal::Keyspace(mismatch)) => mismatch.differs.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let now = || KeyspaceIdentity { schema: 3, ..identity("a") };
    assert_eq!(
        differs(KeyspaceIdentity { shape: Bytes::from_static(&[0x31]), ..now() }),
        "its keys are bytes, not str"
    );
    assert_eq!(differs(KeyspaceIdentity { codec: 1, ..now() }), "its values are raw, not bincode");
    let cannot_read =
        |schema| format!("it holds rows of schema 3, which schema {schema} as defined cannot read");
    assert_eq!(differs(KeyspaceIdentity { schema: 1, ..now() }), cannot_read(1));
    let skips = KeyspaceIdentity { schema: 4, upgrades_from: vec![1, 2], ..now() };
    assert_eq!(differs(skips), cannot_read(4));
}

/// What replay works out from the entry alone is what the live path did.
#[test]
fn an_entry_replays_to_the_same_changes() {
    let mut state = State::default();
    let requests = [
        request(Some("1")).put("x", &number(1)).add("x", 4, 0, 9),
        request(Some("2")).put_if("x", b"1", Expect::Absent),
        request(None).delete("x").put("y", b"1"),
        request(None)
            .check("y", version(3))
            .put_if("y", b"2", version(3))
            .put("z", b"1")
            .delete("z"),
        request(Some("3")).add("y", 1, 0, 9),
    ];
    for request in &requests {
        let before = state.clone();
        let Decision::Append(Admitted { entry, changes, .. }) = state.decide(request) else {
            continue;
        };
        assert_eq!(Draft::changes(&entry, &before), Ok(changes));
    }
    assert_eq!(state.applied, 4);
}
