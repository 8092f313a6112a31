//! Invariants of records.

use super::NAME_BYTES;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// How bad it is when an invariant does not hold: for those who look at reports.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[non_exhaustive]
pub enum Severity {
    /// Somebody should look at it.
    Warning = 1,
    /// Something is wrong.
    #[default]
    Error = 2,
    /// Somebody must look at it now.
    Critical = 3,
}

impl Severity {
    /// The one that was stored as this number; the worst for one of a later version of the crate.
    pub(crate) const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Warning,
            2 => Self::Error,
            _ => Self::Critical,
        }
    }
}

/// What is done about a request that would break an invariant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Enforcement {
    /// It is refused: [`Rejection::Invariant`](crate::Rejection), which is remembered.
    #[default]
    Enforce,
    /// It is carried out, counted, and a sample of its keys kept: see [`Engine::rules`](crate::Engine::rules).
    Monitor,
}

/// Why an invariant does not hold.
#[derive(Clone, PartialEq, Eq)]
pub struct Violation {
    reason: String,
}

impl Violation {
    /// A reason for people. Up to 512 bytes of it are kept with the outcome. It appears in no message of the engine's, so it
    /// may quote values.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }

    pub(super) fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Violation({} bytes)", self.reason.len())
    }
}

/// Something that is true of every record of a keyspace.
pub struct Invariant<K, V> {
    name: &'static str,
    holds: Holds<K, V>,
    severity: Severity,
    enforcement: Enforcement,
    version: u32,
}

type Holds<K, V> = Arc<dyn Fn(&K, &V) -> Result<(), Violation> + Send + Sync>;

impl<K, V> Invariant<K, V> {
    /// Names an invariant, 1 to 64 bytes, and says when it holds. It is enforced, and an error, unless that is changed. The function
    /// must decide from what it is given alone, and be fast: all writers wait for it.
    pub fn new(
        name: &'static str,
        holds: impl Fn(&K, &V) -> Result<(), Violation> + Send + Sync + 'static,
    ) -> Self {
        let (severity, enforcement) = (Severity::default(), Enforcement::default());
        Self { name, holds: Arc::new(holds), severity, enforcement, version: 1 }
    }

    /// How bad it is when it does not hold.
    #[must_use]
    pub const fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// What is done about a request that would break it.
    #[must_use]
    pub const fn enforcement(mut self, enforcement: Enforcement) -> Self {
        self.enforcement = enforcement;
        self
    }

    /// The version of its code, 1 unless it is said here. Another one than the database was last written under makes the next opening
    /// hold all records against it.
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    pub(super) const fn declared_version(&self) -> u32 {
        self.version
    }

    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) const fn how(&self) -> (Severity, Enforcement) {
        (self.severity, self.enforcement)
    }

    /// What is wrong with the declaration.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        let named = (1..=NAME_BYTES).contains(&self.name.len());
        (!named).then_some("its name has not 1 to 64 bytes")
    }

    pub(super) fn judge(&self, key: &K, value: &V) -> Result<(), Violation> {
        (self.holds)(key, value)
    }
}

impl<K, V> fmt::Debug for Invariant<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, severity, enforcement, .. } = self;
        f.debug_struct("Invariant")
            .field("name", name)
            .field("severity", severity)
            .field("enforcement", enforcement)
            .finish()
    }
}
