#![allow(
    clippy::disallowed_methods,
    reason = "a program around the engine: files and clocks are its own"
)]
//! Durable, idempotent compare-and-swap: 100,000 records of 128 bytes, 24-byte idempotency keys, all unique, at 1 to 64 threads;
//! against raw overwrites of 4 KiB with fdatasync, and against redb with a records table and a dedupe table.
//!
//! After criterion's own figures it prints a table of ratios. These come from rounds in which all of them take turns, so that a disk
//! that changes its mind changes it for all.

#[allow(dead_code, reason = "shared with the other benchmarks")]
mod common;

use common::{Bench, Failure, Raw, Redb, engine, redb, sized, spread, temporary_dir};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use std::time::Duration;
use steadfast::Engine;

const THREADS: [usize; 4] = [1, 4, 16, 64];
/// More than a run writes: a log never writes a block twice, and a second time is faster on some disks.
const RAW_BLOCKS: u64 = 192 << 10;

/// What is measured, each in a directory of its own on one disk.
struct Setup {
    raw: Raw,
    engine: Bench<Engine>,
    redb: Bench<Redb>,
    _dirs: [tempfile::TempDir; 3],
}

impl Setup {
    fn new() -> Result<Self, Failure> {
        let dirs = [temporary_dir()?, temporary_dir()?, temporary_dir()?];
        let records = sized(100_000, 1_000);
        Ok(Self {
            raw: Raw::new(dirs[0].path(), sized(RAW_BLOCKS, 64))?,
            engine: engine(dirs[1].path(), records)?,
            redb: redb(dirs[2].path(), records)?,
            _dirs: dirs,
        })
    }
}

fn main() -> Result<(), Failure> {
    let setup = Setup::new()?;
    let mut criterion = Criterion::default().configure_from_args();
    measure(&mut criterion, "raw", &[1], |_, each| setup.raw.run(each));
    measure(&mut criterion, "steadfast", &THREADS, |threads, each| setup.engine.run(threads, each));
    measure(&mut criterion, "redb", &[1, 64], |threads, each| setup.redb.run(threads, each));
    criterion.final_summary();
    let lists = std::env::args().any(|arg| arg == "--list");
    if lists { Ok(()) } else { ratios(&setup) }
}

/// Measures batches of `each` operations for each thread.
fn measure(
    criterion: &mut Criterion,
    name: &str,
    threads: &[usize],
    run: impl Fn(usize, usize) -> Result<Duration, Failure>,
) {
    let mut group = criterion.benchmark_group("cas");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.measurement_time(Duration::from_secs(5)).warm_up_time(Duration::from_secs(1));
    for threads in threads {
        let each = sized(32, 2);
        group.throughput(Throughput::Elements((threads * each) as u64));
        group.bench_function(BenchmarkId::new(name, threads), |bencher| {
            bencher.iter_custom(|batches| {
                let batch = |_| run(*threads, each).expect("every swap hits");
                (0..batches).map(batch).sum()
            });
        });
    }
    group.finish();
}

/// Operations per second in each round.
#[derive(Default)]
struct Rounds {
    raw: Vec<f64>,
    engine_1: Vec<f64>,
    redb_1: Vec<f64>,
    engine_64: Vec<f64>,
    redb_64: Vec<f64>,
}

/// Lets all take turns, and prints how they compare.
fn ratios(setup: &Setup) -> Result<(), Failure> {
    let mut rounds = Rounds::default();
    let rate = |operations: usize, elapsed: Duration| operations as f64 / elapsed.as_secs_f64();
    let (alone, together, peer, peer_together) = sized((8_000, 500, 400, 8), (4, 2, 4, 1));
    for _ in 0..sized(9, 1) {
        rounds.raw.push(rate(alone, setup.raw.run(alone)?));
        rounds.engine_1.push(rate(alone, setup.engine.run(1, alone)?));
        rounds.redb_1.push(rate(peer, setup.redb.run(1, peer)?));
        rounds.engine_64.push(rate(64 * together, setup.engine.run(64, together)?));
        rounds.redb_64.push(rate(64 * peer_together, setup.redb.run(64, peer_together)?));
    }
    rounds.print();
    Ok(())
}

impl Rounds {
    fn print(&self) {
        println!(
            "\n{} rounds in turns: operations per second, median (least to most)",
            self.raw.len()
        );
        for (what, rates) in [
            ("raw overwrite + fdatasync, 1 thread", &self.raw),
            ("steadfast, 1 thread", &self.engine_1),
            ("redb + dedupe table, 1 thread", &self.redb_1),
            ("steadfast, 64 threads", &self.engine_64),
            ("redb + dedupe table, 64 threads", &self.redb_64),
        ] {
            println!("{what:<38} {}", spread(rates.clone(), 0));
        }
        println!("\nratios, round by round: median (least to most)");
        for (what, over, under) in [
            ("steadfast / raw, 1 thread", &self.engine_1, &self.raw),
            ("steadfast / redb, 1 thread", &self.engine_1, &self.redb_1),
            ("steadfast / redb, 64 threads", &self.engine_64, &self.redb_64),
        ] {
            let ratios = over.iter().zip(under).map(|(over, under)| over / under).collect();
            println!("{what:<38} {}", spread(ratios, 2));
        }
    }
}
