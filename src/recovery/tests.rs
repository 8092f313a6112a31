//! The parts of a plan that can be had alone.

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

#[test]
fn the_log_begins_where_the_last_run_of_segments_does_and_not_before_it_is_needed() {
    for (named, trim, expected) in [
        (&[][..], 4, 4),
        (&[1, 2, 3], 1, 1),
        (&[3, 4, 5], 4, 4),
        // What a power cut left of those below.
        (&[2, 4, 5], 4, 4),
        // One is missing that is needed: the scan says so of the one after it.
        (&[2, 3, 5, 6], 2, 5),
        (&[2, 3, 5, 6], 6, 6),
        (&[5, 6], 9, 9),
    ] {
        assert_eq!(lowest_needed(named, trim), expected, "{named:?}, trimmed below {trim}");
    }
}
