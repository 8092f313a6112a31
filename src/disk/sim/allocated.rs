//! Which pages of a file take room on the medium.

use crate::disk::contents::PAGE_BYTES;
use std::sync::Arc;

/// A set of page numbers, a bit each; copies share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Allocated(Arc<Vec<u64>>);

impl Allocated {
    pub(super) fn contains(&self, page: u64) -> bool {
        let (word, bit) = place(page);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    pub(super) fn insert(&mut self, page: u64) {
        if self.contains(page) {
            return;
        }
        let (word, bit) = place(page);
        let words = Arc::make_mut(&mut self.0);
        if words.len() <= word {
            words.resize(word + 1, 0);
        }
        words[word] |= bit;
    }

    /// Forgets the pages past a length.
    pub(super) fn cut(&mut self, len: u64) {
        let (word, bit) = place(len.div_ceil(PAGE_BYTES));
        if word < self.0.len() {
            let words = Arc::make_mut(&mut self.0);
            words.truncate(word + 1);
            words[word] &= bit - 1;
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

fn place(page: u64) -> (usize, u64) {
    (usize::try_from(page / 64).unwrap_or(usize::MAX), 1 << (page % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_once_and_cut_off() {
        let mut allocated = Allocated::default();
        for page in [0, 63, 64, 200, 64] {
            allocated.insert(page);
        }
        let copy = allocated.clone();
        assert_eq!(allocated.count(), 4);
        allocated.cut(64 * PAGE_BYTES + 1);
        assert!(allocated.contains(64) && !allocated.contains(200));
        allocated.cut(64 * PAGE_BYTES);
        assert!(allocated.contains(63) && !allocated.contains(64));
        allocated.cut(u64::MAX);
        assert_eq!((allocated.count(), copy.count()), (2, 4));
        allocated.cut(0);
        assert_eq!(allocated.count(), 0);
    }
}
