//! The machine's own time and randomness.
#![allow(clippy::disallowed_methods, reason = "the one place that may read the system's clocks")]

use super::{Clock, Entropy};
use rustix::time::{ClockId, clock_gettime};
use std::{
    io,
    time::{Duration, SystemTime},
};

/// Counts the time that the machine is suspended, as the wall clock does and `Instant` does not: after a night's sleep the wall
/// clock must not look as if it had been set forwards.
#[cfg(all(target_os = "linux", not(miri)))]
const ELAPSED: ClockId = ClockId::Boottime;
/// On macOS this one counts it. Miri knows no other.
#[cfg(not(all(target_os = "linux", not(miri))))]
const ELAPSED: ClockId = ClockId::Monotonic;

/// The system's clocks. The monotonic one goes on while the machine is suspended.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: u64,
}

fn elapsed() -> u64 {
    let time = clock_gettime(ELAPSED);
    let (seconds, nanos) = (time.tv_sec.max(0) as u64, time.tv_nsec.max(0) as u64);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

impl SystemClock {
    /// Starts the monotonic clock at 0.
    #[must_use]
    pub fn new() -> Self {
        Self { origin: elapsed() }
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
        elapsed().saturating_sub(self.origin)
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
        // Also in a time namespace in which the clocks are apart, and after a suspend, which puts them apart, too.
        #[cfg(all(target_os = "linux", not(miri)))]
        {
            let since_boot = |clock: &SystemClock| clock.origin + clock.monotonic_nanos();
            let before = clock_gettime(ClockId::Boottime).tv_sec as u64;
            let seconds = since_boot(&clock) / 1_000_000_000;
            let after = clock_gettime(ClockId::Boottime).tv_sec as u64;
            assert!((before..=after).contains(&seconds), "a suspend is not counted");
        }
        assert_ne!(SystemEntropy.random().unwrap(), SystemEntropy.random().unwrap());
    }
}
