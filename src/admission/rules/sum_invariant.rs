//! Invariants of totals.

use super::{Enforcement, NAME_BYTES, Severity, Violation};
use std::{fmt, sync::Arc};

/// Something that is true of totals: money is conserved, what is owed is what is held. Judged whenever one of the totals it names would
/// change, after the guards and invariants of records.
///
/// ```
/// use steadfast::{
///     Engine, Expect, Keyspace, Outcome, Rejection, Request, Rules, SumInvariant, Total, Violation,
/// };
///
/// const ACCOUNTS: Keyspace<String, i64> = Keyspace::new("accounts");
///
/// let cash = Total::new("cash", |_: &String, cents: &i64| i128::from(*cents));
/// let conserved = SumInvariant::new("conserved", ["cash"], |[cash]| {
///     if cash == 0 { Ok(()) } else { Err(Violation::new(format!("off by {cash}"))) }
/// });
/// let engine = Engine::builder()
///     .rules(Rules::of(&ACCOUNTS).total(cash))
///     .sum_invariant(conserved)
///     .in_memory()?;
///
/// let transfer = Request::unkeyed()
///     .put(&ACCOUNTS, "ann", &-5, Expect::Absent)
///     .put(&ACCOUNTS, "bob", &5, Expect::Absent);
/// engine.commit(transfer)?.committed()?;
/// match engine.commit(Request::unkeyed().put(&ACCOUNTS, "bob", &6, Expect::Any))? {
///     Outcome::Rejected(Rejection::SumInvariant(broken)) => {
///         assert_eq!((&broken.invariant[..], &broken.reason[..]), ("conserved", "off by 1"));
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), steadfast::Error>(())
/// ```
#[derive(Clone)]
pub struct SumInvariant {
    name: &'static str,
    totals: Vec<&'static str>,
    holds: Holds,
    severity: Severity,
    enforcement: Enforcement,
    version: u32,
}

type Holds = Arc<dyn Fn(&[i128]) -> Result<(), Violation> + Send + Sync>;

impl SumInvariant {
    /// Names an invariant, 1 to 64 bytes, and the [totals](crate::Total) it is about, and says when it holds of them. It is enforced, and an
    /// error, unless that is changed. The function must decide from what it is given alone, and be fast: all writers wait for it.
    pub fn new<const N: usize>(
        name: &'static str,
        totals: [&'static str; N],
        holds: impl Fn([i128; N]) -> Result<(), Violation> + Send + Sync + 'static,
    ) -> Self {
        let holds = move |values: &[i128]| {
            holds(values.try_into().expect("there is a value for each of the names"))
        };
        Self {
            name,
            totals: totals.to_vec(),
            holds: Arc::new(holds),
            severity: Severity::default(),
            enforcement: Enforcement::default(),
            version: 1,
        }
    }

    /// How bad it is when it does not hold.
    #[must_use]
    pub const fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// What is done about a request that would break it.
    #[must_use]
    pub const fn enforcement(mut self, enforcement: Enforcement) -> Self {
        self.enforcement = enforcement;
        self
    }

    /// The version of its code, 1 unless it is said here. Another one than the database was last written under makes the next opening
    /// hold the totals against it.
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn totals(&self) -> &[&'static str] {
        &self.totals
    }

    pub(crate) const fn how(&self) -> (Severity, Enforcement) {
        (self.severity, self.enforcement)
    }

    pub(super) const fn declared_version(&self) -> u32 {
        self.version
    }

    /// What is wrong with the declaration.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        if !(1..=NAME_BYTES).contains(&self.name.len()) {
            Some("its name has not 1 to 64 bytes")
        } else if self.totals.is_empty() {
            Some("it is about no total")
        } else {
            None
        }
    }

    /// Whether it holds of the values of its totals.
    pub(super) fn judge(&self, values: &[i128]) -> Result<(), Violation> {
        (self.holds)(values)
    }
}

impl fmt::Debug for SumInvariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, totals, severity, enforcement, version, .. } = self;
        f.debug_struct("SumInvariant")
            .field("name", name)
            .field("totals", totals)
            .field("severity", severity)
            .field("enforcement", enforcement)
            .field("version", version)
            .finish()
    }
}
