//! What a campaign did, so that one that explored nothing does not look like a pass.

use super::super::counts::counts;
use std::fmt;

counts! {
    /// Counts of a [`LogCampaign`](super::LogCampaign).
    #[derive(Copy)]
    pub struct LogSummary {
        /// Logs.
        pub logs: u64,
        /// Disks that came up after a power cut while the log was written.
        pub crashes: u64,
        /// Disks that came up after a power cut during a recovery.
        pub recovery_crashes: u64,
        /// Openings that found a torn tail.
        pub torn_tails: u64,
        /// Openings after segments had been removed.
        pub trimmed: u64,
        /// All openings.
        pub openings: u64,
        /// Disks that were refused, although only the power had been cut.
        pub refusals: u64,
        /// Disks on which something acknowledged was missing.
        pub losses: u64,
        /// Anything else that was wrong.
        pub violations: u64,
    }
}

impl fmt::Display for LogSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { logs, crashes, recovery_crashes, openings, torn_tails, trimmed, .. } = self;
        write!(
            f,
            "{logs} logs, {crashes} crashes, {recovery_crashes} crashes in recovery, {openings} openings, {torn_tails} torn \
             tails, {trimmed} after trimming, {} refusals, {} losses, {} violations",
            self.refusals, self.losses, self.violations,
        )
    }
}
