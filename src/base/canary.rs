//! Bugs planted on purpose, to see that the tests of crashes, faults and damage can fail.
//!
//! They exist under `--cfg steadfast_canary` together with the feature `testing` only. In any other build `canary!`
//! leaves nothing behind: its statement is not compiled, its condition is the literal `false`.

/// `canary!(Bug => statement)` plants a statement, `canary!(Bug)` is a condition.
#[cfg(all(steadfast_canary, feature = "testing"))]
macro_rules! canary {
    ($bug:ident) => {
        $crate::base::canary::is_selected($crate::base::canary::Canary::$bug)
    };
    ($bug:ident => $($planted:tt)*) => {
        if $crate::base::canary::is_selected($crate::base::canary::Canary::$bug) {
            $($planted)*
        }
    };
}

#[cfg(not(all(steadfast_canary, feature = "testing")))]
macro_rules! canary {
    ($bug:ident) => {
        false
    };
    ($bug:ident => $($planted:tt)*) => {};
}

pub(crate) use canary;

// It stops compiling when a build without the cfg could take a planted path.
#[cfg(not(all(steadfast_canary, feature = "testing")))]
const _: () = assert!(!canary!(AnyBug));

#[cfg(all(steadfast_canary, feature = "testing"))]
pub use bugs::{Canary, is_selected, select};

#[cfg(all(steadfast_canary, feature = "testing"))]
mod bugs {
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// One more than the place of the selected bug; 0 for none.
    static SELECTED: AtomicUsize = AtomicUsize::new(0);

    macro_rules! canaries {
        ($($(#[$doc:meta])* $name:ident,)*) => {
            /// A planted bug.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum Canary {
                $($(#[$doc])* $name,)*
            }

            impl Canary {
                /// All of them.
                pub const ALL: &[Self] = &[$(Self::$name),*];
            }
        };
    }

    canaries! {
        /// A group is acknowledged as soon as it is written.
        AckBeforeSync,
        /// A failed sync of the log is followed by another one, which says that all is well.
        SyncRetried,
        /// After a failed write the engine goes on.
        PoisonIgnored,
        /// A caller whose group failed is told that nothing happened.
        IndeterminateDenied,
        /// A group counts the one it is written with as durable.
        FloorTooHigh,
        /// What a group says of the one right before it is not believed.
        FloorTooLow,
        /// Damage that something durable vouches for is cut off like a torn tail.
        RotTakenForTornTail,
        /// The marker of a clean end vouches for nothing.
        CleanDoesNotVouch,
        /// The note that says which segment is the newest is not looked at.
        NewestNoteIgnored,
        /// An error while reading the log is taken for its end.
        ReadErrorTakenForEnd,
        /// What is cut off is not reported.
        CutInSilence,
        /// After an unclean end the database is served before a new segment records where the log ended.
        VerdictNotDurable,
        /// An opening believes the page cache.
        SettleSkipped,
        /// The marker of a clean end stays while the log goes on.
        CleanMarkKept,
        /// After an unclean end numbers are given again that somebody may have seen.
        NumbersReused,
        /// The checksum of a group's body is not compared.
        GroupCrcIgnored,
        /// The chain digest of the group before is not compared.
        ChainIgnored,
        /// The state digest is not compared in replay.
        DigestIgnored,
        /// Replay carries out the first operation of an entry only.
        BatchReplayedInPart,
        /// The last group in the checkpoint is replayed once more.
        ReplayOffByOne,
        /// The checkpoint's position is committed after its rows.
        AppliedOutsideTransaction,
        /// The checkpoint's position is one group too far.
        AppliedTooFar,
        /// Remembered outcomes are not written to the checkpoint.
        WindowNotInCheckpoint,
        /// Deletions are not written to the checkpoint.
        DeleteNotInCheckpoint,
        /// Rows are encoded as created when they were last written.
        CreatedLost,
        /// Segments are removed before the checkpoint that holds them is written.
        TrimBeforeCheckpoint,
        /// The store of the checkpoint writes to its file before anything is verified.
        CheckpointNotHeld,
        /// The filter of remembered keys misses what a checkpoint settles.
        FilterNotExtended,
        /// An expected version is not compared.
        StaleCasAccepted,
        /// What an update read is not compared again.
        ReadsNotValidated,
        /// A key that was used for something else gets the first answer.
        KeyReuseAccepted,
        /// What is remembered under a key is not looked up.
        RetryRunsAgain,
        /// Refusals are not remembered.
        RejectionForgotten,
        /// The version of a record is that of the entry before.
        VersionOffByOne,
        /// A deletion does not lower the count of records.
        CountDrifts,
        /// Readers see what is not durable.
        ReadsBeforeDurable,
        /// A refusal is told before what it saw is durable.
        RefusalBeforeDurable,
        /// The lock of the directory is given up at once.
        LockLetGo,
        /// A fence is not looked at when a request comes.
        FenceIgnored,
        /// A request of which a stub is left is carried out again.
        StubRunsAgain,
        /// Keys are forgotten when half of their time is over.
        ForgottenEarly,
        /// Outcomes become stubs when half of their time is over.
        DemotedEarly,
        /// Readers see what is buffered.
        BufferedShown,
        /// A sync is over before anything is written.
        SyncTooEarly,
        /// What is buffered is told while the mark of a clean end is there.
        ShownBeforeUnmarked,
        /// The mode is not asked for when a request comes.
        ModeIgnored,
        /// A request is carried out although its deadline has passed.
        LateCarriedOut,
        /// A key as old as what is forgotten is taken for a new one.
        ExpiredAccepted,
        /// Replay does not set the totals that an entry changes.
        TotalsNotReplayed,
        /// An engine whose rules are others does not record them.
        RulesNotRecorded,
        /// What records break of new rules does not keep an engine from writing.
        RulesNotAudited,
    }

    /// Plants one bug, for the whole process, or none.
    pub fn select(bug: Option<Canary>) {
        SELECTED.store(bug.map_or(0, |bug| bug as usize + 1), Ordering::SeqCst);
    }

    /// Whether this bug is planted now.
    #[must_use]
    pub fn is_selected(bug: Canary) -> bool {
        SELECTED.load(Ordering::Relaxed) == bug as usize + 1
    }
}
