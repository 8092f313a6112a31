//! How long outcomes are remembered: whole at first, then as stubs, then not at all.
//!
//! Outcomes follow each other in *generations*, each of a part of the time that outcomes are kept whole. A generation is
//! demoted when that time is over for its last outcome; its stubs join an *era*, a part of the time that stubs are kept,
//! and an era is forgotten when that is over for its last. Each of these is one step of one entry, in log time, whatever
//! the number of outcomes: the digests of the rows and of the stubs they will become are summed up as they are written.
//! What a row is, whole, stub or forgotten, follows from its number alone, wherever it is still stored.

use super::digest::{RowHasher, StateDigest};
use crate::base::{
    Control, Era, Generation, IdempotencyKey, LogTime, Remembered, SeqNo, Step, WindowRow,
    canary::canary,
};
use std::sync::Arc;

/// A generation takes this part of the time that outcomes are kept whole, an era this part of that of stubs.
const PARTS: u64 = 8;
/// Bytes of a stub in the checkpoint, with its key and checksum.
const STUB_BYTES: u64 = 53;
/// Most steps of one entry; those that are left come with the next.
const STEPS: usize = 64;

/// How long outcomes are remembered, in nanoseconds of log time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    /// Whole, since they were decided; `u64::MAX`: for ever.
    pub whole: u64,
    /// Whole or as stubs; `u64::MAX`: for ever.
    pub stubs: u64,
}

/// Where a row belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Whole, in this generation.
    Generation(u32),
    /// As a stub, in this era.
    Era(u32),
    /// Nowhere.
    Forgotten,
}

impl Control {
    /// Where the row that entry `seq` decided belongs.
    pub(crate) fn place(&self, seq: SeqNo) -> Place {
        if seq <= self.forgotten {
            return Place::Forgotten;
        }
        if let Some(era) = self.eras.iter().find(|era| seq <= era.last) {
            return Place::Era(era.number);
        }
        let (open, closed) = self.generations.split_last().expect("one is always open");
        let generation = closed.iter().find(|generation| seq <= generation.last).unwrap_or(open);
        Place::Generation(generation.number)
    }

    /// Where the rows of a generation belong.
    pub(crate) fn place_of(&self, generation: u32) -> Place {
        if self.generations.iter().any(|there| there.number == generation) {
            return Place::Generation(generation);
        }
        let era =
            self.eras.iter().find(|era| (era.number..=era.last_generation).contains(&generation));
        era.map_or(Place::Forgotten, |era| Place::Era(era.number))
    }

    /// Of what was decided up to this entry there are stubs at most.
    pub(crate) fn last_stub(&self) -> SeqNo {
        self.eras.last().map_or(self.forgotten, |era| era.last)
    }

    /// What was decided up to then is forgotten, if anything is.
    pub(crate) fn horizon(&self) -> Option<LogTime> {
        (self.forgotten.get() > 0).then_some(self.forgotten_time)
    }

    /// What is left of a row by now.
    pub(crate) fn recall(&self, row: Remembered) -> Option<Remembered> {
        match (self.place(row.seq()), row) {
            (Place::Forgotten, _) => None,
            (Place::Era(_), row) => Some(Remembered::Stub(row.stub())),
            (Place::Generation(_), row) => Some(row),
        }
    }

    /// What is left of a whole row by now.
    pub(crate) fn recall_row(&self, row: Arc<WindowRow>) -> Option<Remembered> {
        self.recall(Remembered::Row(row))
    }

    /// How many outcomes are remembered, whole or as stubs.
    pub(crate) fn rows(&self) -> u64 {
        self.generations.iter().map(|generation| generation.rows).sum::<u64>()
            + self.eras.iter().map(|era| era.rows).sum::<u64>()
    }

    /// Bytes of all that is remembered.
    pub(crate) fn bytes(&self) -> u64 {
        let whole: u64 = self.generations.iter().map(|generation| generation.bytes).sum();
        whole + STUB_BYTES * self.eras.iter().map(|era| era.rows).sum::<u64>()
    }

    /// Whether no step was ever taken, but for those that are about rules.
    pub(crate) fn is_as_made(&self) -> bool {
        let [open] = &self.generations[..] else { return false };
        let rules = self.rules.clone();
        let as_made = Self { generations: vec![open.clone()], rules, ..Self::default() };
        open.number == 0 && *self == as_made
    }

    /// Whether eras and generations follow each other in number, entries and time, up to the last entry, as steps leave them.
    pub(crate) fn is_in_order(&self, applied: SeqNo, time: LogTime) -> bool {
        let eras = self.eras.iter().map(|era| {
            ((era.number, era.last_generation), era.first_time, (era.last, era.last_time))
        });
        let (open, closed) = self.generations.split_last().expect("one is always open");
        let filled = closed.iter().chain(Some(open).filter(|open| open.rows > 0));
        let filled = filled.map(|generation| {
            let Generation { number, first_time, last, last_time, .. } = *generation;
            ((number, number), first_time, (last, last_time))
        });
        let mut numbered = None;
        let mut before = (self.forgotten, self.forgotten_time);
        for ((number, last_number), first_time, last) in eras.chain(filled) {
            let follows = numbered.is_none_or(|last: u32| last.checked_add(1) == Some(number));
            let grows = before.0 < last.0 && before.1 < first_time && first_time <= last.1;
            if !follows || last_number < number || !grows {
                return false;
            }
            (numbered, before) = (Some(last_number), last);
        }
        let opens =
            open.rows > 0 || numbered.is_none_or(|last| last.checked_add(1) == Some(open.number));
        opens && before.0 <= applied && before.1 <= time
    }

    /// The generation that rows join.
    pub(crate) fn open(&self) -> &Generation {
        self.generations.last().expect("one is always open")
    }

    /// Takes note of a row, in the open generation. Gives the digest of the row, and its length with its key.
    pub(crate) fn remember(
        &mut self,
        key: &IdempotencyKey,
        row: &WindowRow,
        hasher: &mut RowHasher,
    ) -> (u128, u64) {
        let (digest, bytes) = hasher.window_sized(key.as_bytes(), row);
        let bytes = (key.as_bytes().len() + bytes) as u64;
        let stub = hasher.stub(key.hash(), &row.stub());
        let open = self.generations.last_mut().expect("one is always open");
        if open.rows == 0 {
            open.first_time = row.time;
        }
        open.rows += 1;
        open.bytes += bytes;
        open.full = open.full.wrapping_add(digest);
        open.stubs = open.stubs.wrapping_add(stub);
        (open.last, open.last_time) = (row.seq, row.time);
        (digest, bytes)
    }

    /// Takes a step. `None` when it can't be taken, which no entry of ours asks for; then nothing has changed.
    pub(crate) fn step(&mut self, step: &Step, digest: &mut StateDigest) -> Option<()> {
        match step {
            Step::Mode(mode) => self.mode = mode.clone(),
            Step::Close => self.close()?,
            Step::Demote { era } => self.demote(*era, digest)?,
            Step::Forget => self.forget(digest)?,
            Step::Rules(rules) => {
                self.rules = Some(rules).filter(|rules| rules.is_whole())?.clone()
            }
        }
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        let open = self.generations.last().filter(|open| open.rows > 0)?;
        let number = open.number.checked_add(1)?;
        self.generations.push(Generation { number, ..Generation::default() });
        Some(())
    }

    fn demote(&mut self, era: u32, digest: &mut StateDigest) -> Option<()> {
        let generation = self.generations.first().filter(|_| self.generations.len() > 1)?.clone();
        match self.eras.last_mut().filter(|last| last.number == era) {
            Some(last) => {
                last.last_generation = generation.number;
                last.rows += generation.rows;
                last.digest = last.digest.wrapping_add(generation.stubs);
                (last.last, last.last_time) = (generation.last, generation.last_time);
            }
            None if era == generation.number => self.eras.push(Era {
                number: era,
                last_generation: era,
                rows: generation.rows,
                digest: generation.stubs,
                first_time: generation.first_time,
                last: generation.last,
                last_time: generation.last_time,
            }),
            None => return None,
        }
        digest.sub(generation.full);
        digest.add(generation.stubs);
        self.generations.remove(0);
        Some(())
    }

    fn forget(&mut self, digest: &mut StateDigest) -> Option<()> {
        if self.eras.is_empty() {
            return None;
        }
        let era = self.eras.remove(0);
        digest.sub(era.digest);
        (self.forgotten, self.forgotten_time) = (era.last, era.last_time);
        Some(())
    }

    /// When the next step is due; `LogTime` `u64::MAX` for never.
    pub(crate) fn due(&self, retention: Retention) -> LogTime {
        let (open, closed) = self.generations.split_last().expect("one is always open");
        let after = |time: LogTime, span: u64| time.get().saturating_add(span);
        let close = if open.rows > 0 && retention.whole < u64::MAX {
            after(open.first_time, retention.whole / PARTS)
        } else {
            u64::MAX
        };
        let demote =
            closed.first().map_or(u64::MAX, |first| after(first.last_time, retention.whole));
        let forget =
            self.eras.first().map_or(u64::MAX, |era| after(era.last_time, retention.stubs));
        LogTime::new(close.min(demote).min(forget))
    }

    /// The steps that are due at `now`, in order; not all of them if there are very many.
    pub(crate) fn steps_due(&self, retention: Retention, now: LogTime) -> Vec<Step> {
        let part = |time: u64, early: bool| if early { time / 2 } else { time };
        let retention = Retention {
            whole: part(retention.whole, canary!(DemotedEarly)),
            stubs: part(retention.stubs, canary!(ForgottenEarly)),
        };
        let mut steps = Vec::new();
        // Most entries take none.
        if self.due(retention) > now {
            return steps;
        }
        let mut after = self.clone();
        while steps.len() < STEPS && after.due(retention) <= now && now.get() < u64::MAX {
            let step = after.next_step(retention, now);
            if after.step(&step, &mut StateDigest::default()).is_none() {
                break;
            }
            steps.push(step);
        }
        steps
    }

    fn next_step(&self, retention: Retention, now: LogTime) -> Step {
        let over = |time: LogTime, span: u64| time.get().saturating_add(span) <= now.get();
        let (open, closed) = self.generations.split_last().expect("one is always open");
        if open.rows > 0
            && retention.whole < u64::MAX
            && over(open.first_time, retention.whole / PARTS)
        {
            return Step::Close;
        }
        match closed.first().filter(|first| over(first.last_time, retention.whole)) {
            Some(first) => Step::Demote { era: self.era_for(first, retention) },
            None => Step::Forget,
        }
    }

    /// The era a generation joins: the last one while it takes no more than its part.
    fn era_for(&self, generation: &Generation, retention: Retention) -> u32 {
        let part = retention.stubs / PARTS;
        let fits =
            |era: &&Era| generation.last_time.get().saturating_sub(era.first_time.get()) <= part;
        self.eras.last().filter(fits).map_or(generation.number, |era| era.number)
    }
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
