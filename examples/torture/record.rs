//! The file in which runs add up.

use crate::{
    run::{Outcome, Plan},
    tally::Tally,
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};
use thiserror::Error;

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of the crate.
    pub version: String,
    /// When it ended, in seconds since 1970.
    pub ended: u64,
    pub seconds: u64,
    pub threads: usize,
    pub seed: u64,
    pub figures: Tally,
}

#[derive(Debug, Error)]
pub enum RecordError {
    #[error("can't read or write it: {0}")]
    Io(#[from] io::Error),
    #[error(
        "line {line} is not the summary of a run ({error}): name another file with --record, or repair that line"
    )]
    Line { line: usize, error: serde_json::Error },
}

impl Record {
    pub fn new(seed: u64, plan: &Plan, outcome: &Outcome) -> Self {
        let ended = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            ended: ended.map_or(0, |ended| ended.as_secs()),
            seconds: outcome.elapsed.as_secs(),
            threads: plan.threads,
            seed,
            figures: outcome.tally.clone(),
        }
    }
}

/// The runs before this one; none when there is no file.
pub fn read(path: &Path) -> Result<Vec<Record>, RecordError> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            serde_json::from_str(line).map_err(|error| RecordError::Line { line: at + 1, error })
        })
        .collect()
}

pub fn append(path: &Path, record: &Record) -> Result<(), RecordError> {
    let mut line = serde_json::to_string(record).map_err(io::Error::from)?;
    line.push('\n');
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line.as_bytes())?;
    Ok(file.sync_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_appended_and_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("runs");
        assert_eq!(read(&path).unwrap(), []);
        let mut figures = Tally::default();
        figures.add("log", &serde_json::json!({ "crashes": 5 }));
        let version = "1".to_owned();
        let record = Record { version, ended: 1, seconds: 2, threads: 3, seed: 4, figures };
        append(&path, &record).unwrap();
        append(&path, &record).unwrap();
        assert_eq!(read(&path).unwrap(), [record.clone(), record]);
        fs::write(&path, "\n{}\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("line 2"));
    }
}
