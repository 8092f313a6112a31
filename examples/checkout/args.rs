//! The command line.

use crate::common;
use std::{ffi::OsString, path::PathBuf};
use thiserror::Error;

pub const USAGE: &str = "\
Sells a retail ledger through a Steadfast engine with eight clients that deliver many baskets more than once, kills the process
that does it again and again, and compares what is in the engine with the file.

Usage: checkout [OPTIONS]

  --input FILE   ledger to sell, a CSV with ts,store,household,basket,product,quantity,cents
                 (default: two weeks kept with the example)
  --repeat N     sell the ledger N times, each time under new keys (default: 1)
  --kills N      how often to kill the client (default: 6)
  --seed S       seed of all chance (default: a new one, printed)
  --dir DIR      keep the engine's directory (default: a temporary one)
  --json         print the final report as JSON on standard output too
  --help         print this

Exit code: 0 when everything agrees, 1 when it does not or something failed, 2 for a bad command line or ledger.";

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Args {
    pub input: Option<PathBuf>,
    pub dir: Option<PathBuf>,
    pub repeat: Option<u32>,
    pub kills: Option<u32>,
    pub seed: Option<u64>,
    pub json: bool,
    pub help: bool,
    /// Be the client process: what the parent starts, and kills.
    pub client: bool,
}

/// Why the command line is not understood.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ArgsError {
    #[error("unknown option `{0}`; see --help")]
    Unknown(String),
    #[error("`{0}` needs a value; see --help")]
    NoValue(&'static str),
    #[error("`{option} {found}`: expected a whole number of at least {min}; see --help")]
    Number { option: &'static str, found: String, min: u64 },
}

impl Args {
    /// Reads the arguments, without the program's name.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, ArgsError> {
        let mut parsed = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut value = |option| args.next().ok_or(ArgsError::NoValue(option));
            match arg.to_str() {
                Some("--input") => parsed.input = Some(value("--input")?.into()),
                Some("--dir") => parsed.dir = Some(value("--dir")?.into()),
                Some("--repeat") => {
                    parsed.repeat = Some(number("--repeat", value("--repeat")?, 1)?)
                }
                Some("--kills") => parsed.kills = Some(number("--kills", value("--kills")?, 0)?),
                Some("--seed") => parsed.seed = Some(number("--seed", value("--seed")?, 0)?),
                Some("--json") => parsed.json = true,
                Some("--help" | "-h") => parsed.help = true,
                Some("--client") => parsed.client = true,
                _ => return Err(ArgsError::Unknown(arg.to_string_lossy().into_owned())),
            }
        }
        Ok(parsed)
    }
}

fn number<N: TryFrom<u64>>(
    option: &'static str,
    typed: OsString,
    min: u64,
) -> Result<N, ArgsError> {
    let found = || typed.to_string_lossy().into_owned();
    let number = common::number(&typed, min..=u64::MAX).and_then(|number| number.try_into().ok());
    number.ok_or_else(|| ArgsError::Number { option, found: found(), min })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, ArgsError> {
        Args::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn options_are_read() {
        let args =
            parse("--repeat 3 --kills 0 --seed 18446744073709551615 --dir d --json").unwrap();
        assert_eq!((args.repeat, args.kills, args.seed), (Some(3), Some(0), Some(u64::MAX)));
        assert_eq!((args.dir, args.json, args.help), (Some("d".into()), true, false));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (line, expected) in [
            ("--repeat", "`--repeat` needs a value"),
            ("--repeat 0", "`--repeat 0`: expected a whole number of at least 1"),
            ("--repeat x", "`--repeat x`: expected a whole number"),
            ("--kills 4294967296", "`--kills 4294967296`: expected"),
            ("ledger.csv", "unknown option `ledger.csv`"),
        ] {
            let complaint = parse(line).unwrap_err().to_string();
            assert!(complaint.contains(expected), "{line:?} gave {complaint:?}");
        }
    }
}
