//! How long the phases of an opening take.

use super::Machine;
use crate::disk::Clock;

/// Measures phases.
pub(super) struct Watch<'a> {
    clock: &'a dyn Clock,
    since: u64,
}

impl<'a> Watch<'a> {
    pub(super) fn new(machine: &'a Machine) -> Self {
        Self { clock: &*machine.clock, since: machine.clock.monotonic_nanos() }
    }

    /// Microseconds since the last lap.
    pub(super) fn lap(&mut self) -> u64 {
        let now = self.clock.monotonic_nanos();
        now.saturating_sub(std::mem::replace(&mut self.since, now)) / 1000
    }
}
