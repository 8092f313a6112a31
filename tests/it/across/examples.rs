//! What is refused and what is not, from both sides and in every way of writing.

use super::*;
use std::time::Duration;
use steadfast::testing::SimClock;

const BOOKED: &str = "booked";

/// Some steps, each with the name and the key of what it would break.
type Script<'a> = Vec<(Vec<Op>, Option<(&'a str, Vec<u8>)>)>;

/// Plays a script on a new database in each way; after it, every rule holds.
fn play(script: &Script<'_>) {
    for way in WAYS {
        let engine = builder().in_memory().unwrap();
        for (n, (ops, due)) in script.iter().enumerate() {
            let name = n.to_string();
            let due = due.clone().map_or(Ok(()), |(rule, key)| Err((rule.to_owned(), key)));
            let before = Books::of(&engine);
            let outcome = way.run(&engine, key(&name), ops).unwrap();
            assert_eq!(outcome, due, "{way:?}: step {n}, {ops:?}");
            if outcome.is_err() {
                assert_eq!(Books::of(&engine), before, "nothing of it was done");
            }
            // A retry is told the same, whatever would come of it by now.
            assert_eq!(way.run(&engine, key(&name), ops).unwrap(), outcome);
        }
        assert_eq!(Books::of(&engine).broken(), []);
        assert!(engine.audit().unwrap().holds());
    }
}

#[test]
fn a_captured_payment_has_its_entry() {
    let broken = || Some((BOOKED, encoded(&7u64)));
    let open = Op::Payment(7, Some(Payment { captured: false, ..CAPTURED }));
    let less = Op::Entry(70, Some(Entry { cents: 99, ..ENTRY }));
    let of_another = Op::Entry(70, Some(Entry { payment: 8, ..ENTRY }));
    let elsewhere = Op::Payment(7, Some(Payment { entry: 71, ..CAPTURED }));
    play(&vec![
        // In the wrong order: the payment first.
        (vec![capture()], broken()),
        (vec![open.clone()], None),
        (vec![capture()], broken()),
        (vec![book()], None),
        (vec![capture()], None),
        // The other side.
        (vec![Op::Entry(70, None)], broken()),
        (vec![less.clone()], broken()),
        (vec![of_another.clone()], broken()),
        (vec![elsewhere.clone()], broken()),
        (vec![less, Op::Payment(7, Some(Payment { cents: 99, ..CAPTURED }))], None),
        (vec![book()], broken()),
        (vec![book(), capture()], None),
        // It moves to another entry; the old one is of no concern then.
        (vec![elsewhere, Op::Entry(71, Some(ENTRY)), Op::Entry(70, None)], None),
        (vec![Op::Entry(71, None)], broken()),
        (vec![Op::Entry(71, None), open], None),
        // One that is made and removed in one request was never there.
        (vec![capture(), Op::Payment(7, None)], None),
        (vec![of_another], None),
    ]);
    // Both at once, on a new database, in either order.
    play(&vec![(vec![capture(), book()], None)]);
    play(&vec![(vec![book(), capture()], None), (vec![Op::Payment(7, None)], None)]);
}

#[test]
fn a_fulfilled_order_has_a_captured_payment() {
    let fulfill = || Op::Order(700, Some(Order { fulfilled: true, payment: 7 }));
    let broken = |id: u64| Some(("paid", encoded(&id)));
    let open = Op::Payment(7, Some(Payment { captured: false, ..CAPTURED }));
    let of_another = Op::Payment(7, Some(Payment { order: 701, ..CAPTURED }));
    play(&vec![
        (vec![fulfill()], broken(700)),
        (vec![open.clone()], None),
        (vec![fulfill()], broken(700)),
        // Rules are asked by name: that the payment is not booked comes first.
        (vec![fulfill(), capture()], Some((BOOKED, encoded(&7u64)))),
        (vec![fulfill(), capture(), book()], None),
        (vec![open], broken(700)),
        (vec![Op::Payment(7, None)], broken(700)),
        (vec![of_another.clone()], broken(700)),
        (vec![Op::Order(701, Some(Order { fulfilled: true, payment: 7 }))], broken(701)),
        (vec![Op::Order(700, None), of_another], None),
        (vec![Op::Order(701, Some(Order { fulfilled: true, payment: 7 }))], None),
    ]);
}

fn subscribe(active: bool) -> Op {
    Op::Subscription("ann".to_owned(), Some(Subscription { active, entitlement: 1 }))
}

fn entitle(user: &str, expires: u64) -> Op {
    Op::Entitlement(1, Some(Entitlement { user: user.to_owned(), expires }))
}

#[test]
fn an_active_subscription_has_an_entitlement() {
    let broken = || Some(("entitled", encoded(&"ann".to_owned())));
    play(&vec![
        (vec![subscribe(true)], broken()),
        (vec![subscribe(false), entitle("ann", 0)], None),
        (vec![subscribe(true)], broken()),
        (vec![subscribe(true), entitle("ann", u64::MAX)], None),
        (vec![entitle("ann", 0)], broken()),
        (vec![entitle("bob", u64::MAX)], broken()),
        (vec![Op::Entitlement(1, None)], broken()),
        (vec![Op::Entitlement(1, None), subscribe(false)], None),
    ]);
}

#[test]
fn time_is_that_of_the_log() {
    const BEGIN: u64 = 1_700_000_000_000_000_000;
    const MINUTE: u64 = 60_000_000_000;
    let clock = SimClock::new(BEGIN, 0);
    let engine = builder().clock(clock.clone()).in_memory().unwrap();
    let until = BEGIN + 10 * MINUTE;
    assert_eq!(run(&engine, "1", &[subscribe(true), entitle("ann", until)]), Ok(()));
    clock.advance(Duration::from_nanos(9 * MINUTE));
    assert_eq!(run(&engine, "2", &[subscribe(true)]), Ok(()));
    assert!(engine.audit().unwrap().holds());
    clock.advance(Duration::from_nanos(MINUTE - 2));
    // One nanosecond before it is over, and then exactly when.
    assert_eq!(run(&engine, "3", &[subscribe(true)]), Ok(()));
    let last = engine.durable_seq();
    clock.advance(Duration::from_nanos(2));
    let broken = Err(("entitled".to_owned(), encoded(&"ann".to_owned())));
    for way in WAYS {
        let name = format!("{way:?}");
        assert_eq!(way.run(&engine, key(&name), &[subscribe(true)]).unwrap(), broken);
    }
    // What nobody touches goes on being there, until an audit.
    let report = engine.audit().unwrap();
    assert!(report.time.get() >= until && report.seq > last && !report.holds());
    let entitled = report.invariants.iter().find(|rule| rule.invariant == "entitled").unwrap();
    assert_eq!((entitled.checked, entitled.violations, entitled.unjudged), (1, 1, 0));
    assert_eq!(entitled.samples[0].to_vec(), encoded(&"ann".to_owned()));
    // It can be mended.
    assert_eq!(run(&engine, "4", &[entitle("ann", until + MINUTE)]), Ok(()));
    assert!(engine.audit().unwrap().holds());
}

#[test]
fn a_refusal_tells_what_is_there_and_is_remembered_by_whatever_engine() {
    let dir = tempfile::tempdir().unwrap();
    let engine = builder().open(dir.path()).unwrap();
    let receipt = engine.commit(request(key("1"), &[book(), capture()]).actor("ann"));
    let version = receipt.unwrap().committed().unwrap().version();
    let removal = || request(key("2"), &[Op::Entry(70, None)]).actor("bob");
    let refused = engine.commit(removal()).unwrap();
    let Outcome::Rejected(Rejection::Invariant(broken)) = &refused else { panic!("{refused:?}") };
    assert_eq!((&broken.keyspace[..], &broken.reason[..]), ("payments", "no such entry"));
    let found = broken.found.as_ref().unwrap();
    assert_eq!((found.version, found.actor.as_ref()), (version, &b"ann"[..]));
    assert_eq!(run(&engine, "3", &[Op::Payment(7, None)]), Ok(()));
    assert_eq!(engine.commit(removal()).unwrap(), refused);
    engine.close().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    assert_eq!(engine.commit(removal()).unwrap(), refused);
}
