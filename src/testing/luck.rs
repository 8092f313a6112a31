//! Choices from a seed.

use crate::disk::{Entropy, SimEntropy};

/// A sequence of choices that is the same for the same seed.
#[derive(Clone, Debug)]
pub(super) struct Luck(SimEntropy);

impl Luck {
    pub fn new(seed: u64) -> Self {
        Self(SimEntropy::new(seed))
    }

    /// Any number.
    pub fn any(&self) -> u64 {
        self.next() as u64
    }

    /// A number below `end`, which is not 0.
    pub fn below(&self, end: u64) -> u64 {
        (self.next() % u128::from(end)) as u64
    }

    /// Whether something comes about that happens once in `times`.
    pub fn once_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn next(&self) -> u128 {
        self.0.random().expect("a generator does not fail")
    }
}
