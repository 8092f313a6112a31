//! Shares the time among the layers and the threads.

use crate::{
    layers::{Finding, Layer},
    progress::Progress,
    tally::Tally,
};
use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How often the progress is looked at.
const TICK: Duration = Duration::from_millis(100);

/// What to run, and for how long.
pub struct Plan {
    pub seed: u64,
    pub layers: Vec<Layer>,
    pub threads: usize,
    pub time: Duration,
    /// For real files.
    pub directory: PathBuf,
}

/// What came of it.
pub struct Outcome {
    pub tally: Tally,
    pub elapsed: Duration,
}

/// What the threads share.
struct Shared {
    tally: Tally,
    /// For each layer: pieces of work handed out, and the time they took.
    shares: Vec<(u64, Duration)>,
    findings: Vec<String>,
    running: usize,
}

impl Plan {
    /// Runs until the time is over, and the pieces of work that were begun by then.
    pub fn run(&self) -> Outcome {
        let began = Instant::now();
        let shared = Mutex::new(Shared {
            tally: Tally::default(),
            shares: vec![(0, Duration::ZERO); self.layers.len()],
            findings: Vec::new(),
            running: self.threads,
        });
        thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| self.work(began, &shared));
            }
            self.watch(began, &shared);
        });
        let tally = shared.into_inner().unwrap_or_else(PoisonError::into_inner).tally;
        Outcome { tally, elapsed: began.elapsed() }
    }

    fn work(&self, began: Instant, shared: &Mutex<Shared>) {
        while began.elapsed() < self.time {
            let (at, piece) = locked(shared).next(&self.layers);
            let layer = self.layers[at];
            let started = Instant::now();
            let Finding { summary, failures } =
                layer.run(self.seed.wrapping_add(piece), &self.directory);
            let mut shared = locked(shared);
            shared.shares[at].1 += started.elapsed();
            shared.tally.add(layer.name(), &summary);
            shared.findings.extend(failures);
        }
        locked(shared).running -= 1;
    }

    /// Shows how far it is, and at once what was found.
    fn watch(&self, began: Instant, shared: &Mutex<Shared>) {
        let mut progress = Progress::new(self.time);
        loop {
            thread::sleep(TICK);
            let (tally, findings, running) = {
                let mut shared = locked(shared);
                let findings = std::mem::take(&mut shared.findings);
                (shared.tally.clone(), findings, shared.running)
            };
            findings.iter().for_each(|finding| progress.say(finding));
            if running == 0 {
                return progress.finish(began.elapsed(), &tally);
            }
            progress.show(began.elapsed(), &tally);
        }
    }
}

impl Shared {
    /// The layer that has had the least of its share, and the number of its next piece.
    fn next(&mut self, layers: &[Layer]) -> (usize, u64) {
        let due = |at: &usize| self.shares[*at].1 / layers[*at].weight();
        // Of layers that have had nothing yet, the one with the fewest pieces under way.
        let at = (0..layers.len()).min_by_key(|at| (due(at), self.shares[*at].0)).unwrap_or(0);
        self.shares[at].0 += 1;
        (at, self.shares[at].0 - 1)
    }
}

fn locked(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
