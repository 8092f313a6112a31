//! A disk on which calls fail.

use super::{
    input::Input,
    subject::{Left, abandon, carry_out, open, order},
};
use crate::{
    Engine, Error, Mode,
    disk::{Choice, Effect, Fault, Repeat, SimDisk},
    testing::{
        laws::Unknown,
        model::{At, Deed, Model, Order, Terms, key_of},
    },
};
use std::io::ErrorKind;

/// Most steps of the script.
const STEPS: usize = 16;
/// How much must succeed once the faults are over.
const AFTERWARDS: u64 = 100;

/// Orders, fences, changes of the mode, checkpoints and openings on a disk of which one or two calls fail, once or for ever, or take less than they were
/// given.
///
/// - every error is one that such a disk explains;
/// - after that a fresh opening succeeds, what was acknowledged is there, and what is not known to be there or not was
///   carried out as a whole or not at all;
/// - retries are answered as the first time, and a hundred more operations succeed.
///
/// # Panics
/// When any of that does not hold.
pub fn faults(data: &[u8]) {
    let input = &mut Input::new(data);
    let mut run = Run::new(input);
    run.open();
    for step in input.rest().iter().take(STEPS) {
        run.step(*step);
    }
    run.recover();
}

struct Run {
    disk: SimDisk,
    engine: Option<Engine>,
    model: Model,
    /// Nobody was told whether these were carried out, as the entries they would be.
    unknown: Vec<Unknown>,
    /// The number of the next order, and of the next opening.
    next: u64,
    life: u64,
    /// How the machine ends.
    power_cut: bool,
}

impl Run {
    fn new(input: &mut Input<'_>) -> Self {
        let left = input.pick(&[None, Some(Left::Closed), Some(Left::Crashed), Some(Left::Torn)]);
        let (disk, model) = match left.map(Left::subject) {
            Some(subject) => (subject.disk.after_kill(), subject.model.clone()),
            None => (SimDisk::new(), Model::default()),
        };
        for _ in 0..=input.below(2) {
            plan(input, &disk);
        }
        let power_cut = input.flag();
        Self { disk, engine: None, model, unknown: Vec::new(), next: 1 << 40, life: 1, power_cut }
    }

    fn open(&mut self) {
        self.life += 1;
        match open(&self.disk, self.life) {
            Ok(engine) => {
                self.resolve(&engine);
                self.engine = Some(engine);
            }
            Err(error) => check_kind(&error),
        }
    }

    /// What was unknown is known now.
    fn resolve(&mut self, engine: &Engine) {
        let applied = engine.recovery().applied_seq;
        assert!(applied >= self.model.last(), "the log ends at {applied}: something is lost");
        for Unknown { deed, at } in std::mem::take(&mut self.unknown) {
            if self.model.last() < applied {
                self.model.carry_out_deed(&deed, at);
            } else {
                self.model.pass(at.seq);
            }
        }
        self.model.compare(engine).unwrap_or_else(|what| panic!("{what}"));
        self.model.compare_memory(engine).unwrap_or_else(|what| panic!("{what}"));
    }

    fn step(&mut self, step: u8) {
        let Some(engine) = &self.engine else { return self.open() };
        let done = match step % 16 {
            0 | 1 => engine.checkpoint(),
            2 => engine.run_background_step().map(drop),
            3 => {
                let closed = self.engine.take().map(Engine::close).transpose();
                self.open();
                closed.map(drop)
            }
            4 => {
                let order = self.model.remembered().next_back().cloned();
                return order.iter().for_each(|order| self.commit(order));
            }
            5 => {
                self.next += 1;
                return self.hand_in(Deed::Fence(self.next - 1));
            }
            6 => {
                let reason = "a while".to_owned();
                self.hand_in(Deed::Mode(Mode::ReadOnly { reason }));
                return self.hand_in(Deed::Mode(Mode::ReadWrite));
            }
            7 => {
                let name = self.model.names().next_back();
                return name.into_iter().for_each(|name| self.resolve_name(name));
            }
            _ => {
                let order = order(self.next, &self.model);
                self.next += 1;
                return self.commit(&order);
            }
        };
        if let Err(error) = done {
            check_kind(&error);
        }
    }

    fn commit(&mut self, order: &Order) {
        self.hand_in(order.clone().into());
    }

    fn hand_in(&mut self, deed: Deed) {
        let Some(engine) = &self.engine else { return };
        let terms = Terms::default();
        match deed.call(engine, terms) {
            Ok(answer) => {
                let last = engine.durable_seq();
                let agreed = self.model.agree_on(&deed, terms, &answer, last, None);
                agreed.unwrap_or_else(|what| panic!("{what}"));
            }
            Err(Error::Indeterminate { seq }) => {
                self.unknown.push(Unknown { deed, at: At { seq, time: None } });
            }
            // The mode could not be set back.
            Err(error) if self.model.due_on(&deed, terms).is_error(&error) => {}
            Err(error) => check_kind(&error),
        }
    }

    fn resolve_name(&self, name: u64) {
        let Some(engine) = &self.engine else { return };
        match engine.resolve(&key_of(name)) {
            Ok(status) => {
                let due = self.model.status(name);
                assert!(due.is(&status), "name {name} stands for {status:?}, not for {due:?}");
            }
            Err(error) => check_kind(&error),
        }
    }

    /// On a disk without faults everything is as it was acknowledged, and everything succeeds.
    fn recover(mut self) {
        let disk = if self.power_cut {
            self.disk.after_power_cut(&Choice::None)
        } else {
            self.disk.after_kill()
        };
        if let Some(engine) = self.engine.take() {
            abandon(&self.disk, engine);
        }
        let orders = self.unknown.iter().filter_map(|unknown| unknown.deed.order());
        let unknown: Vec<_> = orders.cloned().collect();
        let engine = open(&disk, self.life + 1);
        let engine = engine.unwrap_or_else(|error| panic!("the faults are over: {error}"));
        self.resolve(&engine);
        self.engine = Some(engine);
        self.hand_in(Deed::Mode(Mode::ReadWrite));
        let engine = self.engine.take().expect("it was just opened");
        let names = self.model.names().collect::<Vec<_>>();
        let asked = self.model.compare_statuses(&engine, names);
        asked.unwrap_or_else(|what| panic!("{what}"));
        let mut model = self.model;
        let remembered: Vec<Order> = model.remembered().cloned().collect();
        let retried = remembered.iter().chain(unknown.iter().filter(|order| order.name.is_some()));
        retried.for_each(|order| carry_out(&engine, &mut model, order));
        for n in self.next..self.next + AFTERWARDS {
            let order = order(n, &model);
            carry_out(&engine, &mut model, &order);
        }
        engine.checkpoint().unwrap_or_else(|error| panic!("the faults are over: {error}"));
        model.compare(&engine).unwrap_or_else(|what| panic!("{what}"));
        engine.close().unwrap_or_else(|error| panic!("the faults are over: {error}"));
    }
}

/// Plans a failure of a changing call or of another one.
fn plan(input: &mut Input<'_>, disk: &SimDisk) {
    let changing = input.u8() < 192;
    let call = 1 + input.below(256) as u64;
    let kinds = [ErrorKind::Other, ErrorKind::StorageFull, ErrorKind::Interrupted];
    let effect = match input.below(4) {
        3 => Effect::Short(input.below(6_000)),
        kind => Effect::Error(kinds[kind]),
    };
    // Whoever is interrupted, or given nothing, for ever tries for ever.
    let endless = matches!(effect, Effect::Error(ErrorKind::Interrupted) | Effect::Short(0));
    let for_ever = input.flag() && !endless;
    let repeat = if for_ever { Repeat::Forever } else { Repeat::Once };
    let fault = Fault { call, effect, repeat };
    if changing { disk.inject(fault) } else { disk.inject_read(fault) }
}

/// The errors of a disk that fails.
fn check_kind(error: &Error) {
    let explained = matches!(
        error,
        Error::Io { .. }
            | Error::NoSpace { .. }
            | Error::Poisoned { .. }
            | Error::Indeterminate { .. }
    );
    assert!(explained, "a disk that fails does not explain: {error:?}");
}
