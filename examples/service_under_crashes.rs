#![allow(clippy::disallowed_methods, reason = "a program around the engine: clocks are its own")]
//! A payment service whose own code is run under power cuts: once as it should be, and three times with a bug that every
//! ordinary test passes.
//!
//! A payment takes money from one wallet, gives it to another, and puts a message for the recipient into an outbox. The
//! client is told when that is done, and asks again if it was not told. Each version of the service is explored: the power
//! is cut at every I/O, the disk comes up in many ways, the invariants are checked, the service starts again, its clients
//! repeat what they got no answer to, and the invariants are checked again.
//!
//! ```text
//! cargo run --release --example service_under_crashes
//! ```
//!
//! Exit code: 0 when each bug is found and the correct service passes, 1 when not.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, process::ExitCode, time::Instant};
use steadfast::{
    Abort, Engine, Error, IdempotencyKey, Keyspace, Outcome, Rejection,
    testing::service::{Done, Exploration, Journal, explore},
};

const WALLETS: Keyspace<String, i64> = Keyspace::new("wallets");
const OUTBOX: Keyspace<u64, Message> = Keyspace::new("outbox");

const OPENING_CENTS: [(&str, i64); 3] = [("ann", 10_000), ("bob", 2_000), ("cleo", 0)];

/// What a client asks for.
#[derive(Clone, Copy, Debug, Serialize)]
struct Payment {
    id: u64,
    from: &'static str,
    to: &'static str,
    cents: i64,
}

/// The day's payments; Bob does not have the money for the third.
const PAYMENTS: [Payment; 6] = [
    Payment { id: 1, from: "ann", to: "bob", cents: 3_000 },
    Payment { id: 2, from: "bob", to: "cleo", cents: 500 },
    Payment { id: 3, from: "bob", to: "ann", cents: 8_000 },
    Payment { id: 4, from: "cleo", to: "ann", cents: 500 },
    Payment { id: 5, from: "ann", to: "cleo", cents: 1_000 },
    Payment { id: 6, from: "ann", to: "bob", cents: 1 },
];

/// What a recipient will be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Message {
    from: String,
    to: String,
    cents: i64,
}

/// The payer has too little.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Declined {
    cents: i64,
}

/// What a client was told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Paid(u64),
    Declined(u64),
}

/// How careful the service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Correct,
    /// Takes the money in one update and gives it in another, each under a key of its own.
    TwoUpdates,
    /// Makes a new idempotency key when it tries again after a restart.
    FreshKey,
    /// Answers the client as soon as the wallet is seen to hold enough.
    EarlyAnswer,
}

struct Service<'a> {
    engine: &'a Engine,
    version: Version,
    /// How often the service was started.
    starts: u32,
}

impl Service<'_> {
    /// Works off the day's payments, as their clients send them: those that were not answered yet, in order.
    fn day(&self, clients: &mut Journal<Told>) -> Result<(), Error> {
        for payment in &PAYMENTS {
            let (paid, declined) = (Told::Paid(payment.id), Told::Declined(payment.id));
            if clients.facts().iter().any(|told| *told == paid || *told == declined) {
                continue;
            }
            if self.version == Version::EarlyAnswer {
                let wallet = self.engine.get(&WALLETS, payment.from)?;
                if wallet.is_some_and(|wallet| wallet.value >= payment.cents) {
                    clients.record(paid);
                    self.pay(payment)?;
                    continue;
                }
            }
            clients.record(if self.pay(payment)? { paid } else { declined });
        }
        Ok(())
    }

    /// Carries a payment out, or declines it.
    fn pay(&self, payment: &Payment) -> Result<bool, Error> {
        match self.version {
            Version::TwoUpdates => Ok(self.update("take", payment, Parts::TAKE)?
                && self.update("give", payment, Parts::GIVE)?),
            Version::FreshKey => self.update(&format!("try-{}", self.starts), payment, Parts::BOTH),
            Version::Correct | Version::EarlyAnswer => self.update("pay", payment, Parts::BOTH),
        }
    }

    fn update(&self, step: &str, payment: &Payment, parts: Parts) -> Result<bool, Error> {
        let &Payment { id, from, to, cents } = payment;
        let key = IdempotencyKey::new("payments", format!("{id}-{step}"))?;
        let outcome = self.engine.update(key, payment, |tx| {
            if parts.take {
                let has = tx.get(&WALLETS, from)?.map_or(0, |wallet| wallet.value);
                if has < cents {
                    return Err(Abort::Reject(Declined { cents: has }));
                }
                tx.put(&WALLETS, from, &(has - cents))?;
            }
            if parts.give {
                let has = tx.get(&WALLETS, to)?.map_or(0, |wallet| wallet.value);
                tx.put(&WALLETS, to, &(has + cents))?;
                tx.put(&OUTBOX, &id, &Message { from: from.into(), to: to.into(), cents })?;
            }
            Ok(())
        })?;
        match outcome {
            Outcome::Committed(_) => Ok(true),
            Outcome::Rejected(Rejection::Procedure(_)) => Ok(false),
            Outcome::Rejected(rejection) => Err(rejection.into()),
        }
    }
}

/// Which parts of a payment one update does.
#[derive(Clone, Copy)]
struct Parts {
    take: bool,
    give: bool,
}

impl Parts {
    const TAKE: Self = Self { take: true, give: false };
    const GIVE: Self = Self { take: false, give: true };
    const BOTH: Self = Self { take: true, give: true };
}

fn open_wallets(engine: &Engine) -> Done {
    let key = IdempotencyKey::new("wallets", "open")?;
    let outcome: Outcome<()> = engine.update(key, "open", |tx| {
        for (owner, cents) in OPENING_CENTS {
            tx.put(&WALLETS, owner, &cents)?;
        }
        Ok(())
    })?;
    outcome.committed()?;
    Ok(())
}

/// What must be true at any time.
fn check(engine: &Engine, clients: &Journal<Told>) -> Done {
    let snapshot = engine.snapshot();
    let wallets =
        snapshot.range(&WALLETS, ..).map(|row| row.map(|(owner, row)| (owner, row.value)));
    let wallets: BTreeMap<String, i64> = wallets.collect::<Result<_, _>>()?;
    let outbox = snapshot.range(&OUTBOX, ..).map(|row| row.map(|(id, row)| (id, row.value)));
    let outbox: BTreeMap<u64, Message> = outbox.collect::<Result<_, _>>()?;

    let opening: i64 = OPENING_CENTS.iter().map(|(_, cents)| cents).sum();
    let total: i64 = wallets.values().sum();
    if total != opening {
        return Err(format!("the wallets hold {total} cents, not {opening}").into());
    }
    let mut due: BTreeMap<String, i64> =
        OPENING_CENTS.iter().map(|&(owner, cents)| (owner.to_owned(), cents)).collect();
    for Message { from, to, cents } in outbox.values() {
        *due.entry(from.clone()).or_default() -= cents;
        *due.entry(to.clone()).or_default() += cents;
    }
    if wallets != due {
        return Err(format!("the wallets hold {wallets:?}, the messages amount to {due:?}").into());
    }
    for told in clients.facts() {
        match told {
            Told::Paid(id) if !outbox.contains_key(id) => {
                return Err(format!("payment {id} was confirmed, and there is no message").into());
            }
            Told::Declined(id) if outbox.contains_key(id) => {
                return Err(format!("payment {id} was declined, and there is a message").into());
            }
            _ => {}
        }
    }
    if clients.finished() && clients.facts().len() != PAYMENTS.len() {
        return Err(format!("only {:?} were answered", clients.facts()).into());
    }
    Ok(())
}

fn exploration(version: Version) -> Exploration<'static, Told> {
    let work = move |engine: &Engine, clients: &mut Journal<Told>| {
        Service { engine, version, starts: clients.starts() }.day(clients)?;
        Ok(())
    };
    explore(work, check).prepared(open_wallets)
}

/// Explores one version of the service, and says whether it came out as it should.
fn as_expected(version: Version) -> bool {
    let began = Instant::now();
    let explored = exploration(version).run();
    let millis = began.elapsed().as_secs_f64() * 1e3;
    match (version, explored) {
        (Version::Correct, Ok(summary)) => {
            println!("{version:?}: nothing wrong in {millis:.0} ms: {summary}\n");
            summary.crashes > 0 && summary.restarts > 0
        }
        (Version::Correct, Err(failure)) => {
            println!("{version:?}: FAILED in {millis:.0} ms\n{failure}\n");
            false
        }
        (_, Ok(summary)) => {
            println!("{version:?}: NOT FOUND in {millis:.0} ms: {summary}\n");
            false
        }
        (_, Err(failure)) => {
            println!("{version:?}: found in {millis:.0} ms\n{failure}\n");
            // It counts as found when the printed case shows it again.
            let again = failure.case.as_ref().map(|case| exploration(version).run_case(case));
            matches!(again, Some(Err(again)) if again.what == failure.what)
        }
    }
}

fn main() -> ExitCode {
    let versions = [Version::TwoUpdates, Version::FreshKey, Version::EarlyAnswer, Version::Correct];
    let all = versions.map(as_expected).into_iter().all(|expected| expected);
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
