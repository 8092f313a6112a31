//! The kit that runs a service's own code under crashes finds what it should, blames nobody without a reason, and does the
//! same for the same seed.

use serde::{Deserialize, Serialize};
use std::{
    cell::Cell,
    sync::atomic::{AtomicI64, Ordering::Relaxed},
};
use steadfast::{
    Abort, Engine, Error, IdempotencyKey, Keyspace, Never, Procedure, Registry, Request,
    Transaction,
    testing::service::{Done, Exploration, Journal, Stage, explore},
};

const COUNTS: Keyspace<u32, i64> = Keyspace::new("counts");
const STEPS: u64 = 3;

fn add(engine: &Engine, name: &str, count: u32) -> Result<(), Error> {
    let key = IdempotencyKey::new("service", name)?;
    engine.commit(Request::new(key).add(&COUNTS, &count, 1, 0..=100))?.committed()?;
    Ok(())
}

fn value(engine: &Engine, count: u32) -> Result<i64, Error> {
    Ok(engine.get(&COUNTS, &count)?.map_or(0, |record| record.value))
}

/// Does every step once, and tells each when it is done.
fn careful(engine: &Engine, journal: &mut Journal<u64>) -> Done {
    for step in 1..=STEPS {
        add(engine, &format!("step-{step}"), 1)?;
        journal.record(step);
    }
    Ok(())
}

fn check(engine: &Engine, journal: &Journal<u64>) -> Done {
    let (found, told) = (value(engine, 1)?, journal.facts().iter().max().copied().unwrap_or(0));
    let due = if journal.finished() { STEPS..=STEPS } else { told..=STEPS };
    if !due.contains(&(found as u64)) {
        return Err(format!("{found} steps are there, and not {due:?}").into());
    }
    Ok(())
}

/// The failure, which is the same when its case is run again.
fn failure(exploration: &Exploration<'_, u64>) -> (Stage, String) {
    let failure = exploration.run().expect_err("nothing was found");
    println!("{failure}");
    let case = failure.case.as_ref().expect("there was a crash");
    assert!(failure.to_string().contains(&case.to_string()));
    let again = exploration.run_case(case).expect_err("a case that failed fails again");
    assert_eq!((again.stage, &again.what), (failure.stage, &failure.what));
    assert_eq!((&again.facts, &again.trace), (&failure.facts, &failure.trace));
    (failure.stage, failure.what)
}

#[test]
fn a_careful_service_passes_and_one_seed_does_the_same() {
    let summary = explore(careful, check).run().unwrap_or_else(|failure| panic!("{failure}"));
    println!("careful: {summary}");
    assert!(summary.ios >= 2 * STEPS && summary.crashes == summary.ios + 1);
    assert!(summary.images > summary.crashes && summary.disks > summary.images);
    assert_eq!((summary.openings, summary.restarts), (summary.images, summary.images));
    assert_eq!(summary.checks, 2 * summary.images);
    assert!(summary.torn_tails > 0, "no torn tail was ever seen");
    assert_eq!(explore(careful, check).run().unwrap(), summary);
    let other = explore(careful, check).seed(2).damaged(20).run().unwrap();
    assert!(other.images > summary.images);
}

#[test]
fn an_answer_before_the_commit_is_found() {
    let early = |engine: &Engine, journal: &mut Journal<u64>| {
        for step in 1..=STEPS {
            journal.record(step);
            add(engine, &format!("step-{step}"), 1)?;
        }
        Ok(())
    };
    let (stage, what) = failure(&explore(early, check));
    assert_eq!(stage, Stage::AfterCrash);
    assert!(what.contains("0 steps are there"), "{what}");
}

#[test]
fn a_new_key_for_a_retry_is_found() {
    let fresh = |engine: &Engine, journal: &mut Journal<u64>| {
        let start = journal.starts();
        (1..=STEPS).try_for_each(|step| add(engine, &format!("step-{step}-{start}"), 1))?;
        Ok(())
    };
    let (stage, what) = failure(&explore(fresh, check));
    assert_eq!(stage, Stage::AfterRestart);
    assert!(what.starts_with("4 steps are there"), "{what}");
}

#[test]
fn a_service_that_can_not_go_on_is_found() {
    let once = |engine: &Engine, _: &mut Journal<u64>| {
        // It expects to be the first.
        if value(engine, 1)? > 0 {
            return Err("somebody was here before".into());
        }
        (1..=STEPS).try_for_each(|step| add(engine, &format!("step-{step}"), 1))?;
        Ok(())
    };
    let (stage, what) = failure(&explore(once, check));
    assert_eq!((stage, &what[..]), (Stage::Restarted, "somebody was here before"));
}

#[test]
fn panics_are_failures() {
    let asserting = |engine: &Engine, journal: &Journal<u64>| {
        assert!(journal.finished() || value(engine, 1)? == 0, "half done");
        Ok(())
    };
    let (stage, what) = failure(&explore(careful, asserting));
    assert_eq!((stage, &what[..]), (Stage::AfterCrash, "a panic: half done"));

    let unwrapping = |engine: &Engine, _: &mut Journal<u64>| {
        add(engine, "step", 1).unwrap();
        Ok(())
    };
    let (stage, what) = failure(&explore(unwrapping, |_, _| Ok(())));
    assert_eq!(stage, Stage::Working);
    assert!(what.starts_with("a panic: called `Result::unwrap()`"), "{what}");
}

#[test]
fn what_fails_without_a_crash_is_told_apart() {
    let refused = |_: &Engine, _: &mut Journal<u64>| Err("not today".into());
    let failure = explore(refused, check).run().unwrap_err();
    assert_eq!((failure.stage, &failure.what[..]), (Stage::Undisturbed, "not today"));
    assert!(failure.case.is_none());

    let failure = explore(careful, |_, _| Err("never right".into())).run().unwrap_err();
    assert_eq!((failure.stage, &failure.what[..]), (Stage::Undisturbed, "never right"));

    let failure = explore(careful, check).prepared(|_| Err("no".into())).run().unwrap_err();
    assert_eq!((failure.stage, &failure.what[..]), (Stage::Preparing, "no"));
}

#[test]
fn work_that_differs_from_run_to_run_is_refused() {
    let runs = Cell::new(0);
    let remembering = |engine: &Engine, _: &mut Journal<u64>| {
        runs.set(runs.get() + 1);
        (0..runs.get()).try_for_each(|step| add(engine, &format!("step-{step}"), 1))?;
        Ok(())
    };
    let failure = explore(remembering, |_, _| Ok(())).run().unwrap_err();
    assert_eq!(failure.stage, Stage::Undisturbed);
    assert!(failure.what.starts_with("the work differs from run to run"), "{}", failure.what);
}

#[derive(Serialize, Deserialize)]
struct Step {
    by: i64,
}

/// How often the code was run in this process.
static RUNS: AtomicI64 = AtomicI64::new(0);

impl Procedure for Step {
    const NAME: &'static str = "step";
    const VERSION: u32 = 1;
    type Output = i64;
    type Rejection = Never;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<i64, Abort> {
        let by = if self.by == 0 { RUNS.fetch_add(1, Relaxed) } else { self.by };
        let sum = tx.get(&COUNTS, &1)?.map_or(0, |sum| sum.value) + by;
        tx.put(&COUNTS, &1, &sum)?;
        Ok(sum)
    }
}

fn call(engine: &Engine, journal: &mut Journal<u64>, by: i64) -> Done {
    for step in 1..=STEPS {
        let key = IdempotencyKey::new("service", format!("step-{step}"))?;
        engine.call(key, &Step { by })?.committed()?;
        journal.record(step);
    }
    Ok(())
}

#[test]
fn procedures_are_run_under_crashes_and_once_more_at_the_end() {
    let registry = || Registry::new().procedure::<Step>();
    let by_one = |engine: &Engine, journal: &mut Journal<u64>| call(engine, journal, 1);
    let summary = explore(by_one, check).registry(registry()).run();
    let summary = summary.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(summary.torn_tails > 0 && summary.restarts > summary.crashes);

    let by_chance = |engine: &Engine, journal: &mut Journal<u64>| call(engine, journal, 0);
    let exploration = explore(by_chance, |_, _| Ok(())).registry(registry());
    let failure = exploration.run().unwrap_err();
    assert_eq!(failure.stage, Stage::Replayed, "{failure}");
    assert!(failure.what.contains("procedure \"step\""), "{failure}");

    let failure = explore(by_one, check).run().unwrap_err();
    assert_eq!(failure.stage, Stage::Undisturbed, "it is not registered: {failure}");
}
