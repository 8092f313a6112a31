//! See `steadfast::testing::fuzz::crash_recovery`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use steadfast::testing::fuzz::crash_recovery;

fuzz_target!(init: steadfast_fuzz::let_panics_unwind(), |data: &[u8]| steadfast_fuzz::run(crash_recovery, data));
