//! Databases of which everything is known, made once for each process by the engine itself.

use super::super::model::{Action, Model, Operation, Order};
use crate::{
    Background, Engine, Error, Expect,
    disk::{Choice, Disk, SimClock, SimDisk, SimEntropy},
    format::names,
};
use std::{sync::OnceLock, time::Duration};

/// How a database was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Closed after checkpoints, several segments, and more entries.
    Closed,
    /// The same, but the power was cut: all that was acknowledged is on the medium.
    Crashed,
    /// The power was cut in the middle of a write, and part of a group is there.
    Torn,
    /// Made, and closed with nothing in it.
    Empty,
    /// The power was cut while it was made.
    Unfinished,
}

/// A database, and what an opening must show.
#[derive(Debug)]
pub(super) struct Subject {
    pub disk: SimDisk,
    /// With all that was acknowledged.
    pub model: Model,
}

const ORDERS: u64 = 47;
/// Before these orders a checkpoint is written.
const CHECKPOINTS: [u64; 2] = [14, 30];

impl Left {
    pub(super) const ALL: [Self; 5] =
        [Self::Closed, Self::Crashed, Self::Torn, Self::Empty, Self::Unfinished];

    /// The database that was left like this. The caller works on a copy of its disk.
    ///
    /// # Panics
    /// When the engine fails without a fault.
    pub(super) fn subject(self) -> &'static Subject {
        static SUBJECTS: [OnceLock<Subject>; Left::ALL.len()] =
            [const { OnceLock::new() }; Left::ALL.len()];
        SUBJECTS[self as usize].get_or_init(|| self.make())
    }

    fn make(self) -> Subject {
        let disk = SimDisk::new();
        disk.assume_powersafe(names::CHECKPOINT);
        let subject = |disk, model| Subject { disk, model };
        match self {
            Self::Closed => {
                let (engine, model) = work(&disk);
                engine.close().expect("no fault is planned");
                subject(disk.after_power_cut(&Choice::None), model)
            }
            Self::Crashed => {
                let (engine, model) = work(&disk);
                let left = disk.after_power_cut(&Choice::None);
                abandon(&disk, engine);
                subject(left, model)
            }
            Self::Torn => {
                let (engine, model) = work(&disk);
                let measured = disk.io_count();
                // Of the next group the first sector reaches the disk and the others do not.
                disk.crash_at(measured + 2);
                let torn = engine.commit(order(ORDERS + 6, &model).request());
                assert!(torn.is_err(), "a write without its sync was acknowledged");
                let first = disk.telling_units().first().copied().expect("a group was written");
                let left = disk.after_power_cut(&Choice::Only(first));
                drop(engine);
                subject(left, model)
            }
            Self::Empty => {
                let engine = open(&disk, 0).expect("no fault is planned");
                engine.close().expect("no fault is planned");
                subject(disk.after_power_cut(&Choice::None), Model::default())
            }
            Self::Unfinished => {
                disk.crash_at(16);
                assert!(open(&disk, 0).is_err(), "a creation takes more than 15 calls");
                subject(disk.after_power_cut(&Choice::All), Model::default())
            }
        }
    }
}

impl Subject {
    /// The file names with their lengths, in order.
    pub(super) fn files(&self) -> Vec<(String, u64)> {
        self.disk.files()
    }
}

/// Opens with the least of everything. A later `life` is a later time and has other random numbers.
pub(super) fn open(disk: &SimDisk, life: u64) -> Result<Engine, Error> {
    let clock = SimClock::new(1_700_000_000_000_000_000, 1_000);
    clock.advance(Duration::from_secs(life * 60));
    Engine::builder()
        .accept_clock_jump(true)
        .background(Background::Manual)
        .segment_bytes(0)
        .memtable_limit_bytes(0)
        .checkpoint_cache_bytes(0)
        .clock(clock)
        .entropy(SimEntropy::new(life + 1))
        .open_on(disk.clone())
}

/// Drops an engine that must write nothing more.
pub(super) fn abandon(disk: &SimDisk, engine: Engine) {
    disk.crash_at(disk.io_count() + 1);
    drop(engine);
}

/// A request of every kind, one after the other.
pub(super) fn order(n: u64, model: &Model) -> Order {
    let key = (n % 7) as u32;
    let there = |key| model.records().get(&key).map(|record| record.version);
    let operation = |key, expect, action| Operation { key, expect, action };
    let value = Action::Put(n as i64);
    let operations = match n % 6 {
        0 => vec![operation(key, Expect::Any, value)],
        1 => vec![operation(key, Expect::Absent, value)],
        2 => vec![operation(key, there(key).map_or(Expect::Absent, Expect::Version), value)],
        3 => vec![operation(key, Expect::Any, Action::Add { delta: 5, bounds: (0, 40) })],
        4 => vec![
            operation(key, Expect::Any, Action::Delete),
            operation(100 + n as u32, Expect::Absent, value),
        ],
        _ => vec![operation(1, Expect::Any, value), operation(2, Expect::Any, value)],
    };
    let result_bytes = if n % 9 == 8 { 9_000 } else { 20 };
    Order { name: (n % 10 != 5).then_some(n), operations, result_bytes }
}

/// Carries an order out, on the engine and on the model.
///
/// # Panics
/// When they do not agree.
pub(super) fn carry_out(engine: &Engine, model: &mut Model, order: &Order) {
    let answer = engine.commit(order.request());
    let answer = answer.unwrap_or_else(|error| panic!("{order:?}: {error}"));
    let agreed = model.agree(order, &answer, engine.durable_seq());
    agreed.unwrap_or_else(|what| panic!("{what}"));
}

/// A database with everything in it, still open, and its model.
fn work(disk: &SimDisk) -> (Engine, Model) {
    let engine = open(disk, 0).expect("no fault is planned");
    let mut model = Model::default();
    for n in 0..ORDERS {
        if CHECKPOINTS.contains(&n) {
            engine.checkpoint().expect("no fault is planned");
        }
        let order = order(n, &model);
        carry_out(&engine, &mut model, &order);
    }
    let segments = disk.list(names::SEGMENTS).expect("it is there").len();
    assert!(segments >= 4, "only {segments} names among the segments");
    (engine, model)
}
