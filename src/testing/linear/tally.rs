//! What a campaign of histories saw, so that one that saw nothing does not look like a pass.

use super::{
    super::{counts::counts, model::Decision},
    history::{Answer, Asked, History},
};
use std::fmt;

counts! {
    /// Counts over histories.
    #[derive(Copy)]
    pub struct Tally {
        /// Histories that were checked.
        pub histories: u64,
        /// Calls in them.
        pub calls: u64,
        /// Calls that were made while another was under way.
        pub overlapping: u64,
        /// Orders that were carried out.
        pub committed: u64,
        /// Answers that told of an earlier delivery.
        pub replayed: u64,
        /// Stale versions that were refused.
        pub conflicts: u64,
        /// Other refusals.
        pub refused: u64,
        /// Reads that found what they asked for, or that there was nothing.
        pub reads: u64,
        /// Calls that nobody was told the outcome of.
        pub unknown: u64,
        /// Calls that failed, with the promise that nothing was done.
        pub nothing: u64,
        /// Crashes in the middle of a history.
        pub crashes: u64,
        /// Steps of the search for an order.
        pub steps: u64,
    }
}

impl Tally {
    /// Counts a history that took so many steps to explain.
    pub fn count(&mut self, history: &History, steps: usize) {
        self.histories += 1;
        self.crashes += history.ends.len() as u64;
        self.steps += steps as u64;
        self.overlapping += overlapping(history);
        for call in &history.calls {
            self.calls += 1;
            *match (&call.asked, &call.answer) {
                (_, Answer::Committed { replayed: false, .. }) => &mut self.committed,
                (_, Answer::Committed { replayed: true, .. }) => &mut self.replayed,
                (_, Answer::Refused(Decision::Conflict(_))) => &mut self.conflicts,
                (_, Answer::Refused(_)) => &mut self.refused,
                (_, Answer::Unknown(_)) => &mut self.unknown,
                (Asked::Read(_), Answer::Found { .. }) => &mut self.reads,
                _ => &mut self.nothing,
            } += 1;
        }
    }
}

fn overlapping(history: &History) -> u64 {
    let mut calls: Vec<_> =
        history.calls.iter().map(|call| (call.invoked, call.returned)).collect();
    calls.sort_unstable();
    let mut end = None;
    let mut found = 0;
    for (invoked, returned) in calls {
        found += u64::from(end.is_some_and(|end| invoked < end));
        end = end.max(Some(returned));
    }
    found
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} histories, {} calls ({} overlapping): {} committed, {} replayed, {} conflicts, {} other refusals, \
             {} reads, {} unknown, {} without effect; {} crashes, {} steps of search",
            self.histories,
            self.calls,
            self.overlapping,
            self.committed,
            self.replayed,
            self.conflicts,
            self.refused,
            self.reads,
            self.unknown,
            self.nothing,
            self.crashes,
            self.steps,
        )
    }
}
