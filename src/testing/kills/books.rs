//! What the parent knows of one database: what was asked and answered, and what follows from it.

use super::{
    super::model::{Decision, Model, Order},
    problem::Problem,
    protocol::{Answer, Line, Opened},
    summary::Summary,
};
use crate::{Epoch, Expect, SeqNo};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Lines kept to be shown with a failure.
const HEARD: usize = 40;

/// The books of one database.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// Everything up to the last check.
    model: Model,
    /// Handed in by the process that runs now, by the number of the delivery.
    under_way: BTreeMap<u64, Delivery>,
    /// Handed in by a process that died, and not answered since.
    doubtful: BTreeMap<u64, Order>,
    /// The first answer under each key.
    first: BTreeMap<u64, (Order, Answer)>,
    /// Under each key, the last durable entry before it was asked for the first time.
    asked: BTreeMap<u64, SeqNo>,
    /// Keys that were answered as just carried out.
    fresh: BTreeSet<u64>,
    /// Requests that were carried out since the last check, by entry.
    entries: BTreeMap<SeqNo, Order>,
    /// All entries that wrote something.
    committed: BTreeSet<SeqNo>,
    /// Entries that were named as a version.
    named: BTreeSet<SeqNo>,
    refusals: Vec<Refusal>,
    /// The last entry that anyone was shown to be durable.
    shown: SeqNo,
    epoch: Epoch,
    /// The last opening under which something was written.
    written: Epoch,
    /// The state that was opened last, if nothing was asked of it since.
    opened: Option<Opened>,
    heard: VecDeque<String>,
    pub summary: Summary,
}

#[derive(Clone, Debug)]
struct Delivery {
    order: Order,
    before: SeqNo,
}

/// A refusal that must have been due at some moment.
#[derive(Debug)]
struct Refusal {
    order: Order,
    answer: Answer,
    after_entry: SeqNo,
    up_to_entry: SeqNo,
}

impl Books {
    /// Takes in what a child said.
    pub fn hear(&mut self, line: Line) -> Result<(), Problem> {
        if self.heard.len() == HEARD {
            self.heard.pop_front();
        }
        self.heard.push_back(line.to_string());
        match line {
            Line::Opened(opened) => self.opened(opened),
            Line::Begins { id, durable, order } => {
                self.begins(id, durable, order);
                Ok(())
            }
            Line::Answered { id, durable, answer } => self.answered(id, durable, answer),
            Line::Failed(what) if what.starts_with("opening: ") => {
                Err(Problem { kind: super::super::crash::Kind::Refusal, what })
            }
            Line::Failed(what) => Err(Problem::violation(what)),
            Line::Starting | Line::Checkpointed | Line::Closed => Ok(()),
            Line::Locked | Line::Wrote(_) => Err(Problem::violation("nobody contends here")),
        }
    }

    /// Takes in an opening, by a child or by the parent.
    pub fn opened(&mut self, opened: Opened) -> Result<(), Problem> {
        let Opened { epoch, applied, ref digest, torn, .. } = opened;
        self.summary.reopenings += 1;
        self.summary.torn_tails += u64::from(torn);
        if applied < self.shown {
            let shown = self.shown;
            return Err(Problem::loss(format!("the log ends at {applied}, {shown} was shown")));
        }
        // An opening under which nothing was written leaves its number to the next.
        if epoch < self.epoch || epoch <= self.written {
            let last = self.epoch.max(self.written);
            return Err(Problem::violation(format!("opening {epoch} comes after opening {last}")));
        }
        if let Some(last) = &self.opened
            && (last.applied, &last.digest) != (applied, digest)
        {
            let what = format!("one recovery gives {last:?}, the next {opened:?}");
            return Err(Problem::loss(what));
        }
        self.epoch = epoch;
        self.shown = applied;
        self.opened = Some(opened);
        Ok(())
    }

    fn begins(&mut self, id: u64, before: SeqNo, order: Order) {
        self.opened = None;
        self.shown = self.shown.max(before);
        let name = name(&order);
        self.asked.entry(name).or_insert(before);
        for operation in &order.operations {
            if let Expect::Version(version) = operation.expect {
                self.named.insert(SeqNo::new(version.get()));
            }
        }
        self.under_way.insert(id, Delivery { order, before });
    }

    fn answered(&mut self, id: u64, after: SeqNo, answer: Answer) -> Result<(), Problem> {
        let delivery = self.under_way.remove(&id);
        let Delivery { order, before } =
            delivery.ok_or_else(|| Problem::violation(format!("delivery {id} was not begun")))?;
        self.count(&order, &answer);
        self.take_in(order, before, after, answer)
    }

    fn count(&mut self, order: &Order, answer: &Answer) {
        let summary = &mut self.summary;
        summary.acknowledgements += 1;
        match answer {
            Answer::Committed { replayed: false, .. } => summary.commits += 1,
            Answer::Committed { .. } => summary.replays += 1,
            Answer::Unmet(_) | Answer::OutOfBounds(_) if self.first.contains_key(&name(order)) => {
                summary.replays += 1;
            }
            _ => summary.refused_requests += 1,
        }
    }

    /// Takes in an answer that the parent got itself.
    pub fn answered_here(
        &mut self,
        order: &Order,
        before: SeqNo,
        after: SeqNo,
        answer: Answer,
    ) -> Result<(), Problem> {
        self.asked.entry(name(order)).or_insert(before);
        self.opened = None;
        self.take_in(order.clone(), before, after, answer)
    }

    fn take_in(
        &mut self,
        order: Order,
        before: SeqNo,
        after: SeqNo,
        answer: Answer,
    ) -> Result<(), Problem> {
        let name = name(&order);
        self.shown = self.shown.max(after);
        let first = self.first.get(&name).map(|(_, first)| first);
        if let Some(first) = first.filter(|first| !answer.repeats(first)) {
            let what = format!("{order:?} was answered {first} at first, and {answer} on a retry");
            return Err(Problem::violation(what));
        }
        let known = first.is_some();
        let doubtful = self.doubtful.remove(&name).is_some();
        match answer {
            Answer::Committed { seq, replayed, .. } => {
                self.summary.in_doubt_carried_out += u64::from(doubtful && replayed);
                self.take_in_commit(&order, before, after, &answer)?;
                if !known {
                    self.carried_out(seq, &order)?;
                }
            }
            // It is not remembered, so it is due each time.
            Answer::Conflict(_) => {
                self.refusals.push(Refusal {
                    order,
                    answer,
                    after_entry: before,
                    up_to_entry: after,
                });
                return Ok(());
            }
            Answer::Unmet(_) | Answer::OutOfBounds(_) if known => {}
            Answer::Unmet(_) | Answer::OutOfBounds(_) => {
                // It may have been decided for an earlier delivery.
                let after_entry = self.asked.get(&name).copied().unwrap_or(before);
                let (order, answer) = (order.clone(), answer.clone());
                self.refusals.push(Refusal { order, answer, after_entry, up_to_entry: after });
            }
        }
        self.first.entry(name).or_insert((order, answer));
        Ok(())
    }

    /// What must be true of each receipt alone.
    fn take_in_commit(
        &mut self,
        order: &Order,
        before: SeqNo,
        after: SeqNo,
        answer: &Answer,
    ) -> Result<(), Problem> {
        let Answer::Committed { seq, replayed, result, .. } = answer else { return Ok(()) };
        if *seq > after || (!replayed && *seq <= before) {
            let what = format!("{order:?} is entry {seq}: asked after {before}, told at {after}");
            return Err(Problem::violation(what));
        }
        if *result != order.result() {
            return Err(Problem::violation(format!("{order:?} has another's result")));
        }
        if !replayed {
            self.written = self.epoch;
            if !self.fresh.insert(name(order)) {
                return Err(Problem::violation(format!("{order:?} was carried out twice")));
            }
        }
        Ok(())
    }

    fn carried_out(&mut self, seq: SeqNo, order: &Order) -> Result<(), Problem> {
        let taken = !self.committed.insert(seq);
        if taken || seq <= self.model.last() {
            let last = self.model.last();
            let what =
                format!("{order:?} is said to be entry {seq}, which is taken; {last} was checked");
            return Err(Problem::violation(what));
        }
        self.entries.insert(seq, order.clone());
        Ok(())
    }

    /// The process that was running is dead: what it did not answer is in doubt.
    pub fn died(&mut self) {
        let under_way = std::mem::take(&mut self.under_way);
        for Delivery { order, .. } in under_way.into_values() {
            let name = name(&order);
            if !self.first.contains_key(&name) && self.doubtful.insert(name, order).is_none() {
                self.summary.in_doubt += 1;
            }
        }
    }

    /// The requests in doubt.
    pub fn doubtful(&self) -> Vec<Order> {
        self.doubtful.values().cloned().collect()
    }

    /// Every request that was answered, and its answer is remembered.
    pub fn remembered(&self) -> Vec<Order> {
        self.first.values().map(|(order, _)| order.clone()).collect()
    }

    /// The state after all that was carried out up to an entry, each of which had to be.
    pub fn fold(&mut self, up_to: SeqNo) -> Result<&Model, Problem> {
        let later = self.entries.split_off(&SeqNo::new(up_to.get().saturating_add(1)));
        for (seq, order) in std::mem::replace(&mut self.entries, later) {
            self.settle_refusals(seq);
            let decision = self.model.decide(&order);
            if decision != Decision::Commit {
                let what =
                    format!("{order:?} was carried out as entry {seq}, {decision:?} was due");
                return Err(Problem::violation(what));
            }
            self.model.carry_out(&order, seq);
        }
        Ok(&self.model)
    }

    /// Settles the refusals that were due in the state that lasted until entry `next`.
    fn settle_refusals(&mut self, next: SeqNo) {
        let (model, last) = (&self.model, self.model.last());
        self.refusals.retain(|refusal| {
            let there = refusal.after_entry < next && refusal.up_to_entry >= last;
            !(there && refusal.is_due(model))
        });
    }

    /// With nothing in doubt and everything folded: what nobody can explain.
    pub fn settle(&mut self) -> Result<(), Problem> {
        self.settle_refusals(SeqNo::MAX);
        if let Some(Refusal { order, answer, after_entry, up_to_entry }) = self.refusals.first() {
            return Err(Problem::violation(format!(
                "{order:?} got {answer}, which was not due at any moment from entry {after_entry} to {up_to_entry}"
            )));
        }
        if let Some(lost) = self.named.difference(&self.committed).next() {
            return Err(Problem::loss(format!(
                "version {lost} was shown, and no such entry is there"
            )));
        }
        self.named.clear();
        Ok(())
    }

    /// The last lines that were heard.
    pub fn heard(&self) -> Vec<String> {
        self.heard.iter().cloned().collect()
    }
}

impl Refusal {
    fn is_due(&self, model: &Model) -> bool {
        match (&self.answer, model.decide(&self.order)) {
            (Answer::Conflict(told), Decision::Conflict(found))
            | (Answer::Unmet(told), Decision::Unmet(found)) => *told == found,
            (Answer::OutOfBounds(told), Decision::OutOfBounds(current)) => *told == current,
            _ => false,
        }
    }
}

fn name(order: &Order) -> u64 {
    order.name.expect("every order of a campaign has a key")
}

#[cfg(test)]
#[path = "books_tests.rs"]
mod tests;
