//! Chance: which basket is delivered when and how often, and when the client dies. One seed gives one plan.

/// A small seeded generator (splitmix64).
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Share of the baskets that are delivered twice or more within one session.
const REPEATED_PERCENT: u64 = 30;
/// Share of the baskets answered in earlier sessions that are delivered once more.
const ANSWERED_PERCENT: u64 = 5;
/// Room for the deliveries between one basket and the next.
const STEP: u64 = 4;

/// The deliveries of one session, in order: every basket that has no answer yet, three in ten of them again (half of these right
/// behind the first, where another thread picks it up at once, half of them later), and a few that were answered long ago.
pub fn deliveries(answered: &[bool], random: &mut Random) -> Vec<u32> {
    let pending = answered.iter().filter(|answered| !**answered).count() as u64;
    let mut rank = 0;
    let mut placed = Vec::new();
    for (index, answered) in (0u32..).zip(answered) {
        if *answered {
            // Early in the session, so that they come before the next kill.
            if random.percent(ANSWERED_PERCENT) {
                placed.push((random.below(pending.clamp(1, 256)) * STEP, index));
            }
            continue;
        }
        rank += 1;
        placed.push((rank * STEP, index));
        if random.percent(REPEATED_PERCENT) {
            loop {
                let later = if random.percent(50) { 0 } else { 8 + random.below(200) };
                placed.push(((rank + later) * STEP + 1, index));
                if !random.percent(20) {
                    break;
                }
            }
        }
    }
    placed.sort_by_key(|(position, _)| *position);
    placed.into_iter().map(|(_, index)| index).collect()
}

/// After how many new answers the client is killed: about an equal share of what is pending for each kill that is left, and always
/// less than all of it when there is that much.
pub fn kill_after(pending: u64, kills_left: u64, random: &mut Random) -> u64 {
    (pending * (50 + random.below(101)) / (100 * (kills_left + 1))).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn counts(plan: &[u32]) -> HashMap<u32, usize> {
        let mut counts = HashMap::new();
        for index in plan {
            *counts.entry(*index).or_default() += 1;
        }
        counts
    }

    #[test]
    fn every_pending_basket_is_delivered_and_three_in_ten_again() {
        let plan = deliveries(&[false; 10_000], &mut Random::new(7));
        let counts = counts(&plan);
        assert_eq!(counts.len(), 10_000);
        let repeated = counts.values().filter(|count| **count > 1).count();
        assert!((2_700..3_300).contains(&repeated), "{repeated} repeated");
        assert!(counts.values().any(|count| *count > 2));
    }

    #[test]
    fn some_repetitions_come_at_once_and_some_later() {
        let plan = deliveries(&[false; 10_000], &mut Random::new(7));
        let at_once = plan.windows(2).filter(|pair| pair[0] == pair[1]).count();
        let all = plan.len() - 10_000;
        assert!(at_once > all / 4 && at_once < all * 3 / 4, "{at_once} of {all} at once");
    }

    #[test]
    fn answered_baskets_come_again_now_and_then() {
        let answered: Vec<bool> = (0..10_000).map(|index| index < 5_000).collect();
        let plan = deliveries(&answered, &mut Random::new(7));
        let again = plan.iter().filter(|index| **index < 5_000).count();
        assert!((150..350).contains(&again), "{again} of 5,000 again");
        assert_eq!(counts(&plan).keys().filter(|index| **index >= 5_000).count(), 5_000);
    }

    #[test]
    fn one_seed_gives_one_plan() {
        let plan = |seed| deliveries(&[false; 500], &mut Random::new(seed));
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
    }

    #[test]
    fn nothing_pending_and_nothing_answered_is_an_empty_plan() {
        assert!(deliveries(&[], &mut Random::new(1)).is_empty());
    }

    #[test]
    fn kills_come_before_the_work_is_done() {
        let mut random = Random::new(3);
        for _ in 0..1_000 {
            let mut pending = 3_301;
            for left in (1..=6).rev() {
                let after = kill_after(pending, left, &mut random);
                assert!(after >= 1 && after < pending);
                pending -= after;
            }
        }
        assert_eq!(kill_after(0, 3, &mut random), 1);
    }
}
