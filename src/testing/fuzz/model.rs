//! The engine against plain maps.

mod promises;
mod reads;

use super::{input::Input, subject::abandon};
use crate::{
    Background, Engine, Error, Expect, Keyspace, Outcome, Request, Snapshot, Version,
    disk::{Choice, SimClock, SimDisk, SimEntropy},
    testing::model::{
        Action, Answer, At, Deed, Due, Held, Kept, Model, Operation, Order, Reason, Terms,
    },
};
use reads::check_snapshot;
use std::{collections::BTreeMap, time::Duration};

/// Most steps.
const STEPS: usize = 80;
/// How long outcomes are remembered whole, and at all, in seconds.
const REMEMBERED: (u64, u64) = (600, 7_200);
/// Records in use.
const KEYS: usize = 12;
/// Keys that sort by more than their first bytes.
const TEXTS: Keyspace<(u8, String), String> = Keyspace::new("texts");

type Texts = BTreeMap<(u8, String), String>;

/// Orders of every kind, batches, several at once, retries, and keys used again for something else; fences, questions what a
/// key stands for, changes of the mode, deadlines, buffered answers that a crash takes or a sync saves, and times that pass until
/// outcomes are stubs and then forgotten; between them checkpoints, background work, closing, kills and power cuts that lose nothing acknowledged. The engine has the least of
/// memory, log and segments.
///
/// Every answer is the model's, every record, range, prefix and count is that of plain maps, and a snapshot keeps showing
/// what it showed.
///
/// # Panics
/// When any of that does not hold, or something fails.
pub fn model(data: &[u8]) {
    let input = &mut Input::new(data);
    let disk = SimDisk::new();
    let clock = SimClock::new(1_700_000_000_000_000_000, 1_000);
    let engine = open(&disk, &clock, 0).unwrap_or_else(|error| panic!("{error}"));
    let nanos = |seconds| seconds * 1_000_000_000;
    let kept = Kept { whole: nanos(REMEMBERED.0), stubs: nanos(REMEMBERED.1) };
    let (model, texts) = (Model::with(Some(kept), true), Texts::new());
    let mut run = Run { disk, clock, engine, model, texts, held: Vec::new(), name: 1, life: 0 };
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        run = run.step(input);
    }
    run.compare();
    run = run.reopen(0);
    run.retry_all();
    run.compare();
}

/// With the least of everything.
fn open(disk: &SimDisk, clock: &SimClock, life: u64) -> Result<Engine, Error> {
    let (whole, stubs) = REMEMBERED;
    Engine::builder()
        .accept_clock_jump(true)
        .remember_outcomes_for(Duration::from_secs(whole))
        .remember_keys_for(Duration::from_secs(stubs))
        .allow_buffered_keys(true)
        .background(Background::Manual)
        .segment_bytes(0)
        .memtable_limit_bytes(0)
        .checkpoint_cache_bytes(0)
        .clock(clock.clone())
        .entropy(SimEntropy::new(life + 1))
        .open_on(disk.clone())
}

struct Run {
    disk: SimDisk,
    clock: SimClock,
    engine: Engine,
    model: Model,
    texts: Texts,
    /// Snapshots, and what they must show.
    held: Vec<(Snapshot, BTreeMap<u32, Held>, Texts)>,
    /// The next idempotency key.
    name: u64,
    life: u64,
}

impl Run {
    fn step(mut self, input: &mut Input<'_>) -> Self {
        match input.below(21) {
            0..5 => {
                let order = self.order(input);
                self.commit(&order);
            }
            5 => self.burst(input),
            6 => self.retry(input),
            7 => self.reuse(input),
            8 | 9 => self.text(input),
            10 => self.ranges(input),
            11 => self.texts_alike(input),
            12 => self.hold(),
            13 => self.engine.checkpoint().unwrap_or_else(|error| panic!("{error}")),
            14 => drop(self.engine.run_background_step().unwrap_or_else(|error| panic!("{error}"))),
            15 => return self.reopen(input.u8()),
            16 => self.fence(input),
            17 => self.rest(input),
            18 => self.once(input),
            19 => self.clock.advance(Duration::from_secs(60 * u64::from(input.u8()))),
            _ => return self.buffered(input),
        }
        self
    }

    /// The engine's answer is the model's, at the time that the engine gives it.
    fn agree(&mut self, deed: &Deed, terms: Terms, answer: &Answer, at: At) {
        let agreed = self.model.agree_on(deed, terms, answer, at.seq, at.time);
        agreed.unwrap_or_else(|what| panic!("{what}"));
    }

    /// Asks, on these terms; an error is the one that is due.
    fn ask(&mut self, deed: &Deed, terms: Terms) {
        match deed.call(&self.engine, terms) {
            Ok(answer) => {
                let seq = self.engine.snapshot_applied().seq();
                let at = At { seq, time: Some(self.engine.window().time) };
                self.agree(deed, terms, &answer, at);
            }
            Err(error) => {
                let due = self.model.due_on(deed, terms);
                assert!(due.is_error(&error), "{deed:?} got {error}, and {due:?} was due");
            }
        }
    }

    fn order(&mut self, input: &mut Input<'_>) -> Order {
        let name = input.flag().then_some(self.name);
        self.name += 1;
        let mut operations: Vec<Operation> = Vec::new();
        for _ in 0..=input.below(5) {
            let operation = self.operation(input);
            if operations.iter().all(|other| other.key != operation.key) {
                operations.push(operation);
            }
        }
        let result_bytes = if input.u8() < 0xE0 { 20 } else { usize::from(input.u8()) * 80 };
        Order { name, operations, result_bytes }
    }

    fn operation(&self, input: &mut Input<'_>) -> Operation {
        let key = input.below(KEYS) as u32;
        let there = self.model.records().get(&key).map(|record| record.version);
        let last = self.model.last().get();
        let expect = match input.below(8) {
            0..3 => Expect::Any,
            3 => Expect::Absent,
            4 => Expect::Present,
            5 | 6 => there.map_or(Expect::Absent, Expect::Version),
            // No version from the future: those are refused by another rule.
            _ if last == 0 => Expect::Any,
            _ => Expect::Version(Version::new(1 + input.u64() % last)),
        };
        let action = match input.below(8) {
            0 => Action::Check,
            1..5 => Action::Put(i64::from(input.u8())),
            5 => Action::Delete,
            6 => Action::Add { delta: i64::from(input.u8()) - 128, bounds: (-100, 300) },
            _ => Action::Add { delta: input.i64(), bounds: (i64::MIN, i64::MAX) },
        };
        Operation { key, expect, action }
    }

    fn commit(&mut self, order: &Order) {
        self.ask(&order.clone().into(), Terms::default());
    }

    /// Several requests before any is written: none of them is refused, or its number could not be told.
    fn burst(&mut self, input: &mut Input<'_>) {
        let orders: Vec<Order> = (0..=input.below(4))
            .map(|_| {
                let (key, expect) = (input.below(KEYS) as u32, Expect::Any);
                let value = Action::Put(i64::from(input.u8()));
                let action = if input.flag() { value } else { Action::Delete };
                let name = input.flag().then_some(self.name);
                self.name += 1;
                let operations = vec![Operation { key, expect, action }];
                Order { name, operations, result_bytes: 20 }
            })
            .collect();
        let submit = |order: &Order| {
            let ticket = self.engine.submit(order.request());
            (ticket, self.engine.window().time)
        };
        let tickets: Vec<_> = orders.iter().map(submit).collect();
        if input.flag() {
            self.engine.run_background_step().unwrap_or_else(|error| panic!("{error}"));
        }
        for (order, (ticket, time)) in orders.into_iter().zip(tickets) {
            let answer = ticket.wait().unwrap_or_else(|error| panic!("{order:?}: {error}"));
            let at = At { seq: self.engine.durable_seq(), time: Some(time) };
            self.agree(&order.into(), Terms::default(), &Answer::Outcome(answer), at);
        }
    }

    fn remembered(&self, input: &mut Input<'_>) -> Option<Order> {
        let count = self.model.remembered().count();
        self.model.remembered().nth(input.below(count.max(1))).cloned()
    }

    fn retry(&mut self, input: &mut Input<'_>) {
        let order = self.remembered(input);
        order.iter().for_each(|order| self.commit(order));
    }

    /// The key of one request for another: refused, and nothing is logged.
    fn reuse(&mut self, input: &mut Input<'_>) {
        let Some(first) = self.remembered(input) else { return };
        let operations = vec![self.operation(input)];
        if operations == first.operations {
            return;
        }
        let before = self.engine.durable_seq();
        let other = Order { operations, ..first.clone() };
        let (deed, terms) = (Deed::from(other), Terms::default());
        let due = self.model.due_on(&deed, terms);
        assert!(matches!(due, Due::Error(Reason::Reused, Some(_))), "{due:?}");
        match deed.call(&self.engine, terms) {
            Err(error) if due.is_error(&error) => {}
            answer => panic!("{first:?} was decided, and {deed:?} got {answer:?}"),
        }
        assert_eq!(
            self.engine.durable_seq(),
            before,
            "a refusal that is not remembered was logged"
        );
    }

    fn text(&mut self, input: &mut Input<'_>) {
        let key = text_key(input);
        let mut request = Request::unkeyed();
        if input.u8() < 192 {
            let value = "v".repeat(input.string(255).len() * usize::from(1 + input.u8() % 64));
            request = request.put(&TEXTS, &key, &value, Expect::Any);
            self.texts.insert(key, value);
        } else {
            request = request.delete(&TEXTS, &key, Expect::Any);
            self.texts.remove(&key);
        }
        match self.engine.commit(request) {
            Ok(Outcome::Committed(receipt)) => {
                // The model knows nothing of texts, but an entry is an entry.
                let nothing = Order { name: None, operations: Vec::new(), result_bytes: 0 };
                let at = At { seq: receipt.seq, time: Some(receipt.time) };
                self.model.carry_out_deed(&nothing.into(), at);
            }
            answer => panic!("nothing was expected, and it got {answer:?}"),
        }
    }

    fn hold(&mut self) {
        if self.held.len() == 3 {
            let (snapshot, records, texts) = self.held.remove(0);
            check_snapshot(&snapshot, &records, &texts);
        }
        let (records, texts) = (self.model.records().clone(), self.texts.clone());
        self.held.push((self.engine.snapshot(), records, texts));
    }

    /// Ends the process, one way or another, and starts the next.
    fn reopen(mut self, how: u8) -> Self {
        for (snapshot, records, texts) in self.held.drain(..) {
            check_snapshot(&snapshot, &records, &texts);
        }
        self.life += 1;
        let cut = |disk: &SimDisk, engine, left| {
            abandon(disk, engine);
            left
        };
        let left = match how % 5 {
            0 => {
                self.engine.close().unwrap_or_else(|error| panic!("{error}"));
                self.disk.after_kill()
            }
            1 => {
                drop(self.engine);
                self.disk.after_power_cut(&Choice::None)
            }
            2 => cut(&self.disk, self.engine, self.disk.after_kill()),
            3 => cut(&self.disk, self.engine, self.disk.after_power_cut(&Choice::None)),
            _ => {
                cut(&self.disk, self.engine, self.disk.after_power_cut(&Choice::Seeded(how.into())))
            }
        };
        let engine = open(&left, &self.clock, self.life);
        let engine = engine.unwrap_or_else(|error| panic!("{error}"));
        let run = Self { disk: left, engine, ..self };
        run.compare();
        run
    }

    fn retry_all(&mut self) {
        let remembered: Vec<Order> = self.model.remembered().cloned().collect();
        remembered.iter().for_each(|order| self.commit(order));
    }

    fn compare(&self) {
        self.model.compare(&self.engine).unwrap_or_else(|what| panic!("{what}"));
        check_snapshot(&self.engine.snapshot(), self.model.records(), &self.texts);
        let names = self.model.names().chain(1..self.name.min(4)).collect::<Vec<_>>();
        let asked = self.model.compare_statuses(&self.engine, names);
        let asked = asked.and_then(|()| self.model.compare_memory(&self.engine));
        asked.unwrap_or_else(|what| panic!("{what}"));
        let count = self.engine.len(&TEXTS).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(count, self.texts.len() as u64);
        for (snapshot, records, texts) in &self.held {
            check_snapshot(snapshot, records, texts);
        }
    }
}

fn text_key(input: &mut Input<'_>) -> (u8, String) {
    let first = input.u8() % 4;
    let alphabet = ["", "a", "ab", "b", "\0", "\0\u{1}", "\u{ff}", "z"];
    (first, input.pick(&alphabet).repeat(1 + input.below(2)))
}
