//! What is asked of the engine, as plain data.

use super::due::Answer;
use crate::{
    Durability, Engine, Error, Expect, IdempotencyKey, Keyspace, LogTime, Mode, OnDuplicate,
    Request,
};
use std::time::Duration;

/// Where the records of the model live, but for those from [`OTHERS_FROM`] on.
pub const NUMBERS: Keyspace<u32, i64> = Keyspace::new("numbers");
/// Where those live.
pub const OTHERS: Keyspace<u32, i64> = Keyspace::new("others");
/// Keys from this one on are of the second keyspace.
pub const OTHERS_FROM: u32 = 1_000;
/// An expected version from here on comes from the future.
pub const FUTURE: u64 = 1 << 60;

/// Names from here on say when they were made: see [`dated`].
const DATED_FROM: u64 = 1 << 63;
/// Bits of a dated name below its milliseconds.
const DATED_BITS: u32 = 20;

/// What one entry of the log does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Carries a request out, or refuses it for ever.
    Order(Order),
    /// Sees to it that nothing is decided under this name any more.
    Fence(u64),
    /// Sets whether the database takes writes.
    Mode(Mode),
}

/// A request, as plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The idempotency key, if it has one.
    pub name: Option<u64>,
    /// Expectations and mutations, in order; no record twice.
    pub operations: Vec<Operation>,
    /// How many bytes the result has.
    pub result_bytes: usize,
}

/// How an order is handed in, which is no part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Its deadline has passed.
    pub late: bool,
    /// It wants no answer that was given before, see [`OnDuplicate::Reject`].
    pub rejects_duplicates: bool,
    /// It is answered before it is durable, see [`Durability::Buffered`].
    pub buffered: bool,
}

/// One expectation, with or without a mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Of which record.
    pub key: u32,
    /// What it must be before.
    pub expect: Expect,
    /// What to do with it.
    pub action: Action,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Check,
    /// Sets the value.
    Put(i64),
    /// Removes the record.
    Delete,
    /// Adds so much, to a sum within the bounds.
    Add {
        /// How much.
        delta: i64,
        /// The least and the greatest sum.
        bounds: (i64, i64),
    },
}

impl Deed {
    /// The name that it decides about, if any.
    #[must_use]
    pub const fn name(&self) -> Option<u64> {
        match self {
            Self::Order(order) => order.name,
            Self::Fence(name) => Some(*name),
            Self::Mode(_) => None,
        }
    }

    /// The order, if it is one.
    #[must_use]
    pub const fn order(&self) -> Option<&Order> {
        match self {
            Self::Order(order) => Some(order),
            Self::Fence(_) | Self::Mode(_) => None,
        }
    }
}

impl Deed {
    /// Asks an engine for it, and waits for the answer.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn call(&self, engine: &Engine, terms: Terms) -> Result<Answer, Error> {
        match self {
            Self::Order(order) => engine.commit(order.request_on(terms)).map(Answer::Outcome),
            Self::Fence(name) => engine.fence(&key_of(*name)).map(Answer::Status),
            Self::Mode(mode) => engine.set_mode(mode.clone()).map(Answer::Entry),
        }
    }
}

impl From<Order> for Deed {
    fn from(order: Order) -> Self {
        Self::Order(order)
    }
}

impl Order {
    /// The request for the engine.
    ///
    /// # Panics
    /// Never: the idempotency key is well formed.
    pub fn request(&self) -> Request<Vec<u8>> {
        let mut request = self.idempotency_key().map_or_else(Request::unkeyed, Request::new);
        for &Operation { key, expect, action } in &self.operations {
            let keyspace = keyspace(key);
            request = match action {
                Action::Check => request.check(keyspace, &key, expect),
                Action::Put(value) => request.put(keyspace, &key, &value, expect),
                Action::Delete => request.delete(keyspace, &key, expect),
                Action::Add { delta, bounds } => {
                    request.add_expecting(keyspace, &key, delta, bounds.0..=bounds.1, expect)
                }
            };
        }
        request.result(&self.result())
    }

    /// The request, handed in on these terms.
    pub fn request_on(&self, terms: Terms) -> Request<Vec<u8>> {
        let mut request = self.request();
        if terms.late {
            request = request.deadline_in(Duration::ZERO);
        }
        if terms.rejects_duplicates {
            request = request.on_duplicate(OnDuplicate::Reject);
        }
        if terms.buffered {
            request = request.durability(Durability::Buffered);
        }
        request
    }

    /// The idempotency key of the request.
    pub(in super::super) fn idempotency_key(&self) -> Option<IdempotencyKey> {
        self.name.map(key_of)
    }

    /// The result, which differs from key to key and has no zeros in it.
    #[must_use]
    pub fn result(&self) -> Vec<u8> {
        let first = self.name.unwrap_or(7);
        (0..self.result_bytes as u64).map(|place| ((first + place) % 251 + 1) as u8).collect()
    }

    /// Whether it names a version from the future.
    pub(super) fn is_of_the_future(&self) -> bool {
        self.operations.iter().any(
            |operation| matches!(operation.expect, Expect::Version(version) if version.get() >= FUTURE),
        )
    }
}

/// A name that says that it was made at that time, in milliseconds; they differ by `n`.
#[must_use]
pub const fn dated(unix_millis: u64, n: u64) -> u64 {
    let millis = unix_millis & ((DATED_FROM >> DATED_BITS) - 1);
    DATED_FROM | millis << DATED_BITS | n & ((1 << DATED_BITS) - 1)
}

/// When a name says that it was made, in milliseconds.
const fn made_millis(name: u64) -> Option<u64> {
    if name < DATED_FROM { None } else { Some((name - DATED_FROM) >> DATED_BITS) }
}

/// When a name says that it was made.
#[must_use]
pub fn made_at(name: u64) -> Option<LogTime> {
    made_millis(name).map(|millis| LogTime::new(millis * 1_000_000))
}

/// The idempotency key of a name.
///
/// # Panics
/// Never: it is well formed.
#[must_use]
pub fn key_of(name: u64) -> IdempotencyKey {
    let bytes = name.to_be_bytes();
    let key = match made_millis(name) {
        None => IdempotencyKey::new("model", bytes),
        Some(millis) => IdempotencyKey::time_ordered("model", millis, bytes),
    };
    key.expect("short and not empty")
}

/// The keyspace of a record.
#[must_use]
pub fn keyspace(key: u32) -> &'static Keyspace<u32, i64> {
    if key < OTHERS_FROM { &NUMBERS } else { &OTHERS }
}
