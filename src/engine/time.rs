//! The system's clock, as far as the log believes it.

use crate::disk::Clock;

/// The greatest step forwards that is believed.
const STEP_NANOS: u64 = 3_600_000_000_000;

/// Follows the wall clock, but for steps forwards of more than an hour against the monotonic one: a clock that was set
/// wrong would take all that is remembered with it, for ever. Until the wall clock is back, time goes on as the
/// monotonic clock does.
#[derive(Debug)]
pub(super) struct Timekeeper {
    /// The latest wall time that was believed, and the monotonic time then.
    believed: (u64, u64),
}

impl Timekeeper {
    /// Believes the clock as it is.
    pub(super) fn new(clock: &dyn Clock) -> Self {
        Self { believed: (wall(clock), clock.monotonic_nanos()) }
    }

    /// Nanoseconds since the Unix epoch.
    pub(super) fn now(&mut self, clock: &dyn Clock) -> u64 {
        let (wall, monotonic) = (wall(clock), clock.monotonic_nanos());
        let passed = monotonic.saturating_sub(self.believed.1);
        let due = self.believed.0.saturating_add(passed);
        if wall > due.saturating_add(STEP_NANOS) {
            return due;
        }
        // A clock that was set back is followed, and what was believed before is kept: the way forwards again is no step.
        if wall >= due {
            self.believed = (wall, monotonic);
        }
        wall
    }
}

/// The clock is not believed past the year 2262, so that log time never runs out.
fn wall(clock: &dyn Clock) -> u64 {
    clock.wall_nanos().min(i64::MAX as u64)
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::disk::SimClock;
    use std::time::Duration;

    const HOUR: u64 = STEP_NANOS;

    #[test]
    fn a_long_step_forwards_is_not_believed_until_the_clock_is_back() {
        let clock = SimClock::new(10 * HOUR, 0);
        let mut time = Timekeeper::new(&clock);
        clock.set_wall_nanos(11 * HOUR);
        assert_eq!(time.now(&clock), 11 * HOUR, "an hour is believed");
        clock.set_wall_nanos(13 * HOUR);
        assert_eq!(time.now(&clock), 11 * HOUR);
        clock.advance(Duration::from_secs(3600));
        assert_eq!(time.now(&clock), 12 * HOUR, "it goes on as the monotonic clock does");
        clock.set_wall_nanos(12 * HOUR + 7);
        assert_eq!(time.now(&clock), 12 * HOUR + 7);
    }

    #[test]
    fn a_clock_that_is_set_back_and_forth_is_followed() {
        let clock = SimClock::new(100 * HOUR, 0);
        let mut time = Timekeeper::new(&clock);
        clock.set_wall_nanos(10 * HOUR);
        assert_eq!(time.now(&clock), 10 * HOUR);
        clock.set_wall_nanos(100 * HOUR);
        assert_eq!(time.now(&clock), 100 * HOUR);
    }

    #[test]
    fn long_pauses_are_no_steps() {
        let clock = SimClock::new(HOUR, 0);
        let mut time = Timekeeper::new(&clock);
        clock.advance(Duration::from_secs(3600 * 24 * 400));
        assert_eq!(time.now(&clock), HOUR + 24 * 400 * HOUR);
    }
}
