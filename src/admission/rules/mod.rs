//! What must hold of records, as the program declares it: which states a field may go through, what is true of each
//! record, and of sums over all of them. Judged on the net change of each record a request writes, at the time it is admitted.

mod across;
mod book;
mod guard;
mod invariant;
mod marks;
mod of;
mod sum_invariant;
mod total;

pub(super) use across::judge as judge_across;
pub use across::{CrossInvariant, Look, Unread};
pub(crate) use across::{CrossJudge, Ended, Lookup, Missing, Net, rehearse};
#[cfg(test)]
pub(crate) use book::Judge;
pub(crate) use book::{
    Judged, JudgedSum, Monitored, RuleBook, Ruled, Unjudged, judge_sum, mismatch,
};
pub use guard::Guard;
pub use invariant::{Enforcement, Invariant, Severity, Violation};
#[cfg(test)]
pub(crate) use marks::Marked;
pub use of::Rules;
pub use sum_invariant::SumInvariant;
pub(crate) use total::Sums;
pub use total::Total;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Longest name of a rule or a field, in bytes.
const NAME_BYTES: usize = 64;
/// Longest name of a state, in bytes.
const STATE_BYTES: usize = 32;
/// Most states of a field.
const STATES: usize = 32;
/// Longest reason of a violation that is kept, in bytes.
const REASON_BYTES: usize = 512;
/// Most totals of an engine.
const TOTALS: usize = 64;
/// Most rules of an engine.
const RULES: usize = 1024;

/// Runs code of the caller's for a rule; a panic in it ends the request.
fn contained<T>(rule: &'static str, code: impl FnOnce() -> T) -> Result<T, Unjudged> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|payload| {
        // What it panicked with is the caller's own, too.
        drop(catch_unwind(AssertUnwindSafe(|| drop(payload))));
        Unjudged::Panicked(rule)
    })
}
