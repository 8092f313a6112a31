//! How far it is: one line that rewrites itself on a terminal, a line every half minute anywhere else.

use crate::{report::count, tally::Tally};
use std::{
    io::{IsTerminal, Write, stderr},
    time::{Duration, Instant},
};

const BAR_WIDTH: u64 = 30;

/// The progress line on standard error.
pub struct Progress {
    total: Duration,
    shown: Option<Instant>,
    every: Duration,
    terminal: bool,
}

impl Progress {
    pub fn new(total: Duration) -> Self {
        let terminal = stderr().is_terminal();
        let every = Duration::from_millis(if terminal { 200 } else { 30_000 });
        Self { total, shown: None, every, terminal }
    }

    /// Shows the state, unless it was shown just now.
    pub fn show(&mut self, elapsed: Duration, tally: &Tally) {
        if self.shown.is_some_and(|shown| shown.elapsed() < self.every) {
            return;
        }
        self.shown = Some(Instant::now());
        let line = line(self.total, elapsed, tally);
        // A closed standard error must not stop the work.
        let _ = match self.terminal {
            true => write!(stderr(), "\r{line}\x1b[K"),
            false => writeln!(stderr(), "{line}"),
        };
    }

    /// Prints something that is not the progress.
    pub fn say(&mut self, what: &str) {
        let _ = writeln!(stderr(), "{}{what}", if self.terminal { "\r\x1b[K" } else { "" });
    }

    /// Leaves the line.
    pub fn finish(&mut self, elapsed: Duration, tally: &Tally) {
        self.shown = None;
        self.show(elapsed, tally);
        if self.terminal {
            let _ = writeln!(stderr());
        }
    }
}

fn line(total: Duration, elapsed: Duration, tally: &Tally) -> String {
    let (done, whole) = (elapsed.as_secs().min(total.as_secs()), total.as_secs().max(1));
    let filled = (done * BAR_WIDTH / whole) as usize;
    let bar = "#".repeat(filled) + &".".repeat(BAR_WIDTH as usize - filled);
    let [crashes, again] = ["crashes", "recovery_crashes"].map(|name| count(tally.total(name)));
    let kills = count(tally.of("kills", "kills"));
    let failures = tally.failures();
    let minutes = |seconds: u64| format!("{}:{:02}", seconds / 60, seconds % 60);
    let (done, whole) = (minutes(done), minutes(whole));
    format!(
        "[{bar}] {done} of {whole}, {crashes} crashes, {again} in recovery, {kills} kills, {failures} failures"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_from_empty_to_full() {
        let line =
            |done| line(Duration::from_secs(120), Duration::from_secs(done), &Tally::default());
        assert!(line(0).starts_with("[..............................] 0:00 of 2:00, 0 crashes"));
        assert!(line(61).starts_with("[###############...............] 1:01 of 2:00"));
        assert!(line(500).starts_with("[##############################] 2:00 of 2:00"));
    }
}
