//! What it takes to test a service, and this crate, under power cuts: a simulated machine, deterministic from one seed,
//! a reference model of the engine, a runner that crashes it at every I/O, and one that damages its files at every place.

pub mod crash;
pub mod log;
pub mod model;
pub mod rot;

pub use crate::disk::*;
