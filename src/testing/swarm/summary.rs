//! What a simulation did, so that one that explored nothing does not look like a pass.

use super::super::counts::{count_broken_laws, counts};
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
        /// Of those, the ones that found a torn tail.
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

impl Summary {
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
            "{} seeds, {} operations, {} answers and {} reads checked",
            self.seeds, self.operations, self.answers, self.reads
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
        write!(
            f,
            "  {} refusals, {} losses, {} violations",
            self.refusals, self.losses, self.violations
        )
    }
}
