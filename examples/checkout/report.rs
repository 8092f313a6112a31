//! What a person wants to see at the end, and the same for machines.

use crate::{
    common::count,
    parent::Tally,
    text::per_second,
    verify::{Compared, Comparison},
};
use serde_json::{Value, json};
use std::fmt;

/// The final report.
pub struct Report<'a> {
    pub tally: &'a Tally,
    pub comparison: &'a Comparison,
    /// Recovery report of the last opening, by the parent.
    pub last: &'a Value,
    pub lines: u64,
    pub baskets: u32,
    pub repeat: u32,
    pub kills_wanted: u32,
    pub seed: u64,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reopenings(f)?;
        self.numbers(f)?;
        writeln!(f, "\n{}", self.comparison)?;
        match self.comparison.agrees() {
            true => writeln!(f, "The engine holds exactly what the file says."),
            false => writeln!(f, "THE ENGINE DIFFERS FROM THE FILE (seed {})", self.seed),
        }
    }
}

impl Report<'_> {
    fn reopenings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kill, report) in (1..).zip(&self.tally.reopenings) {
            writeln!(f, "Reopened after kill {kill}:\n{}", indented(report))?;
        }
        writeln!(f, "Opened for the comparison:\n{}", indented(self.last))
    }

    fn numbers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { kills, answers, duplicates, at_once, conflicts, .. } = *self.tally;
        let Tally { audits, lost_answers, elapsed, .. } = *self.tally;
        let row = |f: &mut fmt::Formatter<'_>, what: &str, number: u64, note: &str| {
            let gap = if note.is_empty() { "" } else { "  " };
            writeln!(f, "{what:<20} {:>12}{gap}{note}", count(number))
        };
        let rounds = format!("{} sale lines, sold {} times", count(self.lines), self.repeat);
        row(f, "baskets", self.baskets.into(), &rounds)?;
        row(f, "operations answered", answers, "every delivery that got its answer")?;
        let note = format!(
            "from memory, without selling again; {} deliveries met another of the same basket",
            count(at_once)
        );
        row(f, "duplicates answered", duplicates, &note)?;
        row(f, "conflicts retried", conflicts, "a total had changed between read and write")?;
        let note = match kills < self.kills_wanted {
            true => format!("of {}: the work was done before the others", self.kills_wanted),
            false => format!("SIGKILL; seed {}", self.seed),
        };
        row(f, "kills", kills.into(), &note)?;
        row(
            f,
            "answers lost",
            lost_answers,
            "sold, but the answer died with the client; its retry got it",
        )?;
        row(f, "audits on the way", audits, "snapshots in which revenue, spend and total agreed")?;
        let note = format!(
            "answers a second, {:.1} s with all kills and reopenings",
            elapsed.as_secs_f64()
        );
        writeln!(f, "{:<20} {:>12}  {note}", "throughput", per_second(answers, elapsed))
    }

    /// The report for machines.
    pub fn json(&self) -> Value {
        let tally = self.tally;
        let machine = |report: &Value| report["report"].clone();
        json!({
            "agrees": self.comparison.agrees(),
            "seed": self.seed,
            "sale_lines": self.lines,
            "repeat": self.repeat,
            "baskets": self.baskets,
            "operations_answered": tally.answers,
            "duplicates_answered": tally.duplicates,
            "delivered_at_once": tally.at_once,
            "conflicts_retried": tally.conflicts,
            "kills": tally.kills,
            "answers_lost": tally.lost_answers,
            "audits": tally.audits,
            "elapsed_s": tally.elapsed.as_secs_f64(),
            "reopenings": tally.reopenings.iter().map(machine).collect::<Vec<_>>(),
            "last_opening": machine(self.last),
            "comparison": self.comparison.0.iter().map(compared).collect::<Vec<_>>(),
        })
    }
}

fn compared(line: &Compared) -> Value {
    // As text: a sum over records may be larger than any JSON reader's integers.
    let (expected, found) = (line.expected.to_string(), line.found.to_string());
    let Compared { what, records, differing, .. } = line;
    json!({ "what": what, "records": records, "expected": expected, "found": found, "differing": differing })
}

fn indented(report: &Value) -> String {
    let text = report["text"].as_str().unwrap_or_default();
    text.lines().map(|line| format!("  {line}\n")).collect()
}
