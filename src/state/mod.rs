//! The state: deterministic and pure.

pub(crate) mod digest;
