//! Which idempotency keys the checkpoint may remember: so that a new key, as most are, costs no look into it.
//!
//! A Bloom filter in blocks of one cache line each, sixteen bits a key. It never denies a key that was added; of others it
//! lets about one in a thousand pass, which then costs the look. It grows by layers, each twice as long as the one before, so it takes two to four bytes for each key, and 32 KiB at least.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

/// Bytes of filter for each key a layer is made for.
const KEY_BYTES: usize = 2;
/// Keys the first layer is made for.
const FIRST_KEYS: usize = 16 << 10;

type Block = [u64; 8];

/// The keys that were added, and a few more.
#[derive(Debug, Default)]
pub(crate) struct Filter(Vec<Layer>);

#[derive(Debug)]
struct Layer {
    blocks: Vec<Block>,
    /// Keys that may still be added.
    left: usize,
}

impl Filter {
    pub(crate) fn add(&mut self, key: &[u8]) {
        if self.0.last().is_none_or(|layer| layer.left == 0) {
            self.0.push(Layer::new(FIRST_KEYS << self.0.len()));
        }
        let layer = self.0.last_mut().expect("there is a layer with room");
        let hash = hash(key);
        let block = layer.place(hash);
        layer.left -= 1;
        layer.blocks[block].iter_mut().zip(masks(hash)).for_each(|(word, mask)| *word |= mask);
    }

    /// False when the key was certainly not added.
    pub(crate) fn may_contain(&self, key: &[u8]) -> bool {
        let hash = hash(key);
        self.0.iter().any(|layer| {
            let block = &layer.blocks[layer.place(hash)];
            block.iter().zip(masks(hash)).all(|(word, mask)| word & mask != 0)
        })
    }
}

impl Layer {
    fn new(keys: usize) -> Self {
        let blocks = keys * KEY_BYTES / size_of::<Block>();
        Self { blocks: vec![[0; 8]; blocks], left: keys }
    }

    /// The block of a key: by the upper half of its hash, the bits within come from the lower.
    fn place(&self, hash: u64) -> usize {
        ((u128::from(hash >> 32) * self.blocks.len() as u128) >> 32) as usize
    }
}

/// Without a seed, so that a run can be repeated; whoever picks keys that pass only pays for them.
fn hash(key: &[u8]) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(key)
}

/// One bit in each word of a block.
fn masks(hash: u64) -> impl Iterator<Item = u64> {
    let spread = (hash & u64::from(u32::MAX)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..8).map(move |word| 1 << (spread >> (64 - 6 * (word + 1)) & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_that_was_added_is_denied_and_few_others_pass() {
        let mut filter = Filter::default();
        assert!(!filter.may_contain(b"any"));
        for n in 0..200_000u64 {
            filter.add(&n.to_le_bytes());
        }
        assert!((0..200_000u64).all(|n| filter.may_contain(&n.to_le_bytes())));
        let passed = (200_000..400_000u64).filter(|n| filter.may_contain(&n.to_le_bytes())).count();
        assert!(passed < 2_000, "{passed} of 200,000 others pass");
        let bytes: usize =
            filter.0.iter().map(|layer| layer.blocks.len() * size_of::<Block>()).sum();
        assert!(bytes <= 200_000 * 2 * KEY_BYTES + FIRST_KEYS * KEY_BYTES, "{bytes} bytes");
    }
}
