//! One outcome for a key: what is remembered and what is not, what `update` does with what it read, and tickets.

mod closing;
mod tickets;

use crate::support::{assert_healthy, key};
use std::{
    cell::Cell,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
};
use steadfast::{
    Abort, Background, Conflict, Differs, Engine, Error, ErrorKind, Expect, Keyspace, Outcome,
    OutcomeClass, Receipt, Rejection, Request, Retry, Ticket, Version, testing::MemoryDisk,
};

const WORDS: Keyspace<String, String> = Keyspace::new("words");
const SUMS: Keyspace<u32, i64> = Keyspace::new("sums");

fn manual(disk: &MemoryDisk) -> Engine {
    Engine::builder().background(Background::Manual).open_on(disk.clone()).unwrap()
}

fn put(name: &str, word: &str, expect: impl Into<Expect>) -> Request {
    Request::new(key(name)).put(&WORDS, "w", &word.to_owned(), expect)
}

fn committed<T>(outcome: Result<Outcome<T>, Error>) -> Receipt<T> {
    outcome.unwrap().committed().unwrap()
}

fn conflict<T: std::fmt::Debug, R: std::fmt::Debug>(
    outcome: Result<Outcome<T, R>, Error>,
) -> Box<Conflict> {
    match outcome.unwrap() {
        Outcome::Rejected(Rejection::Conflict(conflict)) => conflict,
        other => panic!("{other:?}"),
    }
}

/// Runs `check` now, with everything in the checkpoint, and after closing and opening.
fn in_every_place(disk: &MemoryDisk, mut engine: Engine, check: impl Fn(&Engine)) {
    for round in 0..4 {
        check(&engine);
        if round % 2 == 0 {
            engine.checkpoint().unwrap();
        } else {
            engine.close().unwrap();
            engine = manual(disk);
        }
    }
}

#[test]
fn a_commit_is_remembered_byte_for_byte() {
    let disk = MemoryDisk::new();
    let engine = manual(&disk);
    let full = || put("full", "x", Expect::Absent).result(&("result".to_owned(), vec![1u8, 2, 3]));
    let large = || {
        let request = Request::new(key("large")).add(&SUMS, &1, 1, 0..=1);
        request.result(&"r".repeat(65_000))
    };
    // Nothing to do is also something that was done.
    let nothing = || Request::new(key("nothing")).delete(&WORDS, "missing", Expect::Any);
    let check = || Request::new(key("check")).check(&WORDS, "missing", Expect::Absent);
    let first = (
        committed(engine.commit(full())),
        committed(engine.commit(large())),
        committed(engine.commit(nothing())),
        committed(engine.commit(check())),
    );
    assert_eq!(
        [first.0.seq, first.1.seq, first.2.seq, first.3.seq].map(|seq| seq.get()),
        [1, 2, 3, 4]
    );
    assert!(!(first.0.replayed || first.1.replayed || first.2.replayed || first.3.replayed));
    // Whatever happens to the records.
    committed(engine.commit(Request::unkeyed().put(&WORDS, "missing", &"now".into(), Expect::Any)));
    committed(engine.commit(Request::unkeyed().delete(&WORDS, "w", Expect::Present)));
    let state = engine.durable_seq();
    in_every_place(&disk, engine, |engine| {
        let again = committed(engine.commit(full()));
        assert_eq!((again.seq, again.time, again.replayed), (first.0.seq, first.0.time, true));
        assert_eq!(again.result, first.0.result);
        assert_eq!(committed(engine.submit(large()).wait()).result, first.1.result);
        assert_eq!(committed(engine.commit(nothing())).seq, first.2.seq);
        assert_eq!(committed(engine.commit(check())).time, first.3.time);
        assert_eq!(engine.durable_seq(), state, "a retry was logged");
    });
}

#[test]
fn a_refusal_is_remembered_with_what_it_met() {
    let disk = MemoryDisk::new();
    let engine = manual(&disk);
    let there = committed(engine.commit(put("there", "first", Expect::Any).actor("alice")));
    committed(engine.commit(Request::unkeyed().add(&SUMS, &1, 5, 0..=9)));
    let requests: [fn() -> Request; 3] = [
        || put("not absent", "second", Expect::Absent),
        || Request::new(key("not present")).delete(&WORDS, "missing", Expect::Present),
        || Request::new(key("bounds")).add(&SUMS, &1, 5, 0..=9),
    ];
    let reject = |engine: &Engine| {
        engine.update(key("closure"), &1, |_| Err::<(), _>(Abort::Reject("no".to_owned()))).unwrap()
    };
    let first: Vec<_> = requests.iter().map(|request| engine.commit(request()).unwrap()).collect();
    match &first[0] {
        Outcome::Rejected(Rejection::Expectation(unmet)) => {
            assert_eq!(unmet.keyspace, "words");
            assert_eq!(&unmet.key[..1], b"w");
            let found = unmet.found.as_ref().unwrap();
            assert_eq!((found.version, found.time), (there.version(), there.time));
            assert_eq!(&found.actor[..], b"alice");
        }
        other => panic!("{other:?}"),
    }
    match &first[1] {
        Outcome::Rejected(Rejection::Expectation(unmet)) => assert_eq!(unmet.found, None),
        other => panic!("{other:?}"),
    }
    match &first[2] {
        Outcome::Rejected(Rejection::OutOfBounds(bounds)) => {
            assert_eq!((bounds.current, bounds.delta, bounds.bounds), (5, 5, (0, 9)));
            assert_eq!(bounds.version.map(Version::get), Some(2));
        }
        other => panic!("{other:?}"),
    }
    let rejected = reject(&engine);
    assert!(matches!(&rejected, Outcome::Rejected(Rejection::Procedure(text)) if text == "no"));
    for outcome in &first {
        let rejection = outcome.clone().committed().unwrap_err();
        assert_eq!(rejection.retry(), Retry::NewKey);
        let error = Error::from(rejection);
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Rejected, Retry::NewKey));
        assert!(error.to_string().contains("new key"), "{error}");
    }
    // Now everything they met is otherwise, and they would be carried out.
    committed(engine.commit(Request::unkeyed().delete(&WORDS, "w", Expect::Any)));
    committed(engine.commit(Request::unkeyed().put(&WORDS, "missing", &"".into(), Expect::Any)));
    committed(engine.commit(Request::unkeyed().put(&SUMS, &1, &0, Expect::Any)));
    let state = engine.durable_seq();
    in_every_place(&disk, engine, |engine| {
        for (request, first) in requests.iter().zip(&first) {
            assert_eq!(engine.commit(request()).unwrap(), *first);
        }
        let again = engine.update(key("closure"), &1, |_| -> Result<(), Abort<String>> {
            panic!("the answer is known")
        });
        assert_eq!(again.unwrap(), rejected);
        assert_eq!(engine.durable_seq(), state);
        assert_eq!(engine.get(&WORDS, "w").unwrap(), None);
    });
}

#[test]
fn a_refusal_without_a_key_is_not_logged() {
    let engine = Engine::in_memory().unwrap();
    let absent = Request::unkeyed().delete(&WORDS, "w", Expect::Present);
    assert!(matches!(engine.commit(absent).unwrap(), Outcome::Rejected(Rejection::Expectation(_))));
    assert_eq!(engine.durable_seq().get(), 0);
    assert!(engine.commit(put("x", "y", Expect::Present)).unwrap().committed().is_err());
    assert_eq!(engine.durable_seq().get(), 1, "a refusal under a key is");
    assert!(engine.keyspaces().is_empty());
}

#[test]
fn a_conflict_is_not_remembered_and_shows_the_record() {
    let disk = MemoryDisk::new();
    let engine = manual(&disk);
    let first = committed(engine.commit(put("one", "first", Expect::Absent).actor("alice")));
    let second = committed(engine.commit(put("two", "second", first.version()).actor("bob")));
    let stale = |engine: &Engine| engine.commit(put("three", "third", first.version()));
    in_every_place(&disk, engine.clone(), |engine| {
        let before = engine.durable_seq();
        let conflict = conflict(stale(engine));
        assert_eq!(conflict.keyspace(), "words");
        assert_eq!(
            (conflict.expected(), conflict.found()),
            (Some(first.version()), Some(second.version()))
        );
        assert!(conflict.is_about(&WORDS, "w") && !conflict.is_about(&WORDS, "v"));
        assert!(!conflict.is_about(&SUMS, &1));
        let record = conflict.current(&WORDS).unwrap().unwrap();
        assert_eq!(Some(&record), engine.get(&WORDS, "w").unwrap().as_ref());
        assert_eq!((record.value.as_str(), record.version), ("second", second.version()));
        assert_eq!((record.created, record.time), (first.version(), second.time));
        assert_eq!(&record.actor[..], b"bob");
        assert_eq!(conflict.current(&SUMS).unwrap_err().kind(), ErrorKind::Codec);
        let rejection = stale(engine).unwrap().committed().unwrap_err();
        assert_eq!(rejection.retry(), Retry::AfterRefresh);
        assert!(rejection.to_string().contains("refresh and retry under the same key"));
        assert_eq!(engine.durable_seq(), before, "a conflict was logged");
    });
    // The last of those engines was dropped. After refreshing, the same key does it.
    let engine = manual(&disk);
    let record = conflict(stale(&engine)).current(&WORDS).unwrap().unwrap();
    assert!(!committed(engine.commit(put("three", "third", record.version))).replayed);
    // And now it is remembered, although its own success made the expectation stale.
    assert!(committed(engine.commit(put("three", "third", record.version))).replayed);
    // But with the stale expectation it is another request.
    match stale(&engine).unwrap_err() {
        Error::KeyReused { differs, .. } => assert_eq!(differs, Differs::Expectations),
        other => panic!("{other}"),
    }
}

#[test]
fn a_record_that_is_gone_conflicts_and_never_comes_back_at_its_version() {
    let engine = Engine::in_memory().unwrap();
    let first = committed(engine.commit(put("one", "first", Expect::Absent)));
    committed(engine.commit(Request::unkeyed().delete(&WORDS, "w", first.version())));
    let gone = conflict(engine.commit(put("two", "second", first.version())));
    assert_eq!((gone.found(), gone.current(&WORDS).unwrap()), (None, None));
    committed(engine.commit(put("again", "first", Expect::Absent)));
    assert!(conflict(engine.commit(put("two", "second", first.version()))).found().is_some());
}

#[test]
fn a_conflict_wins_over_other_failures() {
    let engine = Engine::in_memory().unwrap();
    let first = committed(engine.commit(put("one", "first", Expect::Absent)));
    committed(engine.commit(put("two", "second", first.version())));
    let request = || {
        Request::new(key("both"))
            .check(&WORDS, "missing", Expect::Present)
            .add(&SUMS, &1, 100, 0..=1)
            .check(&WORDS, "w", first.version())
    };
    conflict(engine.commit(request()));
    assert_eq!(engine.durable_seq().get(), 2);
    // A version from the future wins over a conflict, and what is remembered over everything.
    let future = request().check(&WORDS, "w", Version::new(99));
    assert_eq!(engine.commit(future).unwrap_err().kind(), ErrorKind::FutureVersion);
    let replay = engine.commit(put("two", "second", first.version()));
    assert!(committed(replay).replayed);
    // Expectations come before bounds, in the order of the operations.
    let unmet = Request::new(key("unmet"))
        .add(&SUMS, &1, 100, 0..=1)
        .check(&WORDS, "missing", Expect::Present)
        .check(&WORDS, "w", Expect::Absent);
    match engine.commit(unmet).unwrap() {
        Outcome::Rejected(Rejection::Expectation(unmet)) => assert_eq!(unmet.found, None),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_is_carried_out_whole_or_not_at_all() {
    let engine = Engine::in_memory().unwrap();
    let request = Request::new(key("all"))
        .put(&WORDS, "a", &"a".into(), Expect::Absent)
        .add(&SUMS, &1, 1, 0..=9)
        .add(&SUMS, &2, 10, 0..=9);
    assert!(engine.commit(request).unwrap().committed().is_err());
    assert_eq!((engine.get(&WORDS, "a").unwrap(), engine.get(&SUMS, &1).unwrap()), (None, None));
    // Additions within one request see each other; expectations all see the state before.
    let request = Request::new(key("sums"))
        .add(&SUMS, &1, 6, 0..=9)
        .add(&SUMS, &1, -4, 0..=9)
        .check(&SUMS, &1, Expect::Absent);
    committed(engine.commit(request));
    assert_eq!(engine.get(&SUMS, &1).unwrap().unwrap().value, 2);
    let over = Request::new(key("over")).add(&SUMS, &1, i64::MAX, i64::MIN..=i64::MAX);
    assert!(matches!(engine.commit(over).unwrap(), Outcome::Rejected(Rejection::OutOfBounds(_))));
}

#[test]
fn a_key_stands_for_one_intent() {
    let disk = MemoryDisk::new();
    let engine = manual(&disk);
    let plain = || put("plain", "x", Expect::Any);
    let meant = || put("meant", "x", Expect::Any).intent(&("buy", 3));
    let first = committed(engine.commit(plain()));
    committed(engine.commit(meant()));
    in_every_place(&disk, engine, |engine| {
        let before = engine.durable_seq();
        // What is not the client's does not count.
        assert!(committed(engine.commit(plain().actor("someone").correlation("flow"))).replayed);
        let other = put("meant", "computed", Expect::Any).intent(&("buy", 3)).actor("b");
        assert!(committed(engine.commit(other)).replayed);
        let reused = [
            (put("plain", "y", Expect::Any), Differs::Operations),
            (plain().check(&WORDS, "v", Expect::Any), Differs::Operations),
            (put("plain", "x", Expect::Absent), Differs::Expectations),
            (put("plain", "x", Version::new(1)), Differs::Expectations),
            (plain().intent(&1), Differs::Kind),
            (put("meant", "x", Expect::Any), Differs::Kind),
            (put("meant", "x", Expect::Any).intent(&("buy", 4)), Differs::Intent),
        ];
        for (request, expected) in reused {
            let error = engine.commit(request).unwrap_err();
            assert_eq!((error.kind(), error.retry()), (ErrorKind::KeyReused, Retry::Resolve));
            let text = error.to_string();
            assert!(text.contains("new key") && text.contains(&format!("{expected:?}")), "{text}");
            let Error::KeyReused { class, differs, seq, time } = error else { unreachable!() };
            assert_eq!(class, OutcomeClass::Committed);
            assert_eq!(differs, expected);
            if expected == Differs::Operations {
                assert_eq!((seq, time), (first.seq, first.time));
            }
        }
        let error = engine.update(key("meant"), &("buy", 5), |_| Ok::<_, Abort>(())).unwrap_err();
        assert!(matches!(error, Error::KeyReused { differs: Differs::Intent, .. }), "{error}");
        let same =
            engine.update(key("meant"), &("buy", 3), |_| -> Result<steadfast::Bytes, Abort> {
                panic!("the answer is known")
            });
        // It was given no result, which is not one of that type.
        assert!(matches!(same, Err(Error::Codec(_))), "{same:?}");
        assert_eq!(engine.durable_seq(), before);
    });
}

#[test]
fn one_key_in_two_scopes_is_two_keys() {
    let engine = Engine::in_memory().unwrap();
    for (scope, name) in [("ab", "c"), ("a", "bc"), ("c", "ab")] {
        let key = steadfast::IdempotencyKey::new(scope, name).unwrap();
        let request = || Request::new(key.clone()).add(&SUMS, &1, 1, 0..=9);
        assert!(!committed(engine.commit(request())).replayed);
        assert!(committed(engine.commit(request())).replayed);
    }
    assert_eq!(engine.get(&SUMS, &1).unwrap().unwrap().value, 3);
}

#[test]
fn one_key_from_many_threads_is_one_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    for round in 0..20u32 {
        let receipts: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8u32)
                .map(|thread| {
                    let engine = &engine;
                    scope.spawn(move || {
                        let request = Request::new(key(&round.to_string()))
                            .add(&SUMS, &round, 1, 0..=9)
                            .result(&thread);
                        let ticket = engine.submit(request);
                        committed(ticket.wait())
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(receipts.iter().filter(|receipt| !receipt.replayed).count(), 1);
        assert!(receipts.iter().all(|other| other.result == receipts[0].result));
        assert!(receipts.iter().all(|other| other.seq == receipts[0].seq));
        assert_eq!(engine.get(&SUMS, &round).unwrap().unwrap().value, 1);
    }
}

/// Changes a record from another thread, as somebody else would, in the middle of a closure.
fn meanwhile(engine: &Engine, number: u32) {
    thread::scope(|scope| {
        let add = || {
            let request = Request::unkeyed().add(&SUMS, &number, 1, 0..=i64::MAX);
            committed(engine.commit(request));
        };
        scope.spawn(add).join().unwrap();
    });
}

#[test]
fn an_update_whose_read_has_changed_runs_again() {
    let engine = &Engine::in_memory().unwrap();
    let runs = Cell::new(0);
    // The record it reads is not the one it writes; it is not there at first.
    let outcome = engine.update(key("again"), &1, |tx| {
        runs.set(runs.get() + 1);
        assert_eq!(tx.attempt(), runs.get());
        let seen = tx.get(&SUMS, &1)?.map_or(0, |record| record.value);
        if runs.get() < 4 {
            meanwhile(engine, 1);
        }
        // The same each time within one run.
        assert_eq!(tx.get(&SUMS, &1)?.map_or(0, |record| record.value), seen);
        tx.put(&WORDS, "w", &format!("saw {seen}"))?;
        Ok::<_, Abort>(seen)
    });
    assert_eq!((committed(outcome).result, runs.get()), (3, 4));
    assert_eq!(engine.get(&WORDS, "w").unwrap().unwrap().value, "saw 3");
    // One that only adds does not mind.
    let outcome = engine.update(key("adds"), &1, |tx| {
        assert_eq!(tx.attempt(), 1);
        tx.add(&SUMS, &1, 10, 0..=99)?;
        meanwhile(engine, 1);
        Ok::<_, Abort>(())
    });
    committed(outcome);
    assert_eq!(engine.get(&SUMS, &1).unwrap().unwrap().value, 14);
    // A refusal is also only as good as what it saw.
    let outcome = engine.update(key("refuses"), &1, |tx| {
        let seen = tx.get(&SUMS, &1)?.map_or(0, |record| record.value);
        if tx.attempt() == 1 {
            meanwhile(engine, 1);
        }
        tx.put(&WORDS, "w", &"never".into())?;
        Err::<(), _>(Abort::Reject(seen))
    });
    assert_eq!(outcome.unwrap(), Outcome::Rejected(Rejection::Procedure(15)));
    assert_eq!(engine.get(&WORDS, "w").unwrap().unwrap().value, "saw 3");
}

#[test]
fn an_update_gives_up_with_a_conflict_that_is_not_remembered() {
    let engine = &Engine::in_memory().unwrap();
    let runs = Cell::new(0);
    let unlucky = engine.update(key("unlucky"), &1, |tx| {
        runs.set(tx.attempt());
        tx.get(&SUMS, &1)?;
        meanwhile(engine, 1);
        Ok::<_, Abort>(())
    });
    let conflict = conflict(unlucky);
    assert_eq!(runs.get(), 64);
    assert!(conflict.is_about(&SUMS, &1));
    assert_eq!(conflict.current(&SUMS).unwrap().unwrap().value, 64);
    let lucky = engine.update(key("unlucky"), &1, |tx| {
        let seen = tx.get(&SUMS, &1)?.map(|record| record.value);
        Ok::<_, Abort>(seen)
    });
    let receipt = committed(lucky);
    assert_eq!((receipt.result, receipt.replayed), (Some(64), false));
}

#[test]
fn a_panic_in_an_update_stays_in_it() {
    let engine = Engine::in_memory().unwrap();
    assert_healthy(&engine);
    let update = |panics: bool| {
        engine.update(key("panics"), &1, |tx| {
            tx.put(&WORDS, "w", &"half".into())?;
            assert!(!panics, "on purpose");
            Ok::<_, Abort>(7)
        })
    };
    let error = update(true).unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Panicked, Retry::Never));
    assert!(error.to_string().contains("update") && error.to_string().contains("nothing was"));
    assert_eq!(engine.get(&WORDS, "w").unwrap(), None);
    assert_healthy(&engine);
    let receipt = committed(update(false));
    assert_eq!((receipt.result, receipt.replayed), (7, false));
    // An error of the closure's own is not remembered, either.
    let failing = engine.update(key("fails"), &1, |tx| {
        tx.put(&WORDS, "w", &"half".into())?;
        Err::<(), Abort>(Abort::Engine(Error::Closed))
    });
    assert_eq!(failing.unwrap_err().kind(), ErrorKind::Closed);
    let fine = engine.update(key("fails"), &1, |_| Ok::<_, Abort>(()));
    assert!(!committed(fine).replayed);
}

thread_local! {
    static WAITING: Cell<Option<Ticket>> = const { Cell::new(None) };
}

#[test]
fn the_engine_is_not_called_from_inside_an_update() {
    let engine = &Engine::in_memory().unwrap();
    type Call = fn(&Engine) -> Result<(), Error>;
    let calls: [(&str, Call); 8] = [
        ("commit", |e| e.commit(Request::unkeyed().add(&SUMS, &1, 1, 0..=9)).map(drop)),
        ("submit", |e| e.submit(Request::unkeyed().add(&SUMS, &1, 1, 0..=9)).wait().map(drop)),
        ("update", |e| e.update(key("in"), &1, |_| Ok::<_, Abort>(())).map(drop)),
        ("checkpoint", Engine::checkpoint),
        ("try_submit", |e| {
            e.try_submit(Request::unkeyed().add(&SUMS, &1, 1, 0..=9))?.wait().map(drop)
        }),
        ("run_background_step", |e| e.run_background_step().map(drop)),
        ("Ticket::wait", |_| WAITING.take().expect("it was put there").wait().map(drop)),
        ("close", |e| e.clone().close().map(drop)),
    ];
    for (name, call) in calls {
        // A ticket whose outcome is not there yet: nobody writes for this engine.
        let disk = MemoryDisk::new();
        let waiting = manual(&disk);
        WAITING.set(Some(waiting.submit(Request::unkeyed().add(&SUMS, &1, 1, 0..=9))));
        let error = engine.update(key("out"), &1, |_| Ok::<_, Abort>(call(engine)?)).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Reentrant, Retry::Never), "{name}");
        assert!(error.to_string().contains(name), "{error}");
        assert_healthy(engine);
    }
    assert_eq!(engine.get(&SUMS, &1).unwrap(), None);
    // Reading is in nobody's way, and a panic inside leaves nothing behind.
    let read =
        engine.update(key("reads"), &1, |_| Ok::<_, Abort>(engine.get(&SUMS, &1)?.is_some()));
    assert!(!committed(read).result);
    let panic = engine.update(key("p"), &1, |_| -> Result<(), Abort> { panic!("on purpose") });
    assert_eq!(panic.unwrap_err().kind(), ErrorKind::Panicked);
    assert_healthy(engine);
}
