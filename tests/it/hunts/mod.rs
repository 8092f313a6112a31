//! Campaigns that look for one thing wrong, and count what it took to find it.

pub mod faults;
pub mod forged;
pub mod rot;

use serde::Serialize;
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};
use steadfast::testing::crash::Kind;

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
