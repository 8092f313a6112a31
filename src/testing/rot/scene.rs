//! Directories in every condition in which damage can meet them.

use super::{
    super::model::{Action, Model, Operation, Order},
    author::Author,
    image::{self, Files},
    layout::Layout,
};
use crate::{
    Background, Engine, Error, Expect, SeqNo,
    disk::{Choice, SimClock, SimDisk, SimEntropy},
};
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// A directory in some condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[non_exhaustive]
pub enum Scene {
    /// Made and closed, without an entry.
    Empty,
    /// Several segments, a checkpoint in the middle of the log; closed.
    Clean,
    /// The same, not closed.
    Crashed,
    /// Not closed, and the power was cut while a group was being written.
    Torn,
    /// That again, opened once more and written to, and not closed.
    Recovered,
    /// Three checkpoints, and segments they made unnecessary are gone; not closed.
    Trimmed,
    /// The same, closed.
    TrimmedClean,
    /// The power was cut between the name of a new segment and its first group.
    Rotating,
    /// Killed right after a checkpoint, with the next segment being prepared.
    Settled,
    /// Closed, with a checkpoint that does not fit into the cache.
    Large,
}

impl Scene {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Empty,
        Self::Clean,
        Self::Crashed,
        Self::Torn,
        Self::Recovered,
        Self::Trimmed,
        Self::TrimmedClean,
        Self::Rotating,
        Self::Settled,
        Self::Large,
    ];

    /// The small ones, which are quick to open: all but [`Large`](Self::Large).
    pub const SMALL: [Self; 9] = {
        let [small @ .., _] = Self::ALL;
        small
    };

    /// Sets the scene.
    ///
    /// # Panics
    /// When the engine does what it must not do without any damage.
    pub(super) fn subject(self, seed: u64) -> Subject {
        let mut author = Author::new(seed);
        match self {
            Self::Empty => {
                author.open();
                author.close();
            }
            Self::Clean => author.middle(true),
            Self::Crashed => author.middle(false),
            Self::Torn => author.torn(),
            Self::Recovered => {
                author.torn();
                author.open();
                author.commit(5);
                author.cut(&Choice::None);
            }
            Self::Trimmed => author.trimmed(false),
            Self::TrimmedClean => author.trimmed(true),
            Self::Rotating => author.rotating(),
            Self::Settled => {
                author.open();
                author.commit(20);
                author.background();
                author.checkpoint();
                author.cut(&Choice::None);
            }
            Self::Large => author.large(),
        }
        author.subject(self)
    }
}

/// A database, with all that is known of it.
#[derive(Debug)]
pub(super) struct Subject {
    pub scene: Scene,
    pub seed: u64,
    /// Nothing is pending on it.
    pub disk: SimDisk,
    pub files: Files,
    /// What was on the medium earlier, oldest first.
    pub moments: Vec<Moment>,
    /// All that was acknowledged.
    pub model: Model,
    /// The model after each entry, by its number.
    pub history: BTreeMap<SeqNo, Model>,
    pub layout: Layout,
    /// The entry the checkpoint stands at.
    pub checkpoint_seq: SeqNo,
    /// How often it was opened.
    pub lives: u64,
    /// The first idempotency key not in use.
    pub name: u64,
}

/// What was on the medium once, and all that had been acknowledged then.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub files: Files,
    pub model: Model,
}

impl Subject {
    /// The number of the last segment; 0 for none.
    pub(super) fn last_segment(&self) -> u64 {
        image::segments(&self.files).last_key_value().map_or(0, |(number, _)| *number)
    }

    /// The files of each moment.
    pub(super) fn older(&self) -> Vec<&Files> {
        self.moments.iter().map(|moment| &moment.files).collect()
    }

    /// Opens a damaged copy, so many lives after the last one of the scene.
    pub(super) fn open(&self, disk: &SimDisk, after: u64) -> Result<Engine, Error> {
        open(disk, self.seed, self.lives + after)
    }
}

/// Opens a database. In every life it is later, and other random numbers come up.
pub(super) fn open(disk: &SimDisk, seed: u64, life: u64) -> Result<Engine, Error> {
    let clock = SimClock::new(1_700_000_000_000_000_000, 1_000);
    clock.advance(Duration::from_secs(life * 60));
    Engine::builder()
        .background(Background::Manual)
        .segment_bytes(64 << 10)
        .memtable_limit_bytes(16 << 20)
        .log_limit_bytes(64 << 20)
        .checkpoint_cache_bytes(1 << 20)
        .clock(clock)
        .entropy(SimEntropy::new(seed.wrapping_mul(1 << 20).wrapping_add(life)))
        .open_on(disk.clone())
}

/// An order of a scene, or one that is tried after damage: commits and refusals of every kind, results of one sector and of
/// several blocks.
pub(super) fn order(model: &Model, name: u64) -> Order {
    let value = name as i64;
    let key = (name % 13) as u32;
    let operation = |key, expect, action| Operation { key, expect, action };
    let put = |key, expect| operation(key, expect, Action::Put(value));
    let add = |delta| {
        let action = Action::Add { delta, bounds: (0, 1_000_000) };
        operation(50, Expect::Any, action)
    };
    let there = |key| model.records().get(&key).map(|held| Expect::Version(held.version));
    let (operations, result_bytes) = match name % 7 {
        0 => (vec![put(key, Expect::Any)], 0),
        1 => (vec![put(key, Expect::Absent)], 20),
        2 => (vec![add(value)], 700),
        3 => {
            let delete = operation(key, Expect::Present, Action::Delete);
            (vec![delete, put(100 + key, Expect::Any)], 300)
        }
        4 => (vec![put(key, there(key).unwrap_or(Expect::Absent)), add(1)], 40),
        5 => (vec![add(10_000_000)], 20),
        _ => (vec![put(key, Expect::Any), operation(200, Expect::Absent, Action::Check)], 5_000),
    };
    Order { name: Some(name), operations, result_bytes }
}
