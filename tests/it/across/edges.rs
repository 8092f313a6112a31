//! What goes wrong in rules, what is only monitored, limits, and definitions that changed.

use super::*;
use std::{panic, sync::OnceLock};
use steadfast::{
    Codec, Enforcement, LimitError, OnBrokenRule, Rules, Severity, ShapeError, limits,
    testing::SimDisk,
};

const ITEMS: Keyspace<u64, u64> = Keyspace::new("items");
const PARTS: Keyspace<u64, u64> = Keyspace::new("parts");

fn put(keyspace: &Keyspace<u64, u64>, key: u64, value: u64) -> Request {
    Request::unkeyed().put(keyspace, &key, &value, Expect::Any)
}

fn committed(engine: &Engine, request: Request) {
    engine.commit(request).unwrap().committed().unwrap();
}

/// Without what a panic prints.
fn quietly<T>(act: impl FnOnce() -> T) -> T {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let done = act();
    panic::set_hook(hook);
    done
}

/// An item is not above its part.
fn below(name: &'static str) -> CrossInvariant<u64, u64> {
    CrossInvariant::new(name, &ITEMS, |look, key, value| {
        let most = look.get(&PARTS, key)?.map_or(0, |part| part.value);
        hold(*value <= most, "too much")
    })
    .touched_by(&PARTS, |key, _| [*key])
}

#[test]
fn what_is_monitored_is_carried_out_and_counted() {
    let rule = below("below").enforcement(Enforcement::Monitor).severity(Severity::Warning);
    let disk = SimDisk::new();
    let engine = Engine::builder().cross_invariant(rule).open_on(disk).unwrap();
    for n in 1..=10u64 {
        committed(&engine, put(&ITEMS, n, 5));
        committed(&engine, put(&PARTS, n, 5));
    }
    engine.checkpoint().unwrap();
    // Two at once, cold, from the other side.
    committed(&engine, put(&PARTS, 3, 1).delete(&PARTS, &4, Expect::Any));
    let statuses = engine.rules();
    let [status] = &statuses[..] else { panic!("{statuses:?}") };
    assert_eq!((&status.keyspace[..], &status.invariant[..]), ("items", "below"));
    assert_eq!((status.severity, status.enforcement), (Severity::Warning, Enforcement::Monitor));
    assert_eq!((status.violations, status.samples.len()), (12, 8));
    let last: Vec<_> = status.samples[6..].iter().map(|key| key.to_vec()).collect();
    assert_eq!(last, [encoded(&3u64), encoded(&4u64)]);
    let report = engine.audit().unwrap();
    assert_eq!((report.records, report.unjudged), (10, 0));
    let [audited] = &report.invariants[..] else { panic!("{report:?}") };
    assert_eq!((audited.checked, audited.violations), (10, 2));
}

#[test]
fn what_is_monitored_refuses_nothing_whatever_goes_wrong() {
    let wrong = CrossInvariant::new("wrong", &ITEMS, |look, key, value| {
        match value {
            1 => panic::resume_unwind(Box::new("on purpose")),
            2 => drop(look.get(&LEDGER, key)?),
            3 => {
                for n in 0..300u64 {
                    look.get(&PARTS, &n)?;
                }
            }
            _ => {}
        }
        Ok(())
    })
    .touched_by(&PARTS, |key, _| *key..*key + 2_000)
    .enforcement(Enforcement::Monitor);
    let engine = Engine::builder().cross_invariant(wrong).in_memory().unwrap();
    for value in 0..4 {
        committed(&engine, put(&ITEMS, value, value));
    }
    committed(&engine, put(&PARTS, 100, 1));
    let status = &engine.rules()[0];
    assert_eq!(status.violations, 4);
    let samples: Vec<_> = status.samples.iter().map(|key| key.to_vec()).collect();
    // Of the last one it is not known which items.
    assert_eq!(samples, [encoded(&1u64), encoded(&2u64), encoded(&3u64), Vec::new()]);
    let report = engine.audit().unwrap();
    assert_eq!((report.records, report.unjudged, report.holds()), (4, 3, false));
    assert_eq!((report.invariants[0].checked, report.invariants[0].unjudged), (1, 3));
}

#[test]
fn an_audit_finds_what_was_planted_wherever_it_is() {
    let disk = SimDisk::new();
    let engine = Engine::builder().open_on(disk.clone()).unwrap();
    for n in 1..=300u64 {
        committed(&engine, put(&ITEMS, n, n).put(&PARTS, &n, &n, Expect::Any));
        if n == 200 {
            committed(&engine, put(&ITEMS, 17, 18));
            engine.checkpoint().unwrap();
        }
    }
    committed(&engine, Request::unkeyed().delete(&PARTS, &150, Expect::Any));
    committed(&engine, put(&PARTS, 250, 0));
    committed(&engine, Request::unkeyed().delete(&ITEMS, &251, Expect::Any));
    committed(&engine, Request::unkeyed().delete(&PARTS, &251, Expect::Any));
    engine.close().unwrap();
    // Beside a rule on the records of the same keyspace, they are counted once.
    let even = steadfast::Invariant::new("even", |_: &u64, value: &u64| {
        hold(value.is_multiple_of(2), "odd")
    });
    let builder = Engine::builder().rules(Rules::of(&ITEMS).invariant(even));
    let builder = builder.cross_invariant(below("below")).on_broken_rule(OnBrokenRule::Accept);
    let engine = builder.open_on(disk).unwrap();
    let report = engine.audit().unwrap();
    assert_eq!((report.records, report.seq), (299, engine.durable_seq()));
    let [even, below] = &report.invariants[..] else { panic!("{report:?}") };
    assert_eq!((&even.invariant[..], even.checked, even.violations), ("even", 299, 148));
    assert_eq!((&below.invariant[..], below.checked, below.violations), ("below", 299, 3));
    let keys: Vec<_> = below.samples.iter().map(|key| key.to_vec()).collect();
    assert_eq!(keys, [encoded(&17u64), encoded(&150u64), encoded(&250u64)]);
    // What is there stays readable; it is refused only where it is touched, and can be mended.
    assert_eq!(engine.get(&ITEMS, &17).unwrap().unwrap().value, 18);
    let refused = engine.commit(put(&PARTS, 17, 16)).unwrap();
    assert_eq!(outcome(refused), Err(("below".to_owned(), encoded(&17u64))));
    committed(&engine, put(&PARTS, 17, 18).put(&PARTS, &150, &150, Expect::Any));
    committed(&engine, put(&PARTS, 250, 250));
    assert_eq!(engine.audit().unwrap().invariants[1].violations, 0);
}

#[test]
fn reading_what_is_not_declared_is_an_error_of_the_rule() {
    // The anchor's own record may be read; another one of its keyspace must be declared.
    let own = CrossInvariant::new("own", &ITEMS, |look, key, value| {
        let own = look.get(&ITEMS, key)?.expect("it is there");
        assert_eq!(own.value, *value);
        if *value > 5 {
            look.get(&ITEMS, &(key + 1))?;
        }
        Ok(())
    });
    let hasty = CrossInvariant::new("hasty", &ITEMS, |look, key, _| {
        // What it makes of that does not matter.
        let _ = look.get(&PARTS, key);
        Ok(())
    });
    let builder = || Engine::builder().procedure::<Apply>();
    for (rule, name, keyspace, fine) in
        [(own, "own", "items", true), (hasty, "hasty", "parts", false)]
    {
        let engine = builder().cross_invariant(rule).in_memory().unwrap();
        let undeclared = |error: Error| match error {
            Error::Shape(ShapeError::Undeclared { rule, keyspace: of }) => {
                assert_eq!((rule, of), (name, keyspace));
            }
            other => panic!("{other:?}"),
        };
        undeclared(engine.commit(put(&ITEMS, 1, 6)).unwrap_err());
        let update = engine.update::<(), Never>(key("1"), &1, |tx| Ok(tx.put(&ITEMS, &1, &6)?));
        undeclared(update.unwrap_err());
        assert_eq!(engine.durable_seq().get(), 0, "nothing was logged");
        assert_eq!(engine.commit(put(&ITEMS, 1, 5)).is_ok(), fine);
    }
}

#[test]
fn limits_are_what_they_say() {
    let reads = CrossInvariant::new("reads", &ITEMS, |look, _, reads| {
        for n in 0..*reads {
            look.get(&PARTS, &n)?;
        }
        Ok(())
    })
    // A part concerns as many items as it says.
    .touched_by(&PARTS, |_, items| 0..*items);
    let engine = Engine::builder().cross_invariant(reads).in_memory().unwrap();
    let (most_reads, most) = (limits::ANCHOR_READS as u64, limits::ANCHORS as u64);
    let limit = |request, actual| match engine.commit(request).unwrap_err() {
        Error::Limit(LimitError { actual: found, .. }) => assert_eq!(found as u64, actual),
        other => panic!("{other:?}"),
    };
    committed(&engine, put(&ITEMS, 1, most_reads));
    limit(put(&ITEMS, 1, most_reads + 1), most_reads + 1);
    committed(&engine, put(&PARTS, 1, most));
    limit(put(&PARTS, 2, u64::MAX), most + 1);
    // Together with the items that it writes itself.
    let items = |first, many| {
        (first..first + many).fold(Request::unkeyed(), |r, n| r.put(&ITEMS, &n, &0, Expect::Any))
    };
    committed(&engine, items(0, most));
    committed(&engine, items(100, 1_000).put(&PARTS, &3, &24, Expect::Any));
    limit(items(100, 1_000).put(&PARTS, &4, &25, Expect::Any), most + 1);
}

#[test]
fn code_that_panics_is_contained() {
    let careless = CrossInvariant::new("careless", &ITEMS, |look, key, _| {
        let part = look.get(&PARTS, key)?.map_or(0, |part| part.value);
        assert_ne!(part, 7, "on purpose");
        Ok(())
    })
    .touched_by(&PARTS, |key, value| {
        assert_ne!(*value, 8, "on purpose");
        [*key]
    });
    let engine = Engine::builder().cross_invariant(careless).in_memory().unwrap();
    committed(&engine, put(&ITEMS, 1, 1));
    let before = engine.durable_seq();
    for value in [7, 8] {
        let request = || Request::new(key("1")).put(&PARTS, &1, &value, Expect::Any);
        let panicked = quietly(|| engine.commit(request()));
        assert!(matches!(panicked, Err(Error::Panicked { what: "careless" })), "{panicked:?}");
    }
    assert_eq!(engine.durable_seq(), before);
    committed(&engine, Request::new(key("1")).put(&PARTS, &1, &9, Expect::Any));
}

#[test]
fn who_unwraps_what_is_cold_is_asked_again() {
    let rash = CrossInvariant::new("rash", &ITEMS, |look, key, _| {
        hold(look.get(&PARTS, key).unwrap().is_some(), "no part")
    });
    let disk = SimDisk::new();
    let rash = rash.touched_by(&PARTS, |key, _| [*key]);
    let engine = Engine::builder().cross_invariant(rash).open_on(disk).unwrap();
    committed(&engine, put(&PARTS, 1, 1));
    engine.checkpoint().unwrap();
    quietly(|| committed(&engine, put(&ITEMS, 1, 1)));
}

static ENGINE: OnceLock<Engine> = OnceLock::new();

#[test]
fn code_of_rules_calls_no_engine() {
    let curious = CrossInvariant::new("curious", &ITEMS, |look, _, value| {
        let engine = ENGINE.get().expect("it was set");
        let refused = match value {
            1 => engine.get(&ITEMS, &1).map(drop),
            2 => engine.commit(put(&ITEMS, 1, 1)).map(drop),
            3 => engine.audit().map(drop),
            _ => look.get(&PARTS, &1).map(drop).map_err(|_| Error::Cold),
        };
        hold(matches!(refused, Err(Error::Reentrant { .. }) | Ok(())), "it was not refused")
    })
    .touched_by(&PARTS, |_, _| [1u64]);
    let engine = Engine::builder().cross_invariant(curious).open_on(SimDisk::new()).unwrap();
    ENGINE.set(engine.clone()).expect("this test alone sets it");
    committed(&engine, put(&PARTS, 1, 1));
    engine.checkpoint().unwrap();
    for value in 1..=4 {
        committed(&engine, put(&ITEMS, 1, value));
    }
    for value in [1, 3] {
        committed(&engine, put(&ITEMS, 1, value));
        assert!(engine.audit().unwrap().holds(), "in an audit neither");
    }
}

#[test]
fn rows_of_an_older_schema_are_read_by_the_rule_and_a_later_one_is_refused() {
    type Wide = Keyspace<u64, (u64, String)>;
    const WIDE: Wide = Keyspace::new("parts")
        .schema(2)
        .upgrade(1, |old| Ok((Codec::DEFAULT.decode(old)?, String::new())));
    const LATER: Keyspace<u64, u8> = Keyspace::new("parts").schema(3).upgrade(2, |_| Ok(0));
    let disk = SimDisk::new();
    let engine = Engine::builder().open_on(disk.clone()).unwrap();
    committed(&engine, put(&PARTS, 1, 5).put(&PARTS, &2, &5, Expect::Any));
    engine.close().unwrap();
    let rule = CrossInvariant::new("below", &ITEMS, |look, key, value| {
        let most = look.get(&WIDE, key)?.map_or(0, |part| part.value.0);
        hold(*value <= most, "too much")
    })
    .touched_by(&WIDE, |key, _| [*key]);
    let engine = Engine::builder().cross_invariant(rule).open_on(disk).unwrap();
    let broken = |key: u64| Err(("below".to_owned(), encoded(&key)));
    assert_eq!(outcome(engine.commit(put(&ITEMS, 1, 6)).unwrap()), broken(1));
    committed(&engine, put(&ITEMS, 1, 5).put(&ITEMS, &2, &5, Expect::Any));
    // By a program that knows the first schema only, and by one that knows the second.
    assert_eq!(outcome(engine.commit(put(&PARTS, 1, 4)).unwrap()), broken(1));
    let wide = |most| Request::unkeyed().put(&WIDE, &1, &(most, "x".to_owned()), Expect::Any);
    assert_eq!(outcome(engine.commit(wide(4)).unwrap()), broken(1));
    committed(&engine, wide(5));
    assert_eq!(outcome(engine.commit(put(&ITEMS, 2, 6)).unwrap()), broken(2));
    assert!(engine.audit().unwrap().holds());
    let before = engine.durable_seq();
    let later = engine.commit(Request::unkeyed().put(&LATER, &9, &1, Expect::Any));
    assert!(matches!(later, Err(Error::KeyspaceMismatch { .. })), "{later:?}");
    assert_eq!(engine.durable_seq(), before);
}

#[test]
fn a_keyspace_that_is_another_one_is_refused() {
    const OTHER: Keyspace<String, u64> = Keyspace::new("parts");
    let engine = Engine::builder().cross_invariant(below("below")).in_memory().unwrap();
    let request = || Request::unkeyed().put(&OTHER, "one", &1, Expect::Any);
    let error = engine.commit(request()).unwrap_err();
    assert!(matches!(&error, Error::KeyspaceMismatch { name, .. } if name == "parts"), "{error}");
    assert_eq!(engine.durable_seq().get(), 0);
    // Where it is stored like that, the rule can't read it.
    let disk = SimDisk::new();
    let engine = Engine::builder().open_on(disk.clone()).unwrap();
    committed(&engine, request());
    engine.close().unwrap();
    let engine = Engine::builder().cross_invariant(below("below")).open_on(disk).unwrap();
    let error = engine.commit(put(&ITEMS, 1, 0)).unwrap_err();
    assert!(matches!(&error, Error::KeyspaceMismatch { name, .. } if name == "parts"), "{error}");
}

#[test]
fn anchors_of_one_keyspace_can_depend_on_each_other() {
    // Each item names the one before it, or 0.
    let chained = CrossInvariant::new("chained", &ITEMS, |look, key, before| {
        hold(*before < *key && (*before == 0 || look.get(&ITEMS, before)?.is_some()), "a gap")
    });
    // Those that name it are not known by it: the program keeps them.
    let after = chained.touched_by(&ITEMS, |key, _| key + 1..key + 4);
    let engine = Engine::builder().cross_invariant(after).in_memory().unwrap();
    committed(&engine, put(&ITEMS, 1, 0).put(&ITEMS, &3, &1, Expect::Any));
    let refused = engine.commit(Request::unkeyed().delete(&ITEMS, &1, Expect::Any)).unwrap();
    assert_eq!(outcome(refused), Err(("chained".to_owned(), encoded(&3u64))));
    let all = Request::unkeyed().delete(&ITEMS, &1, Expect::Any);
    committed(&engine, all.delete(&ITEMS, &3, Expect::Any));
}

#[test]
fn a_refusal_that_quotes_a_long_key_has_its_room_in_the_log() {
    const NAMES: Keyspace<String, u64> = Keyspace::new("names");
    const LINKS: Keyspace<u64, u64> = Keyspace::new("links");
    let name = |n: u64| format!("{n:04090}");
    let linked = CrossInvariant::new("linked", &NAMES, |look, _, link| {
        look.get(&LINKS, link)?;
        Err(Violation::new("x".repeat(600)))
    });
    let linked = linked.touched_by(&LINKS, move |link, _| [name(*link)]);
    let disk = SimDisk::new();
    let engine = Engine::builder().open_on(disk.clone()).unwrap();
    let names = (0..8u64).fold(Request::unkeyed(), |r, n| r.put(&NAMES, &name(n), &n, Expect::Any));
    committed(&engine, names);
    engine.close().unwrap();
    let builder = Engine::builder().segment_bytes(64 << 10).cross_invariant(linked);
    let builder = builder.on_broken_rule(OnBrokenRule::Accept);
    let engine = builder.open_on(disk.clone()).unwrap();
    let refuse = |n: u64| Request::new(key(&n.to_string())).put(&LINKS, &(n % 8), &n, Expect::Any);
    let tickets: Vec<_> = (0..400).map(|n| engine.submit(refuse(n))).collect();
    for (n, ticket) in (0..).zip(tickets) {
        let broken = ("linked".to_owned(), encoded(&name(n % 8)));
        assert_eq!(outcome(ticket.wait().unwrap()), Err(broken));
    }
    engine.close().unwrap();
    let engine = Engine::builder().open_on(disk).unwrap();
    assert!(outcome(engine.commit(refuse(399)).unwrap()).is_err());
}

#[test]
fn rules_that_are_not_well_declared_make_the_opening_fail() {
    const LONG: &str =
        "a name that goes on and on, until it is longer than the sixty-four bytes it may have";
    let named = |name: &'static str| below(name);
    let flawed = [
        builder().cross_invariant(booked()),
        builder().cross_invariant(named("")),
        builder().cross_invariant(named(LONG)),
        builder().cross_invariant(named("solvent")).rules(
            Rules::of(&PARTS)
                .invariant(steadfast::Invariant::new("solvent", |_: &u64, _: &u64| Ok(()))),
        ),
    ];
    for builder in flawed {
        let error = builder.in_memory().unwrap_err();
        assert!(matches!(error, Error::Shape(ShapeError::Rule { .. })), "{error}");
    }
}
