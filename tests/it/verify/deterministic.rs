//! The helpers for the tests of a service: a procedure that is not deterministic is caught.

use super::*;
use crate::support::key;
use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};
use steadfast::{
    Error, Expect, Never, Request,
    testing::replay::{assert_deterministic, assert_replays},
};

/// A procedure that gives and stores what its code gives.
macro_rules! gives {
    ($name:ident, |$this:ident, $tx:ident| $code:expr) => {
        #[derive(Serialize, Deserialize)]
        struct $name(u64);

        impl Procedure for $name {
            const NAME: &'static str = stringify!($name);
            const VERSION: u32 = 1;
            type Output = ();
            type Rejection = Never;

            fn run(&self, $tx: &mut Transaction<'_>) -> Result<(), Abort> {
                let $this = self;
                let text: String = $code;
                $tx.put(&ORDERS, &$this.0, &text)?;
                Ok(())
            }
        }
    };
}

static CALLS: AtomicU64 = AtomicU64::new(0);

gives!(Clock, |_this, _tx| format!("{:?}", SystemTime::now()));
gives!(Counter, |_this, _tx| CALLS.fetch_add(1, Ordering::Relaxed).to_string());
gives!(Order, |_this, _tx| {
    let map: HashMap<u64, u64> = (0..20).map(|n| (n, n)).collect();
    format!("{:?}", map.keys().collect::<Vec<_>>())
});
gives!(Attempt, |_this, tx| tx.attempt().to_string());
gives!(Good, |this, tx| {
    let before = tx.get(&ORDERS, &this.0)?.map_or(0, |order| order.value.len());
    format!("{before} {} {:?} {}", tx.now(), tx.new_id(), tx.rng().next_u64())
});

fn nothing(_: &Engine) -> Result<(), Error> {
    Ok(())
}

/// What the assertion says when it fails.
fn caught(check: impl FnOnce()) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(check)).err()?;
    Some(panic.downcast_ref::<String>().cloned().unwrap_or_default())
}

#[test]
fn what_differs_from_run_to_run_is_caught() {
    let none = Registry::new();
    let found = [
        caught(|| assert_deterministic(&none, nothing, [Clock(1)])),
        caught(|| assert_deterministic(&none, nothing, [Counter(1)])),
        caught(|| assert_deterministic(&none, nothing, [Order(1)])),
    ];
    for found in found {
        let found = found.expect("it was not caught");
        assert!(found.contains("is not deterministic") && found.contains("input 0"), "{found}");
        assert!(found.contains("in keyspace \"orders\" under a key of 8 bytes"), "{found}");
    }
}

#[test]
fn what_follows_from_its_entry_passes() {
    let stocked = |engine: &Engine| {
        let order = Request::unkeyed().put(&ORDERS, &1, &"there".to_owned(), Expect::Any);
        engine.commit(order).map(drop)
    };
    assert_deterministic(&Registry::new(), stocked, [1, 2, 1, 1, 3].map(Good));
    assert_deterministic(&Registry::new(), nothing, [1, 2].map(Attempt));
    // Refusals, and the rules of a service.
    let funded = |engine: &Engine| {
        let deposit = Request::unkeyed().put(&ACCOUNTS, "ann", &100, Expect::Any);
        engine.commit(deposit).map(drop)
    };
    let inputs = [40, 40, 40, 10].map(|cents| ten("ann", "bob", cents));
    assert_deterministic(&registry(), funded, inputs);
}

#[test]
fn what_was_not_run_is_not_a_pass() {
    let none = Registry::new();
    assert!(caught(|| assert_deterministic(&none, nothing, [] as [Good; 0])).is_some());
    gives!(Panics, |this, _tx| {
        assert!(this.0 == 0, "not any more");
        String::new()
    });
    let found = caught(|| assert_deterministic(&none, nothing, [Panics(1)])).unwrap();
    assert!(found.starts_with("input 0 of procedure \"Panics\""), "{found}");
}

#[test]
fn a_log_that_does_not_replay_fails_the_test_of_a_service() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let deposit = Request::new(key("d")).add(&ACCOUNTS, "ann", 100, 0..=1_000);
    committed(engine.commit(deposit).unwrap());
    committed(engine.call(key("t"), &ten("ann", "bob", 40)).unwrap());
    engine.close().unwrap();
    assert_eq!(assert_replays(dir.path(), &registry()).exact, 2);
    let missing = caught(|| drop(assert_replays(dir.path(), &Registry::new()))).unwrap();
    assert!(missing.contains("does not replay: replay incomplete"), "{missing}");
    let nowhere = dir.path().join("nowhere");
    let nothing = caught(|| drop(assert_replays(nowhere, &registry()))).unwrap();
    assert!(nothing.contains("can't be verified"), "{nothing}");
}
