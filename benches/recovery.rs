#![allow(
    clippy::disallowed_methods,
    reason = "a program around the engine: files and clocks are its own"
)]
//! Recovery of 1,000,000 operations after an unclean end: the time of `Engine::open`, once with everything in the log, and once with the
//! default limits, which leave most of it in the checkpoint.
//!
//! A child process writes the operations and aborts; every sample opens a fresh, synced copy of what it left.

#[allow(dead_code, reason = "shared with the other benchmarks")]
mod common;

use common::{Failure, RECORDS, preload, sized, temporary_dir, unique_key, value};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use std::{
    collections::VecDeque,
    env, fs,
    fs::File,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use steadfast::{Builder, Bytes, Engine, IdempotencyKey, Request, Ticket, Version};

/// In the child: the directory to write, and which limits.
const WRITE_TO: &str = "STEADFAST_BENCH_WRITE_TO";
const LIMITS: &str = "STEADFAST_BENCH_LIMITS";
const IN_FLIGHT: usize = 4096;

fn main() -> Result<(), Failure> {
    if let (Some(dir), Ok(limits)) = (env::var_os(WRITE_TO), env::var(LIMITS)) {
        return write_and_abort(dir.as_ref(), &limits);
    }
    let mut criterion = Criterion::default().configure_from_args();
    for limits in ["all in the log", "default limits"] {
        measure(&mut criterion, limits)?;
    }
    criterion.final_summary();
    Ok(())
}

fn operations() -> usize {
    env::var("STEADFAST_BENCH_OPERATIONS")
        .ok()
        .and_then(|operations| operations.parse().ok())
        .unwrap_or_else(|| sized(1_000_000, 2_000))
}

fn builder(limits: &str) -> Builder {
    match limits {
        "all in the log" => {
            Engine::builder().memtable_limit_bytes(4 << 30).log_limit_bytes(8 << 30)
        }
        _ => Engine::builder(),
    }
}

fn measure(criterion: &mut Criterion, limits: &str) -> Result<(), Failure> {
    let written = temporary_dir()?;
    let mut shown = false;
    let mut prepared = false;
    let mut group = criterion.benchmark_group("recovery");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.measurement_time(Duration::from_secs(20)).warm_up_time(Duration::from_millis(100));
    group.throughput(Throughput::Elements(operations() as u64));
    group.bench_function(BenchmarkId::new(limits, operations()), |bencher| {
        // Here, so that listing and filtering cost nothing.
        if !std::mem::replace(&mut prepared, true) {
            write_in_child(written.path(), limits).expect("the child writes, then aborts");
        }
        bencher.iter_custom(|times| {
            let open = |_| open_copy(written.path(), limits, &mut shown).expect("it opens");
            (0..times).map(open).sum()
        });
    });
    group.finish();
    Ok(())
}

/// Time to open a copy; the first recovery report is shown.
fn open_copy(written: &Path, limits: &str, shown: &mut bool) -> Result<Duration, Failure> {
    let copy = temporary_dir()?;
    copy_synced(written, copy.path())?;
    let started = Instant::now();
    let engine = builder(limits).open(copy.path())?;
    let elapsed = started.elapsed();
    if !std::mem::replace(shown, true) {
        println!("\n{limits}:\n{}", engine.recovery());
    }
    engine.close()?;
    Ok(elapsed)
}

/// Copies a directory, and waits for the disk: writing back a copy is no part of opening it.
fn copy_synced(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_synced(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            File::open(&target)?.sync_all()?;
        }
    }
    Ok(File::open(to)?.sync_all()?)
}

fn write_in_child(dir: &Path, limits: &str) -> Result<(), Failure> {
    let status = Command::new(env::current_exe()?)
        .env(WRITE_TO, dir)
        .env(LIMITS, limits)
        .env("STEADFAST_BENCH_OPERATIONS", operations().to_string())
        .status()?;
    // It aborts when all is written: an orderly exit means that it failed on the way.
    if status.code().is_some() {
        Err(format!("the writer ended with {status}").into())
    } else {
        Ok(())
    }
}

/// Compare-and-swaps on records in turn, thousands in flight. Never returns in order.
fn write_and_abort(dir: &Path, limits: &str) -> Result<(), Failure> {
    let operations = operations();
    let engine = builder(limits).open(dir)?;
    let mut versions = preload(&engine, (operations as u64).min(100_000))?;
    let mut in_flight = VecDeque::new();
    for number in 0..operations {
        let at = number % versions.len();
        if in_flight.len() == IN_FLIGHT.min(versions.len()) {
            settle(&mut in_flight, &mut versions)?;
        }
        let key = IdempotencyKey::new("bench", unique_key())?;
        let value = Bytes::copy_from_slice(&value(number as u64));
        let version = Version::new(versions[at]);
        let request = Request::new(key).put(&RECORDS, &(at as u64), &value, version);
        in_flight.push_back((at, engine.submit(request)));
    }
    while !in_flight.is_empty() {
        settle(&mut in_flight, &mut versions)?;
    }
    std::process::abort();
}

fn settle(in_flight: &mut VecDeque<(usize, Ticket)>, versions: &mut [u64]) -> Result<(), Failure> {
    if let Some((at, ticket)) = in_flight.pop_front() {
        let receipt = ticket.wait()?.committed().map_err(steadfast::Error::from)?;
        versions[at] = receipt.seq.get();
    }
    Ok(())
}
