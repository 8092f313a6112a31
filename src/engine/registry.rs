//! What a program declares of itself: the procedures that can be called, and the rules that hold.

use super::{
    error::Error,
    procedure::{Procedure, Procedures},
};
use crate::{
    admission::rules::{CrossInvariant, RuleBook, Rules, SumInvariant},
    codec::Key,
};
use std::sync::Arc;

/// The procedures and rules of a program, as one value: so that a service and whoever [verifies](crate::verify) its log
/// have them from one function. See [`Builder::registry`](crate::Builder::registry).
///
/// ```
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let dir = dir.path();
/// use steadfast::{Engine, Expect, Guard, Keyspace, Registry, Request, Rules};
///
/// const ORDERS: Keyspace<u64, String> = Keyspace::new("orders");
///
/// fn registry() -> Registry {
///     let states = |order: &String| if order == "paid" { "paid" } else { "pending" };
///     let guard = Guard::new("state", states).creates(&["pending"]).allows("pending", &["paid"]);
///     Registry::new().rules(Rules::of(&ORDERS).guard(guard))
/// }
///
/// let engine = Engine::builder().registry(&registry()).open(dir)?;
/// engine.commit(Request::unkeyed().put(&ORDERS, &7, &"pending".into(), Expect::Absent))?.committed()?;
/// engine.close()?;
///
/// let report = steadfast::verify(dir, &registry())?;
/// assert!(report.is_exact(), "{report}");
/// # Ok::<(), steadfast::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a registry does nothing until it is given to a builder or to `verify`"]
pub struct Registry {
    pub(super) procedures: Procedures,
    pub(super) rules: RuleBook,
}

impl Registry {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// As [`Builder::procedure`](crate::Builder::procedure).
    pub fn procedure<P: Procedure>(mut self) -> Self {
        self.procedures.register::<P>();
        self
    }

    /// As [`Builder::rules`](crate::Builder::rules).
    pub fn rules<K: Key, V: 'static>(mut self, rules: Rules<K, V>) -> Self {
        self.rules.add(Arc::new(rules));
        self
    }

    /// As [`Builder::sum_invariant`](crate::Builder::sum_invariant).
    pub fn sum_invariant(mut self, invariant: SumInvariant) -> Self {
        self.rules.add_sum(invariant);
        self
    }

    /// As [`Builder::cross_invariant`](crate::Builder::cross_invariant).
    pub fn cross_invariant<K: Key, V: 'static>(mut self, rule: CrossInvariant<K, V>) -> Self {
        self.rules.add_across(Arc::new(rule));
        self
    }

    /// With all that another one has.
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.procedures.extend(&other.procedures);
        self.rules.extend(&other.rules);
        self
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        self.procedures.check()?;
        Ok(self.rules.check()?)
    }
}
