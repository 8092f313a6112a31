//! What is remembered under a key, for those who ask before they hand anything in, or who could not.

use super::{
    commit::Offered,
    core::Core,
    error::Error,
    outcome::Answer,
    preread::{Newest, Preread},
    pressure::{Load, Patience, Terms},
    sequence::{decided, refused},
    sequencer::{About, Sequencer},
};
use crate::{
    admission::{self, Decision},
    base::{Remembered, RequestData, Verdict, sync::atomic::Ordering},
};

impl Core {
    /// What is remembered under a request's key, once that is durable; to who asks what the key stands for, also that nothing
    /// is; to others, whether it can be carried out at all.
    pub(super) fn probe(&self, request: &RequestData) -> Result<Option<Answer>, Error> {
        let asks = request.verdict == Verdict::Fence;
        match self.look_up(request, &Terms::patient(), asks)? {
            None => self.check_takes_writes().map(|()| None),
            Some(Offered::Answered(answer)) => answer.map(Some),
            Some(Offered::Parked { slot, leads }) => self.await_reply(&slot, leads).map(Some),
        }
    }

    /// The answer to most retries, without the sequencer's lock: what is durable and remembered whole was decided for good, so it does not
    /// matter what else is being decided. `None` for everything else, a different request under the same key included.
    pub(super) fn retell(
        &self,
        request: &RequestData,
        preread: &Preread,
        terms: &Terms,
    ) -> Option<Result<Answer, Error>> {
        let (row, (_, fingerprint)) = (preread.whole.as_ref()?, request.key.as_ref()?);
        let told = row.seq <= self.durable() && row.seq > self.stubs();
        if !told || self.closing.load(Ordering::Acquire) {
            return None;
        }
        match admission::recall(Remembered::Row(row.clone()), fingerprint) {
            Decision::Remembered(row) => Some(decided(&row, terms.on_duplicate)),
            _ => None,
        }
    }

    /// Looks for what is remembered under a request's key. The rest of the request is not looked at. What is not durable
    /// is only told by waiting for it, so a caller who would have to wait for the place to wait in is told nothing.
    pub(super) fn look_up(
        &self,
        request: &RequestData,
        terms: &Terms,
        asks: bool,
    ) -> Result<Option<Offered>, Error> {
        let (key, fingerprint) = request.key.as_ref().expect("a probe has a key");
        loop {
            let preread =
                Preread::load(self, request).map_err(|error| self.checkpoint_error(error))?;
            if !asks && let Some(reply) = self.retell(request, &preread, terms) {
                return Ok(Some(Offered::Answered(reply)));
            }
            let sequencer = self.sequencer.lock();
            if sequencer.closed {
                return Err(Error::Closed);
            }
            if !preread.holds_for(&sequencer) {
                continue;
            }
            let newest = Newest { fold: &sequencer.fold, preread: &preread };
            let known = admission::View::window(&newest, key);
            if known.is_none() && !asks {
                return Ok(None);
            }
            if let Some(error) = undurable(&sequencer, request, &newest) {
                return Err(error);
            }
            let about =
                known.as_ref().map_or(About::State, |known| sequencer.recalled(known.seq()));
            if !sequencer.is_durable(about) && !asks && sequencer.queue_full(0) {
                if terms.patience == Patience::Never || terms.expired(&*self.machine.clock) {
                    return Ok(None);
                }
                self.wait_for_group(sequencer, terms);
                continue;
            }
            let reply = match known {
                Some(known) if request.verdict != Verdict::Fence => {
                    match admission::recall(known, fingerprint) {
                        Decision::Refused(refusal) => {
                            Err(refused(refusal, sequencer.poison.as_ref()))
                        }
                        Decision::Remembered(row) => decided(&row, terms.on_duplicate),
                        other => unreachable!("{other:?} is not remembered"),
                    }
                }
                known => Ok(Answer::Known { known, horizon: sequencer.fold.control.horizon() }),
            };
            let load = Load::of(0, &reply);
            return Ok(Some(self.park(sequencer, reply, about, load, terms.patience)));
        }
    }
}

/// After a failure the fold holds entries that may not be on the disk: what is remembered of them can't be told.
pub(super) fn undurable(
    sequencer: &Sequencer,
    request: &RequestData,
    newest: &Newest<'_>,
) -> Option<Error> {
    let poison = sequencer.poison.as_ref()?;
    let (key, _) = request.key.as_ref()?;
    let in_flight = sequencer.in_flight.as_ref().map_or(sequencer.durable, |group| group.last_seq);
    let Some(known) = admission::View::window(newest, key) else {
        // An entry that was never written may have forgotten it.
        let lost = sequencer.fold.applied > in_flight && !sequencer.takes_writes();
        return lost.then(|| Core::poisoned(poison));
    };
    let seq = known.seq();
    if seq <= in_flight {
        // Durable, or about to be or not to be: then the reply is parked with the group. That it is a stub by now may be said by an
        // entry that was never written.
        (sequencer.demoted > in_flight && sequencer.is_stub(seq)).then(|| Core::poisoned(poison))
    } else if seq <= poison.failed {
        Some(Error::Indeterminate { seq })
    } else {
        Some(Core::poisoned(poison))
    }
}
