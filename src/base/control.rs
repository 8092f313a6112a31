//! What entries do besides carrying requests out: whether the database takes writes, and how long outcomes are remembered.

use super::{LogTime, Recorded, SeqNo};
use serde::{Deserialize, Serialize};

/// Whether a database takes writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// It does.
    #[default]
    ReadWrite,
    /// It does not: whoever asks for one is told this reason.
    ReadOnly {
        /// Up to 1 KiB of text for people.
        reason: String,
    },
}

/// What an entry does before its request is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The mode becomes this.
    Mode(Mode),
    /// The open generation of remembered outcomes is closed, and the next one begins.
    Close,
    /// The outcomes of the oldest closed generation become stubs.
    Demote {
        /// The era they join: the last one, or a new one named after the generation.
        era: u32,
    },
    /// The stubs of the oldest era are forgotten.
    Forget,
    /// The rules become these, and the totals.
    Rules(Recorded),
}

/// What steps have brought about, with what is counted on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Whether the database takes writes.
    pub mode: Mode,
    /// Whose outcomes are remembered whole: the oldest first, the last one open.
    pub generations: Vec<Generation>,
    /// Whose outcomes are stubs, the oldest first.
    pub eras: Vec<Era>,
    /// What was decided up to this entry is forgotten.
    pub forgotten: SeqNo,
    /// When that was; 0 while nothing is.
    pub forgotten_time: LogTime,
    /// The rules that entries are written under, and their totals.
    pub rules: Recorded,
}

/// Outcomes that follow each other in the log and are remembered whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generation {
    /// Its number, from 0 on.
    pub number: u32,
    /// How many outcomes.
    pub rows: u64,
    /// How many bytes of keys and rows.
    pub bytes: u64,
    /// The sum of the digests of its rows.
    pub full: u128,
    /// The sum of the digests of the stubs they will become.
    pub stubs: u128,
    /// When the first was decided.
    pub first_time: LogTime,
    /// The entry that decided the last.
    pub last: SeqNo,
    /// When the last was decided.
    pub last_time: LogTime,
}

/// Outcomes that follow each other in the log and of which only stubs are left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Era {
    /// Its first generation.
    pub number: u32,
    /// Its last generation.
    pub last_generation: u32,
    /// How many stubs.
    pub rows: u64,
    /// The sum of the digests of its stubs.
    pub digest: u128,
    /// When the first was decided.
    pub first_time: LogTime,
    /// The entry that decided the last.
    pub last: SeqNo,
    /// When the last was decided.
    pub last_time: LogTime,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            mode: Mode::ReadWrite,
            generations: vec![Generation::default()],
            eras: Vec::new(),
            forgotten: SeqNo::new(0),
            forgotten_time: LogTime::new(0),
            rules: Recorded::default(),
        }
    }
}
