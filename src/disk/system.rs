//! The machine's own time and randomness.
#![allow(clippy::disallowed_methods, reason = "the one place that may read the system's clocks")]

use super::{Clock, Entropy};
use std::{
    io,
    time::{Duration, Instant, SystemTime},
};

/// The system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// Starts the monotonic clock at 0.
    #[must_use]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    /// A clock set before 1970 gives 0.
    fn wall_nanos(&self) -> u64 {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, nanos)
    }

    fn monotonic_nanos(&self) -> u64 {
        nanos(self.origin.elapsed())
    }
}

/// The system's random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn random(&self) -> io::Result<u128> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(u128::from_le_bytes(bytes))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_and_random_numbers_differ() {
        let clock = SystemClock::new();
        assert!(clock.wall_nanos() > 1_700_000_000_000_000_000);
        let first = clock.monotonic_nanos();
        assert!(clock.monotonic_nanos() >= first);
        assert_ne!(SystemEntropy.random().unwrap(), SystemEntropy.random().unwrap());
    }
}
