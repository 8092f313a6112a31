//! How far it is: one line that rewrites itself on a terminal, a line every few seconds anywhere else.

use crate::text::{count, per_second};
use std::{
    io::{IsTerminal, Write, stderr},
    time::{Duration, Instant},
};

const BAR_WIDTH: u64 = 30;

/// The progress line on standard error.
pub struct Progress {
    total: u64,
    started: Instant,
    shown: Option<Instant>,
    every: Duration,
    terminal: bool,
}

impl Progress {
    pub fn new(total: u64) -> Self {
        let terminal = stderr().is_terminal();
        let every = Duration::from_millis(if terminal { 80 } else { 3_000 });
        Self { total, started: Instant::now(), shown: None, every, terminal }
    }

    /// Shows the state, unless it was shown just now.
    pub fn show(&mut self, done: u64, answers: u64, kills: u32) {
        if self.shown.is_some_and(|shown| shown.elapsed() < self.every) {
            return;
        }
        self.shown = Some(Instant::now());
        let line = line(self.total, done, kills, &per_second(answers, self.started.elapsed()));
        // A closed standard error must not stop the work.
        let _ = match self.terminal {
            true => write!(stderr(), "\r{line}\x1b[K"),
            false => writeln!(stderr(), "{line}"),
        };
    }

    /// Shows the last state and leaves the line.
    pub fn finish(&mut self, done: u64, answers: u64, kills: u32) {
        self.shown = None;
        self.show(done, answers, kills);
        if self.terminal {
            let _ = writeln!(stderr());
        }
    }
}

fn line(total: u64, done: u64, kills: u32, rate: &str) -> String {
    let filled = (done * BAR_WIDTH).checked_div(total).unwrap_or(BAR_WIDTH).min(BAR_WIDTH) as usize;
    let bar = "#".repeat(filled) + &".".repeat(BAR_WIDTH as usize - filled);
    let (done, total) = (count(done.into()), count(total.into()));
    format!("[{bar}] {done} of {total} baskets, {kills} kills, {rate} answers/s")
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn the_bar_fills_from_empty_to_full() {
        assert!(line(10, 0, 0, "0").starts_with("[..............................] 0 of 10"));
        assert!(line(10, 5, 0, "0").starts_with("[###############...............] 5 of 10"));
        assert!(line(10, 10, 6, "9").starts_with("[##############################] 10 of 10"));
        assert!(line(0, 0, 0, "0").starts_with("[##############################] 0 of 0"));
    }
}
