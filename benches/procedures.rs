#![allow(
    clippy::disallowed_methods,
    reason = "a program around the engine: files and clocks are its own"
)]
//! Moving an amount between two of 16 hot records: by a procedure, which decides in the order of the log, and by `update`, which
//! is run again when somebody else was faster. Durable, under an idempotency key, at 64 threads and at one.
//!
//! Both take turns in rounds, since the machine changes from minute to minute: only the ratios of one round mean anything.

#[allow(dead_code, reason = "shared with the other benchmarks")]
mod common;

use common::{Failure, sized, spread, temporary_dir, unique_key};
use serde::{Deserialize, Serialize};
use std::{
    thread,
    time::{Duration, Instant},
};
use steadfast::{
    Abort, Engine, Expect, IdempotencyKey, Keyspace, Never, Outcome, Procedure, Request,
    Transaction,
};

const ACCOUNTS: Keyspace<u64, i64> = Keyspace::new("accounts");
const RECORDS: u64 = 16;

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Move {
    from: u64,
    to: u64,
    cents: i64,
}

fn shift(this: Move, tx: &mut Transaction<'_>) -> Result<i64, Abort> {
    let from = tx.get(&ACCOUNTS, &this.from)?.map_or(0, |account| account.value) - this.cents;
    let to = tx.get(&ACCOUNTS, &this.to)?.map_or(0, |account| account.value) + this.cents;
    tx.put(&ACCOUNTS, &this.from, &from)?;
    tx.put(&ACCOUNTS, &this.to, &to)?;
    Ok(from)
}

impl Procedure for Move {
    const NAME: &'static str = "move";
    const VERSION: u32 = 1;
    type Output = i64;
    type Rejection = Never;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<i64, Abort> {
        shift(*self, tx)
    }
}

/// How an amount is moved.
#[derive(Clone, Copy)]
enum By {
    Call,
    Update,
}

impl By {
    /// Whether it came about: an update that met too many others did not.
    fn shift(self, engine: &Engine, this: Move) -> Result<bool, Failure> {
        let key = IdempotencyKey::new("bench", unique_key())?;
        let outcome = match self {
            Self::Call => engine.call(key, &this)?,
            Self::Update => {
                engine.update(key, &(this.from, this.to, this.cents), |tx| shift(this, tx))?
            }
        };
        Ok(matches!(outcome, Outcome::Committed(_)))
    }
}

/// Moves per second that came about, of `each` tried by each thread.
fn rate(engine: &Engine, by: By, threads: u64, each: u64) -> Result<f64, Failure> {
    let start = Instant::now();
    let moved: u64 = thread::scope(|scope| {
        let work = |client: u64| {
            let mut moved = 0;
            for n in 0..each {
                let from = (client * 7 + n) % RECORDS;
                let to = (from + 1 + (client + n) % (RECORDS - 1)) % RECORDS;
                moved += u64::from(by.shift(engine, Move { from, to, cents: 1 })?);
            }
            Ok::<_, Failure>(moved)
        };
        let clients: Vec<_> =
            (0..threads).map(|client| scope.spawn(move || work(client))).collect();
        clients
            .into_iter()
            .map(|client| client.join().expect("no client panics"))
            .sum::<Result<u64, _>>()
    })?;
    let elapsed: Duration = start.elapsed();
    Ok(moved as f64 / elapsed.as_secs_f64())
}

fn main() -> Result<(), Failure> {
    let dir = temporary_dir()?;
    let engine = Engine::builder().procedure::<Move>().open(dir.path())?;
    let request = (0..RECORDS)
        .fold(Request::unkeyed(), |request, id| request.put(&ACCOUNTS, &id, &1_000, Expect::Any));
    engine.commit(request)?.committed().map_err(steadfast::Error::from)?;
    for (threads, calls, updates) in
        [(64, sized(600, 2), sized(60, 2)), (1, sized(8_000, 4), sized(8_000, 4))]
    {
        let (mut by_call, mut by_update) = (Vec::new(), Vec::new());
        for _ in 0..sized(9, 1) {
            by_call.push(rate(&engine, By::Call, threads, calls)?);
            by_update.push(rate(&engine, By::Update, threads, updates)?);
        }
        let ratios = by_call.iter().zip(&by_update).map(|(call, update)| call / update).collect();
        println!(
            "{threads} threads, {RECORDS} records: median (least to most) of {} rounds",
            by_call.len()
        );
        println!("  call, moves per second   {}", spread(by_call, 0));
        println!("  update, moves per second {}", spread(by_update, 0));
        println!("  call / update            {}", spread(ratios, 2));
    }
    let sum: i64 = engine
        .snapshot()
        .range(&ACCOUNTS, ..)
        .map(|item| item.map(|(_, account)| account.value))
        .sum::<Result<_, _>>()?;
    assert_eq!(sum, 1_000 * RECORDS as i64, "nothing was made or lost");
    Ok(())
}
