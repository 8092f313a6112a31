//! How the stored directories were written: fixed operations on a simulated machine, the same bytes every time.

use super::archive::Files;
use crate::support::key;
use steadfast::{
    Abort, Background, Bytes, Engine, Error, Expect, Keyspace, Outcome, Rejection, Request,
    Version,
    testing::{Choice, SimClock, SimDisk, SimEntropy},
};

pub const TEXTS: Keyspace<u32, String> = Keyspace::new("texts");
pub const TOTALS: Keyspace<String, i64> = Keyspace::new("totals");
pub const RAW: Keyspace<(u8, String), Bytes> = Keyspace::raw("raw");

/// How many requests there are to retry.
pub const REQUESTS: u32 = 40;

/// A directory in some condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// Made and closed.
    Empty,
    /// Closed, with a checkpoint in the middle of the log.
    Clean,
    /// The same, not closed.
    Crashed,
    /// Not closed, and the power was cut while a group was being written.
    Torn,
    /// Not closed, and a bit is wrong in the middle of the log.
    MidlogFlip,
    /// Closed after three checkpoints; the segments they made unnecessary are gone.
    Trimmed,
    /// As `Clean`, with the other codec.
    Postcard,
}

impl Scene {
    pub const ALL: [Self; 7] = [
        Self::Empty,
        Self::Clean,
        Self::Crashed,
        Self::Torn,
        Self::MidlogFlip,
        Self::Trimmed,
        Self::Postcard,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Clean => "clean",
            Self::Crashed => "crashed",
            Self::Torn => "torn",
            Self::MidlogFlip => "midlog_flip",
            Self::Trimmed => "trimmed",
            Self::Postcard => "postcard",
        }
    }

    /// The codec of its values.
    pub fn codec(self) -> &'static str {
        if self == Self::Postcard { "Postcard" } else { "Bincode" }
    }

    /// Whether this build has its codec as the default, which its keyspaces go by.
    pub fn can_be_read(self) -> bool {
        self.codec() == format!("{:?}", steadfast::Codec::DEFAULT)
    }

    /// Writes it.
    pub fn files(self) -> Files {
        let disk = SimDisk::new();
        let disk = match self {
            Self::Empty => closed(open(&disk, 1), &disk),
            Self::Clean | Self::Postcard => closed(middle(&disk), &disk),
            Self::Crashed => killed(middle(&disk), &disk),
            Self::Torn => torn(middle(&disk), &disk),
            Self::MidlogFlip => {
                let disk = killed(middle(&disk), &disk);
                // In the body of the second group of the last segment.
                disk.flip_bit("segments/00000000000000000003", 3 * 4096 + 140, 5).unwrap();
                disk
            }
            Self::Trimmed => {
                let engine = open(&disk, 1);
                for third in [0..14, 14..28, 28..36] {
                    third.for_each(|n| drop(answer(&engine, n).unwrap()));
                    engine.checkpoint().unwrap();
                }
                (36..REQUESTS).for_each(|n| drop(answer(&engine, n).unwrap()));
                closed(engine, &disk)
            }
        };
        disk.files()
            .into_iter()
            .map(|(name, _)| (name.clone(), disk.read_file(&name).unwrap()))
            .collect()
    }
}

fn open(disk: &SimDisk, seed: u64) -> Engine {
    Engine::builder()
        .background(Background::Manual)
        .segment_bytes(64 << 10)
        .checkpoint_cache_bytes(1 << 20)
        .clock(SimClock::new(1_700_000_000_000_000_000 + seed * 1_000_000_000, 1_000))
        .entropy(SimEntropy::new(seed))
        .open_on(disk.clone())
        .unwrap()
}

/// A checkpoint in the middle of a log of two openings; the second writes segment 3.
fn middle(disk: &SimDisk) -> Engine {
    let engine = open(disk, 1);
    (0..6).for_each(|n| drop(answer(&engine, n).unwrap()));
    engine.checkpoint().unwrap();
    (6..10).for_each(|n| drop(answer(&engine, n).unwrap()));
    engine.close().unwrap();
    let engine = open(disk, 2);
    (10..16).for_each(|n| drop(answer(&engine, n).unwrap()));
    engine
}

fn closed(engine: Engine, disk: &SimDisk) -> SimDisk {
    engine.close().unwrap();
    disk.after_power_cut(&Choice::None)
}

fn killed(engine: Engine, disk: &SimDisk) -> SimDisk {
    disk.crash_at(disk.io_count() + 1);
    drop(engine);
    disk.after_power_cut(&Choice::None)
}

/// Of the last group only the first sector reached the medium.
fn torn(engine: Engine, disk: &SimDisk) -> SimDisk {
    disk.crash_at(disk.io_count() + 2);
    let request = Request::new(key("torn")).put(&TEXTS, &99, &"torn ".repeat(300), Expect::Any);
    let failed = engine.commit(request);
    assert!(matches!(failed, Err(Error::Indeterminate { .. })), "{failed:?}");
    let first = disk.telling_units()[0];
    drop(engine);
    disk.after_power_cut(&Choice::Only(first))
}

/// Commits request `n`, or retries it: commits, refusals and deletions of every kind that the log can hold.
pub fn answer(engine: &Engine, n: u32) -> Result<Outcome<u32, String>, Error> {
    let name = key(&format!("request {n}"));
    if n % 8 == 7 {
        return engine.update(name, &("double", n), |tx| {
            let total = tx.get(&TOTALS, "sum")?.map_or(0, |record| record.value);
            if total % 2 == 1 {
                return Err(Abort::Reject(format!("{total} is odd")));
            }
            tx.put(&TOTALS, "doubled", &(2 * total))?;
            Ok(n)
        });
    }
    let request = Request::new(name).actor(format!("actor {n}")).correlation(format!("flow {n}"));
    let text = format!("text {n}");
    let request = match n % 8 {
        0 => request.put(&TEXTS, &n, &text, Expect::Any),
        1 => request.put(&TEXTS, &(n % 4), &text, Expect::Absent),
        2 => request.add(&TOTALS, "sum", i64::from(n + 1), 0..=1_000),
        3 => request.put(&RAW, &(n as u8, text), &Bytes::from(vec![n as u8; 40]), Expect::Absent),
        4 => request.delete(&TEXTS, &(n - 4), Expect::Present).put(&TEXTS, &n, &text, Expect::Any),
        // Entry 2 was the one to write record 1, and is it still, once.
        5 if n == 5 => request.put(&TEXTS, &1, &text, Version::new(2)),
        5 => request.intent(&("check", n)).check(&TEXTS, &n, Expect::Absent),
        _ => request.add(&TOTALS, "sum", 5_000, 0..=1_000),
    };
    let outcome = engine.commit(request.result(&n))?;
    Ok(match outcome {
        Outcome::Committed(receipt) => Outcome::Committed(receipt),
        Outcome::Rejected(rejection) => Outcome::Rejected(match rejection {
            Rejection::Expectation(unmet) => Rejection::Expectation(unmet),
            Rejection::OutOfBounds(over) => Rejection::OutOfBounds(over),
            other => panic!("nothing here ends like this: {other:?}"),
        }),
    })
}
