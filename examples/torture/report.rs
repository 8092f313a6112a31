//! What a run found, as a person wants to see it.

use crate::{
    common::count,
    record::Record,
    tally::{FAILURES, Tally},
};
use std::{fmt, path::Path};

/// The figures that say most: the name, of which layer if not of all, and in words. The file has all.
const HEADLINES: [(&str, Option<&str>, &str); 9] = [
    ("crashes", None, "simulated crashes"),
    ("recovery_crashes", None, "and during recovery"),
    ("openings", None, "openings of what they left"),
    ("kills", Some("kills"), "processes killed with SIGKILL"),
    ("damages", None, "files damaged"),
    ("histories", None, "concurrent histories explained"),
    ("refusals", None, "refused without a reason"),
    ("losses", None, "acknowledged and lost"),
    ("violations", None, "other promises broken"),
];

/// This run, and all that the file holds.
pub struct Report<'a> {
    pub record: &'a Record,
    pub earlier: &'a [Record],
    pub path: &'a Path,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { seed, seconds, threads, figures, .. } = self.record;
        writeln!(f, "seed {seed}, {seconds} s on {threads} threads")?;
        for (layer, figures) in &figures.0 {
            let figures: Vec<_> = figures
                .iter()
                .filter(|(name, number)| **number > 0 || FAILURES.contains(&name.as_str()))
                .map(|(name, number)| format!("{name} {}", count(*number)))
                .collect();
            writeln!(f, "\n{layer}: {}", figures.join(", "))?;
        }
        let mut all = figures.clone();
        self.earlier.iter().for_each(|record| all.merge(&record.figures));
        let runs = self.earlier.len() + 1;
        writeln!(f, "\n{:40} {:>16} {:>20}", "", "this run", format!("all {runs} runs"))?;
        for (name, layer, what) in HEADLINES {
            let figure = |tally: &Tally| match layer {
                Some(layer) => tally.of(layer, name),
                None => tally.total(name),
            };
            let [here, all] = [figures, &all].map(|tally| count(figure(tally)));
            writeln!(f, "{what:40} {here:>16} {all:>20}")?;
        }
        write!(f, "\nall figures: {}", self.path.display())
    }
}
