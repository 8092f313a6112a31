//! A run as data: what is asked, what goes wrong, when. Printed, it is Rust.

use super::event::Event;
use crate::disk::Lie;
use std::fmt;

/// Events, one after the other, on one machine. Nothing in it depends on what the engine answers, so that any event can be
/// left out, and the same plan always does the same.
#[derive(Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where the machine's random numbers come from.
    pub seed: u64,
    /// What the disk only says it does, until the first power cut.
    pub lie: Option<Lie>,
    /// See [`Builder::log_limit_bytes`](crate::Builder::log_limit_bytes).
    pub log_limit_bytes: u64,
    /// See [`Builder::memtable_limit_bytes`](crate::Builder::memtable_limit_bytes).
    pub memtable_limit_bytes: usize,
    /// How much time passes with every look at the clock: how slow the machine is.
    pub clock_step_nanos: u64,
    /// For how many seconds outcomes are remembered whole, and at all; see
    /// [`Builder::remember_outcomes_for`](crate::Builder::remember_outcomes_for). For ever where nothing is said.
    pub remember: Option<(u32, u32)>,
    /// See [`Builder::allow_buffered_keys`](crate::Builder::allow_buffered_keys).
    pub buffered_keys: bool,
    /// See [`Builder::queue_limit_requests`](crate::Builder::queue_limit_requests).
    pub queue_limit_requests: usize,
    /// Whether the log is kept; see [`Builder::log_retention`](crate::Builder::log_retention).
    pub keep_log: bool,
    /// What happens.
    pub events: Vec<Event>,
}

/// As Rust: an expression that makes the plan, with the names of [`Plan::USE`] in scope.
impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, lie, log_limit_bytes, memtable_limit_bytes, clock_step_nanos, .. } = self;
        let Self { remember, buffered_keys, queue_limit_requests, keep_log, events, .. } = self;
        let lie = lie.map_or("None".to_owned(), |lie| format!("Some(Lie::{lie:?})"));
        writeln!(f, "Plan {{")?;
        writeln!(f, "    seed: {seed},")?;
        writeln!(f, "    lie: {lie},")?;
        writeln!(f, "    log_limit_bytes: {log_limit_bytes},")?;
        writeln!(f, "    memtable_limit_bytes: {memtable_limit_bytes},")?;
        writeln!(f, "    clock_step_nanos: {clock_step_nanos},")?;
        writeln!(f, "    remember: {remember:?},")?;
        writeln!(f, "    buffered_keys: {buffered_keys},")?;
        writeln!(f, "    queue_limit_requests: {queue_limit_requests},")?;
        writeln!(f, "    keep_log: {keep_log},")?;
        writeln!(f, "    events: vec![")?;
        for event in events {
            writeln!(f, "        {event:?},")?;
        }
        writeln!(f, "    ],")?;
        write!(f, "}}")
    }
}

impl Plan {
    /// The names that a printed plan needs.
    pub const USE: &str = "#[allow(unused_imports)]
use steadfast::testing::{Lie, swarm::{Ask::*, Event::*, Hurdle::*, Plan, Rot::*, Stop::*, Trouble::*, Whose::*}};";

    /// The plan with nothing in it.
    #[must_use]
    pub const fn empty(seed: u64) -> Self {
        Self {
            seed,
            lie: None,
            log_limit_bytes: 1 << 20,
            memtable_limit_bytes: 1 << 20,
            clock_step_nanos: 1_000,
            remember: None,
            buffered_keys: false,
            queue_limit_requests: 16 << 10,
            keep_log: false,
            events: Vec::new(),
        }
    }

    /// The same with other events.
    #[must_use]
    pub fn with(&self, events: Vec<Event>) -> Self {
        Self { events, ..self.clone() }
    }
}
