//! Random numbers of a seed.

use crate::disk::{Choice, Entropy, SimEntropy};

pub(super) struct Luck(SimEntropy);

impl Luck {
    pub(super) fn new(seed: u64) -> Self {
        Self(SimEntropy::new(seed))
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&self, end: u64) -> u64 {
        let number = self.0.random().expect("a generator does not fail");
        (number % u128::from(end)) as u64
    }

    pub(super) fn choice(&self, n: u64) -> Choice {
        match n {
            0 => Choice::None,
            1 => Choice::All,
            _ => Choice::Seeded(self.below(u64::MAX)),
        }
    }
}
