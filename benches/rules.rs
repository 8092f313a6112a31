#![allow(
    clippy::disallowed_methods,
    reason = "a program around the engine: files and clocks are its own"
)]
//! What rules cost: durable compare-and-swap of typed records under an idempotency key, without any, with ten invariants of records,
//! and with one across records besides, whose records are in the checkpoint after a while. At 64 threads and at one.
//!
//! They take turns in rounds, since the machine changes from minute to minute: only the ratios of one round mean anything.

#[allow(dead_code, reason = "shared with the other benchmarks")]
mod common;

use common::{Bench, Failure, SCOPE, Store, sized, spread, temporary_dir, unique_key};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use steadfast::{
    Builder, CrossInvariant, Engine, Expect, IdempotencyKey, Invariant, Keyspace, Request, Rules,
    Version, Violation,
};

const ACCOUNTS: Keyspace<u64, Account> = Keyspace::new("accounts");
const HOLDERS: Keyspace<u64, String> = Keyspace::new("holders");
const PUTS_PER_REQUEST: u64 = 500;

/// About 128 bytes once it is encoded.
#[derive(Clone, Serialize, Deserialize)]
struct Account {
    id: u64,
    holder: u64,
    cents: i64,
    held: i64,
    limit: i64,
    opened: u64,
    changed: u64,
    currency: [u8; 3],
    open: bool,
    name: String,
    note: String,
}

fn account(id: u64, number: u64) -> Account {
    Account {
        id,
        holder: id % 1_000,
        cents: (number % 1_000_000) as i64,
        held: 0,
        limit: 5_000_000,
        opened: 1_700_000_000,
        changed: 1_700_000_000 + number,
        currency: *b"EUR",
        open: true,
        name: format!("account number {id:010} of the bank"),
        note: format!("as it was changed by number {number:012}"),
    }
}

type Check = fn(&u64, &Account) -> bool;

/// Ten things that are true of every account.
const CHECKS: [(&str, Check); 10] = [
    ("its key is its id", |id, account| account.id == *id),
    ("nothing is owed", |_, account| account.cents >= 0),
    ("nothing is held that is not there", |_, account| account.held <= account.cents),
    ("nothing less than nothing is held", |_, account| account.held >= 0),
    ("within its limit", |_, account| account.cents <= account.limit),
    ("changed after it was opened", |_, account| account.changed >= account.opened),
    ("in capital letters", |_, account| account.currency.iter().all(u8::is_ascii_uppercase)),
    ("with a name", |_, account| !account.name.is_empty()),
    ("with a short note", |_, account| account.note.len() <= 80),
    ("empty once it is closed", |_, account| account.open || account.cents == 0),
];

fn ten() -> Rules<u64, Account> {
    CHECKS.into_iter().fold(Rules::of(&ACCOUNTS), |rules, (name, holds)| {
        rules.invariant(Invariant::new(name, move |id: &u64, account: &Account| {
            if holds(id, account) { Ok(()) } else { Err(Violation::new("it is not so")) }
        }))
    })
}

fn held() -> CrossInvariant<u64, Account> {
    CrossInvariant::new("has a holder", &ACCOUNTS, |look, _, account| {
        match look.get(&HOLDERS, &account.holder)? {
            Some(_) => Ok(()),
            None => Err(Violation::new("nobody holds it")),
        }
    })
    // No holder is ever removed here.
    .touched_by(&HOLDERS, |_, _| None::<u64>)
}

struct Accounts(Engine);

impl Store for Accounts {
    fn swap(&self, id: u64, version: u64) -> Result<u64, Failure> {
        let key = IdempotencyKey::new(SCOPE, unique_key())?;
        let account = account(id, version);
        let request = Request::new(key).put(&ACCOUNTS, &id, &account, Version::new(version));
        Ok(self.0.commit(request)?.committed().map_err(steadfast::Error::from)?.seq.get())
    }
}

/// An engine with so many accounts.
fn bench(builder: Builder, records: u64) -> Result<(Bench<Accounts>, tempfile::TempDir), Failure> {
    let dir = temporary_dir()?;
    let engine = builder.open(dir.path())?;
    let commit = |request: Request| -> Result<u64, Failure> {
        Ok(engine.commit(request)?.committed().map_err(steadfast::Error::from)?.seq.get())
    };
    let holders = (0..1_000).fold(Request::unkeyed(), |request, id| {
        request.put(&HOLDERS, &id, &format!("holder number {id}"), Expect::Any)
    });
    commit(holders)?;
    let mut versions = Vec::new();
    while (versions.len() as u64) < records {
        let first = versions.len() as u64;
        let ids = first..records.min(first + PUTS_PER_REQUEST);
        let request = ids.clone().fold(Request::unkeyed(), |request, id| {
            request.put(&ACCOUNTS, &id, &account(id, 0), Expect::Absent)
        });
        let version = commit(request)?;
        versions.resize(ids.end as usize, version);
    }
    Ok((Bench::new(Accounts(engine), versions), dir))
}

/// What each of the setups did in each round.
type Rounds = [Vec<f64>; 3];

/// Prints how they did, and how those with rules compare to the first.
fn print(what: &str, names: [&str; 3], rounds: &Rounds) {
    println!("  {what}");
    for (name, numbers) in names.iter().zip(rounds) {
        println!("    {name:<36} {}", spread(numbers.clone(), 1));
    }
    for (name, with) in names.iter().zip(rounds).skip(1) {
        let ratios = with.iter().zip(&rounds[0]).map(|(with, without)| with / without);
        println!("    {:<36} {}", format!("{name} / without"), spread(ratios.collect(), 2));
    }
}

/// The processor's time that this process has taken.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn main() -> Result<(), Failure> {
    let records = sized(100_000, 1_000);
    let names = ["without rules", "with ten invariants", "and one across records"];
    let setups = [
        bench(Engine::builder(), records)?,
        bench(Engine::builder().rules(ten()), records)?,
        bench(Engine::builder().rules(ten()).cross_invariant(held()), records)?,
    ];
    for (threads, each) in [(64, sized(250, 1)), (1, sized(4_000, 4))] {
        let (mut rates, mut costs) = (Rounds::default(), Rounds::default());
        for round in 0..sized(15, 1) {
            // Each goes first as often as the others.
            for turn in 0..setups.len() {
                let place = (round + turn) % setups.len();
                let before = processor_time();
                let elapsed = setups[place].0.run(threads, each)?;
                let took = processor_time() - before;
                let operations = (threads * each) as f64;
                rates[place].push(operations / elapsed.as_secs_f64());
                costs[place].push(took.as_secs_f64() * 1e6 / operations);
            }
        }
        println!("{threads} threads, {} rounds: median (least to most)", rates[0].len());
        print("operations per second", names, &rates);
        print(
            "microseconds of the processor for each, with all the engine does besides",
            names,
            &costs,
        );
    }
    Ok(())
}
