//! The process that is killed: what it is told, and how it tells.

use super::{
    super::model::Order,
    contender,
    order_text::{OrderText, parse_order},
    protocol::{Line, Opened},
    work,
};
use crate::{Engine, Error};
use std::{
    env,
    ffi::OsStr,
    io::{self, BufRead, Write},
    path::Path,
    process,
};

/// The environment variable that makes a process a child: it holds the directory of the database.
pub const CHILD_VARIABLE: &str = "STEADFAST_KILLS_DIRECTORY";

/// What a child is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub role: Role,
    pub seed: u64,
    /// The first idempotency key that is not in use.
    pub first_name: u64,
    /// How many threads hand requests in.
    pub clients: u64,
    pub segment_bytes: u64,
    pub log_limit_bytes: u64,
    /// To be delivered first.
    pub again: Vec<Order>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Works until it is killed.
    Work,
    /// Waits for the directory, commits so often to a record of its own, and closes.
    Visit { record: u32, commits: u64 },
    /// The same, but goes on until it is killed.
    Stay { record: u32 },
}

/// Plays the child if this process was started as one, and returns true when it is done, which most are not before they
/// are killed. Returns false at once in any other process.
///
/// Meant for the beginning of a program's `main`, or for a test that is run as a child process by its name.
#[must_use]
pub fn child() -> bool {
    let Some(directory) = env::var_os(CHILD_VARIABLE) else { return false };
    if let Err(what) = play(&directory) {
        // The parent, if it is still there, hears of it and looks at the directory.
        let _ = say(&Line::Failed(what));
        process::exit(1);
    }
    true
}

fn play(directory: &OsStr) -> Result<(), String> {
    let told = |error: io::Error| format!("reading the job: {error}");
    // A test harness may have begun a line.
    println!();
    let lines: io::Result<Vec<String>> = io::stdin().lock().lines().collect();
    let job = Job::parse(&lines.map_err(told)?).ok_or("the job is not understood")?;
    match job.role {
        Role::Work => work::run(Path::new(directory), &job),
        Role::Visit { .. } | Role::Stay { .. } => contender::run(Path::new(directory), &job),
    }
}

/// Tells the parent something. It has left this process when this returns.
pub(super) fn say(line: &Line) -> Result<(), String> {
    let mut out = io::stdout().lock();
    let told = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
    told.map_err(|error| format!("telling the parent: {error}"))
}

/// Opens the database with such small limits that segments are begun, checkpoints written and segments trimmed all the
/// time.
pub(super) fn open(directory: &Path, job: &Job) -> Result<Engine, Error> {
    Engine::builder()
        .segment_bytes(job.segment_bytes)
        .log_limit_bytes(job.log_limit_bytes)
        .checkpoint_cache_bytes(1 << 20)
        .open(directory)
}

/// Says what an opening found.
pub(super) fn say_opened(engine: &Engine) -> Result<(), String> {
    say(&Line::Opened(Opened::of(engine.recovery())))
}

impl Job {
    /// The lines for the child's standard input.
    pub fn lines(&self) -> String {
        let Self { role, seed, first_name, clients, segment_bytes, log_limit_bytes, again } = self;
        let (word, record, commits) = match *role {
            Role::Work => ("work", 0, 0),
            Role::Visit { record, commits } => ("visit", record, commits),
            Role::Stay { record } => ("stay", record, 0),
        };
        let mut lines = format!(
            "{word} {record} {commits} {seed} {first_name} {clients} {segment_bytes} {log_limit_bytes}\n"
        );
        for order in again {
            lines.push_str(&format!("{}\n", OrderText(order)));
        }
        lines
    }

    fn parse(lines: &[String]) -> Option<Self> {
        let (first, again) = lines.split_first()?;
        let (word, numbers) = first.split_once(' ')?;
        let numbers: Option<Vec<u64>> =
            numbers.split(' ').map(|number| number.parse().ok()).collect();
        let [record, commits, seed, first_name, clients, segment_bytes, log_limit_bytes] =
            numbers?.try_into().ok()?;
        let record = u32::try_from(record).ok()?;
        let role = match word {
            "work" => Role::Work,
            "visit" => Role::Visit { record, commits },
            "stay" => Role::Stay { record },
            _ => return None,
        };
        let again = again.iter().map(|line| parse_order(line)).collect::<Option<_>>()?;
        Some(Self { role, seed, first_name, clients, segment_bytes, log_limit_bytes, again })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::model::{Action, Operation};

    #[test]
    fn a_job_is_understood() {
        let expect = crate::Expect::Present;
        let operations = vec![Operation { key: 1, expect, action: Action::Put(-2) }];
        let again = vec![Order { name: Some(5), operations, result_bytes: 20 }];
        let job = |role, again| Job {
            role,
            seed: u64::MAX,
            first_name: 1,
            clients: 2,
            segment_bytes: 3,
            log_limit_bytes: 4,
            again,
        };
        for job in [
            job(Role::Work, again),
            job(Role::Visit { record: 7, commits: 8 }, Vec::new()),
            job(Role::Stay { record: 9 }, Vec::new()),
        ] {
            let lines: Vec<String> = job.lines().lines().map(str::to_owned).collect();
            assert_eq!(Job::parse(&lines), Some(job));
        }
        assert_eq!(Job::parse(&[]), None);
    }
}
