//! What it takes to test a service, and this crate, under power cuts: a simulated machine, deterministic from one seed,
//! a reference model of the engine, and a runner that crashes it at every I/O. [`service`] runs the code of a service on
//! all that; [`kills`] kills real processes.

pub mod crash;
pub mod kills;
pub mod log;
mod luck;
pub mod model;
pub mod service;

pub use crate::disk::*;
