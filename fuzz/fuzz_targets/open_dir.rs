//! See `steadfast::testing::fuzz::open_dir`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use steadfast::testing::fuzz::open_dir;

fuzz_target!(init: steadfast_fuzz::let_panics_unwind(), |data: &[u8]| steadfast_fuzz::run(open_dir, data));
