//! What can happen to a machine.

use super::super::crash::End;
use crate::disk::Choice;

/// What happens to an opening after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hurdle {
    /// The machine stops again, right before a changing call, so many from the beginning.
    Cut {
        /// How many calls are still made.
        after: u16,
        /// How it stops.
        stop: Stop,
    },
    /// Something goes wrong, once; then it is mended.
    Fails {
        /// What.
        trouble: Trouble,
        /// How many calls of its kind still go well.
        after: u16,
    },
}

/// What happens to a medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rot {
    /// A bit, 0 to 7, is turned over.
    Flip(u8),
    /// A sector becomes zeros.
    Zero,
    /// A sector can't be read.
    Unreadable,
    /// The file ends here.
    Shorter,
}

/// How a machine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The process is killed: what it wrote is there for the next one, and still pending.
    Kill,
    /// The power is cut, and nothing pending reaches the disk.
    LoseAll,
    /// The power is cut, and everything pending reaches the disk.
    KeepAll,
    /// The power is cut, and of what is pending only this unit, modulo their number, reaches the disk.
    KeepOne(u8),
    /// The power is cut, and of what is pending all but this unit, modulo their number, reaches the disk.
    LoseOne(u8),
    /// The power is cut, and each pending unit meets a fate picked by this seed; see [`Choice::Seeded`].
    Seeded(u64),
}

impl Stop {
    /// What comes of it on a disk with so many units pending.
    #[must_use]
    pub fn end(self, pending_units: usize) -> End {
        let unit = |unit: u8| usize::from(unit) % pending_units.max(1);
        End::PowerCut(match self {
            Self::Kill => return End::Kill,
            Self::LoseAll => Choice::None,
            Self::KeepAll => Choice::All,
            Self::KeepOne(one) => Choice::Only(unit(one)),
            Self::LoseOne(one) => Choice::AllBut(unit(one)),
            Self::Seeded(seed) => Choice::Seeded(seed),
        })
    }
}

/// What can go wrong with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A changing call fails; a sync that does loses what it should have made durable, and the next one says OK.
    WriteError,
    /// A call that needs room finds none; see [`SimDisk::allocation_count`](crate::testing::SimDisk::allocation_count).
    Full,
    /// A changing call is interrupted, and does nothing. Once, even if it is to be for ever.
    WriteInterrupted,
    /// A write takes at most so many bytes; at least 1.
    ShortWrite(u16),
    /// Another call fails.
    ReadError,
    /// Another call is interrupted. Once, even if it is to be for ever.
    ReadInterrupted,
    /// A read gives at most so many bytes; at least 1.
    ShortRead(u16),
    /// Files can take so many bytes more altogether, in units of 512, in whole pages.
    Capacity(u16),
    /// No changing call does anything any more.
    ReadOnly,
}

impl Trouble {
    /// One of each kind.
    pub const KINDS: [Self; 9] = [
        Self::WriteError,
        Self::Full,
        Self::WriteInterrupted,
        Self::ShortWrite(1),
        Self::ReadError,
        Self::ReadInterrupted,
        Self::ShortRead(1),
        Self::Capacity(0),
        Self::ReadOnly,
    ];

    /// Its name, without its number.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WriteError => "write error",
            Self::Full => "disk full",
            Self::WriteInterrupted => "write interrupted",
            Self::ShortWrite(_) => "short write",
            Self::ReadError => "read error",
            Self::ReadInterrupted => "read interrupted",
            Self::ShortRead(_) => "short read",
            Self::Capacity(_) => "no room",
            Self::ReadOnly => "read-only",
        }
    }

    /// Whether all it does is to leave no room: then nothing is lost, nobody is in doubt, and the engine goes on.
    #[must_use]
    pub const fn is_want_of_room(self) -> bool {
        matches!(self, Self::Full | Self::Capacity(_))
    }

    /// Whether it strikes changing calls.
    #[must_use]
    pub const fn strikes_changes(self) -> bool {
        !matches!(self, Self::ReadError | Self::ReadInterrupted | Self::ShortRead(_))
    }
}
