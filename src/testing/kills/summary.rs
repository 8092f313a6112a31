//! What was done to real processes, so that a run that did nothing does not look like a pass.

use super::super::counts::{count_broken_laws, counts};
use std::fmt;

counts! {
    /// Counts of a [`Campaign`](super::Campaign).
    #[derive(Copy)]
    pub struct Summary {
        /// Directories that were made and worked on.
        pub databases: u64,
        /// Processes killed.
        pub kills: u64,
        /// Those of them that were killed before they said that the database is open.
        pub kills_while_opening: u64,
        /// Answers that came through the pipe.
        pub acknowledgements: u64,
        /// Those of them that say a request was carried out.
        pub commits: u64,
        /// Those of them that refuse.
        pub refused_requests: u64,
        /// Those of them that were given before.
        pub replays: u64,
        /// Requests that were handed in, or about to be, without an answer when the process died.
        pub in_doubt: u64,
        /// Those of them that turned out to be carried out.
        pub in_doubt_carried_out: u64,
        /// Openings, by children and by the parent.
        pub reopenings: u64,
        /// Those of them that found a torn tail.
        pub torn_tails: u64,
        /// Checks of a directory in full.
        pub checks: u64,
        /// Retries by the parent, each compared with the first answer.
        pub retries: u64,
        /// Segments of the log that were begun.
        pub segments: u64,
        /// Segments of the log that were trimmed away.
        pub trimmed: u64,
        /// Checks that found a checkpoint newer than the one before.
        pub checkpoints: u64,
        /// Something acknowledged was missing.
        pub losses: u64,
        /// A directory was refused, although processes had only been killed.
        pub refusals: u64,
        /// Anything else that was wrong.
        pub violations: u64,
    }
}

count_broken_laws!(Summary);

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills ({} while opening) of {} databases, {} acknowledgements ({} commits, {} refused, {} replays), \
             {} in doubt ({} carried out), {} reopenings, {} torn tails, {} checks, {} retries, {} segments begun, {} \
             trimmed, {} checkpoints, {} losses, {} refusals, {} violations",
            self.kills,
            self.kills_while_opening,
            self.databases,
            self.acknowledgements,
            self.commits,
            self.refused_requests,
            self.replays,
            self.in_doubt,
            self.in_doubt_carried_out,
            self.reopenings,
            self.torn_tails,
            self.checks,
            self.retries,
            self.segments,
            self.trimmed,
            self.checkpoints,
            self.losses,
            self.refusals,
            self.violations,
        )
    }
}

counts! {
    /// Counts of a [`Fight`](super::Fight).
    #[derive(Copy)]
    pub struct FightSummary {
        /// Rounds, each of several processes.
        pub rounds: u64,
        /// Times a process got the directory.
        pub winners: u64,
        /// Times a process was told that somebody else has it.
        pub locked: u64,
        /// Processes killed while they had the directory.
        pub kills_inside: u64,
        /// Processes killed while they had not, or not yet.
        pub kills_outside: u64,
        /// Processes that closed the database and left.
        pub closes: u64,
        /// Commits that were acknowledged.
        pub acknowledgements: u64,
        /// Openings right after a kill of the last process, with nobody else there: each succeeded at the first attempt.
        pub freed_at_once: u64,
    }
}

impl fmt::Display for FightSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rounds, {} winners, {} times locked, {} killed inside, {} killed outside, {} closed, {} acknowledgements, \
             {} times freed at once by a kill",
            self.rounds,
            self.winners,
            self.locked,
            self.kills_inside,
            self.kills_outside,
            self.closes,
            self.acknowledgements,
            self.freed_at_once,
        )
    }
}
