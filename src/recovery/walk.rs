//! A walk over the entries of the log: an opening that only reads, from the first entry on where all of the log is there.

use super::{
    Machine, OpenError, RecoveryReport, Settings, begin, directory, look, replay::Visit,
    watch::Watch,
};
use crate::base::Epoch;

/// What a walk found.
#[derive(Debug)]
pub(crate) struct Walked {
    pub report: RecoveryReport,
    /// Whether it began with the first entry, and not with the checkpoint.
    pub from_first: bool,
    /// Segments that are there and that nothing leads on from: what trimming left of those before.
    pub left_over: u64,
}

/// Verifies the directory as an opening that only reads does, and lends every entry out before it is applied. `machine` has a
/// disk of which nothing can be changed.
pub(crate) fn walk(
    machine: &Machine,
    settings: Settings,
    visit: Visit<'_>,
) -> Result<Walked, OpenError> {
    // Time does not pass for what is only read, and nothing is removed.
    let settings = Settings { accept_clock_jump: true, keep_log: true, ..settings };
    let disk = &*machine.disk;
    let mut watch = Watch::new(machine);
    let (lock, settle_us) = begin(disk, &mut watch)?;
    let directory = directory::identify_existing(disk, settings.cache_bytes)?;
    let (plan, checkpoint) = look(machine, directory, &settings, &mut watch, Some(visit))?;
    let lowest = plan.segments.keys().next().copied().unwrap_or(1);
    let left_over = plan.listing.named.iter().filter(|number| **number < lowest).count() as u64;
    let (from_first, mut report) = (plan.from_first, plan.report.clone());
    report.phases.settle_us = settle_us;
    report.epoch = Epoch::new(report.epoch.get() - 1);
    drop(plan);
    checkpoint.abandon();
    drop(lock);
    Ok(Walked { report, from_first, left_over })
}
