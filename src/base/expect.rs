//! What a request expects of a record.

use super::Version;

/// What a record must be for a request to be carried out, judged on the state before the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Anything.
    Any,
    /// There is no such record.
    Absent,
    /// There is such a record.
    Present,
    /// The record was last written at this version.
    Version(Version),
}

impl From<Version> for Expect {
    fn from(version: Version) -> Self {
        Self::Version(version)
    }
}
