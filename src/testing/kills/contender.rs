//! One of several processes that want the same directory.

use super::{
    super::model::NUMBERS,
    child::{self, Job, Role, say},
    protocol::Line,
};
use crate::{Engine, Error, Expect, Request, Version};
use std::{path::Path, thread, time::Duration};

/// Attempts to get the directory, a millisecond apart, before something must be wrong.
const ATTEMPTS: u32 = 120_000;

/// Waits for the directory, works there, and closes it or stays.
pub(super) fn run(directory: &Path, job: &Job) -> Result<(), String> {
    say(&Line::Starting)?;
    let engine = enter(directory, job)?;
    child::say_opened(&engine)?;
    let (record, commits) = match job.role {
        Role::Visit { record, commits } => (record, commits),
        Role::Stay { record } => (record, u64::MAX),
        Role::Work => return Err("that is no contender's work".to_owned()),
    };
    let mut expect = Expect::Absent;
    for value in 1..=commits {
        let version = write(&engine, record, value, expect)?;
        expect = Expect::Version(version);
    }
    engine.close().map_err(|error| format!("closing: {error}"))?;
    say(&Line::Closed)
}

fn enter(directory: &Path, job: &Job) -> Result<Engine, String> {
    for _ in 0..ATTEMPTS {
        match child::open(directory, job) {
            Ok(engine) => return Ok(engine),
            Err(Error::Locked { .. }) => say(&Line::Locked)?,
            Err(error) => return Err(format!("opening: {error}")),
        }
        #[allow(clippy::disallowed_methods, reason = "there is no way to wait for a lock")]
        thread::sleep(Duration::from_millis(1));
    }
    Err("the directory stays locked".to_owned())
}

/// Writes over what this process itself wrote last: nobody else may have been there.
fn write(engine: &Engine, record: u32, value: u64, expect: Expect) -> Result<Version, String> {
    let request = Request::unkeyed().put(&NUMBERS, &record, &(value as i64), expect);
    let committed = engine.commit(request).and_then(|outcome| Ok(outcome.committed()?));
    let receipt = committed.map_err(|error| format!("commit {value}: {error}"))?;
    say(&Line::Wrote(receipt.seq))?;
    Ok(receipt.version())
}
