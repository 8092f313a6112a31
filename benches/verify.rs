#![allow(
    clippy::disallowed_methods,
    reason = "a program around the engine: files and clocks are its own"
)]
//! Verified replay of a log of 1,000,000 entries: how many are decided once more and compared in a second, on one thread. Once with
//! compare-and-swaps under an idempotency key, once with calls of a procedure that moves an amount between two records.
//!
//! Each is verified several times, since the machine changes from minute to minute; beside it stands the time of an opening of the same
//! log, which folds it and decides nothing.

#[allow(dead_code, reason = "shared with the other benchmarks")]
mod common;

use common::{
    Failure, RECORDS, preload, scramble, sized, spread, temporary_dir, unique_key, value,
};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, path::Path, time::Instant};
use steadfast::{
    Abort, Bytes, Engine, IdempotencyKey, Keyspace, LogRetention, Never, Procedure, Registry,
    Request, Ticket, Transaction, Version, verify,
};

const IN_FLIGHT: usize = 4096;
const ACCOUNTS: Keyspace<u64, i64> = Keyspace::new("accounts");

#[derive(Serialize, Deserialize)]
struct Move {
    from: u64,
    to: u64,
    cents: i64,
}

impl Procedure for Move {
    const NAME: &'static str = "move";
    const VERSION: u32 = 1;
    type Output = i64;
    type Rejection = Never;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<i64, Abort> {
        let from = tx.get(&ACCOUNTS, &self.from)?.map_or(0, |account| account.value) - self.cents;
        let to = tx.get(&ACCOUNTS, &self.to)?.map_or(0, |account| account.value) + self.cents;
        tx.put(&ACCOUNTS, &self.from, &from)?;
        tx.put(&ACCOUNTS, &self.to, &to)?;
        Ok(from)
    }
}

fn registry() -> Registry {
    Registry::new().procedure::<Move>()
}

fn open(dir: &Path) -> Result<Engine, Failure> {
    let limits = Engine::builder().memtable_limit_bytes(4 << 30).log_limit_bytes(8 << 30);
    Ok(limits.registry(&registry()).log_retention(LogRetention::KeepAll).open(dir)?)
}

/// Compare-and-swaps on records in turn, thousands in flight.
fn swaps(engine: &Engine, operations: usize) -> Result<(), Failure> {
    let mut versions = preload(engine, (operations as u64).min(100_000))?;
    let mut in_flight: VecDeque<(usize, Ticket)> = VecDeque::new();
    for number in 0..operations {
        let at = number % versions.len();
        if in_flight.len() == IN_FLIGHT.min(versions.len())
            && let Some((at, ticket)) = in_flight.pop_front()
        {
            let receipt = ticket.wait()?.committed().map_err(steadfast::Error::from)?;
            versions[at] = receipt.seq.get();
        }
        let key = IdempotencyKey::new("bench", unique_key())?;
        let value = Bytes::copy_from_slice(&value(number as u64));
        let request =
            Request::new(key).put(&RECORDS, &(at as u64), &value, Version::new(versions[at]));
        in_flight.push_back((at, engine.submit(request)));
    }
    for (_, ticket) in in_flight {
        ticket.wait()?.committed().map_err(steadfast::Error::from)?;
    }
    Ok(())
}

/// Calls, thousands in flight.
fn calls(engine: &Engine, operations: usize) -> Result<(), Failure> {
    let mut in_flight = VecDeque::new();
    for number in 0..operations as u64 {
        let (from, to) = (scramble(number) % 100_000, scramble(!number) % 100_000);
        let key = IdempotencyKey::new("bench", unique_key())?;
        in_flight.push_back(engine.submit_call(key, &Move { from, to, cents: 1 }));
        if in_flight.len() == IN_FLIGHT
            && let Some(ticket) = in_flight.pop_front()
        {
            ticket.wait()?.committed().map_err(steadfast::Error::from)?;
        }
    }
    for ticket in in_flight {
        ticket.wait()?.committed().map_err(steadfast::Error::from)?;
    }
    Ok(())
}

/// How long this thread has had a processor, where the system tells: others may be at work meanwhile.
fn processor_seconds() -> Option<f64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos: f64 = told.split(' ').next()?.parse().ok()?;
    Some(nanos / 1e9)
}

type Work = fn(&Engine, usize) -> Result<(), Failure>;

fn main() -> Result<(), Failure> {
    let (operations, times) = (sized(1_000_000, 2_000), sized(5, 1));
    for (name, work) in [("compare-and-swap", swaps as Work), ("calls", calls)] {
        let dir = temporary_dir()?;
        let engine = open(dir.path())?;
        work(&engine, operations)?;
        engine.close()?;
        let (mut rates, mut alone, mut openings) = (Vec::new(), Vec::new(), Vec::new());
        for time in 0..times {
            let (started, worked) = (Instant::now(), processor_seconds());
            let report = verify(dir.path(), &registry())?;
            let entries = report.entries as f64;
            rates.push(entries / started.elapsed().as_secs_f64());
            if let Some((before, after)) = worked.zip(processor_seconds()) {
                alone.push(entries / (after - before));
            }
            if !report.is_exact() || report.entries < operations as u64 {
                return Err(report.to_string().into());
            }
            let started = Instant::now();
            let engine = Engine::open_read_only(dir.path())?;
            openings.push(entries / started.elapsed().as_secs_f64());
            engine.close()?;
            if time == 0 {
                println!("{name}: {report}");
            }
        }
        println!("{name}, entries per second, the middle one of {times}:");
        println!("  verified {}", spread(rates, 0));
        if !alone.is_empty() {
            println!("  of processor time alone {}", spread(alone, 0));
        }
        println!("  folded   {}", spread(openings, 0));
    }
    Ok(())
}
