//! Random requests on few records, beside a checker that knows nothing of footprints.

use super::*;
use proptest::{collection::vec, prelude::*};
use steadfast::testing::{Choice, SimDisk};

/// One of few ids.
fn id() -> std::ops::Range<u64> {
    1..4
}

fn user() -> impl Strategy<Value = String> {
    prop_oneof![Just("ann".to_owned()), Just("bob".to_owned())]
}

fn op() -> impl Strategy<Value = Op> {
    let cents = 1..3i64;
    let payment = (cents.clone(), any::<bool>(), id(), id())
        .prop_map(|(cents, captured, entry, order)| Payment { cents, captured, entry, order });
    let entry = (id(), cents).prop_map(|(payment, cents)| Entry { payment, cents });
    let order = (any::<bool>(), id()).prop_map(|(fulfilled, payment)| Order { fulfilled, payment });
    let subscription = (any::<bool>(), id())
        .prop_map(|(active, entitlement)| Subscription { active, entitlement });
    let expires = prop_oneof![Just(0), Just(u64::MAX), Just(u64::MAX)];
    let entitlement = (user(), expires).prop_map(|(user, expires)| Entitlement { user, expires });
    let some = |present| prop::option::weighted(0.8, present);
    prop_oneof![
        (id(), some(payment.boxed())).prop_map(|(id, value)| Op::Payment(id, value)),
        (id(), prop::option::weighted(0.8, entry)).prop_map(|(id, value)| Op::Entry(id, value)),
        (id(), prop::option::weighted(0.8, order)).prop_map(|(id, value)| Op::Order(id, value)),
        (user(), prop::option::weighted(0.8, subscription))
            .prop_map(|(user, value)| Op::Subscription(user, value)),
        (id(), prop::option::weighted(0.8, entitlement))
            .prop_map(|(id, value)| Op::Entitlement(id, value)),
    ]
}

#[derive(Clone, Debug)]
enum Deed {
    Write(Way, Vec<Op>),
    Checkpoint,
    Reopen,
}

fn deed() -> impl Strategy<Value = Deed> {
    let way = prop_oneof![Just(Way::Request), Just(Way::Update), Just(Way::Call)];
    prop_oneof![
        12 => (way, vec(op(), 1..6)).prop_map(|(way, ops)| Deed::Write(way, ops)),
        2 => Just(Deed::Checkpoint),
        1 => Just(Deed::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    /// A request is carried out exactly if nothing is broken after it, of all records there are; and what answers is the first that
    /// would be, by rule and by key.
    #[test]
    fn nothing_is_ever_broken_and_nothing_refused_that_would_break_nothing(
        deeds in vec(deed(), 1..80),
    ) {
        let mut disk = SimDisk::new();
        let mut engine = builder().open_on(disk.clone()).unwrap();
        let mut books = Books::default();
        for (n, deed) in deeds.into_iter().enumerate() {
            match deed {
                Deed::Write(way, ops) => {
                    let mut next = books.clone();
                    ops.iter().for_each(|op| next.op(op));
                    let due = next.broken().into_iter().next().map_or(Ok(()), Err);
                    let outcome = way.run(&engine, key(&n.to_string()), &ops).unwrap();
                    prop_assert_eq!(&outcome, &due, "{:?} of {:?} on {:?}", way, ops, books);
                    if outcome.is_ok() {
                        books = next;
                    }
                }
                Deed::Checkpoint => engine.checkpoint().unwrap(),
                Deed::Reopen => {
                    drop(engine);
                    disk = disk.after_power_cut(&Choice::None);
                    engine = builder().open_on(disk.clone()).unwrap();
                }
            }
        }
        let report = engine.audit().unwrap();
        prop_assert!(report.holds(), "{:?}", report);
        prop_assert_eq!(Books::of(&engine), books);
    }
}
