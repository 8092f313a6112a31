//! What it takes to test a service, and this crate, under power cuts: a simulated machine, deterministic from one seed.

pub use crate::disk::*;
