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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    /// A clock that says what it is told.
    #[derive(Debug)]
    struct Told(AtomicU64);

    impl Clock for Told {
        fn wall_nanos(&self) -> u64 {
            unreachable!("phases are measured by the other time")
        }

        fn monotonic_nanos(&self) -> u64 {
            self.0.load(Relaxed)
        }
    }

    #[test]
    fn a_phase_takes_whole_microseconds() {
        let clock = Told(AtomicU64::new(7_000));
        let mut watch = Watch { clock: &clock, since: 5_000 };
        assert_eq!(watch.lap(), 2);
        clock.0.store(1_241_999, Relaxed);
        assert_eq!(watch.lap(), 1_234);
        assert_eq!(watch.lap(), 0);
    }
}
