//! What a simulation did, so that one that explored nothing does not look like a pass.

use super::super::{
    counts::{count_broken_laws, counts},
    model::Answer,
};
use crate::{Error, KeyStatus, Outcome};
use std::{collections::BTreeMap, fmt};

counts! {
    /// Counts of simulations.
    pub struct Summary {
        /// Plans that were run.
        pub seeds: u64,
        /// Requests handed in, retries included.
        pub operations: u64,
        /// Answers that were held against the model.
        pub answers: u64,
        /// Answers that say something else than what came of a request just now, by kind.
        pub kinds: BTreeMap<&'static str, u64>,
        /// Keys of which it was asked after an opening what they stand for.
        pub statuses: u64,
        /// Requests that were turned away because they would have had to wait.
        pub turned_away: u64,
        /// Reads that were held against the model: records, ranges, snapshots.
        pub reads: u64,
        /// Times the machine stopped, kills included.
        pub crashes: u64,
        /// Of those, in the middle of a call that was made for a request or a checkpoint.
        pub crashes_in_calls: u64,
        /// Times the machine stopped during a recovery.
        pub recovery_crashes: u64,
        /// Times only the process stopped, during a recovery or not.
        pub kills: u64,
        /// Openings that succeeded.
        pub openings: u64,
        /// Directories that were verified.
        pub verified: u64,
        /// Entries that came out the same in them.
        pub replayed: u64,
        /// Of the openings, the ones that found a torn tail.
        pub torn_tails: u64,
        /// Openings that failed while the disk did.
        pub failed_openings: u64,
        /// Entries whose callers got `Indeterminate`.
        pub in_doubt: u64,
        /// Entries whose callers got `Indeterminate`, or nothing, and which turned out to be there.
        pub found_carried_out: u64,
        /// Faults that struck, by kind.
        pub faults: BTreeMap<&'static str, u64>,
        /// Syncs that failed, lost what they should have made durable, and succeeded the next time.
        pub failed_syncs: u64,
        /// Copies of closed databases that were damaged.
        pub damages: u64,
        /// Of those, the ones that were refused; the others were whole all the same.
        pub damages_told: u64,
        /// Times all faults ended and more operations succeeded.
        pub healings: u64,
        /// Events, by kind.
        pub events: BTreeMap<&'static str, u64>,
        /// Disks that were refused without a reason.
        pub refusals: u64,
        /// Disks on which something acknowledged was missing.
        pub losses: u64,
        /// Anything else that was wrong.
        pub violations: u64,
    }
}

count_broken_laws!(Summary);

/// The kinds of answers there are; see [`Summary::kinds`].
pub const KINDS: [&str; 16] = [
    "replayed",
    "carried out again",
    "buffered",
    "buffered and refused",
    "key reused",
    "decided",
    "fenced",
    "key expired",
    "key ahead",
    "late",
    "read-only",
    "stands for a result",
    "stands for a refusal",
    "stands for a stub",
    "stands for a fence",
    "stands for nothing",
];

impl Summary {
    fn note(&mut self, kind: &'static str) {
        *self.kinds.entry(kind).or_default() += 1;
    }

    pub(super) fn note_answer(&mut self, buffered: bool, answer: &Answer) {
        match answer {
            Answer::Status(status) => self.note_status(status),
            Answer::Outcome(Outcome::Committed(receipt)) if receipt.replayed => {
                self.note("replayed");
            }
            Answer::Outcome(Outcome::Committed(_)) if buffered => self.note("buffered"),
            Answer::Outcome(Outcome::Rejected(_)) if buffered => self.note("buffered and refused"),
            Answer::Outcome(_) | Answer::Entry(_) => {}
        }
    }

    /// A key was as good as new after all about it was forgotten.
    pub(super) fn note_again(&mut self) {
        self.note("carried out again");
    }

    pub(super) fn note_error(&mut self, error: &Error) {
        match error {
            Error::KeyReused { .. } => self.note("key reused"),
            Error::AlreadyDecided { .. } => self.note("decided"),
            Error::Fenced { .. } => self.note("fenced"),
            Error::KeyExpired { .. } => self.note("key expired"),
            Error::KeyAhead { .. } => self.note("key ahead"),
            Error::DeadlineExceeded => self.note("late"),
            Error::ReadOnly { .. } => self.note("read-only"),
            _ => {}
        }
    }

    pub(super) fn note_status(&mut self, status: &KeyStatus) {
        self.note(match status {
            KeyStatus::Committed(_) => "stands for a result",
            KeyStatus::Rejected { .. } => "stands for a refusal",
            KeyStatus::Stub { .. } => "stands for a stub",
            KeyStatus::Fenced { .. } => "stands for a fence",
            KeyStatus::NotRemembered { .. } => "stands for nothing",
        });
    }

    /// All crashes, those during recoveries included.
    #[must_use]
    pub const fn all_crashes(&self) -> u64 {
        self.crashes + self.recovery_crashes
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} seeds, {} operations, {} answers and {} reads checked, {} entries replayed in {} directories",
            self.seeds, self.operations, self.answers, self.reads, self.replayed, self.verified
        )?;
        writeln!(
            f,
            "  {} crashes ({} within a call), {} recovery crashes, {} kills among them, {} openings, {} torn tails, \
             {} failed openings",
            self.crashes,
            self.crashes_in_calls,
            self.recovery_crashes,
            self.kills,
            self.openings,
            self.torn_tails,
            self.failed_openings
        )?;
        writeln!(
            f,
            "  {} in doubt, {} found carried out, {} failed syncs, {} healings, {} of {} damages told, \
             faults {:?}",
            self.in_doubt,
            self.found_carried_out,
            self.failed_syncs,
            self.healings,
            self.damages_told,
            self.damages,
            self.faults
        )?;
        writeln!(
            f,
            "  {} statuses after openings, {} turned away, answers {:?}",
            self.statuses, self.turned_away, self.kinds
        )?;
        write!(
            f,
            "  {} refusals, {} losses, {} violations",
            self.refusals, self.losses, self.violations
        )
    }
}
