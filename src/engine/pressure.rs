//! Back-pressure: how much may wait for the disk, how long that will take, and how long a caller is ready to wait.
//!
//! What waits is what is parked: with the group on its way to the disk, and with the one being filled. Each has its
//! [`Load`]; together they never exceed the limit but by one answer that quotes what is stored, or by a request that is
//! alone. An answer that was given is its caller's, and counts no more.

use super::{error::Error, outcome::Answer, sequencer::Sequencer};
use crate::{
    base::{Remembered, StoredOutcome, StoredRejection},
    disk::Clock,
};
use serde::{Deserialize, Serialize};
use std::{fmt, ops::Add, time::Duration};

/// What anything that waits takes up in memory, besides bytes of its own.
const PARKED_BYTES: usize = 512;
/// The least and the most that is asked of a caller who was turned away.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(10));

/// How a request is handed in, which is no part of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub patience: Patience,
    /// On the engine's monotonic clock: when it is no longer to be sequenced.
    pub deadline: Option<u64>,
    pub on_duplicate: OnDuplicate,
    pub durability: Durability,
}

/// When a request is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// Once it is on the disk: what was answered is never lost.
    #[default]
    Synced,
    /// As soon as it has its place in the log, in memory: for what one can afford to lose. It goes to the disk with the next
    /// request that is synced, with [`Engine::sync`](crate::Engine::sync), or after
    /// [`buffered_sync_interval`](crate::Builder::buffered_sync_interval). What a crash takes, of a process or of a machine,
    /// is the end of the log: never a request without all those after it. Readers see it when it is durable, and
    /// [`Engine::snapshot_applied`](crate::Engine::snapshot_applied) at once.
    Buffered,
}

/// What a caller does when it would have to wait for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Waits, and does the writing itself where nobody else does.
    Leads,
    /// Waits.
    Waits,
    /// Turns away.
    Never,
}

/// What a request under a key that was decided before is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDuplicate {
    /// The outcome, as often as it is asked for.
    #[default]
    Return,
    /// [`Error::AlreadyDecided`]: for callers who would rather be told than be given an answer twice.
    Reject,
}

/// So much waits, or may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub requests: usize,
    pub bytes: usize,
}

/// The limit, the most there was, and how long groups take.
#[derive(Debug)]
pub(super) struct Pressure {
    limit: Load,
    most: Load,
    group_nanos: u64,
}

/// What waits for the disk: was handed in, and is not answered yet. From [`Engine::queue`](crate::Engine::queue).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QueueReport {
    /// How many requests wait, retries and refusals too.
    pub requests: u64,
    /// How many bytes they and their answers take up.
    pub bytes: u64,
    /// The most requests that ever waited since the opening.
    pub most_requests: u64,
    /// The most bytes that ever did.
    pub most_bytes: u64,
    /// How many requests may wait; see [`Builder::queue_limit_requests`](crate::Builder::queue_limit_requests).
    pub limit_requests: u64,
    /// How many bytes may; see [`Builder::queue_limit_bytes`](crate::Builder::queue_limit_bytes).
    pub limit_bytes: u64,
    /// How long a group takes to be written and synced, in microseconds: a moving average of the last few.
    pub group_us: u64,
}

impl Terms {
    /// Of a call that waits for as long as it takes, and leads.
    pub(super) const fn patient() -> Self {
        let (on_duplicate, durability) = (OnDuplicate::Return, Durability::Synced);
        Self { patience: Patience::Leads, deadline: None, on_duplicate, durability }
    }

    /// Whether the deadline has passed.
    pub(super) fn expired(&self, clock: &dyn Clock) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= clock.monotonic_nanos())
    }

    /// Whether the caller may do I/O for the group, in place of waiting for it: that has no deadline.
    pub(super) fn leads(&self) -> bool {
        self.patience == Patience::Leads && self.deadline.is_none()
    }
}

impl Load {
    /// That of a request with so many bytes in the log, which hold its answer; or of an answer that needs none.
    pub(super) fn of(entry_bytes: usize, reply: &Result<Answer, Error>) -> Self {
        let bytes = if entry_bytes > 0 { entry_bytes } else { answer_bytes(reply) };
        Self { requests: 1, bytes: PARKED_BYTES + bytes }
    }
}

impl Add for Load {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { requests: self.requests + other.requests, bytes: self.bytes + other.bytes }
    }
}

impl Pressure {
    pub(super) fn new(limit: Load) -> Self {
        Self { limit, most: Load::default(), group_nanos: 0 }
    }

    /// So much waits now.
    pub(super) fn note(&mut self, load: Load) {
        self.most.requests = self.most.requests.max(load.requests);
        self.most.bytes = self.most.bytes.max(load.bytes);
    }

    /// A group took so long.
    pub(super) fn took(&mut self, nanos: u64) {
        self.group_nanos = match self.group_nanos {
            0 => nanos,
            before => before - before / 4 + nanos / 4,
        };
    }

    /// When there should be room: after as long as a group takes, or as long as the one on its way has taken already.
    fn retry_after(&self, elapsed: Option<u64>) -> Duration {
        let nanos = self.group_nanos.max(elapsed.unwrap_or(0));
        Duration::from_nanos(nanos).clamp(RETRY_AFTER.0, RETRY_AFTER.1)
    }
}

impl Sequencer {
    /// What waits.
    pub(super) fn load(&self) -> Load {
        self.in_flight.as_ref().map_or(self.pending.load, |group| group.load + self.pending.load)
    }

    /// Whether one more request of so many bytes has to wait for its turn.
    pub(super) fn queue_full(&self, bytes: usize) -> bool {
        let (load, limit) = (self.load(), self.pressure.limit);
        load.requests > 0
            && (load.requests >= limit.requests || load.bytes + PARKED_BYTES + bytes > limit.bytes)
    }

    /// What a caller is told who is not to wait.
    pub(super) fn overloaded(&self, clock: &dyn Clock) -> Error {
        let began = self.in_flight.as_ref().map(|group| group.began);
        let elapsed = began.map(|began| clock.monotonic_nanos().saturating_sub(began));
        Error::Overloaded { retry_after: self.pressure.retry_after(elapsed) }
    }

    pub(super) fn queue(&self) -> QueueReport {
        let (load, Pressure { limit, most, group_nanos }) = (self.load(), &self.pressure);
        QueueReport {
            requests: load.requests as u64,
            bytes: load.bytes as u64,
            most_requests: most.requests as u64,
            most_bytes: most.bytes as u64,
            limit_requests: limit.requests as u64,
            limit_bytes: limit.bytes as u64,
            group_us: group_nanos / 1_000,
        }
    }
}

fn answer_bytes(reply: &Result<Answer, Error>) -> usize {
    match reply {
        Ok(Answer::Remembered { outcome, .. }) => outcome_bytes(outcome),
        Ok(Answer::Unremembered(rejection)) => rejection_bytes(rejection),
        Ok(Answer::Conflict(conflict)) => {
            let row = conflict.current.as_ref();
            conflict.key.len() + row.map_or(0, |row| row.value.len() + row.actor.len())
        }
        Ok(Answer::Known { known: Some(Remembered::Row(row)), .. }) => outcome_bytes(&row.outcome),
        Ok(Answer::Known { .. } | Answer::Mode(_)) | Err(_) => 0,
    }
}

fn outcome_bytes(outcome: &StoredOutcome) -> usize {
    match outcome {
        StoredOutcome::Committed(result) => result.len(),
        StoredOutcome::Rejected(rejection) => rejection_bytes(rejection),
        StoredOutcome::Fenced => 0,
    }
}

fn rejection_bytes(rejection: &StoredRejection) -> usize {
    match rejection {
        StoredRejection::NotAbsent { key, actor, .. } => key.len() + actor.len(),
        StoredRejection::NotPresent { key, .. } | StoredRejection::OutOfBounds { key, .. } => {
            key.len()
        }
        StoredRejection::Procedure(bytes) => bytes.len(),
        StoredRejection::Illegal { key, .. } => key.len(),
        StoredRejection::Broken { key, broken, .. } => key.len() + broken.reason.len(),
        StoredRejection::BrokenSum(broken) => broken.reason.len(),
        StoredRejection::TotalOverflow { .. } => 0,
    }
}

impl fmt::Display for QueueReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} requests and {} of {} bytes wait for the disk, at most {} and {} did; a group takes {} us",
            self.requests,
            self.limit_requests,
            self.bytes,
            self.limit_bytes,
            self.most_requests,
            self.most_bytes,
            self.group_us,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_asked_to_wait_for_as_long_as_groups_take() {
        let mut pressure = Pressure::new(Load { requests: 1, bytes: 1 });
        assert_eq!(pressure.retry_after(None), Duration::from_millis(1));
        pressure.took(40_000_000);
        assert_eq!(pressure.retry_after(None), Duration::from_millis(40));
        pressure.took(80_000_000);
        assert_eq!(pressure.retry_after(None), Duration::from_millis(50));
        // While one hangs, for as long as it has hung already.
        assert_eq!(pressure.retry_after(Some(3_000_000_000)), Duration::from_secs(3));
        assert_eq!(pressure.retry_after(Some(u64::MAX)), Duration::from_secs(10));
        (0..100).for_each(|_| pressure.took(1_000));
        assert_eq!(pressure.retry_after(None), Duration::from_millis(1));
    }
}
