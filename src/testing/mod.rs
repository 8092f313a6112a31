//! What it takes to test a service, and this crate, under power cuts: a simulated machine, deterministic from one seed,
//! a reference model of the engine, and campaigns that hold the one against the other.
//!
//! | module | what it does |
//! |---|---|
//! | [`service`] | runs the code of a service, cut off at every I/O |
//! | [`crash`] | cuts the power at every I/O of every short run, and of its recovery |
//! | [`fuzz`] | the functions of the fuzz targets |
//! | [`linear`] | looks for an order that explains what concurrent callers saw |
//! | [`log`] | the log alone, at thousands of crashes a second |
//! | [`swarm`] | random clients and faults of every kind |
//! | [`faults`] | every call of the disk fails in turn |
//! | [`rot`] | damages files at every place |
//! | [`replay`] | runs the log of a service again, and each input of a procedure |
//! | [`reseal`] | forges what only its own checksum protects |
//! | [`kills`] | kills real processes |

mod counts;
pub mod crash;
pub mod faults;
pub mod fuzz;
pub mod kills;
pub mod laws;
pub mod linear;
pub mod log;
mod luck;
pub mod model;
pub mod replay;
pub mod reseal;
pub mod rot;
pub mod service;
pub mod swarm;

#[cfg(steadfast_canary)]
pub use crate::base::canary;
pub use crate::disk::*;
