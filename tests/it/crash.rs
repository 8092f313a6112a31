//! Power cuts at every I/O, and everything a power cut can leave. See `steadfast::testing::crash` for what is checked.

use std::{io::ErrorKind, time::Instant};
use steadfast::testing::crash::{Campaign, Failure, Start, Step, Summary, lives, trace};
use steadfast::{
    Background, Engine, Error, Expect, Keyspace, Request,
    testing::{Lie, Repeat, SimClock, SimDisk, SimEntropy},
};

/// A campaign that explored nothing must not look like a pass.
fn assert_passed(name: &str, (summary, failures): (Summary, Vec<Failure>), began: Instant) {
    println!("{name}: {summary}, {:.1} s", began.elapsed().as_secs_f64());
    for failure in &failures {
        println!("{failure}");
    }
    assert_eq!((summary.refusals, summary.losses, summary.violations), (0, 0, 0), "see above");
    assert!(failures.is_empty());
    assert!(summary.sequences > 0 && summary.crashes > 0 && summary.subsets > 0);
    assert!(summary.images > 0 && summary.openings > 0);
    assert!(summary.recovery_crashes > 0, "no recovery was cut off");
}

fn campaign(start: Start, longest: usize) -> Campaign {
    Campaign { seed: 1, start, lie: None, first: Vec::new(), longest, samples: 64, threads: 2 }
}

#[test]
fn every_crash_of_a_creation_and_of_the_first_step() {
    let began = Instant::now();
    assert_passed("creation", campaign(Start::Empty, 1).run(), began);
}

#[test]
fn every_crash_after_a_crash() {
    let began = Instant::now();
    let (summary, failures) = campaign(Start::Torn, 1).run();
    assert_passed("after a crash", (summary, failures), began);
    assert!(summary.torn_tails > 0, "no torn tail was ever seen");
}

#[test]
fn every_crash_while_a_checkpoint_is_due() {
    let began = Instant::now();
    assert_passed("opening with a checkpoint", campaign(Start::Due, 1).run(), began);
    let began = Instant::now();
    // The memtable is frozen, and the log goes on behind it.
    let first = vec![Step::Rotate, Step::Rotate, Step::Put, Step::Batch];
    let campaign = Campaign { first, ..campaign(Start::Due, 1) };
    assert_passed("with a checkpoint due", campaign.run(), began);
}

#[test]
fn every_crash_while_the_log_is_kept() {
    let began = Instant::now();
    let (summary, failures) = campaign(Start::Kept, 1).run();
    assert_passed("keeping the log", (summary, failures), began);
    assert!(summary.verified > 0 && summary.replayed > summary.verified, "{summary}");
}

#[test]
fn every_crash_of_every_two_steps() {
    let began = Instant::now();
    let (summary, failures) = campaign(Start::Closed, 2).run();
    assert_passed("two steps", (summary, failures), began);
    // Three steps are sequences of their own.
    let short = Step::ALL.len() - 3;
    assert_eq!(summary.sequences as usize, 1 + Step::ALL.len() + short * short);
    assert!(summary.torn_tails > 0, "no torn tail was ever seen");
}

#[test]
#[ignore = "takes more than ten minutes on two cores"]
fn every_crash_of_every_three_steps() {
    let began = Instant::now();
    assert_passed("three steps", campaign(Start::Closed, 3).run(), began);
}

/// How many random lives: more of them with `STEADFAST_SEEDS=2000 cargo test --release random_lives`.
fn seeds() -> u64 {
    std::env::var("STEADFAST_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(100)
}

#[test]
fn random_lives() {
    let began = Instant::now();
    let mut total = (Summary::default(), Vec::new());
    for seed in 0..seeds() {
        let (summary, failures) = lives(seed, 4);
        total.0 += summary;
        total.1.extend(failures);
    }
    let torn_tails = total.0.torn_tails;
    assert_passed("random lives", total, began);
    assert!(torn_tails > 0, "no torn tail was ever seen");
}

/// A failure after many steps explains little.
#[test]
fn what_failed_is_made_small() {
    let first = vec![Step::Put, Step::Batch, Step::Retry, Step::Checkpoint, Step::Add];
    let lying = Campaign { lie: Some(Lie::Files), first, ..campaign(Start::Closed, 1) };
    let (_, failures) = lying.run();
    let failure = failures.first().expect("the lie is found out");
    let small = failure.shrink();
    println!("{} steps became {}: {small}", failure.case.steps.len(), small.case.steps.len());
    assert!(failure.case.steps.len() > 5 && small.case.steps.len() < 3);
    assert_eq!(small.law, failure.law);
    assert_eq!(small.case.run().expect_err("it fails again").law, small.law);
}

/// Crash tests that can't fail prove nothing.
#[test]
fn a_disk_that_lies_is_found_out() {
    for lie in [Lie::Files, Lie::Names] {
        let campaign = Campaign { lie: Some(lie), ..campaign(Start::Closed, 1) };
        let (summary, failures) = campaign.run();
        println!("{lie:?}: found out after {} crashes: {summary}", summary.crashes);
        assert!(summary.losses + summary.refusals > 0, "{lie:?} was not found out");
        for failure in &failures {
            let again = failure.case.run().expect_err("a case that failed fails again");
            assert_eq!((again.kind, again.what), (failure.kind, failure.what.clone()));
        }
    }
}

#[test]
fn one_seed_does_the_same_to_the_disk() {
    for seed in 0..6 {
        let first = trace(seed);
        assert!(first.len() > 60);
        assert_eq!(first, trace(seed), "seed {seed}");
    }
    assert_ne!(trace(1), trace(5));
}

const NUMBERS: Keyspace<u32, i64> = Keyspace::new("numbers");

fn put(value: i64) -> Request {
    Request::unkeyed().put(&NUMBERS, &1, &value, Expect::Any)
}

/// Opens the database that `disk` holds, with another set of random numbers each time.
fn open(disk: &SimDisk, seed: u64) -> Engine {
    let builder = Engine::builder().background(Background::Manual).segment_bytes(64 << 10);
    let clock = SimClock::new(1_700_000_000_000_000_000, 1_000);
    builder.clock(clock).entropy(SimEntropy::new(seed)).open_on(disk.clone()).unwrap()
}

/// After a clean close the next opening went on with the very number that `Indeterminate` had told a caller, when the
/// marker of the clean close could not be removed.
#[test]
fn the_number_of_a_write_that_failed_is_not_given_to_another() {
    let closed = SimDisk::new();
    let engine = open(&closed, 1);
    let _receipt = engine.commit(put(1)).unwrap();
    engine.close().unwrap();
    let mut told = 0;
    for call in 1.. {
        let disk = closed.after_kill();
        let engine = open(&disk, 2);
        disk.fail_call(disk.io_count() + call, ErrorKind::Other, Repeat::Forever);
        let error = match engine.commit(put(2)) {
            Ok(_) => break,
            Err(error) => error,
        };
        drop(engine);
        let engine = open(&disk.after_kill(), 3);
        let carried_out = engine.get(&NUMBERS, &1).unwrap().unwrap().value == 2;
        let receipt = engine.commit(put(3)).unwrap().committed().unwrap();
        match error {
            Error::Indeterminate { seq } => {
                told += 1;
                assert!(receipt.seq > seq, "call {call}: {seq} was told, {} is next", receipt.seq);
            }
            Error::Poisoned { .. } | Error::Io { .. } => {
                assert!(!carried_out, "call {call}: {error}");
            }
            error => panic!("call {call}: {error}"),
        }
    }
    assert!(told > 0, "no write was in doubt");
}
