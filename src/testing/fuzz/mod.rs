//! What fuzzers call: each function takes any bytes and panics when a promise is broken.
//!
//! They are total, deterministic, and bounded in memory and time, so that plain tests call them as well: over the corpus
//! and over random input. The programs under `fuzz/` are shells around them.

mod crash_recovery;
mod damage;
mod directory;
mod faults;
mod frame;
mod input;
mod model;
mod scan;
mod seeds;
mod subject;

pub use super::rot::fuzz as rot;
pub use crash_recovery::crash_recovery;
pub use directory::open_dir;
pub use faults::faults;
pub use frame::frame;
pub use model::model;
pub use scan::segment_scan;
pub use seeds::{Seed, seeds};

/// What a fuzzer calls with any bytes.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its program and of the folder of its corpus.
///
/// ```
/// use steadfast::testing::fuzz::TARGETS;
///
/// for (name, target) in TARGETS {
///     target(name.as_bytes());
/// }
/// ```
pub const TARGETS: [(&str, Target); 7] = [
    ("frame", frame),
    ("segment_scan", segment_scan),
    ("open_dir", open_dir),
    ("crash_recovery", crash_recovery),
    ("model", model),
    ("faults", faults),
    ("rot", rot),
];
