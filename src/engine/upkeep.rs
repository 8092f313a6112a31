//! What callers may ask to be done that is otherwise done by itself.

use super::{Engine, Error};
use crate::base::{SeqNo, canary::canary};

impl Engine {
    /// Blocks until everything that was handed in before this call is durable, what is buffered included. Gives the last
    /// durable entry.
    ///
    /// # Errors
    /// [`Error::Poisoned`] when something could not be written; [`Error::Closed`]; [`Error::Reentrant`]; [`Error::Forked`].
    pub fn sync(&self) -> Result<SeqNo, Error> {
        self.check_open()?;
        self.enter("sync")?;
        canary!(SyncTooEarly => return Ok(self.core().sequencer.lock().fold.applied));
        self.core().settle()?;
        Ok(self.durable_seq())
    }

    /// Writes a checkpoint of everything committed before this call, and trims the log, which shortens the next recovery.
    /// It is done by itself when there is enough to write. Blocks while it writes and syncs; others can read and write
    /// meanwhile.
    ///
    /// # Errors
    /// [`Error::NoSpace`] when there is no room for it: then the engine goes on, and it is written when there is;
    /// [`Error::Poisoned`] when it could not be written for another reason, or an earlier write failed;
    /// [`Error::ReadOnly`]; [`Error::Corruption`] when the checkpoint's file is damaged; [`Error::Closed`];
    /// [`Error::Reentrant`] from inside a closure given to [`update`](Self::update); [`Error::Forked`]. Nothing durable is
    /// lost by any of them.
    pub fn checkpoint(&self) -> Result<(), Error> {
        self.check_open()?;
        self.enter("checkpoint")?;
        self.core().check_writable()?;
        self.core().checkpoint_now()
    }

    /// Does one bounded piece of background work: for an engine with [`Background::Manual`](crate::Background::Manual). False when there was none.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint), and [`Error::NoSpace`] or [`Error::Io`] from preparing a segment. An engine that
    /// only reads has no such work.
    #[cfg_attr(not(feature = "testing"), doc(hidden))]
    pub fn run_background_step(&self) -> Result<bool, Error> {
        self.check_open()?;
        self.enter("run_background_step")?;
        self.core().background_step()
    }
}
