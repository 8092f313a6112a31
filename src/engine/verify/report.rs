//! What a verification found, as data and in a few lines.

use crate::{
    base::{Bytes, LogTime, SeqNo},
    recovery::RecoveryReport,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What [`verify`](crate::verify) found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// All in one word.
    pub verdict: ReplayVerdict,
    /// How the directory was found, and what was compared of it besides: digests, the end of the log.
    pub recovery: RecoveryReport,
    /// Where the fold began.
    pub coverage: Coverage,
    /// The first and the last entry that were decided once more; `None` when there was none.
    pub covered: Option<(SeqNo, SeqNo)>,
    /// Segments of the log that are there and were not read: the checkpoint holds what is in them, and the first one is missing,
    /// or one between them.
    pub segments_not_read: u64,
    /// How many entries were decided once more.
    pub entries: u64,
    /// How many of them were requests and updates.
    pub requests: u64,
    /// How many were calls of procedures.
    pub calls: u64,
    /// How many fenced a key.
    pub fences: u64,
    /// How many changed the mode.
    pub modes: u64,
    /// How many came out the same, byte for byte.
    pub exact: u64,
    /// Those with the same outcome that did something else.
    pub effects_differ: ReplayTally,
    /// Those with another outcome.
    pub outcome_differs: ReplayTally,
    /// Those that could not be decided once more.
    pub not_replayable: ReplayTally,
    /// Those that came out otherwise and were made under other rules than the registry's.
    pub other_rules: ReplayTally,
    /// The versions of procedures that are not registered.
    pub missing: Vec<MissingProcedure>,
}

/// All of a verification in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ReplayVerdict {
    /// Every entry came out the same.
    Exact,
    /// None came out otherwise, but some could not be decided once more, or not under the rules of then.
    Incomplete,
    /// Some came out otherwise.
    Differs,
}

/// Where the fold of a verification began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Coverage {
    /// At the first entry: every row of the state follows from the log, and the checkpoint is what the log leads to.
    Whole,
    /// At the checkpoint: what it holds was verified, and not derived.
    SinceCheckpoint,
}

/// Entries of which the same is to be said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReplayTally {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: Option<Divergence>,
}

/// A version of a procedure that entries name and the registry does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MissingProcedure {
    /// Its name.
    pub name: String,
    /// The version.
    pub version: u32,
    /// How many entries name it.
    pub entries: u64,
}

/// An entry that did not come out the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Divergence {
    /// Its number.
    pub seq: SeqNo,
    /// Its log time.
    pub time: LogTime,
    /// What it is.
    pub subject: Subject,
    /// In what it differs, up to eight of them; none where it could not be decided once more.
    pub deviations: Vec<Deviation>,
    /// Why it could not be decided once more.
    pub obstacle: Option<Obstacle>,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Subject {
    /// A request, or what an update made of one. The code of an update is not in the log: what it read and wrote is.
    Request,
    /// A call of a procedure.
    Call {
        /// The name of the procedure.
        name: String,
        /// The version of its code.
        version: u32,
    },
    /// A key that was fenced.
    Fence,
    /// A change of the mode.
    Mode,
}

/// Why an entry could not be decided once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Obstacle {
    /// The registry does not have this version of the procedure.
    MissingVersion {
        /// The name of the procedure.
        name: String,
        /// The version.
        version: u32,
    },
    /// A procedure or a rule panicked, which it did not when the entry was made.
    Panicked {
        /// Its name.
        what: String,
    },
    /// A procedure ended in an error, which it did not when the entry was made; or its arguments do not decode any more.
    Failed {
        /// The name of the procedure.
        name: String,
        /// The error.
        error: String,
    },
    /// It names a keyspace that does not exist.
    Unreadable,
}

/// One thing in which an entry differs from what it came to when it was decided once more.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Deviation {
    /// The part of the entry.
    pub part: Part,
    /// The name of the keyspace, where it is about a record.
    pub keyspace: Option<String>,
    /// The encoded key of the record.
    pub key: Option<Bytes>,
    /// What is in the log, in words that quote no value: of values, lengths and the first bytes of their hashes.
    pub recorded: String,
    /// What it came to.
    pub replayed: String,
    #[serde(skip)]
    values: Option<(Bytes, Bytes)>,
}

/// A part of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Part {
    /// What was decided, with the result or the rejection.
    Outcome,
    /// The mode that it sets.
    Mode,
    /// An operation on a record, with the value it leaves.
    Operation,
    /// What becomes of totals.
    Totals,
    /// The keyspaces it names or defines.
    Keyspaces,
    /// What its request is known by.
    Fingerprint,
    /// Who asked.
    Actor,
    /// The name of the flow.
    Correlation,
    /// When it was.
    Time,
}

impl VerifyReport {
    /// Whether every entry that is covered came out the same, byte for byte.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.verdict == ReplayVerdict::Exact
    }

    /// The first entry that came out otherwise or could not be decided once more.
    #[must_use]
    pub fn first_divergence(&self) -> Option<&Divergence> {
        let tallies = self.tallies();
        let firsts = tallies.iter().filter_map(|(_, tally)| tally.first.as_ref());
        firsts.min_by_key(|divergence| divergence.seq)
    }

    fn tallies(&self) -> [(&'static str, &ReplayTally); 4] {
        [
            ("outcome differs", &self.outcome_differs),
            ("effects differ", &self.effects_differ),
            ("not replayable", &self.not_replayable),
            ("other rules", &self.other_rules),
        ]
    }
}

impl ReplayTally {
    pub(super) fn note(&mut self, divergence: impl FnOnce() -> Divergence) {
        self.count += 1;
        self.first.get_or_insert_with(divergence);
    }
}

impl Deviation {
    pub(super) fn new(part: Part, recorded: String, replayed: String) -> Self {
        Self { part, keyspace: None, key: None, recorded, replayed, values: None }
    }

    pub(super) fn about(self, keyspace: Option<String>, key: Option<&Bytes>) -> Self {
        Self { keyspace, key: key.cloned(), ..self }
    }

    pub(super) fn with_values(self, recorded: &Bytes, replayed: &Bytes) -> Self {
        Self { values: Some((recorded.clone(), replayed.clone())), ..self }
    }

    /// The encoded values that differ, the recorded one first: of records, or results behind the tag of their codec. They may
    /// be secret, and appear nowhere else; a report that was read back does not have them.
    #[must_use]
    pub const fn values(&self) -> Option<(&Bytes, &Bytes)> {
        match &self.values {
            Some((recorded, replayed)) => Some((recorded, replayed)),
            None => None,
        }
    }
}

impl fmt::Debug for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, keyspace, key, recorded, replayed, .. } = self;
        f.debug_struct("Deviation")
            .field("part", part)
            .field("keyspace", keyspace)
            .field("key", key)
            .field("recorded", recorded)
            .field("replayed", replayed)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            ReplayVerdict::Exact => "exact",
            ReplayVerdict::Incomplete => "incomplete",
            ReplayVerdict::Differs => "DIFFERS",
        };
        let from = match self.coverage {
            Coverage::Whole => "from the first entry",
            Coverage::SinceCheckpoint => "from the checkpoint",
        };
        write!(f, "replay {verdict}: ")?;
        match self.covered {
            Some((first, last)) => write!(f, "entries {first} to {last}, {from}: ")?,
            None => write!(f, "no entry, {from}: ")?,
        }
        writeln!(f, "{} of {} came out the same", self.exact, self.entries)?;
        writeln!(
            f,
            "  entries     {} requests, {} calls, {} fences, {} changes of the mode",
            self.requests, self.calls, self.fences, self.modes
        )?;
        if self.segments_not_read > 0 {
            writeln!(f, "  not read    {} segments of the log", self.segments_not_read)?;
        }
        for (name, tally) in self.tallies() {
            if let Some(first) = &tally.first {
                writeln!(f, "  {name}: {} entries, the first is {first}", tally.count)?;
            }
        }
        for MissingProcedure { name, version, entries } in &self.missing {
            writeln!(
                f,
                "  missing     version {version} of procedure {name:?}, {entries} entries"
            )?;
        }
        self.recovery.fmt(f)
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.seq, self.subject)?;
        if let Some(obstacle) = &self.obstacle {
            write!(f, ": {obstacle}")?;
        }
        for deviation in &self.deviations {
            write!(f, "; {deviation}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request => f.write_str("a request"),
            Self::Call { name, version } => {
                write!(f, "a call of version {version} of procedure {name:?}")
            }
            Self::Fence => f.write_str("a fence"),
            Self::Mode => f.write_str("a change of the mode"),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingVersion { name, version } => {
                write!(f, "version {version} of procedure {name:?} is not registered")
            }
            Self::Panicked { what } => write!(f, "{what:?} panicked, which it did not before"),
            Self::Failed { name, error } => {
                write!(f, "procedure {name:?} failed, which it did not before: {error}")
            }
            Self::Unreadable => f.write_str("it names a keyspace that does not exist"),
        }
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.part)?;
        if let Some(keyspace) = &self.keyspace {
            write!(f, " in keyspace {keyspace:?}")?;
        }
        if let Some(key) = &self.key {
            write!(f, " under a key of {} bytes", key.len())?;
        }
        write!(f, ": recorded {}, replayed {}", self.recorded, self.replayed)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outcome => "outcome",
            Self::Mode => "mode",
            Self::Operation => "operation",
            Self::Totals => "totals",
            Self::Keyspaces => "keyspaces",
            Self::Fingerprint => "fingerprint",
            Self::Actor => "actor",
            Self::Correlation => "correlation",
            Self::Time => "log time",
        })
    }
}
