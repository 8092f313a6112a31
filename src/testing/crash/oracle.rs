//! What must be true of a disk that comes up after a power cut.

use super::{
    super::{
        laws::{self, Breach, Law, Unknown, commit},
        model::{Action, At, Deed, Model, Operation, Order},
    },
    step::Step,
    summary::Summary,
    world::{Machine, World, cut},
};
use crate::{
    Engine, Error, Expect, Mode, RecoveryReport, SeqNo, Verdict,
    disk::{Choice, SimDisk},
};
use std::collections::HashSet;

/// Something that must not happen.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub breach: Breach,
    /// The cut during recovery that showed it.
    pub again: Option<(u64, Choice)>,
}

impl From<Breach> for Problem {
    fn from(breach: Breach) -> Self {
        Self { breach, again: None }
    }
}

impl Problem {
    pub(super) fn new(law: Law, what: impl Into<String>) -> Self {
        Breach::new(law, what).into()
    }

    pub(super) fn refusal(error: &Error) -> Self {
        Breach::refusal(error).into()
    }
}

/// Runs a check; a panic in it is a problem.
pub(super) fn caught<T>(check: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    laws::caught(|| Ok(check()))?
}

/// Checks the disks that one sequence of steps can leave, each different one once.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    pub summary: Summary,
    /// Disks that were recovered, by what they show, how much of it is pending, and what must be there.
    checked: HashSet<(u128, usize, SeqNo, usize)>,
    /// Disks whose recovery was cut off.
    crashed: HashSet<(u128, usize)>,
    /// Disks that a cut during a recovery left, with the state that must come of it.
    checked_again: HashSet<(u128, Option<String>)>,
}

impl Oracle {
    /// Checks a disk that came up. With `crash_again`, also cuts the power at each I/O of its recovery.
    pub(super) fn check(&mut self, world: &World, crash_again: bool) -> Result<(), Problem> {
        let (image, pending) = (world.disk.digest(), world.disk.pending_units());
        if self.checked.insert((image, pending, world.model.last(), world.unknown.len())) {
            self.summary.images += 1;
            caught(|| self.recover(world, image))?;
        }
        // That the records are what they may be was checked above; it is enough that the same state comes of it.
        if crash_again && self.crashed.insert((image, pending)) {
            self.crash_recovery(world)?;
        }
        Ok(())
    }

    fn open(&mut self, machine: &Machine) -> Result<Engine, Problem> {
        let engine = machine.open().map_err(|error| Problem::refusal(&error))?;
        self.summary.openings += 1;
        self.summary.torn_tails += u64::from(engine.recovery().verdict == Verdict::TornTail);
        Ok(engine)
    }

    fn recover(&mut self, world: &World, image: u128) -> Result<(), Problem> {
        let machine = |disk, after| Machine::new(disk, world, after);
        let first = machine(world.disk.snapshot(), 0);
        // A verification takes as long as an opening: of those that trim their logs one in four is.
        let verifies = world.keep_log || image & 6 == 0;
        let verified =
            if verifies { Some(laws::replays(&world.disk, world.keep_log)?) } else { None };
        let engine = self.open(&first)?;
        if let Some(verified) = &verified {
            self.summary.verified += 1;
            self.summary.replayed +=
                laws::verified_as_opened(verified.as_ref(), engine.recovery())?;
        }
        let mut model = laws::prefix(&world.model, &world.unknown, &engine)?;
        model.compare_statuses(&engine, model.names())?;
        let report = engine.recovery().clone();
        let left = if image & 1 == 0 {
            first.disk.after_power_cut(&Choice::None)
        } else {
            first.disk.after_kill()
        };
        cut(&first.disk);
        drop(engine);

        let second = machine(left, 1);
        let engine = self.open(&second)?;
        laws::repeatable(&report, engine.recovery())?;
        if report.verdict != Verdict::Clean && engine.recovery().torn_tail.is_some() {
            return Err(Problem::new(Law::Repeatable, "a tail that was cut is torn again"));
        }
        self.go_on(world, &mut model, &engine)?;
        engine.close().map_err(|error| Problem::new(Law::Healing, format!("closing: {error}")))?;

        let third = machine(second.disk.after_power_cut(&Choice::None), 2);
        let engine = self.open(&third)?;
        if engine.recovery().verdict != Verdict::Clean {
            let verdict = engine.recovery().verdict;
            return Err(Problem::new(Law::Repeatable, format!("{verdict:?} after closing")));
        }
        retry(&mut model, &engine, &[])?;
        model.compare(&engine)?;
        cut(&third.disk);
        drop(engine);
        if verifies {
            let left = third.disk.after_power_cut(&Choice::None);
            let verified = laws::replays(&left, world.keep_log)?;
            self.summary.replayed += verified.map_or(0, |report| report.entries);
        }
        Ok(())
    }

    /// Retries everything, then goes on working.
    fn go_on(&self, world: &World, model: &mut Model, engine: &Engine) -> Result<(), Problem> {
        retry(model, engine, &world.unknown)?;
        model.compare(engine)?;
        if *model.mode() != Mode::ReadWrite {
            let seq = engine.set_mode(Mode::ReadWrite);
            let seq = seq.map_err(|error| Problem::new(Law::Healing, format!("{error}")))?;
            let mode = Deed::Mode(Mode::ReadWrite);
            model.carry_out_deed(&mode, At { seq, time: None });
        }
        // Names that no run reaches.
        let names = 1 << 40;
        for (name, step) in (names..).zip([Step::Put, Step::CasHit, Step::Delete, Step::Batch]) {
            for order in step.orders(model, name) {
                commit(model, engine, &order)?;
            }
        }
        let operations = vec![Operation { key: 7, expect: Expect::Any, action: Action::Put(7) }];
        commit(model, engine, &Order { name: None, operations, result_bytes: 0 })?;
        Ok(model.compare(engine)?)
    }

    /// Cuts the power at each I/O of a recovery.
    fn crash_recovery(&mut self, world: &World) -> Result<(), Problem> {
        let whole = Machine::new(world.disk.snapshot(), world, 0);
        let engine = caught(|| self.open(&whole))?;
        let report = engine.recovery().clone();
        let total = whole.disk.io_count();
        cut(&whole.disk);
        drop(engine);
        for call in 1..=total + 1 {
            self.summary.recovery_crashes += 1;
            let cut_off = caught(|| cut_recovery(world, call, total))
                .map_err(|problem| Problem { again: Some((call, Choice::None)), ..problem })?;
            for choice in few(&cut_off, call) {
                self.summary.recovery_subsets += 1;
                self.recover_again(world, &cut_off, &choice, call > total, &report)
                    .map_err(|problem| Problem { again: Some((call, choice)), ..problem })?;
            }
        }
        Ok(())
    }

    /// Recovers what a cut during the recovery left, and compares with the recovery that was not cut off. After a kill
    /// what is pending may still be lost before that one has `finished`, and then the state may be another.
    pub(super) fn recover_again(
        &mut self,
        world: &World,
        cut_off: &SimDisk,
        choice: &Choice,
        finished: bool,
        report: &RecoveryReport,
    ) -> Result<(), Problem> {
        let disk = cut_off.after_power_cut(choice);
        let same = finished || world.disk.pending_units() == 0;
        let due = same.then(|| report.state_digest.clone());
        if !self.checked_again.insert((disk.digest(), due)) {
            return Ok(());
        }
        caught(|| {
            let machine = Machine::new(disk, world, 1);
            let engine = self.open(&machine)?;
            if same {
                laws::repeatable(report, engine.recovery())?;
            }
            laws::prefix(&world.model, &world.unknown, &engine)?;
            cut(&machine.disk);
            Ok(())
        })
    }
}

/// Cuts the power at one of the `total` changing calls of a recovery, or right after it.
pub(super) fn cut_recovery(world: &World, call: u64, total: u64) -> Result<SimDisk, Problem> {
    let machine = Machine::new(world.disk.snapshot(), world, 0);
    machine.disk.crash_at(call);
    match machine.open() {
        Err(Error::Io { .. }) if call <= total => {}
        Ok(_) if call > total => {}
        Err(error) => return Err(Problem::refusal(&error)),
        Ok(_) => return Err(Problem::new(Law::Opening, "it opened without power")),
    }
    Ok(machine.disk)
}

/// None, all, one, all but one.
pub(super) fn few(disk: &SimDisk, salt: u64) -> Vec<Choice> {
    let telling = disk.telling_units();
    let mut choices = vec![Choice::None];
    if let Some(one) = telling.get(salt as usize % telling.len().max(1)) {
        choices.extend([Choice::All, Choice::Only(*one), Choice::AllBut(*one)]);
    }
    choices
}

/// Repeats every order that is remembered, and those that may be.
fn retry(model: &mut Model, engine: &Engine, unknown: &[Unknown]) -> Result<(), Problem> {
    let remembered: Vec<Order> = model.remembered().cloned().collect();
    let orders = || unknown.iter().filter_map(|unknown| unknown.deed.order());
    let unknown = || orders().filter(|order| order.name.is_some());
    // The unknown ones twice, so that what is carried out only now is repeated as well.
    for order in remembered.iter().chain(unknown()).chain(unknown()) {
        commit(model, engine, order)?;
    }
    remembered.last().map_or(Ok(()), |order| reuse(engine, order))
}

/// Uses a key that is remembered for something else, which must change nothing.
fn reuse(engine: &Engine, order: &Order) -> Result<(), Problem> {
    let operations = vec![Operation { key: 8, expect: Expect::Any, action: Action::Put(8) }];
    let other = Order { operations, ..order.clone() };
    match engine.commit(other.request()) {
        Err(Error::KeyReused { .. }) => Ok(()),
        answer => {
            let what = format!("the key of {order:?} was used once more, and got {answer:?}");
            Err(Problem::new(Law::Once, what))
        }
    }
}
