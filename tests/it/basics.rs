//! What every user does on the first day.

use steadfast::{
    Engine, Error, Expect, IdempotencyKey, Keyspace, Outcome, Rejection, Request, Verdict,
    testing::{SimClock, SimDisk},
};

const ACCOUNTS: Keyspace<String, i64> = Keyspace::new("accounts");
const STOCK: Keyspace<(u32, u64), String> = Keyspace::new("stock");

fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey::new("test", name).unwrap()
}

#[test]
fn a_write_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    assert_eq!(engine.recovery().verdict, Verdict::Created);
    let request = || {
        Request::new(key("a"))
            .put(&ACCOUNTS, "alice", &7, Expect::Absent)
            .put(&STOCK, &(4, 12), &"x".to_owned(), Expect::Any)
            .add(&ACCOUNTS, "bob", 5, 0..=9)
            .result(&77u32)
    };
    let receipt = engine.commit(request()).unwrap().committed().unwrap();
    assert_eq!((receipt.result, receipt.replayed, receipt.seq.get()), (77, false, 1));
    engine.close().unwrap();

    let engine = Engine::open(dir.path()).unwrap();
    assert_eq!(engine.recovery().verdict, Verdict::Clean);
    assert_eq!(engine.recovery().entries_folded, 1);
    assert_eq!(engine.get(&ACCOUNTS, "alice").unwrap().unwrap().value, 7);
    assert_eq!(engine.get(&ACCOUNTS, "bob").unwrap().unwrap().value, 5);
    assert_eq!(engine.get(&STOCK, &(4, 12)).unwrap().unwrap().value, "x");
    assert_eq!(engine.len(&ACCOUNTS).unwrap(), 2);
    assert_eq!(engine.keyspaces(), ["accounts", "stock"]);
    let again = engine.commit(request()).unwrap().committed().unwrap();
    assert_eq!((again.result, again.replayed, again.seq.get()), (77, true, 1));
    engine.checkpoint().unwrap();
    let again = engine.commit(request()).unwrap().committed().unwrap();
    assert_eq!((again.result, again.replayed, again.seq.get()), (77, true, 1));
    assert_eq!(engine.get(&ACCOUNTS, "alice").unwrap().unwrap().value, 7);
    assert_eq!(engine.len(&ACCOUNTS).unwrap(), 2);
    let receipt = engine
        .commit(Request::new(key("b")).delete(&ACCOUNTS, "alice", Expect::Present))
        .unwrap()
        .committed()
        .unwrap();
    assert_eq!(receipt.seq.get(), 2);
    assert_eq!(engine.get(&ACCOUNTS, "alice").unwrap(), None);
    assert_eq!(engine.len(&ACCOUNTS).unwrap(), 1);
    engine.close().unwrap();

    let engine = Engine::open(dir.path()).unwrap();
    assert_eq!(engine.recovery().checkpoint_seq.get(), 1);
    assert_eq!(engine.recovery().entries_folded, 1);
    assert_eq!(engine.get(&ACCOUNTS, "alice").unwrap(), None);
    let rest: Vec<_> = engine.snapshot().range(&ACCOUNTS, ..).map(|item| item.unwrap().0).collect();
    assert_eq!(rest, ["bob"]);
}

#[test]
fn many_threads_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8u32 {
            let engine = &engine;
            scope.spawn(move || {
                for n in 0..100u32 {
                    let key = IdempotencyKey::new(thread.to_be_bytes(), n.to_be_bytes()).unwrap();
                    let outcome = engine.update(key, &n, |tx| {
                        let sum = tx.get(&ACCOUNTS, "sum")?.map_or(0, |record| record.value);
                        tx.put(&ACCOUNTS, "sum", &(sum + 1))?;
                        tx.add(&ACCOUNTS, "other", 1, 0..=i64::MAX)?;
                        Ok::<_, steadfast::Abort>(sum)
                    });
                    let _receipt = outcome.unwrap().committed().unwrap();
                }
            });
        }
    });
    assert_eq!(engine.get(&ACCOUNTS, "sum").unwrap().unwrap().value, 800);
    assert_eq!(engine.get(&ACCOUNTS, "other").unwrap().unwrap().value, 800);
}

#[test]
fn tickets_come_true_without_an_executor() {
    let engine = Engine::in_memory().unwrap();
    let tickets: Vec<_> = (0..100u32)
        .map(|n| engine.submit(Request::new(key(&n.to_string())).add(&ACCOUNTS, "sum", 1, 0..=100)))
        .collect();
    for ticket in tickets {
        assert!(matches!(ticket.wait().unwrap(), Outcome::Committed(_)));
    }
    assert_eq!(engine.get(&ACCOUNTS, "sum").unwrap().unwrap().value, 100);
    let over = engine.commit(Request::new(key("over")).add(&ACCOUNTS, "sum", 1, 0..=100)).unwrap();
    assert!(matches!(over, Outcome::Rejected(Rejection::OutOfBounds(_))));
}

#[test]
fn a_closed_engine_says_so() {
    let engine = Engine::in_memory().unwrap();
    let clone = engine.clone();
    engine.close().unwrap();
    assert!(matches!(clone.get(&ACCOUNTS, "alice"), Err(Error::Closed)));
    let put = clone.commit(Request::unkeyed().put(&ACCOUNTS, "alice", &1, Expect::Any));
    assert!(matches!(put, Err(Error::Closed)));
}

#[test]
fn log_time_follows_the_clock_forward_and_never_back() {
    let (disk, clock) = (SimDisk::new(), SimClock::new(1_000_000, 0));
    let open = || Engine::builder().clock(clock.clone()).open_on(disk.clone()).unwrap();
    let time = |engine: &Engine| {
        let request = Request::unkeyed().add(&ACCOUNTS, "alice", 1, 0..=9);
        engine.commit(request).unwrap().committed().unwrap().time.get()
    };
    let engine = open();
    assert_eq!(time(&engine), 1_000_000);
    clock.set_wall_nanos(9_000_000);
    assert_eq!(time(&engine), 9_000_000);
    clock.set_wall_nanos(5_000_000);
    assert_eq!(time(&engine), 9_000_001);
    engine.close().unwrap();
    let engine = open();
    assert_eq!(time(&engine), 9_000_002);
    clock.set_wall_nanos(9_500_000);
    assert_eq!(time(&engine), 9_500_000);
}

#[test]
fn the_chain_goes_on_where_it_stood() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    assert_eq!((engine.chain_head().group, engine.chain_head().digest), (0, [0; 32]));
    let _receipt = engine.commit(Request::unkeyed().put(&ACCOUNTS, "a", &1, Expect::Any)).unwrap();
    let head = engine.chain_head();
    assert_ne!(head.digest, [0; 32]);
    engine.close().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    assert_eq!(engine.chain_head(), head);
}
