//! A day of business.

use super::{
    Done,
    across::{ENTITLED, ORDERS, Order, SUBSCRIPTIONS, Subscription},
    business::{Authorize, Capture, LEDGER, Refund, Refused},
    check,
};
use steadfast::{Engine, Expect, IdempotencyKey, Outcome, Procedure, Rejection, Request, SeqNo};

/// Payments and what is captured of them. The fee on the first two is a whole number of cents.
const PAYMENTS: [(&str, i64, i64); 4] =
    [("p-1", 5_000, 5_000), ("p-2", 12_000, 11_000), ("p-3", 1_999, 1_999), ("p-4", 750, 700)];

/// Does the business. The entry of the first capture whose fee has to be rounded up.
pub fn run(engine: &Engine) -> Done<SeqNo> {
    let mut rounded = None;
    for (payment, authorized, captured) in PAYMENTS {
        let payment = payment.to_owned();
        let authorize = Authorize {
            payment: payment.clone(),
            customer: "ann".into(),
            order: Some(format!("order-{payment}")),
            cents: authorized,
        };
        call(engine, &format!("authorize-{payment}"), &authorize)?;
        let key = format!("capture-{payment}");
        let capture = Capture { payment, cents: captured };
        let (net, seq) = call(engine, &key, &capture)?;
        println!(
            "captured {captured} cents of {}, {net} after the fee, as entry {seq}",
            capture.payment
        );
        // The client did not get the answer, and asks again.
        check(call(engine, &key, &capture)? == (net, seq), "a retry gets the first answer")?;
        if captured * 29 % 1000 >= 500 {
            rounded.get_or_insert(seq);
        }
    }
    let too_much = Refund { payment: "p-1".into(), cents: 9_999 };
    match engine.call(IdempotencyKey::new("shop", "refund-1")?, &too_much)? {
        Outcome::Rejected(Rejection::Procedure(Refused::TooMuch { left })) => {
            println!("refused: {} cents of p-1 can be given back", left);
        }
        other => return Err(format!("too much was given back: {other:?}").into()),
    }
    call(engine, "refund-2", &Refund { payment: "p-1".into(), cents: 1_000 })?;
    between_records(engine)?;
    rounded.ok_or_else(|| "no fee was rounded".into())
}

/// What rules across records refuse, and what they let pass.
fn between_records(engine: &Engine) -> Done {
    let order = |payment: &str| Order { payment: payment.into(), fulfilled: true };
    let fulfil =
        |id: &str, payment| Request::unkeyed().put(&ORDERS, id, &order(payment), Expect::Any);
    refused(engine, fulfil("order-p-9", "p-9"), "fulfilled is paid")?;
    refused(engine, fulfil("order-p-9", "p-2"), "fulfilled is paid")?;
    engine.commit(fulfil("order-p-2", "p-2"))?.committed()?;
    refused(
        engine,
        Request::unkeyed().delete(&LEDGER, &("p-2", 1), Expect::Present),
        "books balance",
    )?;

    let yearly = Subscription { plan: "yearly".into(), active: true };
    let activate = || Request::unkeyed().put(&SUBSCRIPTIONS, "ann", &yearly, Expect::Any);
    let now = engine.clock().now.get();
    let until = |time: u64| Request::unkeyed().put(&ENTITLED, "ann", &time, Expect::Any);
    engine.commit(until(now - 1))?.committed()?;
    refused(engine, activate(), "active is entitled")?;
    const YEAR: u64 = 365 * 24 * 3_600_000_000_000;
    engine.commit(activate().put(&ENTITLED, "ann", &(now + YEAR), Expect::Any))?.committed()?;
    refused(engine, until(now - 1), "active is entitled")
}

fn refused(engine: &Engine, request: Request, by: &str) -> Done {
    let named = match engine.commit(request)? {
        Outcome::Rejected(Rejection::Invariant(broken)) => broken.invariant,
        Outcome::Rejected(Rejection::SumInvariant(broken)) => broken.invariant,
        other => return Err(format!("{by:?} let it pass: {other:?}").into()),
    };
    println!("refused: {named:?} would not hold");
    check(named == by, "the invariant that is broken is named")
}

/// What came of a call, and the entry it became.
fn call<P: Procedure>(engine: &Engine, key: &str, procedure: &P) -> Done<(P::Output, SeqNo)>
where
    P::Rejection: std::fmt::Debug,
{
    match engine.call(IdempotencyKey::new("shop", key)?, procedure)? {
        Outcome::Committed(receipt) => Ok((receipt.result, receipt.seq)),
        Outcome::Rejected(rejection) => Err(format!("{key}: {rejection:?}").into()),
    }
}
