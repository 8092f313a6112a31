//! What the first invalid position of the log means: the decision at the heart of recovery.
//!
//! A power cut can damage only what was not yet synced, and nothing that was not synced was ever acknowledged. So the
//! question at the first invalid position X is whether anything *durable* says that X had been durable:
//!
//! | checkpoint at or past X | `CLEAN` at or past X | a later `Link` past X | a later group with `durable g` >= g(X) | verdict |
//! |---|---|---|---|---|
//! | no | no | no | no | torn tail: accept up to X, drop the rest |
//! | any of them yes | | | | corruption: refuse, change nothing |
//!
//! An error while reading is neither; it never reaches this table.

use crate::base::canary::canary;
use std::fmt;

/// What vouches for the first invalid position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The last group applied by the checkpoint, if it is at or past X.
    pub checkpoint: Option<u64>,
    /// The last group named by `CLEAN`, if it is at or past X.
    pub clean: Option<u64>,
    /// The number of a later segment whose `Link` lies past X.
    pub link: Option<u64>,
    /// A later group that knew X to be synced: its number.
    pub later: Option<u64>,
}

/// Why an invalid position is damage that a power cut cannot have caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vouch {
    /// The checkpoint holds the effects of this group.
    Checkpoint {
        /// The last group it holds.
        g: u64,
    },
    /// The clean-shutdown marker names this group or a later one.
    Clean {
        /// The group it names.
        g: u64,
    },
    /// A later segment was begun after this group was durable.
    Link {
        /// The number of that segment.
        segment: u64,
    },
    /// A later group was written after this group was synced.
    Later {
        /// The number of that group.
        g: u64,
    },
}

/// Torn tail (`None`) or corruption, with the strongest evidence.
pub(crate) fn verdict(evidence: &Evidence) -> Option<Vouch> {
    let Evidence { checkpoint, clean, link, later } = *evidence;
    canary!(RotTakenForTornTail => return None);
    checkpoint
        .map(|g| Vouch::Checkpoint { g })
        .or(clean.map(|g| Vouch::Clean { g }))
        .or(link.map(|segment| Vouch::Link { segment }))
        .or(later.map(|g| Vouch::Later { g }))
}

impl fmt::Display for Vouch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint { g } => write!(f, "the checkpoint was made at group {g}"),
            Self::Clean { g } => write!(f, "the database was closed at group {g}"),
            Self::Link { segment } => write!(f, "segment {segment} was begun after it"),
            Self::Later { g } => write!(f, "group {g} was written after it was synced"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table() {
        for row in 0..16u8 {
            let yes = |bit: u8, value| (row & 1 << bit != 0).then_some(value);
            let evidence = Evidence {
                checkpoint: yes(0, 1),
                clean: yes(1, 2),
                link: yes(2, 3),
                later: yes(3, 4),
            };
            let expected = match row.trailing_zeros() {
                0 => Some(Vouch::Checkpoint { g: 1 }),
                1 => Some(Vouch::Clean { g: 2 }),
                2 => Some(Vouch::Link { segment: 3 }),
                3 => Some(Vouch::Later { g: 4 }),
                _ => None,
            };
            assert_eq!(verdict(&evidence), expected, "row {row:04b}");
        }
    }
}
