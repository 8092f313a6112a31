//! Guards and invariants: what they refuse, when, and what is remembered of it.

use proptest::{collection::vec, prelude::*};
use serde::{Deserialize, Serialize};
use std::panic;
use steadfast::{
    Abort, Builder, Enforcement, Engine, Error, Expect, Guard, IdempotencyKey, Invariant, Keyspace,
    Never, OnBrokenRule, Outcome, Procedure, Rejection, Request, Rules, Severity, ShapeError,
    Transaction, Violation,
    testing::{Choice, SimDisk},
};

const ORDERS: Keyspace<u64, Order> = Keyspace::new("orders");
const ACCOUNTS: Keyspace<String, i64> = Keyspace::new("accounts");

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Status {
    Pending,
    Paid,
    Shipped,
    Canceled,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    status: Status,
    cents: i64,
}

const STATUSES: [Status; 4] = [Status::Pending, Status::Paid, Status::Shipped, Status::Canceled];

fn name(order: &Order) -> &'static str {
    match order.status {
        Status::Pending => "pending",
        Status::Paid => "paid",
        Status::Shipped => "shipped",
        Status::Canceled => "canceled",
    }
}

fn status() -> Guard<Order> {
    Guard::new("status", name)
        .creates(&["pending"])
        .allows("pending", &["paid", "canceled"])
        .allows("paid", &["shipped"])
        .removes(&["canceled"])
}

/// The table, once more and by hand.
fn may(from: Option<Status>, to: Option<Status>) -> bool {
    use Status::*;
    from == to
        || matches!(
            (from, to),
            (None, Some(Pending))
                | (Some(Pending), Some(Paid | Canceled))
                | (Some(Paid), Some(Shipped))
                | (Some(Canceled), None)
        )
}

fn not_negative<K: 'static>(name: &'static str) -> Invariant<K, i64> {
    Invariant::new(name, |_, cents| {
        if *cents < 0 { Err(Violation::new(format!("{cents} cents"))) } else { Ok(()) }
    })
}

fn worth_something() -> Invariant<u64, Order> {
    Invariant::new("worth something", |_, order: &Order| {
        if order.cents > 0 { Ok(()) } else { Err(Violation::new("nothing")) }
    })
    .severity(Severity::Critical)
}

fn builder() -> Builder {
    let orders = Rules::of(&ORDERS).guard(status()).invariant(worth_something());
    let accounts = Rules::of(&ACCOUNTS).invariant(not_negative("solvent"));
    Engine::builder().rules(orders).rules(accounts)
}

fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey::new("test", name).unwrap()
}

fn order(status: Status) -> Order {
    Order { status, cents: 100 }
}

fn put(status: Status) -> Request {
    Request::unkeyed().put(&ORDERS, &1, &order(status), Expect::Any)
}

fn committed(engine: &Engine, request: Request) {
    engine.commit(request).unwrap().committed().unwrap();
}

/// From, to and what would be allowed, of a refusal by a guard.
fn illegal<T, R>(outcome: Outcome<T, R>) -> (Option<String>, Option<String>, Vec<Option<String>>) {
    match outcome {
        Outcome::Rejected(Rejection::IllegalTransition(illegal)) => {
            assert_eq!((&illegal.keyspace[..], &illegal.field[..]), ("orders", "status"));
            (illegal.from, illegal.to, illegal.allowed)
        }
        Outcome::Rejected(other) => panic!("refused otherwise: {other}"),
        Outcome::Committed(_) => panic!("it was carried out"),
    }
}

fn some(name: &str) -> Option<String> {
    Some(name.to_owned())
}

#[test]
fn a_guard_lets_pass_what_is_in_its_table_and_nothing_else() {
    let all = || STATUSES.into_iter().map(Some).chain([None]);
    for (from, to) in all().flat_map(|from| all().map(move |to| (from, to))) {
        let disk = SimDisk::new();
        let engine = Engine::builder().open_on(disk.clone()).unwrap();
        if let Some(from) = from {
            committed(&engine, put(from));
        }
        engine.close().unwrap();
        let engine = builder().open_on(disk).unwrap();
        let request = match to {
            Some(to) => put(to),
            None => Request::unkeyed().delete(&ORDERS, &1, Expect::Any),
        };
        let outcome = engine.commit(request).unwrap();
        let there = engine.get(&ORDERS, &1).unwrap().map(|record| record.value.status);
        if may(from, to) {
            outcome.committed().unwrap();
            assert_eq!(there, to);
        } else {
            let name =
                |status: Option<Status>| status.map(|status| name(&order(status)).to_owned());
            let (was, would_be, allowed) = illegal(outcome);
            assert_eq!((was, would_be), (name(from), name(to)));
            let due: Vec<_> = all().filter(|to| *to != from && may(from, *to)).map(name).collect();
            let mut allowed = allowed;
            allowed.sort();
            let mut due = due;
            due.sort();
            assert_eq!(allowed, due);
            assert_eq!(there, from);
        }
    }
}

#[test]
fn rules_judge_the_net_change_of_a_record() {
    let engine = builder().in_memory().unwrap();
    let twice = |first, second| put(first).put(&ORDERS, &1, &order(second), Expect::Any);
    let refused = engine.commit(twice(Status::Pending, Status::Paid)).unwrap();
    assert_eq!(illegal(refused), (None, some("paid"), vec![some("pending")]));
    committed(&engine, twice(Status::Shipped, Status::Pending));
    let gone = put(Status::Paid).delete(&ORDERS, &1, Expect::Any);
    assert_eq!(illegal(engine.commit(gone).unwrap()).1, None);
    // Removed and made again, in one request, it has gone from one state to the other.
    let again = Request::unkeyed().delete(&ORDERS, &1, Expect::Any);
    committed(&engine, again.put(&ORDERS, &1, &order(Status::Paid), Expect::Any));
}

#[derive(Serialize, Deserialize)]
struct Set(u64, Order);

impl Procedure for Set {
    const NAME: &'static str = "set";
    const VERSION: u32 = 1;
    type Output = ();
    type Rejection = Never;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<(), Abort> {
        Ok(tx.put(&ORDERS, &self.0, &self.1)?)
    }
}

#[test]
fn a_refusal_is_remembered_whoever_wrote_and_whatever_the_rules_are_later() {
    let dir = tempfile::tempdir().unwrap();
    let engine = builder().procedure::<Set>().open(dir.path()).unwrap();
    committed(&engine, put(Status::Pending).actor("ann"));
    let version = engine.get(&ORDERS, &1).unwrap().unwrap().version;
    let request =
        || Request::new(key("request")).put(&ORDERS, &1, &order(Status::Shipped), version);
    let bad = Order { status: Status::Pending, cents: -5 };
    let update = |engine: &Engine| {
        engine.update::<(), Never>(key("update"), &1, |tx| Ok(tx.put(&ORDERS, &2, &bad)?)).unwrap()
    };
    let call = |engine: &Engine| engine.call(key("call"), &Set(1, order(Status::Shipped))).unwrap();

    let first = (engine.commit(request()).unwrap(), update(&engine), call(&engine));
    match &first.0 {
        Outcome::Rejected(Rejection::IllegalTransition(illegal)) => {
            let found = illegal.found.as_ref().unwrap();
            assert_eq!((found.version, found.actor.as_ref()), (version, &b"ann"[..]));
        }
        other => panic!("{other:?}"),
    }
    match &first.1 {
        Outcome::Rejected(Rejection::Invariant(broken)) => {
            assert_eq!(
                (&broken.invariant[..], broken.severity),
                ("worth something", Severity::Critical)
            );
            assert_eq!((&broken.reason[..], &broken.found), ("nothing", &None));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(illegal(first.2.clone()).0, some("pending"));
    let check = |engine: &Engine| {
        assert_eq!(engine.commit(request()).unwrap(), first.0);
        assert_eq!((update(engine), call(engine)), (first.1.clone(), first.2.clone()));
    };
    committed(&engine, put(Status::Paid));
    check(&engine);
    engine.checkpoint().unwrap();
    check(&engine);
    engine.close().unwrap();
    // Without any rules.
    check(&Engine::builder().procedure::<Set>().open(dir.path()).unwrap());
}

#[test]
fn the_first_failure_is_the_answer() {
    let engine = builder().in_memory().unwrap();
    committed(&engine, put(Status::Pending));
    let wrong = |expect: Expect| {
        Request::unkeyed().put(&ACCOUNTS, "ann", &-1, Expect::Any).put(
            &ORDERS,
            &1,
            &Order { status: Status::Shipped, cents: 0 },
            expect,
        )
    };
    let outcome = engine.commit(wrong(steadfast::Version::new(0).into())).unwrap();
    assert!(matches!(outcome, Outcome::Rejected(Rejection::Conflict(_))), "{outcome:?}");
    let outcome = engine.commit(wrong(Expect::Absent)).unwrap();
    assert!(matches!(outcome, Outcome::Rejected(Rejection::Expectation(_))), "{outcome:?}");
    // Guards before invariants, also those of another keyspace.
    assert_eq!(illegal(engine.commit(wrong(Expect::Any)).unwrap()).1, some("shipped"));
    // Invariants by keyspace and key, whatever the order of the operations.
    let worthless = Order { status: Status::Pending, cents: 0 };
    let broken = |request| match engine.commit(request).unwrap() {
        Outcome::Rejected(Rejection::Invariant(broken)) => (broken.keyspace, broken.key),
        other => panic!("{other:?}"),
    };
    let (z, y) = (Request::unkeyed().put(&ORDERS, &1, &worthless, Expect::Any), "y");
    let both = z.put(&ACCOUNTS, "z", &-1, Expect::Any).put(&ACCOUNTS, y, &-1, Expect::Any);
    let (keyspace, key) = broken(both);
    assert_eq!((&keyspace[..], key.starts_with(b"y")), ("accounts", true));
    assert_eq!(engine.len(&ACCOUNTS).unwrap(), 0, "nothing of it was done");
}

#[test]
fn what_is_monitored_is_carried_out_and_counted() {
    let watched =
        not_negative("watched").enforcement(Enforcement::Monitor).severity(Severity::Warning);
    let rules = Rules::of(&ACCOUNTS).invariant(watched);
    let engine = Engine::builder().rules(rules).in_memory().unwrap();
    for n in 0..10u32 {
        committed(&engine, Request::unkeyed().put(&ACCOUNTS, &n.to_string(), &-1, Expect::Any));
    }
    // One that is refused for another reason, and one that was carried out before, do not count.
    let refused = Request::unkeyed().put(&ACCOUNTS, "0", &-1, Expect::Absent);
    assert!(matches!(engine.commit(refused).unwrap(), Outcome::Rejected(_)));
    let keyed = || Request::new(key("1")).put(&ACCOUNTS, "a", &-1, Expect::Any);
    committed(&engine, keyed());
    committed(&engine, keyed());
    let statuses = engine.rules();
    let [status] = &statuses[..] else { panic!("{statuses:?}") };
    assert_eq!((&status.keyspace[..], &status.invariant[..]), ("accounts", "watched"));
    assert_eq!((status.severity, status.enforcement), (Severity::Warning, Enforcement::Monitor));
    assert_eq!((status.violations, status.samples.len()), (11, 8));
    assert!(status.samples[7].starts_with(b"a"));
    assert_eq!(engine.len(&ACCOUNTS).unwrap(), 11);
    let report = engine.audit().unwrap();
    assert_eq!((report.records, report.invariants[0].violations, report.holds()), (11, 11, false));
}

#[test]
fn an_audit_looks_at_every_record_wherever_it_is() {
    let disk = SimDisk::new();
    let engine = Engine::builder().open_on(disk.clone()).unwrap();
    for n in 0..200i64 {
        committed(
            &engine,
            Request::unkeyed().put(&ACCOUNTS, &n.to_string(), &(n - 3), Expect::Any),
        );
        if n == 100 {
            engine.checkpoint().unwrap();
        }
    }
    committed(&engine, Request::unkeyed().delete(&ACCOUNTS, "0", Expect::Any));
    committed(&engine, Request::unkeyed().put(&ACCOUNTS, "150", &-9, Expect::Any));
    engine.close().unwrap();
    let engine = builder().on_broken_rule(OnBrokenRule::Accept).open_on(disk).unwrap();
    let report = engine.audit().unwrap();
    assert_eq!((report.records, report.seq), (199, engine.durable_seq()));
    let solvent = report.invariants.iter().find(|status| status.invariant == "solvent").unwrap();
    assert_eq!(solvent.violations, 3, "of 1, 2 and 150");
    assert_eq!(solvent.samples.len(), 3);
    // What is there stays readable, and can be mended.
    let mend = |n: &str| Request::unkeyed().put(&ACCOUNTS, n, &0, Expect::Any);
    ["1", "2", "150"].into_iter().for_each(|n| committed(&engine, mend(n)));
    assert!(engine.audit().unwrap().holds());
}

#[test]
fn code_of_rules_that_goes_wrong_is_contained() {
    let panics = Invariant::new("panics", |_: &String, cents: &i64| {
        assert!(*cents != 7, "on purpose");
        Ok(())
    });
    let engine =
        Engine::builder().rules(Rules::of(&ACCOUNTS).invariant(panics)).in_memory().unwrap();
    let request = |cents: i64| Request::new(key("1")).put(&ACCOUNTS, "ann", &cents, Expect::Any);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let outcome = engine.commit(request(7));
    panic::set_hook(hook);
    assert!(matches!(outcome, Err(Error::Panicked { what: "panics" })), "{outcome:?}");
    assert_eq!(engine.durable_seq().get(), 0);
    committed(&engine, request(8));
}

static ENGINE: std::sync::OnceLock<Engine> = std::sync::OnceLock::new();

#[test]
fn code_of_rules_calls_no_engine() {
    let curious = Invariant::new("curious", |_: &String, cents: &i64| {
        let engine = ENGINE.get().expect("it was set");
        let refused = match *cents {
            1 => engine.get(&ACCOUNTS, "ann").map(drop),
            2 => engine.commit(Request::unkeyed().put(&ACCOUNTS, "bob", &0, Expect::Any)).map(drop),
            3 => engine.sync().map(drop),
            4 => engine.snapshot().get(&ACCOUNTS, "ann").map(drop),
            _ => {
                let _ = engine.queue();
                Ok(())
            }
        };
        match refused {
            Err(Error::Reentrant { .. }) => Ok(()),
            other => Err(Violation::new(format!("{other:?}"))),
        }
    });
    let engine =
        Engine::builder().rules(Rules::of(&ACCOUNTS).invariant(curious)).in_memory().unwrap();
    ENGINE.set(engine.clone()).expect("this test alone sets it");
    let put = |cents| engine.commit(Request::unkeyed().put(&ACCOUNTS, "ann", &cents, Expect::Any));
    for cents in 1..=4 {
        put(cents).unwrap().committed().unwrap();
    }
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let panicked = put(5);
    panic::set_hook(hook);
    assert!(matches!(panicked, Err(Error::Panicked { what: "curious" })), "{panicked:?}");
    assert_eq!(engine.get(&ACCOUNTS, "ann").unwrap().unwrap().value, 4);
}

#[test]
fn what_is_only_monitored_refuses_nothing_whatever_goes_wrong() {
    let panics = Invariant::new("panics", |_: &String, cents: &i64| {
        if *cents == 7 {
            panic::resume_unwind(Box::new("on purpose"));
        }
        Ok(())
    });
    let rules = Rules::of(&ACCOUNTS).invariant(panics.enforcement(Enforcement::Monitor));
    let engine = Engine::builder().rules(rules).in_memory().unwrap();
    committed(&engine, Request::unkeyed().put(&ACCOUNTS, "ann", &7, Expect::Any));
    assert_eq!(engine.rules()[0].violations, 1);
    const OTHER: Keyspace<String, (u64, String)> = Keyspace::new("accounts");
    let value = (1, "one and a half".to_owned());
    committed(&engine, Request::unkeyed().put(&OTHER, "bob", &value, Expect::Any));
    let report = engine.audit().unwrap();
    assert_eq!((report.records, report.unjudged, report.holds()), (2, 2, false));
    assert_eq!(report.unjudged_samples.len(), 2);
}

#[test]
fn a_record_that_the_rules_can_not_read_is_not_changed() {
    const OTHER: Keyspace<String, (u64, String)> = Keyspace::new("accounts");
    let engine = builder().in_memory().unwrap();
    let value = (1, "one and a half".to_owned());
    let outcome = engine.commit(Request::unkeyed().put(&OTHER, "ann", &value, Expect::Any));
    assert!(matches!(outcome, Err(Error::Codec(_))), "{outcome:?}");
    const ELSEWHERE: Keyspace<u32, i64> = Keyspace::new("accounts");
    let outcome = engine.commit(Request::unkeyed().put(&ELSEWHERE, &1, &1, Expect::Any));
    assert!(matches!(outcome, Err(Error::KeyspaceMismatch { .. })), "{outcome:?}");
    assert_eq!(engine.durable_seq().get(), 0);
}

#[test]
fn rules_that_are_not_well_declared_make_the_opening_fail() {
    const LONG: &str =
        "a name that goes on and on, until it is longer than the sixty-four bytes it may have";
    let flawed = [
        builder().rules(Rules::of(&ORDERS).guard(status())),
        builder().rules(Rules::of(&ACCOUNTS).invariant(not_negative("worth something"))),
        builder().rules(Rules::of(&ACCOUNTS).invariant(not_negative(""))),
        builder().rules(Rules::of(&ACCOUNTS).invariant(not_negative(LONG))),
        builder().rules(Rules::of(&ACCOUNTS).guard(Guard::new("g", |_| "x").creates(&[LONG]))),
        builder().rules(Rules::of(&ACCOUNTS).guard(Guard::new(LONG, |_| "x"))),
    ];
    for builder in flawed {
        let error = builder.in_memory().unwrap_err();
        assert!(matches!(error, Error::Shape(ShapeError::Rule { .. })), "{error}");
    }
    let long = Invariant::new("long", |_: &String, _: &i64| Err(Violation::new("ä".repeat(400))));
    let engine = Engine::builder().rules(Rules::of(&ACCOUNTS).invariant(long)).in_memory().unwrap();
    match engine.commit(Request::unkeyed().put(&ACCOUNTS, "ann", &1, Expect::Any)).unwrap() {
        Outcome::Rejected(Rejection::Invariant(broken)) => {
            assert_eq!(broken.reason, "ä".repeat(256))
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Whatever is tried: what is there went through the table, and is what recovery brings back.
    #[test]
    fn no_record_ever_takes_a_way_that_is_not_in_the_table(
        tries in vec((0..3u64, prop::option::of(0..4usize), -1..3i64), 1..60),
        checkpoint in 0..60usize,
    ) {
        let disk = SimDisk::new();
        let engine = builder().open_on(disk.clone()).unwrap();
        let mut there = [None; 3];
        for (n, (place, to, cents)) in tries.into_iter().enumerate() {
            if n == checkpoint {
                engine.checkpoint().unwrap();
            }
            let to = to.map(|to| Order { status: STATUSES[to], cents });
            let request = match &to {
                Some(to) => Request::unkeyed().put(&ORDERS, &place, to, Expect::Any),
                None => Request::unkeyed().delete(&ORDERS, &place, Expect::Any),
            };
            let before: &mut Option<Order> = &mut there[place as usize];
            let fine = may(before.map(|order| order.status), to.map(|order| order.status))
                && to.is_none_or(|order| order.cents > 0);
            let outcome = engine.commit(request).unwrap();
            prop_assert_eq!(matches!(outcome, Outcome::Committed(_)), fine, "{:?}", outcome);
            if fine {
                *before = to;
            }
        }
        let engine = builder().open_on(disk.after_power_cut(&Choice::None)).unwrap();
        for (place, order) in there.iter().enumerate() {
            let seen = engine.get(&ORDERS, &(place as u64)).unwrap().map(|record| record.value);
            prop_assert_eq!(seen, *order);
        }
        prop_assert!(engine.audit().unwrap().holds());
    }
}
