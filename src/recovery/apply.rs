//! The second half of an opening: its plan is carried out.

use super::{Machine, OpenError, Recovered, SEGMENTS_AT_OPEN, Settings, plan::Plan, watch::Watch};
use crate::{
    base::{SeqNo, canary::canary, limits::UNSYNCED_ENTRIES},
    checkpoint::Checkpoint,
    disk::{self, Disk, Lock, remove_if_there},
    format::names,
    log::{
        segments,
        writer::{Source, Writer},
    },
};
use std::io;

/// Carries a plan out.
pub(super) fn apply(
    plan: Plan,
    machine: &Machine,
    lock: Box<dyn Lock>,
    checkpoint: Checkpoint,
    settings: &Settings,
    watch: &mut Watch<'_>,
) -> Result<Recovered, OpenError> {
    let disk = &machine.disk;
    let after_crash = plan.after_crash();
    checkpoint.release().map_err(OpenError::checkpoint)?;
    let lowest = plan.segments.keys().next().copied().unwrap_or(1);
    clear(&**disk, &plan.listing, if settings.keep_log { 0 } else { lowest })
        .map_err(OpenError::io("removing what is no longer needed"))?;

    let gap = if after_crash && !canary!(NumbersReused) { UNSYNCED_ENTRIES } else { 1 };
    let next_seq = SeqNo::new(plan.last_seq().get().saturating_add(gap));
    let mut writer = plan.writer(machine);
    let Plan { directory, fold, reader, segments, mut report, .. } = plan;
    let uuid = directory.identity.uuid;
    let begins = after_crash && !canary!(VerdictNotDurable);
    // With many segments already, and nothing cut, that comes after a checkpoint: so they don't add up while there is no room for
    // the one that would make them void.
    let few = segments.len() <= SEGMENTS_AT_OPEN || report.torn_tail.is_some();
    let at_once = begins && few;
    let source = Source { disk: disk.clone(), entropy: machine.entropy.clone(), uuid };
    let begun = at_once
        && begin_segment(&source, &mut writer, settings.segment_bytes, next_seq)
            .map_err(OpenError::io("beginning a segment"))?;
    report.phases.apply_us = watch.lap();
    Ok(Recovered {
        lock,
        uuid,
        fold,
        next_seq,
        checkpoint,
        reader,
        writer,
        segments: segments.len(),
        unbegun: begins && !begun,
        report,
    })
}

/// Begins a segment for this opening, which makes the verdict on the one before durable; false when there is no room for one.
/// Until then every opening comes to the same verdict, since it reads the same bytes.
pub(super) fn begin_segment(
    source: &Source,
    writer: &mut Writer,
    segment_bytes: u64,
    next_seq: SeqNo,
) -> io::Result<bool> {
    let bytes = segments::FIRST_BYTES.min(segment_bytes);
    let segment = match source.prepare(writer.next_segment(), bytes, 0) {
        Err(error) if disk::is_full(&error) => return Ok(false),
        prepared => prepared?,
    };
    writer.begin(segment, next_seq).map(|_| true)
}

/// Removes spares, unfinished files and segments below `trim`.
pub(super) fn clear(disk: &dyn Disk, listing: &segments::Listing, trim: u64) -> io::Result<()> {
    let trimmed =
        listing.named.iter().filter(|&&number| number < trim).map(|&number| names::segment(number));
    let newest = listing.newest.iter().max();
    let notes = listing.newest.iter().filter(|&number| Some(number) != newest);
    let notes = notes.map(|&number| names::newest(number));
    for name in listing.spares.iter().cloned().chain(trimmed).chain(notes) {
        disk.remove(&name)?;
    }
    remove_if_there(disk, names::IDENTITY_NEW)?;
    remove_if_there(disk, names::CLEAN_NEW)
}
