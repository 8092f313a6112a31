//! See `steadfast::testing::fuzz::segment_scan`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use steadfast::testing::fuzz::segment_scan;

fuzz_target!(init: steadfast_fuzz::let_panics_unwind(), |data: &[u8]| steadfast_fuzz::run(segment_scan, data));
