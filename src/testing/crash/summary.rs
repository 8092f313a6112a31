//! What a campaign did, so that one that explored nothing does not look like a pass.

use super::super::counts::{count_broken_laws, counts};
use std::fmt;

counts! {
    /// Counts of a campaign.
    #[derive(Copy)]
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
        /// Disks that were verified.
        pub verified: u64,
        /// Entries that came out the same on them.
        pub replayed: u64,
        /// Disks that were refused, although only the power had been cut.
        pub refusals: u64,
        /// Disks on which something acknowledged was missing.
        pub losses: u64,
        /// Anything else that was wrong.
        pub violations: u64,
    }
}

count_broken_laws!(Summary);

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sequences, {} crashes, {} subsets ({} images), {} recovery crashes, {} subsets of those, {} openings, \
             {} torn tails, {} entries replayed on {} disks, {} refusals, {} losses, {} violations",
            self.sequences,
            self.crashes,
            self.subsets,
            self.images,
            self.recovery_crashes,
            self.recovery_subsets,
            self.openings,
            self.torn_tails,
            self.replayed,
            self.verified,
            self.refusals,
            self.losses,
            self.violations,
        )
    }
}
