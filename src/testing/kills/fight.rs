//! Several processes that fight for one directory.

use super::{
    super::{crash::Kind, luck::Luck},
    child::{self, Job, Role},
    life::{self, End, Heard, Process},
    problem::{Failure, Problem},
    protocol::{Line, Opened},
    runs::Runs,
    summary::{FightSummary, Summary},
};
use crate::{Epoch, Error};
use std::{path::PathBuf, process::Command, sync::mpsc::Sender, time::Duration};

/// Greatest number of commits a process makes before it closes or is killed.
const COMMITS: u64 = 12;
/// Lines kept to be shown with a failure.
const HEARD: usize = 60;

/// Rounds in which several processes at once try to open one directory, write a little, and close it or are killed in it.
///
/// What is checked:
/// - nobody is ever inside together with another: each opening that wrote has a number of its own, each process's commits
///   are an uninterrupted run of entries, made by compare-and-swap over the one before, and the next process finds the log
///   ending with that run (and at most the one commit nobody was told of);
/// - those who don't get in are told [`Error::Locked`], and nothing else;
/// - a killed process's lock is free as soon as its parent knows that it is dead;
/// - every commit that was acknowledged is there in the end.
#[derive(Clone, Debug)]
pub struct Fight {
    /// Where the choices come from.
    pub seed: u64,
    /// How many rounds.
    pub rounds: u64,
    /// How many processes in each.
    pub contenders: u32,
    /// The directory they fight for.
    pub directory: PathBuf,
}

impl Fight {
    /// Runs it. `command` gives the command that starts a process which calls [`child`](super::child()).
    ///
    /// # Errors
    /// The first check that failed.
    pub fn run(&self, mut command: impl FnMut() -> Command) -> Result<FightSummary, Box<Failure>> {
        let luck = Luck::new(self.seed);
        let mut arena = Arena { fight: self, luck, runs: Runs::default(), heard: Vec::new() };
        let mut summary = FightSummary::default();
        for round in 0..self.rounds {
            let fought = arena.round(round, &mut command, &mut summary);
            fought.map_err(|Problem { kind, what }| {
                let kills = summary.kills_inside + summary.kills_outside;
                let (seed, directory) = (self.seed, self.directory.clone());
                let heard = std::mem::take(&mut arena.heard);
                let summary = Summary { kills, ..Summary::default() };
                Box::new(Failure { kind, what, seed, kills, directory, heard, summary })
            })?;
        }
        Ok(summary)
    }
}

struct Arena<'a> {
    fight: &'a Fight,
    luck: Luck,
    runs: Runs,
    heard: Vec<String>,
}

/// A process of a round.
struct Contender {
    process: Process,
    role: Role,
    /// If it stays, it is killed after so many commits.
    commits: u64,
    /// It is killed when it was told so often that somebody else is inside.
    patience: u64,
    locked: u64,
    inside: Option<Epoch>,
    killed: bool,
}

impl Arena<'_> {
    fn round(
        &mut self,
        round: u64,
        command: &mut impl FnMut() -> Command,
        summary: &mut FightSummary,
    ) -> Result<(), Problem> {
        let (ear, heard) = life::ear();
        let mut contenders = Vec::new();
        for number in 0..self.fight.contenders.max(2) {
            let record = round as u32 * 1_000 + number;
            contenders.push(self.enter(number as usize, record, command(), ear.clone())?);
        }
        drop(ear);
        let (mut left, mut last) = (contenders.len(), End::Left);
        while left > 0 {
            let (number, line) = life::hear(&heard)?;
            let contender = &mut contenders[number];
            let Some(line) = line else {
                last = contender.process.end()?;
                contender.ended(last, summary);
                left -= 1;
                continue;
            };
            self.note(number, &line);
            if contender.says(line, &mut self.runs, summary)? && !contender.killed {
                let delay = Duration::from_micros(self.luck.below(500));
                contender.process.kill_after(delay)?;
                contender.killed = true;
            }
        }
        summary.rounds += 1;
        summary.freed_at_once += u64::from(last == End::Killed);
        self.check()
    }

    fn enter(
        &mut self,
        number: usize,
        record: u32,
        command: Command,
        ear: Sender<Heard>,
    ) -> Result<Contender, Problem> {
        let commits = 1 + self.luck.below(COMMITS);
        let stays = self.luck.once_in(2);
        let role = if stays { Role::Stay { record } } else { Role::Visit { record, commits } };
        let job = Job { role, ..job() };
        let process = Process::start(command, &self.fight.directory, &job, number, ear)?;
        // Some are killed while they wait.
        let patience = if self.luck.once_in(3) { 1 + self.luck.below(20) } else { u64::MAX };
        let (locked, inside, killed) = (0, None, false);
        Ok(Contender { process, role, commits, patience, locked, inside, killed })
    }

    fn note(&mut self, number: usize, line: &Line) {
        // Everybody is locked out most of the time.
        if *line != Line::Locked {
            self.heard.push(format!("{number}: {line}"));
        }
        if self.heard.len() > HEARD {
            self.heard.remove(0);
        }
    }

    /// Opens the directory with nobody else there.
    fn check(&mut self) -> Result<(), Problem> {
        let engine = match child::open(&self.fight.directory, &job()) {
            Ok(engine) => engine,
            Err(Error::Locked { .. }) => {
                return Err(Problem::violation("everybody is dead, and the lock is held"));
            }
            Err(error) => return Err(Problem::refusal(&error)),
        };
        let Opened { epoch, applied, .. } = Opened::of(engine.recovery());
        self.runs.opened(epoch, applied, None)?;
        self.runs.check()?;
        self.runs.check_records(&engine)?;
        engine.close().map(drop).map_err(|error| Problem::violation(format!("closing: {error}")))
    }
}

fn job() -> Job {
    Job {
        role: Role::Work,
        seed: 0,
        first_name: 0,
        clients: 1,
        segment_bytes: 64 << 10,
        log_limit_bytes: 256 << 10,
        again: Vec::new(),
    }
}

impl Contender {
    /// Takes in what it says; true when it is to be killed now.
    fn says(
        &mut self,
        line: Line,
        runs: &mut Runs,
        summary: &mut FightSummary,
    ) -> Result<bool, Problem> {
        let (record, stays) = match self.role {
            Role::Stay { record } => (record, true),
            Role::Visit { record, .. } => (record, false),
            Role::Work => unreachable!("nobody works here"),
        };
        match line {
            Line::Locked => {
                summary.locked += 1;
                self.locked += 1;
                return Ok(self.locked == self.patience);
            }
            Line::Opened(Opened { epoch, applied, .. }) => {
                summary.winners += 1;
                self.inside = Some(epoch);
                runs.opened(epoch, applied, Some(record))?;
            }
            Line::Wrote(seq) => {
                summary.acknowledgements += 1;
                let epoch = self.inside.ok_or_else(|| Problem::violation("it wrote outside"))?;
                let commits = runs.wrote(epoch, record, seq)?;
                return Ok(stays && commits >= self.commits);
            }
            Line::Failed(what) if what.starts_with("opening: ") => {
                return Err(Problem { kind: Kind::Refusal, what });
            }
            Line::Failed(what) => return Err(Problem::violation(what)),
            Line::Starting | Line::Closed => {}
            other => return Err(Problem::violation(format!("no contender says: {other}"))),
        }
        Ok(false)
    }

    fn ended(&self, end: End, summary: &mut FightSummary) {
        match (end, self.inside) {
            (End::Left, _) => summary.closes += 1,
            (End::Killed, Some(_)) => summary.kills_inside += 1,
            (End::Killed, None) => summary.kills_outside += 1,
        }
    }
}
