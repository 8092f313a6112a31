//! The first half of an opening: everything is read and verified, and nothing is written.

use super::{
    Machine, OpenError, Phases, RecoveryReport, Settings, TornTail, Verdict,
    directory::{self, Directory},
    replay::{Base, Replay, Visit},
    start,
    watch::Watch,
};
use crate::{
    base::{Epoch, IdempotencyKey, SeqNo, canary::canary},
    checkpoint::{self, Checkpoint, Key, Meta, Reader, Verified},
    disk::Disk,
    format::{VERSION, names},
    log::{
        Position,
        scan::{self, Known, Scanned},
        segments::{self, Segment},
        writer::Writer,
    },
    state::{digest, fold::Fold},
};
use std::{collections::BTreeMap, sync::Arc};

/// What is to be done with a directory that was found whole.
pub(super) struct Plan {
    pub directory: Directory,
    pub fold: Fold,
    pub reader: Arc<Reader>,
    pub scanned: Scanned,
    pub segments: BTreeMap<u64, Segment>,
    pub listing: segments::Listing,
    /// Whether the log was folded from its first entry on.
    pub from_first: bool,
    pub report: RecoveryReport,
}

impl Plan {
    pub(super) fn last_seq(&self) -> SeqNo {
        self.scanned.last_seq.max(self.fold.applied)
    }

    pub(super) fn after_crash(&self) -> bool {
        matches!(self.report.verdict, Verdict::Unclean | Verdict::TornTail)
    }

    /// A writer that goes on where the log ends.
    pub(super) fn writer(&self, machine: &Machine) -> Writer {
        Writer::new(
            machine.disk.clone(),
            self.report.epoch,
            self.scanned.accepted,
            self.after_crash(),
            self.directory.clean.is_some(),
            last_groups(&self.scanned, &self.segments),
            self.fold.digest.0,
        )
    }
}

/// Reads and verifies everything; writes nothing.
pub(super) fn plan(
    disk: &dyn Disk,
    directory: Directory,
    checkpoint: &mut Checkpoint,
    settings: &Settings,
    watch: &mut Watch<'_>,
    visit: Option<Visit<'_>>,
) -> Result<Plan, OpenError> {
    let uuid = directory.identity.uuid;
    let (reader, fold, verified) = verify(checkpoint, uuid, settings)?;
    let meta = reader.meta().clone();
    let checkpoint_us = watch.lap();

    let listing = list_ours(disk)?;
    let mut lowest = lowest_needed(&listing.named, meta.trim);
    // Whoever looks at the entries looks at all of them, where they are all there.
    let from_first = visit.is_some() && lowest_needed(&listing.named, 1) == 1;
    lowest = if from_first { 1 } else { lowest };
    if !settings.keep_log {
        check_void(&listing, lowest)?;
    }
    let segments = segments::open(disk, uuid, lowest, &listing.named)?;
    let known = Known {
        checkpoint_g: meta.applied_g,
        checkpoint_chain: meta.chain,
        clean: directory.clean,
    };
    // A checkpoint without an entry is the state before the first one.
    let (fold, base) = if from_first && meta.applied_g > 0 {
        (start::genesis(uuid, settings), Base(None))
    } else {
        (fold, Base(Some(&*reader)))
    };
    let checkpoint = &*reader;
    let mut replay =
        Replay { fold, base, checkpoint, visit, entries: 0, window_entries: 0, digests: 1 };
    let scanned = scan::scan(&segments, &known, &mut |group| replay.group(&group))?;
    let Replay { fold, entries, window_entries, digests, .. } = replay;

    let report = RecoveryReport {
        verdict: verdict(&directory, &scanned),
        epoch: Epoch::new(scanned.epoch.max(meta.epoch).get().saturating_add(1)),
        applied_seq: fold.applied,
        checkpoint_seq: meta.applied_seq,
        checkpoint_records: verified.records,
        checkpoint_window_entries: verified.window_rows,
        checkpoint_stubs: verified.stubs,
        segments_scanned: scanned.segments,
        groups_scanned: scanned.groups,
        bytes_scanned: scanned.bytes,
        entries_folded: entries,
        window_entries_restored: window_entries,
        digests_compared: digests,
        state_digest: format!("{:032x}", fold.digest.0),
        torn_tail: torn_tail(&scanned),
        phases: Phases { settle_us: 0, checkpoint_us, log_us: watch.lap(), apply_us: 0 },
    };
    Ok(Plan { directory, fold, reader, scanned, segments, listing, from_first, report })
}

/// Verifies all of the checkpoint; the fold stands where it does.
fn verify(
    checkpoint: &mut Checkpoint,
    uuid: u128,
    settings: &Settings,
) -> Result<(Arc<Reader>, Fold, Verified), OpenError> {
    checkpoint.check_pages().map_err(OpenError::checkpoint)?;
    let reader = checkpoint.reader().map_err(OpenError::checkpoint)?;
    let meta = reader.meta();
    check_meta(meta, uuid)?;
    let mut fold = start::fold(meta, &reader, settings).map_err(OpenError::checkpoint)?;
    let (settled, mut scopes) = (fold.settled.clone(), fold.scopes.take());
    let on_key = |key: Key<'_>| {
        settled.write().add(key.hash);
        if let (Some(scopes), Some((generation, key, bytes))) = (&mut scopes, key.whole)
            && let Some(key) = IdempotencyKey::from_bytes(key.into())
        {
            scopes.add(generation, key.scope(), bytes);
        }
    };
    let verified = checkpoint::verify(&reader, &mut fold.hasher, |_| {}, on_key)
        .map_err(OpenError::checkpoint)?;
    fold.scopes = scopes;
    if meta.digest_version == digest::VERSION && verified.digest != meta.digest {
        let what = "its rows do not have the state digest it records";
        return Err(OpenError::corrupt(names::CHECKPOINT, what));
    }
    Ok((reader, fold, verified))
}

/// Lists the segments, among which nothing else may be, and of which the newest may not be missing.
pub(super) fn list_ours(disk: &dyn Disk) -> Result<segments::Listing, OpenError> {
    let listing = directory::list_segments(disk)?;
    canary!(NewestNoteIgnored => return Ok(listing));
    if let Some(foreign) = listing.foreign.first() {
        let what = "a file that is not ours is among the segments";
        return Err(OpenError::corrupt(&format!("{}/{foreign}", names::SEGMENTS), what));
    }
    match listing.newest.iter().max() {
        Some(newest) if !listing.named.contains(newest) => {
            Err(OpenError::corrupt(&names::segment(*newest), "the file is missing"))
        }
        _ => Ok(listing),
    }
}

/// Where the log begins: the lowest of the segments that follow each other up to the last, but for those the checkpoint
/// needs no more, of which a power cut can leave any. Whether that is far enough back is for the scan to say.
pub(super) fn lowest_needed(named: &[u64], trim: u64) -> u64 {
    let Some(&last) = named.last() else { return trim };
    let contiguous =
        named.iter().rev().zip((1..=last).rev()).take_while(|(named, due)| **named == *due);
    contiguous
        .map(|(&number, _)| number)
        .take_while(|&number| number >= trim)
        .last()
        .unwrap_or(trim)
}

/// What the checkpoint made void is removed without being opened, when it would be too late to refuse it.
fn check_void(listing: &segments::Listing, lowest: u64) -> Result<(), OpenError> {
    match listing.odd.iter().find(|&&number| number < lowest) {
        Some(&odd) => Err(OpenError::corrupt(&names::segment(odd), "it is not a plain file")),
        None => Ok(()),
    }
}

fn check_meta(meta: &Meta, uuid: u128) -> Result<(), OpenError> {
    if meta.format != VERSION {
        return Err(OpenError::UnsupportedFormat {
            file: names::CHECKPOINT.into(),
            version: meta.format,
        });
    }
    if meta.uuid != uuid {
        return Err(OpenError::corrupt(names::CHECKPOINT, "it belongs to another database"));
    }
    Ok(())
}

fn verdict(directory: &Directory, scanned: &Scanned) -> Verdict {
    if directory.created {
        Verdict::Created
    } else if is_clean(directory, scanned) {
        Verdict::Clean
    } else if scanned.torn.bytes > 0 {
        Verdict::TornTail
    } else {
        Verdict::Unclean
    }
}

/// A marker that names an earlier group, or has anything behind it, was put back by somebody: it says nothing.
fn is_clean(directory: &Directory, scanned: &Scanned) -> bool {
    let ends_there = directory.clean.is_some_and(|clean| clean.g == scanned.accepted.g);
    ends_there && scanned.torn.bytes == 0
}

fn torn_tail(scanned: &Scanned) -> Option<TornTail> {
    let Position { segment, end, g, .. } = scanned.accepted;
    (scanned.torn.bytes > 0).then(|| TornTail {
        file: names::segment(segment),
        offset: end,
        bytes: scanned.torn.bytes,
        groups: scanned.torn.groups,
        reason: format!("group {} is not whole, and nothing durable says that it ever was", g + 1),
    })
}

/// The last group of every segment; one that never began counts with the one before it.
pub(super) fn last_groups(
    scanned: &Scanned,
    segments: &BTreeMap<u64, Segment>,
) -> BTreeMap<u64, u64> {
    let mut last = 0;
    segments
        .keys()
        .map(|number| {
            last = scanned.last_g.get(number).copied().unwrap_or(last);
            (*number, last)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::lowest_needed;

    #[test]
    fn the_log_begins_where_the_last_run_of_segments_does_and_not_before_it_is_needed() {
        for (named, trim, expected) in [
            (&[][..], 4, 4),
            (&[1, 2, 3], 1, 1),
            (&[3, 4, 5], 4, 4),
            // What a power cut left of those below.
            (&[2, 4, 5], 4, 4),
            // One is missing that is needed: the scan says so of the one after it.
            (&[2, 3, 5, 6], 2, 5),
            (&[2, 3, 5, 6], 6, 6),
            (&[5, 6], 9, 9),
        ] {
            assert_eq!(lowest_needed(named, trim), expected, "{named:?}, trimmed below {trim}");
        }
    }
}
