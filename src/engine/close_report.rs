//! What closing an engine did.

use super::ChainHead;
use crate::base::SeqNo;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What closing did, and where the log ended. From [`Engine::close`](crate::Engine::close).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CloseReport {
    /// Which call closed the engine.
    pub closed: Closed,
    /// The last durable entry; 0 before the first.
    pub durable_seq: SeqNo,
    /// The end of the durable log.
    pub chain_head: ChainHead,
    /// The digest of the state at that entry, in hexadecimal, as the next opening will report it. `None` when it is not
    /// known that all that was applied is durable: after a failure, or while another call is at it.
    pub state_digest: Option<String>,
    /// What became of the mark that says where the log ended.
    pub mark: CloseMark,
}

/// Which call closed an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Closed {
    /// This one.
    Now,
    /// An earlier one, which is done.
    Before,
    /// Another one, which is still at it: only a call from a waker does not wait for it.
    Meanwhile,
}

/// What became of the mark that says where the log ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CloseMark {
    /// It was written.
    Left,
    /// The one that was found at the opening is still true: nothing was written since.
    Kept,
    /// There is none: the call that closed the engine failed, or is not there yet. The next opening finds an engine that
    /// was not closed.
    Missing,
}

impl fmt::Display for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let closed = match self.closed {
            Closed::Now => "closed",
            Closed::Before => "had been closed",
            Closed::Meanwhile => "another call is closing it",
        };
        let mark = match self.mark {
            CloseMark::Left => "marked as closed",
            CloseMark::Kept => "the mark from before still holds",
            CloseMark::Missing => "not marked as closed",
        };
        let ChainHead { group, .. } = self.chain_head;
        write!(f, "{closed} at entry {}, group {group}: {mark}", self.durable_seq)?;
        match &self.state_digest {
            Some(digest) => write!(f, "; the state digest is {digest}"),
            None => Ok(()),
        }
    }
}
