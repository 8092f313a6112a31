//! Of an outcome, which way it went.

use super::StoredOutcome;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which way a request was decided, without the particulars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum OutcomeClass {
    /// It was carried out.
    Committed,
    /// It was refused, and nothing changed.
    Rejected,
}

impl StoredOutcome {
    /// Which way it went.
    pub const fn class(&self) -> OutcomeClass {
        match self {
            Self::Committed(_) => OutcomeClass::Committed,
            Self::Rejected(_) => OutcomeClass::Rejected,
        }
    }
}

impl fmt::Display for OutcomeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Committed => "committed",
            Self::Rejected => "rejected",
        })
    }
}
