//! The search for an order of operations: Wing and Gong's, with Lowe's memory of what was tried.
//!
//! At each step any call can come next that began before the first end among those that have not come yet. A set of
//! calls that have come, and the state they led to, is looked at once. Calls that share no record, not even through
//! other calls, are searched for on their own.

use super::{
    super::model::{Decision, Held, Order, change, judge},
    history::{Answer, Asked, Call, History, Illegal},
};
use crate::{SeqNo, Version};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Steps after which a search gives up.
const STEPS: usize = 1 << 20;

/// Versions from here on stand for entries whose number nobody was ever told.
const NAMELESS: u64 = 1 << 62;

/// Whether some order of the calls explains the history. Gives the number of steps the search took. Takes time that grows
/// fast with the number of calls that overlap.
///
/// # Errors
/// [`Illegal`]: there is no such order, or it was not found in a million steps.
pub fn linearizable(history: &History) -> Result<usize, Illegal> {
    if let Some(call) = history.calls.iter().find(|call| matches!(call.answer, Answer::Wrong(_))) {
        return Err(Illegal::proved(format!("no call may be told that:\n{call}")));
    }
    components(history)
        .into_iter()
        .try_fold(0, |steps, calls| Ok(steps + Search::new(calls).run()?))
}

/// What the calls up to some point led to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct State {
    records: BTreeMap<u32, Held>,
    last: SeqNo,
    remembered: BTreeMap<u64, Remembered>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Remembered {
    Committed(SeqNo),
    Refused(Decision),
}

impl State {
    fn remembered(&self, order: &Order) -> Option<&Remembered> {
        self.remembered.get(&order.name?)
    }

    fn committed(mut self, order: &Order, seq: SeqNo) -> Self {
        change(&mut self.records, order, seq.into());
        if seq.get() < NAMELESS {
            self.last = seq;
        }
        if let Some(name) = order.name {
            self.remembered.insert(name, Remembered::Committed(seq));
        }
        self
    }

    fn refused(mut self, order: &Order, decision: Decision) -> Self {
        if let (Some(name), false) = (order.name, matches!(decision, Decision::Conflict(_))) {
            self.remembered.insert(name, Remembered::Refused(decision));
        }
        self
    }
}

struct Search<'h> {
    /// By the time they were made.
    calls: Vec<&'h Call>,
    /// Numbers that were seen and that no answer explains.
    unclaimed: BTreeSet<SeqNo>,
    /// What any delivery was told of the order of each name; best what the first to be carried out was.
    told: BTreeMap<u64, &'h Answer>,
    tried: HashSet<(Vec<bool>, State)>,
    steps: usize,
    path: Vec<usize>,
    /// The longest order that was found, and what it led to.
    best: (Vec<usize>, State),
}

impl<'h> Search<'h> {
    fn new(mut calls: Vec<&'h Call>) -> Self {
        calls.sort_by_key(|call| call.invoked);
        let (unclaimed, told) = (unclaimed(&calls), told(&calls));
        let (tried, path, best) = (HashSet::new(), Vec::new(), Default::default());
        Self { calls, unclaimed, told, tried, steps: 0, path, best }
    }

    fn run(mut self) -> Result<usize, Illegal> {
        let mut done = vec![false; self.calls.len()];
        if self.explore(&mut done, State::default()) {
            return Ok(self.steps);
        }
        let what = self.report();
        Err(if self.steps < STEPS { Illegal::proved(what) } else { Illegal::undecided(what) })
    }

    /// Whether the calls that are not done yet can come in some order.
    fn explore(&mut self, done: &mut Vec<bool>, state: State) -> bool {
        let left = || self.calls.iter().zip(&*done).filter(|(_, done)| !**done);
        let Some(end) = left().map(|(call, _)| call.over()).filter(|end| *end < u64::MAX).min()
        else {
            return true;
        };
        self.steps += 1;
        if self.steps >= STEPS || !self.tried.insert((done.clone(), state.clone())) {
            return false;
        }
        if self.path.len() >= self.best.0.len() {
            self.best = (self.path.clone(), state.clone());
        }
        for next in 0..self.calls.len() {
            if done[next] {
                continue;
            }
            if self.calls[next].invoked > end {
                break;
            }
            for state in self.outcomes(&state, next) {
                done[next] = true;
                self.path.push(next);
                if self.explore(done, state) {
                    return true;
                }
                self.path.pop();
                done[next] = false;
            }
        }
        false
    }

    /// The states the call can lead to, if it comes next and was told what it was told.
    fn outcomes(&self, state: &State, next: usize) -> Vec<State> {
        let call = self.calls[next];
        match (&call.asked, &call.answer) {
            (Asked::Read(keys), Answer::Found { at, records }) => {
                let there = keys.iter().map(|key| state.records.get(key));
                let same = there.eq(records.iter().map(Option::as_ref));
                let due = same && at.is_none_or(|at| state.last <= at);
                due.then(|| state.clone()).into_iter().collect()
            }
            (Asked::Write(order), Answer::Committed { seq, replayed }) => {
                let due = match state.remembered(order) {
                    Some(first) => *replayed && *first == Remembered::Committed(*seq),
                    None => {
                        let commits = judge(&state.records, order) == Decision::Commit;
                        !replayed && commits && *seq > state.last
                    }
                };
                let carried_out = || match replayed {
                    true => state.clone(),
                    false => state.clone().committed(order, *seq),
                };
                due.then(carried_out).into_iter().collect()
            }
            (Asked::Write(order), Answer::Refused(decision)) => {
                let due = match state.remembered(order) {
                    Some(first) => *first == Remembered::Refused(decision.clone()),
                    None => judge(&state.records, order) == *decision,
                };
                let refused = || state.clone().refused(order, decision.clone());
                due.then(refused).into_iter().collect()
            }
            (Asked::Write(order), Answer::Unknown(seq)) if state.remembered(order).is_none() => {
                self.fates(state, order, next, *seq)
            }
            _ => Vec::new(),
        }
    }

    /// The states an order can lead to, other than the one there is, in a delivery that nobody was told the outcome of.
    /// What another delivery was told settles most of it, or the search would try far too much.
    fn fates(&self, state: &State, order: &Order, next: usize, seq: Option<SeqNo>) -> Vec<State> {
        let decision = judge(&state.records, order);
        let told = order.name.and_then(|name| self.told.get(&name));
        let seqs: Vec<SeqNo> = match (told, &seq) {
            (Some(Answer::Committed { replayed: false, .. }), _) => return Vec::new(),
            (Some(Answer::Refused(refusal)), _) if decision != *refusal => return Vec::new(),
            (Some(Answer::Committed { seq, .. }), _) | (_, Some(seq)) => vec![*seq],
            (_, None) => {
                let unseen = SeqNo::new(NAMELESS + next as u64);
                self.unclaimed.iter().copied().chain([unseen]).collect()
            }
        };
        if decision == Decision::Commit {
            let later = seqs.into_iter().filter(|seq| *seq > state.last);
            return later.map(|seq| state.clone().committed(order, seq)).collect();
        }
        let refused = state.clone().refused(order, decision);
        (refused != *state).then_some(refused).into_iter().collect()
    }

    fn report(&self) -> String {
        let (path, state) = &self.best;
        let mut lines = vec![format!(
            "no order explains these {} calls. The longest part of one, after {} steps:",
            self.calls.len(),
            self.steps
        )];
        lines.extend(path.iter().map(|&call| self.calls[call].to_string()));
        lines.push(format!("after which there is {:?}, and these are left:", state.records));
        let left = (0..self.calls.len()).filter(|call| !path.contains(call));
        lines.extend(left.map(|call| self.calls[call].to_string()));
        lines.join("\n")
    }
}

/// Numbers of entries that somebody saw, but no first answer names.
fn unclaimed(calls: &[&Call]) -> BTreeSet<SeqNo> {
    let mut seen = BTreeSet::new();
    let mut claimed = BTreeSet::new();
    let mut see = |version: Version| {
        seen.insert(SeqNo::new(version.get()));
    };
    for call in calls {
        match &call.answer {
            Answer::Committed { seq, replayed: true } => see((*seq).into()),
            Answer::Committed { seq, replayed: false } => {
                claimed.insert(*seq);
            }
            Answer::Refused(Decision::Conflict(Some(version)) | Decision::Unmet(Some(version))) => {
                see(*version);
            }
            Answer::Found { records, .. } => {
                records.iter().flatten().for_each(|held| {
                    see(held.version);
                    see(held.created);
                });
            }
            _ => {}
        }
    }
    &seen - &claimed
}

fn told<'h>(calls: &[&'h Call]) -> BTreeMap<u64, &'h Answer> {
    let mut told = BTreeMap::new();
    for call in calls {
        let Asked::Write(Order { name: Some(name), .. }) = call.asked else { continue };
        match &call.answer {
            Answer::Committed { replayed: false, .. } => {
                told.insert(name, &call.answer);
            }
            Answer::Refused(Decision::Conflict(_)) => {}
            Answer::Committed { .. } | Answer::Refused(_) => {
                told.entry(name).or_insert(&call.answer);
            }
            _ => {}
        }
    }
    told
}

/// The calls that can have had an effect or seen one, apart where no record connects them.
fn components(history: &History) -> Vec<Vec<&Call>> {
    let mut parts: Vec<(BTreeSet<u32>, Vec<&Call>)> = Vec::new();
    for call in history.calls.iter().filter(|call| call.answer != Answer::Nothing) {
        let mut whole = (call.keys().into_iter().collect::<BTreeSet<u32>>(), vec![call]);
        let connected = |part: &mut (BTreeSet<u32>, _)| !part.0.is_disjoint(&whole.0);
        let joined: Vec<_> = parts.extract_if(.., connected).collect();
        for (keys, calls) in joined {
            whole.0.extend(keys);
            whole.1.extend(calls);
        }
        parts.push(whole);
    }
    parts.into_iter().map(|(_, calls)| calls).collect()
}
