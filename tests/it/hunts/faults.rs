//! One call of the disk fails, once, for each call there is: callers are told the truth, what was acknowledged stays, and
//! after the fault a fresh opening goes on.

use super::{Found, Hunted, Tally, hunt, loss, refusal, violation};
use crate::support::key;
use std::{collections::BTreeMap, io::ErrorKind as Io};
use steadfast::{
    Background, Engine, Error, Keyspace, Request, SeqNo,
    testing::{Choice, Repeat, SimClock, SimDisk, SimEntropy},
};

const SUMS: Keyspace<u32, i64> = Keyspace::new("sums");
const REQUESTS: u32 = 12;

/// What the caller of a request knows of it.
#[derive(Clone, Copy, Debug)]
enum Told {
    Done(SeqNo),
    /// The log decides.
    Unknown,
    /// Nothing happened.
    Nothing,
}

fn open(disk: &SimDisk, seed: u64) -> Result<Engine, Error> {
    Engine::builder()
        .clock(SimClock::new(1_700_000_000_000_000_000, 1_000))
        .entropy(SimEntropy::new(seed))
        .background(Background::Manual)
        .checkpoint_cache_bytes(1 << 20)
        .segment_bytes(64 << 10)
        .open_on(disk.clone())
}

/// Counts to one under a key, whatever becomes of it and however often it is repeated.
fn add(n: u32) -> Request<u32> {
    Request::new(key(&format!("add {n}"))).add(&SUMS, &n, 1, 0..=9).result(&n)
}

fn commit(engine: &Engine, n: u32) -> Told {
    match engine.commit(add(n)) {
        Ok(outcome) => Told::Done(outcome.committed().expect("it is within its bounds").seq),
        Err(Error::Indeterminate { .. }) => Told::Unknown,
        Err(_) => Told::Nothing,
    }
}

/// Callers who do not give up when one of them fails; a checkpoint in between.
fn work(engine: &Engine) -> BTreeMap<u32, Told> {
    let mut told = BTreeMap::new();
    for n in 0..REQUESTS {
        told.insert(n, commit(engine, n));
        if n == REQUESTS / 3 || n == REQUESTS / 2 {
            let _ = engine.checkpoint();
        }
    }
    told
}

/// A database that was closed, with a checkpoint and a log.
fn closed() -> SimDisk {
    let disk = SimDisk::new();
    disk.assume_powersafe("checkpoint.redb");
    let engine = open(&disk, 1).expect("an empty disk");
    commit(&engine, 100);
    engine.checkpoint().expect("a sound disk");
    commit(&engine, 101);
    engine.close().expect("a sound disk");
    disk.after_power_cut(&Choice::None)
}

fn check(disk: &SimDisk, told: &BTreeMap<u32, Told>, tally: &mut Tally) -> Result<(), Found> {
    let engine = open(disk, 3).map_err(refusal)?;
    tally.openings += 1;
    let sum = |n: u32| engine.get(&SUMS, &n).map(|record| record.map_or(0, |record| record.value));
    for (&n, told) in told {
        let there = sum(n).map_err(violation)?;
        match told {
            Told::Done(_) if there == 0 => return Err(loss(format!("request {n} is lost"))),
            Told::Nothing if there != 0 => {
                return Err(violation(format!("request {n} is there, and nothing had happened")));
            }
            _ => {}
        }
        let outcome = engine.commit(add(n)).map_err(violation)?;
        let receipt = outcome.committed().map_err(violation)?;
        let first = match told {
            Told::Done(seq) => receipt.replayed && receipt.seq == *seq,
            _ => receipt.replayed == (there == 1),
        };
        if !first || sum(n).map_err(violation)? != 1 {
            return Err(violation(format!("request {n}, {told:?}, was repeated: {receipt:?}")));
        }
    }
    for n in 200..210 {
        engine.commit(add(n)).map_err(violation)?.committed().map_err(violation)?;
    }
    engine.close().map(drop).map_err(violation)
}

/// Every way the machine can come up again.
fn aftermaths(disk: &SimDisk, salt: u64) -> Vec<SimDisk> {
    let choices = [Choice::None, Choice::All, Choice::Seeded(salt), Choice::Seeded(!salt)];
    let mut disks: Vec<_> = choices.iter().map(|choice| disk.after_power_cut(choice)).collect();
    disks.push(disk.after_kill());
    disks
}

/// Each changing call of a run fails.
pub fn writes() -> Hunted {
    hunt(|tally| {
        let closed = closed();
        for call in 1.. {
            let disk = closed.snapshot();
            let engine = open(&disk, 2).map_err(refusal)?;
            disk.fail_call(disk.io_count() + call, Io::Other, Repeat::Once);
            tally.runs += 1;
            let before = disk.io_count();
            let told = work(&engine);
            let struck = disk.io_count() >= before + call;
            tally.faults += u64::from(struck);
            disk.clear_faults();
            let left = disk.snapshot();
            drop(engine);
            for left in aftermaths(&left, call).into_iter().chain([disk.after_kill()]) {
                tally.crashes += 1;
                check(&left, &told, tally)?;
            }
            if !struck {
                return Ok(());
            }
        }
        unreachable!("a run ends")
    })
}

/// Each reading call of an opening fails, of a database that was not closed.
pub fn reads() -> Hunted {
    hunt(|tally| {
        let disk = closed();
        let engine = open(&disk, 2).map_err(refusal)?;
        let told = work(&engine);
        let unclean = disk.after_power_cut(&Choice::None);
        drop(engine);
        for call in 1.. {
            let disk = unclean.snapshot();
            disk.fail_read(call, Io::Other, Repeat::Once);
            tally.runs += 1;
            let opened = open(&disk, 2);
            let struck = disk.read_count() >= call;
            tally.faults += u64::from(struck);
            disk.clear_faults();
            match opened {
                Ok(engine) => drop(engine),
                Err(Error::Io { .. }) => {}
                Err(error) => {
                    return Err(refusal(format!("after an error while reading: {error}")));
                }
            }
            tally.crashes += 1;
            check(&disk.after_kill(), &told, tally)?;
            if !struck {
                return Ok(());
            }
        }
        unreachable!("an opening ends")
    })
}

#[test]
fn whichever_call_fails_callers_are_told_the_truth() {
    for (name, hunted) in [("writes", writes()), ("reads", reads())] {
        super::assert_clean(name, &hunted);
        let tally = hunted.0;
        assert!(tally.faults > 20 && tally.openings > 20, "{name}: {tally}");
    }
}
