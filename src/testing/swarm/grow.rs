//! Plans from a seed or from bytes.

use super::{
    event::{Ask, Event, Whose},
    machine::{Hurdle, Rot, Stop, Trouble},
    plan::Plan,
};
use crate::disk::{Entropy, SimEntropy};

/// The longest plan that comes of bytes, in events.
const EVENTS_FROM_BYTES: usize = 4_096;

/// Three days, and thirty.
const LONG: Option<(u32, u32)> = Some((259_200, 2_592_000));

/// Where choices come from.
enum Luck<'a> {
    Seed(SimEntropy),
    /// Zeros after the last.
    Bytes(std::slice::Iter<'a, u8>),
}

impl Luck<'_> {
    fn number(&mut self) -> u64 {
        match self {
            Self::Seed(entropy) => entropy.random().expect("a generator does not fail") as u64,
            // Two bytes make any choice there is here.
            Self::Bytes(bytes) => {
                let mut next = || u64::from(bytes.next().copied().unwrap_or(0));
                next() | next() << 8
            }
        }
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: u64) -> u64 {
        match self {
            Self::Bytes(bytes) if end <= 256 => u64::from(bytes.next().copied().unwrap_or(0)) % end,
            _ => self.number() % end,
        }
    }

    fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len() as u64) as usize]
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Bytes(bytes) if bytes.len() == 0)
    }
}

/// How often what happens. Every seed has its own: with the same odds everywhere, what needs many of one kind and none of
/// another would never be seen.
struct Taste {
    asks: [u64; 16],
    events: [u64; 21],
    keys: u64,
    clients: u64,
    /// The troubles that come up; none, and nothing goes wrong but the power.
    troubles: Vec<Trouble>,
    stops: u64,
    /// Calls between a crash being due and the crash, at most.
    near: u64,
}

impl Taste {
    fn new(luck: &mut Luck<'_>) -> Self {
        let mut weight = |most: u64| if luck.one_in(3) { 0 } else { 1 + luck.below(most) };
        let asks = std::array::from_fn(|_| weight(8));
        let events = std::array::from_fn(|_| weight(8));
        let mut troubles: Vec<_> = Trouble::KINDS.to_vec();
        if luck.one_in(3) {
            troubles.clear();
        } else {
            troubles.retain(|_| !luck.one_in(3));
        }
        Self {
            asks,
            events,
            keys: luck.pick(&[2, 4, 12, 40]),
            clients: 1 + luck.below(8),
            troubles,
            stops: luck.below(3),
            near: luck.pick(&[3, 8, 20, 40]),
        }
    }

    /// All of it, evenly.
    fn even() -> Self {
        let troubles = Trouble::KINDS.to_vec();
        Self { asks: [1; 16], events: [1; 21], keys: 12, clients: 8, troubles, stops: 0, near: 40 }
    }

    fn ask(&self, luck: &mut Luck<'_>) -> Ask {
        let key = luck.below(self.keys) as u8;
        match weighted(luck, &self.asks) {
            0 => Ask::Put(key),
            1 => Ask::Insert(key),
            2 => Ask::Replace(key),
            3 => Ask::Swap(key),
            4 => Ask::Stale(key),
            5 => Ask::Future(key),
            6 => Ask::Delete(key),
            7 => Ask::Add(key, luck.pick(&[1, 7, -3, 900, 2_000])),
            8 => Ask::Check(key),
            9 => Ask::Batch(key),
            10 => Ask::Plain(key),
            11 => Ask::PlainCheck(key),
            12 => Ask::Large(key, luck.pick(&[1, 4, 20, 48])),
            13 => Ask::Retry(luck.below(64) as u8),
            14 => Ask::Reuse(luck.below(64) as u8),
            _ => Ask::Dated(key, luck.pick(&[0, 0, -60, -100_000, -3_000_000, 900, 400_000])),
        }
    }

    fn stop(&self, luck: &mut Luck<'_>) -> Stop {
        match (self.stops, luck.below(10)) {
            (1, _) | (_, 0 | 1) => Stop::Kill,
            (_, 2) => Stop::LoseAll,
            (_, 3) => Stop::KeepAll,
            (_, 4) => Stop::KeepOne(luck.below(256) as u8),
            (_, 5) => Stop::LoseOne(luck.below(256) as u8),
            _ => Stop::Seeded(luck.number()),
        }
    }

    fn trouble(&self, luck: &mut Luck<'_>) -> Option<Trouble> {
        if self.troubles.is_empty() {
            return None;
        }
        Some(match luck.pick(&self.troubles) {
            Trouble::ShortWrite(_) => Trouble::ShortWrite(luck.pick(&[1, 100, 512, 2_048, 5_000])),
            Trouble::ShortRead(_) => Trouble::ShortRead(luck.pick(&[1, 100, 512, 2_048, 5_000])),
            Trouble::Capacity(_) => Trouble::Capacity(luck.pick(&[0, 1, 20, 200])),
            other => other,
        })
    }

    fn hurdle(&self, luck: &mut Luck<'_>) -> Option<Hurdle> {
        if !luck.one_in(3) {
            return None;
        }
        let after = luck.below(40) as u16;
        match self.trouble(luck).filter(|_| luck.one_in(2)) {
            Some(trouble) => Some(Hurdle::Fails { trouble, after }),
            None => Some(Hurdle::Cut { after, stop: self.stop(luck) }),
        }
    }

    fn crash(&self, luck: &mut Luck<'_>) -> Event {
        let after = if luck.one_in(4) { 0 } else { luck.below(self.near) as u16 };
        let first = self.hurdle(luck);
        let second = if first.is_some() { self.hurdle(luck) } else { None };
        let stop = self.stop(luck);
        Event::Crash { after, stop, hurdles: [first, second], twice: luck.one_in(4) }
    }

    fn damage(&self, luck: &mut Luck<'_>) -> Event {
        let file = luck.below(16) as u8;
        // Most of what there is stands near the beginning.
        let within = luck.pick(&[128, 4 << 10, 16 << 10, 64 << 10]);
        let offset = luck.below(within) as u32;
        let rot = match luck.below(8) {
            0 => Rot::Zero,
            1 => Rot::Unreadable,
            2 => Rot::Shorter,
            _ => Rot::Flip(luck.below(8) as u8),
        };
        Event::Damage { file, offset, rot }
    }

    /// An event without lasting consequences.
    fn event(&self, luck: &mut Luck<'_>) -> Event {
        let client = luck.below(self.clients) as u8;
        let key = luck.below(self.keys) as u8;
        let ticket = luck.below(16) as u8;
        match weighted(luck, &self.events) {
            0 | 1 => Event::Submit { client, ask: self.ask(luck) },
            2 | 3 => Event::Commit { ask: self.ask(luck) },
            4 => Event::Update { key, delta: luck.pick(&[1, 5, -2, 120]) },
            5 => Event::Poll { client, ticket },
            6 => Event::Wait { client, ticket },
            7 => Event::Forget { client, ticket },
            8 => Event::Get { key },
            9 => Event::Range { from: key, backwards: luck.one_in(2) },
            10 => Event::Hold,
            11 => Event::Look { snapshot: ticket, keep: luck.one_in(2) },
            12 | 13 => Event::Step,
            14 => match luck.below(6) {
                0 | 1 => Event::Close,
                2 => self.damage(luck),
                _ => Event::Checkpoint,
            },
            15 => Event::Buffered { ask: self.ask(luck) },
            16 => match luck.below(4) {
                0 => Event::Late { ask: self.ask(luck) },
                1 => Event::Once { ask: self.ask(luck) },
                _ => Event::Try { client, ask: self.ask(luck) },
            },
            17 => match luck.below(4) {
                0 => Event::Fence { whose: Whose::New },
                1 => Event::Fence { whose: Whose::Asked(luck.below(16) as u8) },
                _ => Event::Resolve { whose: Whose::Asked(luck.below(64) as u8) },
            },
            18 => match luck.below(4) {
                0 => Event::SetMode { read_only: true },
                1 => Event::Applied,
                2 => Event::Sync,
                _ => Event::SetMode { read_only: false },
            },
            19 => Event::Commit { ask: Ask::Retry(luck.below(256) as u8) },
            _ => match luck.below(2) {
                0 => {
                    let jump: i32 = luck.pick(&[1, 60, 86_400, 400_000_000]);
                    Event::SetClock { seconds: if luck.one_in(2) { -jump } else { jump } }
                }
                _ => Event::Pass { seconds: luck.number() as u16 },
            },
        }
    }
}

fn weighted(luck: &mut Luck<'_>, weights: &[u64]) -> usize {
    let total: u64 = weights.iter().sum();
    if total == 0 {
        return 0;
    }
    let mut place = luck.below(total);
    for (index, weight) in weights.iter().enumerate() {
        if place < *weight {
            return index;
        }
        place -= weight;
    }
    unreachable!("the place is below the total")
}

impl Plan {
    /// The plan of a seed: 200 to 2,000 operations, crashes and faults among them, of which the seed picks its own mix.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut luck = Luck::Seed(SimEntropy::new(seed));
        let mut plan = Self::shaped(seed, &mut luck);
        plan.keep_log = seed.is_multiple_of(3);
        let mut taste = Taste::new(&mut luck);
        // Something is always asked.
        taste.events[0] += 4;
        taste.events[18] = taste.events[18].min(2);
        taste.events[2] += 4;
        taste.asks[0] += 1;
        let count = 200 + luck.below(1_801).min(luck.below(1_801));
        let between = luck.pick(&[10, 20, 20, 20, 60]);
        let mut healing = None;
        for n in 0..count {
            if healing == Some(n) {
                plan.events.push(Event::Heal);
                healing = None;
            }
            let event = if luck.one_in(between) {
                taste.crash(&mut luck)
            } else {
                match taste.trouble(&mut luck).filter(|_| healing.is_none() && luck.one_in(25)) {
                    Some(trouble) => {
                        healing = Some(n + 2 + luck.below(30));
                        let after = luck.below(taste.near) as u16;
                        Event::Fault { trouble, after, forever: luck.one_in(2) }
                    }
                    // While things go wrong, what may be in doubt is asked for again.
                    None if healing.is_some() && luck.one_in(4) => {
                        Event::Commit { ask: Ask::Retry(luck.below(6) as u8) }
                    }
                    None => taste.event(&mut luck),
                }
            };
            plan.events.push(event);
        }
        plan
    }

    /// The plan that bytes stand for. Every byte string is one, and similar ones are similar plans.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut luck = Luck::Bytes(bytes.iter());
        let mut plan = Self::shaped(1, &mut luck);
        let taste = Taste::even();
        while !luck.is_empty() && plan.events.len() < EVENTS_FROM_BYTES {
            let event = match luck.below(16) {
                0 | 1 => taste.crash(&mut luck),
                2 => {
                    let trouble = taste.trouble(&mut luck).expect("there are troubles");
                    let after = luck.below(64) as u16;
                    Event::Fault { trouble, after, forever: luck.one_in(2) }
                }
                3 => Event::Heal,
                _ => taste.event(&mut luck),
            };
            plan.events.push(event);
        }
        plan
    }

    fn shaped(seed: u64, luck: &mut Luck<'_>) -> Self {
        Self {
            log_limit_bytes: luck.pick(&[64 << 10, 256 << 10, 1 << 20]),
            memtable_limit_bytes: luck.pick(&[64 << 10, 1 << 20]),
            clock_step_nanos: luck.pick(&[1_000, 1_000_000_000, 3_600_000_000_000]),
            remember: luck.pick(&[None, Some((600, 7_200)), Some((28_800, 288_000)), LONG]),
            buffered_keys: luck.one_in(3),
            queue_limit_requests: luck.pick(&[16 << 10, 16 << 10, 4, 1]),
            ..Self::empty(seed)
        }
    }
}
