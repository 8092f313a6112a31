//! The client process: eight threads that deliver baskets, and one that audits them. It is made to be killed at any moment.

use crate::{
    ledger::Ledger,
    protocol::{Answered, Message},
    store,
    verify::Sums,
};
use std::{
    io::{self, BufRead, Write, stdin, stdout},
    num::ParseIntError,
    path::Path,
    sync::{
        atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};
use steadfast::{Engine, Error};
use thiserror::Error;

const THREADS: usize = 8;
const AUDIT_EVERY: Duration = Duration::from_millis(50);

/// Why the client gave up.
#[derive(Debug, Error)]
pub enum WorkerError {
    #[error(transparent)]
    Engine(#[from] Error),
    #[error("can't talk to the parent: {0}")]
    Pipe(#[from] io::Error),
    #[error("the parent sent no basket number: {0}")]
    Plan(#[from] ParseIntError),
    #[error("the parent sent basket {0}, which is not in the ledger")]
    NoSuchBasket(u32),
    #[error("can't write the recovery report: {0}")]
    Report(#[from] serde_json::Error),
    #[error("in one snapshot, revenue, spend and total are not the same money")]
    Disagree,
}

/// Delivers the baskets whose numbers come on standard input, and reports on standard output.
pub fn run(ledger: &Ledger, dir: &Path) -> Result<(), WorkerError> {
    let plan = read_plan()?;
    let engine = store::open(dir)?;
    let mut out = stdout().lock();
    writeln!(out, "{}", Message::Opened(report(&engine)?))?;
    out.flush()?;
    audit(&engine)?;
    deliver(ledger, &engine, &plan, &mut out)?;
    engine.close()?;
    writeln!(out, "{}", Message::Done)?;
    Ok(out.flush()?)
}

/// The recovery report, for machines and for people, in one line of JSON.
pub fn report(engine: &Engine) -> Result<String, serde_json::Error> {
    let report = engine.recovery();
    let (report, text) = (serde_json::to_value(report)?, report.to_string());
    serde_json::to_string(&serde_json::json!({ "report": report, "text": text }))
}

fn read_plan() -> Result<Vec<u32>, WorkerError> {
    stdin().lock().lines().map(|line| Ok(line?.parse()?)).collect()
}

fn deliver(
    ledger: &Ledger,
    engine: &Engine,
    plan: &[u32],
    out: &mut impl Write,
) -> Result<(), WorkerError> {
    let work = Work::new(ledger, engine, plan);
    thread::scope(|scope| {
        let (sender, receiver) = channel();
        for _ in 0..THREADS {
            let (work, sender) = (&work, sender.clone());
            scope.spawn(move || work.client(&sender));
        }
        let work = &work;
        scope.spawn(move || work.audit_on_the_way(&sender));
        let result = write_down(&receiver, out);
        // After a failure the clients find nothing more to deliver.
        work.cursor.store(plan.len(), Relaxed);
        result
    })
}

/// Prints what the threads did, until all of them are through.
fn write_down(
    heard: &Receiver<Result<Message, WorkerError>>,
    out: &mut impl Write,
) -> Result<(), WorkerError> {
    while let Ok(message) = heard.recv() {
        writeln!(out, "{}", message?)?;
        for message in heard.try_iter() {
            writeln!(out, "{}", message?)?;
        }
        out.flush()?;
    }
    Ok(())
}

/// What the client threads share.
struct Work<'a> {
    ledger: &'a Ledger,
    engine: &'a Engine,
    plan: &'a [u32],
    /// The next delivery of the plan.
    cursor: AtomicUsize,
    /// Client threads that are not through yet.
    clients: AtomicUsize,
    /// For each basket of each round: threads that are delivering it now.
    delivering: Vec<AtomicU32>,
}

impl<'a> Work<'a> {
    fn new(ledger: &'a Ledger, engine: &'a Engine, plan: &'a [u32]) -> Self {
        let indexes = plan.iter().max().map_or(0, |max| *max as usize + 1);
        Self {
            ledger,
            engine,
            plan,
            cursor: AtomicUsize::new(0),
            clients: AtomicUsize::new(THREADS),
            delivering: (0..indexes).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    fn client(&self, sender: &Sender<Result<Message, WorkerError>>) {
        let _leave = Leave(&self.clients);
        while let Some(index) = self.plan.get(self.cursor.fetch_add(1, Relaxed)) {
            let answer = self.deliver(*index).map(Message::Answered);
            if sender.send(answer).is_err() {
                break;
            }
        }
    }

    fn deliver(&self, index: u32) -> Result<Answered, WorkerError> {
        let baskets = self.ledger.baskets.len();
        let round = u32::try_from(index as usize / baskets).expect("less than the index");
        let basket = self.ledger.baskets.get(index as usize % baskets);
        let basket = basket.ok_or(WorkerError::NoSuchBasket(index))?;
        let delivering = &self.delivering[index as usize];
        let at_once = delivering.fetch_add(1, Relaxed) > 0;
        let sold = store::sell(self.engine, basket, round);
        delivering.fetch_sub(1, Relaxed);
        let store::Sold { receipt, conflicts } = sold?;
        let (number, replayed) = (receipt.result, receipt.replayed);
        Ok(Answered { index, number, replayed, conflicts, at_once })
    }

    fn audit_on_the_way(&self, sender: &Sender<Result<Message, WorkerError>>) {
        while self.clients.load(Relaxed) > 0 {
            thread::sleep(AUDIT_EVERY);
            if sender.send(audit(self.engine).map(|()| Message::Audited)).is_err() {
                break;
            }
        }
    }
}

/// A client's presence, given up however it ends.
struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// The three ways to add up the money agree at every moment, also between two groups of the log.
fn audit(engine: &Engine) -> Result<(), WorkerError> {
    let sums = Sums::money_in_engine(&engine.snapshot())?;
    if sums.agree() { Ok(()) } else { Err(WorkerError::Disagree) }
}
