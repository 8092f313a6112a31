//! A clock that is wrong, is set right, or jumps, seen from outside: what time entries get, and what becomes of keys that say when
//! they were made.

use crate::support::refusal;
use std::time::Duration;
use steadfast::{
    Background, Builder, Engine, Error, ErrorKind, IdempotencyKey, KeyStatus, Keyspace, LogTime,
    Receipt, Request,
    testing::{SimClock, SimDisk},
};

const SUMS: Keyspace<u32, i64> = Keyspace::new("sums");
const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;
/// Some day in 2023.
const BEGIN: u64 = 1_700_000_000 * SECOND;

fn builder(clock: &SimClock) -> Builder {
    Engine::builder().clock(clock.clone()).background(Background::Manual)
}

fn add(key: IdempotencyKey) -> Request {
    Request::new(key).add(&SUMS, &1, 1, 0..=100)
}

fn committed(engine: &Engine, key: IdempotencyKey) -> Receipt {
    engine.commit(add(key)).unwrap().committed().unwrap()
}

/// A key that a client with a right clock makes then.
fn made(nanos: u64, name: &str) -> IdempotencyKey {
    IdempotencyKey::time_ordered("test", nanos / 1_000_000, name).unwrap()
}

fn is_ahead(engine: &Engine, key: IdempotencyKey) {
    let error = engine.commit(add(key)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyAhead, "{error}");
}

/// A database whose last entry was made at `BEGIN`, closed.
fn rested() -> SimDisk {
    let disk = SimDisk::new();
    let engine = builder(&SimClock::new(BEGIN, 0)).open_on(disk.clone()).unwrap();
    assert_eq!(committed(&engine, made(BEGIN, "first")).time, LogTime::new(BEGIN));
    engine.close().unwrap();
    disk
}

#[test]
fn a_clock_that_was_behind_the_log_at_the_opening_is_believed_when_it_is_set_right() {
    // As of a machine whose clock has no battery: 1970, until it has asked the network.
    for rest in [10 * SECOND, DAY, 29 * DAY] {
        let clock = SimClock::new(7 * SECOND, 0);
        let engine = builder(&clock).open_on(rested()).unwrap();
        // Until then log time stands nearly still.
        let early = committed(&engine, made(BEGIN, "early"));
        assert_eq!(early.time, LogTime::new(BEGIN + 1));
        clock.advance(Duration::from_secs(5));
        let now = BEGIN + rest + 5 * SECOND;
        clock.set_wall_nanos(now);
        assert_eq!(committed(&engine, made(now, "late")).time, LogTime::new(now), "after {rest}");
        // From now on a long step is a step.
        clock.set_wall_nanos(now + 2 * HOUR);
        is_ahead(&engine, made(now + 2 * HOUR, "ahead"));
    }
}

#[test]
fn a_clock_that_is_set_wrong_before_it_is_right_takes_nothing_with_it() {
    let clock = SimClock::new(7 * SECOND, 0);
    let engine = builder(&clock).open_on(rested()).unwrap();
    clock.set_wall_nanos(BEGIN + 400 * DAY);
    assert_eq!(committed(&engine, made(BEGIN, "wrong")).time, LogTime::new(BEGIN + 1));
    let status = engine.clock();
    assert!(!status.believed && status.system > status.now, "{status:?}");
    assert!(matches!(engine.resolve(&made(BEGIN, "first")), Ok(KeyStatus::Committed(_))));
    clock.set_wall_nanos(BEGIN + HOUR);
    assert_eq!(committed(&engine, made(BEGIN, "right")).time, LogTime::new(BEGIN + HOUR));
    assert!(engine.clock().believed);
}

#[test]
fn a_long_step_is_believed_when_somebody_says_so_or_at_the_next_opening() {
    for accept in [true, false] {
        let disk = SimDisk::new();
        let clock = SimClock::new(BEGIN, 0);
        let mut engine = builder(&clock).open_on(disk.clone()).unwrap();
        committed(&engine, made(BEGIN, "first"));
        // It was hours behind at the opening, and is right now.
        let now = BEGIN + 5 * HOUR;
        clock.set_wall_nanos(now);
        is_ahead(&engine, made(now, "second"));
        let status = engine.clock();
        assert_eq!((status.last, status.now), (LogTime::new(BEGIN), LogTime::new(BEGIN + 1)));
        assert_eq!((status.system, status.believed), (LogTime::new(now), false));
        if accept {
            engine.accept_clock_jump().unwrap();
        } else {
            engine.close().unwrap();
            engine = builder(&clock).open_on(disk.clone()).unwrap();
        }
        assert!(engine.clock().believed);
        assert_eq!(committed(&engine, made(now, "second")).time, LogTime::new(now));
        let clone = engine.clone();
        engine.close().unwrap();
        assert!(matches!(clone.accept_clock_jump(), Err(Error::Closed)));
    }
}

#[test]
fn a_new_database_follows_the_clock_wherever_it_goes_until_it_has_an_entry() {
    let clock = SimClock::new(7 * SECOND, 0);
    let engine = builder(&clock).open_on(SimDisk::new()).unwrap();
    clock.set_wall_nanos(BEGIN);
    assert_eq!(committed(&engine, made(BEGIN, "first")).time, LogTime::new(BEGIN));
    clock.set_wall_nanos(BEGIN + DAY);
    is_ahead(&engine, made(BEGIN + DAY, "second"));
}

#[test]
fn a_machine_that_slept_is_no_step() {
    let disk = SimDisk::new();
    let clock = SimClock::new(BEGIN, 0);
    let engine = builder(&clock).open_on(disk.clone()).unwrap();
    committed(&engine, made(BEGIN, "first"));
    // The monotonic clock counts it, too.
    clock.advance(Duration::from_secs(40 * 24 * 3600));
    let now = BEGIN + 40 * DAY;
    assert_eq!(committed(&engine, made(now, "second")).time, LogTime::new(now));
    // An opening has no monotonic clock to go by.
    engine.close().unwrap();
    clock.advance(Duration::from_secs(31 * 24 * 3600));
    let error = refusal(builder(&clock).open_on(disk));
    assert_eq!(error.kind(), ErrorKind::ClockJump, "{error}");
}
