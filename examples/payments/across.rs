//! What must hold between records: a captured payment and the ledger, a fulfilled order and its payment, an active subscription and
//! what the customer is entitled to.

use super::business::{LEDGER, PAYMENTS, Payment, State};
use serde::{Deserialize, Serialize};
use steadfast::{CrossInvariant, Keyspace, Registry, Rules, SumInvariant, Total, Violation};

pub const ORDERS: Keyspace<String, Order> = Keyspace::new("orders");
/// By customer.
pub const SUBSCRIPTIONS: Keyspace<String, Subscription> = Keyspace::new("subscriptions");
/// By customer: until when, in nanoseconds of log time.
pub const ENTITLED: Keyspace<String, u64> = Keyspace::new("entitled until");

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    pub payment: String,
    pub fulfilled: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subscription {
    pub plan: String,
    pub active: bool,
}

pub fn rules(registry: Registry) -> Registry {
    registry
        .cross_invariant(captured_is_booked())
        .cross_invariant(fulfilled_is_paid())
        .cross_invariant(active_is_entitled())
        .rules(Rules::of(&LEDGER).total(Total::new("booked", |_, cents| i128::from(*cents))))
        .sum_invariant(SumInvariant::new("books balance", ["kept", "booked"], |[kept, booked]| {
            if kept == booked { Ok(()) } else { Err(Violation::new("the books do not balance")) }
        }))
}

/// What is kept of a payment.
pub fn kept(payment: &Payment) -> i64 {
    payment.captured - payment.fee - payment.refunded
}

fn captured_is_booked() -> CrossInvariant<String, Payment> {
    CrossInvariant::new("captured is booked", &PAYMENTS, |look, id, payment| {
        let mut booked = 0;
        for number in 1..=payment.entries {
            let entry = look.get(&LEDGER, &(id, number))?;
            booked += entry.ok_or_else(|| Violation::new("an entry is missing"))?.value;
        }
        if booked == kept(payment) {
            Ok(())
        } else {
            Err(Violation::new(format!("{booked} cents are booked")))
        }
    })
    .touched_by(&LEDGER, |(payment, _), _| [payment.clone()])
}

fn fulfilled_is_paid() -> CrossInvariant<String, Order> {
    CrossInvariant::new("fulfilled is paid", &ORDERS, |look, id, order| {
        let payment = look.get(&PAYMENTS, &order.payment)?.map(|record| record.value);
        let paid = payment.is_some_and(|payment| {
            payment.order.as_ref() == Some(id) && payment.state == State::Captured
        });
        if paid || !order.fulfilled { Ok(()) } else { Err(Violation::new("it is not paid")) }
    })
    .touched_by(&PAYMENTS, |_, payment| payment.order.clone())
}

fn active_is_entitled() -> CrossInvariant<String, Subscription> {
    CrossInvariant::new("active is entitled", &SUBSCRIPTIONS, |look, customer, subscription| {
        let until = look.get(&ENTITLED, customer)?.map_or(0, |record| record.value);
        if !subscription.active || until > look.now().get() {
            Ok(())
        } else {
            Err(Violation::new("the entitlement is over"))
        }
    })
    .touched_by(&ENTITLED, |customer, _| [customer.clone()])
}
