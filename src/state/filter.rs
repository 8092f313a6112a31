//! Which keys the checkpoint may remember, so that a key that is new costs no look into it. A few keys more pass than were
//! added. Two bytes for each key; where a limit leaves less, more keys pass, and none that was added is denied.

use crate::base::KeyHash;

/// Bytes of filter for each key a layer is made for.
const KEY_BYTES: usize = 2;
/// Keys the first layer is made for.
const FIRST_KEYS: usize = 16 << 10;

type Block = [u64; 8];

/// The filter in use, and the one that is to take its place.
#[derive(Debug)]
pub(crate) struct Filters {
    current: Filter,
    /// Without the keys that were forgotten.
    anew: Option<Filter>,
}

impl Filters {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { current: Filter::new(limit_bytes), anew: None }
    }

    pub(crate) fn add(&mut self, key: &KeyHash) {
        self.current.add(key);
        if let Some(anew) = &mut self.anew {
            anew.add(key);
        }
    }

    /// False when the key was certainly not added.
    pub(crate) fn may_contain(&self, key: &KeyHash) -> bool {
        self.current.may_contain(key)
    }

    /// Bytes both take.
    pub(crate) fn bytes(&self) -> usize {
        self.current.bytes() + self.anew.as_ref().map_or(0, Filter::bytes)
    }

    /// Whether most of its keys are forgotten, of which `live` are left, and enough for it to matter.
    pub(crate) fn is_stale(&self, live: u64) -> bool {
        self.anew.is_none() && self.current.keys > 2 * live + FIRST_KEYS as u64
    }

    /// Begins one that will have the keys from now on, and those it is filled with.
    pub(crate) fn begin_anew(&mut self) {
        self.anew = Some(Filter::new(self.current.limit_bytes));
    }

    pub(crate) fn fill_anew(&mut self, keys: &[KeyHash]) {
        if let Some(anew) = &mut self.anew {
            keys.iter().for_each(|key| anew.add(key));
        }
    }

    pub(crate) fn give_up_anew(&mut self) {
        self.anew = None;
    }

    /// Puts it in the place of the one in use.
    pub(crate) fn finish_anew(&mut self) {
        if let Some(anew) = self.anew.take() {
            self.current = anew;
        }
    }
}

/// The keys that were added, and a few more.
#[derive(Debug)]
pub(crate) struct Filter {
    layers: Vec<Layer>,
    limit_bytes: usize,
    /// How many keys were added; one that was added twice counts twice.
    keys: u64,
}

#[derive(Debug)]
struct Layer {
    blocks: Vec<Block>,
    /// Keys that may still be added.
    left: usize,
}

impl Filter {
    /// An empty filter that takes up to `limit_bytes`, but for its first layer of 32 KiB.
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { layers: Vec::new(), limit_bytes, keys: 0 }
    }

    pub(crate) fn add(&mut self, key: &KeyHash) {
        if self.layers.last().is_none_or(|layer| layer.left == 0) {
            self.grow();
        }
        let layer = self.layers.last_mut().expect("there is a layer");
        self.keys += 1;
        let hash = hash(key);
        let block = layer.place(hash);
        layer.left = layer.left.saturating_sub(1);
        layer.blocks[block].iter_mut().zip(masks(hash)).for_each(|(word, mask)| *word |= mask);
    }

    /// False when the key was certainly not added.
    pub(crate) fn may_contain(&self, key: &KeyHash) -> bool {
        let hash = hash(key);
        self.layers.iter().any(|layer| {
            let block = &layer.blocks[layer.place(hash)];
            block.iter().zip(masks(hash)).all(|(word, mask)| word & mask != 0)
        })
    }

    /// Bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.layers.iter().map(|layer| layer.blocks.len() * size_of::<Block>()).sum()
    }

    /// A layer twice as large as the one before, or as large as the limit leaves room for.
    fn grow(&mut self) {
        let keys = FIRST_KEYS << self.layers.len();
        let room = self.limit_bytes.saturating_sub(self.bytes()) / KEY_BYTES;
        let keys = if self.layers.is_empty() { keys } else { keys.min(room) };
        // With no room for one, the last layer takes them all.
        if keys >= FIRST_KEYS {
            self.layers.push(Layer::new(keys));
        }
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

fn hash(key: &KeyHash) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *key;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// One bit in each word of a block.
fn masks(hash: u64) -> impl Iterator<Item = u64> {
    let spread = (hash & u64::from(u32::MAX)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..8).map(move |word| 1 << (spread >> (64 - 6 * (word + 1)) & 63))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::key_hash;

    fn key(n: u64) -> KeyHash {
        key_hash(&n.to_le_bytes())
    }

    /// What Miri would take minutes for is smaller.
    const KEYS: u64 = if cfg!(miri) { 1_000 } else { 200_000 };

    #[test]
    fn no_key_that_was_added_is_denied_and_few_others_pass() {
        let mut filter = Filter::new(usize::MAX);
        assert!(!filter.may_contain(&key(1)));
        for n in 0..KEYS {
            filter.add(&key(n));
        }
        assert!((0..KEYS).all(|n| filter.may_contain(&key(n))));
        let passed = (KEYS..2 * KEYS).filter(|n| filter.may_contain(&key(*n))).count();
        assert!(passed < KEYS as usize / 100, "{passed} of {KEYS} others pass");
        let bytes = filter.bytes();
        let most = (KEYS as usize * 2 + FIRST_KEYS) * KEY_BYTES;
        assert!(bytes <= most, "{bytes} bytes");
    }

    #[test]
    #[cfg_attr(miri, ignore = "more keys than Miri hashes in minutes")]
    fn within_a_limit_more_pass_and_none_that_was_added_is_denied() {
        let limit = 150 << 10;
        let mut filter = Filter::new(limit);
        (0..200_000).for_each(|n| filter.add(&key(n)));
        assert!(filter.bytes() <= limit, "{} bytes", filter.bytes());
        assert!((0..200_000).all(|n| filter.may_contain(&key(n))));
        let passed = (200_000..400_000).filter(|n| filter.may_contain(&key(*n))).count();
        assert!((2_000..200_000).contains(&passed), "{passed} of 200,000 others pass");
    }
}
