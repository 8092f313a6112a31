//! One child process, from its start to its end, as its parent sees it.

use super::{
    child::{CHILD_VARIABLE, Job},
    problem::Problem,
    protocol::Line,
};
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::Duration,
};

const SIGKILL: i32 = 9;
/// A child that says nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(120);

/// A line, with the number of the child that said it; `None` after its last.
pub(super) type Heard = (usize, Option<Line>);

/// A running child. Dropping it kills it.
pub(super) struct Process(Child);

/// How a process ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Killed,
    Left,
}

impl Process {
    /// Starts a child. What it says comes through `heard` with the number given here, and `None` after its last line.
    pub fn start(
        mut command: Command,
        directory: &Path,
        job: &Job,
        number: usize,
        heard: Sender<Heard>,
    ) -> Result<Self, Problem> {
        command.env(CHILD_VARIABLE, directory).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Self(command.spawn()?);
        let output = process.0.stdout.take().expect("piped");
        thread::spawn(move || {
            for line in whole_lines(output) {
                if heard.send((number, Some(line))).is_err() {
                    return;
                }
            }
            let _ = heard.send((number, None));
        });
        let mut input = process.0.stdin.take().expect("piped");
        match input.write_all(job.lines().as_bytes()) {
            // It ended before it listened: its exit status tells more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            told => told?,
        }
        Ok(process)
    }

    /// Kills it with SIGKILL after a delay. What it said before that can still be heard.
    pub fn kill_after(&mut self, delay: Duration) -> Result<(), Problem> {
        #[allow(clippy::disallowed_methods, reason = "a kill at a random moment waits for none")]
        thread::sleep(delay);
        Ok(self.0.kill()?)
    }

    /// Waits for its end.
    pub fn end(&mut self) -> Result<End, Problem> {
        let status = self.0.wait()?;
        if status.signal() == Some(SIGKILL) {
            Ok(End::Killed)
        } else if status.success() {
            Ok(End::Left)
        } else {
            Err(Problem::violation(format!("a child ended with {status}; its complaint is above")))
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended, and been waited for, long ago.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The next line of any child of the channel.
pub(super) fn hear(heard: &Receiver<Heard>) -> Result<Heard, Problem> {
    heard.recv_timeout(SILENCE).map_err(|error| match error {
        RecvTimeoutError::Timeout => Problem::violation("a child hangs"),
        RecvTimeoutError::Disconnected => Problem::violation("a child can't be heard any more"),
    })
}

/// A channel for what children say.
pub(super) fn ear() -> (Sender<Heard>, Receiver<Heard>) {
    channel()
}

/// The lines of a child that were told whole: a kill may cut the last one.
fn whole_lines(output: impl Read) -> impl Iterator<Item = Line> {
    let mut output = BufReader::new(output);
    std::iter::from_fn(move || {
        loop {
            let mut line = String::new();
            output.read_line(&mut line).ok()?;
            if let Some(said) = Line::hear(line.strip_suffix('\n')?) {
                return Some(said);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cut_by_a_kill_is_not_heard() {
        let said = b"\nrunning 1 test\nsteadfast-child wrote 12\nsteadfast-child wrote 1";
        let lines: Vec<_> = whole_lines(&said[..]).collect();
        assert_eq!(lines, [Line::Wrote(crate::SeqNo::new(12))]);
    }
}
