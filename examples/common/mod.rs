//! What the examples share: numbers as a person types and reads them, and a line that shows how far it is.

use std::{
    ffi::OsStr,
    io::{IsTerminal, Write, stderr},
    ops::RangeInclusive,
    time::{Duration, Instant},
};

const BAR_WIDTH: u64 = 30;

/// The whole number that was typed, if it is one, and within the range.
pub fn number(typed: &OsStr, range: RangeInclusive<u64>) -> Option<u64> {
    typed.to_str()?.parse().ok().filter(|number| range.contains(number))
}

/// `1234567` as `1,234,567`.
pub fn count<N: Into<i128>>(number: N) -> String {
    let number = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A bar that is full when all is done.
pub fn bar(done: u64, total: u64) -> String {
    let filled = (done * BAR_WIDTH).checked_div(total).unwrap_or(BAR_WIDTH).min(BAR_WIDTH) as usize;
    let (filled, empty) = ("#".repeat(filled), ".".repeat(BAR_WIDTH as usize - filled));
    format!("[{filled}{empty}]")
}

/// A line on standard error: one that rewrites itself on a terminal, one line after the other anywhere else.
pub struct ProgressLine {
    shown: Option<Instant>,
    every: Duration,
    pub terminal: bool,
}

impl ProgressLine {
    /// Shown again after so many milliseconds.
    pub fn new(terminal_ms: u64, elsewhere_ms: u64) -> Self {
        let terminal = stderr().is_terminal();
        let every = Duration::from_millis(if terminal { terminal_ms } else { elsewhere_ms });
        Self { shown: None, every, terminal }
    }

    /// Shows the state, unless it was shown just now.
    pub fn show(&mut self, line: impl FnOnce() -> String) {
        if self.shown.is_some_and(|shown| shown.elapsed() < self.every) {
            return;
        }
        self.shown = Some(Instant::now());
        let line = line();
        // A closed standard error must not stop the work.
        let _ = match self.terminal {
            true => write!(stderr(), "\r{line}\x1b[K"),
            false => writeln!(stderr(), "{line}"),
        };
    }

    /// Shows the last state and leaves the line.
    pub fn finish(&mut self, line: impl FnOnce() -> String) {
        self.shown = None;
        self.show(line);
        if self.terminal {
            let _ = writeln!(stderr());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_within_their_range() {
        let numbers = ["7", "0", "18446744073709551615", "-1", "x", ""];
        let taken = numbers.map(|typed| number(typed.as_ref(), 1..=u64::MAX));
        assert_eq!(taken, [Some(7), None, Some(u64::MAX), None, None, None]);
        assert_eq!(number("8".as_ref(), 0..=7), None);
    }

    #[test]
    fn numbers_read_well() {
        let numbers = [0, 999, 1_000, -1_234_567].map(count::<i64>);
        assert_eq!(numbers, ["0", "999", "1,000", "-1,234,567"]);
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn the_bar_fills_from_empty_to_full() {
        assert_eq!(bar(0, 10), "[..............................]");
        assert_eq!(bar(5, 10), "[###############...............]");
        assert_eq!(bar(10, 10), "[##############################]");
        assert_eq!(bar(11, 10), "[##############################]");
        assert_eq!(bar(0, 0), "[##############################]");
    }
}
