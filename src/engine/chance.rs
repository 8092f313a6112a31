//! Random numbers and ids for the caller's own code, which come out the same when it is run again for the same entry.

use crate::base::LogTime;
use std::fmt;

/// Changes when numbers come about in another way: an entry is verified with those it was made with.
const CONTEXT: &str = "steadfast 2026-11 random numbers of a procedure";

/// A generator of random numbers, from [`Transaction::rng`](crate::Transaction::rng): BLAKE3 in its extended form.
///
/// In a procedure its numbers follow from the entry, so that running the procedure again gives them again. They are not
/// secret: whoever reads the log can compute them.
pub struct Rng(blake3::OutputReader);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&seed.to_le_bytes());
        Self(hasher.finalize_xof())
    }

    /// Fills `bytes` with random ones.
    ///
    /// ```
    /// # use steadfast::{Engine, IdempotencyKey, Never};
    /// # let engine = Engine::in_memory()?;
    /// let key = IdempotencyKey::new("shop", "coupon-1")?;
    /// let outcome = engine.update::<_, Never>(key, &"coupon", |tx| {
    ///     let mut code = [0; 6];
    ///     tx.rng().fill(&mut code);
    ///     Ok(code)
    /// })?;
    /// assert_eq!(outcome.committed()?.result.len(), 6);
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }

    /// A random number.
    pub fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A random number below `end`, each as likely as any other.
    ///
    /// # Panics
    /// When `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        assert!(end > 0, "there is no number below 0");
        // What is left over of the range when it is dealt out in parts of `end` would make small numbers likelier.
        let most = u64::MAX - (u64::MAX % end + 1) % end;
        loop {
            let number = self.next_u64();
            if number <= most {
                return number % end;
            }
        }
    }

    /// An id in the form of a UUID of version 7: milliseconds of `time`, then random bits.
    pub(super) fn id(&mut self, time: LogTime) -> [u8; 16] {
        let mut id = [0; 16];
        self.fill(&mut id);
        let millis = (time.get() / 1_000_000).to_be_bytes();
        id[..6].copy_from_slice(&millis[2..]);
        id[6] = id[6] & 0x0F | 0x70;
        id[8] = id[8] & 0x3F | 0x80;
        id
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rng").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::IdempotencyKey;

    /// An entry of an earlier version is verified with these.
    #[test]
    fn these_numbers_come_of_this_entry() {
        let mut rng = Rng::new(7);
        assert_eq!([rng.next_u64(), rng.next_u64()], [8516653126205734206, 12500853788037673276]);
    }

    #[test]
    fn another_seed_gives_others() {
        let first = |seed| Rng::new(seed).next_u64();
        assert_eq!(first(1), first(1));
        assert_ne!(first(1), first(2));
    }

    #[test]
    fn numbers_stay_below_and_come_up_alike() {
        let mut rng = Rng::new(1);
        let mut seen = [0u32; 6];
        (0..6_000).for_each(|_| seen[rng.below(6) as usize] += 1);
        assert!(seen.iter().all(|count| (800..1_200).contains(count)), "{seen:?}");
        assert_eq!(rng.below(1), 0);
        assert!(rng.below(u64::MAX) < u64::MAX);
    }

    #[test]
    fn ids_are_uuids_of_the_time_and_differ() {
        let mut rng = Rng::new(1);
        let time = LogTime::new(1_790_000_000_123_456_789);
        let (first, second) = (rng.id(time), rng.id(time));
        assert_ne!(first, second);
        let key = IdempotencyKey::from_uuid("shop", u128::from_be_bytes(first)).unwrap();
        assert_eq!(key.made_at(), Some(LogTime::new(1_790_000_000_123_000_000)));
    }
}
