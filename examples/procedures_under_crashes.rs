//! Procedures of a service under power cuts: one as it should be, one that is not deterministic, and one that overwrites what another
//! client did meanwhile. Ordinary tests pass all three.
//!
//! The power is cut at every I/O, the disk comes up in many ways, the invariant is checked, the service starts again, its clients
//! repeat what they got no answer to; and at the end every entry of the log is decided once more by the code that made it.
//!
//! ```text
//! cargo run --release --example procedures_under_crashes
//! ```
//!
//! Exit code: 0 when each bug is found and the correct procedure passes, 1 when not.

use serde::{Deserialize, Serialize};
use std::{
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use steadfast::{
    Abort, Engine, IdempotencyKey, Keyspace, Never, Procedure, Registry, Transaction,
    testing::service::{Done, Exploration, Journal, Stage, explore},
};

/// Points on the cards of customers.
const POINTS: Keyspace<String, i64> = Keyspace::new("points");

/// Purchases that two tills work off at the same time, in cents: a point for each whole euro.
const PURCHASES: [(u64, i64); 4] = [(1, 950), (2, 1_200), (3, 300), (4, 4_999)];

/// Adds the points of a purchase.
#[derive(Serialize, Deserialize)]
struct Buy {
    cents: i64,
}

impl Procedure for Buy {
    const NAME: &'static str = "buy";
    const VERSION: u32 = 1;
    type Output = i64;
    type Rejection = Never;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<i64, Abort> {
        add(tx, self.cents / 100)
    }
}

/// The same, with a bonus for every third customer of the day: counted in the process, so that another process, or the same one
/// when it runs the code again, gives it to somebody else.
#[derive(Serialize, Deserialize)]
struct BuyWithBonus {
    cents: i64,
}

impl Procedure for BuyWithBonus {
    const NAME: &'static str = "buy with bonus";
    const VERSION: u32 = 1;
    type Output = i64;
    type Rejection = Never;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<i64, Abort> {
        static CUSTOMERS: AtomicU64 = AtomicU64::new(1);
        let bonus = if CUSTOMERS.fetch_add(1, Relaxed).is_multiple_of(3) { 5 } else { 0 };
        add(tx, self.cents / 100 + bonus)
    }
}

/// Sets the points to what the till worked out from what it had read.
#[derive(Serialize, Deserialize)]
struct SetPoints {
    points: i64,
}

impl Procedure for SetPoints {
    const NAME: &'static str = "set points";
    const VERSION: u32 = 1;
    type Output = i64;
    type Rejection = Never;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<i64, Abort> {
        tx.put(&POINTS, "ann", &self.points)?;
        Ok(self.points)
    }
}

fn add(tx: &mut Transaction<'_>, more: i64) -> Result<i64, Abort> {
    let points = tx.get(&POINTS, "ann")?.map_or(0, |points| points.value) + more;
    tx.put(&POINTS, "ann", &points)?;
    Ok(points)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Version {
    Correct,
    NotDeterministic,
    LostUpdate,
}

fn key(purchase: u64) -> Result<IdempotencyKey, steadfast::LimitError> {
    IdempotencyKey::new("tills", purchase.to_be_bytes())
}

/// Two tills at a time, which both look at the card before they book.
fn work(version: Version, engine: &Engine, booked: &mut Journal<u64>) -> Done {
    for both in PURCHASES.chunks(2) {
        let seen = engine.get(&POINTS, "ann")?.map_or(0, |points| points.value);
        for &(purchase, cents) in both {
            if booked.facts().contains(&purchase) {
                continue;
            }
            let key = key(purchase)?;
            match version {
                Version::Correct => engine.call(key, &Buy { cents })?.committed()?,
                Version::NotDeterministic => {
                    engine.call(key, &BuyWithBonus { cents })?.committed()?
                }
                Version::LostUpdate => {
                    let points = seen + cents / 100;
                    engine.call(key, &SetPoints { points })?.committed()?
                }
            };
            booked.record(purchase);
        }
    }
    Ok(())
}

/// Whoever was told that a purchase is booked has its points.
fn check(engine: &Engine, booked: &Journal<u64>) -> Done {
    let points = engine.get(&POINTS, "ann")?.map_or(0, |points| points.value);
    let told = PURCHASES.iter().filter(|(purchase, _)| booked.facts().contains(purchase));
    let due: i64 = told.map(|(_, cents)| cents / 100).sum();
    if points < due {
        return Err(format!("ann has {points} points, and was told of {due}").into());
    }
    Ok(())
}

fn exploration(version: Version) -> Exploration<'static, u64> {
    let registry =
        Registry::new().procedure::<Buy>().procedure::<BuyWithBonus>().procedure::<SetPoints>();
    explore(move |engine: &Engine, booked: &mut Journal<u64>| work(version, engine, booked), check)
        .registry(registry)
}

/// Explores one version, and says whether it came out as it should.
fn as_expected(version: Version) -> bool {
    match (version, exploration(version).run()) {
        (Version::Correct, Ok(summary)) => {
            println!("{version:?}: nothing wrong: {summary}\n");
            summary.crashes > 0 && summary.restarts > 0
        }
        (Version::Correct, Err(failure)) => {
            println!("{version:?}: FAILED\n{failure}\n");
            false
        }
        (_, Ok(summary)) => {
            println!("{version:?}: NOT FOUND: {summary}\n");
            false
        }
        (_, Err(failure)) => {
            println!("{version:?}: found {}: {}\n", failure.stage, failure.what);
            let replayed = failure.stage == Stage::Replayed;
            replayed == (version == Version::NotDeterministic)
        }
    }
}

fn main() -> ExitCode {
    let versions = [Version::NotDeterministic, Version::LostUpdate, Version::Correct];
    let all = versions.map(as_expected).into_iter().all(|expected| expected);
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
