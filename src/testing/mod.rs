//! What it takes to test a service, and this crate, under power cuts: a simulated machine, deterministic from one seed,
//! a reference model of the engine, and a runner that crashes it at every I/O.

pub mod crash;
pub mod linear;
pub mod model;

pub use crate::disk::*;
