//! The engine's part: the keyspaces, and a basket as one operation.

use crate::ledger::Basket;
use serde::{Deserialize, Serialize};
use std::path::Path;
use steadfast::{
    Abort, Engine, Error, IdempotencyKey, Keyspace, Outcome, Receipt, Rejection, Transaction,
};

/// Units sold of a product in a store.
pub const UNITS: Keyspace<(u32, u64), i64> = Keyspace::new("units");
/// What a store took, in cents.
pub const REVENUE: Keyspace<u32, i64> = Keyspace::new("revenue");
/// What a household spent, in cents.
pub const SPEND: Keyspace<u64, i64> = Keyspace::new("spend");
/// The chain's totals: one record that every basket changes.
pub const CHAIN: Keyspace<String, Chain> = Keyspace::new("chain");
/// The key of that record.
pub const TOTAL: &str = "total";

/// The chain's totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    pub baskets: i64,
    pub cents: i64,
}

/// Why a basket is refused for good.
#[derive(Debug, Serialize, Deserialize)]
pub enum Refused {
    /// A sum does not fit.
    Overflow,
}

/// What the engine answered, and what it took.
#[derive(Debug)]
pub struct Sold {
    /// The result: how many baskets the chain had sold with this one.
    pub receipt: Receipt<u64>,
    /// Runs of the operation that were in vain, because what they had read had changed.
    pub conflicts: u32,
}

/// Opens the engine, with limits small enough that the default ledger fills several checkpoints.
pub fn open(dir: &Path) -> Result<Engine, Error> {
    Engine::builder()
        .memtable_limit_bytes(1 << 20)
        .log_limit_bytes(8 << 20)
        .segment_bytes(2 << 20)
        .checkpoint_cache_bytes(16 << 20)
        .open(dir)
}

/// Sells a basket in a round of the ledger: once, however often it is called.
pub fn sell(engine: &Engine, basket: &Basket, round: u32) -> Result<Sold, Error> {
    let key = idempotency_key(basket, round)?;
    let mut conflicts = 0;
    loop {
        let mut attempts = 0;
        let outcome = engine.update(key.clone(), basket, |tx| {
            attempts = tx.attempt();
            apply(tx, basket)
        })?;
        conflicts += attempts.saturating_sub(1);
        match outcome {
            Outcome::Committed(receipt) => return Ok(Sold { receipt, conflicts }),
            // Not remembered under the key: the next try under the same key is a new one.
            Outcome::Rejected(Rejection::Conflict(_)) => conflicts += 1,
            Outcome::Rejected(rejection) => return Err(rejection.into()),
        }
    }
}

/// Scope = store, key = basket; later rounds get keys of their own.
fn idempotency_key(basket: &Basket, round: u32) -> Result<IdempotencyKey, Error> {
    let key = match round {
        0 => basket.basket.to_string(),
        _ => format!("{}#{round}", basket.basket),
    };
    Ok(IdempotencyKey::new(basket.store.to_string(), key)?)
}

fn apply(tx: &mut Transaction<'_>, basket: &Basket) -> Result<u64, Abort<Refused>> {
    for line in &basket.lines {
        tx.add(&UNITS, &(basket.store, line.product), line.quantity, 0..=i64::MAX)?;
    }
    let cents = basket.cents();
    let revenue = tx.get(&REVENUE, &basket.store)?.map_or(0, |record| record.value);
    tx.put(&REVENUE, &basket.store, &sum(revenue, cents)?)?;
    let spend = tx.get(&SPEND, &basket.household)?.map_or(0, |record| record.value);
    tx.put(&SPEND, &basket.household, &sum(spend, cents)?)?;
    let chain = tx.get(&CHAIN, TOTAL)?.map_or_else(Chain::default, |record| record.value);
    let chain = Chain { baskets: sum(chain.baskets, 1)?, cents: sum(chain.cents, cents)? };
    tx.put(&CHAIN, TOTAL, &chain)?;
    Ok(chain.baskets.unsigned_abs())
}

fn sum(a: i64, b: i64) -> Result<i64, Abort<Refused>> {
    a.checked_add(b).ok_or(Abort::Reject(Refused::Overflow))
}
