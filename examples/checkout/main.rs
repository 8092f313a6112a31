#![allow(
    clippy::disallowed_methods,
    reason = "a program around the engine: files and clocks are its own"
)]
//! A chain of stores sells two weeks of a real ledger through one engine, and its till server is killed again and again.
//!
//! Every basket is one operation under one idempotency key (scope = store, key = basket): it adds the units sold per store and
//! product, and updates the store's revenue, the household's spend and the chain's total, all or nothing. Eight client threads
//! deliver the baskets, three in ten of them more than once; the process they live in is killed with SIGKILL after a random number
//! of acknowledgements, and started again. In the end every sum in the engine must be the sum in the file.
//!
//! ```text
//! cargo run --release --example checkout -- --help
//! ```

mod args;
#[path = "../common/mod.rs"]
mod common;
mod ledger;
mod parent;
mod plan;
mod progress;
mod protocol;
mod report;
mod store;
mod text;
mod verify;
mod worker;

use args::{Args, ArgsError, USAGE};
use ledger::{Ledger, LedgerError};
use parent::{Job, ParentError};
use report::Report;
use std::{
    env,
    hash::{BuildHasher, RandomState},
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};
use thiserror::Error;
use verify::{Comparison, Sums};
use worker::WorkerError;

const LEDGER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/retail-weeks-01-02.csv");
const KILLS: u32 = 6;

#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Args(#[from] ArgsError),
    #[error("{}: {error}", path.display())]
    Ledger { path: PathBuf, error: LedgerError },
    #[error("{baskets} baskets sold {repeat} times are more than this example can count")]
    TooMuch { baskets: usize, repeat: u32 },
    #[error("can't make a directory: {0}")]
    Dir(#[from] io::Error),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error(transparent)]
    Parent(#[from] ParentError),
    #[error(transparent)]
    Engine(#[from] steadfast::Error),
    #[error("can't write the report: {0}")]
    Report(#[from] serde_json::Error),
}

impl Failure {
    /// 2 for what the user typed or the file holds, 1 for what failed on the way.
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Args(_) | Self::Ledger { .. } | Self::TooMuch { .. } => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("checkout: {failure}");
            failure.exit_code()
        }
    }
}

fn run() -> Result<ExitCode, Failure> {
    let args = Args::parse(env::args_os().skip(1))?;
    if args.help {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    }
    let input = args.input.clone().unwrap_or_else(|| LEDGER.into());
    let ledger =
        Ledger::open(&input).map_err(|error| Failure::Ledger { path: input.clone(), error })?;
    match (args.client, &args.dir) {
        (true, dir) => {
            let dir = dir.as_deref().ok_or(ArgsError::NoValue("--dir"))?;
            worker::run(&ledger, dir)?;
            Ok(ExitCode::SUCCESS)
        }
        (false, Some(dir)) => oversee(&args, &ledger, &input, dir),
        (false, None) => {
            let dir = tempfile::Builder::new().prefix("steadfast-checkout-").tempdir()?;
            oversee(&args, &ledger, &input, dir.path())
        }
    }
}

/// Sells the ledger through clients that die, then compares.
fn oversee(args: &Args, ledger: &Ledger, input: &Path, dir: &Path) -> Result<ExitCode, Failure> {
    let repeat = args.repeat.unwrap_or(1);
    let too_much = || Failure::TooMuch { baskets: ledger.baskets.len(), repeat };
    let baskets = u32::try_from(ledger.baskets.len()).ok().and_then(|n| n.checked_mul(repeat));
    let baskets = baskets.ok_or_else(too_much)?;
    let expected = Sums::expected(ledger, repeat).ok_or_else(too_much)?;
    let kills_wanted = args.kills.unwrap_or(KILLS);
    let seed = args.seed.unwrap_or_else(|| RandomState::new().hash_one(0));

    let tally = parent::run(&Job { input, dir, baskets, kills: kills_wanted, seed })?;

    let engine = store::open(dir)?;
    let last = serde_json::from_str(&worker::report(&engine)?)?;
    let comparison = Comparison::new(&expected, &Sums::in_engine(&engine.snapshot())?);
    engine.close()?;
    let (tally, comparison, last, lines) = (&tally, &comparison, &last, ledger.lines);
    let report = Report { tally, comparison, last, lines, baskets, repeat, kills_wanted, seed };
    println!("{report}");
    if args.json {
        println!("{:#}", report.json());
    }
    Ok(if comparison.agrees() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
