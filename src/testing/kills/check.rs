//! The check of a database whose processes were killed.

use super::{
    super::model::{Action, Operation, Order},
    campaign::{Database, Segments},
    child::{self, Job, Role},
    problem::Problem,
    protocol::{Answer, Opened},
};
use crate::{
    Engine, Expect, Verdict,
    disk::{Disk, RealDisk},
    format::names::{self, SegmentName},
};
use std::path::Path;

impl Database<'_> {
    /// Opens the directory and checks everything.
    pub fn check(&mut self) -> Result<(), Problem> {
        self.books.summary.checks += 1;
        let job = self.job(Role::Work);
        let engine = self.open(&job)?;
        let applied = engine.recovery().applied_seq;
        self.look_around(&engine)?;
        close(engine)?;

        let engine = self.open(&job)?;
        if engine.recovery().verdict != Verdict::Clean {
            let verdict = engine.recovery().verdict;
            return Err(Problem::violation(format!("{verdict:?} after closing")));
        }
        let recovered = engine.snapshot();
        for order in self.books.doubtful() {
            self.deliver(&engine, &order)?;
        }
        let model = self.books.fold(applied)?;
        model.compare_snapshot(&recovered).map_err(|breach| Problem::loss(breach.to_string()))?;
        drop(recovered);
        let newest = engine.durable_seq();
        self.books.fold(newest)?.compare(&engine)?;
        self.books.settle()?;

        let everything = self.books.remembered();
        self.books.summary.retries += everything.len() as u64;
        for order in everything {
            self.deliver(&engine, &order)?;
        }
        if engine.durable_seq() != newest {
            return Err(Problem::violation("retries were carried out again"));
        }
        self.go_on(&engine, job.first_name)?;
        close(engine)
    }

    /// More requests succeed.
    fn go_on(&mut self, engine: &Engine, first_name: u64) -> Result<(), Problem> {
        for name in first_name..first_name + 5 {
            let action = Action::Put(name as i64);
            let operations = vec![Operation { key: name as u32, expect: Expect::Any, action }];
            let order = Order { name: Some(name), operations, result_bytes: 20 };
            self.deliver(engine, &order)?;
        }
        self.books.fold(engine.durable_seq())?.compare(engine)?;
        Ok(())
    }

    fn open(&mut self, job: &Job) -> Result<Engine, Problem> {
        let engine = child::open(&self.directory, job).map_err(|error| Problem::refusal(&error))?;
        let report = engine.recovery();
        if report.applied_seq.get() > 0 && report.digests_compared == 0 {
            return Err(Problem::violation("a recovery compared no digest"));
        }
        self.books.opened(Opened::of(report))?;
        Ok(engine)
    }

    fn deliver(&mut self, engine: &Engine, order: &Order) -> Result<(), Problem> {
        let before = engine.durable_seq();
        let answer = engine.commit(order.request());
        let answer = answer.map_err(|error| Problem::violation(format!("{order:?}: {error}")))?;
        self.books.answered_here(order, before, engine.durable_seq(), Answer::of(&answer))
    }

    /// Counts what became of the log and the checkpoint since the last check.
    fn look_around(&mut self, engine: &Engine) -> Result<(), Problem> {
        let checkpoint = engine.recovery().checkpoint_seq.get();
        let now = segments(&self.directory)?;
        let summary = &mut self.books.summary;
        summary.checkpoints += u64::from(checkpoint > self.checkpoint);
        summary.segments += now.newest - self.segments.newest;
        summary.trimmed += now.oldest - self.segments.oldest.max(1).min(now.oldest);
        (self.checkpoint, self.segments) = (checkpoint, now);
        Ok(())
    }
}

fn close(engine: Engine) -> Result<(), Problem> {
    engine.close().map(drop).map_err(|error| Problem::violation(format!("closing: {error}")))
}

fn segments(directory: &Path) -> Result<Segments, Problem> {
    let listed = RealDisk::open_or_create(directory)?.list(names::SEGMENTS)?;
    let numbers = listed.iter().filter_map(|listed| match names::parse(&listed.name) {
        Some(SegmentName::Named(number)) => Some(number),
        _ => None,
    });
    let (oldest, newest) = numbers
        .fold((u64::MAX, 0), |(oldest, newest), number| (oldest.min(number), newest.max(number)));
    Ok(Segments { oldest: oldest.min(newest), newest })
}
