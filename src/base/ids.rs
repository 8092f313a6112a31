//! Numbers with names.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name($inner);

        impl $name {
            /// Wraps the number.
            #[must_use]
            pub const fn new(number: $inner) -> Self {
                Self(number)
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// The number of an entry in the log: from 1, strictly growing, with gaps, never used twice.
    SeqNo(u64)
}
number! {
    /// The [`SeqNo`] of the entry that last wrote a record. Global, so deleting and re-creating a record can't
    /// repeat one; it serves as an ETag.
    Version(u64)
}
number! {
    /// The number of an opening of the directory, from 1.
    Epoch(u64)
}
number! {
    /// Log time: nanoseconds since the Unix epoch, strictly growing from entry to entry. It follows the system's clock
    /// forward and never back: while the clock is behind the last entry, log time goes on by single nanoseconds.
    LogTime(u64)
}
number! {
    /// The number a keyspace got when its first record was written, from 1.
    KeyspaceId(u32)
}

impl SeqNo {
    /// Past every entry: as of it, a read sees the newest.
    pub(crate) const MAX: Self = Self(u64::MAX);
}

impl LogTime {
    /// So many nanoseconds later.
    #[must_use]
    pub(crate) const fn plus(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}

impl KeyspaceId {
    /// The keyspace that holds the definitions of the others.
    pub const DIRECTORY: Self = Self(0);
    /// Stands for a keyspace that does not exist; it has no records.
    pub const NONE: Self = Self(u32::MAX);
}

impl From<SeqNo> for Version {
    fn from(seq: SeqNo) -> Self {
        Self(seq.0)
    }
}
