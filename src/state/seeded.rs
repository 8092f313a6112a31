//! Hashing for maps from bytes: XXH3 under a seed that nobody outside can know, so that keys can't be chosen to meet in one place.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Makes the hashers of one map.
#[derive(Clone, Debug)]
pub(super) struct Seeded(u64);

impl Default for Seeded {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0))
    }
}

impl BuildHasher for Seeded {
    type Hasher = Xxh3;

    fn build_hasher(&self) -> Xxh3 {
        Xxh3(self.0)
    }
}

/// What was hashed so far is the seed of what follows.
pub(super) struct Xxh3(u64);

impl Hasher for Xxh3 {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// Lengths come in front of bytes, where the hash of the bytes tells them already.
    fn write_usize(&mut self, length: usize) {
        self.0 = self.0.rotate_left(1) ^ length as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Bytes;

    /// A map finds a key by any form of it.
    #[test]
    fn a_key_hashes_as_its_bytes_do() {
        let seeded = Seeded::default();
        let key = Bytes::copy_from_slice(b"key");
        assert_eq!(seeded.hash_one(&key), seeded.hash_one(&b"key"[..]));
        assert_ne!(seeded.hash_one(&key), seeded.hash_one(&b"kez"[..]));
        assert_ne!(seeded.hash_one(&key), Seeded::default().hash_one(&key));
    }
}
