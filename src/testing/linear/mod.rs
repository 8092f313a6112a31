//! Histories of concurrent callers, and whether one order of operations explains them.
//!
//! A [`Recorder`] notes for every call when it began and ended, by one counter for all threads, and what it was told.
//! Two checkers look at what came of it:
//!
//! - [`linearizable`] searches for an order in which the [sequential model](super::model) gives every answer that was
//!   given, and in which no call comes before one that had ended when it began. It knows nothing of how the engine works.
//! - [`serial`] holds the engine to the order it claims, that of the numbers of its entries: that must be such an order
//!   of the writes, and every read and refusal must show the state at some entry between what was durable as the call began
//!   and what had been asked for as it ended. It takes time linear in the history.
//!
//! A call that nobody was told the outcome of, for a crash, an error `Indeterminate` or a dropped ticket, may have been
//! carried out at any later point, or never. An error that promises that nothing was done is held to it.
//!
//! ```
//! use steadfast::{
//!     Engine,
//!     testing::linear::{Workload, linearizable, serial},
//! };
//!
//! let engine = Engine::in_memory()?;
//! let history = Workload { seed: 1, ..Workload::default() }.run(&engine);
//! linearizable(&history).expect("one order explains it");
//! serial(&history).expect("the order of the entries explains it");
//! # Ok::<(), steadfast::Error>(())
//! ```

mod cut;
mod history;
mod record;
mod search;
mod serial;
mod tally;
mod workload;

#[cfg(test)]
mod tests;

pub use cut::{Cut, Trouble};
pub use history::{Answer, Asked, Call, End, History, Illegal};
pub use record::{Handed, Recorder, Store};
pub use search::linearizable;
pub use serial::serial;
pub use tally::Tally;
pub use workload::Workload;
