//! Many kills, and the checks between them.

use super::{
    super::luck::Luck,
    books::Books,
    child::{Job, Role},
    life::{self, End, Process},
    problem::{Failure, Problem},
    protocol::{Line, Opened},
    summary::Summary,
};
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Checks of one database before the next is begun.
const CHECKS: u64 = 8;
/// Greatest number of processes killed between two checks.
const LIVES: u64 = 3;
/// Greatest number of answers before a kill.
const ANSWERS: u64 = 150;
/// Greatest delay between the last of those and the kill.
const DELAY_US: u64 = 3_000;

/// Kills so many processes, on databases made for it.
///
/// ```no_run
/// use steadfast::testing::kills::{self, Campaign};
/// use std::{env, process::Command};
///
/// // The same program is the child when it is started by the campaign.
/// if kills::child() {
///     return Ok(());
/// }
/// let program = env::current_exe().expect("it runs");
/// let campaign = Campaign { seed: 1, kills: 1_000, clients: 4, directory: "kills".into() };
/// let summary = campaign.run(|| Command::new(&program))?;
/// println!("{summary}");
/// # Ok::<(), Box<kills::Failure>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Where the choices come from.
    pub seed: u64,
    /// How many processes to kill.
    pub kills: u64,
    /// How many threads work in each.
    pub clients: u64,
    /// Where the databases are made, each in a folder of its own that is removed when it passed; made if it is not there.
    pub directory: PathBuf,
}

/// When a process is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// While it opens the database, so long after it said that it does.
    Opening(Duration),
    /// So long after so many answers.
    Answers(u64, Duration),
}

impl Campaign {
    /// Runs it. `command` gives the command that starts a process which calls [`child`](super::child()).
    ///
    /// # Errors
    /// The first check that failed; the directory is kept, and no further process started.
    pub fn run(&self, mut command: impl FnMut() -> Command) -> Result<Summary, Box<Failure>> {
        let luck = Luck::new(self.seed);
        let mut total = Summary::default();
        for number in 0u64.. {
            if total.kills >= self.kills {
                break;
            }
            let directory = self.directory.join(format!("{}-{number}", self.seed));
            let left = self.kills - total.kills;
            let mut database = Database::new(directory, self.clients, left, &luck);
            let worked = database.work(&mut command);
            total += database.books.summary;
            let removed = worked.and_then(|()| Ok(remove(&database.directory)?));
            removed.map_err(|problem| self.failure(problem, database, &mut total))?;
        }
        Ok(total)
    }

    fn failure(&self, problem: Problem, database: Database, total: &mut Summary) -> Box<Failure> {
        let Problem { kind, what } = problem;
        total.count(kind);
        let (seed, kills, heard) = (self.seed, total.kills, database.books.heard());
        let directory = database.directory;
        Box::new(Failure { kind, what, seed, kills, directory, heard, summary: *total })
    }
}

#[allow(clippy::disallowed_methods, reason = "what a campaign made and found right, it removes")]
fn remove(directory: &Path) -> std::io::Result<()> {
    std::fs::remove_dir_all(directory)
}

/// One database, from its making to the last check.
pub(super) struct Database<'a> {
    pub directory: PathBuf,
    pub books: Books,
    luck: &'a Luck,
    clients: u64,
    /// So many more processes may be killed.
    kills: u64,
    lives: u64,
    /// How long the last opening took.
    opening: Duration,
    fastest: Duration,
    segment_bytes: u64,
    log_limit_bytes: u64,
    pub checkpoint: u64,
    pub segments: Segments,
}

/// The numbers of the oldest and the newest segment of a log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Segments {
    pub oldest: u64,
    pub newest: u64,
}

impl<'a> Database<'a> {
    fn new(directory: PathBuf, clients: u64, kills: u64, luck: &'a Luck) -> Self {
        let mut books = Books::default();
        books.summary.databases = 1;
        Self {
            directory,
            books,
            luck,
            clients: clients.max(1),
            kills,
            lives: 0,
            opening: Duration::from_millis(10),
            fastest: Duration::from_millis(10),
            segment_bytes: 64 << 10,
            log_limit_bytes: (64 << 10) << luck.below(4),
            checkpoint: 0,
            segments: Segments::default(),
        }
    }

    fn work(&mut self, command: &mut impl FnMut() -> Command) -> Result<(), Problem> {
        for _ in 0..CHECKS {
            for _ in 0..1 + self.luck.below(LIVES) {
                if self.books.summary.kills < self.kills {
                    self.life(command())?;
                }
            }
            self.check()?;
            if self.books.summary.kills >= self.kills {
                break;
            }
        }
        Ok(())
    }

    /// Starts a process and kills it.
    fn life(&mut self, command: Command) -> Result<(), Problem> {
        let job = self.job(Role::Work);
        let moment = self.moment();
        let (ear, heard) = life::ear();
        let mut process = Process::start(command, &self.directory, &job, 0, ear)?;
        let (mut opened, mut answers, mut killed) = (false, 0, false);
        while let (_, Some(line)) = life::hear(&heard)? {
            let delay = match (&line, moment) {
                (Line::Starting, Moment::Opening(delay)) => Some(delay),
                (Line::Answered { .. }, Moment::Answers(due, delay)) => {
                    answers += 1;
                    Some(delay).filter(|_| answers == due)
                }
                _ => None,
            };
            if let Line::Opened(Opened { micros, .. }) = line {
                opened = true;
                self.opening = Duration::from_micros(micros);
                self.fastest = self.fastest.min(self.opening);
            }
            if let Some(delay) = delay.filter(|_| !killed) {
                process.kill_after(delay)?;
                killed = true;
            }
            self.books.hear(line)?;
        }
        if process.end()? == End::Left {
            return Err(Problem::violation("a child left without being killed"));
        }
        self.books.summary.kills += 1;
        self.books.summary.kills_while_opening += u64::from(!opened);
        self.books.died();
        Ok(())
    }

    fn moment(&self) -> Moment {
        if self.luck.once_in(3) {
            // Within any opening, or within one like the last and a little after it.
            let most = if self.luck.once_in(2) { self.fastest } else { self.opening * 5 / 4 };
            let most = (most.as_micros() as u64).max(1);
            Moment::Opening(Duration::from_micros(self.luck.below(most)))
        } else {
            let most = 1 + self.luck.below(ANSWERS);
            let delay = Duration::from_micros(self.luck.below(DELAY_US));
            Moment::Answers(1 + self.luck.below(most), delay)
        }
    }

    pub fn job(&mut self, role: Role) -> Job {
        self.lives += 1;
        let mut again = self.books.doubtful();
        let remembered = self.books.remembered();
        let seed = self.luck.any();
        let luck = Luck::new(seed);
        for _ in 0..remembered.len().min(20) {
            again.push(remembered[luck.below(remembered.len() as u64) as usize].clone());
        }
        Job {
            role,
            seed,
            first_name: self.lives << 32,
            clients: self.clients,
            segment_bytes: self.segment_bytes,
            log_limit_bytes: self.log_limit_bytes,
            again,
        }
    }
}
