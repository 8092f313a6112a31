//! The order the engine claims: that of the numbers of its entries.

use super::{
    super::model::{Decision, Held, Order, change, judge},
    history::{Answer, Asked, Call, History, Illegal},
};
use crate::SeqNo;
use std::collections::BTreeMap;

/// Whether the order of the entries explains the history: it is an order of the writes in which none comes before one
/// that had ended when it began (one that was handed in counts as ended for this), and every read and refusal shows the
/// state after one of them, which moves in time as the calls do. Gives the number of entries.
///
/// # Errors
/// [`Illegal`]: it does not, or the number of a write is not known, because nobody asked for it again.
pub fn serial(history: &History) -> Result<usize, Illegal> {
    let writes = writes(history)?;
    let states = States::fold(writes)?;
    states.sweep(history)?;
    Ok(states.after.len() - 1)
}

/// An order that was carried out, once, maybe after several deliveries.
struct Write<'h> {
    order: &'h Order,
    seq: SeqNo,
    /// When the first delivery was made.
    from: u64,
    /// When the first of them was in its place.
    handed_in: u64,
    /// Whether anybody was told that it was carried out. If not, the entry may be that of a refusal.
    told: bool,
}

fn writes(history: &History) -> Result<Vec<Write<'_>>, Illegal> {
    let mut found: BTreeMap<SeqNo, Write<'_>> = BTreeMap::new();
    let mut firsts: BTreeMap<SeqNo, &Call> = BTreeMap::new();
    for (call, order) in orders(history) {
        let Some(seq) = number(history, call)? else { continue };
        let fresh =
            || Write { order, seq, from: call.invoked, handed_in: call.handed_in, told: false };
        let write = found.entry(seq).or_insert_with(fresh);
        let same = order.name.is_some() || write.from == call.invoked;
        if write.order != order || !same {
            return Err(Illegal::proved(format!("entry {seq} is also another order:\n{call}")));
        }
        write.told |= call.is_complete();
        write.from = write.from.min(call.invoked);
        write.handed_in = write.handed_in.min(call.handed_in);
        if (Answer::Committed { seq, replayed: false }) == call.answer
            && let Some(other) = firsts.insert(seq, call)
        {
            return Err(Illegal::proved(format!("two are said to be the first:\n{other}\n{call}")));
        }
    }
    let mut by_name = BTreeMap::new();
    for write in found.values() {
        let again = write.order.name.and_then(|name| by_name.insert(name, write.seq));
        if let Some(first) = again {
            let (seq, order) = (write.seq, write.order);
            return Err(Illegal::proved(format!("carried out as {first} and as {seq}: {order:?}")));
        }
    }
    // A delivery whose answer nobody saw may have been the one that counts.
    let open =
        |call: &Call| matches!(call.answer, Answer::Committed { .. } | Answer::Unknown(None));
    for (call, order) in orders(history).filter(|(call, _)| open(call)) {
        let seq = order.name.and_then(|name| by_name.get(&name));
        if let Some(write) = seq.and_then(|seq| found.get_mut(seq)) {
            write.from = write.from.min(call.invoked);
        } else if call.answer == Answer::Unknown(None) && !is_told(history, order) {
            return Err(Illegal::undecided(format!("nobody asked again what came of\n{call}")));
        }
    }
    Ok(found.into_values().collect())
}

fn orders(history: &History) -> impl Iterator<Item = (&Call, &Order)> {
    history.calls.iter().filter_map(|call| match &call.asked {
        Asked::Write(order) => Some((call, order)),
        Asked::Read(_) => None,
    })
}

/// Whether anybody was told what became of an order, by another delivery.
fn is_told(history: &History, order: &Order) -> bool {
    let told = |call: &Call| matches!(call.answer, Answer::Refused(_) | Answer::Committed { .. });
    order.name.is_some()
        && orders(history).any(|(call, other)| other.name == order.name && told(call))
}

/// The entry a call became, if it did; an error if an acknowledged one was lost.
fn number(history: &History, call: &Call) -> Result<Option<SeqNo>, Illegal> {
    let next_end = |time| history.ends.iter().find(|end| end.reopened > time);
    match call.answer {
        Answer::Committed { seq, .. } => match next_end(call.returned) {
            Some(end) if end.applied < seq => {
                let applied = end.applied;
                Err(Illegal::proved(format!("lost, for the log ended at {applied}:\n{call}")))
            }
            _ => Ok(Some(seq)),
        },
        Answer::Unknown(Some(seq)) => {
            let reached = next_end(call.invoked).map_or_else(|| reach(history), |end| end.applied);
            Ok((seq <= reached).then_some(seq))
        }
        _ => Ok(None),
    }
}

/// The last entry that anybody saw.
fn reach(history: &History) -> SeqNo {
    let seen = history.calls.iter().map(|call| match call.answer {
        Answer::Committed { seq, .. } | Answer::Found { at: Some(seq), .. } => seq,
        _ => SeqNo::default(),
    });
    seen.max().unwrap_or_default()
}

/// The records after each entry, the first being before all of them.
struct States {
    after: Vec<(SeqNo, BTreeMap<u32, Held>)>,
    /// When the last of the writes up to each was made.
    made: Vec<u64>,
    /// After which entry each name was carried out.
    by_name: BTreeMap<u64, usize>,
}

impl States {
    /// Carries the writes out one by one.
    fn fold(writes: Vec<Write<'_>>) -> Result<Self, Illegal> {
        let mut states = Self {
            after: vec![(SeqNo::default(), BTreeMap::new())],
            made: vec![0],
            by_name: BTreeMap::new(),
        };
        for Write { order, seq, from, handed_in, told } in writes {
            let place = states.after.len();
            let (last, mut records) = states.after[place - 1].clone();
            let made = states.made[place - 1];
            if handed_in < made {
                let what =
                    format!("entry {seq} was in its place before one up to {last} was asked");
                return Err(Illegal::proved(format!("{what}: {order:?}")));
            }
            let decision = judge(&records, order);
            if decision != Decision::Commit {
                if !told {
                    continue;
                }
                let what = format!("{decision:?} was due as entry {seq} on {records:?}");
                return Err(Illegal::proved(format!("{what}: {order:?}")));
            }
            change(&mut records, order, seq.into());
            states.after.push((seq, records));
            states.made.push(made.max(from));
            states.by_name.extend(order.name.map(|name| (name, place)));
        }
        Ok(states)
    }

    /// Goes through the calls in time and gives each the first state it can have seen.
    fn sweep(&self, history: &History) -> Result<(), Illegal> {
        let complete = || history.calls.iter().filter(|call| call.is_complete());
        let mut times: Vec<(u64, bool, &Call)> = Vec::new();
        times.extend(history.calls.iter().map(|call| (call.invoked, false, call)));
        times.extend(complete().map(|call| (call.returned, true, call)));
        times.sort_by_key(|(time, ..)| *time);
        let mut sweep =
            Sweep { states: self, floor: 0, began: BTreeMap::new(), refused: BTreeMap::new() };
        for (_, ends, call) in times {
            if ends {
                let place =
                    sweep.place(call).map_err(|what| Illegal::proved(format!("{what}\n{call}")))?;
                sweep.floor = sweep.floor.max(place);
            } else {
                sweep.began.insert(call.invoked, sweep.floor);
                if let Asked::Write(Order { name: Some(name), .. }) = call.asked {
                    sweep.refused.entry(name).or_insert((sweep.floor, None));
                }
            }
        }
        Ok(())
    }

    /// The last state that holds nothing that was asked for only later than `time`.
    fn ceiling(&self, time: u64) -> usize {
        self.made.partition_point(|made| *made < time) - 1
    }
}

struct Sweep<'s> {
    states: &'s States,
    /// The state that every call shows from now on, or a later one.
    floor: usize,
    /// The floor as each call began, by the time it did.
    began: BTreeMap<u64, usize>,
    /// For each name, the floor as its first delivery began, and why it was refused for good.
    refused: BTreeMap<u64, (usize, Option<Decision>)>,
}

impl Sweep<'_> {
    /// The first state that a call that ends now can have shown.
    fn place(&mut self, call: &Call) -> Result<usize, String> {
        let after = &self.states.after;
        let (low, high) = (self.began[&call.invoked], self.states.ceiling(call.returned));
        match (&call.asked, &call.answer) {
            (_, Answer::Nothing) => Ok(0),
            (Asked::Write(_), Answer::Committed { seq, .. }) => {
                Ok(after.partition_point(|(at, _)| at < seq))
            }
            (Asked::Write(order), Answer::Refused(decision)) => {
                self.refusal(order, decision, low, high)
            }
            (Asked::Read(keys), Answer::Found { at, records }) => {
                let (low, high) = match at {
                    None => (low, high),
                    Some(at) => {
                        let exact = after.partition_point(|(seq, _)| seq <= at) - 1;
                        (low.max(exact), high.min(exact))
                    }
                };
                let shows = |place: &usize| {
                    let there = keys.iter().map(|key| after[*place].1.get(key));
                    there.eq(records.iter().map(Option::as_ref))
                };
                (low..=high).find(shows).ok_or_else(|| self.nowhere(low, high))
            }
            _ => Err("no call may be told that:".to_owned()),
        }
    }

    fn refusal(
        &mut self,
        order: &Order,
        decision: &Decision,
        mut low: usize,
        mut high: usize,
    ) -> Result<usize, String> {
        let remembered = !matches!(decision, Decision::Conflict(_));
        if let Some(name) = order.name {
            let (began, before) = &self.refused[&name];
            match before {
                Some(before) if before == decision => return Ok(0),
                Some(before) => return Err(format!("it was refused before, for {before:?}")),
                None => {}
            }
            if let Some(&place) = self.states.by_name.get(&name) {
                if remembered {
                    return Err(format!("it was carried out as {}", self.states.after[place].0));
                }
                high = high.min(place - 1);
            }
            if remembered {
                low = *began;
                self.refused.insert(name, (low, Some(decision.clone())));
            }
        }
        let due = |place: &usize| judge(&self.states.after[*place].1, order) == *decision;
        (low..=high).find(due).ok_or_else(|| self.nowhere(low, high))
    }

    fn nowhere(&self, low: usize, high: usize) -> String {
        let after = &self.states.after;
        if low > high {
            let (low, high) = (after[low].0, after[high].0);
            return format!("what it shows is older than {low}, or newer than {high}:");
        }
        let lines = after[low..=high].iter().map(|(seq, records)| format!("{seq}: {records:?}"));
        let states = lines.collect::<Vec<_>>().join("\n");
        format!("none of the states it can have seen shows that:\n{states}")
    }
}
