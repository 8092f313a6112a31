//! The command line.

use crate::{common, layers::Layer};
use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};
use thiserror::Error;

pub const USAGE: &str = "\
Runs the random tests of the crate on all cores, and adds their figures to a file.

Usage: torture [OPTIONS]

  --minutes N      how long (default: 1)
  --seed S         seed of all chance (default: a new one, printed)
  --layers A,B     only these: log, lives, swarm, rot, histories, kills (default: all)
  --threads N      how many threads share the work (default: one for each core)
  --record FILE    where the summary is appended, one line of JSON for each run (default: torture.jsonl)
  --json           print the summary of this run as JSON on standard output too
  --help           print this

Exit code: 0 when every promise was kept, 1 when one was broken (printed with all it takes to see it again), 2 when it could not
run.";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Args {
    pub minutes: Option<u64>,
    pub seed: Option<u64>,
    pub layers: Vec<Layer>,
    pub threads: Option<usize>,
    pub record: Option<PathBuf>,
    pub json: bool,
    pub help: bool,
}

/// Why the command line is not understood.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ArgsError {
    #[error("unknown option `{0}`; see --help")]
    Unknown(String),
    #[error("`{0}` needs a value; see --help")]
    NoValue(&'static str),
    #[error("`{option} {found}`: expected a whole number from {min} to {max}; see --help")]
    Number { option: &'static str, found: String, min: u64, max: u64 },
    #[error("`--layers {0}`: there is no such layer; see --help")]
    Layer(String),
}

impl Args {
    /// Reads the arguments, without the program's name.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, ArgsError> {
        let mut parsed = Self {
            minutes: None,
            seed: None,
            layers: Layer::ALL.to_vec(),
            threads: None,
            record: None,
            json: false,
            help: false,
        };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut value = |option| args.next().ok_or(ArgsError::NoValue(option));
            match arg.to_str() {
                Some("--minutes") => {
                    parsed.minutes = Some(number("--minutes", &value("--minutes")?, 1, 100_000)?);
                }
                // Every layer counts on from it.
                Some("--seed") => {
                    parsed.seed = Some(number("--seed", &value("--seed")?, 0, u64::MAX >> 16)?);
                }
                Some("--threads") => {
                    let threads = number("--threads", &value("--threads")?, 1, 1_024)?;
                    parsed.threads = Some(threads as usize);
                }
                Some("--layers") => parsed.layers = layers(&value("--layers")?)?,
                Some("--record") => parsed.record = Some(value("--record")?.into()),
                Some("--json") => parsed.json = true,
                Some("--help" | "-h") => parsed.help = true,
                _ => return Err(ArgsError::Unknown(arg.to_string_lossy().into_owned())),
            }
        }
        Ok(parsed)
    }
}

fn number(option: &'static str, typed: &OsStr, min: u64, max: u64) -> Result<u64, ArgsError> {
    let found = || typed.to_string_lossy().into_owned();
    let wrong = || ArgsError::Number { option, found: found(), min, max };
    common::number(typed, min..=max).ok_or_else(wrong)
}

fn layers(value: &OsString) -> Result<Vec<Layer>, ArgsError> {
    let text = value.to_string_lossy();
    let named = |name| Layer::ALL.into_iter().find(|layer| layer.name() == name);
    text.split(',')
        .map(|name| named(name).ok_or_else(|| ArgsError::Layer(name.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, ArgsError> {
        Args::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn options_are_read() {
        let args = parse("--minutes 3 --seed 9 --layers log,kills --record r --json").unwrap();
        assert_eq!((args.minutes, args.seed, args.threads), (Some(3), Some(9), None));
        assert_eq!(args.layers, [Layer::Log, Layer::Kills]);
        assert_eq!((args.record, args.json, args.help), (Some("r".into()), true, false));
        assert_eq!(parse("").unwrap().layers, Layer::ALL);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (line, expected) in [
            ("--minutes", "`--minutes` needs a value"),
            ("--minutes 0", "`--minutes 0`: expected a whole number from 1"),
            ("--seed x", "`--seed x`: expected a whole number"),
            ("--layers log,lgo", "`--layers lgo`: there is no such layer"),
            ("now", "unknown option `now`"),
        ] {
            let complaint = parse(line).unwrap_err().to_string();
            assert!(complaint.contains(expected), "{line:?} gave {complaint:?}");
        }
    }
}
