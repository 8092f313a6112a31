//! Totals: they are what the records come to, whatever has happened, and what must be true of them is.

use crate::support::{assert_healthy, key};
use proptest::{collection::vec, prelude::*};
use serde::{Deserialize, Serialize};
use std::{panic, sync::OnceLock};
use steadfast::{
    Abort, Background, Builder, Enforcement, Engine, Error, Expect, Guard, Invariant, Keyspace,
    Outcome, Procedure, Rejection, Request, Rules, Severity, ShapeError, SumInvariant, Total,
    Transaction, Violation,
    testing::{
        Choice, SimDisk,
        reseal::{groups, reseal},
    },
};

const ACCOUNTS: Keyspace<String, i64> = Keyspace::new("accounts");
const ISSUED: Keyspace<u64, i64> = Keyspace::new("issued");

fn cash() -> Total<String, i64> {
    Total::new("cash", |_: &String, cents: &i64| i128::from(*cents))
}

fn issued() -> Total<u64, i64> {
    Total::new("issued", |_: &u64, cents: &i64| i128::from(*cents))
}

/// All that is on accounts was issued.
fn conserved() -> SumInvariant {
    SumInvariant::new("conserved", ["cash", "issued"], |[cash, issued]| {
        if cash == issued {
            Ok(())
        } else {
            Err(Violation::new(format!("off by {}", cash - issued)))
        }
    })
}

fn builder() -> Builder {
    let accounts = Rules::of(&ACCOUNTS).total(cash());
    Engine::builder().rules(accounts).rules(Rules::of(&ISSUED).total(issued()))
}

fn committed<T>(outcome: Result<Outcome<T>, Error>) {
    outcome.unwrap().committed().unwrap();
}

fn account(engine: &Engine, name: &str) -> i64 {
    engine.get(&ACCOUNTS, name).unwrap().map_or(0, |record| record.value)
}

/// Puts money on an account, and notes that it was issued.
fn issue(n: u64, name: &str, cents: i64) -> Request {
    Request::unkeyed().add(&ACCOUNTS, name, cents, i64::MIN..=i64::MAX).put(
        &ISSUED,
        &n,
        &cents,
        Expect::Absent,
    )
}

/// The totals against a fresh sum over all records.
fn assert_totals(engine: &Engine) {
    let report = engine.totals();
    assert_eq!(report.seq, engine.durable_seq());
    let snapshot = engine.snapshot();
    let cash = snapshot.range(&ACCOUNTS, ..).map(|item| i128::from(item.unwrap().1.value));
    let issued = snapshot.range(&ISSUED, ..).map(|item| i128::from(item.unwrap().1.value));
    let (cash, issued): (i128, i128) = (cash.sum(), issued.sum());
    assert_eq!((report.get("cash"), report.get("issued")), (Some(cash), Some(issued)));
    assert_eq!(report.get("of no such name"), None);
    let audit = engine.audit().unwrap();
    assert!(audit.totals.iter().all(|total| total.kept == total.counted), "{audit:?}");
}

#[derive(Serialize, Deserialize)]
struct Transfer {
    from: String,
    to: String,
    cents: i64,
    /// What is lost on the way.
    lost: i64,
}

fn transfer(given: &Transfer, tx: &mut Transaction<'_>) -> Result<(), Error> {
    let Transfer { from, to, cents, lost } = given;
    let before =
        |account: Option<steadfast::Record<i64>>| account.map_or(0, |account| account.value);
    let there = before(tx.get(&ACCOUNTS, from)?);
    tx.put(&ACCOUNTS, from, &(there - cents))?;
    let there = before(tx.get(&ACCOUNTS, to)?);
    tx.put(&ACCOUNTS, to, &(there + cents - lost))
}

impl Procedure for Transfer {
    const NAME: &'static str = "transfer";
    const VERSION: u32 = 1;
    type Output = ();
    type Rejection = steadfast::Never;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<(), Abort> {
        Ok(transfer(self, tx)?)
    }
}

/// Invariant and reason of a refusal.
fn broken<T: std::fmt::Debug>(outcome: Outcome<T>) -> (String, String) {
    match outcome {
        Outcome::Rejected(Rejection::SumInvariant(broken)) => (broken.invariant, broken.reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn money_is_conserved_whoever_moves_it() {
    let disk = SimDisk::new();
    let engine = builder().sum_invariant(conserved()).procedure::<Transfer>();
    let engine = engine.open_on(disk.clone()).unwrap();
    committed(engine.commit(issue(1, "ann", 100)));
    let given = |lost| Transfer { from: "ann".into(), to: "bob".into(), cents: 30, lost };

    // A request.
    let moved = |ann: i64, bob: i64| {
        Request::new(key(&format!("{ann} {bob}"))).put(&ACCOUNTS, "ann", &ann, Expect::Any).put(
            &ACCOUNTS,
            "bob",
            &bob,
            Expect::Any,
        )
    };
    committed(engine.commit(moved(70, 30)));
    let off = |by: i64| ("conserved".to_owned(), format!("off by {by}"));
    assert_eq!(broken(engine.commit(moved(70, 31)).unwrap()), off(1));
    // `update`.
    let update = |engine: &Engine, lost| {
        let (name, given) = (key(&format!("update {lost}")), given(lost));
        let moved = engine.update(name, &lost, |tx| Ok(transfer(&given, tx)?));
        moved.unwrap()
    };
    update(&engine, 0).committed().unwrap();
    assert_eq!(broken(update(&engine, 5)), off(-5));
    // A procedure.
    let call =
        |engine: &Engine, lost| engine.call(key(&format!("call {lost}")), &given(lost)).unwrap();
    call(&engine, 0).committed().unwrap();
    assert_eq!(broken(call(&engine, 7)), off(-7));
    assert_eq!((account(&engine, "ann"), account(&engine, "bob")), (10, 90));
    assert_totals(&engine);
    assert_eq!(engine.totals().get("cash"), Some(100));

    // Remembered: the same answer, when the money is there and when nobody asks for it any more.
    committed(engine.commit(issue(2, "bob", 7)));
    let check = |engine: &Engine| {
        assert_eq!(broken(engine.commit(moved(70, 31)).unwrap()), off(1));
        assert_eq!(broken(update(engine, 5)), off(-5));
        assert_eq!(broken(call(engine, 7)), off(-7));
    };
    check(&engine);
    engine.checkpoint().unwrap();
    engine.close().unwrap();
    let engine = Engine::builder().procedure::<Transfer>().open_on(disk).unwrap();
    check(&engine);
    assert_healthy(&engine);
}

#[test]
fn what_is_monitored_is_carried_out_and_counted() {
    let watched = conserved().enforcement(Enforcement::Monitor).severity(Severity::Warning);
    let engine = builder().sum_invariant(watched).in_memory().unwrap();
    let put = |cents| engine.commit(Request::unkeyed().put(&ACCOUNTS, "ann", &cents, Expect::Any));
    committed(put(1));
    committed(put(2));
    // It changes no total, so nothing is judged.
    committed(put(2));
    committed(put(0));
    // Refused for another reason.
    let refused = Request::unkeyed().put(&ACCOUNTS, "ann", &5, Expect::Absent);
    assert!(matches!(engine.commit(refused).unwrap(), Outcome::Rejected(_)));
    let report = engine.totals();
    let [status] = &report.invariants[..] else { panic!("{report:?}") };
    assert_eq!((&status.invariant[..], status.severity), ("conserved", Severity::Warning));
    assert_eq!((status.enforcement, status.violations), (Enforcement::Monitor, 2));
    assert!(engine.audit().unwrap().holds());
    committed(put(3));
    let audit = engine.audit().unwrap();
    assert!(!audit.holds());
    assert_eq!((audit.records, audit.sum_invariants[0].violations), (1, 1));
    assert_eq!(audit.totals[0].counted, Some(3));
}

#[test]
fn guards_and_invariants_of_records_answer_first() {
    let whole = Invariant::new("whole", |_: &String, cents: &i64| match cents % 100 {
        0 => Ok(()),
        _ => Err(Violation::new("cents")),
    });
    let sign = Guard::new("sign", |cents: &i64| if *cents < 0 { "minus" } else { "plus" });
    let accounts =
        Rules::of(&ACCOUNTS).guard(sign.creates(&["plus"])).invariant(whole).total(cash());
    let nothing = SumInvariant::new("nothing", ["cash"], |[cash]| match cash {
        0 => Ok(()),
        _ => Err(Violation::new("something")),
    });
    let engine = Engine::builder().rules(accounts).sum_invariant(nothing).in_memory().unwrap();
    let put = |first: i64, second: i64| {
        let request = Request::unkeyed().put(&ACCOUNTS, "a", &first, Expect::Any);
        engine.commit(request.put(&ACCOUNTS, "b", &second, Expect::Any)).unwrap()
    };
    let outcome = put(1, -1);
    let illegal = matches!(outcome, Outcome::Rejected(Rejection::IllegalTransition(_)));
    assert!(illegal, "{outcome:?}");
    let outcome = put(1, 100);
    assert!(matches!(outcome, Outcome::Rejected(Rejection::Invariant(_))), "{outcome:?}");
    assert_eq!(broken(put(100, 100)), ("nothing".into(), "something".into()));
    committed(Ok(put(0, 0)));
}

#[test]
fn a_total_that_would_run_over_refuses_the_request() {
    let edge = |name| {
        Total::new(name, |_: &String, share: &i64| match *share {
            1 => i128::MAX,
            -1 => i128::MIN,
            other => i128::from(other),
        })
    };
    let disk = SimDisk::new();
    let open = || {
        let rules = Rules::of(&ACCOUNTS).total(edge("z")).total(edge("e"));
        Engine::builder().rules(rules).open_on(disk.clone()).unwrap()
    };
    let engine = open();
    let put = |name: &str, value: i64| {
        Request::new(key(&format!("{name} {value}"))).put(&ACCOUNTS, name, &value, Expect::Any)
    };
    committed(engine.commit(put("a", 1)));
    let over = || Outcome::Rejected(Rejection::TotalOverflow { total: "e".into() });
    assert_eq!(engine.commit(put("b", 2)).unwrap(), over());
    assert_eq!(engine.commit(put("b", 1)).unwrap(), over());
    // Only what comes out in the end counts, not the order in which it is summed up.
    let (any, unkeyed) = (Expect::Any, Request::unkeyed);
    committed(engine.commit(unkeyed().put(&ACCOUNTS, "b", &2, any).put(&ACCOUNTS, "c", &-2, any)));
    committed(engine.commit(unkeyed().put(&ACCOUNTS, "c", &-3, any)));
    assert_eq!(engine.totals().get("e"), Some(i128::MAX - 1));
    // From one end to the other in one step: the difference alone would not fit.
    committed(engine.commit(unkeyed().put(&ACCOUNTS, "c", &0, any).delete(&ACCOUNTS, "b", any)));
    committed(engine.commit(unkeyed().put(&ACCOUNTS, "a", &-1, any)));
    assert_eq!(engine.totals().get("z"), Some(i128::MIN));
    // Remembered, although there is room by now.
    assert_eq!(engine.commit(put("b", 1)).unwrap(), over());
    engine.close().unwrap();
    let engine = open();
    assert_eq!(engine.commit(put("b", 1)).unwrap(), over());
}

#[test]
fn code_of_totals_that_goes_wrong_is_contained() {
    let cash = Total::new("cash", |_: &String, cents: &i64| {
        if *cents == 7 {
            panic::resume_unwind(Box::new("on purpose"));
        }
        i128::from(*cents)
    });
    let picky = SumInvariant::new("picky", ["cash"], |[cash]| {
        if cash == 13 {
            panic::resume_unwind(Box::new("on purpose"));
        }
        Ok(())
    });
    let rules = Rules::of(&ACCOUNTS).total(cash);
    let engine = Engine::builder().rules(rules).sum_invariant(picky).in_memory().unwrap();
    let request = |cents: i64| Request::new(key("1")).put(&ACCOUNTS, "ann", &cents, Expect::Any);
    let outcome = engine.commit(request(7));
    assert!(matches!(outcome, Err(Error::Panicked { what: "cash" })), "{outcome:?}");
    let outcome = engine.commit(request(13));
    assert!(matches!(outcome, Err(Error::Panicked { what: "picky" })), "{outcome:?}");
    assert_eq!(engine.durable_seq().get(), 0);
    committed(engine.commit(request(8)));
    // A record that can't be counted is not taken out either.
    const OTHER: Keyspace<String, (u64, String)> = Keyspace::new("accounts");
    let value = (1, "one and a half".to_owned());
    let outcome = engine.commit(Request::unkeyed().put(&OTHER, "bob", &value, Expect::Any));
    assert!(matches!(outcome, Err(Error::Codec(_))), "{outcome:?}");
    assert_eq!(engine.totals().get("cash"), Some(8));
    assert_healthy(&engine);
}

static ENGINE: OnceLock<Engine> = OnceLock::new();

#[test]
fn code_of_totals_calls_no_engine() {
    let curious = Total::new("curious", |_: &String, _: &i64| {
        let engine = ENGINE.get().expect("it was set");
        match engine.get(&ACCOUNTS, "ann") {
            Err(Error::Reentrant { .. }) => 1,
            _ => 0,
        }
    });
    let engine = Engine::builder().rules(Rules::of(&ACCOUNTS).total(curious)).in_memory().unwrap();
    ENGINE.set(engine.clone()).expect("this test alone sets it");
    committed(engine.commit(Request::unkeyed().put(&ACCOUNTS, "ann", &1, Expect::Any)));
    assert_eq!(engine.totals().get("curious"), Some(1));
}

#[test]
fn totals_that_are_not_well_declared_make_the_opening_fail() {
    let long =
        "a name that goes on and on, until it is longer than the sixty-four bytes it may have";
    let named = |name| Total::new(name, |_: &String, _: &i64| 0);
    let sum = |name, total| SumInvariant::new(name, [total], |_| Ok(()));
    let same = Invariant::new("conserved", |_: &String, _: &i64| Ok(()));
    let many: Vec<&'static str> =
        (0..65).map(|n| &*Box::leak(format!("total {n}").into_boxed_str())).collect();
    let many = many.into_iter().fold(Rules::of(&ACCOUNTS), |rules, name| rules.total(named(name)));
    let flawed = [
        builder().rules(Rules::of(&ACCOUNTS).total(named("issued"))),
        builder().rules(Rules::of(&ACCOUNTS).total(named(""))),
        builder().rules(Rules::of(&ACCOUNTS).total(named(long))),
        builder().sum_invariant(sum("conserved", "credit")),
        builder().sum_invariant(sum("", "cash")),
        builder().sum_invariant(sum(long, "cash")),
        builder().sum_invariant(SumInvariant::new("about nothing", [], |[]| Ok(()))),
        builder().sum_invariant(conserved()).sum_invariant(conserved()),
        builder().sum_invariant(conserved()).rules(Rules::of(&ACCOUNTS).invariant(same)),
        Engine::builder().rules(many),
    ];
    for builder in flawed {
        let error = builder.in_memory().unwrap_err();
        assert!(matches!(error, Error::Shape(ShapeError::Rule { .. })), "{error}");
    }
}

/// A number in an entry, changed where no checksum tells: the state digest does.
#[test]
fn a_total_that_was_changed_in_the_log_is_noticed() {
    let disk = SimDisk::new();
    let engine = builder().background(Background::Manual).open_on(disk.clone()).unwrap();
    committed(engine.commit(issue(1, "ann", 0x0123_4567_89ab)));
    disk.crash_at(disk.io_count() + 1);
    drop(engine);
    let segment = "segments/00000000000000000002";
    let offset = *groups(&disk, segment).unwrap().last().unwrap();
    // What the totals are after it: the name, and the number in 16 bytes.
    let needle: Vec<u8> = [&b"\x04cash"[..], &0x0123_4567_89abi128.to_le_bytes()].concat();
    let forged = disk.after_power_cut(&Choice::All);
    let mut found = 0;
    reseal(&forged, segment, offset, |body| {
        let places = (0..body.len()).filter(|&at| body[at..].starts_with(&needle));
        for at in places.collect::<Vec<_>>() {
            body[at + 5] ^= 1;
            found += 1;
        }
    })
    .unwrap();
    assert_eq!(found, 1);
    let refused = builder().open_on(forged).unwrap_err();
    assert!(matches!(refused, Error::Corruption { .. }), "{refused}");
    assert_totals(&builder().open_on(disk.after_power_cut(&Choice::All)).unwrap());
}

/// Moves money about; ends at the first failure.
fn work(engine: &Engine) -> Result<(), Error> {
    for step in 0..4i64 {
        let request = Request::new(key(&format!("step {step}"))).intent(&step);
        let (from, to) = (["a", "b"][step as usize % 2], ["b", "c"][step as usize / 2]);
        let request = request.add(&ACCOUNTS, from, -step, i64::MIN..=i64::MAX);
        engine.commit(request.add(&ACCOUNTS, to, step + 1, i64::MIN..=i64::MAX))?.committed()?;
        if step == 1 {
            engine.checkpoint()?;
        }
    }
    let request = Request::new(key("removed")).delete(&ACCOUNTS, "b", Expect::Any);
    engine.commit(request)?.committed()?;
    engine.checkpoint()?;
    engine.commit(issue(9, "c", 5))?.committed()?;
    engine.clone().close().map(drop)
}

/// Under a power cut at every call that changes the disk, and several fates of what was not synced: the totals are what the records
/// come to, and the work can be done to its end.
#[test]
fn totals_survive_a_power_cut_at_every_call() {
    let open = |disk: &SimDisk| builder().background(Background::Manual).open_on(disk.clone());
    let new_disk = || {
        let disk = SimDisk::new();
        disk.assume_powersafe("checkpoint.redb");
        disk
    };
    let disk = new_disk();
    work(&open(&disk).unwrap()).unwrap();
    let calls = disk.io_count();
    assert!(calls > 30, "{calls}");
    for call in 1..=calls {
        let disk = new_disk();
        disk.crash_at(call);
        if let Ok(engine) = open(&disk) {
            let _ = work(&engine);
        }
        let seeds = (0..3).map(|seed| Choice::Seeded(call * 10 + seed));
        for choice in seeds.chain([Choice::None, Choice::All]) {
            let disk = disk.after_power_cut(&choice);
            let engine = open(&disk).unwrap_or_else(|error| panic!("{call}, {choice:?}: {error}"));
            assert_totals(&engine);
            let done = engine.get(&ISSUED, &9).unwrap().is_some();
            if !done {
                work(&engine).unwrap();
                let engine = open(&disk).unwrap();
                assert_totals(&engine);
                assert_eq!(engine.totals().get("issued"), Some(5));
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Put(u8, i64),
    Add(u8, i64),
    Delete(u8),
    Issue(u8, i64),
    /// Several operations on one record, in one request.
    Twice(u8, i64, i64),
    Transfer(u8, u8, i64),
    Refused(u8),
    Checkpoint,
    Reopen,
    Crash(u64),
    /// A life without rules, after which they are brought back.
    Without(u8, i64),
}

fn op() -> impl Strategy<Value = Op> {
    let account = || 0..6u8;
    let cents = || prop_oneof![-5..5i64, Just(i64::MAX), Just(i64::MIN), any::<i64>()];
    prop_oneof![
        4 => (account(), cents()).prop_map(|(a, c)| Op::Put(a, c)),
        3 => (account(), -5..5i64).prop_map(|(a, c)| Op::Add(a, c)),
        3 => account().prop_map(Op::Delete),
        2 => (any::<u8>(), cents()).prop_map(|(n, c)| Op::Issue(n, c)),
        2 => (account(), cents(), cents()).prop_map(|(a, c, d)| Op::Twice(a, c, d)),
        2 => (account(), account(), cents()).prop_map(|(a, b, c)| Op::Transfer(a, b, c)),
        1 => account().prop_map(Op::Refused),
        1 => Just(Op::Checkpoint),
        1 => Just(Op::Reopen),
        1 => any::<u64>().prop_map(Op::Crash),
        1 => (account(), cents()).prop_map(|(a, c)| Op::Without(a, c)),
    ]
}

fn name(account: u8) -> String {
    format!("account {account}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn totals_are_what_the_records_come_to(ops in vec(op(), 1..40)) {
        let mut disk = SimDisk::new();
        disk.assume_powersafe("checkpoint.redb");
        let open = |disk: &SimDisk| {
            builder().procedure::<Transfer>().background(Background::Manual).open_on(disk.clone()).unwrap()
        };
        let mut engine = open(&disk);
        for (n, op) in ops.into_iter().enumerate() {
            let any = Expect::Any;
            let put = |account: u8, cents: i64| {
                Request::unkeyed().put(&ACCOUNTS, &name(account), &cents, any)
            };
            match op {
                Op::Put(account, cents) => committed(engine.commit(put(account, cents))),
                Op::Add(account, cents) => {
                    let add = Request::unkeyed().add(&ACCOUNTS, &name(account), cents, -9..=9);
                    drop(engine.commit(add));
                }
                Op::Delete(account) => {
                    committed(engine.commit(Request::unkeyed().delete(&ACCOUNTS, &name(account), any)));
                }
                Op::Issue(number, cents) => {
                    let request = Request::unkeyed().put(&ISSUED, &u64::from(number), &cents, any);
                    committed(engine.commit(request));
                }
                Op::Twice(account, first, second) => {
                    let request = put(account, first).delete(&ACCOUNTS, &name(account), any);
                    committed(engine.commit(request.put(&ACCOUNTS, &name(account), &second, any)));
                }
                Op::Transfer(from, to, cents) => {
                    let (from, to, cents) = (name(from), name(to), cents % 1_000);
                    let given = Transfer { from, to, cents, lost: n as i64 };
                    let far = |name: &str| account(&engine, name).unsigned_abs() > 1 << 60;
                    if !far(&given.from) && !far(&given.to) {
                        engine.call(key(&n.to_string()), &given).unwrap().committed().unwrap();
                    }
                }
                Op::Refused(account) => {
                    let request = Request::new(key(&n.to_string()));
                    let request = request.put(&ACCOUNTS, &name(account), &1, Expect::Absent);
                    drop(engine.commit(request.check(&ISSUED, &1, Expect::Absent)));
                }
                Op::Checkpoint => engine.checkpoint().unwrap(),
                Op::Reopen => {
                    engine.close().unwrap();
                    engine = open(&disk);
                }
                Op::Crash(seed) => {
                    disk.crash_at(disk.io_count() + 1 + seed % 3);
                    let _ = engine.commit(put(0, 3));
                    let _ = engine.commit(put(1, 4));
                    drop(engine);
                    disk = disk.after_power_cut(&Choice::Seeded(seed));
                    engine = open(&disk);
                }
                Op::Without(account, cents) => {
                    engine.close().unwrap();
                    let without = Engine::builder().open_on(disk.clone()).unwrap();
                    committed(without.commit(put(account, cents)));
                    prop_assert!(without.totals().totals.is_empty());
                    without.close().unwrap();
                    engine = open(&disk);
                }
            }
            assert_totals(&engine);
        }
    }
}
