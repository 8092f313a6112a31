//! The system's clock, as far as the log believes it.

use super::{Engine, core::Core, error::Error, reentrancy};
use crate::{base::LogTime, disk::Clock, recovery::JUMP_NANOS};
use serde::{Deserialize, Serialize};

/// The greatest step forwards that is believed.
const STEP_NANOS: u64 = 3_600_000_000_000;

/// Follows the wall clock, but for steps forwards of more than an hour against the monotonic one: a clock that was set
/// wrong would take all that is remembered with it, for ever. Until the wall clock is back, time goes on as the
/// monotonic clock does.
///
/// A clock that is behind the last entry at the opening is wrong, or was before. When it is set right it makes a step of any
/// length, so that is measured from the last entry, as an opening then would: up to 30 days past it. From then on the clock has
/// shown that it knows the time, and is held to the hour.
///
/// What is not believed is not believed by waiting for longer either, for a wrong clock goes as evenly as a right one. Somebody
/// has to say so: [`Engine::accept_clock_jump`], or the next opening, which measures from the last entry.
#[derive(Debug)]
pub(super) struct Timekeeper {
    /// The latest wall time that was believed, and the monotonic time then.
    believed: (u64, u64),
    /// While the clock has not been at the time of the last entry yet: that time.
    behind: Option<u64>,
}

/// How the clock of the log and that of the system stand to each other; from [`Engine::clock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClockStatus {
    /// The time of the last entry.
    pub last: LogTime,
    /// The time that an entry gets now.
    pub now: LogTime,
    /// What the system's clock says.
    pub system: LogTime,
    /// Whether that is believed. If not, it was set forwards by more than an hour since the opening: if it is right now, see
    /// [`Engine::accept_clock_jump`]; if it is wrong, set it.
    pub believed: bool,
}

impl Engine {
    /// How log time stands to the system's clock. Does no I/O.
    ///
    /// ```
    /// let engine = steadfast::Engine::in_memory()?;
    /// let clock = engine.clock();
    /// assert!(clock.believed && clock.now > clock.last);
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    #[must_use]
    pub fn clock(&self) -> ClockStatus {
        reentrancy::assert_outside("clock");
        self.core().clock_status()
    }

    /// Believes the system's clock as it is now, however far ahead it is: for one that was wrong when the database was opened, and
    /// is right now. Without it log time stays behind by as much until the next opening, and keys that say when they were
    /// made get [`Error::KeyAhead`]. If the clock is wrong, this makes outcomes be forgotten early, and cannot be undone.
    /// [`clock`](Self::clock) says whether there is anything to accept. Writes nothing.
    ///
    /// ```
    /// let engine = steadfast::Engine::in_memory()?;
    /// if !engine.clock().believed {
    ///     engine.accept_clock_jump()?;
    /// }
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`]; [`Error::Reentrant`] from inside a closure given to [`update`](Self::update); [`Error::Forked`].
    pub fn accept_clock_jump(&self) -> Result<(), Error> {
        self.check_open()?;
        self.enter("accept_clock_jump")?;
        let core = self.core();
        core.sequencer.lock().time.accept(&*core.machine.clock);
        Ok(())
    }
}

impl Core {
    fn clock_status(&self) -> ClockStatus {
        let mut sequencer = self.sequencer.lock();
        let now = self.log_time(&mut sequencer);
        let believed = sequencer.time.believes(&*self.machine.clock);
        let (last, system) = (sequencer.fold.time, LogTime::new(wall(&*self.machine.clock)));
        ClockStatus { last, now, system, believed }
    }
}

impl Timekeeper {
    /// Believes the clock as it is. The last entry was made at `last`.
    pub(super) fn new(clock: &dyn Clock, last: LogTime) -> Self {
        let (wall, monotonic) = (wall(clock), clock.monotonic_nanos());
        let behind = (wall < last.get()).then_some(last.get());
        Self { believed: (behind.unwrap_or(wall), monotonic), behind }
    }

    /// A number that differs from opening to opening.
    pub(super) const fn seed(&self) -> u64 {
        self.believed.0
    }

    /// Believes the clock as it is, whatever it was.
    pub(super) fn accept(&mut self, clock: &dyn Clock) {
        *self = Self::new(clock, LogTime::default());
    }

    /// Nanoseconds since the Unix epoch. The newest entry was made at `last`; before the first, nothing is remembered yet that
    /// a wrong clock could take with it.
    pub(super) fn now(&mut self, clock: &dyn Clock, last: LogTime) -> u64 {
        let (wall, monotonic) = (wall(clock), clock.monotonic_nanos());
        if last.get() == 0 {
            self.believed = (wall, monotonic);
            return wall;
        }
        let due = self.due(monotonic);
        if wall > self.latest(due) {
            return due;
        }
        if self.behind.is_some_and(|last| wall >= last) {
            self.behind = None;
        }
        // A clock that was set back is followed, and what was believed before is kept: the way forwards again is no step.
        if wall >= due {
            self.believed = (wall, monotonic);
        }
        wall
    }

    fn believes(&self, clock: &dyn Clock) -> bool {
        let due = self.due(clock.monotonic_nanos());
        wall(clock) <= self.latest(due)
    }

    /// What it is by the monotonic clock.
    fn due(&self, monotonic: u64) -> u64 {
        self.believed.0.saturating_add(monotonic.saturating_sub(self.believed.1))
    }

    /// The latest time that is believed when it is `due` by the monotonic clock.
    fn latest(&self, due: u64) -> u64 {
        due.saturating_add(if self.behind.is_some() { JUMP_NANOS } else { STEP_NANOS })
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
    const NONE: LogTime = LogTime::new(0);
    const LAST: LogTime = LogTime::new(1);

    #[test]
    fn a_long_step_forwards_is_not_believed_until_the_clock_is_back() {
        let clock = SimClock::new(10 * HOUR, 0);
        let mut time = Timekeeper::new(&clock, NONE);
        clock.set_wall_nanos(11 * HOUR);
        assert_eq!(time.now(&clock, LAST), 11 * HOUR, "an hour is believed");
        clock.set_wall_nanos(13 * HOUR);
        assert_eq!(time.now(&clock, LAST), 11 * HOUR);
        assert!(!time.believes(&clock));
        clock.advance(Duration::from_secs(3600));
        assert_eq!(time.now(&clock, LAST), 12 * HOUR, "it goes on as the monotonic clock does");
        clock.set_wall_nanos(12 * HOUR + 7);
        assert_eq!(time.now(&clock, LAST), 12 * HOUR + 7);
        assert!(time.believes(&clock));
    }

    #[test]
    fn a_clock_that_is_set_back_and_forth_is_followed() {
        let clock = SimClock::new(100 * HOUR, 0);
        let mut time = Timekeeper::new(&clock, NONE);
        clock.set_wall_nanos(10 * HOUR);
        assert_eq!(time.now(&clock, LAST), 10 * HOUR);
        clock.set_wall_nanos(100 * HOUR);
        assert_eq!(time.now(&clock, LAST), 100 * HOUR);
    }

    #[test]
    fn long_pauses_are_no_steps() {
        let clock = SimClock::new(HOUR, 0);
        let mut time = Timekeeper::new(&clock, NONE);
        clock.advance(Duration::from_secs(3600 * 24 * 400));
        assert_eq!(time.now(&clock, LAST), HOUR + 24 * 400 * HOUR);
    }

    #[test]
    fn a_clock_behind_the_last_entry_may_be_set_right_once_as_far_as_an_opening_would_believe_it() {
        let last = LogTime::new(1_000 * HOUR);
        let opened = |wall| {
            let clock = SimClock::new(wall, 0);
            let time = Timekeeper::new(&clock, last);
            (clock, time)
        };
        for (right, believed) in
            [(999 * HOUR, true), (1_000 * HOUR, true), (1_720 * HOUR, true), (1_721 * HOUR, false)]
        {
            let (clock, mut time) = opened(HOUR);
            assert_eq!(time.now(&clock, LAST), HOUR);
            clock.set_wall_nanos(right);
            assert_eq!(time.believes(&clock), believed, "{right}");
            assert_eq!(time.now(&clock, LAST), if believed { right } else { last.get() });
        }
        // It has been where the log is, and so it is held to the hour.
        for right in [1_000 * HOUR, 1_024 * HOUR] {
            let (clock, mut time) = opened(HOUR);
            clock.set_wall_nanos(right);
            time.now(&clock, LAST);
            clock.set_wall_nanos(right + 2 * HOUR);
            assert_eq!(time.now(&clock, LAST), right);
        }
    }

    #[test]
    fn what_somebody_vouches_for_is_believed() {
        let clock = SimClock::new(10 * HOUR, 0);
        let mut time = Timekeeper::new(&clock, NONE);
        clock.set_wall_nanos(99 * HOUR);
        assert_eq!(time.now(&clock, LAST), 10 * HOUR);
        time.accept(&clock);
        assert_eq!(time.now(&clock, LAST), 99 * HOUR);
        clock.set_wall_nanos(101 * HOUR);
        assert_eq!(time.now(&clock, LAST), 99 * HOUR, "for this one, and no other");
    }
}
