//! What is forgotten, and what there is no room to remember: each at the very edge.

use super::*;
use crate::base::{Generation, limits::KEY_AHEAD_NANOS};

const MILLI: u64 = 1_000_000;
/// A time far enough from 0, in milliseconds.
const NOW: u64 = 100_000_000;

fn time(millis: u64) -> LogTime {
    LogTime::new(millis * MILLI)
}

/// A request under a key made at this time, which a state of the time `NOW` is asked.
fn made(state: &State, millis: u64) -> Decision {
    let mut request = request(None).put("new", b"1");
    let key = IdempotencyKey::time_ordered("test", millis, "k").unwrap();
    request.key = Some((key, fingerprint(1)));
    admit(request, state, At { time: time(NOW), ..state.at() })
}

#[test]
fn a_key_may_be_ahead_by_so_much_and_no_more() {
    let (state, ahead) = (State::sample(), KEY_AHEAD_NANOS / MILLI);
    assert!(matches!(made(&state, NOW + ahead), Decision::Append(_)));
    let Decision::Refused(refusal) = made(&state, NOW + ahead + 1) else { panic!() };
    assert_eq!(refusal, Refusal::KeyAhead { made: time(NOW + ahead + 1), now: time(NOW) });
}

#[test]
fn a_key_as_old_as_what_is_forgotten_is_refused() {
    let (mut state, ahead) = (State::sample(), KEY_AHEAD_NANOS / MILLI);
    let horizon = NOW - 2 * ahead;
    state.control.forgotten_time = time(horizon);
    // As long as nothing is forgotten, any age will do.
    assert!(matches!(made(&state, 0), Decision::Append(_)));
    state.control.forgotten = SeqNo::new(1);
    for millis in [0, horizon, horizon + ahead] {
        let Decision::Refused(refusal) = made(&state, millis) else { panic!("{millis}") };
        assert_eq!(refusal, Refusal::KeyExpired { made: time(millis), horizon: time(horizon) });
    }
    assert!(matches!(made(&state, horizon + ahead + 1), Decision::Append(_)));
}

/// A state that remembers so many bytes, in a generation that is over, and so many of them for a scope.
fn remembering(bytes: u64, scope: u64) -> State {
    let mut state = State::sample();
    let old = Generation { bytes, rows: 1, last: SeqNo::new(1), ..Generation::default() };
    let open = Generation { number: 1, ..Generation::default() };
    (state.control.generations, state.scope) = (vec![old, open], scope);
    state
}

/// What a request under a key is refused for want of, when the state has these limits.
fn full(state: &State, policy: Policy, key: Option<&str>) -> Option<LimitError> {
    match admit(request(key).put("new", b"1"), state, At { policy, ..state.at() }) {
        Decision::Append(_) => None,
        Decision::Refused(Refusal::Limit(limit)) => Some(limit),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_full_takes_no_more_keys() {
    let state = remembering(100, 40);
    let plain = state.at().policy;
    assert_eq!(full(&state, plain, Some("key")), None);
    let all = |window_limit| Policy { window_limit, ..plain };
    assert_eq!(full(&state, all(101), Some("key")), None);
    let limit = full(&state, all(100), Some("key")).unwrap();
    assert_eq!((limit.what, limit.actual, limit.max), ("bytes of remembered outcomes", 100, 100));
    let share = |scope_limit| Policy { scope_limit, ..plain };
    assert_eq!(full(&state, share(41), Some("key")), None);
    let limit = full(&state, share(40), Some("key")).unwrap();
    let what = "bytes of outcomes remembered for the scope";
    assert_eq!((limit.what, limit.actual, limit.max), (what, 40, 40));
    // Without a key there is nothing to remember, and without a limit nothing to count.
    assert_eq!(full(&state, all(100), None), None);
    assert_eq!(full(&remembering(100, u64::MAX), plain, Some("key")), None);
}

#[test]
fn an_entry_that_makes_room_is_taken() {
    let state = remembering(100, 40);
    let plain = state.at().policy;
    for (window_limit, scope_limit) in [(100, u64::MAX), (u64::MAX, 40), (100, 40)] {
        let whole = state.at().time.get();
        let due = |whole| Retention { whole, stubs: u64::MAX };
        let policy = Policy { window_limit, scope_limit, retention: due(whole), ..plain };
        assert_eq!(full(&state, policy, Some("key")), None);
        let policy = Policy { retention: due(whole + 1), ..policy };
        assert!(full(&state, policy, Some("key")).is_some());
    }
    // A stub is left of it, for which there must be room.
    let retention = Retention { whole: 1, stubs: u64::MAX };
    let policy = |window_limit| Policy { window_limit, retention, ..plain };
    assert_eq!(full(&state, policy(54), Some("key")), None);
    assert_eq!(full(&state, policy(53), Some("key")).unwrap().actual, 100);
}
