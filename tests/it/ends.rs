//! The ends of ranges: numbers of entries, log time. Nothing panics, and what was promised is kept.

use crate::support::key;
use steadfast::{
    Background, Builder, Engine, Error, ErrorKind, Expect, IdempotencyKey, KeyStatus, Keyspace,
    LogTime, Mode, Request, Retry, Verdict,
    testing::{Choice, SimClock, SimDisk, SimEntropy},
};

const SUMS: Keyspace<u32, i64> = Keyspace::new("sums");
/// The first number that no entry gets: what is left is for the gaps after unclean ends.
const END: u64 = u64::MAX - (4 << 20);
/// The gap in the numbers after an unclean end.
const GAP: u64 = 1 << 20;
/// The clock is not believed past this time, in 2262.
const LAST_WALL: u64 = i64::MAX as u64;

fn builder(wall_nanos: u64) -> Builder {
    let clock = SimClock::new(wall_nanos, 1_000);
    let builder = Engine::builder().clock(clock).entropy(SimEntropy::new(3));
    builder.background(Background::Manual).accept_clock_jump(true)
}

fn open(disk: &SimDisk, first: u64) -> Engine {
    builder(1_700_000_000_000_000_000).first_seq(first).open_on(disk.clone()).unwrap()
}

fn add(name: &str) -> Request<String> {
    Request::new(key(name)).add(&SUMS, &1, 1, 0..=100).result(&name.to_owned())
}

/// Nothing more is decided, and everything else goes on.
fn assert_exhausted(engine: &Engine, sum: i64) {
    let before = engine.durable_seq();
    let errors = [
        engine.commit(add("new")).unwrap_err(),
        engine.submit(add("new")).wait().unwrap_err(),
        engine.try_submit(add("new")).unwrap().wait().unwrap_err(),
        engine.commit(Request::unkeyed().put(&SUMS, &2, &2, Expect::Any)).unwrap_err(),
        engine.fence(&key("new")).unwrap_err(),
        engine.set_mode(Mode::ReadWrite).unwrap_err(),
        engine.update(key("new"), &1, |_| Ok::<_, steadfast::Abort>(())).unwrap_err(),
    ];
    for error in errors {
        let advice = (error.kind(), error.retry());
        assert_eq!(advice, (ErrorKind::SequenceExhausted, Retry::Never), "{error}");
    }
    assert_eq!(engine.get(&SUMS, &1).unwrap().map_or(0, |record| record.value), sum);
    assert_eq!(engine.snapshot().range(&SUMS, ..).count(), usize::from(sum > 0));
    assert_eq!(engine.len(&SUMS).unwrap(), u64::from(sum > 0));
    for n in 0..sum {
        let name = n.to_string();
        assert!(engine.commit(add(&name)).unwrap().committed().unwrap().replayed);
        assert!(matches!(engine.resolve(&key(&name)).unwrap(), KeyStatus::Committed(_)));
        assert!(matches!(engine.fence(&key(&name)).unwrap(), KeyStatus::Committed(_)));
    }
    let never = engine.resolve(&key("new")).unwrap();
    assert!(matches!(never, KeyStatus::NotRemembered { .. }), "{never:?}");
    assert_eq!(engine.mode().unwrap(), Mode::ReadWrite);
    assert_eq!(engine.sync().unwrap(), before, "something was logged");
}

#[test]
fn entries_are_numbered_up_to_the_end_and_then_refused() {
    let disk = SimDisk::new();
    let engine = open(&disk, END - 3);
    assert_eq!((engine.durable_seq().get(), engine.len(&SUMS).unwrap()), (END - 4, 0));
    for n in 0..3 {
        let receipt = engine.commit(add(&n.to_string())).unwrap().committed().unwrap();
        assert_eq!(receipt.seq.get(), END - 3 + n);
        assert_eq!(engine.get(&SUMS, &1).unwrap().unwrap().version, receipt.version());
    }
    assert_exhausted(&engine, 3);
    engine.checkpoint().unwrap();
    assert_exhausted(&engine, 3);
    let report = engine.close().unwrap();
    assert_eq!(report.durable_seq.get(), END - 1);
    let engine = open(&disk, 1);
    assert_eq!(engine.recovery().verdict, Verdict::Clean);
    assert_eq!(engine.recovery().applied_seq.get(), END - 1);
    assert_exhausted(&engine, 3);
}

#[test]
fn a_group_that_is_being_filled_ends_with_the_numbers() {
    let engine = open(&SimDisk::new(), END - 2);
    let tickets = [0, 1, 2, 3].map(|n: u32| engine.submit(add(&n.to_string())));
    let kinds = tickets.map(|ticket| ticket.wait().err().map(|error| error.kind()));
    let exhausted = Some(ErrorKind::SequenceExhausted);
    assert_eq!(kinds, [None, None, exhausted, exhausted]);
    assert_exhausted(&engine, 2);
}

/// The gap after an unclean end takes what is left, and once nothing is left it takes nothing.
#[test]
fn unclean_ends_at_the_end_of_the_numbers_lose_nothing() {
    for checkpoints in [false, true] {
        let mut disk = SimDisk::new();
        let engine = open(&disk, END - GAP);
        engine.commit(add("0")).unwrap().committed().unwrap();
        drop(engine);
        // Dropped is closed.
        let engine = open(&disk, 1);
        engine.commit(add("1")).unwrap().committed().unwrap();
        disk = disk.after_power_cut(&Choice::None);
        let (mut engine, mut unclean) = (open(&disk, 1), 0);
        for _ in 0..9 {
            assert_eq!(engine.recovery().verdict, Verdict::Unclean);
            unclean += 1;
            assert_exhausted(&engine, 2);
            if checkpoints {
                engine.checkpoint().unwrap();
            }
            disk = disk.after_power_cut(&Choice::None);
            engine = open(&disk, 1);
        }
        assert_eq!(unclean, 9, "more than the gaps that fit");
        engine.close().unwrap();
        let engine = open(&disk, 1);
        assert_eq!(engine.recovery().verdict, Verdict::Clean);
        assert_exhausted(&engine, 2);
    }
}

#[test]
fn every_first_number_opens() {
    for first in [0, 1, 2, GAP, u64::MAX / 2, END - 1, END, END + 1, u64::MAX - 1, u64::MAX] {
        let disk = SimDisk::new();
        let mut engine = open(&disk, first);
        let sum = match engine.commit(add("0")) {
            Ok(outcome) => {
                assert_eq!(outcome.committed().unwrap().seq.get(), first.max(1));
                1
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::SequenceExhausted);
                0
            }
        };
        assert_eq!(sum, i64::from(first < END), "{first}");
        for _ in 0..3 {
            engine.checkpoint().unwrap();
            engine = open(&disk.after_power_cut(&Choice::None), first);
            assert_eq!(engine.get(&SUMS, &1).unwrap().map_or(0, |record| record.value), sum);
        }
    }
}

/// A creation that was cut off begins anew, with whatever number.
#[test]
fn a_half_made_database_with_a_high_number_is_no_damage() {
    let whole = SimDisk::new();
    open(&whole, END - 1).close().unwrap();
    let (calls, mut remade) = (whole.io_count(), 0);
    for call in 1..=calls {
        let disk = SimDisk::new();
        disk.assume_powersafe("checkpoint.redb");
        disk.crash_at(call);
        let opened = builder(1).first_seq(END - 1).open_on(disk.clone());
        let Err(_) = opened else { break };
        for choice in [Choice::None, Choice::All, Choice::Seeded(call)] {
            let engine = open(&disk.after_power_cut(&choice), 1);
            let seq = engine.commit(add("0")).map(|outcome| outcome.committed().unwrap().seq);
            match seq {
                Ok(seq) if seq.get() == 1 => remade += 1,
                Ok(seq) => assert_eq!(seq.get(), END - 1),
                // It was whole, but not marked as closed: then there is a gap.
                Err(error) => assert_eq!(error.kind(), ErrorKind::SequenceExhausted),
            }
        }
    }
    assert!(remade > 10, "{remade} creations began anew");
}

/// Past 2262 the clock is not believed; log time goes on by single nanoseconds.
#[test]
fn log_time_goes_on_where_the_clock_ends() {
    let disk = SimDisk::new();
    let open = || builder(u64::MAX).open_on(disk.clone()).unwrap();
    let mut engine = open();
    for n in 0..4 {
        let receipt = engine.commit(add(&n.to_string())).unwrap().committed().unwrap();
        assert_eq!(receipt.time.get(), LAST_WALL + n);
        engine.close().unwrap();
        engine = open();
    }
    // A key of any time is judged without an overflow.
    for millis in [0, LAST_WALL / 1_000_000, u64::MAX] {
        let timed = IdempotencyKey::time_ordered("test", millis, "k").unwrap();
        match engine.commit(Request::new(timed).put(&SUMS, &2, &2, Expect::Any)) {
            Ok(outcome) => drop(outcome.committed().unwrap()),
            Err(error) => assert_eq!((error.kind(), millis), (ErrorKind::KeyAhead, u64::MAX)),
        }
    }
}

#[test]
fn when_log_time_is_used_up_nothing_more_is_decided() {
    for retains in [false, true] {
        let disk = SimDisk::new();
        let open = |disk: &SimDisk| {
            let builder = builder(u64::MAX).begin_after(LogTime::new(u64::MAX - 4));
            let minute = std::time::Duration::from_secs(60);
            let builder = if retains { builder.remember_outcomes_for(minute) } else { builder };
            builder.open_on(disk.clone()).unwrap()
        };
        let engine = open(&disk);
        for n in 0..3 {
            let receipt = engine.commit(add(&n.to_string())).unwrap().committed().unwrap();
            assert_eq!((receipt.seq.get(), receipt.time.get()), (n + 1, u64::MAX - 3 + n));
        }
        assert_exhausted(&engine, 3);
        let timed = IdempotencyKey::time_ordered("test", u64::MAX, "k").unwrap();
        let refused = engine.commit(Request::new(timed).put(&SUMS, &2, &2, Expect::Any));
        assert!(matches!(refused, Err(Error::SequenceExhausted)), "{refused:?}");
        engine.checkpoint().unwrap();
        let disk = disk.after_power_cut(&Choice::None);
        let engine = open(&disk);
        assert_exhausted(&engine, 3);
        engine.close().unwrap();
        assert_exhausted(&open(&disk), 3);
    }
}
