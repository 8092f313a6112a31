//! Whatever is done through the interface comes out the same: requests, updates, procedures, rules, openings and checkpoints by chance.

use super::*;
use crate::support::key;
use proptest::prelude::*;
use std::time::Duration;
use steadfast::{
    Background, Coverage, Error, Expect, Mode, Request, Version,
    testing::{Choice, SimClock, SimDisk, SimEntropy, replay::verify_on},
};

#[derive(Clone, Debug)]
enum Act {
    Put { account: u8, cents: i64, expect: u8, key: Option<u8> },
    Add { account: u8, delta: i64, key: Option<u8> },
    Order { order: u8, state: u8, key: Option<u8> },
    Delete { account: u8, expect: u8 },
    Batch { account: u8, delta: i64, key: u8 },
    Update { account: u8, delta: i64, key: u8, refuse: bool },
    Call { from: u8, to: u8, cents: i64, second: bool, key: u8 },
    Fence { key: u8 },
    Mode { read_only: bool },
    Later { minutes: u16 },
    Checkpoint,
    Step,
    Reopen { clean: bool },
}

fn act() -> impl Strategy<Value = Act> {
    let key = || prop::option::of(0..40u8);
    let cents = || -60..200i64;
    prop_oneof![
        4 => (0..4u8, cents(), 0..6u8, key())
            .prop_map(|(account, cents, expect, key)| Act::Put { account, cents, expect, key }),
        3 => (0..4u8, cents(), key()).prop_map(|(account, delta, key)| Act::Add { account, delta, key }),
        3 => (0..3u8, 0..3u8, key()).prop_map(|(order, state, key)| Act::Order { order, state, key }),
        1 => (0..4u8, 0..6u8).prop_map(|(account, expect)| Act::Delete { account, expect }),
        2 => (0..4u8, cents(), 0..40u8).prop_map(|(account, delta, key)| Act::Batch { account, delta, key }),
        3 => (0..4u8, cents(), 0..40u8, prop::bool::weighted(0.2))
            .prop_map(|(account, delta, key, refuse)| Act::Update { account, delta, key, refuse }),
        5 => (0..4u8, 0..4u8, cents(), any::<bool>(), 0..40u8)
            .prop_map(|(from, to, cents, second, key)| Act::Call { from, to, cents, second, key }),
        1 => (0..40u8).prop_map(|key| Act::Fence { key }),
        1 => any::<bool>().prop_map(|read_only| Act::Mode { read_only }),
        1 => (0..90u16).prop_map(|minutes| Act::Later { minutes }),
        1 => Just(Act::Checkpoint),
        2 => Just(Act::Step),
        1 => any::<bool>().prop_map(|clean| Act::Reopen { clean }),
    ]
}

struct World {
    disk: SimDisk,
    clock: SimClock,
    engine: Engine,
    lives: u64,
}

fn start(disk: &SimDisk, clock: &SimClock, life: u64) -> Engine {
    keeping(&registry())
        .background(Background::Manual)
        .segment_bytes(64 << 10)
        .log_limit_bytes(64 << 10)
        .checkpoint_cache_bytes(1 << 20)
        .remember_outcomes_for(Duration::from_secs(1_800))
        .remember_keys_for(Duration::from_secs(3 * 3_600))
        .clock(clock.clone())
        .entropy(SimEntropy::new(life))
        .open_on(disk.clone())
        .unwrap()
}

fn name(account: u8) -> String {
    ["ann", "bob", "cid", "dan"][usize::from(account)].to_owned()
}

impl World {
    fn new() -> Self {
        let (disk, clock) = (SimDisk::new(), SimClock::new(1_700_000_000_000_000_000, 1_000));
        disk.assume_powersafe("checkpoint.redb");
        let engine = start(&disk, &clock, 0);
        Self { disk, clock, engine, lives: 0 }
    }

    fn request(&self, name: Option<u8>) -> Request {
        name.map_or_else(Request::unkeyed, |name| Request::new(key(&name.to_string())))
    }

    fn expect(&self, account: &str, expect: u8) -> Expect {
        match expect {
            0 | 1 => Expect::Any,
            2 => Expect::Absent,
            3 => Expect::Present,
            4 => Expect::Version(Version::new(1)),
            _ => {
                let there = self.engine.get(&ACCOUNTS, account).unwrap();
                there.map_or(Expect::Absent, |there| Expect::Version(there.version))
            }
        }
    }

    fn commit(&self, request: Request) -> Result<(), Error> {
        self.engine.commit(request).map(drop)
    }

    fn act(&mut self, act: &Act) -> Result<(), Error> {
        let engine = &self.engine;
        match act.clone() {
            Act::Put { account, cents, expect, key } => {
                let (account, cents) = (name(account), cents * 3);
                let expect = self.expect(&account, expect);
                self.commit(self.request(key).put(&ACCOUNTS, &account, &cents, expect).actor("me"))
            }
            Act::Add { account, delta, key } => {
                self.commit(self.request(key).add(&ACCOUNTS, &name(account), delta, -900..=900))
            }
            Act::Order { order, state, key } => {
                let state = ["pending", "paid", "other"][usize::from(state)].to_owned();
                self.commit(self.request(key).put(&ORDERS, &u64::from(order), &state, Expect::Any))
            }
            Act::Delete { account, expect } => {
                let account = name(account);
                let expect = self.expect(&account, expect);
                self.commit(Request::unkeyed().delete(&ACCOUNTS, &account, expect))
            }
            Act::Batch { account, delta, key } => {
                let account = name(account);
                let request = self
                    .request(Some(key))
                    .add(&ACCOUNTS, &account, delta, -900..=900)
                    .put(&ORDERS, &9, &"pending".to_owned(), Expect::Any)
                    .add(&ACCOUNTS, &account, -delta, -100..=900)
                    .delete(&ACCOUNTS, "nobody", Expect::Any)
                    .result(&delta);
                engine.commit(request).map(drop)
            }
            Act::Update { account, delta, key: named, refuse } => {
                let account = name(account);
                let update = engine.update::<i64, Refused>(key(&named.to_string()), &delta, |tx| {
                    let there = tx.get(&ACCOUNTS, &account)?.map_or(0, |there| there.value);
                    if refuse {
                        return Err(Abort::Reject(Refused::Insufficient));
                    }
                    tx.put(&ACCOUNTS, &account, &(there + delta))?;
                    Ok(there)
                });
                update.map(drop)
            }
            Act::Call { from, to, cents, second, key: named } => {
                let (this, key) = (ten(&name(from), &name(to), cents), key(&named.to_string()));
                if second {
                    engine.call(key, &Transfer2(this)).map(drop)
                } else {
                    engine.call(key, &this).map(drop)
                }
            }
            Act::Fence { key: named } => engine.fence(&key(&named.to_string())).map(drop),
            Act::Mode { read_only: true } => {
                engine.set_mode(Mode::ReadOnly { reason: "a while".into() }).map(drop)
            }
            Act::Mode { read_only: false } => engine.set_mode(Mode::ReadWrite).map(drop),
            Act::Later { minutes } => {
                self.clock.advance(Duration::from_secs(u64::from(minutes) * 60));
                Ok(())
            }
            Act::Checkpoint => engine.checkpoint(),
            Act::Step => engine.run_background_step().map(drop),
            Act::Reopen { clean } => {
                self.lives += 1;
                if clean {
                    engine.clone().close().unwrap();
                    self.engine = start(&self.disk, &self.clock, self.lives);
                } else {
                    let disk = self.disk.after_power_cut(&Choice::Seeded(self.lives));
                    let engine = start(&disk, &self.clock, self.lives);
                    self.disk.crash_at(self.disk.io_count() + 1);
                    (self.disk, self.engine) = (disk, engine);
                }
                Ok(())
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_was_done_comes_out_the_same(acts in prop::collection::vec(act(), 1..120)) {
        let mut world = World::new();
        for act in &acts {
            // What is refused is not logged.
            if let Err(error) = world.act(act) {
                use steadfast::ErrorKind::{Corruption, Indeterminate, Io, Poisoned};
                let wrong = [Io, Corruption, Poisoned, Indeterminate].contains(&error.kind());
                prop_assert!(!wrong, "{act:?}: {error}");
            }
        }
        let left = [world.disk.after_power_cut(&Choice::None), world.disk.after_kill()];
        let written = world.engine.durable_seq();
        for disk in left {
            let before = disk.digest();
            let report = verify_on(disk.clone(), &registry()).unwrap();
            prop_assert!(report.is_exact(), "{report}");
            prop_assert_eq!(report.coverage, Coverage::Whole);
            prop_assert_eq!(report.recovery.applied_seq, written);
            prop_assert_eq!(disk.digest(), before);
        }
    }
}
