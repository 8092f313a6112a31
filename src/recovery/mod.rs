//! Opening a directory: a plan made by reading only, then its application.
//!
//! lock, settle the cache, verify the checkpoint, scan the log and fold it, compare digests: up to here nothing is
//! written (but a new or half-created database, which is made), and any refusal leaves every byte as it was. Then: let the
//! checkpoint write, remove what is no longer needed, begin a segment for this opening so that the verdict is durable itself.

mod apply;
mod directory;
mod error;
#[cfg(feature = "testing")]
pub(crate) mod log_alone;
mod plan;
mod replay;
mod report;
mod settle;
mod start;
mod walk;
mod watch;

pub(crate) use error::OpenError;
pub(crate) use replay::{Base, Next};
pub use report::{Phases, RecoveryReport, TornTail, Verdict};
pub(crate) use walk::{Walked, walk};

use crate::{
    base::{Epoch, LogTime, SeqNo},
    checkpoint::{Checkpoint, Reader},
    disk::{Clock, Disk, Entropy, Lock},
    format::names,
    log::writer::Writer,
    state::fold::Fold,
};
use apply::apply;
use directory::Directory;
use plan::{Plan, plan};
use replay::Visit;
use std::{io, sync::Arc};
use watch::Watch;

/// How far the clock may be past the last entry: 30 days.
pub(crate) const JUMP_NANOS: u64 = 30 * 24 * 3_600_000_000_000;

/// Segments that may hold the log before a checkpoint is written first thing.
pub(crate) const SEGMENTS_AT_OPEN: usize = 3;

/// What can be chosen for an opening.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Bytes of the checkpoint that are cached.
    pub cache_bytes: usize,
    /// The greatest length of a segment.
    pub segment_bytes: u64,
    /// The most bytes of the filter of remembered keys.
    pub filter_bytes: usize,
    /// Whether bytes of outcomes are counted by scope.
    pub scopes: bool,
    /// Whether a clock far past the last entry is believed.
    pub accept_clock_jump: bool,
    /// Whether segments stay that no opening needs any more.
    pub keep_log: bool,
}

/// The machine, as the engine sees it.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub disk: Arc<dyn Disk>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// An open database, ready to take writes.
pub(crate) struct Recovered {
    pub lock: Box<dyn Lock>,
    pub uuid: u128,
    pub fold: Fold,
    pub next_seq: SeqNo,
    pub checkpoint: Checkpoint,
    pub reader: Arc<Reader>,
    pub writer: Writer,
    pub segments: usize,
    /// Whether the verdict on the last run is not durable yet: a segment is to be begun before any entry gets a number.
    pub unbegun: bool,
    pub report: RecoveryReport,
}

/// A database that was locked and verified, and is as it was found. What redb would write stays in memory, and is gone with this.
pub(crate) struct Contained {
    plan: Plan,
    checkpoint: Checkpoint,
    // The last to go.
    lock: Box<dyn Lock>,
}

impl Contained {
    /// What was found.
    pub(crate) const fn report(&self) -> &RecoveryReport {
        &self.plan.report
    }

    /// Carries out what was planned.
    pub(crate) fn apply(
        self,
        machine: &Machine,
        settings: &Settings,
    ) -> Result<Recovered, OpenError> {
        let Self { plan, checkpoint, lock } = self;
        apply(plan, machine, lock, checkpoint, settings, &mut Watch::new(machine))
    }
}

/// Looks at everything in the directory, or refuses; nothing in it is changed, but where there is no database yet one is made.
pub(crate) fn contain(machine: &Machine, settings: &Settings) -> Result<Contained, OpenError> {
    let disk = &*machine.disk;
    let mut watch = Watch::new(machine);
    let (lock, settle_us) = begin(disk, &mut watch)?;
    let directory = directory::identify(disk, &*machine.entropy, settings.cache_bytes)?;
    let (mut plan, checkpoint) = look(machine, directory, settings, &mut watch, None)?;
    plan.report.phases.settle_us = settle_us;
    Ok(Contained { plan, checkpoint, lock })
}

/// Opens the directory to read it only: the plan, without its application. What redb would write stays in memory. `machine`
/// has a disk of which nothing can be changed.
pub(crate) fn open_read_only(
    machine: &Machine,
    settings: Settings,
) -> Result<Recovered, OpenError> {
    // Time does not pass for what is only read.
    let settings = Settings { accept_clock_jump: true, keep_log: true, ..settings };
    let disk = &*machine.disk;
    let mut watch = Watch::new(machine);
    let (lock, settle_us) = begin(disk, &mut watch)?;
    let directory = directory::identify_existing(disk, settings.cache_bytes)?;
    let (mut plan, checkpoint) = look(machine, directory, &settings, &mut watch, None)?;
    plan.report.phases.settle_us = settle_us;
    // This opening writes no entry, so it has no number of its own.
    plan.report.epoch = Epoch::new(plan.report.epoch.get() - 1);
    let writer = plan.writer(machine);
    let next_seq = plan.last_seq();
    let Plan { directory, fold, reader, segments, report, .. } = plan;
    Ok(Recovered {
        lock,
        uuid: directory.identity.uuid,
        fold,
        next_seq,
        checkpoint,
        reader,
        writer,
        segments: segments.len(),
        unbegun: false,
        report,
    })
}

/// Locks the directory, and makes what is seen of it what is on the medium. Microseconds that took.
fn begin(disk: &dyn Disk, watch: &mut Watch<'_>) -> Result<(Box<dyn Lock>, u64), OpenError> {
    let lock = disk.lock().map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked,
        _ => OpenError::io("locking the directory")(error),
    })?;
    settle::settle(disk).map_err(OpenError::io("syncing what the last process left"))?;
    Ok((lock, watch.lap()))
}

/// Looks at everything in a directory that is a database.
fn look(
    machine: &Machine,
    directory: Directory,
    settings: &Settings,
    watch: &mut Watch<'_>,
    visit: Option<Visit<'_>>,
) -> Result<(Plan, Checkpoint), OpenError> {
    let disk = &*machine.disk;
    let file = directory::open(disk, names::CHECKPOINT)?;
    let mut checkpoint =
        Checkpoint::open_held(file, settings.cache_bytes).map_err(OpenError::checkpoint)?;
    let planned = plan(disk, directory, &mut checkpoint, settings, watch, visit)
        .and_then(|plan| check_clock(plan, machine, settings));
    match planned {
        Ok(plan) => Ok((plan, checkpoint)),
        Err(error) => {
            checkpoint.abandon();
            Err(error)
        }
    }
}

/// A clock that is far past the last entry is taken for wrong, unless the caller knows better.
fn check_clock(plan: Plan, machine: &Machine, settings: &Settings) -> Result<Plan, OpenError> {
    let (last, now) = (plan.fold.time, LogTime::new(machine.clock.wall_nanos()));
    let jumped = last.get() > 0 && now > last.plus(JUMP_NANOS) && !settings.accept_clock_jump;
    if jumped { Err(OpenError::ClockJump { last, now }) } else { Ok(plan) }
}
