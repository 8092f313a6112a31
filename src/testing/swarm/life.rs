//! How a machine stops, comes up again, and is mended.

use super::{
    super::{
        crash::End,
        laws::{self, Breach, Law},
        model::Deed,
    },
    event::Ask,
    machine::{Hurdle, Rot, Stop, Trouble},
    mirror::Flight,
    run::{AFTERWARDS, Armed, Run},
    trouble::Struck,
};
use crate::{
    Background, Engine, Error, ErrorKind, LogRetention, RecoveryReport, Verdict,
    disk::{SimDisk, SimEntropy},
};
use std::{collections::BTreeSet, time::Duration};

/// How many of the requests ever made are repeated after everything.
const REPEATED: usize = 200;
/// Of how many of the newest it is asked what they stand for after each opening.
const RESOLVED: usize = 30;

/// Cuts the power now.
pub(super) fn cut(disk: &SimDisk) {
    disk.crash_at(disk.io_count() + 1);
}

impl Run {
    /// Lets the machine stop so many changing calls from now.
    pub(super) fn arm(&mut self, after: u16, armed: Armed) -> Result<(), Breach> {
        if let Some(due) = self.armed.take() {
            self.power_on(due)?;
        }
        if after == 0 || self.open.is_none() {
            return self.power_on(armed);
        }
        self.disk.crash_at(self.disk.io_count() + u64::from(after));
        self.armed = Some(armed);
        Ok(())
    }

    /// After every event: notes what was met, and brings a machine that stopped up again.
    pub(super) fn look_at_machine(&mut self) -> Result<(), Breach> {
        let mut troubles = std::mem::take(&mut self.troubles);
        for struck in &mut troubles {
            self.note(struck);
        }
        self.troubles = troubles;
        if !self.disk.powered_off() {
            return Ok(());
        }
        self.summary.crashes_in_calls += 1;
        let armed = self.armed.take().expect("the power goes off when that is due");
        self.power_on(armed)
    }

    /// Takes the disk as it is after a stop, and turns the machine on again. What goes wrong for ever goes on.
    fn turn_on(&mut self, stop: Stop) {
        let next = match stop.end(self.disk.pending_units()) {
            End::Kill => {
                self.summary.kills += 1;
                self.disk.after_kill()
            }
            End::PowerCut(choice) => self.disk.after_power_cut(&choice),
        };
        if let Some(traces) = &mut self.traces {
            traces.extend(self.disk.trace());
            traces.push(format!("{:032x}", next.digest()));
        }
        cut(&self.disk);
        self.disk = next;
        self.go_on_failing();
    }

    /// The process ends with its clients, and the machine comes up again.
    fn power_on(&mut self, armed: Armed) -> Result<(), Breach> {
        if self.disk.powered_off() {
            self.look_around()?;
            self.drain(false)?;
        }
        self.summary.crashes += 1;
        self.turn_on(armed.stop);
        // What an engine does when it is dropped comes after the stop.
        self.clients.iter_mut().for_each(Vec::clear);
        self.held.clear();
        self.open = None;
        self.hurdles = armed.hurdles.into_iter().flatten().collect();
        self.twice = armed.twice;
        Ok(())
    }

    /// Opens the engine unless it is open; false when it can't be, for a reason.
    pub(super) fn ready(&mut self) -> Result<bool, Breach> {
        if self.open.is_some() {
            return Ok(true);
        }
        let pending = self.disk.pending_units() > 0;
        let twin = std::mem::take(&mut self.twice) && self.troubles.is_empty();
        let twin = if twin { Some(self.recover_a_copy()?) } else { None };
        let mut undisturbed = true;
        let engine = loop {
            let hurdle = self.hurdles.pop_front();
            match self.open_once(hurdle)? {
                Ok(engine) => break engine,
                Err(true) => undisturbed = false,
                Err(false) => return Ok(false),
            }
        };
        self.summary.openings += 1;
        let report = engine.recovery().clone();
        self.summary.torn_tails += u64::from(report.verdict == Verdict::TornTail);
        if let Some(twin) = twin.filter(|_| undisturbed || !pending) {
            laws::repeatable(&twin, &report)?;
        }
        self.check_verdict(&report, undisturbed)?;
        let (flights, there) = self.mirror.recovered(&engine)?;
        let unsure = flights.iter().filter_map(|flight| flight.deed.name());
        let names = unsure.chain(self.history.names().take(RESOLVED)).collect::<BTreeSet<_>>();
        self.summary.statuses += names.len() as u64;
        self.mirror.durable().compare_statuses(&engine, names)?;
        self.summary.found_carried_out += there as u64;
        self.open = Some(engine);
        self.repeat(flights)?;
        Ok(true)
    }

    fn check_verdict(&mut self, report: &RecoveryReport, undisturbed: bool) -> Result<(), Breach> {
        let closed = std::mem::take(&mut self.closed) && undisturbed;
        if closed && !matches!(report.verdict, Verdict::Clean) {
            let what = format!("{:?} after closing", report.verdict);
            return Err(Breach::new(Law::Repeatable, what));
        }
        Ok(())
    }

    /// Opens once, with something in the way. An error is true when it can be tried again at once.
    fn open_once(&mut self, hurdle: Option<Hurdle>) -> Result<Result<Engine, bool>, Breach> {
        let mut struck = None;
        let mut stop = self.armed.as_ref().map(|armed| armed.stop);
        match hurdle {
            Some(Hurdle::Cut { after, stop: here }) => {
                self.disk.crash_at(self.disk.io_count() + 1 + u64::from(after));
                stop = Some(here);
            }
            Some(Hurdle::Fails { trouble, after }) => {
                struck = Some(Struck::plan(trouble, after, false, &self.disk));
            }
            None => {}
        }
        let opened = laws::opening(&self.disk, || self.open_engine(&self.disk, &self.entropy))?;
        if let Some(struck) = &mut struck {
            self.note(struck);
            self.mend();
        }
        let off = self.disk.powered_off();
        if self.armed.is_none() && !off {
            self.disk.crash_at(u64::MAX);
        }
        let error = match opened {
            Ok(engine) => return Ok(Ok(engine)),
            Err(error) => error,
        };
        let wants_room = self.only_wants_room()
            && struck.is_none_or(|struck: Struck| struck.trouble.is_want_of_room());
        let due = match error.kind() {
            ErrorKind::NoSpace => true,
            ErrorKind::Io => !wants_room,
            _ => false,
        };
        if !due || !(off || struck.is_some() || !self.troubles.is_empty()) {
            return Err(Breach::refusal(&error));
        }
        if off {
            self.summary.recovery_crashes += 1;
            self.armed = None;
            self.turn_on(stop.expect("the power goes off when that is due"));
            return Ok(Err(true));
        }
        self.summary.failed_openings += 1;
        self.out_of_room(&error);
        if let Some(Struck { trouble: trouble @ Trouble::Capacity(_), .. }) = struck {
            self.met(trouble);
        }
        Ok(Err(struck.is_some()))
    }

    /// Recovers a copy, with nothing in the way: what must come of the disk itself.
    fn recover_a_copy(&mut self) -> Result<RecoveryReport, Breach> {
        let verified = laws::replays(&self.disk, self.plan.keep_log)?;
        let copy = self.disk.snapshot();
        copy.crash_at(u64::MAX);
        let entropy = SimEntropy::new(!self.plan.seed);
        let opened = laws::opening(&copy, || self.open_engine(&copy, &entropy))?;
        let engine = opened.map_err(|error| Breach::refusal(&error))?;
        self.summary.openings += 1;
        let report = engine.recovery().clone();
        cut(&copy);
        self.summary.verified += 1;
        self.summary.replayed += laws::verified_as_opened(verified.as_ref(), &report)?;
        Ok(report)
    }

    fn open_engine(&self, disk: &SimDisk, entropy: &SimEntropy) -> Result<Engine, Error> {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let (whole, stubs) = match self.plan.remember {
            None => (Duration::MAX, Duration::MAX),
            Some((whole, stubs)) => (seconds(whole), seconds(stubs)),
        };
        let retention = if self.plan.keep_log { LogRetention::KeepAll } else { LogRetention::Trim };
        Engine::builder()
            .accept_clock_jump(true)
            .remember_outcomes_for(whole)
            .remember_keys_for(stubs)
            .allow_buffered_keys(self.plan.buffered_keys)
            .queue_limit_requests(self.plan.queue_limit_requests)
            .background(Background::Manual)
            .segment_bytes(64 << 10)
            .log_limit_bytes(self.plan.log_limit_bytes)
            .log_retention(retention)
            .memtable_limit_bytes(self.plan.memtable_limit_bytes)
            .checkpoint_cache_bytes(1 << 20)
            .clock(self.clock.clone())
            .entropy(entropy.clone())
            .open_on(disk.clone())
    }

    /// Asks again what nobody was told the outcome of, and something of what went before.
    fn repeat(&mut self, flights: Vec<Flight>) -> Result<(), Breach> {
        for Flight { deed, way, .. } in flights {
            let Deed::Order(order) = deed else { continue };
            if order.name.is_some() {
                self.commit(order.clone(), way)?;
                self.commit(order, way)?;
            }
        }
        for back in [0, 3, 17] {
            if let Some((order, way)) = self.order(Ask::Retry(back)) {
                self.commit(order, way)?;
            }
        }
        Ok(())
    }

    /// Closes the engine. Everybody has their answer then.
    pub(super) fn close(&mut self) -> Result<(), Breach> {
        let Some(engine) = self.open.take() else { return Ok(()) };
        let twin = engine.clone();
        let closed = engine.close();
        self.mirror.observe(twin.durable_seq())?;
        drop(twin);
        self.drain(true)?;
        match closed {
            Ok(_) => self.closed = self.plan.lie.is_none(),
            Err(error) => self.excuse(&error, || "closing".to_owned())?,
        }
        Ok(())
    }

    /// Damages a copy of a database that was closed, and opens it (law 8).
    pub(super) fn damage(&mut self, file: u8, offset: u64, rot: Rot) -> Result<(), Breach> {
        if !self.troubles.is_empty() || self.armed.is_some() {
            return Ok(());
        }
        self.close()?;
        let files = self.disk.files();
        if !self.closed || files.is_empty() {
            return Ok(());
        }
        let copy = self.disk.snapshot();
        let (name, bytes) = &files[usize::from(file) % files.len()];
        let offset = offset % bytes.max(&1);
        let damaged = match rot {
            Rot::Flip(bit) => copy.flip_bit(name, offset, bit),
            Rot::Zero => copy.zero_sector(name, offset),
            Rot::Unreadable => copy.make_unreadable(name, offset),
            Rot::Shorter => copy.truncate(name, offset),
        };
        damaged.map_err(|error| Breach::new(Law::Damage, format!("damaging {name}: {error}")))?;
        self.summary.damages += 1;
        let entropy = SimEntropy::new(!self.plan.seed);
        let opened = laws::opening(&copy, || self.open_engine(&copy, &entropy))?;
        self.summary.damages_told += u64::from(opened.is_err());
        let unreadable = rot == Rot::Unreadable;
        if unreadable && opened.as_ref().is_err_and(|error| error.kind() == ErrorKind::Io) {
            return Ok(());
        }
        let told = laws::damage(self.mirror.durable(), opened);
        told.map_err(|breach| Breach { what: format!("{name}: {}", breach.what), ..breach })
    }

    /// Mends everything (law 9): an engine that takes no more writes is opened again, and `count` operations succeed.
    pub(super) fn heal(&mut self, count: u64) -> Result<(), Breach> {
        if self.troubles.is_empty() {
            return Ok(());
        }
        self.disk.clear_faults();
        self.disk.set_capacity(None);
        if self.open.is_some() {
            let (order, way) = self.order(Ask::Plain(0)).expect("it needs nothing");
            let fine = self.take_writes()? && self.commit(order, way)?;
            if self.mirror.stopped {
                self.close()?;
            } else if !fine && !self.disk.powered_off() {
                let what = "an engine that was not poisoned does not go on after a fault";
                return Err(Breach::new(Law::Healing, what));
            }
        }
        self.troubles.clear();
        if !self.disk.powered_off() && self.ready()? {
            self.go_on(count)?;
            self.summary.healings += 1;
        }
        Ok(())
    }

    /// The end of a run: the stop that is due, healing, everything repeated, a close and a last look.
    pub(super) fn end(&mut self) -> Result<(), Breach> {
        if let Some(armed) = self.armed.take() {
            self.disk.crash_at(u64::MAX);
            self.power_on(armed)?;
        }
        self.heal(0)?;
        self.must_open()?;
        self.go_on(AFTERWARDS)?;
        let orders: Vec<_> = self.history.orders.iter().rev().take(REPEATED).cloned().collect();
        for (order, way) in orders {
            self.commit(order, way)?;
        }
        self.close()?;
        self.twice = true;
        self.must_open()?;
        let Some(engine) = &self.open else { return Ok(()) };
        self.mirror.durable().compare(engine)?;
        self.held.clear();
        cut(&self.disk);
        self.open = None;
        Ok(())
    }

    fn must_open(&mut self) -> Result<(), Breach> {
        if self.ready()? {
            return Ok(());
        }
        Err(Breach::new(Law::Healing, "it does not open after everything was mended"))
    }
}
