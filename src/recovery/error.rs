//! Why a directory was not opened.

use crate::{
    base::{LogTime, SeqNo},
    checkpoint::CheckpointError,
    disk,
    format::names,
    log::{scan::ScanError, segments::SegmentFault, verdict::Vouch},
};
use std::io;

/// Why a directory was not opened. Nothing in it was changed, unless the plan was being carried out when the machine
/// failed (`NoSpace`, `Io`): then nothing is lost, and it can be carried out again.
#[derive(Debug)]
pub(crate) enum OpenError {
    Locked,
    NotADatabase { what: String },
    ClockJump { last: LogTime, now: LogTime },
    UnsupportedFormat { file: String, version: u32 },
    Corruption(Corruption),
    NoSpace { what: String },
    Io { what: String, error: io::Error },
}

/// Damage that a power cut cannot have caused.
#[derive(Debug)]
pub(crate) struct Corruption {
    pub file: String,
    pub offset: u64,
    /// The last entry before the damage, where that is known.
    pub after_seq: Option<SeqNo>,
    pub evidence: String,
}

impl OpenError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| {
            if disk::is_full(&error) { Self::NoSpace { what } } else { Self::Io { what, error } }
        }
    }

    pub(crate) fn corrupt(file: &str, evidence: impl Into<String>) -> Self {
        Self::Corruption(Corruption {
            file: file.into(),
            offset: 0,
            after_seq: None,
            evidence: evidence.into(),
        })
    }

    pub(crate) fn checkpoint(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Io(error) => Self::io(format!("using {}", names::CHECKPOINT))(error),
            CheckpointError::Full => {
                Self::NoSpace { what: format!("writing {}", names::CHECKPOINT) }
            }
            CheckpointError::Damaged { what } => Self::corrupt(names::CHECKPOINT, what),
        }
    }
}

impl From<SegmentFault> for OpenError {
    fn from(fault: SegmentFault) -> Self {
        match fault {
            SegmentFault::Io { file, error } => Self::io(format!("opening {file}"))(error),
            SegmentFault::UnsupportedFormat { file, version } => {
                Self::UnsupportedFormat { file, version }
            }
            SegmentFault::Damaged { number, offset, what } => Self::Corruption(Corruption {
                file: names::segment(number),
                offset,
                after_seq: None,
                evidence: what,
            }),
        }
    }
}

impl From<ScanError<Self>> for OpenError {
    fn from(error: ScanError<Self>) -> Self {
        match error {
            ScanError::Consumer(error) => error,
            ScanError::Io { segment, error } => {
                Self::io(format!("reading {}", names::segment(segment)))(error)
            }
            ScanError::Corruption { segment, offset, g, last_seq, what, vouch } => {
                Self::Corruption(Corruption {
                    file: names::segment(segment),
                    offset,
                    after_seq: Some(last_seq),
                    evidence: evidence(what, g, vouch),
                })
            }
        }
    }
}

fn evidence(what: &str, g: u64, vouch: Option<Vouch>) -> String {
    match vouch {
        Some(vouch) => format!("{what} (group {g}); {vouch}"),
        None => format!("{what} (group {g})"),
    }
}
