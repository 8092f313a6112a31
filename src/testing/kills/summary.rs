//! What was done to real processes, so that a run that did nothing does not look like a pass.

use serde::Serialize;
use std::{fmt, ops::AddAssign};

/// Counts of a [`Campaign`](super::Campaign).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
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

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.databases += other.databases;
        self.kills += other.kills;
        self.kills_while_opening += other.kills_while_opening;
        self.acknowledgements += other.acknowledgements;
        self.commits += other.commits;
        self.refused_requests += other.refused_requests;
        self.replays += other.replays;
        self.in_doubt += other.in_doubt;
        self.in_doubt_carried_out += other.in_doubt_carried_out;
        self.reopenings += other.reopenings;
        self.torn_tails += other.torn_tails;
        self.checks += other.checks;
        self.retries += other.retries;
        self.segments += other.segments;
        self.trimmed += other.trimmed;
        self.checkpoints += other.checkpoints;
        self.losses += other.losses;
        self.refusals += other.refusals;
        self.violations += other.violations;
    }
}

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

/// Counts of a [`Fight`](super::Fight).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
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

impl AddAssign for FightSummary {
    fn add_assign(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.winners += other.winners;
        self.locked += other.locked;
        self.kills_inside += other.kills_inside;
        self.kills_outside += other.kills_outside;
        self.closes += other.closes;
        self.acknowledgements += other.acknowledgements;
        self.freed_at_once += other.freed_at_once;
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
