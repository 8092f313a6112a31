//! What an engine must answer and show while requests are in flight: the [model](super::super::model) twice, as readers
//! see it and as the next request meets it.

use super::super::{
    laws::{self, Breach, Law},
    model::{Decision, Due, Model, Order, again},
};
use crate::{Engine, Error, LogTime, Outcome, SeqNo, Version};
use std::collections::{BTreeMap, VecDeque};

/// Numbers from here on stand for entries whose numbers are not known yet.
const PROVISIONAL: u64 = 1 << 62;

/// How an order is handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Request,
    Update,
}

/// An order that was handed in, and what must become of it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub order: Order,
    pub due: Expected,
    /// Which entry since the opening it is, if it is one.
    pub index: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) enum Expected {
    Answer(Due),
    /// An error: a version from the future is named.
    Future,
    /// An error: the engine takes no more writes.
    Nothing,
}

/// An entry that is not known to be durable.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub order: Order,
    pub way: Way,
    index: u64,
    /// Its caller was told that it was not carried out.
    refused: bool,
}

#[derive(Debug, Default)]
pub(super) struct Mirror {
    durable: Model,
    applied: Model,
    flights: VecDeque<Flight>,
    /// The number of the first entry since the opening, once it can be known; the others follow without gaps.
    first: Option<u64>,
    /// Entries since the opening.
    count: u64,
    /// The last entry that was shown to anybody.
    shown: SeqNo,
    /// Whether the engine said that it takes no more writes.
    pub stopped: bool,
    /// What every retry must get, by idempotency key.
    told: BTreeMap<u64, Outcome<Vec<u8>>>,
    /// The newest receipt.
    newest: (SeqNo, LogTime),
}

impl Mirror {
    /// What readers see.
    pub(super) fn durable(&self) -> &Model {
        &self.durable
    }

    /// What must become of an order that is handed in now.
    pub(super) fn expect(&self, order: &Order) -> Expected {
        if !self.stopped {
            return Expected::Answer(self.applied.due(order));
        }
        match self.durable.decide(order) {
            Decision::Remembered | Decision::Reused => Expected::Answer(self.durable.due(order)),
            _ => Expected::Nothing,
        }
    }

    /// Takes note of an order that was sequenced: its index, if it is logged.
    pub(super) fn sequence(&mut self, order: &Order, way: Way) -> Option<u64> {
        if !self.applied.is_logged(order) {
            return None;
        }
        let index = self.count;
        self.count += 1;
        self.applied.carry_out(order, self.number(index));
        self.flights.push_back(Flight { order: order.clone(), way, index, refused: false });
        Some(index)
    }

    fn number(&self, index: u64) -> SeqNo {
        SeqNo::new(self.first.unwrap_or(PROVISIONAL) + index)
    }

    /// Takes in the last entry that readers see. All entries there are at this time must have been noted.
    pub(super) fn observe(&mut self, durable: SeqNo) -> Result<(), Breach> {
        if durable == self.shown {
            return Ok(());
        }
        let unasked = || {
            let what = format!("entry {durable} is shown after {}, and nobody asked", self.shown);
            Breach::new(Law::Shown, what)
        };
        let last = self.flights.back().ok_or_else(unasked)?.index;
        let learned = self.first.is_none();
        if learned {
            self.learn(durable, last)?;
        }
        if durable < self.shown {
            return Err(Breach::new(Law::Shown, format!("entry {} is gone", self.shown)));
        }
        while let Some(flight) = self.flights.front() {
            let seq = self.number(flight.index);
            if seq > durable {
                break;
            }
            self.durable.carry_out(&flight.order, seq);
            self.flights.pop_front();
        }
        if self.durable.last() != durable {
            let what = format!("entry {durable} is shown, and {} is due", self.durable.last());
            return Err(Breach::new(Law::Shown, what));
        }
        self.shown = durable;
        if learned {
            self.replay();
        }
        Ok(())
    }

    /// The entry of this index has this number.
    fn learn(&mut self, seq: SeqNo, index: u64) -> Result<(), Breach> {
        let first = seq.get().saturating_sub(index);
        if !self.durable.is_free(SeqNo::new(first)) {
            let what = format!("number {first} is given out again");
            return Err(Breach::new(Law::Versions, what));
        }
        self.first = Some(first);
        Ok(())
    }

    /// Works the applied state out anew, with the right numbers.
    fn replay(&mut self) {
        self.applied = self.durable.clone();
        for flight in &self.flights {
            self.applied.carry_out(&flight.order, self.number(flight.index));
        }
    }

    /// Holds an answer against what is due. Its entry must have been observed.
    pub(super) fn answered(
        &mut self,
        asked: &Asked,
        answer: &Outcome<Vec<u8>>,
    ) -> Result<(), Breach> {
        let Asked { order, due, index } = asked;
        let Expected::Answer(due) = due else {
            let what = format!("{order:?} got {answer:?}, and {due:?} was due");
            return Err(Breach::new(Law::Rejected, what));
        };
        let mut due = self.with_numbers(due);
        if let (Due::Receipt { seq, .. }, Some(index)) = (&mut due, index) {
            *seq = Some(self.number(*index));
        }
        due.check(order, answer)?;
        let early = index.is_some_and(|index| self.number(index) > self.shown);
        let conflict = matches!(due, Due::Refusal(Decision::Conflict(_)));
        if early || (!conflict && self.is_in_flight(order)) {
            let what = format!("{order:?} got {answer:?} before it was durable");
            return Err(Breach::new(Law::Prefix, what));
        }
        if let Outcome::Committed(receipt) = answer
            && receipt.seq > self.newest.0
        {
            if receipt.time <= self.newest.1 {
                let what = format!("entry {} has the time {}", receipt.seq, receipt.time);
                return Err(Breach::new(Law::Versions, what));
            }
            self.newest = (receipt.seq, receipt.time);
        }
        match order.name {
            Some(name) if !conflict => self.told_again(order, name, again(answer)),
            _ => Ok(()),
        }
    }

    fn told_again(
        &mut self,
        order: &Order,
        name: u64,
        answer: Outcome<Vec<u8>>,
    ) -> Result<(), Breach> {
        let first = self.told.entry(name).or_insert_with(|| answer.clone());
        if *first == answer {
            return Ok(());
        }
        let what = format!("a retry of {order:?} got {answer:?} instead of {first:?}");
        Err(Breach::new(Law::Once, what))
    }

    /// What is due, with the numbers that are known by now.
    fn with_numbers(&self, due: &Due) -> Due {
        let seq = |seq: SeqNo| match seq.get().checked_sub(PROVISIONAL) {
            Some(index) => self.number(index),
            None => seq,
        };
        let version = |version: Option<Version>| {
            version.map(|version| Version::from(seq(SeqNo::new(version.get()))))
        };
        match due {
            Due::Receipt { seq: number, replayed } => {
                Due::Receipt { seq: number.map(seq), replayed: *replayed }
            }
            Due::Refusal(Decision::Conflict(found)) => {
                Due::Refusal(Decision::Conflict(version(*found)))
            }
            Due::Refusal(Decision::Unmet(found)) => Due::Refusal(Decision::Unmet(version(*found))),
            other => other.clone(),
        }
    }

    /// Whether an order that was to be refused was carried out: told before the numbers, which are wrong from then on.
    pub(super) fn refusal(
        asked: &Asked,
        answer: &Result<Outcome<Vec<u8>>, Error>,
    ) -> Result<(), Breach> {
        match (&asked.due, answer) {
            (
                Expected::Answer(due @ (Due::Refusal(_) | Due::Reused)),
                Ok(answer @ Outcome::Committed(_)),
            ) => due.check(&asked.order, answer),
            _ => Ok(()),
        }
    }

    /// Takes in an error that has a reason.
    pub(super) fn failed(&mut self, asked: &Asked, error: &Error) -> Result<(), Breach> {
        self.stopped |= matches!(error, Error::Indeterminate { .. } | Error::Poisoned { .. });
        match (error, asked.index) {
            (Error::Indeterminate { seq }, Some(index)) => {
                if self.first.is_none() {
                    self.learn(*seq, index)?;
                }
                if self.number(index) == *seq {
                    return Ok(());
                }
                let (order, due) = (&asked.order, self.number(index));
                let what = format!("{order:?} is in doubt as entry {seq}, and {due} was due");
                Err(Breach::new(Law::Versions, what))
            }
            (_, Some(index)) => {
                let flight = self.flights.iter_mut().find(|flight| flight.index == index);
                match flight {
                    Some(flight) => flight.refused = true,
                    None => {
                        let what = format!("{:?} is durable, and got: {error}", asked.order);
                        return Err(Breach::new(Law::Rejected, what));
                    }
                }
                Ok(())
            }
            (_, None) => Ok(()),
        }
    }

    /// Whether an order is in flight: a retry of it may be told that it is in doubt.
    pub(super) fn is_in_flight(&self, order: &Order) -> bool {
        let name = order.name;
        name.is_some() && self.flights.iter().any(|flight| flight.order.name == name)
    }

    /// After an opening: finds out what of that in flight is there (laws 1 to 3). Gives back what was in flight, and how
    /// much of it is there.
    pub(super) fn recovered(&mut self, engine: &Engine) -> Result<(Vec<Flight>, usize), Breach> {
        laws::shown(self.shown, engine)?;
        let flights: Vec<Flight> = self.flights.drain(..).collect();
        let (refused, open): (Vec<_>, Vec<_>) = flights.iter().partition(|flight| flight.refused);
        let refused: Vec<Order> = refused
            .iter()
            .map(|flight| &flight.order)
            .filter(|order| open.iter().all(|flight| flight.order != **order))
            .cloned()
            .collect();
        laws::rejected(&refused, &self.durable, engine)?;
        let applied = engine.recovery().applied_seq;
        let numbered = |first: u64| -> Vec<(Order, SeqNo)> {
            let number = |flight: &&Flight| {
                (flight.order.clone(), SeqNo::new(first.saturating_add(flight.index)))
            };
            open.iter().copied().map(|flight| number(&flight)).collect()
        };
        let resolved = match self.first {
            Some(first) => laws::prefix(&self.durable, &numbered(first), engine),
            None if applied == self.durable.last() => laws::prefix(&self.durable, &[], engine),
            None => {
                // Nobody was told a number: any of those in flight may be the last.
                let guesses = open.iter().map(|flight| applied.get().saturating_sub(flight.index));
                let free = guesses.filter(|first| self.durable.is_free(SeqNo::new(*first)));
                let tried = free.map(|first| laws::prefix(&self.durable, &numbered(first), engine));
                let nobody = || laws::prefix(&self.durable, &[], engine);
                tried.reduce(Result::or).unwrap_or_else(nobody)
            }
        }?;
        let there = open.iter().filter(|flight| {
            let first = self.first.unwrap_or(applied.get());
            first.saturating_add(flight.index) <= applied.get()
        });
        let there = there.count();
        self.applied = resolved.clone();
        self.durable = resolved;
        self.first = None;
        self.count = 0;
        self.stopped = false;
        self.shown = applied;
        Ok((flights, there))
    }
}
