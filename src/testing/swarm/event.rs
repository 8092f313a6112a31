//! What can happen in a run.

use super::machine::{Hurdle, Rot, Stop, Trouble};

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
    /// A request is committed with a deadline that has passed.
    Late {
        /// What.
        ask: Ask,
    },
    /// A request is committed that wants no answer that was given before.
    Once {
        /// What.
        ask: Ask,
    },
    /// A request is committed, and answered before it is durable.
    Buffered {
        /// What.
        ask: Ask,
    },
    /// A client hands a request in and keeps the ticket, unless it would have to wait.
    Try {
        /// Which of 8.
        client: u8,
        /// What.
        ask: Ask,
    },
    /// A key is fenced.
    Fence {
        /// Which.
        whose: Whose,
    },
    /// It is asked what a key stands for.
    Resolve {
        /// Which.
        whose: Whose,
    },
    /// The database is set to take writes, or not.
    SetMode {
        /// Not.
        read_only: bool,
    },
    /// Everything is made durable.
    Sync,
    /// All records are read, what is not durable included.
    Applied,
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
    /// To write a record, under a key that says that it was made so many seconds from now, or before.
    Dated(u8, i32),
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

/// Which key is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// That of a request so many ago.
    Asked(u8),
    /// A new one, of a request that is handed in later, if at all.
    New,
}

impl Event {
    /// Its name, without particulars.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Submit { .. } => "submit",
            Self::Commit { .. } => "commit",
            Self::Late { .. } => "commit late",
            Self::Once { .. } => "commit once",
            Self::Buffered { .. } => "commit buffered",
            Self::Try { .. } => "try to submit",
            Self::Fence { .. } => "fence",
            Self::Resolve { .. } => "resolve",
            Self::SetMode { .. } => "set the mode",
            Self::Sync => "sync",
            Self::Applied => "read what is applied",
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
