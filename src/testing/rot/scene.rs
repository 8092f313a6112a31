//! Directories in every condition in which damage can meet them.

use super::{
    super::model::{Action, Model, Operation, Order},
    image::{self, Files},
    layout::Layout,
};
use crate::{
    Background, Engine, Error, Expect, SeqNo,
    disk::{Choice, SimClock, SimDisk, SimEntropy},
    format::names,
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
fn open(disk: &SimDisk, seed: u64, life: u64) -> Result<Engine, Error> {
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

/// Writes a scene.
struct Author {
    seed: u64,
    disk: SimDisk,
    engine: Option<Engine>,
    model: Model,
    history: BTreeMap<SeqNo, Model>,
    moments: Vec<Moment>,
    lives: u64,
    name: u64,
}

impl Author {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            disk: SimDisk::new(),
            engine: None,
            model: Model::default(),
            history: BTreeMap::new(),
            moments: Vec::new(),
            lives: 0,
            name: 1,
        }
    }

    /// A log of several segments with a checkpoint in its middle, written by two openings.
    fn middle(&mut self, closed: bool) {
        self.open();
        self.commit(12);
        self.checkpoint();
        self.commit(9);
        self.background();
        self.close();
        self.open();
        self.commit(8);
        self.burst(3);
        self.commit(2);
        if closed { self.close() } else { self.cut(&Choice::None) }
    }

    /// The first sector of a group of several is on the medium, the others are not.
    fn torn(&mut self) {
        self.middle(false);
        self.open();
        self.commit(4);
        // The second of these is the sync.
        self.disk.crash_at(self.disk.io_count() + 2);
        let lost = Order { result_bytes: 9_000, ..order(&self.model, self.name) };
        self.name += 1;
        self.fail(&lost);
        let first = *self.disk.telling_units().first().expect("a group was being written");
        self.cut(&Choice::Only(first));
    }

    fn trimmed(&mut self, closed: bool) {
        self.open();
        for _ in 0..3 {
            self.commit(11);
            self.checkpoint();
        }
        self.commit(4);
        if closed { self.close() } else { self.cut(&Choice::None) }
    }

    /// Writes until a segment is full, and cuts the power before the next has its first group.
    fn rotating(&mut self) {
        let begin = |author: &mut Self| {
            author.open();
            author.commit(6);
            author.checkpoint();
            author.background();
        };
        let mut measured = Self::new(self.seed);
        begin(&mut measured);
        let note = format!("rename {} {}", names::newest(2), names::newest(3));
        let noted = loop {
            measured.commit(1);
            let trace = measured.disk.trace();
            if let Some(call) = trace.iter().position(|call| *call == note) {
                break call as u64 + 1;
            }
        };
        let orders = measured.name - 1;
        measured.cut(&Choice::None);
        begin(self);
        self.commit(orders - self.name);
        // Right after the note.
        self.disk.crash_at(noted + 1);
        let lost = order(&self.model, self.name);
        self.name += 1;
        self.fail(&lost);
        self.cut(&Choice::All);
    }

    /// Outcomes of several MiB, all in the checkpoint.
    fn large(&mut self) {
        self.open();
        for _ in 0..3 {
            for _ in 0..24 {
                let order = Order { result_bytes: 40_000, ..order(&self.model, self.name) };
                self.take(&order);
            }
            self.checkpoint();
        }
        self.commit(3);
        self.close();
    }

    fn open(&mut self) {
        let engine = open(&self.disk, self.seed, self.lives).expect("nothing is damaged");
        self.lives += 1;
        self.model.compare(&engine).expect("nothing is damaged");
        self.engine = Some(engine);
        self.remember();
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("it is open")
    }

    fn commit(&mut self, orders: u64) {
        for _ in 0..orders {
            self.take(&order(&self.model, self.name));
        }
    }

    fn take(&mut self, order: &Order) {
        let answer = self.engine().commit(order.request()).expect("nothing is damaged");
        self.agree(order, &answer);
        self.name += 1;
        if self.name.is_multiple_of(4) {
            self.remember();
        }
    }

    /// Several orders in one group.
    fn burst(&mut self, orders: u64) {
        let mut ahead = self.model.clone();
        let (engine, mut handed_in) = (self.engine().clone(), Vec::new());
        for name in self.name..self.name + orders {
            let order = order(&ahead, name);
            handed_in.push((engine.submit(order.request()), order.clone()));
            ahead.carry_out(&order, SeqNo::new(ahead.last().get() + 1));
        }
        self.name += orders;
        while engine.run_background_step().expect("nothing is damaged") {}
        for (ticket, order) in handed_in {
            let answer = ticket.wait().expect("nothing is damaged");
            // Those of a group that are refused can't be told from the last of it.
            let last = SeqNo::new(self.model.last().get() + 1);
            self.model.agree(&order, &answer, last).expect("nothing is damaged");
            self.history.insert(self.model.last(), self.model.clone());
        }
        self.remember();
    }

    fn agree(&mut self, order: &Order, answer: &crate::Outcome<Vec<u8>>) {
        let durable = self.engine().durable_seq();
        self.model.agree(order, answer, durable).expect("nothing is damaged");
        self.history.insert(self.model.last(), self.model.clone());
    }

    /// An order that meets the end of the power.
    fn fail(&mut self, order: &Order) {
        match self.engine().commit(order.request()) {
            Err(Error::Indeterminate { seq }) => self.model.pass(seq),
            Err(Error::Io { .. } | Error::Poisoned { .. }) => {}
            other => panic!("the power is off, and {other:?}"),
        }
    }

    fn checkpoint(&mut self) {
        self.engine().checkpoint().expect("nothing is damaged");
        self.remember();
    }

    fn background(&mut self) {
        while self.engine().run_background_step().expect("nothing is damaged") {}
        self.remember();
    }

    fn close(&mut self) {
        let engine = self.engine.take().expect("it is open");
        engine.close().expect("nothing is damaged");
        self.disk = self.disk.after_power_cut(&Choice::None);
        self.remember();
    }

    /// Cuts the power, or keeps it off.
    fn cut(&mut self, choice: &Choice) {
        if !self.disk.powered_off() {
            self.disk.crash_at(self.disk.io_count() + 1);
        }
        self.engine = None;
        self.disk = self.disk.after_power_cut(choice);
        self.remember();
    }

    /// Keeps what is on the medium now, if it is another than the last time.
    fn remember(&mut self) {
        let files = image::files(&self.disk.after_power_cut(&Choice::None));
        if self.moments.last().is_none_or(|moment| moment.files != files) {
            self.moments.push(Moment { files, model: self.model.clone() });
        }
    }

    fn subject(mut self, scene: Scene) -> Subject {
        // The last moment is the present.
        self.moments.pop();
        let Self { seed, disk, model, mut history, moments, lives, name, .. } = self;
        history.insert(model.last(), model.clone());
        history.entry(SeqNo::new(0)).or_default();
        let files = image::files(&disk);
        let layout = Layout::of(&files);
        let mut subject = Subject {
            scene,
            seed,
            disk,
            files,
            moments,
            model,
            history,
            layout,
            checkpoint_seq: SeqNo::new(0),
            lives,
            name,
        };
        let sound = subject.open(&subject.disk.snapshot(), 0).expect("nothing is damaged");
        subject.checkpoint_seq = sound.recovery().checkpoint_seq;
        subject.model.compare(&sound).expect("nothing is damaged");
        let last = subject.layout.last_seq().max(subject.checkpoint_seq);
        assert_eq!(last, subject.model.last(), "{scene:?}: the layout is not that of the log");
        subject
    }
}
