//! Verified replay: every entry of a log is decided once more, on the state before it, and held against what was logged.
//!
//! 1. [`recovery::walk`] verifies the directory as an opening does that only reads, folds the log, and lends every entry before it
//!    is applied
//! 2. [`intent::of`] makes the request again that the entry was made of; the code of a procedure is run again
//! 3. [`admit`](crate::admission::admit) decides on it, with the number and the time of the entry
//! 4. [`compare`] tells in what the decision differs
//!
//! What is applied then are the effects that were logged, so that one difference leads to no others. Where there is none, they are
//! those that were admitted.

mod compare;
mod intent;
mod replay;
mod report;
mod sight;

pub use report::{
    Coverage, Deviation, Divergence, MissingProcedure, Obstacle, Part, ReplayTally, ReplayVerdict,
    Subject, VerifyReport,
};

use super::{builder::reading, error::Error, registry::Registry};
use crate::{
    admission::rules::RuleBook,
    base::{Bytes, Entry, RuleSet, SeqNo, StoredOutcome},
    disk::{Disk, ReadOnlyDisk, SystemClock, SystemEntropy},
    recovery::{self, Machine, Next, OpenError, Settings, Walked},
    state::draft::Change,
};
use replay::{Finding, text};
use sight::Sight;
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// Bytes of the checkpoint that are cached, and of the filter of its keys.
const CACHE_BYTES: usize = 64 << 20;

/// Decides every entry in the log of a closed database, or of a copy of one, once more, and compares: what was asked is taken from
/// the log, and goes through the same checks, on the state before it, with the rules of the registry. Procedures are run again
/// at the version that was called, with the time, ids and random numbers they had. Outcome, result, operations and sums must
/// come out the same, byte for byte, and so must every digest of the state. So it finds a procedure that was changed under its
/// old version, or is not deterministic; a rule that was changed; and whatever else made the log differ from what the code does.
///
/// Where all of the log is there ([`LogRetention::KeepAll`](crate::LogRetention)), it begins with the first entry, and the
/// checkpoint must be what the log leads to; else it begins with the checkpoint ([`VerifyReport::coverage`]).
///
/// It takes the directory's shared lock, and changes no byte of it. It keeps in memory what the log holds that it folds: with all
/// of the log, every record and every outcome that was ever remembered, with some 300 bytes for each. Blocks while it reads
/// the log and the checkpoint; uses one thread.
///
/// What is taken as the log has it: which outcomes were forgotten when, what limits were set on what is remembered, and what the code of
/// an [`update`](crate::Engine::update) did between its reads and its writes, which is not in the log.
///
/// See [`Registry`] for an example.
///
/// # Errors
/// - [`Error::Corruption`]: the log or the checkpoint is damaged, or a digest differs; with the place
/// - [`Error::Locked`]: someone has it open to write
/// - [`Error::NotADatabase`], [`Error::UnsupportedFormat`], [`Error::Io`]: as
///   [`Builder::open_read_only`](crate::Builder::open_read_only)
/// - [`Error::Shape`]: the registry is not well made
pub fn verify(path: impl AsRef<Path>, registry: &Registry) -> Result<VerifyReport, Error> {
    verify_disk(reading(path.as_ref())?, registry)
}

/// [`verify`] on a disk of the caller's.
#[cfg(feature = "testing")]
pub(crate) fn verify_on(disk: impl Disk, registry: &Registry) -> Result<VerifyReport, Error> {
    verify_disk(Arc::new(disk), registry)
}

fn verify_disk(disk: Arc<dyn Disk>, registry: &Registry) -> Result<VerifyReport, Error> {
    registry.check()?;
    let location = disk.location();
    let machine = Machine {
        disk: Arc::new(ReadOnlyDisk(disk)),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy),
    };
    let settings = Settings {
        cache_bytes: CACHE_BYTES,
        segment_bytes: 0,
        filter_bytes: CACHE_BYTES,
        scopes: false,
        accept_clock_jump: true,
        keep_log: true,
    };
    let mut verification = Verification {
        registry,
        rules: registry.rules.set(),
        of_records: registry.rules.without_totals(),
        found: Found::default(),
    };
    let walked = recovery::walk(&machine, settings, &mut |next| verification.look(next));
    let walked = walked.map_err(|error| Error::opening(error, location))?;
    Ok(verification.found.report(walked))
}

struct Verification<'r> {
    registry: &'r Registry,
    /// Its rules, as the log records rules.
    rules: RuleSet,
    /// Those of them that need no totals: what an entry was made under other rules is held against.
    of_records: RuleBook,
    found: Found,
}

/// What was found so far.
#[derive(Default)]
struct Found {
    covered: Option<(SeqNo, SeqNo)>,
    entries: u64,
    requests: u64,
    calls: u64,
    fences: u64,
    modes: u64,
    exact: u64,
    effects_differ: ReplayTally,
    outcome_differs: ReplayTally,
    not_replayable: ReplayTally,
    other_rules: ReplayTally,
    missing: BTreeMap<(Bytes, u32), u64>,
}

impl Verification<'_> {
    fn look(&mut self, next: &Next<'_>) -> Result<Option<Vec<Change>>, OpenError> {
        let sight = Sight::before(next);
        let same_rules = self.has_the_rules_of(next);
        let rules = if same_rules { &self.registry.rules } else { &self.of_records };
        let (finding, changes) = replay::replay(next, &sight, self.registry, rules);
        if let Some(error) = sight.failed() {
            return Err(OpenError::checkpoint(error));
        }
        self.found.note(next.entry, finding, same_rules);
        Ok(changes)
    }

    /// Whether an entry was decided under the rules of the registry, as far as they can be told from others.
    fn has_the_rules_of(&self, next: &Next<'_>) -> bool {
        let in_force = replay::recorded(next.entry).unwrap_or(&next.fold.control.rules);
        *in_force.set == self.rules
    }
}

impl Found {
    fn note(&mut self, entry: &Entry, finding: Finding, same_rules: bool) {
        self.entries += 1;
        let (first, _) = self.covered.unwrap_or((entry.seq, entry.seq));
        self.covered = Some((first, entry.seq));
        *match kind(entry) {
            Kind::Request => &mut self.requests,
            Kind::Call => &mut self.calls,
            Kind::Fence => &mut self.fences,
            Kind::Mode => &mut self.modes,
        } += 1;
        let (tally, deviations, obstacle) = match finding {
            Finding::Exact => {
                self.exact += 1;
                return;
            }
            Finding::Effects(found) if same_rules => (&mut self.effects_differ, found, None),
            Finding::Outcome(found) if same_rules => (&mut self.outcome_differs, found, None),
            Finding::Effects(found) | Finding::Outcome(found) => {
                (&mut self.other_rules, found, None)
            }
            Finding::NotReplayable(obstacle) => {
                if let (Obstacle::MissingVersion { version, .. }, Some(call)) =
                    (&obstacle, &entry.call)
                {
                    *self.missing.entry((call.name.clone(), *version)).or_default() += 1;
                }
                (&mut self.not_replayable, Vec::new(), Some(obstacle))
            }
        };
        tally.note(|| Divergence {
            seq: entry.seq,
            time: entry.time,
            subject: subject(entry),
            deviations,
            obstacle,
        });
    }

    fn report(self, walked: Walked) -> VerifyReport {
        let verdict = if self.effects_differ.count + self.outcome_differs.count > 0 {
            ReplayVerdict::Differs
        } else if self.exact < self.entries {
            ReplayVerdict::Incomplete
        } else {
            ReplayVerdict::Exact
        };
        let missing = self.missing.into_iter().map(|((name, version), entries)| MissingProcedure {
            name: text(&name),
            version,
            entries,
        });
        let Walked { report: recovery, from_first, left_over } = walked;
        VerifyReport {
            verdict,
            recovery,
            coverage: if from_first { Coverage::Whole } else { Coverage::SinceCheckpoint },
            covered: self.covered,
            segments_not_read: left_over,
            entries: self.entries,
            requests: self.requests,
            calls: self.calls,
            fences: self.fences,
            modes: self.modes,
            exact: self.exact,
            effects_differ: self.effects_differ,
            outcome_differs: self.outcome_differs,
            not_replayable: self.not_replayable,
            other_rules: self.other_rules,
            missing: missing.collect(),
        }
    }
}

enum Kind {
    Request,
    Call,
    Fence,
    Mode,
}

fn kind(entry: &Entry) -> Kind {
    if entry.call.is_some() {
        Kind::Call
    } else if intent::mode(entry).is_some() {
        Kind::Mode
    } else if entry.outcome == StoredOutcome::Fenced {
        Kind::Fence
    } else {
        Kind::Request
    }
}

fn subject(entry: &Entry) -> Subject {
    match (kind(entry), &entry.call) {
        (Kind::Call, Some(call)) => Subject::Call { name: text(&call.name), version: call.version },
        (Kind::Mode, _) => Subject::Mode,
        (Kind::Fence, _) => Subject::Fence,
        (Kind::Request | Kind::Call, _) => Subject::Request,
    }
}
