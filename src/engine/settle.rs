//! Answers about the state as a whole, given once it is durable.

use super::{core::Core, error::Error, outcome::Answer, sequencer::About};
use crate::base::{Bytes, Mode, StoredRejection};

impl Core {
    /// Waits until everything that was applied so far is durable; an error when it never will be.
    pub(super) fn settle(&self) -> Result<(), Error> {
        let sequencer = self.sequencer.lock();
        let nothing = StoredRejection::Procedure(Bytes::new());
        let reply = match &sequencer.poison {
            Some(poison) if sequencer.fold.applied > sequencer.durable => {
                Err(Self::poisoned(poison))
            }
            _ => Ok(Answer::Unremembered(nothing)),
        };
        self.finish_reply(sequencer, reply, About::State).map(drop)
    }

    /// The mode of the database, once it is durable.
    pub(super) fn mode(&self) -> Result<Mode, Error> {
        let sequencer = self.sequencer.lock();
        if sequencer.closed {
            return Err(Error::Closed);
        }
        let mode = Ok(Answer::Mode(sequencer.fold.control.mode.clone()));
        let reply = match &sequencer.poison {
            Some(poison) if sequencer.fold.applied > sequencer.durable => {
                Err(Self::poisoned(poison))
            }
            _ => mode,
        };
        match self.finish_reply(sequencer, reply, About::State)? {
            Answer::Mode(mode) => Ok(mode),
            other => unreachable!("{other:?} is no mode"),
        }
    }
}
