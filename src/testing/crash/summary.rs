//! What a campaign did, so that one that explored nothing does not look like a pass.

use super::super::laws::Kind;
use serde::Serialize;
use std::{fmt, ops::AddAssign};

/// Counts of a campaign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Sequences of steps.
    pub sequences: u64,
    /// Points at which the power was cut.
    pub crashes: u64,
    /// Ways in which a disk came up after that.
    pub subsets: u64,
    /// Different disks among those, per sequence: each was recovered and checked in full.
    pub images: u64,
    /// Points at which the power was cut during a recovery.
    pub recovery_crashes: u64,
    /// Ways in which a disk came up after that.
    pub recovery_subsets: u64,
    /// Openings that found a torn tail.
    pub torn_tails: u64,
    /// All openings of a disk.
    pub openings: u64,
    /// Disks that were refused, although only the power had been cut.
    pub refusals: u64,
    /// Disks on which something acknowledged was missing.
    pub losses: u64,
    /// Anything else that was wrong.
    pub violations: u64,
}

impl Summary {
    pub(super) fn count(&mut self, kind: Kind) {
        match kind {
            Kind::Refusal => self.refusals += 1,
            Kind::Loss => self.losses += 1,
            Kind::Violation => self.violations += 1,
        }
    }
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.sequences += other.sequences;
        self.crashes += other.crashes;
        self.subsets += other.subsets;
        self.images += other.images;
        self.recovery_crashes += other.recovery_crashes;
        self.recovery_subsets += other.recovery_subsets;
        self.torn_tails += other.torn_tails;
        self.openings += other.openings;
        self.refusals += other.refusals;
        self.losses += other.losses;
        self.violations += other.violations;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sequences, {} crashes, {} subsets ({} images), {} recovery crashes, {} subsets of those, {} openings, \
             {} torn tails, {} refusals, {} losses, {} violations",
            self.sequences,
            self.crashes,
            self.subsets,
            self.images,
            self.recovery_crashes,
            self.recovery_subsets,
            self.openings,
            self.torn_tails,
            self.refusals,
            self.losses,
            self.violations,
        )
    }
}
