//! Making a plan that fails small.

use super::{
    event::{Ask, Event},
    failure::Failure,
    machine::Stop,
    plan::Plan,
};

impl Failure {
    /// The smallest failure of the same law that was found with so many runs: events are left out, first many at once,
    /// then one by one; then those that are left are made simpler.
    #[must_use]
    pub fn shrink(&self, runs: usize) -> Self {
        let mut shrinking = Shrinking { best: self.clone(), runs };
        shrinking.cut_off();
        loop {
            let before = shrinking.best.plan.clone();
            shrinking.leave_out();
            shrinking.simplify();
            if shrinking.runs == 0 || shrinking.best.plan == before {
                return shrinking.best;
            }
        }
    }
}

struct Shrinking {
    best: Failure,
    runs: usize,
}

impl Shrinking {
    /// Takes a plan if it breaks the same law.
    fn attempt(&mut self, plan: Plan) -> bool {
        if self.runs == 0 || plan == self.best.plan {
            return false;
        }
        self.runs -= 1;
        match plan.run() {
            Err(failure) if failure.law() == self.best.law() => {
                self.best = *failure;
                true
            }
            _ => false,
        }
    }

    fn events(&self) -> &[Event] {
        &self.best.plan.events
    }

    /// Leaves out what came after the breach.
    fn cut_off(&mut self) {
        let events = self.events().iter().take(self.best.at + 1).copied().collect();
        self.attempt(self.best.plan.with(events));
    }

    /// Leaves out pieces, ever smaller ones.
    fn leave_out(&mut self) {
        let mut size = self.events().len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.events().len() {
                let mut events = self.events().to_vec();
                let to = events.len().min(from + size);
                events.drain(from..to);
                if !self.attempt(self.best.plan.with(events)) {
                    from += size;
                }
            }
            if size == 1 {
                return;
            }
            size = size.div_ceil(2);
        }
    }

    /// Makes single events simpler, as long as that helps.
    fn simplify(&mut self) {
        for place in 0..self.events().len() {
            let mut going = true;
            while going {
                going = false;
                for simpler in simpler(&self.events()[place]) {
                    let mut events = self.events().to_vec();
                    events[place] = simpler;
                    if self.attempt(self.best.plan.with(events)) {
                        going = place < self.events().len();
                        break;
                    }
                }
            }
            if place >= self.events().len() {
                return;
            }
        }
        let plan = self.best.plan.clone();
        let usual = Plan { lie: plan.lie, events: plan.events, ..Plan::empty(plan.seed) };
        self.attempt(usual);
    }
}

/// Simpler events, the simplest first. Each step makes something smaller, so that there is an end.
fn simpler(event: &Event) -> Vec<Event> {
    match *event {
        Event::Submit { ask, .. }
        | Event::Late { ask }
        | Event::Once { ask }
        | Event::Buffered { ask } => vec![Event::Commit { ask }],
        Event::Try { client, ask } => vec![Event::Submit { client, ask }],
        Event::Commit { ask } if ask != Ask::Put(0) => {
            let simple = [Ask::Put(0)].into_iter().chain(with_key_0(ask));
            simple.filter(|simple| *simple != ask).map(|ask| Event::Commit { ask }).collect()
        }
        Event::Update { key, delta } if (key, delta) != (0, 1) => {
            vec![Event::Commit { ask: Ask::Put(0) }, Event::Update { key: 0, delta: 1 }]
        }
        Event::Crash { after, stop, hurdles, twice } => {
            let crash = |after, stop, hurdles, twice| Event::Crash { after, stop, hurdles, twice };
            let mut simpler = Vec::new();
            if hurdles != [None, None] {
                simpler.push(crash(after, stop, [None, None], twice));
                simpler.push(crash(after, stop, [hurdles[0], None], twice));
                simpler.push(crash(after, stop, [hurdles[1], None], twice));
            }
            if twice {
                simpler.push(crash(after, stop, hurdles, false));
            }
            if !matches!(stop, Stop::LoseAll) {
                simpler.push(crash(after, Stop::LoseAll, hurdles, twice));
            }
            let fewer = [0, after / 2, after.saturating_sub(1)];
            let fewer = fewer.into_iter().filter(|fewer| *fewer < after);
            simpler.extend(fewer.map(|after| crash(after, stop, hurdles, twice)));
            simpler.retain(|simple| simple != event);
            simpler
        }
        Event::Fault { trouble, after, forever } => {
            let fewer = [0, after / 2, after.saturating_sub(1)];
            let fewer = fewer.into_iter().filter(|fewer| *fewer < after);
            let mut simpler: Vec<_> =
                fewer.map(|after| Event::Fault { trouble, after, forever }).collect();
            if forever {
                simpler.push(Event::Fault { trouble, after, forever: false });
            }
            simpler
        }
        _ => Vec::new(),
    }
}

/// The same asked of the first record.
fn with_key_0(ask: Ask) -> Option<Ask> {
    Some(match ask {
        Ask::Put(_) => Ask::Put(0),
        Ask::Insert(_) => Ask::Insert(0),
        Ask::Replace(_) => Ask::Replace(0),
        Ask::Swap(_) => Ask::Swap(0),
        Ask::Stale(_) => Ask::Stale(0),
        Ask::Future(_) => Ask::Future(0),
        Ask::Delete(_) => Ask::Delete(0),
        Ask::Add(_, delta) => Ask::Add(0, delta),
        Ask::Check(_) => Ask::Check(0),
        Ask::Batch(_) => Ask::Batch(0),
        Ask::Dated(_, seconds) => Ask::Dated(0, seconds),
        Ask::Plain(_) => Ask::Plain(0),
        Ask::PlainCheck(_) => Ask::PlainCheck(0),
        Ask::Large(_, kib) => Ask::Large(0, kib),
        Ask::Retry(_) | Ask::Reuse(_) => return None,
    })
}
