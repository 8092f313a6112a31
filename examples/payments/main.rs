//! Payments: authorized, captured, refunded, by procedures that decide in the order of the log, under rules that hold whoever writes.
//!
//! 1. A day of business. A client that tries again gets its first answer; a capture of too much is refused by the procedure; and a
//!    careless script that would set a captured payment back is refused by the guard, with the states it may go into.
//! 2. The log is verified: every entry is decided once more, and comes out the same.
//! 3. Somebody changes how the fee is rounded, and forgets to give the procedure another version. The same log, verified with the
//!    changed program, names the first entry that comes out otherwise.
//! 4. Somebody writes with a program that has no rules. The next opening finds what is broken and takes no writes, the audit names the
//!    payment, and the replay the entry.
//!
//! The rules between records are in `across.rs`: a captured payment is booked in the ledger, a fulfilled order is paid, an active
//! subscription has an entitlement that is not over by log time; and the books balance.
//!
//! ```text
//! cargo run --example payments
//! ```
//!
//! Exit code: 0 when everything is found that should be, 1 when not.

mod across;
mod business;
mod changed;
mod day;

use business::{PAYMENTS, Payment, State};
use std::{error::Error, path::Path, process::ExitCode};
use steadfast::{
    Bytes, Engine, Expect, IdempotencyKey, LogRetention, Outcome, Rejection, Request, SeqNo, verify,
};

fn main() -> ExitCode {
    match tempfile::tempdir().map_err(Into::into).and_then(|dir| run(dir.path())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

type Done<T = ()> = Result<T, Box<dyn Error>>;

fn run(dir: &Path) -> Done {
    let rounded = business(dir)?;
    replay(dir, rounded)?;
    plant(dir)
}

fn open(dir: &Path) -> Done<Engine> {
    let builder = Engine::builder().registry(&business::registry());
    Ok(builder.log_retention(LogRetention::KeepAll).open(dir)?)
}

/// What must be so.
fn check(holds: bool, what: &str) -> Done {
    if holds { Ok(()) } else { Err(format!("not so: {what}").into()) }
}

/// A day of business. The first entry whose fee is not a whole number of cents.
fn business(dir: &Path) -> Done<SeqNo> {
    let engine = open(dir)?;
    let rounded = day::run(&engine)?;
    let paid = engine.get(&PAYMENTS, "p-1")?.ok_or("there is no p-1")?;
    println!("p-1 is {:?}", paid.value);

    let back = Payment { state: State::Authorized, ..paid.value };
    let key = IdempotencyKey::new("script", "reset-p-1")?;
    match engine.commit(Request::new(key).put(&PAYMENTS, "p-1", &back, paid.version))? {
        Outcome::Rejected(Rejection::IllegalTransition(illegal)) => {
            let (from, to) = (illegal.from.as_deref(), illegal.to.as_deref());
            println!(
                "\nrefused: {} from {from:?} to {to:?}, allowed: {:?}",
                illegal.field, illegal.allowed
            );
            check(
                (from, to) == (Some("captured"), Some("authorized")),
                "the guard names both states",
            )?;
        }
        other => return Err(format!("a captured payment was set back: {other:?}").into()),
    }
    engine.checkpoint()?;
    engine.close()?;
    Ok(rounded)
}

/// The log, decided once more: by the program that wrote it, and by one in which the fee is rounded down.
fn replay(dir: &Path, rounded: SeqNo) -> Done {
    let report = verify(dir, &business::registry())?;
    println!("\nthe program that wrote it: {report}");
    check(report.is_exact(), "the log comes out the same")?;

    let report = verify(dir, &changed::registry())?;
    println!("\nthe program with another rounding rule: {report}");
    let first = report.first_divergence().ok_or("the change was not found")?;
    check(first.seq == rounded, "the first difference is at the first fee that is not whole")
}

/// A write by a program without rules.
fn plant(dir: &Path) -> Done {
    let engine = Engine::builder().log_retention(LogRetention::KeepAll).open(dir)?;
    let there = engine.get(&PAYMENTS, "p-2")?.ok_or("there is no p-2")?;
    let wrong = Payment { refunded: there.value.captured + 100, ..there.value };
    let request = Request::unkeyed().put(&PAYMENTS, "p-2", &wrong, Expect::Present);
    let planted = engine.commit(request)?.committed()?.seq;
    engine.close()?;

    let engine = open(dir)?;
    let refused = engine.rule_set().refused.ok_or("the opening found nothing")?;
    println!("\nthe next opening takes no writes: {refused}");
    let audit = engine.audit()?;
    println!("\nan audit of {} records:", audit.records);
    for invariant in audit.invariants.iter().filter(|invariant| invariant.violations > 0) {
        // The key of a text ends in two zeros.
        let text = |key: &Bytes| String::from_utf8_lossy(key).trim_end_matches('\0').to_owned();
        let keys: Vec<_> = invariant.samples.iter().map(text).collect();
        println!("  {:?} does not hold of {keys:?}", invariant.invariant);
    }
    let found = audit.invariants.iter().find(|invariant| invariant.violations == 1);
    let found = found.ok_or("the audit found nothing")?;
    check(found.invariant == "refunded within captured", "the audit names the invariant")?;
    check(found.samples.iter().any(|key| key.starts_with(b"p-2")), "the audit names the payment")?;
    let across = audit.invariants.iter().find(|there| there.invariant == "captured is booked");
    check(across.is_some_and(|there| there.violations == 1), "and that it is not booked")?;
    check(audit.sum_invariants.iter().any(|there| there.violations == 1), "and the balance")?;
    engine.close()?;

    let report = verify(dir, &business::registry())?;
    println!("\nthe same log after that: {report}");
    let first = report.first_divergence().ok_or("the write was not found")?;
    check(first.seq == planted, "the replay names the entry")
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_is_found_that_should_be() {
        let dir = tempfile::tempdir().unwrap();
        super::run(dir.path()).unwrap();
    }

    #[test]
    fn the_procedures_are_deterministic() {
        use super::business::{Authorize, Capture};
        use steadfast::{Registry, testing::replay::assert_deterministic};
        let authorize =
            |cents| Authorize { payment: "p".into(), customer: "ann".into(), order: None, cents };
        let registry = super::business::registry();
        assert_deterministic(&Registry::new(), |_| Ok(()), [authorize(7), authorize(7)]);
        let authorized = |engine: &steadfast::Engine| {
            let key = steadfast::IdempotencyKey::new("test", "authorize")?;
            engine.call(key, &authorize(1_000)).map(drop)
        };
        let captures = [999, 1].map(|cents| Capture { payment: "p".into(), cents });
        assert_deterministic(&registry, authorized, captures);
    }
}
