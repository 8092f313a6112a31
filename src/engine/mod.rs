//! The engine: the only module that knows the order in which everything happens. That order is in [`commit`].

mod across;
mod audit;
mod audit_across;
mod background;
mod begin;
mod builder;
mod call;
mod calling;
mod chance;
mod close;
mod close_report;
mod closure;
mod commit;
mod core;
mod error;
mod fingerprint;
mod incident;
mod iter;
mod lead;
mod live;
mod lookup;
mod merge;
mod opening;
mod outcome;
mod owner;
mod payload;
mod preread;
mod pressure;
mod procedure;
mod reading;
mod reentrancy;
mod registry;
mod request;
mod resolve;
mod retention;
mod room;
mod rule_set;
mod rules;
mod sequence;
mod sequencer;
mod settle;
mod slot;
mod snapshot;
mod spare;
mod status;
mod ticket;
mod time;
mod totals;
mod transaction;
mod update;
mod upkeep;
pub(crate) mod verify;
mod window;
mod writing;

pub use background::Background;
pub use builder::Builder;
pub use chance::Rng;
pub use close_report::{CloseMark, CloseReport, Closed};
pub use closure::{Audit, ClosureReport, ClosureVerdict, Reconciliation};
pub use error::{Error, ErrorKind, Retry};
pub use incident::{Contained, Reconciled, Restored, Settle, Verified};
pub use iter::Iter;
pub use outcome::{
    BrokenInvariant, BrokenSumInvariant, Conflict, Found, IllegalTransition, OutOfBounds, Outcome,
    Receipt, Record, Rejection, Unmet,
};
pub use pressure::{Durability, OnDuplicate, QueueReport};
pub use procedure::Procedure;
pub use registry::Registry;
pub use request::Request;
pub use resolve::{Encoded, KeyStatus};
pub use retention::LogRetention;
pub use rule_set::{OnBrokenRule, RuleSetStatus};
pub use rules::{AuditReport, AuditedTotal, InvariantStatus};
pub use snapshot::Snapshot;
pub use status::ChainHead;
pub use ticket::Ticket;
pub use time::ClockStatus;
pub use totals::{SumInvariantStatus, TotalStatus, TotalsReport};
pub use transaction::Transaction;
pub use update::Abort;
#[cfg(feature = "testing")]
pub(crate) use verify::verify_on;
pub use verify::{
    Coverage, Deviation, Divergence, MissingProcedure, Obstacle, Part, ReplayTally, ReplayVerdict,
    Subject, VerifyReport, verify,
};
pub use window::WindowStatus;

use self::core::Core;
use close::Handle;
use std::{
    fmt,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

/// An open database. Cheap to clone and to share between threads; the directory stays locked until it is closed.
///
/// ```
/// use steadfast::{Engine, Expect, IdempotencyKey, Keyspace, Request};
///
/// const ACCOUNTS: Keyspace<String, i64> = Keyspace::new("accounts");
///
/// let engine = Engine::in_memory()?;
/// let key = IdempotencyKey::new("alice", "open-account")?;
/// let receipt = engine.commit(Request::new(key).put(&ACCOUNTS, "alice", &100, Expect::Absent))?.committed()?;
///
/// // Written by compare-and-swap: only over the version that was read.
/// let alice = engine.get(&ACCOUNTS, "alice")?.expect("it was just opened");
/// assert_eq!((alice.value, alice.version), (100, receipt.version()));
/// let key = IdempotencyKey::new("alice", "deposit-1")?;
/// engine.commit(Request::new(key).put(&ACCOUNTS, "alice", &150, alice.version))?.committed()?;
/// # Ok::<(), steadfast::Error>(())
/// ```
#[derive(Clone)]
pub struct Engine(Arc<Handle>);

impl Engine {
    /// Opens the database in the directory `path` with the defaults of [`Builder`], or makes one. Blocks and syncs.
    ///
    /// # Errors
    /// As [`Builder::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder().open(path)
    }

    /// Opens the database in the directory `path` to read it only, with the defaults of [`Builder`], and changes nothing in it.
    /// Blocks.
    ///
    /// # Errors
    /// As [`Builder::open_read_only`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder().open_read_only(path)
    }

    /// Opens the database in the directory `path` in steps, with the defaults of [`Builder`]: for when somebody is to see what was found
    /// before anything is done about it.
    ///
    /// # Errors
    /// As [`Builder::recover`].
    pub fn recover(path: impl AsRef<Path>) -> Result<Contained, Error> {
        Self::builder().recover(path)
    }

    /// Makes a database in memory, for the tests of a service. Every call makes another one; it is gone when it is
    /// closed.
    ///
    /// # Errors
    /// As [`Builder::in_memory`].
    pub fn in_memory() -> Result<Self, Error> {
        Self::builder().in_memory()
    }

    /// Sets an engine up with other than the defaults.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// For calls that write or wait: not from inside a closure, nor in a forked child.
    fn enter(&self, what: &'static str) -> Result<(), Error> {
        reentrancy::check(what)?;
        self.core().owner.check(what)
    }

    fn check_open(&self) -> Result<(), Error> {
        reentrancy::check_read("the engine")?;
        if self.core().stopped.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    fn core(&self) -> &Core {
        &self.0.core
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("location", &self.core().machine.disk.location())
            .field("durable", &self.durable_seq())
            .finish_non_exhaustive()
    }
}
