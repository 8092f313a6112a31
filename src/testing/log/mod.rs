//! The log alone under power cuts: the engine's own writer, scan and repair, with no checkpoint around them, at thousands of
//! crashes a second.
//!
//! A seed stands for twenty operations: groups of all sizes, new segments, clean ends and others, and trimming. They are
//! cut off again and again at random I/Os, the disk comes up damaged in random ways, and then
//!
//! 1. the log opens: what a power cut leaves is never refused;
//! 2. it holds every group that was acknowledged, as it was written, without a gap, and at most those that were attempted;
//! 3. a second opening, after a cut at a random I/O of the first, finds the same groups;
//! 4. the log goes on, and what is appended then is there after the next power cut.

mod check;
mod session;
mod summary;

pub use summary::LogSummary;

use super::luck::Luck;
use crate::disk::{Choice, Lie};
use session::play;
use std::{
    fmt,
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// Ways in which the disk comes up after each cut.
const CHOICES: u64 = 8;

/// Crashes of many random logs.
#[derive(Clone, Debug)]
pub struct LogCampaign {
    /// The logs, by number.
    pub seeds: Range<u64>,
    /// Points at which each is cut off.
    pub cuts: u64,
    /// What the disk only says it does: to see that it is found out.
    pub lie: Option<Lie>,
    /// How many threads share the work.
    pub threads: usize,
}

/// One crash of one log; [`run`](Self::run) sees it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogCase {
    /// The number of the log.
    pub seed: u64,
    /// What the disk only said it did.
    pub lie: Option<Lie>,
    /// The changing call right before which the power was cut.
    pub crash_at: u64,
    /// What of the pending writes reached the disk.
    pub choice: Choice,
    /// The same for the recovery after it.
    pub again: Option<(u64, Choice)>,
}

/// A crash after which something was wrong.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LogFailure {
    /// The crash.
    pub case: LogCase,
    /// What was wrong, in words.
    pub what: String,
}

impl LogCampaign {
    /// Runs all of it; of what fails the first case of each log.
    #[must_use]
    pub fn run(&self) -> (LogSummary, Vec<LogFailure>) {
        let next = AtomicU64::new(self.seeds.start);
        let done = Mutex::new((LogSummary::default(), Vec::new()));
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| {
                    let mut summary = LogSummary::default();
                    let mut failures = Vec::new();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if !self.seeds.contains(&seed) {
                            break;
                        }
                        failures.extend(self.one(seed, &mut summary).err());
                    }
                    let mut done = done.lock().expect("held only here");
                    done.0 += summary;
                    done.1.extend(failures);
                });
            }
        });
        done.into_inner().expect("every thread ended")
    }

    fn one(&self, seed: u64, summary: &mut LogSummary) -> Result<(), LogFailure> {
        summary.logs += 1;
        let mut case =
            LogCase { seed, lie: self.lie, crash_at: u64::MAX, choice: Choice::None, again: None };
        let whole = play(&case).map_err(|problem| problem.told(&case, summary))?;
        let total = whole.calls;
        let luck = Luck::new(!seed);
        for _ in 0..self.cuts {
            case.crash_at = 1 + luck.below(total + 1);
            let played = play(&case).map_err(|problem| problem.told(&case, summary))?;
            for n in 0..CHOICES {
                (case.choice, case.again) = (choice(&luck, n), None);
                let calls =
                    played.check(&case, summary).map_err(|problem| problem.told(&case, summary))?;
                case.again = Some((1 + luck.below(calls + 1), choice(&luck, luck.below(CHOICES))));
                played.check(&case, summary).map_err(|problem| problem.told(&case, summary))?;
            }
        }
        Ok(())
    }
}

impl LogCase {
    /// Runs the case again.
    ///
    /// # Errors
    /// The [`LogFailure`], if it still fails.
    pub fn run(&self) -> Result<(), LogFailure> {
        let mut summary = LogSummary::default();
        let checked = play(self).and_then(|played| played.check(self, &mut summary).map(drop));
        checked.map_err(|problem| problem.told(self, &mut summary))
    }
}

/// The n-th way in which a disk comes up: without anything pending, with all of it, or damaged in some way.
fn choice(luck: &Luck, n: u64) -> Choice {
    match n {
        0 => Choice::None,
        1 => Choice::All,
        _ => Choice::Seeded(luck.below(u64::MAX)),
    }
}

impl fmt::Display for LogFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {:?}", self.what, self.case)
    }
}

impl std::error::Error for LogFailure {}
