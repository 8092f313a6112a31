//! What it takes to test a service, and this crate, under power cuts: a simulated machine, deterministic from one seed,
//! a reference model of the engine, and a runner that crashes it at every I/O.

pub mod crash;
pub mod faults;
pub mod laws;
pub mod model;
pub mod swarm;

pub use crate::disk::*;
