//! How far it is: one line that rewrites itself on a terminal, a line every few seconds anywhere else.

use crate::{
    common::{ProgressLine, bar, count},
    text::per_second,
};
use std::time::Instant;

/// The progress line on standard error.
pub struct Progress {
    total: u64,
    started: Instant,
    line: ProgressLine,
}

impl Progress {
    pub fn new(total: u64) -> Self {
        Self { total, started: Instant::now(), line: ProgressLine::new(80, 3_000) }
    }

    /// Shows the state, unless it was shown just now.
    pub fn show(&mut self, done: u64, answers: u64, kills: u32) {
        let rate = || per_second(answers, self.started.elapsed());
        self.line.show(|| line(self.total, done, kills, &rate()));
    }

    /// Shows the last state and leaves the line.
    pub fn finish(&mut self, done: u64, answers: u64, kills: u32) {
        let rate = || per_second(answers, self.started.elapsed());
        self.line.finish(|| line(self.total, done, kills, &rate()));
    }
}

fn line(total: u64, done: u64, kills: u32, rate: &str) -> String {
    let bar = bar(done, total);
    let (done, total) = (count(done), count(total));
    format!("{bar} {done} of {total} baskets, {kills} kills, {rate} answers/s")
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
