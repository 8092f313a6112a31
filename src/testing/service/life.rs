//! The lives of a service on a simulated machine.

use super::{Done, case::Stage};
use crate::{
    Background, Engine, Error, LogRetention, Registry,
    disk::{Choice, SimClock, SimDisk, SimEntropy},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

/// Something that must not happen, and when.
#[derive(Debug)]
pub(super) struct Problem {
    pub stage: Stage,
    pub what: String,
}

impl Problem {
    pub fn new(stage: Stage, what: impl ToString) -> Self {
        Self { stage, what: what.to_string() }
    }
}

/// An empty disk.
pub(super) fn disk() -> SimDisk {
    let disk = SimDisk::new();
    // redb updates part of a sector of its header in place, and documents that it needs a medium on which that leaves
    // the rest of the sector alone.
    disk.assume_powersafe("checkpoint.redb");
    disk
}

/// Opens the database in one of its lives: each is later, and other random numbers come up. Segments and the log are as
/// small as may be, so that even a little work meets the ends of them.
pub(super) fn open(
    disk: &SimDisk,
    registry: &Registry,
    seed: u64,
    life: u64,
) -> Result<Engine, Error> {
    let clock = SimClock::new(1_700_000_000_000_000_000, 1_000);
    clock.advance(Duration::from_secs(life * 60));
    Engine::builder()
        .registry(registry)
        .log_retention(LogRetention::KeepAll)
        .accept_clock_jump(true)
        .background(Background::Manual)
        .segment_bytes(64 << 10)
        .log_limit_bytes(64 << 10)
        .checkpoint_cache_bytes(1 << 20)
        .clock(clock)
        .entropy(SimEntropy::new(seed.wrapping_mul(1 << 20).wrapping_add(life)))
        .open_on(disk.clone())
}

/// Decides every entry of the log once more, as far as it is durable.
pub(super) fn replay(disk: &SimDisk, registry: &Registry) -> Result<(), Problem> {
    let disk = disk.after_power_cut(&Choice::None);
    match crate::engine::verify_on(disk, registry) {
        Ok(report) if report.is_exact() => Ok(()),
        Ok(report) => Err(Problem::new(Stage::Replayed, report)),
        Err(error) => Err(Problem::new(Stage::Replayed, error)),
    }
}

/// Does what the background threads would do by now.
pub(super) fn settle(engine: &Engine) -> Result<(), Error> {
    while engine.run_background_step()? {}
    Ok(())
}

/// Cuts the power now.
pub(super) fn cut(disk: &SimDisk) {
    disk.crash_at(disk.io_count() + 1);
}

/// Runs the caller's code.
pub(super) fn call(code: impl FnOnce() -> Done) -> Result<(), Ended> {
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Ended::Error(error.to_string())),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(Ended::Panic(format!("a panic: {}", text.unwrap_or_default())))
        }
    }
}

/// How the caller's code ended before its end.
pub(super) enum Ended {
    Error(String),
    Panic(String),
}

impl Ended {
    pub fn at(self, stage: Stage) -> Problem {
        let (Self::Error(what) | Self::Panic(what)) = self;
        Problem { stage, what }
    }
}
