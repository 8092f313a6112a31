//! A random simulation: from one seed a machine, up to 8 clients with many requests in flight, and all that can go wrong
//! with a disk, a clock and a process, mixed; everything held against the [model](super::model) and the
//! [laws](super::laws).
//!
//! A seed becomes a [`Plan`], which is plain data: [`Plan::run`] does it, [`Failure::shrink`] makes one that failed small,
//! and printed it is Rust that goes into a test. A fuzzer's bytes become one by [`Plan::from_bytes`].
//!
//! ```
//! use steadfast::testing::swarm;
//!
//! let summary = swarm::run(7)?;
//! assert!(summary.crashes > 0 && summary.losses == 0);
//! # Ok::<(), Box<swarm::Failure>>(())
//! ```

mod ask;
mod call;
mod event;
mod failure;
mod grow;
mod life;
mod machine;
mod mirror;
mod plan;
mod reads;
mod run;
mod shrink;
mod summary;
mod trouble;

pub use event::{Ask, Event, Whose};
pub use failure::Failure;
pub use machine::{Hurdle, Rot, Stop, Trouble};
pub use plan::Plan;
pub use summary::{KINDS, Summary};

/// How many plans may be run to make one small.
const SHRINKING_RUNS: usize = 1_500;

/// Runs the plan of a seed.
///
/// # Errors
/// The breach, with its plan shrunk.
pub fn run(seed: u64) -> Result<Summary, Box<Failure>> {
    Plan::from_seed(seed).run().map_err(|failure| Box::new(failure.shrink(SHRINKING_RUNS)))
}

/// Everything one seed does to the disk, call by call.
///
/// # Errors
/// The breach.
pub fn trace(seed: u64) -> Result<Vec<String>, Box<Failure>> {
    Plan::from_seed(seed).trace()
}
