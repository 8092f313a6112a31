//! The caller's own code in the order of the log: what it sees, what is remembered of it, and how it can fail.

mod cold;
mod failing;
mod ranges;

use serde::{Deserialize, Serialize};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};
use steadfast::{
    Abort, Builder, Differs, Engine, Error, Expect, IdempotencyKey, KeyStatus, Keyspace, LogTime,
    Mode, Never, Outcome, Procedure, Rejection, Request, Transaction, Verdict, testing::SimDisk,
};

const ACCOUNTS: Keyspace<String, i64> = Keyspace::new("accounts");
const LEDGER: Keyspace<[u8; 16], (String, i64)> = Keyspace::new("ledger");

/// Moves an amount, and writes it down under a new id.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Transfer {
    from: String,
    to: String,
    cents: i64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Insufficient {
    there: i64,
}

/// What a transfer gives: its id, its time, what is left.
type Moved = ([u8; 16], u64, i64);

fn transfer(this: &Transfer, tx: &mut Transaction<'_>) -> Result<Moved, Abort<Insufficient>> {
    let there = tx.get(&ACCOUNTS, &this.from)?.map_or(0, |account| account.value);
    if there < this.cents {
        return Err(Abort::Reject(Insufficient { there }));
    }
    let to = tx.get(&ACCOUNTS, &this.to)?.map_or(0, |account| account.value);
    tx.put(&ACCOUNTS, &this.from, &(there - this.cents))?;
    tx.put(&ACCOUNTS, &this.to, &(to + this.cents))?;
    let id = tx.new_id();
    tx.put(&LEDGER, &id, &(this.to.clone(), this.cents))?;
    Ok((id, tx.now().get(), there - this.cents))
}

impl Procedure for Transfer {
    const NAME: &'static str = "transfer";
    const VERSION: u32 = 1;
    type Output = Moved;
    type Rejection = Insufficient;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<Moved, Abort<Insufficient>> {
        transfer(self, tx)
    }
}

/// A later version, with the same arguments, that takes a fee.
#[derive(Serialize, Deserialize)]
struct TransferForFee(Transfer);

impl Procedure for TransferForFee {
    const NAME: &'static str = "transfer";
    const VERSION: u32 = 2;
    type Output = Moved;
    type Rejection = Insufficient;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<Moved, Abort<Insufficient>> {
        transfer(&Transfer { cents: self.0.cents + 1, ..self.0.clone() }, tx)
    }
}

/// Another procedure with the same arguments.
#[derive(Serialize, Deserialize)]
struct Refund(Transfer);

impl Procedure for Refund {
    const NAME: &'static str = "refund";
    const VERSION: u32 = 1;
    type Output = Moved;
    type Rejection = Insufficient;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<Moved, Abort<Insufficient>> {
        transfer(&self.0, tx)
    }
}

fn key(name: impl AsRef<[u8]>) -> IdempotencyKey {
    IdempotencyKey::new("test", name).unwrap()
}

fn builder() -> Builder {
    Engine::builder().procedure::<Transfer>().procedure::<TransferForFee>().procedure::<Refund>()
}

fn with_accounts(engine: &Engine, accounts: &[(&str, i64)]) {
    let request = accounts.iter().fold(Request::unkeyed(), |request, (name, cents)| {
        request.put(&ACCOUNTS, *name, cents, Expect::Any)
    });
    engine.commit(request).unwrap().committed().unwrap();
}

fn account(engine: &Engine, name: &str) -> i64 {
    engine.get(&ACCOUNTS, name).unwrap().map_or(0, |account| account.value)
}

fn ann_to_bob(cents: i64) -> Transfer {
    Transfer { from: "ann".into(), to: "bob".into(), cents }
}

#[test]
fn a_retry_gets_the_first_answer_wherever_it_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let engine = builder().open(dir.path()).unwrap();
    with_accounts(&engine, &[("ann", 100)]);
    let first = engine.call(key("1"), &ann_to_bob(30)).unwrap().committed().unwrap();
    let refused = engine.call(key("2"), &ann_to_bob(71)).unwrap();
    assert_eq!(refused, Outcome::Rejected(Rejection::Procedure(Insufficient { there: 70 })));
    assert_eq!((first.replayed, first.result.2), (false, 70));
    with_accounts(&engine, &[("ann", 1_000)]);

    let check = |engine: &Engine| {
        let again = engine.call(key("1"), &ann_to_bob(30)).unwrap().committed().unwrap();
        assert_eq!((again.seq, again.time, again.result), (first.seq, first.time, first.result));
        assert!(again.replayed);
        let again = engine.call(key("2"), &ann_to_bob(71)).unwrap();
        assert_eq!(again, Outcome::Rejected(Rejection::Procedure(Insufficient { there: 70 })));
        assert_eq!((account(engine, "ann"), account(engine, "bob")), (1_000, 30));
        assert_eq!(engine.len(&LEDGER).unwrap(), 1);
        match engine.resolve(&key("1")).unwrap() {
            KeyStatus::Committed(receipt) => assert_eq!(receipt.seq, first.seq),
            other => panic!("{other:?}"),
        }
    };
    check(&engine);
    engine.checkpoint().unwrap();
    check(&engine);
    engine.close().unwrap();
    // What it did is in the log: to read it, nobody needs its code.
    let engine = Engine::open(dir.path()).unwrap();
    assert_eq!((account(&engine, "ann"), account(&engine, "bob")), (1_000, 30));
    engine.close().unwrap();
    check(&builder().open(dir.path()).unwrap());
}

#[test]
fn recovery_applies_what_was_done_and_runs_no_code() {
    let disk = SimDisk::new();
    let engine = builder().open_on(disk.clone()).unwrap();
    with_accounts(&engine, &[("ann", 100)]);
    let (id, ..) = engine.call(key("1"), &ann_to_bob(30)).unwrap().committed().unwrap().result;
    let after = disk.after_power_cut(&steadfast::testing::Choice::None);
    // Nothing is registered.
    let engine = Engine::builder().open_on(after).unwrap();
    assert_ne!(engine.recovery().verdict, Verdict::Clean);
    assert_eq!((account(&engine, "ann"), account(&engine, "bob")), (70, 30));
    let line = engine.get(&LEDGER, &id).unwrap().unwrap();
    assert_eq!(line.value, ("bob".to_owned(), 30));
}

#[test]
fn a_key_stands_for_one_procedure_and_one_set_of_arguments() {
    let engine = builder().in_memory().unwrap();
    with_accounts(&engine, &[("ann", 100)]);
    let first = engine.call(key("1"), &ann_to_bob(30)).unwrap().committed().unwrap();
    let differs = |error: Error| match error {
        Error::KeyReused { differs, seq, .. } => {
            assert_eq!(seq, first.seq);
            differs
        }
        other => panic!("{other:?}"),
    };
    let other = engine.call(key("1"), &ann_to_bob(31)).unwrap_err();
    assert_eq!(differs(other), Differs::Arguments);
    let other = engine.call(key("1"), &Refund(ann_to_bob(30))).unwrap_err();
    assert_eq!(differs(other), Differs::Procedure);
    let request = Request::new(key("1")).put(&ACCOUNTS, "ann", &1, Expect::Any);
    assert_eq!(differs(engine.commit(request).unwrap_err()), Differs::Kind);
    // A retry may reach a newer program.
    let again =
        engine.call(key("1"), &TransferForFee(ann_to_bob(30))).unwrap().committed().unwrap();
    assert_eq!((again.seq, again.result), (first.seq, first.result));
    let new = engine.call(key("2"), &TransferForFee(ann_to_bob(30))).unwrap().committed().unwrap();
    assert_eq!(new.result.2, 100 - 30 - 31);
}

#[test]
fn time_ids_and_random_numbers_are_those_of_the_entry() {
    let engine = builder().in_memory().unwrap();
    with_accounts(&engine, &[("ann", 100)]);
    let mut ids = Vec::new();
    for n in 0..20u32 {
        let receipt =
            engine.call(key(n.to_be_bytes()), &ann_to_bob(1)).unwrap().committed().unwrap();
        let (id, now, _) = receipt.result;
        assert_eq!(now, receipt.time.get());
        let made = IdempotencyKey::from_uuid("x", u128::from_be_bytes(id)).unwrap().made_at();
        assert_eq!(made, Some(LogTime::new(now / 1_000_000 * 1_000_000)));
        ids.push(id);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20);
}

/// Adds one to a counter, and counts how often it was run.
#[derive(Serialize, Deserialize)]
struct Count {
    place: u32,
}

static RUNS: AtomicU64 = AtomicU64::new(0);
const COUNTS: Keyspace<u32, u64> = Keyspace::new("counts");

impl Procedure for Count {
    const NAME: &'static str = "count";
    const VERSION: u32 = 1;
    type Output = u64;
    type Rejection = Never;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<u64, Abort> {
        RUNS.fetch_add(1, Ordering::Relaxed);
        let count = tx.get(&COUNTS, &self.place)?.map_or(0, |count| count.value) + 1;
        tx.put(&COUNTS, &self.place, &count)?;
        Ok(count)
    }
}

#[test]
fn on_hot_records_no_call_is_run_in_vain() {
    const THREADS: u64 = 8;
    const CALLS: u64 = 200;
    let engine = Engine::builder().procedure::<Count>().in_memory().unwrap();
    let results: Vec<u64> = thread::scope(|scope| {
        let call = |thread: u64, n: u64| {
            let key = key((thread * CALLS + n).to_be_bytes());
            engine.call(key, &Count { place: 1 }).unwrap().committed().unwrap().result
        };
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || (0..CALLS).map(|n| call(thread, n)).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut sorted = results;
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(1..=THREADS * CALLS), "each saw the one before");
    assert_eq!(RUNS.load(Ordering::Relaxed), THREADS * CALLS);
}

#[test]
fn calls_that_are_submitted_are_run_in_order_whether_or_not_anyone_waits() {
    let engine = builder().in_memory().unwrap();
    with_accounts(&engine, &[("ann", 100)]);
    let tickets: Vec<_> =
        (0..10u32).map(|n| engine.submit_call(key(n.to_be_bytes()), &ann_to_bob(10))).collect();
    drop(engine.submit_call(key("dropped"), &ann_to_bob(1)));
    let joined = engine.submit_call(key(0u32.to_be_bytes()), &ann_to_bob(10));
    let mut first = None;
    for (n, ticket) in tickets.into_iter().enumerate() {
        let receipt = ticket.wait().unwrap().committed().unwrap();
        assert_eq!(receipt.result.2, 90 - 10 * n as i64);
        first.get_or_insert((receipt.seq, receipt.result));
    }
    let joined = joined.wait().unwrap().committed().unwrap();
    assert_eq!(Some((joined.seq, joined.result)), first);
    let dropped = engine.call(key("dropped"), &ann_to_bob(1)).unwrap();
    assert_eq!(dropped, Outcome::Rejected(Rejection::Procedure(Insufficient { there: 0 })));
}

#[test]
fn what_was_decided_is_told_in_every_mode() {
    let engine = builder().in_memory().unwrap();
    with_accounts(&engine, &[("ann", 100)]);
    let first = engine.call(key("1"), &ann_to_bob(30)).unwrap().committed().unwrap();
    engine.set_mode(Mode::ReadOnly { reason: "moving".into() }).unwrap();
    let again = engine.call(key("1"), &ann_to_bob(30)).unwrap().committed().unwrap();
    assert_eq!((again.seq, again.replayed), (first.seq, true));
    let refused = engine.call(key("2"), &ann_to_bob(30)).unwrap_err();
    assert!(matches!(refused, Error::ReadOnly { .. }), "{refused}");
    engine.set_mode(Mode::ReadWrite).unwrap();
    engine.fence(&key("3")).unwrap();
    let fenced = engine.call(key("3"), &ann_to_bob(30)).unwrap_err();
    assert!(matches!(fenced, Error::Fenced { .. }), "{fenced}");
    assert_eq!(account(&engine, "bob"), 30);
}
