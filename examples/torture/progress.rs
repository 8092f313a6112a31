//! How far it is: one line that rewrites itself on a terminal, a line every half minute anywhere else.

use crate::{
    common::{ProgressLine, bar, count},
    tally::Tally,
};
use std::{
    io::{Write, stderr},
    time::Duration,
};

/// The progress line on standard error.
pub struct Progress {
    total: Duration,
    line: ProgressLine,
}

impl Progress {
    pub fn new(total: Duration) -> Self {
        Self { total, line: ProgressLine::new(200, 30_000) }
    }

    /// Shows the state, unless it was shown just now.
    pub fn show(&mut self, elapsed: Duration, tally: &Tally) {
        self.line.show(|| line(self.total, elapsed, tally));
    }

    /// Prints something that is not the progress.
    pub fn say(&self, what: &str) {
        let _ = writeln!(stderr(), "{}{what}", if self.line.terminal { "\r\x1b[K" } else { "" });
    }

    /// Leaves the line.
    pub fn finish(&mut self, elapsed: Duration, tally: &Tally) {
        self.line.finish(|| line(self.total, elapsed, tally));
    }
}

fn line(total: Duration, elapsed: Duration, tally: &Tally) -> String {
    let (done, whole) = (elapsed.as_secs().min(total.as_secs()), total.as_secs().max(1));
    let bar = bar(done, whole);
    let [crashes, again] = ["crashes", "recovery_crashes"].map(|name| count(tally.total(name)));
    let kills = count(tally.of("kills", "kills"));
    let failures = tally.failures();
    let minutes = |seconds: u64| format!("{}:{:02}", seconds / 60, seconds % 60);
    let (done, whole) = (minutes(done), minutes(whole));
    format!(
        "{bar} {done} of {whole}, {crashes} crashes, {again} in recovery, {kills} kills, {failures} failures"
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
