//! What an engine must answer and show while requests are in flight: the [model](super::super::model) twice, as readers
//! see it and as the next request meets it.

use super::super::{
    laws::{self, Breach, Law, Unknown},
    model::{Answer, At, Decision, Deed, Due, Model, Order, Reason, Status, Terms, again, made_at},
};
use crate::{
    Engine, Error, KeyStatus, LogTime, Outcome, SeqNo, Version, base::limits::KEY_AHEAD_NANOS,
};
use std::collections::{BTreeMap, VecDeque};

/// Numbers from here on stand for entries whose numbers are not known yet.
const PROVISIONAL: u64 = 1 << 62;

/// How an order is handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Request,
    Update,
}

/// What was handed in, and what must become of it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub deed: Deed,
    pub terms: Terms,
    pub due: Expected,
    /// Which entry since the opening it is, if it is one.
    pub index: Option<u64>,
    /// When that was.
    pub time: Option<LogTime>,
    /// Which entry decided it, if one did before.
    decided: Option<At>,
    /// Whether that it is a stub is not durable.
    rests: bool,
    /// The time of the last entry that was there when it was handed in.
    after: Option<LogTime>,
}

#[derive(Clone, Debug)]
pub(super) enum Expected {
    Answer(Due),
    /// An error: the engine takes no more writes.
    Nothing,
}

/// An entry that is not known to be durable.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub deed: Deed,
    pub way: Way,
    index: u64,
    time: LogTime,
    /// Its caller was told that it was not carried out.
    refused: bool,
}

#[derive(Debug)]
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
    /// What every retry must get, by idempotency key and the entry that decided it.
    told: BTreeMap<(u64, SeqNo), Outcome<Vec<u8>>>,
}

impl Asked {
    fn made_at(&self) -> Option<LogTime> {
        self.deed.name().and_then(made_at)
    }
}

/// The latest time at which a key may say that it was made.
fn ahead_of(now: LogTime) -> LogTime {
    LogTime::new(now.get().saturating_add(KEY_AHEAD_NANOS))
}

impl Mirror {
    /// What is to become of an engine on which this is what is there.
    pub(super) fn new(model: Model) -> Self {
        Self {
            applied: model.clone(),
            durable: model,
            flights: VecDeque::new(),
            first: None,
            count: 0,
            shown: SeqNo::default(),
            stopped: false,
            told: BTreeMap::new(),
        }
    }

    /// What readers see.
    pub(super) fn durable(&self) -> &Model {
        &self.durable
    }

    /// What the next request meets.
    pub(super) fn applied(&self) -> &Model {
        &self.applied
    }

    /// Something that is handed in now, and what must become of it.
    pub(super) fn ask(&self, deed: Deed, terms: Terms) -> Asked {
        let due = self.expect(&deed, terms);
        let model = if self.stopped { &self.durable } else { &self.applied };
        let decided = deed.name().and_then(|name| model.decided(name));
        let rests =
            deed.name().is_some_and(|name| model.rests_on_a_step_since(&self.durable, name));
        let after = self.applied.time();
        Asked { deed, terms, due, index: None, time: None, decided, rests, after }
    }

    fn expect(&self, deed: &Deed, terms: Terms) -> Expected {
        if !self.stopped {
            return Expected::Answer(self.applied.due_on(deed, terms));
        }
        match self.durable.decide_on(deed, terms) {
            Decision::Remembered
            | Decision::Error(
                Reason::Reused | Reason::Fenced | Reason::Decided | Reason::BufferedKey,
            ) => Expected::Answer(self.durable.due_on(deed, terms)),
            _ => Expected::Nothing,
        }
    }

    /// Whether it would be an entry.
    pub(super) fn is_logged(&self, asked: &Asked) -> bool {
        let answer = matches!(asked.due, Expected::Answer(_));
        answer && self.applied.is_logged_on(&asked.deed, asked.terms)
    }

    /// Takes note of what was sequenced at this time: its index, if it is logged.
    pub(super) fn sequence(
        &mut self,
        asked: &mut Asked,
        way: Way,
        time: LogTime,
    ) -> Result<(), Breach> {
        if !self.is_logged(asked) {
            return Ok(());
        }
        if self.applied.time().is_some_and(|before| time <= before) {
            let what = format!("{:?} has the time {time}, which is not a later one", asked.deed);
            return Err(Breach::new(Law::Versions, what));
        }
        if asked.made_at().is_some_and(|made| made > ahead_of(time)) {
            let what =
                format!("{:?} has the time {time}, and its key is of the future", asked.deed);
            return Err(Breach::new(Law::Once, what));
        }
        let (deed, index) = (asked.deed.clone(), self.count);
        self.count += 1;
        let at = At { seq: self.number(index), time: Some(time) };
        self.applied.carry_out_deed(&deed, at);
        self.flights.push_back(Flight { deed, way, index, time, refused: false });
        (asked.index, asked.time) = (Some(index), Some(time));
        Ok(())
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
        self.flights.back().ok_or_else(unasked)?;
        let learned = self.learn_last(durable)?;
        if durable < self.shown {
            return Err(Breach::new(Law::Shown, format!("entry {} is gone", self.shown)));
        }
        while let Some(flight) = self.flights.front() {
            let seq = self.number(flight.index);
            if seq > durable {
                break;
            }
            self.durable.carry_out_deed(&flight.deed, At { seq, time: Some(flight.time) });
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

    /// Everything that was handed in is durable, and this is the last of it.
    pub(super) fn synced(&self, last: SeqNo) -> Result<(), Breach> {
        match self.flights.front() {
            Some(flight) => {
                let what = format!("a sync is over, and {:?} is not durable", flight.deed);
                Err(Breach::new(Law::Prefix, what))
            }
            None if last == self.shown => Ok(()),
            None => {
                let what = format!("a sync ended at entry {last}, and the last is {}", self.shown);
                Err(Breach::new(Law::Shown, what))
            }
        }
    }

    /// The last entry that was noted has this number; true when that tells those of all.
    fn learn_last(&mut self, seq: SeqNo) -> Result<bool, Breach> {
        let Some(last) = self.flights.back().filter(|_| self.first.is_none()) else {
            return Ok(false);
        };
        self.learn(seq, last.index)?;
        Ok(true)
    }

    /// The last entry that was applied has this number.
    pub(super) fn applied_to(&mut self, seq: SeqNo) -> Result<(), Breach> {
        if self.learn_last(seq)? {
            self.replay();
        }
        if self.applied.last() == seq {
            return Ok(());
        }
        let what = format!("entry {seq} is applied, and {} is due", self.applied.last());
        Err(Breach::new(Law::Shown, what))
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
            let at = At { seq: self.number(flight.index), time: Some(flight.time) };
            self.applied.carry_out_deed(&flight.deed, at);
        }
    }

    /// Holds an answer against what is due. Its entry must have been observed, unless the answer is a buffered one.
    pub(super) fn answered(&mut self, asked: &Asked, answer: &Answer) -> Result<(), Breach> {
        let Asked { deed, terms, due, index, time, decided, .. } = asked;
        let Expected::Answer(due) = due else {
            let what = format!("{deed:?} got {answer:?}, and {due:?} was due");
            return Err(Breach::new(Law::Rejected, what));
        };
        let mut due = self.with_numbers(due);
        let own = index.map(|index| At { seq: self.number(index), time: *time });
        match &mut due {
            Due::Receipt { at, .. } | Due::Status(Status::Fenced(at)) if own.is_some() => *at = own,
            Due::Entry(seq) => *seq = own.map(|at| at.seq),
            _ => {}
        }
        if let (Answer::Status(KeyStatus::Stub { seq, time, .. }), Some(at), true) =
            (answer, decided, self.stopped)
            && *at == (At { seq: *seq, time: Some(*time) })
        {
            // What could not be written may have made a stub of what is whole.
            return Ok(());
        }
        due.check_answer(deed, answer)?;
        let decided = own.or_else(|| decided.map(|at| self.numbered(at)));
        if terms.buffered {
            return Ok(());
        }
        if decided.is_some_and(|at| at.seq > self.shown) {
            let what = format!("{deed:?} got {answer:?} before it was durable");
            return Err(Breach::new(Law::Prefix, what));
        }
        let conflict = matches!(due, Due::Refusal(Decision::Conflict(_)));
        match (deed, answer, decided) {
            (Deed::Order(order), Answer::Outcome(answer), Some(at)) if !conflict => {
                self.told_again(order, at.seq, again(answer))
            }
            _ => Ok(()),
        }
    }

    fn told_again(
        &mut self,
        order: &Order,
        seq: SeqNo,
        answer: Outcome<Vec<u8>>,
    ) -> Result<(), Breach> {
        let Some(name) = order.name else { return Ok(()) };
        let first = self.told.entry((name, seq)).or_insert_with(|| answer.clone());
        if *first == answer {
            return Ok(());
        }
        let what = format!("a retry of {order:?} got {answer:?} instead of {first:?}");
        Err(Breach::new(Law::Once, what))
    }

    /// Whether this is an entry under a key of which an earlier one was told.
    pub(super) fn is_again(&self, asked: &Asked) -> bool {
        let (Some(name), Some(index)) = (asked.deed.name(), asked.index) else { return false };
        let seq = self.number(index);
        self.told.range((name, SeqNo::default())..(name, seq)).next().is_some()
    }

    fn seq(&self, seq: SeqNo) -> SeqNo {
        seq.get().checked_sub(PROVISIONAL).map_or(seq, |index| self.number(index))
    }

    fn numbered(&self, at: At) -> At {
        At { seq: self.seq(at.seq), ..at }
    }

    /// What is due, with the numbers that are known by now.
    fn with_numbers(&self, due: &Due) -> Due {
        let version = |version: Option<Version>| {
            version.map(|version| Version::from(self.seq(SeqNo::new(version.get()))))
        };
        let decision = |decision: &Decision| match decision {
            Decision::Conflict(found) => Decision::Conflict(version(*found)),
            Decision::Unmet(found) => Decision::Unmet(version(*found)),
            other => other.clone(),
        };
        let at = |at: At| self.numbered(at);
        match due {
            Due::Receipt { at: known, replayed } => {
                Due::Receipt { at: known.map(at), replayed: *replayed }
            }
            Due::Refusal(refused) => Due::Refusal(decision(refused)),
            Due::Error(reason, of) => {
                Due::Error(reason.clone(), of.map(|(class, of)| (class, at(of))))
            }
            Due::Status(status) => Due::Status(match status.clone() {
                Status::Committed(of, result) => Status::Committed(at(of), result),
                Status::Rejected(of, refused) => Status::Rejected(at(of), decision(&refused)),
                Status::Stub(of, class) => Status::Stub(at(of), class),
                Status::Fenced(of) => Status::Fenced(of.map(at)),
                other => other,
            }),
            Due::Same(_) | Due::Entry(_) => due.clone(),
        }
    }

    /// What a key must stand for, once all that was handed in is durable.
    pub(super) fn check_status(&self, name: u64, told: &KeyStatus) -> Result<(), Breach> {
        let model = if self.stopped { &self.durable } else { &self.applied };
        let Due::Status(due) = self.with_numbers(&Due::Status(model.status(name))) else {
            unreachable!("it was one")
        };
        let by_now = match (told, model.decided(name)) {
            // As above.
            (KeyStatus::Stub { seq, time, .. }, Some(at)) => {
                self.stopped && at == At { seq: *seq, time: Some(*time) }
            }
            _ => false,
        };
        if due.is(told) || by_now {
            return Ok(());
        }
        Err(Breach::new(Law::Once, format!("name {name} stands for {told:?}, not for {due:?}")))
    }

    /// Whether what was to be refused was carried out: told before the numbers, which are wrong from then on.
    pub(super) fn refusal(asked: &Asked, answer: &Result<Answer, Error>) -> Result<(), Breach> {
        match (&asked.due, answer) {
            (
                Expected::Answer(due @ (Due::Refusal(_) | Due::Error(..))),
                Ok(answer @ Answer::Outcome(Outcome::Committed(_))),
            ) => due.check_answer(&asked.deed, answer),
            (Expected::Answer(due @ Due::Error(..)), Ok(answer)) => {
                due.check_answer(&asked.deed, answer)
            }
            _ => Ok(()),
        }
    }

    /// Whether an error is what was due.
    pub(super) fn is_due(&self, asked: &Asked, error: &Error) -> bool {
        match (&asked.due, error) {
            (_, Error::DeadlineExceeded) if asked.terms.late => {
                // It is looked at before the age of the key where there is no room; and where there is none to wait in, what is
                // remembered is told only if it is durable.
                let durable = asked.decided.is_some_and(|at| self.numbered(at).seq <= self.shown);
                !durable || asked.rests
            }
            (_, Error::KeyAhead { made, now }) => {
                let later = asked.after.is_none_or(|after| after < *now);
                let ahead = asked.made_at() == Some(*made) && *made > ahead_of(*now);
                ahead && later && asked.decided.is_none()
            }
            (Expected::Answer(due), error) => {
                self.with_numbers(due).is_error(error) || self.is_stub_by_now(asked, error)
            }
            (Expected::Nothing, Error::KeyExpired { .. }) => asked.made_at().is_some(),
            (Expected::Nothing, _) => false,
        }
    }

    /// In an engine that takes no more writes, what could not be written may have made a stub of what is whole.
    fn is_stub_by_now(&self, asked: &Asked, error: &Error) -> bool {
        match (error, asked.decided) {
            (Error::AlreadyDecided { seq, time, .. }, Some(at)) => {
                self.stopped && at == At { seq: *seq, time: Some(*time) }
            }
            _ => false,
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
                let (deed, due) = (&asked.deed, self.number(index));
                let what = format!("{deed:?} is in doubt as entry {seq}, and {due} was due");
                Err(Breach::new(Law::Versions, what))
            }
            (_, Some(index)) => {
                let flight = self.flights.iter_mut().find(|flight| flight.index == index);
                match flight {
                    Some(flight) => flight.refused = true,
                    None => {
                        let what = format!("{:?} is durable, and got: {error}", asked.deed);
                        return Err(Breach::new(Law::Rejected, what));
                    }
                }
                Ok(())
            }
            (_, None) => Ok(()),
        }
    }

    /// After an opening: finds out what of that in flight is there (laws 1 to 3). Gives back what was in flight, and how
    /// much of it is there.
    pub(super) fn recovered(&mut self, engine: &Engine) -> Result<(Vec<Flight>, usize), Breach> {
        laws::shown(self.shown, engine)?;
        let flights: Vec<Flight> = self.flights.drain(..).collect();
        let (refused, open): (Vec<_>, Vec<_>) = flights.iter().partition(|flight| flight.refused);
        let refused: Vec<Order> = refused
            .iter()
            .filter(|flight| open.iter().all(|other| other.deed != flight.deed))
            .filter_map(|flight| flight.deed.order().cloned())
            .collect();
        laws::rejected(&refused, &self.durable, engine)?;
        let applied = engine.recovery().applied_seq;
        let numbered = |first: u64| -> Vec<Unknown> {
            let unknown = |flight: &&Flight| {
                let seq = SeqNo::new(first.saturating_add(flight.index));
                Unknown { deed: flight.deed.clone(), at: At { seq, time: Some(flight.time) } }
            };
            open.iter().map(unknown).collect()
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
        let time = engine.window().time;
        if resolved.time().is_some_and(|last| last != time) {
            let what = format!("the last entry has the time {time}, not {:?}", resolved.time());
            return Err(Breach::new(Law::Versions, what));
        }
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
