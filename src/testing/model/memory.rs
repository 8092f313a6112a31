//! What is remembered under which key, and for how long.
//!
//! `docs/adr/0006-retention-by-number.md`, once more and plainly: a list of names for each generation and era, which are moved
//! from one to the next when they are old enough.

use super::{
    due::{At, Decision},
    order::Order,
};
use crate::{LogTime, Outcome, OutcomeClass};
use std::collections::BTreeMap;

/// A generation takes this part of the time that outcomes are kept whole, an era this part of that of stubs.
const PARTS: u64 = 8;
/// Most generations and eras that one entry closes, demotes and forgets; the next one goes on.
const STEPS: usize = 64;

/// How long outcomes are remembered, in nanoseconds of log time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Whole.
    pub whole: u64,
    /// Whole, or as stubs.
    pub stubs: u64,
}

/// What is remembered under a key.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub at: At,
    /// What was asked; nothing when the key was fenced.
    pub order: Option<Order>,
    pub decision: Decision,
    /// The answer that was given, if one was, as every retry must get it.
    pub answer: Option<Outcome<Vec<u8>>>,
    /// Whether only a stub is left.
    pub stub: bool,
}

/// Names that follow each other.
#[derive(Clone, Debug, Default)]
struct Span {
    names: Vec<u64>,
    first: LogTime,
    last: LogTime,
}

#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// For ever where nothing is said.
    kept: Option<Kept>,
    rows: BTreeMap<u64, Row>,
    /// Of outcomes that are whole, the oldest first; the last one is open.
    generations: Vec<Span>,
    /// Of stubs, the oldest first.
    eras: Vec<Span>,
    /// What was decided up to then is forgotten.
    pub horizon: Option<LogTime>,
    /// How many generations have become stubs.
    pub demotions: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            kept: None,
            rows: BTreeMap::new(),
            generations: vec![Span::default()],
            eras: Vec::new(),
            horizon: None,
            demotions: 0,
        }
    }
}

impl Row {
    pub(super) fn class(&self) -> OutcomeClass {
        match (&self.order, &self.decision) {
            (None, _) => OutcomeClass::Fenced,
            (_, Decision::Commit) => OutcomeClass::Committed,
            _ => OutcomeClass::Rejected,
        }
    }
}

impl Memory {
    pub(super) fn keeping(kept: Kept) -> Self {
        Self { kept: Some(kept), ..Self::default() }
    }

    pub(super) fn get(&self, name: u64) -> Option<&Row> {
        self.rows.get(&name)
    }

    pub(super) fn rows(&self) -> impl DoubleEndedIterator<Item = (u64, &Row)> {
        self.rows.iter().map(|(name, row)| (*name, row))
    }

    /// An answer was given.
    pub(super) fn tell(&mut self, name: u64, answer: Outcome<Vec<u8>>) {
        if let Some(row) = self.rows.get_mut(&name).filter(|row| !row.stub) {
            row.answer = Some(answer);
        }
    }

    /// How many outcomes are whole, and how many are stubs.
    pub(super) fn counts(&self) -> (u64, u64) {
        let count = |spans: &[Span]| spans.iter().map(|span| span.names.len() as u64).sum();
        (count(&self.generations), count(&self.eras))
    }

    /// The newest outcome.
    pub(super) fn remember(&mut self, name: u64, row: Row) {
        let time = row.at.time.unwrap_or_default();
        let open = self.generations.last_mut().expect("one is always open");
        if open.names.is_empty() {
            open.first = time;
        }
        open.names.push(name);
        open.last = time;
        self.rows.insert(name, row);
    }

    /// It is so late by now: what is old enough becomes stubs, or is forgotten.
    pub(super) fn pass(&mut self, now: LogTime) {
        let Some(kept) = self.kept else { return };
        for _ in 0..STEPS {
            if !self.step(kept, now.get()) {
                return;
            }
        }
    }

    /// Does what is due first; false when nothing is.
    fn step(&mut self, Kept { whole, stubs }: Kept, now: u64) -> bool {
        let over = |time: LogTime, span: u64| time.get().saturating_add(span) <= now;
        let open = self.generations.last().expect("one is always open");
        if !open.names.is_empty() && over(open.first, whole / PARTS) {
            self.generations.push(Span::default());
        } else if self.generations.len() > 1 && over(self.generations[0].last, whole) {
            self.demote(stubs / PARTS);
        } else if self.eras.first().is_some_and(|era| over(era.last, stubs)) {
            let era = self.eras.remove(0);
            self.horizon = Some(era.last);
            era.names.iter().for_each(|name| drop(self.rows.remove(name)));
        } else {
            return false;
        }
        true
    }

    /// The oldest generation joins the last era if that takes no more than its part then, or begins the next.
    fn demote(&mut self, part: u64) {
        let oldest = self.generations.remove(0);
        self.demotions += 1;
        for name in &oldest.names {
            self.rows.get_mut(name).expect("it is remembered").stub = true;
        }
        let fits = |era: &&mut Span| oldest.last.get() - era.first.get() <= part;
        match self.eras.last_mut().filter(fits) {
            Some(era) => {
                era.names.extend(&oldest.names);
                era.last = oldest.last;
            }
            None => self.eras.push(oldest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeqNo;

    fn memory(times: &[u64]) -> Memory {
        let mut memory = Memory::keeping(Kept { whole: 80, stubs: 800 });
        for (name, time) in (0..).zip(times) {
            let at = At { seq: SeqNo::new(name + 1), time: Some(LogTime::new(*time)) };
            memory.pass(LogTime::new(*time));
            let (order, decision, answer) = (None, Decision::Commit, None);
            memory.remember(name, Row { at, order, decision, answer, stub: false });
        }
        memory
    }

    #[test]
    fn outcomes_become_stubs_and_are_forgotten_and_never_early() {
        let mut memory = memory(&[100, 105, 109, 110, 300]);
        // The first three were one generation, demoted eighty after the last of them.
        assert_eq!(memory.counts(), (1, 4));
        memory.pass(LogTime::new(908));
        assert_eq!((memory.counts(), memory.horizon), ((0, 5), None));
        // One era took them all: 300 - 100 is more than its part, 110 - 100 is not.
        memory.pass(LogTime::new(910));
        assert_eq!((memory.counts(), memory.horizon), ((0, 1), Some(LogTime::new(110))));
        assert!(memory.get(3).is_none() && memory.get(4).is_some_and(|row| row.stub));
        memory.pass(LogTime::new(1_099));
        assert_eq!(memory.counts(), (0, 1));
        memory.pass(LogTime::new(1_100));
        assert_eq!((memory.counts(), memory.horizon), ((0, 0), Some(LogTime::new(300))));
    }

    #[test]
    fn without_a_limit_nothing_is_ever_forgotten() {
        let mut memory = Memory { kept: None, ..memory(&[1, 2, 3]) };
        memory.pass(LogTime::new(u64::MAX));
        assert_eq!(memory.counts(), (3, 0));
    }
}
