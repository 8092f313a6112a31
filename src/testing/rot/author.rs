//! Writes the scenes: an engine, its model, and a picture of the medium at every turn.

use super::{
    super::model::{Model, Order},
    image,
    layout::Layout,
    scene::{Moment, Scene, Subject, open, order},
};
use crate::{
    Engine, Error, Outcome, SeqNo,
    disk::{Choice, SimDisk},
    format::names,
};
use std::collections::BTreeMap;

/// Writes a scene.
pub(super) struct Author {
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
    pub fn new(seed: u64) -> Self {
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
    pub fn middle(&mut self, closed: bool) {
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
    pub fn torn(&mut self) {
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

    pub fn trimmed(&mut self, closed: bool) {
        self.open();
        for _ in 0..3 {
            self.commit(11);
            self.checkpoint();
        }
        self.commit(4);
        if closed { self.close() } else { self.cut(&Choice::None) }
    }

    /// Writes until a segment is full, and cuts the power before the next has its first group.
    pub fn rotating(&mut self) {
        let begin = |author: &mut Self| {
            author.open();
            author.commit(6);
            author.checkpoint();
            author.background();
        };
        let mut measured = Self::new(self.seed);
        begin(&mut measured);
        let note = format!("create {}", names::newest(3));
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
    pub fn large(&mut self) {
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

    pub fn open(&mut self) {
        let engine = open(&self.disk, self.seed, self.lives).expect("nothing is damaged");
        self.lives += 1;
        self.model.compare(&engine).expect("nothing is damaged");
        self.engine = Some(engine);
        self.remember();
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("it is open")
    }

    pub fn commit(&mut self, orders: u64) {
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

    fn agree(&mut self, order: &Order, answer: &Outcome<Vec<u8>>) {
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

    pub fn checkpoint(&mut self) {
        self.engine().checkpoint().expect("nothing is damaged");
        self.remember();
    }

    pub fn background(&mut self) {
        while self.engine().run_background_step().expect("nothing is damaged") {}
        self.remember();
    }

    pub fn close(&mut self) {
        let engine = self.engine.take().expect("it is open");
        engine.close().expect("nothing is damaged");
        self.disk = self.disk.after_power_cut(&Choice::None);
        self.remember();
    }

    /// Cuts the power, or keeps it off.
    pub fn cut(&mut self, choice: &Choice) {
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

    pub fn subject(mut self, scene: Scene) -> Subject {
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
