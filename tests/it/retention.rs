//! How long outcomes are remembered: whole, as stubs, not at all; in memory, in the checkpoint, and after every opening.

mod lives;

use crate::support::key;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use steadfast::{
    Background, Builder, Engine, Error, ErrorKind, Expect, IdempotencyKey, KeyStatus, Keyspace,
    LogTime, Outcome, OutcomeClass, Rejection, Request, Retry, Ticket,
    testing::{Choice, Repeat, SimClock, SimDisk},
};

const SUMS: Keyspace<u32, i64> = Keyspace::new("sums");
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// When all of this begins: some day in 2023.
const BEGIN: u64 = 1_700_000_000_000_000_000;

/// A database on a simulated machine.
struct Subject {
    disk: SimDisk,
    clock: SimClock,
    engine: Engine,
}

/// What happens between two looks: nothing, a checkpoint, or that and an opening, or an opening alone.
const BETWEEN: [fn(&mut Subject); 4] = [
    |_| (),
    |s| s.engine.checkpoint().unwrap(),
    |s| {
        s.engine.checkpoint().unwrap();
        s.reopen();
    },
    Subject::reopen,
];

fn builder(clock: &SimClock) -> Builder {
    Engine::builder().clock(clock.clone()).background(Background::Manual).accept_clock_jump(true)
}

impl Subject {
    fn new() -> Self {
        let (disk, clock) = (SimDisk::new(), SimClock::new(BEGIN, 1_000));
        let engine = builder(&clock).open_on(disk.clone()).unwrap();
        Self { disk, clock, engine }
    }

    /// Opens again, which verifies every digest, after a power cut.
    fn reopen(&mut self) {
        self.reopen_as(|builder| builder);
    }

    fn reopen_as(&mut self, set: impl FnOnce(Builder) -> Builder) {
        let disk = self.disk.after_power_cut(&steadfast::testing::Choice::None);
        self.engine = set(builder(&self.clock)).open_on(disk.clone()).unwrap();
        self.disk = disk;
    }

    fn passes(&self, time: Duration) {
        self.clock.advance(time);
        // Time passes with what is logged.
        let tick = Request::unkeyed().add(&SUMS, &999, 1, 0..=i64::MAX);
        self.engine.commit(tick).unwrap().committed().unwrap();
    }

    /// Adds to a record under a key; the sum tells whether that was done twice.
    fn add(&self, key: &IdempotencyKey) -> Result<Outcome<String>, Error> {
        self.engine.commit(add(key))
    }

    fn sum(&self) -> i64 {
        self.engine.get(&SUMS, &1).unwrap().map_or(0, |record| record.value)
    }
}

fn add(key: &IdempotencyKey) -> Request<String> {
    Request::new(key.clone()).add(&SUMS, &1, 1, 0..=100).result(&"added".to_owned())
}

#[test]
fn an_outcome_is_told_for_three_days_then_only_that_it_was_decided_then_nothing() {
    for between in BETWEEN {
        let mut subject = Subject::new();
        let done = key("done");
        let receipt = subject.add(&done).unwrap().committed().unwrap();
        let refused = key("refused");
        let request = || Request::new(refused.clone()).put(&SUMS, &2, &2, Expect::Present);
        assert!(matches!(subject.engine.commit(request()), Ok(Outcome::Rejected(_))));
        subject.engine.fence(&key("fenced")).unwrap();
        between(&mut subject);

        subject.passes(DAY * 3 - HOUR);
        between(&mut subject);
        let again = subject.add(&done).unwrap().committed().unwrap();
        assert_eq!(
            (again.seq, again.time, &again.result[..], again.replayed),
            (receipt.seq, receipt.time, "added", true)
        );
        assert!(matches!(
            subject.engine.commit(request()),
            Ok(Outcome::Rejected(Rejection::Expectation(_)))
        ));

        // Nine hours later at most.
        subject.passes(HOUR * 11);
        between(&mut subject);
        let error = subject.add(&done).unwrap_err();
        let Error::AlreadyDecided { class, seq, time } = error else { panic!("{error}") };
        assert_eq!((class, seq, time), (OutcomeClass::Committed, receipt.seq, receipt.time));
        let error = subject.engine.commit(request()).unwrap_err();
        assert!(
            matches!(error, Error::AlreadyDecided { class: OutcomeClass::Rejected, .. }),
            "{error}"
        );
        let other = Request::new(done.clone()).put(&SUMS, &3, &3, Expect::Any);
        let error = subject.engine.commit(other).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::KeyReused, Retry::Resolve));
        assert_eq!(subject.add(&key("fenced")).unwrap_err().kind(), ErrorKind::Fenced);
        let status = subject.engine.resolve(&done).unwrap();
        assert!(matches!(status, KeyStatus::Stub { class: OutcomeClass::Committed, .. }));
        assert!(matches!(
            subject.engine.resolve(&key("fenced")).unwrap(),
            KeyStatus::Fenced { .. }
        ));
        assert_eq!(subject.sum(), 1);
        let window = subject.engine.window();
        assert_eq!(
            (window.outcomes, window.stubs, window.bytes, window.horizon),
            (0, 3, 159, None)
        );

        subject.passes(DAY * 396);
        between(&mut subject);
        assert_eq!(subject.add(&done).unwrap_err().kind(), ErrorKind::AlreadyDecided);
        // 50 days later at most.
        subject.passes(DAY * 60);
        between(&mut subject);
        let window = subject.engine.window();
        assert_eq!((window.outcomes, window.stubs, window.bytes), (0, 0, 0));
        assert!(window.horizon.is_some_and(|horizon| horizon >= receipt.time));
        let status = subject.engine.resolve(&done).unwrap();
        assert!(matches!(status, KeyStatus::NotRemembered { horizon: Some(_) }), "{status:?}");
        let anew = subject.add(&done).unwrap().committed().unwrap();
        assert!(!anew.replayed && anew.seq > receipt.seq);
        assert_eq!(subject.sum(), 2);
        between(&mut subject);
        let again = subject.add(&done).unwrap().committed().unwrap();
        assert_eq!((again.seq, again.replayed), (anew.seq, true));
        subject.engine.checkpoint().unwrap();
        subject.reopen();
        assert!(subject.add(&done).unwrap().committed().unwrap().replayed);
        assert_eq!(subject.sum(), 2);
    }
}

fn poll<T>(ticket: &mut Ticket<T>) -> Poll<Result<Outcome<T>, Error>> {
    Pin::new(ticket).poll(&mut Context::from_waker(Waker::noop()))
}

/// What a crash can take back is not told.
#[test]
fn that_only_a_stub_is_left_is_told_once_that_is_durable() {
    for failing in [false, true] {
        let subject = Subject::new();
        let (done, fenced) = (key("done"), key("fenced"));
        let receipt = subject.add(&done).unwrap().committed().unwrap();
        subject.engine.fence(&fenced).unwrap();
        subject.clock.advance(DAY * 4);
        assert!(matches!(subject.engine.resolve(&done), Ok(KeyStatus::Committed(_))));
        // This entry takes the steps, and is not written yet.
        let tick = Request::unkeyed().add(&SUMS, &999, 1, 0..=i64::MAX);
        let mut tick = subject.engine.submit(tick);
        let mut retry = subject.engine.submit(add(&done));
        let other = Request::new(done.clone()).put(&SUMS, &3, &3, Expect::Any);
        let mut other = subject.engine.submit(other);
        assert!(poll(&mut tick).is_pending());
        assert!(poll(&mut retry).is_pending(), "a crash now gives the whole outcome back");
        assert!(poll(&mut other).is_pending());
        // A fence is one, whole or as a stub.
        let error = subject.engine.submit(add(&fenced)).wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fenced);
        let whole = |disk: SimDisk| {
            let engine = builder(&subject.clock).open_on(disk).unwrap();
            let again = engine.commit(add(&done)).unwrap().committed().unwrap();
            assert_eq!((again.seq, again.replayed), (receipt.seq, true));
            assert_eq!(again.result, "added");
        };
        whole(subject.disk.after_power_cut(&Choice::None));
        let fails = subject.disk.io_count() + 1;
        if failing {
            subject.disk.fail_call(fails, std::io::ErrorKind::Other, Repeat::Once);
        }
        assert!(subject.engine.run_background_step().unwrap());
        let (retry, other) = (poll(&mut retry), poll(&mut other));
        let (Poll::Ready(Err(retry)), Poll::Ready(Err(other))) = (retry, other) else {
            panic!("they were not answered")
        };
        let status = subject.engine.resolve(&done);
        if failing {
            assert_eq!((retry.kind(), other.kind()), (ErrorKind::Poisoned, ErrorKind::Poisoned));
            assert!(matches!(status, Err(Error::Poisoned { .. })), "{status:?}");
            assert_eq!(subject.add(&done).unwrap_err().kind(), ErrorKind::Poisoned);
            whole(subject.disk.after_power_cut(&Choice::None));
        } else {
            assert_eq!(retry.kind(), ErrorKind::AlreadyDecided);
            assert_eq!(other.kind(), ErrorKind::KeyReused);
            assert!(matches!(status, Ok(KeyStatus::Stub { .. })), "{status:?}");
        }
    }
}

/// Whoever asks what a key stands for waits for that, too.
#[test]
fn a_stub_is_resolved_once_it_is_durable() {
    let subject = Subject::new();
    let receipt = subject.add(&key("done")).unwrap().committed().unwrap();
    subject.clock.advance(DAY * 4);
    drop(subject.engine.submit(Request::unkeyed().add(&SUMS, &999, 1, 0..=i64::MAX)));
    assert_eq!(subject.engine.durable_seq(), receipt.seq);
    let status = subject.engine.resolve(&key("done")).unwrap();
    assert!(matches!(status, KeyStatus::Stub { .. }), "{status:?}");
    assert!(subject.engine.durable_seq() > receipt.seq, "it was told before");
}

#[test]
fn a_key_that_says_when_it_was_made_is_never_carried_out_twice() {
    let mut subject = Subject::new();
    let millis = |after: Duration| BEGIN / 1_000_000 + after.as_millis() as u64;
    let made = |after| IdempotencyKey::time_ordered("test", millis(after), "k").unwrap();
    let uuid = |after| {
        let uuid = u128::from(millis(after)) << 80 | 7 << 76 | 2 << 62 | 99;
        IdempotencyKey::from_uuid("test", uuid).unwrap()
    };
    for key in [made(Duration::ZERO), uuid(Duration::ZERO)] {
        assert!(!subject.add(&key).unwrap().committed().unwrap().replayed);
    }
    // As wrong as a clock may be, it is still one key.
    let early = made(Duration::from_secs(599));
    subject.add(&early).unwrap().committed().unwrap();
    let error = subject.add(&made(Duration::from_secs(602))).unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::KeyAhead, Retry::NewKey));
    assert_eq!(subject.sum(), 3);

    subject.passes(DAY * 470);
    subject.passes(DAY);
    subject.engine.checkpoint().unwrap();
    subject.reopen();
    let horizon = subject.engine.window().horizon.unwrap();
    for key in [made(Duration::ZERO), uuid(Duration::ZERO), early, made(Duration::from_secs(600))] {
        let error = subject.add(&key).unwrap_err();
        assert!(
            matches!(error, Error::KeyExpired { horizon: told, .. } if told == horizon),
            "{error}"
        );
        assert_eq!(error.retry(), Retry::NewKey);
        assert_eq!(subject.engine.fence(&key).unwrap_err().kind(), ErrorKind::KeyExpired);
    }
    assert_eq!(subject.sum(), 3);
    // What is younger than all that is forgotten is new.
    subject.add(&made(DAY * 469)).unwrap().committed().unwrap();
    assert_eq!(subject.sum(), 4);
    assert_eq!(made(DAY).made_at(), Some(LogTime::new(BEGIN + DAY.as_nanos() as u64)));
}

#[test]
fn keys_can_be_required_to_say_when_they_were_made() {
    let mut subject = Subject::new();
    subject.add(&key("old")).unwrap().committed().unwrap();
    subject.reopen_as(|builder| builder.require_time_ordered_keys(true));
    assert!(
        subject.add(&key("old")).unwrap().committed().unwrap().replayed,
        "it is still answered"
    );
    let error = subject.add(&key("new")).unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::KeyUntimed, Retry::NewKey));
    let timed = IdempotencyKey::time_ordered("test", BEGIN / 1_000_000, "new").unwrap();
    subject.add(&timed).unwrap().committed().unwrap();
    // A UUID of another version says nothing.
    let random = IdempotencyKey::from_uuid("test", 4 << 76 | 2 << 62 | 99).unwrap();
    assert_eq!(subject.add(&random).unwrap_err().kind(), ErrorKind::KeyUntimed);
    assert_eq!(subject.sum(), 2);
}

#[test]
fn a_full_window_refuses_new_keys_and_forgets_nothing_early() {
    let mut subject = Subject::new();
    subject.reopen_as(|builder| {
        builder.window_limit_bytes(1000).remember_outcomes_for(HOUR).remember_keys_for(HOUR * 8)
    });
    let keys: Vec<_> = (0..20).map(|n| key(&format!("key {n}"))).collect();
    let taken = keys.iter().take_while(|key| subject.add(key).is_ok()).count();
    assert!((5..15).contains(&taken), "{taken}");
    let error = subject.add(&keys[taken]).unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Limit, Retry::SameKey), "{error}");
    assert!(error.to_string().contains("remembered outcomes"), "{error}");
    assert_eq!(subject.engine.fence(&keys[taken]).unwrap_err().kind(), ErrorKind::Limit);
    for key in &keys[..taken] {
        assert!(subject.add(key).unwrap().committed().unwrap().replayed);
    }
    assert_eq!(subject.sum(), taken as i64);
    // Nobody writes anything, and yet there is room once the outcomes are old enough.
    subject.clock.advance(HOUR + HOUR / 8);
    subject.add(&keys[taken]).unwrap().committed().unwrap();
    assert_eq!(subject.add(&keys[0]).unwrap_err().kind(), ErrorKind::AlreadyDecided);
    subject.reopen();
    assert_eq!(subject.sum(), taken as i64 + 1);
}

#[test]
fn a_scope_that_fills_its_share_disturbs_no_other() {
    let mut subject = Subject::new();
    let limited = |builder: Builder| {
        builder.scope_limit_bytes(500).remember_outcomes_for(HOUR).remember_keys_for(HOUR * 8)
    };
    subject.reopen_as(limited);
    let of = |scope: &str, n: usize| IdempotencyKey::new(scope, n.to_be_bytes()).unwrap();
    let taken = (0..20).take_while(|n| subject.add(&of("greedy", *n)).is_ok()).count();
    assert!((3..8).contains(&taken), "{taken}");
    for reopened in [false, true] {
        if reopened {
            // Counted again from the checkpoint and the log.
            subject.engine.checkpoint().unwrap();
            subject.add(&of("other", 1)).unwrap().committed().unwrap();
            subject.reopen_as(limited);
        }
        let error = subject.add(&of("greedy", taken)).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Limit, Retry::SameKey), "{error}");
        assert!(error.to_string().contains("for the scope"), "{error}");
        assert!(subject.add(&of("greedy", 0)).unwrap().committed().unwrap().replayed);
        subject.add(&of("modest", usize::from(reopened))).unwrap().committed().unwrap();
    }
    // Nobody else writes anything, and yet there is room once its outcomes are old enough.
    subject.clock.advance(HOUR * 2);
    subject.add(&of("greedy", taken)).unwrap().committed().unwrap();
}

#[test]
fn equal_keys_of_two_scopes_are_two_keys_whatever_is_left_of_them() {
    let mut subject = Subject::new();
    let of = |scope: &str| IdempotencyKey::new(scope, "1").unwrap();
    subject.add(&of("a")).unwrap().committed().unwrap();
    subject.passes(DAY * 4);
    subject.passes(DAY);
    subject.engine.checkpoint().unwrap();
    subject.reopen();
    assert_eq!(subject.add(&of("a")).unwrap_err().kind(), ErrorKind::AlreadyDecided);
    assert!(!subject.add(&of("b")).unwrap().committed().unwrap().replayed);
}

/// Rows are rewritten a piece at a time; at every moment, and after an opening at any, the state is the same.
#[test]
fn tables_are_brought_up_to_date_piece_by_piece() {
    let mut subject = Subject::new();
    let keys: Vec<_> =
        (0..20_000).map(|n: u32| IdempotencyKey::new("many", n.to_be_bytes()).unwrap()).collect();
    for (n, key) in keys.iter().enumerate() {
        let request = Request::new(key.clone()).put(&SUMS, &(n as u32 % 50), &1, Expect::Any);
        drop(subject.engine.submit(request));
    }
    subject.engine.checkpoint().unwrap();
    assert_eq!(subject.engine.recovery().checkpoint_stubs, 0);
    subject.passes(DAY * 4);
    let decided = |subject: &Subject, expected: ErrorKind| {
        for n in [0, 1, 7_777, 12_345, 19_999] {
            let request =
                Request::new(keys[n].clone()).put(&SUMS, &(n as u32 % 50), &1, Expect::Any);
            assert_eq!(subject.engine.commit(request).unwrap_err().kind(), expected);
        }
    };
    for _ in 0..8 {
        decided(&subject, ErrorKind::AlreadyDecided);
        subject.engine.checkpoint().unwrap();
        let report = {
            subject.reopen();
            subject.engine.recovery().clone()
        };
        assert_eq!((report.checkpoint_window_entries, report.checkpoint_stubs), (0, 20_000));
    }
    subject.passes(DAY * 460);
    for _ in 0..8 {
        subject.engine.checkpoint().unwrap();
        subject.reopen();
        assert_eq!(subject.engine.recovery().checkpoint_stubs, 0);
        let status = subject.engine.resolve(&keys[7]).unwrap();
        assert!(matches!(status, KeyStatus::NotRemembered { .. }));
    }
    let window = subject.engine.window();
    assert!(
        window.filter_bytes < 1 << 16,
        "an opening knows of no key that is forgotten: {window:?}"
    );
}

#[test]
fn the_filter_lets_go_of_what_is_forgotten() {
    let subject = Subject::new();
    for n in 0..40_000u32 {
        let key = IdempotencyKey::new("many", n.to_be_bytes()).unwrap();
        drop(subject.engine.submit(Request::new(key).put(&SUMS, &1, &1, Expect::Any)));
    }
    subject.engine.checkpoint().unwrap();
    let before = subject.engine.window().filter_bytes;
    subject.passes(DAY * 4);
    subject.passes(DAY * 460);
    subject.add(&key("kept")).unwrap().committed().unwrap();
    subject.engine.checkpoint().unwrap();
    while subject.engine.run_background_step().unwrap() {}
    let after = subject.engine.window().filter_bytes;
    assert!(after * 2 < before, "{before} bytes, then {after}");
    assert!(subject.add(&key("kept")).unwrap().committed().unwrap().replayed);
    subject.add(&key("new")).unwrap().committed().unwrap();
}

#[test]
fn a_clock_that_jumps_takes_nothing_with_it() {
    let mut subject = Subject::new();
    let done = key("done");
    subject.add(&done).unwrap().committed().unwrap();
    // Set wrong by ten years while the engine runs.
    subject.clock.set_wall_nanos(BEGIN + 3650 * DAY.as_nanos() as u64);
    subject.add(&key("other")).unwrap().committed().unwrap();
    assert!(subject.add(&done).unwrap().committed().unwrap().replayed);
    // And while it opens: refused, and nothing is changed.
    let disk = subject.disk.after_power_cut(&steadfast::testing::Choice::None);
    let before = disk.digest();
    let plain = || builder(&subject.clock).accept_clock_jump(false);
    let error = crate::support::refusal(plain().open_on(disk.clone()));
    assert!(matches!(error, Error::ClockJump { .. }), "{error}");
    assert_eq!(error.retry(), Retry::Never);
    assert_eq!(disk.digest(), before);
    subject.clock.set_wall_nanos(BEGIN + 29 * DAY.as_nanos() as u64);
    drop(plain().open_on(disk).unwrap());
    // Whoever knows better says so.
    subject.clock.set_wall_nanos(BEGIN + 3650 * DAY.as_nanos() as u64);
    subject.reopen();
    subject.passes(HOUR);
    assert_eq!(subject.add(&done).unwrap().committed().map(|receipt| receipt.replayed), Ok(false));
}

/// As long as there is no entry, any clock is believed; then one that is up to thirty days past the last.
#[test]
fn a_clock_is_believed_for_thirty_days() {
    let (disk, clock) = (SimDisk::new(), SimClock::new(BEGIN, 0));
    let open = || {
        let builder = Engine::builder().clock(clock.clone()).background(Background::Manual);
        builder.open_on(disk.clone())
    };
    drop(open().unwrap());
    clock.advance(DAY * 3650);
    drop(open().unwrap());
    clock.set_wall_nanos(BEGIN);
    let engine = open().unwrap();
    let last = engine.commit(add(&key("one"))).unwrap().committed().unwrap().time;
    drop(engine);
    let most = last.get() + 30 * DAY.as_nanos() as u64;
    clock.set_wall_nanos(most + 1);
    let error = crate::support::refusal(open());
    let now = LogTime::new(most + 1);
    assert!(
        matches!(error, Error::ClockJump { last: l, now: n, .. } if (l, n) == (last, now)),
        "{error}"
    );
    clock.set_wall_nanos(most);
    drop(open().unwrap());
}

/// What an entry forgot that never reached the disk is not forgotten, and nobody is told so.
#[test]
fn a_failed_write_forgets_nothing() {
    let subject = Subject::new();
    let made = IdempotencyKey::time_ordered("test", BEGIN / 1_000_000, "k").unwrap();
    subject.add(&made).unwrap().committed().unwrap();
    subject.passes(DAY * 4);
    subject.clock.advance(DAY * 470);
    subject.disk.crash_at(subject.disk.io_count() + 1);
    let tick = Request::unkeyed().add(&SUMS, &999, 1, 0..=i64::MAX);
    assert!(subject.engine.commit(tick).is_err());
    assert_eq!(subject.engine.resolve(&made).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(subject.add(&made).unwrap_err().kind(), ErrorKind::Poisoned);
}
