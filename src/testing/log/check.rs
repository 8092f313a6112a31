//! What must be true of a log after a power cut.

use super::{
    LogCase, LogFailure, LogSummary,
    session::{Played, Session, open},
};
use crate::{
    disk::{Choice, SimDisk},
    recovery::{OpenError, log_alone::LogAlone},
};

/// Something that must not happen.
pub(super) enum Problem {
    Refusal(OpenError),
    Loss(String),
    Violation(String),
}

impl Problem {
    pub(super) fn told(self, case: &LogCase, summary: &mut LogSummary) -> LogFailure {
        let (count, what) = match self {
            Self::Refusal(error) => (&mut summary.refusals, format!("refused: {error:?}")),
            Self::Loss(what) => (&mut summary.losses, what),
            Self::Violation(what) => (&mut summary.violations, what),
        };
        *count += 1;
        LogFailure { case: case.clone(), what }
    }
}

impl Played {
    /// Checks one way in which the disk comes up; how many changing calls its recovery takes.
    pub(super) fn check(&self, case: &LogCase, summary: &mut LogSummary) -> Result<u64, Problem> {
        let disk = self.disk.after_power_cut(&case.choice);
        let Some((call, choice)) = &case.again else {
            summary.crashes += 1;
            let log = self.opened(&disk, 100, summary)?;
            let calls = disk.io_count();
            self.go_on(&disk, log, summary)?;
            return Ok(calls);
        };
        summary.recovery_crashes += 1;
        let whole = self.opened(&disk.snapshot(), 100, summary)?;
        disk.crash_at(*call);
        match open(self, &disk, 100) {
            Ok(_) => {}
            Err(Problem::Refusal(OpenError::Io { .. })) if disk.powered_off() => {}
            Err(problem) => return Err(problem),
        }
        let again = self.opened(&disk.after_power_cut(choice), 101, summary)?;
        let (first, second) = (whole.scanned.last_seq, again.scanned.last_seq);
        // The gap of a segment that the first recovery began is a number, too.
        if first != second && again.scanned.accepted.g <= whole.scanned.accepted.g {
            return Err(Problem::Violation(format!(
                "one recovery ends at {first}, the next at {second}"
            )));
        }
        if again.scanned.accepted.g < whole.scanned.accepted.g {
            return Err(Problem::Loss(format!(
                "one recovery ends at {first}, the next at {second}"
            )));
        }
        Ok(0)
    }

    fn opened(
        &self,
        disk: &SimDisk,
        opening: u64,
        summary: &mut LogSummary,
    ) -> Result<LogAlone, Problem> {
        let log = open(self, disk, opening)?;
        summary.openings += 1;
        summary.torn_tails += u64::from(log.scanned.torn.bytes > 0);
        summary.trimmed += u64::from(self.settled.trim > 1);
        Ok(log)
    }

    /// Appends a group, which must be there after a power cut.
    fn go_on(
        &self,
        disk: &SimDisk,
        log: LogAlone,
        summary: &mut LogSummary,
    ) -> Result<(), Problem> {
        let Self { attempted, acknowledged, settled, .. } = self;
        let mut attempted = attempted.clone();
        attempted.retain(|g, _| *g <= log.scanned.accepted.g);
        let played = Self {
            disk: disk.clone(),
            calls: 0,
            attempted,
            acknowledged: *acknowledged,
            settled: *settled,
        };
        let mut session = Session { played, log, openings: 100 };
        session.append(100)?;
        let disk = disk.after_power_cut(&Choice::None);
        session.played.opened(&disk, 102, summary).map(drop)
    }
}
