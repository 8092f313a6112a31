//! What can go wrong with a checkpoint.

use std::io;
use thiserror::Error;

/// A checkpoint could not be read or written.
#[derive(Debug, Error)]
pub(crate) enum CheckpointError {
    /// The machine failed; nothing is known about the bytes.
    #[error("I/O error on the checkpoint: {0}")]
    Io(#[from] io::Error),
    /// There is no room for what was to be written. What was not written is held, and can be written later.
    #[error("there is no room for the checkpoint")]
    Full,
    /// The bytes are there and are not what was written.
    #[error("the checkpoint is damaged: {what}")]
    Damaged {
        /// Where, and what was found. Never a key or a value.
        what: String,
    },
}

impl CheckpointError {
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }
}
