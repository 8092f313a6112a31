//! Who was inside of a directory when, and that nobody was there together with another.

use super::{super::model::NUMBERS, problem::Problem};
use crate::{Engine, Epoch, SeqNo};
use std::collections::BTreeMap;

/// Who was inside, in the order of their openings.
#[derive(Debug, Default)]
pub(super) struct Runs(BTreeMap<Epoch, Run>);

/// One process's time inside.
#[derive(Debug)]
struct Run {
    found: SeqNo,
    /// Where it writes; none for the parent, which only looks.
    record: Option<u32>,
    wrote: Vec<SeqNo>,
}

impl Runs {
    /// Notes an opening. One that wrote nothing leaves its number to the next, and is forgotten then.
    pub fn opened(
        &mut self,
        epoch: Epoch,
        found: SeqNo,
        record: Option<u32>,
    ) -> Result<(), Problem> {
        let before = self.0.insert(epoch, Run { found, record, wrote: Vec::new() });
        match before {
            Some(run) if run.found != found || !run.wrote.is_empty() => Err(twice(epoch)),
            _ => Ok(()),
        }
    }

    /// Notes a commit, and says how many that makes.
    pub fn wrote(&mut self, epoch: Epoch, record: u32, seq: SeqNo) -> Result<u64, Problem> {
        let run = self.0.get_mut(&epoch).filter(|run| run.record == Some(record));
        let run = run.ok_or_else(|| twice(epoch))?;
        run.wrote.push(seq);
        Ok(run.wrote.len() as u64)
    }

    /// Nobody was inside together with another.
    pub fn check(&self) -> Result<(), Problem> {
        for (epoch, run) in &self.0 {
            let interrupted = run.wrote.windows(2).find(|pair| pair[1].get() != pair[0].get() + 1);
            if let Some(pair) = interrupted {
                let what = format!("in opening {epoch} entry {} comes after {}", pair[1], pair[0]);
                return Err(Problem::violation(what));
            }
            if let Some(first) = run.wrote.first().filter(|first| **first <= run.found) {
                let found = run.found;
                let what = format!("opening {epoch} found entry {found} and wrote entry {first}");
                return Err(Problem::violation(what));
            }
        }
        for ((epoch, run), (next, after)) in self.0.iter().zip(self.0.iter().skip(1)) {
            let follows = match run.wrote.last() {
                Some(last) => after.found >= *last && after.found.get() <= last.get() + 1,
                // At most one commit, of which nobody was told, and whose number nobody knows.
                None => after.found >= run.found,
            };
            if !follows {
                let what =
                    format!("opening {epoch} left {run:?}, and opening {next} found {after:?}");
                let lost = run.wrote.last().is_some_and(|last| after.found < *last);
                let problem = if lost { Problem::loss } else { Problem::violation };
                return Err(problem(what));
            }
        }
        Ok(())
    }

    /// Everything acknowledged is there, and at most one more commit of each.
    pub fn check_records(&mut self, engine: &Engine) -> Result<(), Problem> {
        for (epoch, run) in &self.0 {
            let Some(record) = run.record else { continue };
            let record = engine.get(&NUMBERS, &record);
            let record = record.map_err(|error| Problem::violation(error.to_string()))?;
            let found = record.map_or(0, |record| record.value as u64);
            let told = run.wrote.len() as u64;
            if found < told {
                let what = format!("opening {epoch} was told of {told} commits, {found} are there");
                return Err(Problem::loss(what));
            }
            if found > told + 1 {
                let what =
                    format!("opening {epoch} was told of {told} commits, and {found} are there");
                return Err(Problem::violation(what));
            }
        }
        // The last one has been compared with all before it, and stands for them from now on.
        if let Some((epoch, run)) = self.0.pop_last() {
            self.0 = BTreeMap::from([(epoch, run)]);
        }
        Ok(())
    }
}

fn twice(epoch: Epoch) -> Problem {
    Problem::violation(format!("two processes were opening {epoch}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(all: &[(u64, u64, &[u64])]) -> Result<(), Problem> {
        let mut runs = Runs::default();
        for &(epoch, found, wrote) in all {
            runs.opened(Epoch::new(epoch), SeqNo::new(found), Some(1))?;
            for &seq in wrote {
                runs.wrote(Epoch::new(epoch), 1, SeqNo::new(seq))?;
            }
        }
        runs.check()
    }

    #[test]
    fn runs_that_follow_each_other_are_right() {
        let begun: [(u64, u64, &[u64]); 3] =
            [(1, 0, &[1, 2, 3]), (2, 3, &[4]), (4, 5, &[100, 101])];
        let ended: [(u64, u64, &[u64]); 3] = [(5, 102, &[]), (6, 103, &[]), (6, 103, &[104])];
        runs(&[begun, ended].concat()).unwrap();
    }

    #[test]
    fn processes_that_were_inside_together_are_noticed() {
        let cases: [&[(u64, u64, &[u64])]; 6] = [
            &[(1, 0, &[1, 3])],
            &[(1, 0, &[1]), (1, 0, &[1])],
            &[(1, 0, &[1, 2, 3]), (2, 1, &[2])],
            &[(1, 0, &[1]), (2, 3, &[])],
            &[(1, 5, &[5])],
            &[(1, 5, &[]), (2, 4, &[])],
        ];
        for case in cases {
            assert!(runs(case).is_err(), "{case:?}");
        }
        let mut runs = Runs::default();
        runs.opened(Epoch::new(1), SeqNo::new(0), Some(1)).unwrap();
        assert!(runs.wrote(Epoch::new(1), 2, SeqNo::new(1)).is_err(), "it was another's opening");
    }
}
