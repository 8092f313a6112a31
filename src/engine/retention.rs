//! Whether the log is kept.

use serde::{Deserialize, Serialize};

/// What becomes of segments of the log that no opening needs any more, since the checkpoint holds what is in them; for
/// [`Builder::log_retention`](crate::Builder::log_retention).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LogRetention {
    /// They are removed.
    #[default]
    Trim,
    /// They stay, so that [`verify`](crate::verify) can fold the log from its very first entry.
    ///
    /// The log grows for ever: by 4 KiB at least for each group that was synced, by what the entries take otherwise, and by what is
    /// left over at the end of each segment (the unwritten part of one that an opening began, 1 MiB at first, stays
    /// allocated). Nothing gives the room back by itself; when the disk is full, requests get
    /// [`NoSpace`](crate::Error::NoSpace) as ever, until there is room. An opening reads what it needs and no more, so it takes
    /// no longer than with [`Trim`](Self::Trim), but for a sync of each file. It does not look into what it does not need: damage
    /// in that part is found by `verify`.
    ///
    /// It keeps what is there from then on. A database from which segments were removed before can't be folded from
    /// its first entry any more. Opened with `Trim` again, that opening removes what was kept.
    KeepAll,
}
