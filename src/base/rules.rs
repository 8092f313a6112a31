//! The rules a database is written under, as it records them: enough to tell whether a program brings others, and the totals
//! that are kept for them.

use super::Bytes;
use std::{collections::BTreeMap, sync::Arc};

/// What kind of rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleKind {
    /// Which states a field may go through.
    Guard = 1,
    /// What is true of every record.
    Invariant = 2,
    /// A sum over all records, which is kept.
    Total = 3,
    /// What is true of totals.
    SumInvariant = 4,
    /// What is true of every record together with others.
    CrossInvariant = 5,
}

/// Which rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleName {
    /// What kind of rule it is.
    pub kind: RuleKind,
    /// The name of the keyspace it is of; empty when it is of none.
    pub keyspace: Bytes,
    /// Its own name, or that of its field.
    pub name: Bytes,
}

/// What a rule says, as far as that can be told of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleMark {
    /// The version of its code, as declared.
    pub version: u32,
    /// How bad it is when it does not hold, as a number; 0 where that is not said.
    pub severity: u8,
    /// What is done about it: 0 where that is not said, 1 enforced, 2 monitored.
    pub enforcement: u8,
    /// A hash of what is declared as data.
    pub details: [u8; 16],
}

impl RuleMark {
    /// A hash of parts of a declaration, in their order.
    #[must_use]
    pub(crate) fn hash(parts: &[Vec<u8>]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut hash = [0; 16];
        hash.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        hash
    }
}

/// All rules.
pub type RuleSet = BTreeMap<RuleName, RuleMark>;

/// All totals, by name.
pub type Totals = BTreeMap<Bytes, i128>;

/// The rules that entries are written under, and their totals by now: one for each rule of that kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The rules.
    pub set: Arc<RuleSet>,
    /// The totals.
    pub totals: Arc<Totals>,
}

impl Recorded {
    /// Whether there is a total for each rule that is one, and no other.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let declared = self.set.keys().filter(|rule| rule.kind == RuleKind::Total);
        let mut names: Vec<_> = declared.map(|rule| &rule.name).collect();
        names.sort_unstable();
        names.into_iter().eq(self.totals.keys())
    }
}
