//! The tests of the crate as its users see it, in one binary.
#![allow(clippy::disallowed_methods, reason = "tests look at real files and start real processes")]

mod basics;
mod layers;
