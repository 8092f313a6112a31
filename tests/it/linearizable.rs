//! Histories of concurrent callers, on threads of the system's: some order of operations explains each of them, and the
//! order of the entries does. See `steadfast::testing::linear`.
//!
//! More of them: `STEADFAST_HISTORIES=1000000 STEADFAST_SEED=7 cargo test --release --test it linearizable`.

use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};
use steadfast::{
    Engine, Error, Expect, Outcome, SeqNo,
    testing::{
        SimDisk,
        linear::{Cut, History, Illegal, Store, Tally, Trouble, Workload, linearizable, serial},
        model::{Held, Order},
    },
};

/// A number from the environment.
fn told(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|number| number.parse().ok()).unwrap_or(otherwise)
}

/// What each campaign has of the histories that were asked for, at least one.
fn share(percent: u64) -> u64 {
    (told("STEADFAST_HISTORIES", 2_000) * percent).div_ceil(100)
}

/// Where the seeds of a campaign begin, of which none needs as many as there are in between.
fn first_seed(campaign: u64) -> u64 {
    told("STEADFAST_SEED", 1) * 1_000_000_000 + campaign * 10_000_000
}

fn workload(seed: u64) -> Workload {
    let (callers, calls) = (3 + seed % 3, 4 + seed % 5);
    Workload {
        seed,
        callers: callers as usize,
        calls: calls as usize,
        records: 1 + (seed % 3) as u32,
        number: 0,
        checkpoints: seed.is_multiple_of(4),
    }
}

/// Holds a history against both checkers.
fn check(history: &History) -> Result<usize, Illegal> {
    let steps = linearizable(history)?;
    serial(history)?;
    Ok(steps)
}

fn explain(seed: impl Display, history: &History, tally: &mut Tally) {
    match check(history) {
        Ok(steps) => tally.count(history, steps),
        Err(illegal) => panic!("seed {seed}: {illegal}"),
    }
}

/// Histories on engines that live for a hundred of them each.
fn campaign(first: u64, count: u64, mut open: impl FnMut(u64) -> Engine) -> Tally {
    let mut tally = Tally::default();
    for seeds in (first..first + count).collect::<Vec<_>>().chunks(100) {
        let engine = open(seeds[0]);
        for (number, &seed) in (0..).zip(seeds) {
            let workload = Workload { number, ..workload(seed) };
            explain(seed, &workload.run(&engine), &mut tally);
        }
        engine.close().unwrap();
    }
    tally
}

fn print(name: &str, tally: &Tally, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    println!("{name}: {tally}; {:.0} histories/s", tally.histories as f64 / seconds);
}

/// A campaign that saw nothing must not look like a pass.
fn assert_saw_all(tally: &Tally) {
    let Tally { overlapping, committed, replayed, conflicts, refused, reads, steps, .. } = *tally;
    for seen in [overlapping, committed, replayed, conflicts, refused, reads, steps] {
        assert!(seen > 0, "{tally}");
    }
}

/// A small memtable and small segments, so that both are changed in the middle of a history.
fn small() -> steadfast::Builder {
    Engine::builder().memtable_limit_bytes(64 << 10).segment_bytes(64 << 10)
}

#[test]
fn in_memory() {
    let began = Instant::now();
    let tally = campaign(first_seed(0), share(60), |_| small().in_memory().unwrap());
    print("in memory", &tally, began);
    assert_saw_all(&tally);
}

#[test]
fn on_a_simulated_disk() {
    let began = Instant::now();
    let tally = campaign(first_seed(1), share(20), |_| small().open_on(SimDisk::new()).unwrap());
    print("simulated disk", &tally, began);
    assert_saw_all(&tally);
}

#[test]
fn on_real_files() {
    let began = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let tally = campaign(first_seed(2), share(2), |seed| {
        small().open(folder.path().join(seed.to_string())).unwrap()
    });
    print("real files", &tally, began);
    assert!(tally.histories > 0 && tally.overlapping > 0 && tally.committed > 0);
}

fn troubled(trouble: Trouble, first: u64, count: u64) -> Tally {
    let mut tally = Tally::default();
    for seed in first..first + count {
        let cut = Cut { workload: workload(seed), trouble, within: 1 + seed % 40 };
        let history = cut.run().unwrap_or_else(|error| panic!("seed {seed}: not opened: {error}"));
        explain(seed, &history, &mut tally);
    }
    tally
}

#[test]
fn through_a_power_cut() {
    let began = Instant::now();
    let tally = troubled(Trouble::PowerCut, first_seed(3), share(12));
    print("power cuts", &tally, began);
    assert!(tally.crashes > 0 && tally.unknown > 0 && tally.nothing > 0 && tally.committed > 0);
}

#[test]
fn through_a_failed_call() {
    let began = Instant::now();
    let tally = troubled(Trouble::Failure, first_seed(4), share(6));
    print("failed calls", &tally, began);
    assert!(tally.crashes > 0 && tally.unknown > 0 && tally.nothing > 0 && tally.committed > 0);
}

/// Too long to search for an order, so only that of the entries is looked at.
#[test]
fn long_histories() {
    let began = Instant::now();
    let mut tally = Tally::default();
    for seed in first_seed(5)..first_seed(5) + share(1).div_ceil(4) {
        let engine = small().in_memory().unwrap();
        let workload =
            Workload { callers: 8, calls: 500, records: 8, checkpoints: true, ..workload(seed) };
        let history = workload.run(&engine);
        let entries = serial(&history).unwrap_or_else(|illegal| panic!("seed {seed}: {illegal}"));
        assert!(entries > 0);
        tally.count(&history, 0);
    }
    print("long", &tally, began);
    assert!(tally.overlapping > 0 && tally.committed > 1_000 && tally.conflicts > 0);
}

/// Something in front of an engine that does it wrong.
struct Broken {
    engine: Engine,
    how: How,
    cache: Mutex<BTreeMap<u32, Option<Held>>>,
    reads: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
enum How {
    /// Reads give what was there before, now and then.
    StaleReads,
    /// Versions that are expected are not looked at.
    BlindSwaps,
    /// A batch is carried out one by one, with one answer.
    HalfBatches,
    /// A retry is carried out again.
    ForgottenKeys,
    /// An order is acknowledged and not carried out, now and then.
    LostUpdates,
    /// The records of a snapshot are not from one entry.
    TornSnapshots,
}

impl Broken {
    fn new(how: How) -> Self {
        let engine = small().in_memory().unwrap();
        Self { engine, how, cache: Mutex::default(), reads: AtomicU64::new(0) }
    }

    fn now_and_then(&self) -> bool {
        self.reads.fetch_add(1, Ordering::Relaxed) % 8 == 7
    }
}

impl Store for Broken {
    fn engine(&self) -> &Engine {
        &self.engine
    }

    fn commit(&self, order: &Order) -> Result<Outcome<Vec<u8>>, Error> {
        let mut order = order.clone();
        match self.how {
            How::BlindSwaps => {
                for operation in &mut order.operations {
                    if matches!(operation.expect, Expect::Version(_)) {
                        operation.expect = Expect::Any;
                    }
                }
            }
            How::HalfBatches if order.operations.len() > 1 => {
                let rest = order.operations.split_off(1);
                let first = self.engine.commit(order.request())?;
                thread::yield_now();
                if matches!(first, Outcome::Committed(_)) {
                    let rest = Order { name: None, operations: rest, result_bytes: 0 };
                    let _ = self.engine.commit(rest.request())?;
                }
                return Ok(first);
            }
            How::ForgottenKeys => order.name = None,
            How::LostUpdates if self.now_and_then() => {
                // The receipt is right, but for another record.
                for operation in &mut order.operations {
                    operation.key += 1 << 30;
                }
            }
            _ => {}
        }
        self.engine.commit(order.request())
    }

    fn get(&self, key: u32) -> Result<Option<Held>, Error> {
        let now = Store::get(&self.engine, key)?;
        let before = self.cache.lock().unwrap().insert(key, now);
        let stale = matches!(self.how, How::StaleReads) && self.now_and_then();
        Ok(before.filter(|_| stale).unwrap_or(now))
    }

    fn snapshot(&self, keys: &[u32]) -> Result<(SeqNo, Vec<Option<Held>>), Error> {
        if !matches!(self.how, How::TornSnapshots) {
            return Store::snapshot(&self.engine, keys);
        }
        let read = |key: &u32| {
            thread::yield_now();
            Store::get(&self.engine, *key)
        };
        Ok((self.engine.durable_seq(), keys.iter().map(read).collect::<Result<_, _>>()?))
    }
}

/// A checker that finds nothing proves nothing.
#[test]
fn what_is_broken_is_found_out() {
    use How::{BlindSwaps, ForgottenKeys, HalfBatches, LostUpdates, StaleReads, TornSnapshots};
    for how in [StaleReads, BlindSwaps, HalfBatches, ForgottenKeys, LostUpdates, TornSnapshots] {
        for (name, checker) in [("search", linearizable as Checker), ("serial", serial)] {
            let found = (0..1_000).find(|&number| {
                let seed = u64::from(number);
                // The numbers of the records are kept far from those that updates are lost to.
                let history = Workload { number, ..workload(seed) }.run(&Broken::new(how));
                matches!(checker(&history), Err(Illegal { undecided: false, .. }))
            });
            let found = found.unwrap_or_else(|| panic!("{how:?} was not found out by {name}"));
            println!("{how:?}: found out by {name} after {} histories", found + 1);
        }
    }
}

type Checker = fn(&History) -> Result<usize, Illegal>;
