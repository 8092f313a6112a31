#![allow(
    clippy::disallowed_methods,
    reason = "a program around the engine: files and clocks are its own"
)]
//! A window of 10,000,000 stubs: what they take on the disk and in memory, what a new key costs beside them, how long an opening takes,
//! and whether anyone waits while they are demoted and forgotten.
//!
//! `STEADFAST_BENCH_KEYS` and `STEADFAST_BENCH_FILTER_BYTES` change how many keys there are, and the budget of their filter.

#[allow(dead_code, reason = "shared with the other benchmarks")]
#[path = "common/mod.rs"]
mod common;
#[path = "common/counting.rs"]
mod counting;

use common::{Failure, SCOPE, numbered_key, sized, temporary_dir};
use counting::CountingDisk;
use std::{
    collections::VecDeque,
    env, fs,
    ops::Range,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};
use steadfast::{
    Engine, IdempotencyKey, Keyspace, Request, Ticket,
    testing::{RealDisk, SimClock},
};

const COUNTERS: Keyspace<u32, i64> = Keyspace::new("counters");
const BEGIN: u64 = 1_700_000_000_000_000_000;
/// Log time that passes with each operation. Outcomes are whole for five minutes: 300,000 operations.
const STEP: u64 = 1_000_000;
const WHOLE: Duration = Duration::from_secs(300);
const IN_FLIGHT: usize = 8192;
/// New keys that are held against the filter.
const NEW: u64 = 100_000;

/// A number from the environment, or the one that is the default.
fn number(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

struct Subject {
    dir: tempfile::TempDir,
    clock: SimClock,
    reads: Arc<AtomicU64>,
}

impl Subject {
    fn open(&self, stubs: Duration) -> Result<Engine, Failure> {
        let disk = RealDisk::open_or_create(self.dir.path())?;
        let builder = Engine::builder()
            .clock(self.clock.clone())
            .remember_outcomes_for(WHOLE)
            .remember_keys_for(stubs)
            .accept_clock_jump(true)
            .key_filter_bytes(number("STEADFAST_BENCH_FILTER_BYTES", 64 << 20) as usize);
        Ok(builder.open_on(CountingDisk { disk, reads: self.reads.clone() })?)
    }

    fn checkpoint_bytes(&self) -> Result<u64, Failure> {
        Ok(fs::metadata(self.dir.path().join("checkpoint.redb"))?.len())
    }
}

fn main() -> Result<(), Failure> {
    if env::args().any(|arg| arg == "--list") {
        return Ok(());
    }
    let keys = number("STEADFAST_BENCH_KEYS", sized(10_000_000, 5_000));
    let subject =
        Subject { dir: temporary_dir()?, clock: SimClock::new(BEGIN, STEP), reads: Arc::default() };
    let engine = subject.open(Duration::MAX)?;
    let started = Instant::now();
    let longest = watched(&engine, || load(&engine, 0..keys))?;
    println!(
        "{keys} keys committed in {:.0?}; longest commit beside it {longest:.1?}",
        started.elapsed()
    );
    settle(&engine)?;
    demote_rest(&subject, &engine)?;
    sizes(&subject, &engine)?;
    new_keys(&subject, &engine, keys..keys + sized(NEW, 500))?;
    engine.close()?;
    let started = Instant::now();
    let engine = subject.open(Duration::from_secs(3600))?;
    println!("opening: {:.2?}; resident {} MiB", started.elapsed(), resident());
    new_keys(&subject, &engine, keys + NEW..keys + NEW + sized(NEW, 500))?;
    forget(&subject, &engine)
}

/// One keyed request: the cheapest there is, so that the window is what is measured.
fn request(number: u64) -> Result<Request, Failure> {
    let key = IdempotencyKey::new(SCOPE, numbered_key(number))?;
    Ok(Request::new(key).add(&COUNTERS, &1, 1, 0..=i64::MAX))
}

fn load(engine: &Engine, numbers: Range<u64>) -> Result<(), Failure> {
    let mut tickets: VecDeque<Ticket> = VecDeque::new();
    for number in numbers {
        if tickets.len() == IN_FLIGHT {
            committed(tickets.pop_front().expect("there are some"))?;
        }
        tickets.push_back(engine.submit(request(number)?));
    }
    tickets.into_iter().try_for_each(committed)
}

fn committed(ticket: Ticket) -> Result<(), Failure> {
    ticket.wait()?.committed().map_err(steadfast::Error::from)?;
    Ok(())
}

/// The longest that a commit took while something was done: one after the other, a millisecond apart.
fn watched(
    engine: &Engine,
    act: impl FnOnce() -> Result<(), Failure>,
) -> Result<Duration, Failure> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| -> Result<Duration, Failure> {
            let mut longest = Duration::ZERO;
            while !over.load(Relaxed) {
                let started = Instant::now();
                tick(engine)?;
                longest = longest.max(started.elapsed());
                thread::sleep(Duration::from_millis(1));
            }
            Ok(longest)
        });
        let acted = act();
        over.store(true, Relaxed);
        let longest = watch.join().expect("it does not panic");
        acted.and(longest)
    })
}

fn tick(engine: &Engine) -> Result<(), Failure> {
    let tick = Request::unkeyed().add(&COUNTERS, &2, 1, 0..=i64::MAX);
    engine.commit(tick)?.committed().map_err(steadfast::Error::from)?;
    Ok(())
}

/// Puts all that is in memory into the checkpoint.
fn settle(engine: &Engine) -> Result<(), Failure> {
    tick(engine)?;
    Ok(engine.checkpoint()?)
}

/// Lets the time of the last outcomes be over, and gives the checkpoints the rows to do that were whole until then.
fn demote_rest(subject: &Subject, engine: &Engine) -> Result<(), Failure> {
    subject.clock.advance(2 * WHOLE);
    let started = Instant::now();
    let rows = engine.window().outcomes;
    let mut checkpoints = 0;
    let longest = watched(engine, || {
        while checkpoints * 4096 <= rows {
            settle(engine)?;
            checkpoints += 1;
        }
        Ok(())
    })?;
    println!(
        "{rows} outcomes demoted at once, rewritten by {checkpoints} checkpoints in {:.1?}; longest commit beside it {longest:.1?}",
        started.elapsed()
    );
    Ok(())
}

fn sizes(subject: &Subject, engine: &Engine) -> Result<(), Failure> {
    let (window, file) = (engine.window(), subject.checkpoint_bytes()?);
    let stubs = window.stubs.max(1) as f64;
    println!("{} outcomes whole, {} stubs", window.outcomes, window.stubs);
    println!("bytes per stub, as stored {:.1}", window.bytes as f64 / stubs);
    println!(
        "bytes per stub in the checkpoint's file, free pages included {:.1}",
        file as f64 / stubs
    );
    println!(
        "filter: {:.1} MiB, {:.2} MiB per million keys",
        window.filter_bytes as f64 / (1 << 20) as f64,
        window.filter_bytes as f64 / stubs * 1e6 / (1 << 20) as f64
    );
    println!("resident {} MiB", resident());
    Ok(())
}

/// What requests with new keys cost beside all the others.
fn new_keys(subject: &Subject, engine: &Engine, numbers: Range<u64>) -> Result<(), Failure> {
    let (before, reads, count) =
        (engine.window(), subject.reads.load(Relaxed), numbers.end - numbers.start);
    let started = Instant::now();
    load(engine, numbers)?;
    let (elapsed, window) = (started.elapsed(), engine.window());
    let passed = window.filter_in_vain - before.filter_in_vain;
    println!(
        "{count} new keys in {elapsed:.2?}: asked {}, passed in vain {passed} ({:.3} %), reads of the checkpoint's file {}",
        window.filter_asked - before.filter_asked,
        passed as f64 * 100.0 / count as f64,
        subject.reads.load(Relaxed) - reads
    );
    Ok(())
}

/// All of them are forgotten at once, and dropped from the checkpoint while commits go on.
fn forget(subject: &Subject, engine: &Engine) -> Result<(), Failure> {
    subject.clock.advance(Duration::from_secs(2 * 3600));
    let stubs = engine.window().stubs;
    let started = Instant::now();
    tick(engine)?;
    let step = started.elapsed();
    let left = engine.window().stubs;
    let longest = watched(engine, || (0..sized(50, 2)).try_for_each(|_| settle(engine)))?;
    println!(
        "{stubs} stubs, {left} left; the commit that forgot them took {step:.1?}; 50 checkpoints after that {:.1?}, longest commit beside them {longest:.1?}",
        started.elapsed()
    );
    println!("filter {} KiB; resident {} MiB", engine.window().filter_bytes >> 10, resident());
    Ok(())
}

/// Resident memory of this process, in MiB.
fn resident() -> u64 {
    let status = fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) >> 10
}
