//! What can happen in a run.

use super::super::crash::End;
use crate::disk::Choice;

/// One thing that happens. A number that picks something out of what is there picks it modulo how many there are; where
/// there is nothing to pick, the event does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client hands a request in and keeps the ticket.
    Submit {
        /// Which of 8.
        client: u8,
        /// What.
        ask: Ask,
    },
    /// A request is committed.
    Commit {
        /// What.
        ask: Ask,
    },
    /// A sum is read and written in a closure, which refuses to let it leave its bounds.
    Update {
        /// Which record.
        key: u8,
        /// How much is added.
        delta: i8,
    },
    /// A client polls one of its tickets.
    Poll {
        /// Which of 8.
        client: u8,
        /// Which of its tickets.
        ticket: u8,
    },
    /// A client blocks on one of its tickets.
    Wait {
        /// Which of 8.
        client: u8,
        /// Which of its tickets.
        ticket: u8,
    },
    /// A client drops one of its tickets.
    Forget {
        /// Which of 8.
        client: u8,
        /// Which of its tickets.
        ticket: u8,
    },
    /// One record is read.
    Get {
        /// Which.
        key: u8,
    },
    /// All records are read from a key on.
    Range {
        /// Where to begin.
        from: u8,
        /// Whether backwards.
        backwards: bool,
    },
    /// A snapshot is taken and kept.
    Hold,
    /// A snapshot that is kept is read again, and kept on or let go.
    Look {
        /// Which.
        snapshot: u8,
        /// Whether it is kept.
        keep: bool,
    },
    /// A piece of background work.
    Step,
    /// A checkpoint.
    Checkpoint,
    /// The engine is closed; the next event opens it.
    Close,
    /// The machine stops right before a changing call, so many from now, or at the next such event; with 0, now.
    Crash {
        /// How many calls are still made.
        after: u16,
        /// How it stops.
        stop: Stop,
        /// What happens to the openings after it.
        hurdles: [Option<Hurdle>; 2],
        /// Whether a copy is recovered as well, without hurdles, to compare.
        twice: bool,
    },
    /// Something begins to go wrong, until [`Heal`](Self::Heal).
    Fault {
        /// What.
        trouble: Trouble,
        /// How many calls of its kind still go well.
        after: u16,
        /// Whether every later call meets it, too.
        forever: bool,
    },
    /// The engine is closed, and a copy of the disk is damaged and opened.
    Damage {
        /// Which file.
        file: u8,
        /// Where in the file.
        offset: u32,
        /// How.
        rot: Rot,
    },
    /// All that went wrong is mended. An engine that takes no more writes is opened again.
    Heal,
    /// The clock is set forwards or back.
    SetClock {
        /// By how much.
        seconds: i32,
    },
    /// Time passes.
    Pass {
        /// How much.
        seconds: u16,
    },
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To write a record.
    Put(u8),
    /// To write a record that is expected to be absent.
    Insert(u8),
    /// To write a record that is expected to be present.
    Replace(u8),
    /// To write over the version that readers see.
    Swap(u8),
    /// To write over a version that is stale.
    Stale(u8),
    /// To write over a version that no entry has yet: an error.
    Future(u8),
    /// To remove a record.
    Delete(u8),
    /// To add to a record, within bounds of -1,000 and 1,000.
    Add(u8, i16),
    /// To find a record absent, and write nothing.
    Check(u8),
    /// To change several records at once, in both keyspaces.
    Batch(u8),
    /// To write a record, under no key.
    Plain(u8),
    /// To find a record present, under no key.
    PlainCheck(u8),
    /// To write a record with a result of so many KiB, which fills segments.
    Large(u8, u8),
    /// What was asked before, so many requests ago.
    Retry(u8),
    /// Something else under the key of a request so many ago.
    Reuse(u8),
}

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

impl Event {
    /// Its name, without particulars.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Submit { .. } => "submit",
            Self::Commit { .. } => "commit",
            Self::Update { .. } => "update",
            Self::Poll { .. } => "poll",
            Self::Wait { .. } => "wait",
            Self::Forget { .. } => "forget",
            Self::Get { .. } => "get",
            Self::Range { .. } => "range",
            Self::Hold => "hold a snapshot",
            Self::Look { .. } => "look at a snapshot",
            Self::Step => "background step",
            Self::Checkpoint => "checkpoint",
            Self::Close => "close",
            Self::Crash { .. } => "crash",
            Self::Fault { .. } => "fault",
            Self::Damage { .. } => "damage",
            Self::Heal => "heal",
            Self::SetClock { .. } => "set the clock",
            Self::Pass { .. } => "let time pass",
        }
    }
}
