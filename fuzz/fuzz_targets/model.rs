//! See `steadfast::testing::fuzz::model`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use steadfast::testing::fuzz::model;

fuzz_target!(init: steadfast_fuzz::let_panics_unwind(), |data: &[u8]| steadfast_fuzz::run(model, data));
