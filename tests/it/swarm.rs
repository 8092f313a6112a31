//! Random simulation: many clients, everything that can go wrong, one seed each. See `steadfast::testing::swarm`.
#![allow(
    clippy::disallowed_methods,
    reason = "the time a simulation takes is printed, and nothing is decided by it"
)]

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};
use steadfast::testing::{
    Entropy, Lie, SimEntropy,
    laws::Law,
    swarm::{self, Event, Failure, KINDS, Plan, Summary, Trouble},
};

/// How many seeds: more of them with `STEADFAST_SEEDS=100000 cargo test --release --test it swarm`.
fn seeds() -> u64 {
    std::env::var("STEADFAST_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(900)
}

/// Runs seeds on two threads, until some have failed.
fn simulate(seeds: std::ops::Range<u64>) -> (Summary, Vec<Failure>) {
    let next = AtomicU64::new(seeds.start);
    let done = Mutex::new((Summary::default(), Vec::new()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || done.lock().unwrap().1.len() >= 3 {
                        return;
                    }
                    let result = swarm::run(seed);
                    let mut done = done.lock().unwrap();
                    match result {
                        Ok(summary) => done.0 += &summary,
                        Err(failure) => {
                            done.0 += &failure.summary;
                            done.1.push(*failure);
                        }
                    }
                }
            });
        }
    });
    done.into_inner().unwrap()
}

/// A simulation that explored nothing must not look like a pass.
fn assert_explored(summary: &Summary) {
    assert!(summary.crashes > 0 && summary.crashes_in_calls > 0 && summary.kills > 0);
    assert!(summary.recovery_crashes > 0, "no recovery was cut off");
    assert!(summary.torn_tails > 0, "no torn tail was ever seen");
    assert!(summary.in_doubt > 0 && summary.found_carried_out > 0, "nothing was in doubt");
    assert!(summary.damages > summary.damages_told && summary.damages_told > 0);
    assert!(summary.failed_openings > 0 && summary.failed_syncs > 0 && summary.healings > 0);
    for trouble in Trouble::KINDS {
        let met = summary.faults.get(trouble.name()).copied().unwrap_or(0);
        assert!(met > 0, "{} was never met", trouble.name());
    }
    for kind in KINDS {
        let told = summary.kinds.get(kind).copied().unwrap_or(0);
        assert!(told > 0, "no answer was ever: {kind}");
    }
    assert!(summary.statuses > 0 && summary.turned_away > 0);
    let kinds = [
        "submit",
        "commit",
        "commit late",
        "commit once",
        "commit buffered",
        "try to submit",
        "fence",
        "resolve",
        "set the mode",
        "sync",
        "read what is applied",
        "update",
        "poll",
        "wait",
        "forget",
        "get",
        "range",
        "hold a snapshot",
        "look at a snapshot",
        "background step",
        "checkpoint",
        "close",
        "crash",
        "fault",
        "heal",
        "damage",
        "set the clock",
        "let time pass",
    ];
    for kind in kinds {
        assert!(summary.events.contains_key(kind), "no {kind}");
    }
}

#[test]
fn random_machines() {
    let began = Instant::now();
    let (summary, failures) = simulate(0..seeds());
    let seconds = began.elapsed().as_secs_f64();
    println!("{summary}");
    println!("{seconds:.1} s, {:.0} crashes per second", summary.all_crashes() as f64 / seconds);
    for failure in &failures {
        println!("{failure}");
    }
    assert!(failures.is_empty(), "see above");
    assert_eq!((summary.refusals, summary.losses, summary.violations), (0, 0, 0));
    assert_explored(&summary);
}

#[test]
fn one_seed_is_one_run() {
    for seed in 1..5 {
        let first = swarm::trace(seed).unwrap();
        assert!(first.len() > 500);
        assert_eq!(first, swarm::trace(seed).unwrap(), "seed {seed}");
    }
    assert_ne!(swarm::trace(1).unwrap(), swarm::trace(2).unwrap());
}

#[test]
fn every_byte_string_is_a_plan() {
    assert_eq!(Plan::from_bytes(&[]).run().unwrap().crashes, 0);
    let mut total = Summary::default();
    for seed in 0u64..60 {
        let entropy = SimEntropy::new(seed);
        let bytes: Vec<u8> =
            (0..40).flat_map(|_| entropy.random().unwrap().to_le_bytes()).collect();
        let plan = Plan::from_bytes(&bytes);
        assert_eq!(plan, Plan::from_bytes(&bytes));
        total += &plan.run().unwrap_or_else(|failure| panic!("{}", failure.shrink(500)));
    }
    println!("{total}");
    assert!(total.crashes_in_calls > 0 && total.recovery_crashes > 0 && total.reads > 0);
}

/// Tests that can't fail prove nothing, and a failure of a thousand events explains nothing.
#[test]
fn a_lying_disk_is_found_out_and_the_plan_shrunk() {
    for lie in [Lie::Files, Lie::Names] {
        let mut found = None;
        let mut crashes = 0;
        for seed in 0..50 {
            match (Plan { lie: Some(lie), ..Plan::from_seed(seed) }).run() {
                Ok(summary) => crashes += summary.all_crashes(),
                Err(failure) => {
                    crashes += failure.summary.all_crashes();
                    found = Some(failure);
                    break;
                }
            }
        }
        let failure = found.expect("the lie is found out");
        let small = failure.shrink(1_000);
        println!("{lie:?}: found out after {crashes} crashes, {}", failure.breach);
        println!("{small}");
        assert!(failure.plan.events.len() >= 50);
        assert!(small.plan.events.len() <= 4, "{} events are left", small.plan.events.len());
        assert_eq!(small.law(), failure.law());
        let again = small.plan.run().expect_err("what failed fails again");
        assert_eq!((again.law(), again.at), (small.law(), small.at));
        assert!(matches!(small.law(), Law::Prefix | Law::Healing | Law::Shown | Law::Repeatable));
        assert!(small.plan.events.iter().any(|event| matches!(event, Event::Crash { .. })));
    }
}

/// What a failure prints goes into a test as it stands.
#[test]
fn a_printed_plan_is_rust() {
    #[rustfmt::skip]
    use steadfast::testing::swarm::{Ask::*, Event::*, Hurdle::*, Rot::*, Stop::*, Trouble::*, Whose::*};
    let plan = Plan {
        seed: 3,
        lie: None,
        log_limit_bytes: 1048576,
        memtable_limit_bytes: 65536,
        clock_step_nanos: 1000,
        remember: Some((600, 7200)),
        buffered_keys: true,
        queue_limit_requests: 4,
        keep_log: true,
        events: vec![
            Commit { ask: Swap(0) },
            Buffered { ask: Dated(1, -60) },
            Sync,
            Fence { whose: New },
            Resolve { whose: Asked(0) },
            SetMode { read_only: true },
            Submit { client: 3, ask: Add(1, -3) },
            Update { key: 2, delta: 5 },
            Fault { trouble: ShortWrite(512), after: 7, forever: true },
            Look { snapshot: 0, keep: false },
            Heal,
            Damage { file: 2, offset: 4100, rot: Flip(3) },
            Crash {
                after: 3,
                stop: Kill,
                hurdles: [Some(Cut { after: 9, stop: Seeded(18446744073709551615) }), None],
                twice: true,
            },
            Crash {
                after: 0,
                stop: KeepOne(1),
                hurdles: [Some(Fails { trouble: ReadError, after: 1 }), None],
                twice: false,
            },
            SetClock { seconds: -60 },
        ],
    };
    plan.run().unwrap();
    let dense = |text: &str| text.replace(|c: char| c.is_whitespace() || c == ',', "");
    let (source, printed) = (dense(include_str!("swarm.rs")), format!("{plan:?}"));
    assert!(source.contains(&dense(&printed)), "{printed}");
    let test = plan.test();
    assert!(test.contains("#[test]") && test.contains("use steadfast::testing::"), "{test}");
    assert!(dense(&test).contains(&dense(&printed)));
}

/// A late retry that finds no room in the queue is told what is remembered only where that needs no waiting. With these seeds what is
/// remembered is a stub, of an outcome long durable, by an entry that is not.
#[test]
fn a_late_retry_of_what_has_just_become_a_stub_is_told_that_it_is_late() {
    for seed in [212_540_062_152_194, 212_540_062_152_616] {
        if let Err(failure) = swarm::run(seed) {
            panic!("{failure}");
        }
    }
}

/// A full disk is found while opening, and has room again when somebody who does not wait asks: he is told what was found, and
/// the next one is not.
#[test]
fn who_does_not_wait_is_told_of_a_full_disk_at_most_once_after_it_has_room() {
    if let Err(failure) = swarm::run(766) {
        panic!("{failure}");
    }
}

/// The cache of a process that was killed shows what a write that failed has not brought to the medium.
#[test]
fn what_a_dropped_cache_shows_is_not_taken_for_a_change() {
    let plan = Plan::empty(35).with(vec![
        Event::Commit { ask: swarm::Ask::Put(0) },
        Event::Fault { trouble: Trouble::WriteError, after: 1, forever: false },
        Event::Commit { ask: swarm::Ask::Put(0) },
        Event::Crash { after: 0, stop: swarm::Stop::Kill, hurdles: [None, None], twice: true },
    ]);
    let summary = plan.run().unwrap();
    assert!(summary.verified > 1 && summary.replayed > 10, "{summary}");
}
