//! Campaigns that look for one thing wrong, and count what it took to find it.

pub mod faults;
pub mod forged;
pub mod lost_update;
pub mod rot;
pub mod totals;

use serde::Serialize;
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};
use steadfast::testing::{
    Lie,
    crash::{Campaign, Failure, Kind, Start, Summary},
};

/// What a hunt went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Runs of steps.
    pub runs: u64,
    /// Disks that came up after a power cut or a kill.
    pub crashes: u64,
    /// Openings that succeeded and were checked.
    pub openings: u64,
    /// Calls of the disk that were made to fail.
    pub faults: u64,
    /// Places that were damaged.
    pub damages: u64,
}

/// Something wrong.
#[derive(Clone, Debug)]
pub struct Found {
    pub kind: Kind,
    pub what: String,
}

/// What a hunt went through up to the first thing wrong, if there was any.
pub type Hunted = (Tally, Option<Found>);

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, crashes, openings, faults, damages } = self;
        write!(
            f,
            "{runs} runs, {crashes} crashes, {openings} openings, {faults} faults, {damages} damages"
        )
    }
}

pub fn refusal(what: impl fmt::Display) -> Found {
    Found { kind: Kind::Refusal, what: what.to_string() }
}

pub fn loss(what: impl fmt::Display) -> Found {
    Found { kind: Kind::Loss, what: what.to_string() }
}

pub fn violation(what: impl fmt::Display) -> Found {
    Found { kind: Kind::Violation, what: what.to_string() }
}

/// Hunts; a panic is a find, too.
fn hunt(act: impl FnOnce(&mut Tally) -> Result<(), Found>) -> Hunted {
    let mut tally = Tally::default();
    let done = catch_unwind(AssertUnwindSafe(|| act(&mut tally)));
    let done = done.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map_or("", |text| text);
        Err(violation(format!("a panic: {text}")))
    });
    (tally, done.err())
}

/// A campaign of every sequence of up to so many steps.
pub fn campaign(start: Start, longest: usize, lie: Option<Lie>) -> Campaign {
    Campaign { seed: 1, start, lie, first: Vec::new(), longest, samples: 64, threads: 1 }
}

pub fn hunted((summary, failure): (Summary, Option<Failure>)) -> Hunted {
    let tally = Tally {
        runs: summary.sequences,
        crashes: summary.subsets + summary.recovery_subsets,
        openings: summary.openings,
        ..Tally::default()
    };
    (tally, failure.map(|Failure { kind, what, .. }| Found { kind, what }))
}

/// Every two steps, without a crash.
pub fn model(start: Start) -> Hunted {
    hunted(campaign(start, 2, None).without_crashes())
}

/// Nothing was found, and something was looked at.
pub fn assert_clean(name: &str, (tally, found): &Hunted) {
    println!("{name}: {tally}");
    if let Some(Found { kind, what }) = found {
        panic!("{name}: {kind:?}: {what}");
    }
    assert!(tally.runs > 0 && tally.openings > 0, "{name} explored nothing");
}

#[test]
fn every_two_steps_without_a_crash_agree_with_the_model() {
    for start in [Start::Empty, Start::Closed, Start::Due] {
        let hunted = model(start);
        assert_clean(&format!("{start:?}"), &hunted);
        assert!(hunted.0.runs > 200);
    }
}

#[test]
fn a_hunt_ends_with_the_first_crash_that_shows_something() {
    for lie in [Lie::Files, Lie::Names] {
        let campaign = campaign(Start::Closed, 1, Some(lie));
        let (summary, failure) = campaign.until_failure();
        let failure = failure.expect("a disk that lies is found out");
        assert_eq!(summary.refusals + summary.losses + summary.violations, 1);
        assert!(summary.crashes > 0, "{summary}");
        let again = failure.case.run().expect_err("a case that failed fails again");
        assert_eq!((again.kind, again.what), (failure.kind, failure.what));
    }
}
