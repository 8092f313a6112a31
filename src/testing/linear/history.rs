//! What concurrent callers asked and were told.

use super::super::model::{Decision, Held, Order};
use crate::SeqNo;
use std::fmt;

/// One call of one caller. Times are numbers of one counter that all callers share.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which caller.
    pub process: usize,
    /// When it was made.
    pub invoked: u64,
    /// When the request was in its place among the others: as `submit` returned, or as the call itself did.
    pub handed_in: u64,
    /// When the answer was there.
    pub returned: u64,
    /// What was asked.
    pub asked: Asked,
    /// What was told.
    pub answer: Answer,
}

/// What a caller asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To carry an order out.
    Write(Order),
    /// What is under these keys, at one moment.
    Read(Vec<u32>),
}

/// What a caller was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The order was carried out.
    Committed {
        /// As this entry.
        seq: SeqNo,
        /// By an earlier delivery.
        replayed: bool,
    },
    /// The order was refused, for this reason.
    Refused(Decision),
    /// What a read found.
    Found {
        /// At which entry, if that was told.
        at: Option<SeqNo>,
        /// For each key that was asked for.
        records: Vec<Option<Held>>,
    },
    /// An error that promises that nothing was done.
    Nothing,
    /// Nobody was told. If it was carried out, then as this entry, as far as that is known.
    Unknown(Option<SeqNo>),
    /// Something that is wrong whatever happened.
    Wrong(String),
}

/// All calls that were made on records that did not exist before.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// In any order.
    pub calls: Vec<Call>,
    /// Crashes, in order.
    pub ends: Vec<End>,
}

/// A crash, after which the database was opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// When it was open again.
    pub reopened: u64,
    /// The last entry that was there then.
    pub applied: SeqNo,
}

/// Why no order of operations explains a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Illegal {
    /// What is wrong, with the calls it is about.
    pub what: String,
    /// Whether the search only ran out of steps, or a number is not known: then nothing is proved.
    pub undecided: bool,
}

impl Call {
    /// Whether the answer says what became of the call.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        !matches!(self.answer, Answer::Unknown(_))
    }

    /// The records it is about.
    pub(super) fn keys(&self) -> Vec<u32> {
        match &self.asked {
            Asked::Write(order) => order.operations.iter().map(|operation| operation.key).collect(),
            Asked::Read(keys) => keys.clone(),
        }
    }

    /// When it was surely over: never, if nobody was told its outcome.
    pub(super) const fn over(&self) -> u64 {
        if self.is_complete() { self.returned } else { u64::MAX }
    }
}

impl Illegal {
    pub(super) fn proved(what: impl Into<String>) -> Self {
        Self { what: what.into(), undecided: false }
    }

    pub(super) fn undecided(what: impl Into<String>) -> Self {
        Self { what: what.into(), undecided: true }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, invoked, handed_in, returned, asked, answer } = self;
        write!(f, "{process}: [{invoked}, {handed_in}, {returned}] {asked:?} -> {answer:?}")
    }
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.undecided { "undecided: " } else { "illegal: " })?;
        f.write_str(&self.what)
    }
}
