//! The parent: starts the client, counts what it acknowledges, kills it, starts it again, and believes nothing.

use crate::{
    plan::{Random, deliveries, kill_after},
    progress::Progress,
    protocol::{Answered, Message},
};
use std::{
    env, io,
    io::{BufRead, BufReader, BufWriter, Read, Write},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};
use thiserror::Error;

const SIGKILL: i32 = 9;
/// A client that says nothing for so long is stuck.
const SILENCE: Duration = Duration::from_secs(300);

/// What to run.
pub struct Job<'a> {
    pub input: &'a Path,
    pub dir: &'a Path,
    /// Baskets of all rounds together.
    pub baskets: u32,
    pub kills: u32,
    pub seed: u64,
}

/// What happened.
#[derive(Debug, Default)]
pub struct Tally {
    pub kills: u32,
    /// Answers the client printed.
    pub answers: u64,
    /// Answers that the engine gave from memory.
    pub duplicates: u64,
    /// Deliveries of a basket while another thread was delivering it too.
    pub at_once: u64,
    pub conflicts: u64,
    /// Snapshots in which revenue, spend and total were compared while the clients worked.
    pub audits: u64,
    /// Baskets that were sold, but their answer died with the client: the retry found it.
    pub lost_answers: u64,
    /// Recovery reports of the reopenings after a kill.
    pub reopenings: Vec<serde_json::Value>,
    pub elapsed: Duration,
}

/// Why there is no result.
#[derive(Debug, Error)]
pub enum ParentError {
    #[error("can't run the client: {0}")]
    Client(#[from] io::Error),
    #[error("the client failed ({0}); its complaint is above")]
    Failed(ExitStatus),
    #[error("the client ended without answering every basket")]
    Unfinished,
    #[error("the client was silent for {} s", SILENCE.as_secs())]
    Stuck,
    #[error("the client said `{0}`")]
    Gibberish(String),
    #[error("basket {index} was applied twice")]
    AppliedTwice { index: u32 },
    #[error("basket {index} was answered {first} at first and {now} on a retry")]
    AnswerChanged { index: u32, first: u64, now: u64 },
    #[error("the answers are not the numbers from 1 to {baskets}, each once")]
    AnswersOverlap { baskets: u32 },
}

/// Runs the job to its end, through all kills.
pub fn run(job: &Job) -> Result<Tally, ParentError> {
    let mut random = Random::new(job.seed);
    let mut run = Run::new(job);
    let mut reopened = false;
    loop {
        let pending = u64::from(job.baskets) - run.done;
        let left = u64::from(job.kills - run.tally.kills);
        let kill = (left > 0 && pending > 0).then(|| kill_after(pending, left, &mut random));
        let pause = Duration::from_micros(random.below(3_000));
        let plan = deliveries(&run.answered(), &mut random);
        let killed = run.session(&plan, kill, pause, reopened)?;
        reopened = true;
        if !killed {
            break;
        }
    }
    run.finish()
}

/// The books of the parent.
struct Run<'a> {
    job: &'a Job<'a>,
    tally: Tally,
    started: Instant,
    progress: Progress,
    /// The answer each basket got.
    numbers: Vec<Option<u64>>,
    /// Whether an answer said that the basket was applied just then.
    applied: Vec<bool>,
    /// Baskets with an answer.
    done: u64,
}

impl<'a> Run<'a> {
    fn new(job: &'a Job<'a>) -> Self {
        let baskets = job.baskets as usize;
        Self {
            job,
            tally: Tally::default(),
            started: Instant::now(),
            progress: Progress::new(job.baskets.into()),
            numbers: vec![None; baskets],
            applied: vec![false; baskets],
            done: 0,
        }
    }

    /// One life of the client. Says whether it was killed.
    fn session(
        &mut self,
        plan: &[u32],
        kill_after: Option<u64>,
        pause: Duration,
        reopening: bool,
    ) -> Result<bool, ParentError> {
        let (mut client, heard) = Client::start(self.job, plan)?;
        let kill_at = kill_after.map(|after| self.done + after);
        let (mut killed, mut last) = (false, Instant::now());
        loop {
            match heard.recv_timeout(Duration::from_millis(250)) {
                Ok(line) => {
                    last = Instant::now();
                    self.hear(&line, reopening)?;
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) if last.elapsed() > SILENCE => {
                    return Err(ParentError::Stuck);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.progress.show(self.done, self.tally.answers, self.tally.kills);
            if !killed && kill_at.is_some_and(|at| self.done >= at) {
                thread::sleep(pause);
                client.0.kill()?;
                // What it still printed before it died is acknowledged: go on listening.
                killed = true;
            }
        }
        self.ended(client.0.wait()?)
    }

    fn ended(&mut self, status: ExitStatus) -> Result<bool, ParentError> {
        if status.signal() == Some(SIGKILL) {
            self.tally.kills += 1;
            return Ok(true);
        }
        if !status.success() {
            return Err(ParentError::Failed(status));
        }
        if self.done < self.job.baskets.into() { Err(ParentError::Unfinished) } else { Ok(false) }
    }

    fn hear(&mut self, line: &str, reopening: bool) -> Result<(), ParentError> {
        let gibberish = || ParentError::Gibberish(line.to_owned());
        match Message::parse(line).ok_or_else(gibberish)? {
            Message::Opened(report) if reopening => {
                self.tally.reopenings.push(serde_json::from_str(&report).map_err(|_| gibberish())?);
            }
            Message::Opened(_) | Message::Done => {}
            Message::Audited => self.tally.audits += 1,
            Message::Answered(answered) => self.answer(answered)?,
        }
        Ok(())
    }

    fn answer(&mut self, answered: Answered) -> Result<(), ParentError> {
        let Answered { index, number, replayed, conflicts, at_once } = answered;
        let known = self.numbers.get_mut(index as usize);
        let known = known.ok_or_else(|| ParentError::Gibberish(format!("basket {index}")))?;
        let first = *known.get_or_insert_with(|| {
            self.done += 1;
            number
        });
        if first != number {
            return Err(ParentError::AnswerChanged { index, first, now: number });
        }
        if !replayed && std::mem::replace(&mut self.applied[index as usize], true) {
            return Err(ParentError::AppliedTwice { index });
        }
        self.tally.answers += 1;
        self.tally.duplicates += u64::from(replayed);
        self.tally.at_once += u64::from(at_once);
        self.tally.conflicts += u64::from(conflicts);
        Ok(())
    }

    fn answered(&self) -> Vec<bool> {
        self.numbers.iter().map(Option::is_some).collect()
    }

    fn finish(mut self) -> Result<Tally, ParentError> {
        self.progress.finish(self.done, self.tally.answers, self.tally.kills);
        self.tally.elapsed = self.started.elapsed();
        self.tally.lost_answers = self.applied.iter().filter(|applied| !**applied).count() as u64;
        let mut numbers: Vec<u64> = self.numbers.into_iter().flatten().collect();
        numbers.sort_unstable();
        if numbers.into_iter().ne(1..=u64::from(self.job.baskets)) {
            return Err(ParentError::AnswersOverlap { baskets: self.job.baskets });
        }
        Ok(self.tally)
    }
}

/// A running client, killed when dropped.
struct Client(Child);

impl Client {
    /// Starts this same program as the client and hands it the plan. Its lines come through the channel, which ends with it.
    fn start(job: &Job, plan: &[u32]) -> Result<(Self, Receiver<String>), ParentError> {
        let mut child = Command::new(env::current_exe()?)
            .arg("--client")
            .arg("--input")
            .arg(job.input)
            .arg("--dir")
            .arg(job.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().expect("piped");
        let output = child.stdout.take().expect("piped");
        let client = Self(child);
        send(plan, input)?;
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for line in whole_lines(output) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok((client, receiver))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended, and been waited for, long ago.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn send(plan: &[u32], input: impl Write) -> io::Result<()> {
    let mut input = BufWriter::new(input);
    let sent = plan.iter().try_for_each(|index| writeln!(input, "{index}"));
    match sent.and_then(|()| input.flush()) {
        // It ended before it listened: its exit status tells more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        sent => sent,
    }
}

/// The lines that were printed whole: a kill may cut the last one.
fn whole_lines(output: impl Read) -> impl Iterator<Item = String> {
    let mut output = BufReader::new(output);
    std::iter::from_fn(move || {
        let mut line = String::new();
        output.read_line(&mut line).ok()?;
        line.strip_suffix('\n').map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(index: u32, number: u64, replayed: bool) -> Answered {
        Answered { index, number, replayed, conflicts: 1, at_once: false }
    }

    fn job() -> Job<'static> {
        Job { input: Path::new("-"), dir: Path::new("-"), baskets: 2, kills: 0, seed: 0 }
    }

    #[test]
    fn a_line_cut_by_a_kill_is_not_heard() {
        let lines: Vec<_> = whole_lines(&b"audited\nansw"[..]).collect();
        assert_eq!(lines, ["audited"]);
    }

    #[test]
    fn the_books_are_kept() {
        let job = job();
        let mut run = Run::new(&job);
        for answer in [answered(0, 1, false), answered(0, 1, true), answered(1, 2, true)] {
            run.answer(answer).unwrap();
        }
        let tally = run.finish().unwrap();
        assert_eq!((tally.answers, tally.duplicates, tally.conflicts), (3, 2, 3));
        assert_eq!(tally.lost_answers, 1);
    }

    #[test]
    fn an_engine_that_forgets_is_caught() {
        let job = job();
        let mut run = Run::new(&job);
        run.answer(answered(0, 1, false)).unwrap();
        let twice = run.answer(answered(0, 1, false));
        assert!(matches!(twice, Err(ParentError::AppliedTwice { index: 0 })));
        let changed = run.answer(answered(0, 7, true));
        assert!(matches!(changed, Err(ParentError::AnswerChanged { first: 1, now: 7, .. })));
        run.answer(answered(1, 1, false)).unwrap();
        assert!(matches!(run.finish(), Err(ParentError::AnswersOverlap { baskets: 2 })));
    }
}
