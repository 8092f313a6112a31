//! Opening a directory: a plan made by reading only, then its application.
//!
//! lock, settle the cache, verify the checkpoint, scan the log and fold it, compare digests: up to here nothing is
//! written (but a new or half-created database, which is made), and any refusal leaves every byte as it was. Then: let the
//! checkpoint write, remove what is no longer needed, begin a segment for this opening so that the verdict is durable itself.

mod directory;
mod error;
#[cfg(feature = "testing")]
pub(crate) mod log_alone;
mod replay;
mod report;
mod settle;
mod start;

pub(crate) use error::OpenError;
pub use report::{Phases, RecoveryReport, TornTail, Verdict};

use crate::{
    base::{Epoch, IdempotencyKey, LogTime, SeqNo, canary::canary, limits::UNSYNCED_ENTRIES},
    checkpoint::{self, Checkpoint, Key, Meta, Reader, Verified},
    disk::{Clock, Disk, Entropy, Lock, remove_if_there},
    format::{VERSION, names},
    log::{
        Position,
        scan::{self, Known, Scanned},
        segments::{self, Segment},
        writer::{Source, Writer},
    },
    state::{digest, fold::Fold},
};
use directory::Directory;
use replay::Replay;
use std::{collections::BTreeMap, io, sync::Arc};

/// How far the clock may be past the last entry: 30 days.
const JUMP_NANOS: u64 = 30 * 24 * 3_600_000_000_000;

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
    pub report: RecoveryReport,
}

/// Opens the directory, or refuses and changes nothing in it.
pub(crate) fn open(machine: &Machine, settings: Settings) -> Result<Recovered, OpenError> {
    let Settings { cache_bytes, segment_bytes, .. } = settings;
    let disk = &*machine.disk;
    let mut watch = Watch::new(machine);
    let (lock, settle_us) = begin(disk, &mut watch)?;
    let directory = directory::identify(disk, &*machine.entropy, cache_bytes)?;
    let (mut plan, checkpoint) = look(machine, directory, &settings, &mut watch)?;
    plan.report.phases.settle_us = settle_us;
    apply(plan, machine, lock, checkpoint, segment_bytes, &mut watch)
}

/// Opens the directory to read it only: the plan, without its application. What redb would write stays in memory. `machine`
/// has a disk of which nothing can be changed.
pub(crate) fn open_read_only(
    machine: &Machine,
    settings: Settings,
) -> Result<Recovered, OpenError> {
    // Time does not pass for what is only read.
    let settings = Settings { accept_clock_jump: true, ..settings };
    let disk = &*machine.disk;
    let mut watch = Watch::new(machine);
    let (lock, settle_us) = begin(disk, &mut watch)?;
    let directory = directory::identify_existing(disk, settings.cache_bytes)?;
    let (mut plan, checkpoint) = look(machine, directory, &settings, &mut watch)?;
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
) -> Result<(Plan, Checkpoint), OpenError> {
    let disk = &*machine.disk;
    let file = directory::open(disk, names::CHECKPOINT)?;
    let mut checkpoint =
        Checkpoint::open_held(file, settings.cache_bytes).map_err(OpenError::checkpoint)?;
    let planned = plan(disk, directory, &mut checkpoint, settings, watch)
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

/// What is to be done with a directory that was found whole.
struct Plan {
    directory: Directory,
    fold: Fold,
    reader: Arc<Reader>,
    scanned: Scanned,
    segments: BTreeMap<u64, Segment>,
    listing: segments::Listing,
    report: RecoveryReport,
}

impl Plan {
    fn last_seq(&self) -> SeqNo {
        self.scanned.last_seq.max(self.fold.applied)
    }

    fn after_crash(&self) -> bool {
        matches!(self.report.verdict, Verdict::Unclean | Verdict::TornTail)
    }

    /// A writer that goes on where the log ends.
    fn writer(&self, machine: &Machine) -> Writer {
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
fn plan(
    disk: &dyn Disk,
    directory: Directory,
    checkpoint: &mut Checkpoint,
    settings: &Settings,
    watch: &mut Watch<'_>,
) -> Result<Plan, OpenError> {
    let uuid = directory.identity.uuid;
    let (reader, fold, verified) = verify(checkpoint, uuid, settings)?;
    let meta = reader.meta().clone();
    let checkpoint_us = watch.lap();

    let listing = list_ours(disk)?;
    let lowest = lowest_needed(&listing.named, meta.trim);
    check_void(&listing, lowest)?;
    let segments = segments::open(disk, uuid, lowest, &listing.named)?;
    let known = Known {
        checkpoint_g: meta.applied_g,
        checkpoint_chain: meta.chain,
        clean: directory.clean,
    };
    let mut replay = Replay { fold, base: &reader, entries: 0, window_entries: 0, digests: 1 };
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
    Ok(Plan { directory, fold, reader, scanned, segments, listing, report })
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
fn list_ours(disk: &dyn Disk) -> Result<segments::Listing, OpenError> {
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
fn lowest_needed(named: &[u64], trim: u64) -> u64 {
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

/// Carries a plan out.
fn apply(
    plan: Plan,
    machine: &Machine,
    lock: Box<dyn Lock>,
    checkpoint: Checkpoint,
    segment_bytes: u64,
    watch: &mut Watch<'_>,
) -> Result<Recovered, OpenError> {
    let disk = &machine.disk;
    let after_crash = plan.after_crash();
    checkpoint.release().map_err(OpenError::checkpoint)?;
    clear(&**disk, &plan.listing, plan.segments.keys().next().copied().unwrap_or(1))
        .map_err(OpenError::io("removing what is no longer needed"))?;

    let gap = if after_crash && !canary!(NumbersReused) { UNSYNCED_ENTRIES } else { 1 };
    let next_seq = SeqNo::new(plan.last_seq().get().saturating_add(gap));
    let mut writer = plan.writer(machine);
    let Plan { directory, fold, reader, segments, mut report, .. } = plan;
    let uuid = directory.identity.uuid;
    if after_crash && !canary!(VerdictNotDurable) {
        let source = Source { disk: disk.clone(), entropy: machine.entropy.clone(), uuid };
        begin_segment(&source, &mut writer, segment_bytes, next_seq)
            .map_err(OpenError::io("beginning a segment"))?;
    }
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
        report,
    })
}

/// Begins a segment for this opening, which makes the verdict on the one before durable.
fn begin_segment(
    source: &Source,
    writer: &mut Writer,
    segment_bytes: u64,
    next_seq: SeqNo,
) -> io::Result<Position> {
    let bytes = segments::FIRST_BYTES.min(segment_bytes);
    let segment = source.prepare(writer.next_segment(), bytes, 0)?;
    writer.begin(segment, next_seq)
}

/// The last group of every segment; one that never began counts with the one before it.
fn last_groups(scanned: &Scanned, segments: &BTreeMap<u64, Segment>) -> BTreeMap<u64, u64> {
    let mut last = 0;
    segments
        .keys()
        .map(|number| {
            last = scanned.last_g.get(number).copied().unwrap_or(last);
            (*number, last)
        })
        .collect()
}

/// Removes spares, unfinished files and segments below the one the checkpoint needs.
fn clear(disk: &dyn Disk, listing: &segments::Listing, trim: u64) -> io::Result<()> {
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

/// Measures phases.
struct Watch<'a> {
    clock: &'a dyn Clock,
    since: u64,
}

impl<'a> Watch<'a> {
    fn new(machine: &'a Machine) -> Self {
        Self { clock: &*machine.clock, since: machine.clock.monotonic_nanos() }
    }

    /// Microseconds since the last lap.
    fn lap(&mut self) -> u64 {
        let now = self.clock.monotonic_nanos();
        now.saturating_sub(std::mem::replace(&mut self.since, now)) / 1000
    }
}

#[cfg(test)]
mod tests;
