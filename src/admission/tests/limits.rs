//! The checks that need no state.

use super::{
    super::shape::{ShapeError, check_request},
    *,
};
use crate::base::{
    LimitError,
    limits::{
        ACTOR_BYTES, METADATA_BYTES, OPERATIONS, RECORD_KEY_BYTES, REQUEST_BYTES, RESULT_BYTES,
        VALUE_BYTES,
    },
};

fn bytes(length: usize) -> Bytes {
    vec![7; length].into()
}

fn plain() -> RequestData {
    RequestData { actor: Bytes::new(), verdict: Verdict::Commit(Bytes::new()), ..request(None) }
}

fn keyed(length: usize) -> RequestData {
    let mut request = plain().check("", Expect::Any);
    request.operations[0].key = bytes(length);
    request
}

fn read(length: usize) -> RequestData {
    let mut request = plain().read("", None);
    request.reads[0].key = bytes(length);
    request
}

fn put(length: usize) -> RequestData {
    plain().put("x", &bytes(length))
}

fn operations(count: usize) -> RequestData {
    let mut request = (1..count).fold(plain(), |request, _| request.check("x", Expect::Any));
    if count > 0 {
        request = request.read("x", None);
    }
    request
}

/// Two values, so that neither is at its own limit; the keys, the actor and so on take up their part.
fn total(length: usize) -> RequestData {
    let parts = RESULT_BYTES + ACTOR_BYTES + METADATA_BYTES + 3;
    let (half, rest) = (VALUE_BYTES / 2, length - parts - VALUE_BYTES / 2);
    RequestData {
        actor: bytes(ACTOR_BYTES),
        correlation: bytes(METADATA_BYTES),
        verdict: Verdict::Commit(bytes(RESULT_BYTES)),
        ..plain().put("x", &bytes(half)).put("y", &bytes(rest)).read("z", None)
    }
}

/// What is limited, how to measure so much of it, and what is allowed.
type Row = (&'static str, fn(usize) -> RequestData, usize, usize);

// A result stands behind the byte that says how it is encoded.
const TABLE: [Row; 10] = [
    ("record key bytes", keyed, 1, RECORD_KEY_BYTES),
    ("record key bytes", read, 1, RECORD_KEY_BYTES),
    ("operations and reads", operations, 0, OPERATIONS),
    ("actor bytes", |n| RequestData { actor: bytes(n), ..plain() }, 0, ACTOR_BYTES),
    ("correlation bytes", |n| RequestData { correlation: bytes(n), ..plain() }, 0, METADATA_BYTES),
    (
        "result bytes",
        |n| RequestData { verdict: Verdict::Commit(bytes(1 + n)), ..plain() },
        0,
        RESULT_BYTES,
    ),
    (
        "result bytes",
        |n| RequestData { verdict: Verdict::Reject(bytes(1 + n)), ..plain() },
        0,
        RESULT_BYTES,
    ),
    ("request bytes", total, 0, REQUEST_BYTES),
    // A value at its own limit leaves no room for its key in the request: see below.
    ("value bytes", put, 0, VALUE_BYTES),
    ("value bytes", |n| put(n).put("y", b""), 0, VALUE_BYTES),
];

#[test]
fn each_limit_is_what_the_table_says() {
    for (what, make, min, max) in TABLE {
        let hint = "change the request";
        let refused = |actual| {
            let passes = false;
            Err(ShapeError::Limit(LimitError { what, actual, min, max, hint, passes }))
        };
        if what != "value bytes" {
            assert_eq!(check_request(&make(max)), Ok(()), "{what} at the most");
        }
        assert_eq!(check_request(&make(max + 1)), refused(max + 1), "{what} past the most");
        if min > 0 {
            assert_eq!(check_request(&make(min)), Ok(()), "{what} at the least");
            assert_eq!(check_request(&make(min - 1)), refused(min - 1), "{what} below the least");
        }
    }
}

#[test]
fn the_longest_value_shares_its_request_with_its_key() {
    assert_eq!(VALUE_BYTES, REQUEST_BYTES);
    assert_eq!(check_request(&put(VALUE_BYTES - 1)), Ok(()));
    let Err(ShapeError::Limit(LimitError { what, actual, .. })) = check_request(&put(VALUE_BYTES))
    else {
        panic!("it fits")
    };
    assert_eq!((what, actual), ("request bytes", REQUEST_BYTES + 1));
}

#[test]
fn a_second_mutation_expects_anything_or_is_refused() {
    let second = |operation| {
        let keyspace = "a".to_owned();
        Err(ShapeError::SecondMutation { operation, keyspace })
    };
    let any = plain().put_if("x", b"1", version(1)).add("x", 1, 0, 9).delete("x").put("x", b"1");
    assert_eq!(check_request(&any), Ok(()));
    for expect in [Expect::Absent, Expect::Present, Expect::Version(version(1))] {
        let put = || Action::Put(Bytes::new());
        for action in [put(), Action::Delete] {
            let twice = plain().delete("x").operation(0, "x", expect, action);
            assert_eq!(check_request(&twice), second(1));
        }
        // A check is no mutation, a record of another name or keyspace another record.
        let fine = plain().put("x", b"1").check("x", expect).put_if("y", b"1", expect);
        assert_eq!(check_request(&fine), Ok(()));
        let mut other = plain().put("x", b"1");
        let position = other.keyspace(identity("b"));
        assert_eq!(check_request(&other.operation(position, "x", expect, put())), Ok(()));
        let checked = plain().check("x", Expect::Any).put_if("x", b"1", expect);
        assert_eq!(check_request(&checked), Ok(()));
    }
}

#[test]
fn bounds_hold_something() {
    assert_eq!(check_request(&plain().add("x", 1, 3, 3)), Ok(()));
    let empty = plain().put("y", b"1").add("x", 1, 3, 2);
    assert_eq!(check_request(&empty), Err(ShapeError::EmptyBounds { operation: 1 }));
}

/// Four thousand million keyspaces take a while; a forged directory does not.
#[test]
fn numbers_of_keyspaces_run_out_and_are_not_given_out_twice() {
    let mut state = State { numbered: KeyspaceId::NONE.get() - 2, ..State::default() };
    let of = |name: &str| RequestData {
        keyspaces: vec![identity(name)],
        ..request(None).put("x", b"1")
    };
    let last = state.append(&of("last"));
    assert_eq!(last.entry.keyspaces[0].id.get(), KeyspaceId::NONE.get() - 1);
    for _ in 0..2 {
        let Decision::Refused(Refusal::Limit(limit)) = state.decide(&of("more")) else {
            panic!("it got a number")
        };
        assert_eq!((limit.what, limit.passes), ("keyspaces ever written to", false));
    }
    // What is there is written to, and what is not can be asked for.
    let _entry = state.append(&of("last"));
    let absent = RequestData {
        keyspaces: vec![identity("more")],
        ..request(None).check("x", Expect::Absent)
    };
    let _entry = state.append(&absent);
}
