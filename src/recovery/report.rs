//! What an opening found, did and proved.

use crate::base::{Epoch, SeqNo};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The report of one opening: what was found, what was done, what was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// How the directory was found.
    pub verdict: Verdict,
    /// The number of this opening; of one that only reads, which has none, that of the last one that did not.
    pub epoch: Epoch,
    /// The last entry of the recovered state.
    pub applied_seq: SeqNo,
    /// The entry the checkpoint stands at.
    pub checkpoint_seq: SeqNo,
    /// Records in the checkpoint, all read and verified.
    pub checkpoint_records: u64,
    /// Remembered outcomes in the checkpoint, all read and verified.
    pub checkpoint_window_entries: u64,
    /// Outcomes in the checkpoint of which stubs are left, all read and verified.
    pub checkpoint_stubs: u64,
    /// Segments of the log that were read.
    pub segments_scanned: u64,
    /// Groups accepted, including those the checkpoint already holds.
    pub groups_scanned: u64,
    /// Bytes of the accepted groups.
    pub bytes_scanned: u64,
    /// Entries applied on top of the checkpoint.
    pub entries_folded: u64,
    /// Remembered outcomes restored from the log.
    pub window_entries_restored: u64,
    /// State digests compared and found equal: one for the checkpoint, one for each group folded.
    pub digests_compared: u64,
    /// The state digest after recovery, in hexadecimal.
    pub state_digest: String,
    /// What was cut off, if anything.
    pub torn_tail: Option<TornTail>,
    /// How long each phase took.
    pub phases: Phases,
}

/// How a directory was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Verdict {
    /// There was none, or one whose creation had not finished.
    Created,
    /// It was closed.
    Clean,
    /// It was not closed, and nothing was cut off.
    Unclean,
    /// It was not closed, and the log ended in what was never acknowledged: it was cut off.
    TornTail,
}

/// The end of a log that was never acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TornTail {
    /// The file it begins in.
    pub file: String,
    /// The offset it begins at.
    pub offset: u64,
    /// Its length in bytes, in whole blocks.
    pub bytes: u64,
    /// Whole groups in it, dropped because one before them is missing.
    pub groups: u64,
    /// Why it was cut.
    pub reason: String,
}

/// Durations in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Phases {
    /// Syncing what the last process left in the page cache, and dropping the cache.
    pub settle_us: u64,
    /// Opening the checkpoint and verifying all of its rows.
    pub checkpoint_us: u64,
    /// Scanning the log and folding its entries.
    pub log_us: u64,
    /// Carrying the outcome out: a segment for this opening, removing what is no longer needed.
    pub apply_us: u64,
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |us: u64| us as f64 / 1e3;
        let found = match self.verdict {
            Verdict::Created => "created",
            Verdict::Clean => "closed cleanly",
            Verdict::Unclean => "not closed, nothing torn",
            Verdict::TornTail => "not closed, torn tail cut",
        };
        writeln!(f, "opening {}: {found}", self.epoch)?;
        writeln!(
            f,
            "  checkpoint  at entry {}: {} records, {} remembered outcomes and {} stubs verified in {:.1} ms",
            self.checkpoint_seq,
            self.checkpoint_records,
            self.checkpoint_window_entries,
            self.checkpoint_stubs,
            millis(self.phases.checkpoint_us),
        )?;
        writeln!(
            f,
            "  log         {} segments, {} groups, {} bytes: {} entries folded, {} outcomes restored in {:.1} ms",
            self.segments_scanned,
            self.groups_scanned,
            self.bytes_scanned,
            self.entries_folded,
            self.window_entries_restored,
            millis(self.phases.log_us),
        )?;
        if let Some(torn) = &self.torn_tail {
            writeln!(
                f,
                "  cut         {} bytes from {} at {}, {} whole groups among them: {}",
                torn.bytes, torn.file, torn.offset, torn.groups, torn.reason,
            )?;
        }
        write!(
            f,
            "  proof       {} state digests agree; at entry {} it is {}",
            self.digests_compared, self.applied_seq, self.state_digest,
        )
    }
}
