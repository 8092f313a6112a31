//! Runs the code of a *service* under crashes: its own requests and updates, its own invariants, a power cut at every I/O.
//!
//! A service gives two closures to [`explore`]. One does its work on an [`Engine`](crate::Engine) and notes in a
//! [`Journal`] what the world outside was told, such as "payment 7 is confirmed". The other looks at a reopened engine and
//! says what must be true of it, given that journal. Then, for every I/O of the work:
//!
//! 1. the work is run until the power fails at that I/O; the engine's calls give errors from then on;
//! 2. the disk comes up in several ways: nothing of what was pending reached it, everything did, one piece, all but one
//!    piece, a mixture with damage; and once as a killed process leaves it;
//! 3. the database is opened, and the check is made;
//! 4. the work is run again, as a service that restarts does for clients that try again; and the check is made again;
//! 5. every entry of the log is decided once more ([`verify`](crate::verify())), with the procedures and rules that
//!    [`Exploration::registry`] was given, and must come out the same.
//!
//! A panic in either closure is a failure, too. The first [`Failure`] ends the run, and prints a [`Case`] that
//! [`Exploration::run_case`] runs again, alone.
//!
//! All is decided by the seed, if the work is: it must not use threads, clocks or random numbers of its own, and have no
//! other memory than the engine and the journal.

mod case;
mod exploration;
mod journal;
mod life;
mod summary;

pub use case::{Case, Failure, Stage};
pub use exploration::{Exploration, explore};
pub use journal::Journal;
pub use summary::Summary;

/// What the closures of a service give: any error ends them, and `?` takes every kind.
pub type Done = Result<(), Box<dyn std::error::Error>>;
