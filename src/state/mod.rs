//! The state as a deterministic fold of entries. Pure: no I/O, no clock, no order that depends on chance.

pub(crate) mod control;
pub(crate) mod digest;
pub(crate) mod draft;
pub(crate) mod filter;
pub(crate) mod fold;
pub(crate) mod memtable;
pub(crate) mod registry;
pub(crate) mod scopes;
mod seeded;
