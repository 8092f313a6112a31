//! The path of a request, from the caller to the disk and back.
//!
//! Everything that happens to one, in order:
//!
//! 1. [`Core::offer`] pre-reads what only the checkpoint has; most retries are answered by that. Then it takes the sequencer's lock
//! 2. [`Core::sequence`] admits it on the newest applied state, applies it, and appends it to the group being filled;
//!    or it gets its answer at once: a remembered outcome, a conflict, a refusal. Where rules across records need what only the
//!    checkpoint has, the lock is given up, that is fetched, and it is tried again; at most [`ROUNDS`] times
//! 3. the answer, of whatever kind, is parked until everything it saw is durable
//! 4. whoever has the lead ([`Core::lead`]) takes the group, writes it and syncs it, outside of the lock, while the next
//!    group fills
//! 5. the group is published to readers, the lead is handed on, and only then its callers are woken
//!
//! The lead is a token, not a thread: a lone `commit` takes it and does the I/O itself, which costs one write, one sync
//! and no hand-over. It is handed to a blocked `commit` first, and to the committer thread if there are only tickets.
//! After the first failed write or sync nothing is written any more: those in that group can't know (`Indeterminate`),
//! those behind it were never written (`Poisoned`), nor was the group itself if already its segment could not be begun.

use super::{
    core::Core,
    error::Error,
    outcome::Answer,
    preread::Preread,
    pressure::{Durability, Load, Patience, Terms},
    sequencer::{About, Parked, Sequencer},
    slot::{Slot, Woken},
};
use crate::{
    admission::shape::ShapeError,
    base::{RequestData, canary::canary, sync::MutexGuard},
};
use std::sync::Arc;

/// Where an offered request stands.
pub(super) enum Offered {
    /// Its answer is durable already.
    Answered(Result<Answer, Error>),
    /// Its answer comes by the slot; the caller may have been given the lead.
    Parked { slot: Arc<Slot>, leads: bool },
}

/// How often a request or a call is tried where it lacks what only the disk has.
pub(super) const ROUNDS: u32 = 8;

impl Core {
    /// Sequences a request and blocks until its answer is durable.
    pub(super) fn commit(&self, request: RequestData, terms: Terms) -> Result<Answer, Error> {
        match self.offer(request, terms)? {
            Offered::Answered(answer) => answer,
            Offered::Parked { slot, leads } => self.await_reply(&slot, leads),
        }
    }

    pub(super) fn await_reply(&self, slot: &Slot, leads: bool) -> Result<Answer, Error> {
        if leads {
            self.lead();
        }
        self.wait(slot)
    }

    /// Blocks until the slot is filled, leading groups whenever it is handed the lead.
    pub(super) fn wait(&self, slot: &Slot) -> Result<Answer, Error> {
        loop {
            match slot.wait() {
                Woken::Lead => self.lead(),
                Woken::Reply(reply) => return reply,
            }
        }
    }

    /// Sequences a request. Blocks only for room, and for that only a caller with the patience; does no log I/O but for
    /// preparing a segment when none is ready.
    pub(super) fn offer(&self, mut request: RequestData, terms: Terms) -> Result<Offered, Error> {
        let buffered = terms.durability == Durability::Buffered;
        if buffered && request.key.is_some() && !self.options.buffered_keys {
            return Err(ShapeError::BufferedKey.into());
        }
        if buffered {
            self.begin()?;
        }
        // What was fetched for the rules, to be tried with.
        let (mut warmed, mut round) = (None, 1);
        loop {
            let mut preread = match warmed.take() {
                Some(preread) => preread,
                None => self.preread(&request)?,
            };
            if let Some(reply) = self.retell(&request, &preread, &terms) {
                return Ok(Offered::Answered(reply));
            }
            let mut sequencer = match self.room_for(&request, &terms) {
                Ok(sequencer) => sequencer,
                // What is remembered is told in every mode.
                Err(error) if request.key.is_some() => {
                    return self.look_up(&request, &terms, false)?.ok_or(error);
                }
                Err(error) => return Err(error),
            };
            if !preread.holds_for(&sequencer) {
                continue;
            }
            let before = sequencer.pending.bytes();
            let (reply, about) = match self.sequence(&mut sequencer, request, &preread, &terms) {
                Ok(decided) => decided,
                Err(_) if round == ROUNDS => {
                    return Err(sequencer.overloaded(&*self.machine.clock));
                }
                Err(cold) => {
                    drop(sequencer);
                    round += 1;
                    request = self.warm_rules(*cold, &mut preread)?;
                    warmed = Some(preread);
                    continue;
                }
            };
            if let Err(Error::DeadlineExceeded) = reply {
                // It tells nothing but the time, and whoever is late does not wait for the disk.
                return Err(Error::DeadlineExceeded);
            }
            if buffered {
                canary!(BufferedShown => self.durable.store(sequencer.fold.applied.get(), crate::base::sync::atomic::Ordering::Release));
                self.write_later(&sequencer);
                return Ok(Offered::Answered(reply));
            }
            let load = Load::of(sequencer.pending.bytes() - before, &reply);
            return Ok(self.park(sequencer, reply, about, load, terms.patience));
        }
    }

    pub(super) fn preread(&self, request: &RequestData) -> Result<Preread, Error> {
        Preread::load(self, request).map_err(|error| self.checkpoint_error(error))
    }

    /// Sees to it that what nobody waits for is written in time.
    fn write_later(&self, sequencer: &Sequencer) {
        if !sequencer.led && sequencer.pending.entries > 0 {
            self.wakes.committer_later();
        }
    }

    /// Parks a reply and blocks until it may be given. It is the engine's own, so it has room in every queue.
    pub(super) fn finish_reply(
        &self,
        sequencer: MutexGuard<'_, Sequencer>,
        reply: Result<Answer, Error>,
        about: About,
    ) -> Result<Answer, Error> {
        match self.park(sequencer, reply, about, Load::default(), Patience::Leads) {
            Offered::Answered(answer) => answer,
            Offered::Parked { slot, leads } => self.await_reply(&slot, leads),
        }
    }

    /// Parks a reply, and takes the lead if it is free and there is something to write.
    pub(super) fn park(
        &self,
        mut sequencer: MutexGuard<'_, Sequencer>,
        reply: Result<Answer, Error>,
        about: About,
        load: Load,
        patience: Patience,
    ) -> Offered {
        // Most retries: nothing to wait in is made for them.
        if sequencer.tells_at_once(about) {
            return Offered::Answered(reply);
        }
        let blocking = patience == Patience::Leads;
        let slot = Slot::new(blocking);
        let parked = Parked { slot: slot.clone(), reply, about };
        if let Some(parked) = sequencer.park(parked, load) {
            return Offered::Answered(parked.reply);
        }
        let free = !sequencer.led && sequencer.pending.entries > 0;
        let leads = free && blocking;
        sequencer.led |= leads;
        let committer = free && !blocking;
        drop(sequencer);
        if committer {
            self.wakes.committer();
        }
        Offered::Parked { slot, leads }
    }
}
