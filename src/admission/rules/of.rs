//! The rules of one keyspace, and how they are judged on a record of it.

use super::{
    Enforcement, Guard, Invariant, Sums, Total,
    book::{Judge, Judged, Monitored, Unjudged, broken},
    contained,
    marks::{Marked, of_guard, of_invariant, of_total},
};
use crate::{
    base::{KeyspaceIdentity, Row},
    codec::{Key, Keyspace, decode_key},
};
use std::fmt;

/// What must hold of the records of one keyspace. Given to [`Builder::rules`](crate::Builder::rules), it is judged on every request,
/// `update` and procedure that writes them, on the net change of each record: first the guards of all records, then the invariants.
///
/// ```
/// use steadfast::{Engine, Expect, Invariant, Keyspace, Outcome, Rejection, Request, Rules, Violation};
///
/// const ACCOUNTS: Keyspace<String, i64> = Keyspace::new("accounts");
///
/// let solvent = Invariant::new("solvent", |_: &String, cents: &i64| {
///     if *cents < 0 { Err(Violation::new(format!("{cents} cents"))) } else { Ok(()) }
/// });
/// let engine = Engine::builder().rules(Rules::of(&ACCOUNTS).invariant(solvent)).in_memory()?;
/// engine.commit(Request::unkeyed().put(&ACCOUNTS, "ann", &5, Expect::Any))?.committed()?;
/// match engine.commit(Request::unkeyed().put(&ACCOUNTS, "ann", &-1, Expect::Any))? {
///     Outcome::Rejected(Rejection::Invariant(broken)) => {
///         assert_eq!((&broken.invariant[..], &broken.reason[..]), ("solvent", "-1 cents"));
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), steadfast::Error>(())
/// ```
pub struct Rules<K, V> {
    keyspace: Keyspace<K, V>,
    guards: Vec<Guard<V>>,
    invariants: Vec<Invariant<K, V>>,
    totals: Vec<Total<K, V>>,
}

impl<K: Key, V> Rules<K, V> {
    /// No rules yet, of this keyspace.
    #[must_use]
    pub fn of(keyspace: &Keyspace<K, V>) -> Self {
        let (guards, invariants, totals) = (Vec::new(), Vec::new(), Vec::new());
        Self { keyspace: *keyspace, guards, invariants, totals }
    }

    /// Adds a guard; two of one keyspace must be of different fields.
    #[must_use]
    pub fn guard(mut self, guard: Guard<V>) -> Self {
        self.guards.push(guard);
        self
    }

    /// Adds an invariant; its name must be its own among all that the engine has.
    #[must_use]
    pub fn invariant(mut self, invariant: Invariant<K, V>) -> Self {
        self.invariants.push(invariant);
        self
    }

    /// Adds a total; its name must be its own among all totals that the engine has.
    #[must_use]
    pub fn total(mut self, total: Total<K, V>) -> Self {
        self.totals.push(total);
        self
    }

    /// Decoding is the caller's own code, too.
    fn decode(&self, row: Option<&Row>) -> Result<Option<V>, Unjudged> {
        let Some(row) = row else { return Ok(None) };
        let decode = || self.keyspace.decode(row.schema, &row.value);
        Ok(Some(Self::run(self.keyspace.name(), decode)??))
    }

    fn key(&self, key: &[u8]) -> Result<K, Unjudged> {
        Ok(Self::run(self.keyspace.name(), || decode_key(key))??)
    }

    /// Whether any rule refuses anything.
    fn refuses(&self) -> bool {
        let enforced = |invariant: &Invariant<K, V>| invariant.how().1 == Enforcement::Enforce;
        !self.guards.is_empty() || self.invariants.iter().any(enforced)
    }

    /// Runs code of the caller's; a panic in it ends the request.
    fn run<T>(rule: &'static str, code: impl FnOnce() -> T) -> Result<T, Unjudged> {
        contained(rule, code)
    }
}

impl<K: Key, V> Judge for Rules<K, V> {
    fn identity(&self) -> KeyspaceIdentity {
        self.keyspace.identity()
    }

    fn fields(&self) -> Vec<&'static str> {
        self.guards.iter().map(Guard::field).collect()
    }

    fn invariants(&self) -> Vec<(&'static str, super::Severity, Enforcement)> {
        let how = |invariant: &Invariant<K, V>| {
            let (severity, enforcement) = invariant.how();
            (invariant.name(), severity, enforcement)
        };
        self.invariants.iter().map(how).collect()
    }

    fn totals(&self) -> Vec<&'static str> {
        self.totals.iter().map(Total::name).collect()
    }

    fn marks(&self) -> Vec<Marked> {
        let identity = self.identity();
        let guards = self.guards.iter().map(|guard| of_guard(&identity, guard));
        let invariants = self.invariants.iter().map(|rule| of_invariant(&identity, rule));
        let totals = self.totals.iter().map(|total| of_total(&identity, total));
        guards.chain(invariants).chain(totals).collect()
    }

    fn flaw(&self) -> Option<(&'static str, &'static str)> {
        let guards = self.guards.iter().filter_map(|guard| Some((guard.field(), guard.flaw()?)));
        let invariants = self.invariants.iter();
        let invariants =
            invariants.filter_map(|invariant| Some((invariant.name(), invariant.flaw()?)));
        let totals = self.totals.iter();
        let totals = totals.filter_map(|total| Some((total.name(), total.flaw()?)));
        guards.chain(invariants).chain(totals).next()
    }

    fn judge(
        &self,
        key: &[u8],
        old: Option<&Row>,
        new: Option<&Row>,
        monitored: &mut Vec<Monitored>,
    ) -> Result<Judged, Unjudged> {
        let new = match self.decode(new) {
            // What is only monitored refuses nothing.
            Err(_) if !self.refuses() => return Ok(Judged::Holds),
            new => new?,
        };
        if !self.guards.is_empty() {
            let old = self.decode(old)?;
            for guard in &self.guards {
                let judged = Self::run(guard.field(), || guard.judge(old.as_ref(), new.as_ref()))?;
                if let Some(transition) = judged {
                    return Ok(Judged::Illegal(transition));
                }
            }
        }
        let Some(value) = new.filter(|_| !self.invariants.is_empty()) else {
            return Ok(Judged::Holds);
        };
        let typed = match self.key(key) {
            Err(_) if !self.refuses() => return Ok(Judged::Holds),
            typed => typed?,
        };
        for invariant in &self.invariants {
            let name = invariant.name();
            let (severity, enforcement) = invariant.how();
            let judged = Self::run(name, || invariant.judge(&typed, &value));
            match (enforcement, judged) {
                (_, Ok(Ok(()))) => {}
                (Enforcement::Enforce, Err(unjudged)) => return Err(unjudged),
                (Enforcement::Enforce, Ok(Err(violation))) => {
                    return Ok(Judged::Broken(broken(name, severity, &violation)));
                }
                (Enforcement::Monitor, _) => {
                    monitored.push(Monitored { invariant: name, key: Some(key.into()) });
                }
            }
        }
        Ok(Judged::Holds)
    }

    fn sum(
        &self,
        key: &[u8],
        old: Option<&Row>,
        new: Option<&Row>,
        sums: &mut Sums,
    ) -> Result<(), Unjudged> {
        let (key, old, new) = (self.key(key)?, self.decode(old)?, self.decode(new)?);
        for total in &self.totals {
            let name = total.name();
            let amount = |value: &Option<V>| {
                let amount = |value: &V| Self::run(name, || total.amount(&key, value));
                value.as_ref().map_or(Ok(0), amount)
            };
            let (old, new) = (amount(&old)?, amount(&new)?);
            let sum = sums.of(name);
            sum.sub(old);
            sum.add(new);
        }
        Ok(())
    }

    fn audit(&self, key: &[u8], row: &Row, broken: &mut Vec<Monitored>) -> Result<(), Unjudged> {
        let typed = self.key(key)?;
        let Some(value) = self.decode(Some(row))? else { return Ok(()) };
        for invariant in &self.invariants {
            let name = invariant.name();
            if Self::run(name, || invariant.judge(&typed, &value))?.is_err() {
                broken.push(Monitored { invariant: name, key: Some(key.into()) });
            }
        }
        Ok(())
    }
}

impl<K: Key, V> fmt::Debug for Rules<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("keyspace", &self.keyspace.name())
            .field("guards", &self.guards)
            .field("invariants", &self.invariants)
            .field("totals", &self.totals)
            .finish()
    }
}
