//! Random callers on threads of their own.

use super::{
    super::{
        luck::Luck,
        model::{Action, Operation, Order},
    },
    history::{Answer, Asked, Call, History},
    record::{Handed, Recorder, Store},
};
use crate::{Expect, Version};
use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

/// Callers that all work on the same few records. What each asks for follows from the seed; what the others do
/// meanwhile does not.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Where the random numbers come from.
    pub seed: u64,
    /// How many callers, each a thread.
    pub callers: usize,
    /// How many calls each makes, or a few more.
    pub calls: usize,
    /// How many records they share, at most 8.
    pub records: u32,
    /// Which workload on this database: no two use the same records and idempotency keys. Below 1,000,000.
    pub number: u32,
    /// Whether one more thread writes checkpoints meanwhile.
    pub checkpoints: bool,
}

/// What the callers of one history share.
#[derive(Debug, Default)]
pub(super) struct Stage {
    pub time: AtomicU64,
    /// Orders that were ever delivered, to be delivered again.
    board: Mutex<Vec<Order>>,
    processes: AtomicU64,
    names: AtomicU64,
}

/// The kinds of calls.
const KINDS: usize = 12;

/// Names from here on belong to calls of `update`, which no `commit` can repeat.
const UPDATES: u64 = 1 << 62;

impl Default for Workload {
    fn default() -> Self {
        Self { seed: 0, callers: 4, calls: 6, records: 3, number: 0, checkpoints: false }
    }
}

impl Workload {
    /// Lets the callers loose, then asks again for what nobody was told, and reads everything.
    ///
    /// # Panics
    /// When a call does.
    pub fn run(&self, store: &impl Store) -> History {
        let stage = Stage::default();
        let mut history = History::default();
        self.act(store, &stage, &mut history);
        self.settle(store, &stage, &mut history);
        history
    }

    /// Lets the callers loose.
    pub(super) fn act(&self, store: &impl Store, stage: &Stage, history: &mut History) {
        let (start, over) = (Barrier::new(self.callers), AtomicBool::new(false));
        let luck = Luck::new(self.seed);
        // Each history has another mix, and some lack some kinds.
        let mix: [u64; KINDS] = std::array::from_fn(|_| luck.below(4));
        let seeds: Vec<u64> = (0..self.callers).map(|_| luck.below(u64::MAX)).collect();
        thread::scope(|scope| {
            if self.checkpoints {
                scope.spawn(|| {
                    // It fails when the disk does, which is what the callers are told, too.
                    while !over.load(Ordering::Relaxed) && store.engine().checkpoint().is_ok() {
                        thread::yield_now();
                    }
                });
            }
            let caller = |seed| {
                let (start, mix) = (&start, &mix);
                scope.spawn(move || {
                    let mut caller = self.caller(store, stage, Luck::new(seed));
                    start.wait();
                    (0..self.calls).for_each(|_| caller.call(mix));
                    caller.finish()
                })
            };
            let callers: Vec<_> = seeds.into_iter().map(caller).collect();
            let ended: Vec<_> = callers.into_iter().map(thread::ScopedJoinHandle::join).collect();
            over.store(true, Ordering::Relaxed);
            for calls in ended {
                history
                    .calls
                    .extend(calls.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
        });
    }

    /// Asks again, under its key, for everything that nobody was told the outcome of, then reads everything.
    pub(super) fn settle(&self, store: &impl Store, stage: &Stage, history: &mut History) {
        let unknown = history.calls.iter().filter_map(|call| match (&call.asked, &call.answer) {
            (Asked::Write(order), Answer::Unknown(_)) => Some(order.clone()),
            _ => None,
        });
        let mut caller = self.caller(store, stage, Luck::new(self.seed));
        for order in unknown.filter(|order| order.name.is_some_and(|name| name < UPDATES)) {
            caller.recorder.commit(order);
        }
        caller.recorder.snapshot(&self.keys());
        history.calls.extend(caller.recorder.into_calls());
    }

    fn keys(&self) -> Vec<u32> {
        (0..self.records.min(8)).map(|record| self.number * 8 + record).collect()
    }

    fn caller<'s, S: Store>(&self, store: &'s S, stage: &'s Stage, luck: Luck) -> Caller<'s, S> {
        let process = stage.processes.fetch_add(1, Ordering::Relaxed) as usize;
        Caller {
            recorder: Recorder::new(store, &stage.time, process),
            stage,
            luck,
            first_name: u64::from(self.number) << 32,
            keys: self.keys(),
            seen: BTreeMap::new(),
            handed: Vec::new(),
        }
    }
}

struct Caller<'s, S> {
    recorder: Recorder<'s, S>,
    stage: &'s Stage,
    luck: Luck,
    first_name: u64,
    keys: Vec<u32>,
    /// The versions it last saw, which may be stale by now.
    seen: BTreeMap<u32, Version>,
    handed: Vec<Handed>,
}

impl<S: Store> Caller<'_, S> {
    /// Makes one call, or two where the first only reads for the second.
    fn call(&mut self, mix: &[u64; KINDS]) {
        if self.luck.below(4) == 0 {
            thread::yield_now();
        }
        match self.kind(mix) {
            0 => drop(self.look()),
            1 => self.recorder.snapshot(&self.keys.clone()),
            2 => {
                let (name, key) = (self.name(), self.key());
                self.recorder.update(UPDATES + name, key, (name - self.first_name) as i64);
            }
            3 => {
                let board = self.stage.board.lock().expect("no caller panics with it").clone();
                let place = self.luck.below(board.len().max(1) as u64) as usize;
                match board.into_iter().nth(place) {
                    Some(order) => self.deliver(order),
                    None => drop(self.look()),
                }
            }
            4 if !self.handed.is_empty() => {
                let place = self.luck.below(self.handed.len() as u64) as usize;
                let handed = self.handed.swap_remove(place);
                self.recorder.wait(handed);
            }
            kind => {
                let operations = self.operations(kind);
                let named = self.luck.below(4) > 0;
                let result_bytes = self.luck.below(8) as usize;
                let order = Order { name: named.then(|| self.name()), operations, result_bytes };
                if named {
                    self.stage.board.lock().expect("no caller panics with it").push(order.clone());
                }
                self.deliver(order);
            }
        }
    }

    /// Waits for everything it handed in.
    fn finish(mut self) -> Vec<Call> {
        for handed in mem::take(&mut self.handed) {
            self.recorder.wait(handed);
        }
        self.recorder.into_calls()
    }

    fn kind(&mut self, mix: &[u64; KINDS]) -> usize {
        let whole: u64 = mix.iter().sum();
        let mut place = self.luck.below(whole.max(1));
        for (kind, weight) in mix.iter().enumerate() {
            match place.checked_sub(*weight) {
                None => return kind,
                Some(rest) => place = rest,
            }
        }
        KINDS - 1
    }

    fn operations(&mut self, kind: usize) -> Vec<Operation> {
        let value = self.stage.names.fetch_add(1, Ordering::Relaxed) as i64;
        let put = |key, expect| Operation { key, expect, action: Action::Put(value) };
        let key = self.key();
        match kind {
            5 => vec![put(key, Expect::Absent)],
            6 => {
                let (key, expect) = self.look();
                vec![put(key, expect)]
            }
            7 => vec![put(key, self.remembered(key))],
            8 => {
                let expect =
                    if self.luck.below(2) == 0 { Expect::Any } else { self.remembered(key) };
                vec![Operation { key, expect, action: Action::Delete }]
            }
            9 => {
                let action = Action::Add { delta: 1, bounds: (i64::MIN, value) };
                vec![Operation { key, expect: Expect::Any, action }]
            }
            10 => {
                let mut operations = vec![put(key, self.remembered(key))];
                for other in self.keys.clone().into_iter().filter(|other| *other != key) {
                    match self.luck.below(4) {
                        0 => operations.push(put(other, Expect::Any)),
                        1 => operations.push(put(other, self.remembered(other))),
                        2 => {
                            let (expect, action) = (Expect::Present, Action::Check);
                            operations.push(Operation { key: other, expect, action });
                        }
                        _ => {}
                    }
                }
                operations
            }
            11 => self.keys.iter().map(|key| put(*key, Expect::Any)).collect(),
            _ => vec![put(key, Expect::Any)],
        }
    }

    fn deliver(&mut self, order: Order) {
        match self.luck.below(8) {
            0..4 => self.recorder.commit(order),
            // One that nobody waits for must be asked for again.
            4 if order.name.is_some() => drop(self.recorder.submit(order)),
            _ => {
                let handed = self.recorder.submit(order);
                self.handed.push(handed);
            }
        }
    }

    /// Reads a record, to write over just that version.
    fn look(&mut self) -> (u32, Expect) {
        let key = self.key();
        match self.recorder.get(key) {
            Some(held) => drop(self.seen.insert(key, held.version)),
            None => drop(self.seen.remove(&key)),
        }
        (key, self.remembered(key))
    }

    fn remembered(&self, key: u32) -> Expect {
        self.seen.get(&key).map_or(Expect::Absent, |version| Expect::Version(*version))
    }

    fn key(&mut self) -> u32 {
        self.keys[self.luck.below(self.keys.len() as u64) as usize]
    }

    fn name(&self) -> u64 {
        self.first_name + self.stage.names.fetch_add(1, Ordering::Relaxed)
    }
}
