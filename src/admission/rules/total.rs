//! Totals: sums over all records of a keyspace, kept as records change.

use super::NAME_BYTES;
use std::{fmt, sync::Arc};

/// A sum over all records of a keyspace, which the engine keeps: by each entry that changes it, exactly, in 128 bits. What must be true
/// of totals is a [`SumInvariant`](crate::SumInvariant); [`Engine::totals`](crate::Engine::totals) tells them.
///
/// ```
/// use steadfast::{Engine, Expect, Keyspace, Request, Rules, Total};
///
/// const ACCOUNTS: Keyspace<String, i64> = Keyspace::new("accounts");
///
/// let cash = Total::new("cash", |_: &String, cents: &i64| i128::from(*cents));
/// let engine = Engine::builder().rules(Rules::of(&ACCOUNTS).total(cash)).in_memory()?;
/// engine.commit(Request::unkeyed().put(&ACCOUNTS, "ann", &5, Expect::Any))?.committed()?;
/// engine.commit(Request::unkeyed().put(&ACCOUNTS, "bob", &7, Expect::Any))?.committed()?;
/// engine.commit(Request::unkeyed().put(&ACCOUNTS, "ann", &-1, Expect::Any))?.committed()?;
/// assert_eq!(engine.totals().get("cash"), Some(6));
/// # Ok::<(), steadfast::Error>(())
/// ```
pub struct Total<K, V> {
    name: &'static str,
    amount: Amount<K, V>,
    version: u32,
}

type Amount<K, V> = Arc<dyn Fn(&K, &V) -> i128 + Send + Sync>;

impl<K, V> Total<K, V> {
    /// Names a total, 1 to 64 bytes, and says what each record counts in it. The function must decide from what it is given alone,
    /// and be fast: all writers wait for it.
    pub fn new(
        name: &'static str,
        amount: impl Fn(&K, &V) -> i128 + Send + Sync + 'static,
    ) -> Self {
        Self { name, amount: Arc::new(amount), version: 1 }
    }

    /// The version of its code, 1 unless it is said here. Another one than the database was last written under makes the next
    /// opening count all records anew: **raise it whenever the function comes to count otherwise**, or the total stays wrong by what
    /// it counted before.
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) const fn declared_version(&self) -> u32 {
        self.version
    }

    /// What is wrong with the declaration.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        let named = (1..=NAME_BYTES).contains(&self.name.len());
        (!named).then_some("its name has not 1 to 64 bytes")
    }

    pub(super) fn amount(&self, key: &K, value: &V) -> i128 {
        (self.amount)(key, value)
    }
}

impl<K, V> fmt::Debug for Total<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Total").field("name", &self.name).field("version", &self.version).finish()
    }
}

/// An exact sum of any numbers. On the way it may be what no total can be: only the end counts, so no order matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    /// The sum is this, plus 2^128 times `high`.
    low: i128,
    high: i64,
}

impl Sum {
    pub(crate) const fn add(&mut self, amount: i128) {
        let (low, over) = self.low.overflowing_add(amount);
        self.low = low;
        if over {
            self.high += if amount > 0 { 1 } else { -1 };
        }
    }

    pub(crate) const fn sub(&mut self, amount: i128) {
        let (low, over) = self.low.overflowing_sub(amount);
        self.low = low;
        if over {
            self.high += if amount > 0 { -1 } else { 1 };
        }
    }

    /// The sum; `None` when no total can be that.
    pub(crate) const fn value(self) -> Option<i128> {
        if self.high == 0 { Some(self.low) } else { None }
    }
}

/// Sums by name: few.
#[derive(Debug, Default)]
pub(crate) struct Sums(Vec<(&'static str, Sum)>);

impl Sums {
    pub(crate) fn of(&mut self, name: &'static str) -> &mut Sum {
        let there = self.0.iter().position(|(there, _)| *there == name);
        let place = there.unwrap_or_else(|| {
            self.0.push((name, Sum::default()));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, Sum)> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn number() -> impl Strategy<Value = i128> {
        let near = |edge: i128| {
            (0..3i128).prop_map(move |n| edge.saturating_sub(n.signum() * n * edge.signum()))
        };
        prop_oneof![near(i128::MAX), near(i128::MIN), -3..3i128, any::<i128>()]
    }

    proptest! {
        #[test]
        fn a_sum_is_exact_in_any_order(numbers in vec((number(), any::<bool>()), 0..12)) {
            let mut sum = Sum::default();
            // In two halves of 64 bits, which can't run over.
            let (mut high, mut low) = (0i128, 0i128);
            for (number, subtracted) in &numbers {
                let sign = if *subtracted { -1 } else { 1 };
                if *subtracted { sum.sub(*number) } else { sum.add(*number) }
                high += sign * (number >> 64);
                low += sign * (number & i128::from(u64::MAX));
            }
            let high = high + (low >> 64);
            let fits = i64::try_from(high).is_ok();
            let due = fits.then(|| high << 64 | (low & i128::from(u64::MAX)));
            prop_assert_eq!(sum.value(), due);
            let mut backwards = Sum::default();
            for (number, subtracted) in numbers.iter().rev() {
                if *subtracted { backwards.sub(*number) } else { backwards.add(*number) }
            }
            prop_assert_eq!(backwards, sum);
        }
    }
}
