#![allow(
    clippy::disallowed_methods,
    reason = "a program around the engine: files and clocks are its own"
)]
//! What retention costs: durable compare-and-swaps on two engines that take turns, one that forgets nothing and one that closes,
//! demotes and forgets generations all the time.
//!
//! Time passes with the operations: 12 milliseconds each. Outcomes are whole for 20 minutes, 100,000 operations, and stubs until an
//! hour is over, 300,000 operations. So what is remembered goes through the checkpoint in both forms, and is dropped from it.

#[allow(dead_code, reason = "shared with the other benchmarks")]
mod common;

use common::{Bench, Failure, bench_of, sized, spread, temporary_dir};
use std::{path::Path, time::Duration};
use steadfast::{Engine, testing::SimClock};

const BEGIN: u64 = 1_700_000_000_000_000_000;
const STEP: u64 = 12_000_000;

fn main() -> Result<(), Failure> {
    if std::env::args().any(|arg| arg == "--list") {
        return Ok(());
    }
    let dirs = [temporary_dir()?, temporary_dir()?];
    let off = engine(dirs[0].path(), [Duration::MAX; 2])?;
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let on = engine(dirs[1].path(), [minutes(20), minutes(60)])?;
    for (threads, each) in [(64, sized(2_000, 2)), (1, sized(10_000, 8))] {
        compare(threads, each, &off, &on)?;
    }
    for (what, engine) in [("off", off.store()), ("on", on.store())] {
        println!("{what}: {:?}", engine.window());
    }
    Ok(())
}

fn engine(dir: &Path, [outcomes, keys]: [Duration; 2]) -> Result<Bench<Engine>, Failure> {
    let builder = Engine::builder().clock(SimClock::new(BEGIN, STEP));
    let engine = builder.remember_outcomes_for(outcomes).remember_keys_for(keys).open(dir)?;
    bench_of(engine, sized(100_000, 1_000))
}

/// Lets both take turns, each being the first one every other time.
fn compare(
    threads: usize,
    each: usize,
    off: &Bench<Engine>,
    on: &Bench<Engine>,
) -> Result<(), Failure> {
    let rate = |bench: &Bench<Engine>| -> Result<f64, Failure> {
        Ok((threads * each) as f64 / bench.run(threads, each)?.as_secs_f64())
    };
    let (mut offs, mut ons) = (Vec::new(), Vec::new());
    for round in 0..sized(9, 1) {
        if round % 2 == 0 {
            offs.push(rate(off)?);
            ons.push(rate(on)?);
        } else {
            ons.push(rate(on)?);
            offs.push(rate(off)?);
        }
    }
    let ratios = ons.iter().zip(&offs).map(|(on, off)| on / off).collect();
    println!("\n{threads} threads: {} rounds in turns, median (least to most)", ons.len());
    println!("retention off, operations per second  {}", spread(offs, 0));
    println!("retention on, operations per second   {}", spread(ons, 0));
    println!("on / off                              {}", spread(ratios, 3));
    Ok(())
}
