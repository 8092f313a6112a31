//! Where choices come from: a seed, or the bytes a fuzzer made up.

use crate::disk::{Entropy, SimEntropy};

/// A sequence of numbers. That of bytes goes on with zeros for ever.
pub(super) enum Dice<'a> {
    Seed(SimEntropy),
    Bytes(&'a [u8]),
}

impl Dice<'_> {
    pub(super) fn seeded(seed: u64) -> Self {
        Self::Seed(SimEntropy::new(seed))
    }

    /// A number below `end`; 0 if that is 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % (end.max(1) as u64)) as usize
    }

    /// One of several; `None` when there are none.
    pub(super) fn one<'t, T>(&mut self, of: &'t [T]) -> Option<&'t T> {
        let place = self.below(of.len());
        of.get(place)
    }

    fn next(&mut self) -> u64 {
        match self {
            Self::Seed(entropy) => entropy.random().map_or(0, |number| number as u64),
            Self::Bytes(bytes) => {
                let (taken, rest) = bytes.split_at(bytes.len().min(3));
                *bytes = rest;
                taken.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
            }
        }
    }
}
