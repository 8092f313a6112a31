//! The layers: what each does in one piece of work, which takes a fraction of a second to a few.

use serde::Serialize;
use serde_json::{Value, json};
use std::{
    env,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::Command,
};
use steadfast::{
    Engine,
    testing::{
        crash, kills,
        linear::{Tally, Workload, linearizable, serial},
        log::LogCampaign,
        rot, swarm,
    },
};

/// A kind of campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The log alone, cut off at random.
    Log,
    /// Engines through several power cuts.
    Lives,
    /// Clients and faults of all kinds.
    Swarm,
    /// Damage to files.
    Rot,
    /// Concurrent histories.
    Histories,
    /// Real processes and SIGKILL.
    Kills,
}

/// What a piece of work came to.
pub struct Finding {
    pub summary: Value,
    pub failures: Vec<String>,
}

impl Layer {
    pub const ALL: [Self; 6] =
        [Self::Log, Self::Lives, Self::Swarm, Self::Rot, Self::Histories, Self::Kills];

    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Lives => "lives",
            Self::Swarm => "swarm",
            Self::Rot => "rot",
            Self::Histories => "histories",
            Self::Kills => "kills",
        }
    }

    /// Its share of the time.
    pub fn weight(self) -> u32 {
        match self {
            Self::Log | Self::Lives => 2,
            Self::Swarm => 4,
            Self::Rot | Self::Histories | Self::Kills => 1,
        }
    }

    /// Does the piece of work with that number.
    pub fn run(self, piece: u64, directory: &Path) -> Finding {
        let done = catch_unwind(AssertUnwindSafe(|| match self {
            Self::Log => log(piece),
            Self::Lives => lives(piece),
            Self::Swarm => simulate(piece),
            Self::Rot => damage(piece),
            Self::Histories => histories(piece),
            Self::Kills => kill(piece, &directory.join(piece.to_string())),
        }));
        let Finding { summary, failures } = done.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
            let what = format!("a panic: {}", text.unwrap_or_default());
            Finding { summary: json!({ "violations": 1 }), failures: vec![what] }
        });
        let told = |what: String| format!("{} {piece}: {what}", self.name());
        Finding { summary, failures: failures.into_iter().map(told).collect() }
    }
}

impl Finding {
    fn new(summary: &impl Serialize, failures: impl IntoIterator<Item = impl ToString>) -> Self {
        let summary = serde_json::to_value(summary).unwrap_or_default();
        let failures = failures.into_iter().map(|failure| failure.to_string()).collect();
        Self { summary, failures }
    }
}

/// So many numbers for the piece, none of which another piece has.
fn numbers(piece: u64, each: u64) -> Range<u64> {
    let first = piece.wrapping_mul(each);
    first..first.saturating_add(each)
}

fn log(piece: u64) -> Finding {
    let campaign = LogCampaign { seeds: numbers(piece, 20), cuts: 10, lie: None, threads: 1 };
    let (summary, failures) = campaign.run();
    Finding::new(&summary, failures)
}

fn lives(piece: u64) -> Finding {
    let (summary, failures) = crash::lives(piece, 4);
    Finding::new(&summary, failures)
}

fn simulate(piece: u64) -> Finding {
    match swarm::run(piece) {
        Ok(summary) => Finding::new(&summary, None::<&str>),
        Err(failure) => Finding::new(&json!({ "violations": 1 }), [failure]),
    }
}

fn damage(piece: u64) -> Finding {
    let scenes = vec![rot::Scene::SMALL[(piece % rot::Scene::SMALL.len() as u64) as usize]];
    let campaign = rot::Campaign {
        scenes,
        at_rest: 300,
        while_open: 30,
        several: 60,
        threads: 1,
        ..rot::Campaign::new(piece)
    };
    let (summary, failures) = campaign.run();
    let mut finding = Finding::new(&summary.total, failures);
    finding.summary["violations"] = finding.failures.len().into();
    finding
}

fn histories(piece: u64) -> Finding {
    let mut tally = Tally::default();
    let mut failures = Vec::new();
    for seed in numbers(piece, 100) {
        let engine = match Engine::in_memory() {
            Ok(engine) => engine,
            Err(error) => return Finding::new(&json!({ "violations": 1 }), [error]),
        };
        let workload = Workload {
            seed,
            callers: (3 + seed % 3) as usize,
            calls: (4 + seed % 5) as usize,
            records: 1 + (seed % 3) as u32,
            number: 0,
            checkpoints: seed.is_multiple_of(4),
        };
        let history = workload.run(&engine);
        match linearizable(&history).and_then(|steps| serial(&history).map(|_| steps)) {
            Ok(steps) => tally.count(&history, steps),
            Err(illegal) => failures.push(format!("seed {seed}: {illegal}")),
        }
    }
    let mut finding = Finding::new(&tally, failures);
    finding.summary["violations"] = finding.failures.len().into();
    finding
}

fn kill(piece: u64, directory: &Path) -> Finding {
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return Finding::new(&json!({ "violations": 1 }), [error]),
    };
    let campaign =
        kills::Campaign { seed: piece, kills: 20, clients: 4, directory: directory.into() };
    match campaign.run(|| Command::new(&program)) {
        Ok(summary) => Finding::new(&summary, None::<&str>),
        Err(failure) => Finding::new(&json!({ "violations": 1 }), [failure]),
    }
}
