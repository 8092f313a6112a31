//! The write-ahead log: scanning it after a restart, writing it, trimming it.

pub(crate) mod reader;
#[cfg(test)]
mod sample;
pub(crate) mod scan;
pub(crate) mod segments;
pub(crate) mod verdict;
pub(crate) mod writer;

/// A point in the log: after group `g`, whose chain digest is `chain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub g: u64,
    pub chain: [u8; 32],
    /// The segment the group is in.
    pub segment: u64,
    /// The offset after the group.
    pub end: u64,
}
