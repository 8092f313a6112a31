//! What an operation is promised beyond its outcome.

use super::{super::input::Input, KEYS, Run, open};
use crate::{
    Expect, Mode,
    disk::Choice,
    testing::{
        fuzz::subject::abandon,
        model::{Action, At, Deed, Operation, Order, Terms},
    },
};

impl Run {
    fn put(&mut self, input: &mut Input<'_>) -> Order {
        let (key, action) = (input.below(KEYS) as u32, Action::Put(i64::from(input.u8())));
        let name = input.flag().then_some(self.name);
        self.name += 1;
        let operations = vec![Operation { key, expect: Expect::Any, action }];
        Order { name, operations, result_bytes: 20 }
    }

    /// A name that was given, or the next one.
    fn any_name(&mut self, input: &mut Input<'_>) -> u64 {
        let name = 1 + u64::from(input.u8()) % self.name;
        self.name = self.name.max(name + 1);
        name
    }

    /// A key is fenced; then its request comes.
    pub(super) fn fence(&mut self, input: &mut Input<'_>) {
        let name = self.any_name(input);
        self.ask(&Deed::Fence(name), Terms::default());
        let late = Order { name: Some(name), ..self.put(input) };
        self.ask(&late.into(), Terms::default());
    }

    /// While the database rests nothing new happens.
    pub(super) fn rest(&mut self, input: &mut Input<'_>) {
        let reason = "a while".to_owned();
        self.ask(&Deed::Mode(Mode::ReadOnly { reason }), Terms::default());
        let order = self.put(input);
        self.ask(&order.into(), Terms::default());
        let name = self.any_name(input);
        self.ask(&Deed::Fence(name), Terms::default());
        if input.flag() {
            self.engine.checkpoint().unwrap_or_else(|error| panic!("{error}"));
        }
        self.compare();
        self.ask(&Deed::Mode(Mode::ReadWrite), Terms::default());
    }

    /// A request that is late, or that wants no answer that was given before.
    pub(super) fn once(&mut self, input: &mut Input<'_>) {
        let order = if input.flag() { self.put(input) } else { self.order(input) };
        let again = self.remembered(input).filter(|_| input.flag());
        let (late, rejects_duplicates) = (input.flag(), input.flag());
        let terms = Terms { late, rejects_duplicates, buffered: false };
        self.ask(&again.unwrap_or(order).into(), terms);
    }

    /// Answers that are not durable, until they are synced, or lost from some point on.
    pub(super) fn buffered(mut self, input: &mut Input<'_>) -> Self {
        let mut models = vec![self.model.clone()];
        let terms = Terms { buffered: true, ..Terms::default() };
        for _ in 0..=input.below(4) {
            let deed = Deed::from(self.put(input));
            let answer = deed.call(&self.engine, terms);
            let answer = answer.unwrap_or_else(|error| panic!("{deed:?}: {error}"));
            let applied = self.engine.snapshot_applied();
            let at = At { seq: applied.seq(), time: Some(self.engine.window().time) };
            self.agree(&deed, terms, &answer, at);
            let shown = self.model.compare_snapshot(&applied);
            shown.unwrap_or_else(|what| panic!("{what}"));
            models.push(self.model.clone());
        }
        let durable = self.engine.durable_seq();
        let readable = models.iter().find(|model| model.last() == durable);
        // Before the first entry there is no number to compare.
        let readable = readable.unwrap_or(&models[0]).compare(&self.engine);
        readable.unwrap_or_else(|what| panic!("{what}"));
        if input.flag() {
            let last = self.engine.sync().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(last, self.model.last(), "a sync makes everything durable");
            return self;
        }
        let told = self.model.last();
        let left = match input.flag() {
            true => self.disk.after_kill(),
            false => self.disk.after_power_cut(&Choice::None),
        };
        abandon(&self.disk, self.engine);
        self.held.clear();
        self.life += 1;
        let engine = open(&left, &self.clock, self.life);
        let engine = engine.unwrap_or_else(|error| panic!("{error}"));
        let applied = engine.recovery().applied_seq;
        let there = models.into_iter().rev().find(|model| model.last() == applied);
        let mut model = there.unwrap_or_else(|| panic!("the log ends at {applied}"));
        model.pass(told);
        let run = Self { disk: left, engine, model, ..self };
        run.compare();
        run
    }
}
