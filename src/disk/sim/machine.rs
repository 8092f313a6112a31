//! Time and randomness that a test controls.

use super::rng::Rng;
use crate::disk::{Clock, Entropy};
use parking_lot::Mutex;
use std::{io, sync::Arc, time::Duration};

/// A clock that moves only when asked: every look at the wall time takes one fixed step, and a test may add to it.
/// A clone is another handle to the same clock.
#[derive(Clone, Debug)]
pub struct SimClock {
    time: Arc<Mutex<Time>>,
    step_nanos: u64,
}

#[derive(Debug)]
struct Time {
    wall_nanos: u64,
    monotonic_nanos: u64,
}

impl SimClock {
    /// Starts the wall time at `wall_nanos` and the monotonic time at 0.
    #[must_use]
    pub fn new(wall_nanos: u64, step_nanos: u64) -> Self {
        let time = Time { wall_nanos, monotonic_nanos: 0 };
        Self { time: Arc::new(Mutex::new(time)), step_nanos }
    }

    /// Lets time pass.
    pub fn advance(&self, duration: Duration) {
        self.time.lock().pass(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Sets the wall time, forwards or back, as an administrator would. The monotonic time goes on.
    pub fn set_wall_nanos(&self, wall_nanos: u64) {
        self.time.lock().wall_nanos = wall_nanos;
    }
}

impl Time {
    fn pass(&mut self, nanos: u64) {
        self.wall_nanos = self.wall_nanos.saturating_add(nanos);
        self.monotonic_nanos = self.monotonic_nanos.saturating_add(nanos);
    }
}

impl Clock for SimClock {
    /// The time before the step that this look takes.
    fn wall_nanos(&self) -> u64 {
        let mut time = self.time.lock();
        let now = time.wall_nanos;
        time.pass(self.step_nanos);
        now
    }

    fn monotonic_nanos(&self) -> u64 {
        self.time.lock().monotonic_nanos
    }
}

/// Random numbers from a seed. A clone is another handle to the same sequence.
#[derive(Clone, Debug)]
pub struct SimEntropy(Arc<Mutex<Rng>>);

impl SimEntropy {
    /// The sequence of that seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Rng::new(seed))))
    }
}

impl Entropy for SimEntropy {
    fn random(&self) -> io::Result<u128> {
        let mut rng = self.0.lock();
        Ok(u128::from(rng.next()) << 64 | u128::from(rng.next()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_by_steps_and_by_hand() {
        let clock = SimClock::new(1_000, 10);
        assert_eq!((clock.wall_nanos(), clock.wall_nanos()), (1_000, 1_010));
        clock.advance(Duration::from_nanos(100));
        assert_eq!((clock.wall_nanos(), clock.monotonic_nanos()), (1_120, 130));
        clock.set_wall_nanos(5);
        assert_eq!((clock.wall_nanos(), clock.monotonic_nanos()), (5, 140));
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        let (left, right) = (SimEntropy::new(3), SimEntropy::new(3));
        assert_eq!(left.random().unwrap(), right.random().unwrap());
        assert_ne!(left.random().unwrap(), left.random().unwrap());
    }
}
