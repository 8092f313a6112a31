//! Several processes that fight for one directory.

use super::{
    super::{crash::Kind, luck::Luck, model::NUMBERS},
    child::{self, Job, Role},
    life::{self, End, Heard, Process},
    problem::{Failure, Problem},
    protocol::{Line, Opened},
    summary::{FightSummary, Summary},
};
use crate::{Engine, Epoch, Error, SeqNo};
use std::{
    collections::BTreeMap, path::PathBuf, process::Command, sync::mpsc::Sender, time::Duration,
};

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
    /// Runs it. `command` gives the command that starts a process which calls [`child`](child::child).
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
        engine.close().map_err(|error| Problem::violation(format!("closing: {error}")))
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

/// Who was inside, in the order of their openings.
#[derive(Debug, Default)]
struct Runs(BTreeMap<Epoch, Run>);

/// One process's time inside.
#[derive(Debug)]
struct Run {
    found: SeqNo,
    /// Where it writes; none for the parent, which only looks.
    record: Option<u32>,
    wrote: Vec<SeqNo>,
}

impl Runs {
    /// Notes an opening. One that wrote nothing leaves its number to the next, and is forgotten then.
    fn opened(&mut self, epoch: Epoch, found: SeqNo, record: Option<u32>) -> Result<(), Problem> {
        let before = self.0.insert(epoch, Run { found, record, wrote: Vec::new() });
        match before {
            Some(run) if run.found != found || !run.wrote.is_empty() => Err(twice(epoch)),
            _ => Ok(()),
        }
    }

    /// Notes a commit, and says how many that makes.
    fn wrote(&mut self, epoch: Epoch, record: u32, seq: SeqNo) -> Result<u64, Problem> {
        let run = self.0.get_mut(&epoch).filter(|run| run.record == Some(record));
        let run = run.ok_or_else(|| twice(epoch))?;
        run.wrote.push(seq);
        Ok(run.wrote.len() as u64)
    }

    /// Nobody was inside together with another.
    fn check(&self) -> Result<(), Problem> {
        for (epoch, run) in &self.0 {
            let interrupted = run.wrote.windows(2).find(|pair| pair[1].get() != pair[0].get() + 1);
            if let Some(pair) = interrupted {
                let what = format!("in opening {epoch} entry {} comes after {}", pair[1], pair[0]);
                return Err(Problem::violation(what));
            }
            if let Some(first) = run.wrote.first().filter(|first| **first <= run.found) {
                let found = run.found;
                let what = format!("opening {epoch} found entry {found} and wrote entry {first}");
                return Err(Problem::violation(what));
            }
        }
        for ((epoch, run), (next, after)) in self.0.iter().zip(self.0.iter().skip(1)) {
            let follows = match run.wrote.last() {
                Some(last) => after.found >= *last && after.found.get() <= last.get() + 1,
                // At most one commit, of which nobody was told, and whose number nobody knows.
                None => after.found >= run.found,
            };
            if !follows {
                let what =
                    format!("opening {epoch} left {run:?}, and opening {next} found {after:?}");
                let lost = run.wrote.last().is_some_and(|last| after.found < *last);
                let problem = if lost { Problem::loss } else { Problem::violation };
                return Err(problem(what));
            }
        }
        Ok(())
    }

    /// Everything acknowledged is there, and at most one more commit of each.
    fn check_records(&mut self, engine: &Engine) -> Result<(), Problem> {
        for (epoch, run) in &self.0 {
            let Some(record) = run.record else { continue };
            let record = engine.get(&NUMBERS, &record);
            let record = record.map_err(|error| Problem::violation(error.to_string()))?;
            let found = record.map_or(0, |record| record.value as u64);
            let told = run.wrote.len() as u64;
            if found < told {
                let what = format!("opening {epoch} was told of {told} commits, {found} are there");
                return Err(Problem::loss(what));
            }
            if found > told + 1 {
                let what =
                    format!("opening {epoch} was told of {told} commits, and {found} are there");
                return Err(Problem::violation(what));
            }
        }
        // The last one has been compared with all before it, and stands for them from now on.
        if let Some((epoch, run)) = self.0.pop_last() {
            self.0 = BTreeMap::from([(epoch, run)]);
        }
        Ok(())
    }
}

fn twice(epoch: Epoch) -> Problem {
    Problem::violation(format!("two processes were opening {epoch}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(all: &[(u64, u64, &[u64])]) -> Result<(), Problem> {
        let mut runs = Runs::default();
        for &(epoch, found, wrote) in all {
            runs.opened(Epoch::new(epoch), SeqNo::new(found), Some(1))?;
            for &seq in wrote {
                runs.wrote(Epoch::new(epoch), 1, SeqNo::new(seq))?;
            }
        }
        runs.check()
    }

    #[test]
    fn runs_that_follow_each_other_are_right() {
        let begun: [(u64, u64, &[u64]); 3] =
            [(1, 0, &[1, 2, 3]), (2, 3, &[4]), (4, 5, &[100, 101])];
        let ended: [(u64, u64, &[u64]); 3] = [(5, 102, &[]), (6, 103, &[]), (6, 103, &[104])];
        runs(&[begun, ended].concat()).unwrap();
    }

    #[test]
    fn processes_that_were_inside_together_are_noticed() {
        let cases: [&[(u64, u64, &[u64])]; 6] = [
            &[(1, 0, &[1, 3])],
            &[(1, 0, &[1]), (1, 0, &[1])],
            &[(1, 0, &[1, 2, 3]), (2, 1, &[2])],
            &[(1, 0, &[1]), (2, 3, &[])],
            &[(1, 5, &[5])],
            &[(1, 5, &[]), (2, 4, &[])],
        ];
        for case in cases {
            assert!(runs(case).is_err(), "{case:?}");
        }
        let mut runs = Runs::default();
        runs.opened(Epoch::new(1), SeqNo::new(0), Some(1)).unwrap();
        assert!(runs.wrote(Epoch::new(1), 2, SeqNo::new(1)).is_err(), "it was another's opening");
    }
}
