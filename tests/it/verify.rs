//! Verified replay: every entry of a log, decided once more, comes out the same; and where it does not, that is told.

mod damage;
mod deterministic;
mod differing;
mod exact;
mod kept;
mod random;
mod untouched;

use serde::{Deserialize, Serialize};
use std::path::Path;
use steadfast::{
    Abort, Builder, Enforcement, Engine, Guard, Invariant, Keyspace, LogRetention, Outcome,
    Procedure, Registry, Rules, Transaction, Violation,
};

const ACCOUNTS: Keyspace<String, i64> = Keyspace::new("accounts");
const ORDERS: Keyspace<u64, String> = Keyspace::new("orders");
const AUDIT: Keyspace<(u64, [u8; 16]), String> = Keyspace::new("audit");

/// Moves an amount and leaves a note; the first version rounds the fee down, the second up.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Transfer {
    from: String,
    to: String,
    cents: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Transfer2(Transfer);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Refused {
    Insufficient,
}

fn transfer(
    this: &Transfer,
    fee: i64,
    tx: &mut Transaction<'_>,
) -> Result<(i64, u64), Abort<Refused>> {
    let there = tx.get(&ACCOUNTS, &this.from)?.map_or(0, |account| account.value);
    if there < this.cents {
        return Err(Abort::Reject(Refused::Insufficient));
    }
    tx.actor(&this.from);
    tx.correlation("transfers");
    tx.put(&ACCOUNTS, &this.from, &(there - this.cents))?;
    tx.add(&ACCOUNTS, &this.to, this.cents - fee, -1_000_000..=1_000_000)?;
    let earlier = tx.range(&AUDIT, .., 3)?.len() + tx.range_back(&AUDIT, .., 2)?.len();
    let (now, id) = (tx.now().get(), tx.new_id());
    tx.put(&AUDIT, &(now, id), &format!("{earlier} before"))?;
    Ok((there - this.cents, tx.rng().below(1_000)))
}

impl Procedure for Transfer {
    const NAME: &'static str = "transfer";
    const VERSION: u32 = 1;
    type Output = (i64, u64);
    type Rejection = Refused;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<(i64, u64), Abort<Refused>> {
        transfer(self, self.cents / 30, tx)
    }
}

impl Procedure for Transfer2 {
    const NAME: &'static str = "transfer";
    const VERSION: u32 = 2;
    type Output = (i64, u64);
    type Rejection = Refused;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<(i64, u64), Abort<Refused>> {
        transfer(&self.0, (self.0.cents + 29) / 30, tx)
    }
}

fn order_guard(paid: &'static [&'static str]) -> Rules<u64, String> {
    let state = |order: &String| match order.split(' ').next() {
        Some("pending") => "pending",
        Some("paid") => "paid",
        _ => "other",
    };
    let guard = Guard::new("state", state)
        .creates(&["pending"])
        .allows("pending", &["paid"])
        .allows("paid", paid)
        .removes(&["paid"]);
    Rules::of(&ORDERS).guard(guard)
}

fn solvent(least: i64) -> Rules<String, i64> {
    let holds = move |_: &String, cents: &i64| {
        if *cents < least { Err(Violation::new(format!("{cents} cents"))) } else { Ok(()) }
    };
    let round = |_: &String, cents: &i64| {
        if cents % 10 == 0 { Ok(()) } else { Err(Violation::new("not round")) }
    };
    Rules::of(&ACCOUNTS)
        .invariant(Invariant::new("solvent", holds))
        .invariant(Invariant::new("round", round).enforcement(Enforcement::Monitor))
}

/// What the service that wrote the logs of these tests has.
fn registry() -> Registry {
    let rules = Registry::new().rules(order_guard(&[])).rules(solvent(-500));
    rules.procedure::<Transfer>().procedure::<Transfer2>()
}

fn keeping(registry: &Registry) -> Builder {
    Engine::builder().registry(registry).log_retention(LogRetention::KeepAll)
}

fn open(dir: &Path) -> Engine {
    keeping(&registry()).open(dir).unwrap()
}

fn ten(from: &str, to: &str, cents: i64) -> Transfer {
    Transfer { from: from.into(), to: to.into(), cents }
}

fn committed<T: std::fmt::Debug, R: std::fmt::Debug>(outcome: Outcome<T, R>) -> T {
    match outcome {
        Outcome::Committed(receipt) => receipt.result,
        Outcome::Rejected(rejection) => panic!("{rejection:?}"),
    }
}
