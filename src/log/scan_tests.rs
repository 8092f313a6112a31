//! Every row of the verdict table, at every group of small logs.

#[path = "scan_tests/known.rs"]
mod known;
#[path = "scan_tests/oracle.rs"]
mod oracle;
#[path = "scan_tests/reading.rs"]
mod reading;
#[path = "scan_tests/shapes.rs"]
mod shapes;
#[path = "scan_tests/table.rs"]
mod table;

use super::*;
use crate::log::sample::{GENESIS, NOTHING, Placed, Sample};
use oracle::{DAMAGES, Damage, Seen, damaged, expected, look};

/// What Miri would take hours for is smaller: it looks at one of so many cases.
const STRIDE: usize = if cfg!(miri) { 41 } else { 1 };
