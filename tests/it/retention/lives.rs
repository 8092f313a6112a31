//! Random lives, cut off at random calls, of a database that forgets.

use super::{BEGIN, SUMS, builder};
use std::{collections::BTreeMap, time::Duration};
use steadfast::{
    Builder, Engine, Error, ErrorKind, Expect, IdempotencyKey, KeyStatus, Mode, Request,
    testing::{Choice, SimClock, SimDisk},
};

const WHOLE: Duration = Duration::from_secs(8 * 3600);
const STUBS: Duration = Duration::from_secs(80 * 3600);

/// Plain numbers from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    Done {
        seq: u64,
        time: u64,
    },
    Fenced {
        time: u64,
    },
    /// A call on it failed: to be found out.
    Unknown,
}

#[derive(Default)]
struct Tally {
    crashes: u64,
    whole: u64,
    stubs: u64,
    forgotten: u64,
    fenced: u64,
    found: u64,
}

struct Life {
    dice: Dice,
    disk: SimDisk,
    clock: SimClock,
    engine: Option<Engine>,
    known: BTreeMap<u64, Known>,
    /// How often the record was added to.
    sum: i64,
    names: u64,
    tally: Tally,
}

fn key(name: u64) -> IdempotencyKey {
    IdempotencyKey::new("life", name.to_be_bytes()).unwrap()
}

fn add(name: u64) -> Request<u64> {
    Request::new(key(name)).add(&SUMS, &1, 1, 0..=i64::MAX).result(&name)
}

fn small(builder: Builder) -> Builder {
    builder
        .remember_outcomes_for(WHOLE)
        .remember_keys_for(STUBS)
        .memtable_limit_bytes(0)
        .segment_bytes(0)
}

impl Life {
    fn new(seed: u64) -> Self {
        let (disk, clock) = (SimDisk::new(), SimClock::new(BEGIN, 1_000));
        disk.assume_powersafe("checkpoint.redb");
        let engine = Some(small(builder(&clock)).open_on(disk.clone()).unwrap());
        let (known, tally) = (BTreeMap::new(), Tally::default());
        let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        Self { dice, disk, clock, engine, known, sum: 0, names: 0, tally }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    fn now(&self) -> u64 {
        // A look moves the clock, which is as good as any time.
        steadfast::testing::Clock::wall_nanos(&self.clock)
    }

    fn step(&mut self) {
        match self.dice.below(16) {
            0..=4 => {
                self.names += 1;
                self.deliver(self.names);
            }
            5..=8 => {
                let name = 1 + self.dice.below(self.names + 1);
                self.deliver(name);
            }
            9 => {
                let name = 1 + self.dice.below(self.names + 2);
                self.names = self.names.max(name);
                self.fence(name);
            }
            10 => {
                let hours = self.dice.below(20);
                self.clock.advance(Duration::from_secs(3600 * hours));
            }
            11 => {
                let mode = Mode::ReadOnly { reason: "a while".into() };
                if self.engine().set_mode(mode).is_ok() {
                    let refused =
                        self.engine().commit(Request::unkeyed().put(&SUMS, &3, &3, Expect::Any));
                    let kind = refused.unwrap_err().kind();
                    assert!(kind == ErrorKind::ReadOnly || self.disk.powered_off(), "{kind:?}");
                }
                if self.engine().set_mode(Mode::ReadWrite).is_err() {
                    self.crash();
                }
            }
            12 => drop(self.engine().checkpoint()),
            13 => drop(self.engine().run_background_step()),
            14 => {
                let calls = self.dice.below(30);
                self.disk.crash_at(self.disk.io_count() + 1 + calls);
            }
            _ => self.crash(),
        }
        if self.disk.powered_off() {
            self.crash();
        }
    }

    fn deliver(&mut self, name: u64) {
        let before = self.known.get(&name).copied();
        match (self.engine().commit(add(name)), before) {
            (Ok(outcome), before) => {
                let receipt = outcome.committed().unwrap();
                assert_eq!(receipt.result, name);
                let (seq, time) = (receipt.seq.get(), receipt.time.get());
                match before {
                    Some(Known::Done { seq: first, time: at }) if receipt.replayed => {
                        assert_eq!((seq, time), (first, at), "a retry gets the first answer");
                    }
                    Some(Known::Fenced { time: at } | Known::Done { time: at, .. }) => {
                        self.assert_old(at, STUBS, "it was carried out again");
                        self.sum += 1;
                    }
                    Some(Known::Unknown) | None => self.sum += 1,
                }
                self.known.insert(name, Known::Done { seq, time });
            }
            (
                Err(Error::AlreadyDecided { seq, time, .. }),
                Some(Known::Done { seq: first, time: at }),
            ) => {
                assert_eq!((seq.get(), time.get()), (first, at));
                self.assert_old(at, WHOLE, "only a stub is left");
            }
            (Err(Error::Fenced { time, .. }), Some(Known::Fenced { time: at })) => {
                assert_eq!(time.get(), at)
            }
            (Err(error), _) => self.failed(name, &error),
        }
    }

    fn fence(&mut self, name: u64) {
        match self.engine().fence(&key(name)) {
            Ok(status) => self.agree(name, &status),
            Err(error) => self.failed(name, &error),
        }
    }

    /// After a failed call nothing is known of the key but what was known before.
    fn failed(&mut self, name: u64, error: &Error) {
        assert!(self.disk.powered_off(), "{error}");
        self.known.entry(name).or_insert(Known::Unknown);
    }

    /// Holds what a key stands for against what is known of it.
    fn agree(&mut self, name: u64, status: &KeyStatus) {
        let before = self.known.get(&name).copied();
        let after = match (status, before) {
            (KeyStatus::Committed(receipt), Some(Known::Done { seq, time }))
                if receipt.seq.get() == seq =>
            {
                assert_eq!(
                    (receipt.time.get(), receipt.result.decode::<u64>().unwrap()),
                    (time, name)
                );
                self.tally.whole += 1;
                return;
            }
            (KeyStatus::Stub { seq, time, .. }, Some(Known::Done { seq: first, time: at }))
                if seq.get() == first =>
            {
                assert_eq!(time.get(), at);
                self.assert_old(at, WHOLE, "only a stub is left");
                self.tally.stubs += 1;
                return;
            }
            (KeyStatus::Fenced { time, .. }, Some(Known::Fenced { time: at }))
                if time.get() == at =>
            {
                self.tally.fenced += 1;
                return;
            }
            // What nobody was told of, or what came after something that was forgotten.
            (KeyStatus::Committed(receipt), _) => {
                self.sum += 1;
                self.tally.found += 1;
                Known::Done { seq: receipt.seq.get(), time: receipt.time.get() }
            }
            (KeyStatus::Fenced { time, .. }, _) => Known::Fenced { time: time.get() },
            (KeyStatus::NotRemembered { .. }, _) => {
                if let Some(Known::Done { time, .. } | Known::Fenced { time }) = before {
                    self.assert_old(time, STUBS, "it is forgotten");
                    self.tally.forgotten += 1;
                }
                self.known.remove(&name);
                return;
            }
            (status, before) => panic!("{status:?}, and {before:?} is known"),
        };
        if let Some(Known::Done { time, .. } | Known::Fenced { time }) = before {
            self.assert_old(time, STUBS, "something else came after it");
        }
        self.known.insert(name, after);
    }

    fn assert_old(&self, decided: u64, least: Duration, what: &str) {
        let age = self.now().saturating_sub(decided);
        assert!(age >= least.as_nanos() as u64, "{what} at the age of {age} ns");
    }

    /// The power goes, and comes back: every key is what it was.
    fn crash(&mut self) {
        self.tally.crashes += 1;
        let choice = match self.dice.below(4) {
            0 => Choice::None,
            1 => Choice::All,
            _ => Choice::Seeded(self.dice.below(u64::MAX)),
        };
        self.disk.crash_at(self.disk.io_count() + 1);
        let disk = self.disk.after_power_cut(&choice);
        drop(self.engine.take());
        disk.assume_powersafe("checkpoint.redb");
        let engine = small(builder(&self.clock)).open_on(disk.clone());
        (self.disk, self.engine) = (disk, Some(engine.unwrap_or_else(|error| panic!("{error}"))));
        if self.engine().mode().unwrap() != Mode::ReadWrite {
            self.engine().set_mode(Mode::ReadWrite).unwrap();
        }
        for name in self.known.keys().copied().collect::<Vec<_>>() {
            let status = self.engine().resolve(&key(name)).unwrap();
            self.agree(name, &status);
        }
        let sum = self.engine().get(&SUMS, &1).unwrap().map_or(0, |record| record.value);
        assert_eq!(sum, self.sum, "nothing is carried out twice, and nothing lost");
    }
}

#[test]
fn random_lives_lose_nothing_and_forget_nothing_early() {
    let mut sums = [0; 6];
    let seeds = std::env::var("STEADFAST_SEEDS").map_or(150, |seeds| seeds.parse().unwrap());
    for seed in 1..=seeds {
        let mut life = Life::new(seed);
        (0..80).for_each(|_| life.step());
        life.crash();
        let Tally { crashes, whole, stubs, forgotten, fenced, found } = life.tally;
        for (sum, one) in sums.iter_mut().zip([crashes, whole, stubs, forgotten, fenced, found]) {
            *sum += one;
        }
    }
    println!("crashes, whole, stubs, forgotten, fenced, found: {sums:?}");
    assert!(sums.iter().all(|sum| *sum > 10), "{sums:?}");
}
