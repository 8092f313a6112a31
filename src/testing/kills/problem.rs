//! What went wrong with a process, and where it can be looked at.

use super::{
    super::laws::{Breach, Kind},
    summary::Summary,
};
use crate::Error;
use std::{fmt, io, path::PathBuf};

/// A check that failed. The directory is as it was left by then.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// What was broken.
    pub kind: Kind,
    /// In words.
    pub what: String,
    /// The seed of the run.
    pub seed: u64,
    /// After so many kills.
    pub kills: u64,
    /// The database, kept for inspection.
    pub directory: PathBuf,
    /// The last lines that were heard, oldest first.
    pub heard: Vec<String>,
    /// What had been done by then.
    pub summary: Summary,
}

/// Something that must not happen.
#[derive(Debug)]
pub(super) struct Problem {
    pub kind: Kind,
    pub what: String,
}

impl Problem {
    pub fn violation(what: impl Into<String>) -> Self {
        Self { kind: Kind::Violation, what: what.into() }
    }

    pub fn loss(what: impl Into<String>) -> Self {
        Self { kind: Kind::Loss, what: what.into() }
    }

    pub fn refusal(error: &Error) -> Self {
        Self { kind: Kind::Refusal, what: error.to_string() }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::violation(format!("a child or its files: {error}"))
    }
}

impl From<String> for Problem {
    fn from(what: String) -> Self {
        Self::violation(what)
    }
}

impl From<Breach> for Problem {
    fn from(breach: Breach) -> Self {
        let what = breach.to_string();
        Self { kind: breach.kind, what }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, what, seed, kills, directory, heard, .. } = self;
        writeln!(f, "{kind:?}: {what}")?;
        writeln!(
            f,
            "  seed {seed}, after {kills} kills; the directory is kept: {}",
            directory.display()
        )?;
        heard.iter().try_for_each(|line| writeln!(f, "  heard: {line}"))
    }
}

impl std::error::Error for Failure {}
