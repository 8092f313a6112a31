//! Payments: records, rules, procedures. One function makes the registry that the service runs with and is verified with.

use super::across;
use serde::{Deserialize, Serialize};
use steadfast::{
    Abort, Guard, Invariant, Keyspace, Procedure, Registry, Rules, Total, Transaction, Violation,
};

pub const PAYMENTS: Keyspace<String, Payment> = Keyspace::new("payments");
/// By payment and number: what came in, positive, and what went out, negative.
pub const LEDGER: Keyspace<(String, u64), i64> = Keyspace::new("ledger");

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Payment {
    pub customer: String,
    /// The order it is for.
    pub order: Option<String>,
    pub state: State,
    pub authorized: i64,
    pub captured: i64,
    pub fee: i64,
    pub refunded: i64,
    /// How many entries of the ledger are about it.
    pub entries: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    Authorized,
    Captured,
    Canceled,
    Refunded,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Authorized => "authorized",
            Self::Captured => "captured",
            Self::Canceled => "canceled",
            Self::Refunded => "refunded",
        }
    }
}

/// All that the program declares of itself.
pub fn registry() -> Registry {
    rules().procedure::<Authorize>().procedure::<Capture>().procedure::<Refund>()
}

/// What must hold, whoever writes: of a payment by itself, and of records together.
pub fn rules() -> Registry {
    across::rules(Registry::new().rules(payments()))
}

fn payments() -> Rules<String, Payment> {
    let states = Guard::new("state", |payment: &Payment| payment.state.name())
        .creates(&["authorized"])
        .allows("authorized", &["captured", "canceled"])
        .allows("captured", &["refunded"]);
    Rules::of(&PAYMENTS)
        .guard(states)
        .invariant(within("captured within authorized", |p| (p.captured, p.authorized)))
        .invariant(within("refunded within captured", |p| (p.refunded, p.captured)))
        .invariant(within("fee within captured", |p| (p.fee, p.captured)))
        .total(Total::new("kept", |_: &String, payment: &Payment| across::kept(payment).into()))
}

/// A part is not below 0 and not above its whole.
fn within(
    name: &'static str,
    parts: impl Fn(&Payment) -> (i64, i64) + Send + Sync + 'static,
) -> Invariant<String, Payment> {
    Invariant::new(name, move |_: &String, payment: &Payment| {
        let (part, whole) = parts(payment);
        if (0..=whole).contains(&part) {
            Ok(())
        } else {
            Err(Violation::new(format!("{part} of {whole} cents")))
        }
    })
}

/// Why a payment is not changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Refused {
    Exists,
    Unknown,
    /// Only so much is left.
    TooMuch {
        left: i64,
    },
    NotInState(State),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Authorize {
    pub payment: String,
    pub customer: String,
    pub order: Option<String>,
    pub cents: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Capture {
    pub payment: String,
    pub cents: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refund {
    pub payment: String,
    pub cents: i64,
}

impl Procedure for Authorize {
    const NAME: &'static str = "authorize";
    const VERSION: u32 = 1;
    type Output = ();
    type Rejection = Refused;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<(), Abort<Refused>> {
        if tx.get(&PAYMENTS, &self.payment)?.is_some() {
            return Err(Abort::Reject(Refused::Exists));
        }
        let payment = Payment {
            customer: self.customer.clone(),
            order: self.order.clone(),
            state: State::Authorized,
            authorized: self.cents,
            captured: 0,
            fee: 0,
            refunded: 0,
            entries: 0,
        };
        Ok(tx.put(&PAYMENTS, &self.payment, &payment)?)
    }
}

impl Procedure for Capture {
    const NAME: &'static str = "capture";
    const VERSION: u32 = 1;
    type Output = i64;
    type Rejection = Refused;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<i64, Abort<Refused>> {
        capture(self, fee(self.cents), tx)
    }
}

/// 2.9 %, rounded half up.
fn fee(cents: i64) -> i64 {
    (cents * 29 + 500) / 1000
}

/// Takes an amount for a fee, and gives what is left of it.
pub fn capture(this: &Capture, fee: i64, tx: &mut Transaction<'_>) -> Result<i64, Abort<Refused>> {
    let mut payment = in_state(&this.payment, State::Authorized, tx)?;
    if this.cents > payment.authorized {
        return Err(Abort::Reject(Refused::TooMuch { left: payment.authorized }));
    }
    (payment.state, payment.captured, payment.fee) = (State::Captured, this.cents, fee);
    enter(&this.payment, &mut payment, this.cents, tx)?;
    enter(&this.payment, &mut payment, -fee, tx)?;
    tx.put(&PAYMENTS, &this.payment, &payment)?;
    Ok(this.cents - fee)
}

impl Procedure for Refund {
    const NAME: &'static str = "refund";
    const VERSION: u32 = 1;
    type Output = i64;
    type Rejection = Refused;

    /// What is left that can be given back.
    fn run(&self, tx: &mut Transaction<'_>) -> Result<i64, Abort<Refused>> {
        let mut payment = in_state(&self.payment, State::Captured, tx)?;
        let left = payment.captured - payment.refunded - self.cents;
        if left < 0 {
            return Err(Abort::Reject(Refused::TooMuch { left: left + self.cents }));
        }
        payment.refunded += self.cents;
        if left == 0 {
            payment.state = State::Refunded;
        }
        enter(&self.payment, &mut payment, -self.cents, tx)?;
        tx.put(&PAYMENTS, &self.payment, &payment)?;
        Ok(left)
    }
}

fn in_state(id: &str, state: State, tx: &mut Transaction<'_>) -> Result<Payment, Abort<Refused>> {
    let there = tx.get(&PAYMENTS, id)?.ok_or(Abort::Reject(Refused::Unknown))?;
    if there.value.state != state {
        return Err(Abort::Reject(Refused::NotInState(there.value.state)));
    }
    Ok(there.value)
}

fn enter(
    id: &str,
    payment: &mut Payment,
    cents: i64,
    tx: &mut Transaction<'_>,
) -> Result<(), Abort<Refused>> {
    payment.entries += 1;
    Ok(tx.put(&LEDGER, &(id.to_owned(), payment.entries), &cents)?)
}
