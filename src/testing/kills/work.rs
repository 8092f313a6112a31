//! What the child does until it is killed: several threads that read, write, repeat, and take checkpoints.

use super::{
    super::{
        luck::Luck,
        model::{Action, NUMBERS, Operation, Order},
    },
    child::{self, Job, say},
    protocol::{Answer, Line},
};
use crate::{Engine, Error, Expect, Version};
use std::{
    collections::VecDeque,
    path::Path,
    process,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// Nobody kills it any more after so many deliveries.
const DELIVERIES: u64 = 200_000;
/// Orders kept to be repeated.
const PAST: usize = 64;
/// Records that are written over, removed and written again.
const HOT: u64 = 12;
/// Records that are added to.
const SUMS: u64 = 4;
/// Records that are expected to be absent.
const ONCE: u64 = 40;

struct Work<'a> {
    engine: &'a Engine,
    deliveries: AtomicU64,
    names: AtomicU64,
    /// Delivered by whoever comes first.
    again: Mutex<Vec<Order>>,
    past: Mutex<VecDeque<Order>>,
}

/// Opens the database and works on it.
pub(super) fn run(directory: &Path, job: &Job) -> Result<(), String> {
    say(&Line::Starting)?;
    let engine = child::open(directory, job).map_err(|error| format!("opening: {error}"))?;
    child::say_opened(&engine)?;
    let work = Work {
        engine: &engine,
        deliveries: AtomicU64::new(0),
        names: AtomicU64::new(job.first_name),
        again: Mutex::new(job.again.clone()),
        past: Mutex::new(VecDeque::new()),
    };
    thread::scope(|scope| {
        for number in 0..job.clients {
            let client = Client {
                work: &work,
                luck: Luck::new(job.seed ^ (number + 1) << 48),
                seen: VecDeque::new(),
            };
            scope.spawn(move || client.run());
        }
    });
    engine.close().map_err(|error| format!("closing: {error}"))?;
    say(&Line::Closed)
}

/// One thread.
struct Client<'a> {
    work: &'a Work<'a>,
    luck: Luck,
    /// Versions read before, which are stale by now or soon.
    seen: VecDeque<(u32, Version)>,
}

impl Client<'_> {
    fn run(mut self) {
        while self.work.deliveries.load(Ordering::Relaxed) < DELIVERIES {
            if let Err(what) = self.turn() {
                let _ = say(&Line::Failed(what));
                process::exit(1);
            }
        }
    }

    fn turn(&mut self) -> Result<(), String> {
        let again = self.work.again.lock().expect("held only for a moment").pop();
        if let Some(order) = again {
            return self.work.deliver(&order);
        }
        match self.luck.below(100) {
            0..12 => {
                if let Some(order) = self.work.earlier(&self.luck) {
                    return self.work.deliver(&order);
                }
                Ok(())
            }
            12..20 => self.burst(),
            20..22 => {
                self.work.engine.checkpoint().map_err(|error| format!("a checkpoint: {error}"))?;
                say(&Line::Checkpointed)
            }
            _ => {
                let order = self.order()?;
                self.work.deliver(&order)
            }
        }
    }

    /// Several requests handed in before the first is answered.
    fn burst(&mut self) -> Result<(), String> {
        let work = self.work;
        let orders: Result<Vec<Order>, String> = (0..3).map(|_| self.order()).collect();
        let orders = orders?;
        let mut tickets = Vec::new();
        for order in &orders {
            let id = work.begin(order)?;
            tickets.push((id, work.engine.submit(order.request())));
        }
        for ((id, ticket), order) in tickets.into_iter().zip(orders) {
            let answer = ticket.wait();
            work.answered(id, &order, answer.map(|outcome| Answer::of(&outcome)))?;
        }
        Ok(())
    }

    fn order(&mut self) -> Result<Order, String> {
        let name = self.work.names.fetch_add(1, Ordering::Relaxed);
        let value = name as i64;
        let put = |key, expect| Operation { key, expect, action: Action::Put(value) };
        let add = |key, delta| {
            let action = Action::Add { delta, bounds: (-50, 50) };
            Operation { key, expect: Expect::Any, action }
        };
        let hot = self.luck.below(HOT) as u32;
        let sum = (HOT + self.luck.below(SUMS)) as u32;
        let once = (HOT + SUMS + self.luck.below(ONCE)) as u32;
        let operations = match self.luck.below(20) {
            0..7 => vec![put(hot, self.newest(hot)?)],
            7..9 => match self.seen.front() {
                Some((key, version)) => vec![put(*key, Expect::Version(*version))],
                None => vec![put(hot, Expect::Any)],
            },
            9..12 => vec![add(sum, self.luck.below(41) as i64 - 20)],
            12 => vec![put(once, Expect::Absent)],
            13 => vec![Operation { key: once, expect: Expect::Present, action: Action::Delete }],
            14..16 => vec![Operation { key: hot, expect: Expect::Any, action: Action::Delete }],
            _ => {
                let other = (hot + 1) % HOT as u32;
                let last = (hot + 2) % HOT as u32;
                vec![
                    put(hot, self.newest(hot)?),
                    Operation { key: other, expect: self.newest(other)?, action: Action::Delete },
                    add(sum, 1),
                    Operation { key: last, expect: self.newest(last)?, action: Action::Check },
                ]
            }
        };
        // A large result fills a good part of a segment.
        let result_bytes = if self.luck.once_in(40) { 8_000 } else { 20 };
        Ok(Order { name: Some(name), operations, result_bytes })
    }

    /// The record as it is now.
    fn newest(&mut self, key: u32) -> Result<Expect, String> {
        let record = self.work.engine.get(&NUMBERS, &key);
        let record = record.map_err(|error| format!("reading: {error}"))?;
        let Some(record) = record else { return Ok(Expect::Absent) };
        self.seen.push_back((key, record.version));
        if self.seen.len() > 8 {
            self.seen.pop_front();
        }
        Ok(Expect::Version(record.version))
    }
}

impl Work<'_> {
    /// One of the orders of this process, which may just be on its way.
    fn earlier(&self, luck: &Luck) -> Option<Order> {
        let past = self.past.lock().expect("held only for a moment");
        let place = luck.below(past.len().max(1) as u64) as usize;
        past.get(place).cloned()
    }

    fn begin(&self, order: &Order) -> Result<u64, String> {
        let id = self.deliveries.fetch_add(1, Ordering::Relaxed);
        let durable = self.engine.durable_seq();
        say(&Line::Begins { id, durable, order: order.clone() })?;
        let mut past = self.past.lock().expect("held only for a moment");
        past.push_back(order.clone());
        if past.len() > PAST {
            past.pop_front();
        }
        Ok(id)
    }

    fn deliver(&self, order: &Order) -> Result<(), String> {
        let id = self.begin(order)?;
        let answer = self.engine.commit(order.request());
        self.answered(id, order, answer.map(|outcome| Answer::of(&outcome)))
    }

    fn answered(
        &self,
        id: u64,
        order: &Order,
        answer: Result<Answer, Error>,
    ) -> Result<(), String> {
        let answer = answer.map_err(|error| format!("{order:?}: {error}"))?;
        say(&Line::Answered { id, durable: self.engine.durable_seq(), answer })
    }
}
