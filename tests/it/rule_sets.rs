//! Rules that change between openings: what is there is held against what is new, and the log records them.

use crate::support::{assert_healthy, key, refusal};
use std::{
    panic,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use steadfast::{
    Builder, Enforcement, Engine, Error, Expect, Guard, Invariant, Keyspace, Mode, OnBrokenRule,
    Outcome, Request, Rules, SumInvariant, Total, Violation,
    testing::{Choice, SimDisk},
};

const ACCOUNTS: Keyspace<String, i64> = Keyspace::new("accounts");
const STOCK: Keyspace<u64, i64> = Keyspace::new("stock");

fn not_negative(name: &'static str) -> Invariant<String, i64> {
    Invariant::new(name, |_, cents| {
        if *cents < 0 { Err(Violation::new(format!("{cents} cents"))) } else { Ok(()) }
    })
}

fn cash() -> Total<String, i64> {
    Total::new("cash", |_, cents| i128::from(*cents))
}

/// An engine with these rules of accounts.
fn with(rules: Rules<String, i64>) -> Builder {
    Engine::builder().rules(rules)
}

fn accounts() -> Rules<String, i64> {
    Rules::of(&ACCOUNTS)
}

fn put(name: &str, cents: i64) -> Request {
    Request::unkeyed().put(&ACCOUNTS, name, &cents, Expect::Any)
}

fn committed(engine: &Engine, request: Request) {
    engine.commit(request).unwrap().committed().unwrap();
}

/// A database of rules nobody knew yet, with three accounts below zero, one of them in the log alone.
fn before_rules() -> SimDisk {
    let disk = SimDisk::new();
    let engine = Engine::builder().open_on(disk.clone()).unwrap();
    for n in 0..20i64 {
        committed(&engine, put(&n.to_string(), if n < 2 { -1 } else { n }));
    }
    committed(&engine, Request::new(key("known")).put(&ACCOUNTS, "known", &1, Expect::Any));
    engine.checkpoint().unwrap();
    committed(&engine, put("late", -7));
    engine.close().unwrap();
    disk
}

/// Why writes are refused; everything else goes on.
fn only_reads(engine: &Engine) -> String {
    let Err(Error::ReadOnly { reason }) = engine.commit(put("2", 5)) else {
        panic!("it takes writes")
    };
    let refused = |result: Result<(), Error>| {
        assert!(matches!(result, Err(Error::ReadOnly { .. })), "{result:?}");
    };
    refused(engine.submit(put("2", 5)).wait().map(drop));
    refused(engine.try_submit(put("2", 5)).map(drop));
    let name = key("update");
    refused(engine.update::<(), steadfast::Never>(name, &1, |_| panic!("it was run")).map(drop));
    refused(engine.fence(&key("fence")).map(drop));
    refused(engine.set_mode(Mode::ReadOnly { reason: "no".into() }).map(drop));
    assert_eq!(engine.get(&ACCOUNTS, "late").unwrap().unwrap().value, -7);
    let again = Request::new(key("known")).put(&ACCOUNTS, "known", &1, Expect::Any);
    assert!(engine.commit(again).unwrap().committed().unwrap().replayed);
    assert_eq!(engine.rule_set().refused.as_deref(), Some(&*reason));
    reason.to_string()
}

#[test]
fn the_first_entry_records_the_rules_and_they_are_not_looked_at_again() {
    let looked = Arc::new(AtomicU64::new(0));
    let disk = SimDisk::new();
    let count = looked.clone();
    let open = |disk: &SimDisk| {
        let count = count.clone();
        let counted = Invariant::new("counted", move |_: &String, _: &i64| {
            count.fetch_add(1, Relaxed);
            Ok(())
        });
        with(accounts().invariant(counted).total(cash())).open_on(disk.clone()).unwrap()
    };
    let engine = Engine::builder().open_on(disk.clone()).unwrap();
    (0..9).for_each(|n| committed(&engine, put(&n.to_string(), n)));
    let none = engine.rule_set();
    assert_eq!((&none.given, none.changed, &none.audit), (&none.recorded, 0, &None));
    engine.close().unwrap();

    let engine = open(&disk);
    let status = engine.rule_set();
    assert_eq!((&status.recorded, status.changed), (&none.given, 2));
    assert_ne!(status.given, status.recorded);
    let audit = status.audit.unwrap();
    assert!((audit.records, looked.swap(0, Relaxed)) == (9, 9));
    assert_eq!((audit.totals[0].kept, audit.totals[0].counted), (None, Some(36)));
    // Counted, and not recorded yet: nothing was logged.
    assert_eq!((engine.durable_seq().get(), engine.totals().get("cash")), (9, Some(36)));
    engine.close().unwrap();

    let engine = open(&disk);
    assert_eq!(looked.swap(0, Relaxed), 9, "it was not recorded");
    // A refusal is an entry, too.
    let refused = Request::new(key("refused")).put(&ACCOUNTS, "1", &1, Expect::Absent);
    assert!(matches!(engine.commit(refused).unwrap(), Outcome::Rejected(_)));
    assert_eq!(engine.rule_set().given, engine.rule_set().recorded);
    engine.close().unwrap();

    for _ in 0..2 {
        let engine = open(&disk);
        let status = engine.rule_set();
        assert_eq!((status.changed, &status.audit), (0, &None));
        assert_eq!((looked.load(Relaxed), engine.totals().get("cash")), (0, Some(36)));
        engine.checkpoint().unwrap();
        engine.close().unwrap();
    }
}

#[test]
fn a_new_rule_that_records_break_leaves_an_engine_that_reads() {
    let disk = before_rules();
    let open = || with(accounts().invariant(not_negative("solvent")).total(cash()));
    let digest =
        Engine::builder().open_on(disk.snapshot()).unwrap().recovery().state_digest.clone();
    for _ in 0..2 {
        let engine = open().open_on(disk.clone()).unwrap();
        let reason = only_reads(&engine);
        assert_eq!(reason, "\"solvent\" does not hold of 3 records in keyspace \"accounts\"");
        let audit = engine.rule_set().audit.unwrap();
        assert_eq!((audit.records, audit.invariants[0].violations), (22, 3));
        assert_eq!(audit.invariants[0].samples.len(), 3);
        assert!(engine.totals().totals.is_empty(), "none is recorded");
        engine.checkpoint().unwrap();
        assert_eq!(engine.close().unwrap().state_digest, Some(digest.clone()), "nothing changed");
    }
    // Told to refuse.
    let refused = refusal(open().on_broken_rule(OnBrokenRule::Refuse).open_on(disk.clone()));
    assert!(matches!(refused, Error::RuleBroken { .. }), "{refused}");
    assert!(refused.to_string().contains("does not hold of 3 records"), "{refused}");
    // Told to take them as they are.
    let engine = open().on_broken_rule(OnBrokenRule::Accept).open_on(disk.clone()).unwrap();
    let status = engine.rule_set();
    assert_eq!((status.refused, status.audit.unwrap().invariants[0].violations), (None, 3));
    let cash = engine.totals().get("cash").unwrap();
    assert!(matches!(engine.commit(put("late", -6)).unwrap(), Outcome::Rejected(_)));
    committed(&engine, put("late", 0));
    assert_eq!(engine.totals().get("cash"), Some(cash + 7));
    engine.close().unwrap();
    // From then on it is an old one.
    let engine = open().open_on(disk).unwrap();
    assert_eq!((engine.rule_set().changed, engine.totals().get("cash")), (0, Some(cash + 7)));
    ["0", "1"].into_iter().for_each(|n| committed(&engine, put(n, 0)));
    assert!(engine.audit().unwrap().holds());
    assert_healthy(&engine);
}

#[test]
fn only_what_is_new_and_enforced_stands_in_the_way() {
    let disk = before_rules();
    let open = |rules| with(rules).open_on(disk.clone()).unwrap();
    let write = |engine: Engine| {
        committed(&engine, put("2", 9));
        engine.close().unwrap();
    };
    let solvent = || not_negative("solvent");
    // Monitored.
    let engine = open(accounts().invariant(solvent().enforcement(Enforcement::Monitor)));
    let audit = engine.rule_set().audit.unwrap();
    assert_eq!((audit.invariants[0].violations, engine.rules()[0].violations), (3, 0));
    write(engine);
    // Enforced from now on.
    assert!(only_reads(&open(accounts().invariant(solvent()))).contains("3 records"));
    // Accepted; later another rule comes, which holds, and the old one is not asked.
    let accept = with(accounts().invariant(solvent())).on_broken_rule(OnBrokenRule::Accept);
    write(accept.open_on(disk.clone()).unwrap());
    let small = || {
        Invariant::new("small", |_: &String, cents: &i64| match cents {
            ..1_000 => Ok(()),
            _ => Err(Violation::new("large")),
        })
    };
    let engine = open(accounts().invariant(solvent()).invariant(small()));
    let status = engine.rule_set();
    let names: Vec<_> = status.audit.unwrap().invariants.into_iter().map(|i| i.invariant).collect();
    assert_eq!((status.changed, names), (1, vec!["small".to_owned()]));
    write(engine);
    // How bad it is may change, and so may a table of transitions, which no record can break by itself.
    let sign = Guard::new("sign", |cents: &i64| if *cents < 0 { "minus" } else { "plus" });
    let worse = solvent().severity(steadfast::Severity::Critical);
    let engine =
        open(accounts().invariant(worse).invariant(small()).guard(sign.creates(&["plus"])));
    let status = engine.rule_set();
    assert_eq!((status.changed, status.audit), (2, None));
    write(engine);
    // Another version of its code, or of its records, makes it a new one.
    assert!(only_reads(&open(accounts().invariant(solvent().version(2)))).contains("solvent"));
    const LATER: Keyspace<String, i64> =
        Keyspace::new("accounts").schema(2).upgrade(1, |bytes| ACCOUNTS.decode(1, bytes));
    let later = with(Rules::of(&LATER).invariant(solvent())).open_on(disk.clone()).unwrap();
    assert!(only_reads(&later).contains("solvent"));
}

#[test]
fn a_total_of_another_version_or_schema_is_counted_anew() {
    const DOLLARS: Keyspace<String, i64> = Keyspace::new("accounts");
    const CENTS: Keyspace<String, i64> = Keyspace::new("accounts")
        .schema(2)
        .upgrade(1, |bytes| DOLLARS.decode(1, bytes).map(|dollars| dollars * 100));
    let disk = SimDisk::new();
    let engine = with(accounts().total(cash())).open_on(disk.clone()).unwrap();
    (1..=4).for_each(|n| committed(&engine, put(&n.to_string(), n)));
    assert_eq!(engine.totals().get("cash"), Some(10));
    engine.close().unwrap();

    let open = || with(Rules::of(&CENTS).total(cash())).open_on(disk.clone()).unwrap();
    let engine = open();
    assert_eq!(engine.totals().get("cash"), Some(1_000));
    // Some records are upgraded, others are not.
    let request = Request::unkeyed().put(&CENTS, "1", &150, Expect::Any);
    committed(&engine, request.delete(&CENTS, "4", Expect::Any));
    assert_eq!(engine.totals().get("cash"), Some(650));
    engine.checkpoint().unwrap();
    engine.close().unwrap();
    let engine = open();
    assert_eq!((engine.rule_set().changed, engine.totals().get("cash")), (0, Some(650)));
    assert!(engine.audit().unwrap().holds());
    engine.close().unwrap();

    // It comes to count otherwise, and nobody says so: an audit does.
    let doubled = || Total::new("cash", |_: &String, cents: &i64| 2 * i128::from(*cents));
    let engine = with(Rules::of(&CENTS).total(doubled())).open_on(disk.clone()).unwrap();
    let audit = engine.audit().unwrap();
    assert_eq!((audit.totals[0].kept, audit.totals[0].counted), (Some(650), Some(1_300)));
    assert!(!audit.holds());
    engine.close().unwrap();
    let engine = with(Rules::of(&CENTS).total(doubled().version(2))).open_on(disk).unwrap();
    assert_eq!(engine.totals().get("cash"), Some(1_300));
}

#[test]
fn rules_that_go_are_forgotten_with_the_first_entry_and_counted_when_they_come_back() {
    let disk = SimDisk::new();
    let open = || with(accounts().total(cash())).open_on(disk.clone()).unwrap();
    let engine = open();
    committed(&engine, put("ann", 5));
    let recorded = engine.rule_set().recorded;
    engine.close().unwrap();

    // Who only looks forgets nothing.
    let engine = Engine::builder().open_on(disk.clone()).unwrap();
    assert_eq!(engine.rule_set().recorded, recorded);
    engine.close().unwrap();
    assert_eq!(open().rule_set().changed, 0);

    // Nor does who only reads, whatever its rules.
    let twice = Total::new("cash", |_: &String, cents: &i64| 2 * i128::from(*cents));
    let builder = with(accounts().total(twice.version(2)).invariant(not_negative("new")));
    let reader = builder.open_read_only_on(disk.clone()).unwrap();
    assert_eq!((reader.rule_set().recorded, reader.totals().get("cash")), (recorded, Some(5)));
    assert_eq!(reader.totals().totals[0].keyspace, "accounts");
    drop(reader);

    let engine = Engine::builder().open_on(disk.clone()).unwrap();
    committed(&engine, put("ann", 6));
    committed(&engine, put("bob", 1));
    assert!(engine.totals().totals.is_empty());
    assert_eq!(engine.rule_set().given, engine.rule_set().recorded);
    engine.close().unwrap();

    let engine = open();
    assert_eq!(engine.totals().get("cash"), Some(7));
    committed(&engine, put("bob", 2));
    assert_eq!(engine.totals().get("cash"), Some(8));
    assert!(engine.audit().unwrap().holds());
}

#[test]
fn an_invariant_of_totals_is_held_against_what_they_will_be() {
    let disk = before_rules();
    let sum = |most: i128| {
        SumInvariant::new("at most", ["cash"], move |[cash]| {
            if cash <= most { Ok(()) } else { Err(Violation::new(format!("{cash}"))) }
        })
    };
    let open = |total: Total<String, i64>, sum| {
        with(accounts().total(total)).sum_invariant(sum).open_on(disk.clone()).unwrap()
    };
    assert_eq!(only_reads(&open(cash(), sum(180))), "\"at most\" does not hold of the totals");
    let engine = open(cash(), sum(181));
    assert_eq!(engine.totals().get("cash"), Some(181));
    assert!(matches!(engine.commit(put("2", 3)).unwrap(), Outcome::Rejected(_)));
    // That was the first entry.
    committed(&engine, put("2", 2));
    engine.close().unwrap();
    // The invariant is an old one, and its total comes to another value.
    let twice = Total::new("cash", |_: &String, cents: &i64| 2 * i128::from(*cents));
    assert!(only_reads(&open(twice.version(2), sum(181))).contains("at most"));
    // A new one of an old total.
    assert!(only_reads(&open(cash(), sum(10).version(2))).contains("at most"));
    // What it says can't be told of its code alone.
    assert_eq!(open(cash(), sum(10)).rule_set().refused, None);
}

#[test]
fn what_can_not_be_judged_or_counted_is_never_accepted_as_it_is() {
    let disk = before_rules();
    let panics = || {
        Total::new("panics", |_: &String, cents: &i64| {
            if *cents == -7 {
                panic::resume_unwind(Box::new("on purpose"));
            }
            1
        })
    };
    for then in [OnBrokenRule::ReadOnly, OnBrokenRule::Accept] {
        let builder = with(accounts().total(panics())).on_broken_rule(then);
        let reason = only_reads(&builder.open_on(disk.clone()).unwrap());
        assert!(reason.starts_with("total \"panics\" of keyspace \"accounts\""), "{reason}");
    }
    let large = Total::new("large", |_: &String, _: &i64| i128::MAX / 3);
    let reason = only_reads(&with(accounts().total(large)).open_on(disk.clone()).unwrap());
    assert!(reason.starts_with("total \"large\""), "{reason}");
    // An invariant that panics does not hold; that can be accepted.
    let panics = || {
        Invariant::new("panics", |_: &String, cents: &i64| {
            if *cents == -7 {
                panic::resume_unwind(Box::new("on purpose"));
            }
            Ok(())
        })
    };
    let open = |then| with(accounts().invariant(panics())).on_broken_rule(then);
    let reason = only_reads(&open(OnBrokenRule::ReadOnly).open_on(disk.clone()).unwrap());
    assert_eq!(reason, "1 record in keyspace \"accounts\" can't be judged");
    assert_healthy(&open(OnBrokenRule::Accept).open_on(disk.clone()).unwrap());

    const OTHERWISE: Keyspace<u32, i64> = Keyspace::new("accounts");
    let rules = Rules::of(&OTHERWISE).total(Total::new("n", |_, _| 1));
    let disk = before_rules();
    let reason = only_reads(&Engine::builder().rules(rules).open_on(disk).unwrap());
    assert!(reason.contains("is stored otherwise"), "{reason}");
}

#[test]
fn a_database_that_takes_no_writes_records_rules_once_it_does() {
    let disk = SimDisk::new();
    let engine = Engine::builder().open_on(disk.clone()).unwrap();
    committed(&engine, put("ann", 5));
    engine.set_mode(Mode::ReadOnly { reason: "moving".into() }).unwrap();
    engine.close().unwrap();
    let open = || with(accounts().total(cash())).open_on(disk.clone()).unwrap();
    let engine = open();
    let refused = engine.commit(put("ann", 6));
    assert!(matches!(refused, Err(Error::ReadOnly { .. })), "{refused:?}");
    assert_eq!((engine.rule_set().changed, engine.totals().get("cash")), (1, Some(5)));
    engine.set_mode(Mode::ReadWrite).unwrap();
    assert_eq!(engine.rule_set().given, engine.rule_set().recorded);
    committed(&engine, put("ann", 6));
    engine.close().unwrap();
    let engine = open();
    assert_eq!((engine.rule_set().changed, engine.totals().get("cash")), (0, Some(6)));
}

/// The entry that records them is torn: then nothing was recorded.
#[test]
fn an_entry_that_is_lost_takes_the_rules_with_it() {
    let disk = before_rules();
    let open = |disk: &SimDisk| with(accounts().total(cash())).open_on(disk.clone()).unwrap();
    for fate in [Choice::None, Choice::All] {
        let disk = disk.snapshot();
        let engine = open(&disk);
        // Beginning the segment takes some calls, the group is the last.
        let mut probe = disk.io_count();
        let copy = disk.snapshot();
        let other = open(&copy);
        let start = copy.io_count();
        committed(&other, put("2", 9));
        probe += copy.io_count() - start;
        disk.crash_at(probe);
        let lost = engine.commit(put("2", 9));
        assert!(matches!(lost, Err(Error::Indeterminate { .. })), "{lost:?}");
        assert_eq!(engine.totals().get("cash"), Some(181), "as of what is durable");
        drop(engine);
        let engine = open(&disk.after_power_cut(&fate));
        let there = fate == Choice::All;
        let due = if there { (0, Some(188)) } else { (1, Some(181)) };
        assert_eq!((engine.rule_set().changed, engine.totals().get("cash")), due);
        assert!(engine.audit().unwrap().totals[0].counted == due.1);
    }
}

#[test]
fn many_rules_fit_into_one_entry() {
    let leak = |name: String| -> &'static str { Box::leak(name.into_boxed_str()) };
    let long = |n: u32| leak(format!("{n:064}"));
    let disk = SimDisk::new();
    let open = |rules: u32| {
        let invariant = |n| Invariant::new(long(n), |_: &String, _: &i64| Ok(()));
        let given = (64..rules).fold(accounts(), |given, n| given.invariant(invariant(n)));
        let total = |n| Total::new(long(n), |_: &String, cents: &i64| i128::from(*cents));
        let given = (0..64).fold(given, |given, n| given.total(total(n)));
        with(given).memtable_limit_bytes(64 << 10).segment_bytes(64 << 10).open_on(disk.clone())
    };
    let too_many = open(1_025).unwrap_err();
    assert!(matches!(too_many, Error::Shape(_)), "{too_many}");
    let engine = open(1_024).unwrap();
    for n in 0..200 {
        committed(&engine, put(&n.to_string(), n));
    }
    engine.close().unwrap();
    let engine = open(1_024).unwrap();
    assert_eq!(engine.rule_set().changed, 0);
    assert_eq!(engine.totals().get(long(63)), Some(19_900));
    committed(&engine, Request::unkeyed().put(&STOCK, &1, &1, Expect::Any));
}
