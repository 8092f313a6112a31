#![allow(
    clippy::disallowed_methods,
    reason = "a program around the engine: files, clocks and processes are its own"
)]
//! Everything random that the crate is tested with, on all cores, for as long as you like.
//!
//! Each layer is a campaign of `steadfast::testing`: simulated machines that lose power and fail, the log alone, damage to files,
//! concurrent histories, and real processes that are killed with SIGKILL. The summary of each run is a line of a file, so that
//! runs add up. Anything that breaks a promise is printed with all it takes to see it again, and makes the exit code 1.
//!
//! ```text
//! cargo run --release --features testing --example torture -- --minutes 10
//! ```

mod args;
#[path = "../common/mod.rs"]
mod common;
mod layers;
mod progress;
mod record;
mod report;
mod run;
mod tally;

use args::{Args, ArgsError, USAGE};
use record::Record;
use std::{
    env,
    hash::{BuildHasher, RandomState},
    io,
    path::PathBuf,
    process::ExitCode,
    thread,
    time::Duration,
};
use steadfast::testing::kills;
use thiserror::Error;

const DEFAULT_RECORD: &str = "torture.jsonl";

#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Args(#[from] ArgsError),
    #[error("can't make a directory: {0}")]
    Dir(io::Error),
    #[error("{}: {error}", path.display())]
    Record { path: PathBuf, error: record::RecordError },
    #[error("can't write the report: {0}")]
    Report(#[from] serde_json::Error),
}

fn main() -> ExitCode {
    // The same program is the process that is killed.
    if kills::child() {
        return ExitCode::SUCCESS;
    }
    match torture() {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("torture: {failure}");
            ExitCode::from(2)
        }
    }
}

fn torture() -> Result<ExitCode, Failure> {
    let args = Args::parse(env::args_os().skip(1))?;
    if args.help {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    }
    let path = args.record.clone().unwrap_or_else(|| DEFAULT_RECORD.into());
    let recorded = |error| Failure::Record { path: path.clone(), error };
    // Before hours are spent, not after.
    let earlier = record::read(&path).map_err(recorded)?;
    let directory = tempfile::Builder::new().prefix("steadfast-torture-").tempdir();
    let mut directory = directory.map_err(Failure::Dir)?;
    let seed = args.seed.unwrap_or_else(|| RandomState::new().hash_one(0) >> 16);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let plan = run::Plan {
        seed,
        layers: args.layers.clone(),
        threads: args.threads.unwrap_or(cores),
        time: Duration::from_secs(args.minutes.unwrap_or(1) * 60),
        directory: directory.path().into(),
    };
    let outcome = plan.run();
    // What a failed check left is looked at later.
    directory.disable_cleanup(outcome.tally.failures() > 0);

    let record = Record::new(seed, &plan, &outcome);
    record::append(&path, &record).map_err(recorded)?;
    let report = report::Report { record: &record, earlier: &earlier, path: &path };
    println!("{report}");
    if args.json {
        println!("{:#}", serde_json::to_value(&record)?);
    }
    Ok(if outcome.tally.failures() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
