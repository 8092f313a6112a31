//! Invariants across records: what is true of a record and of others that go with it.

mod judge;
mod look;

pub(in crate::admission) use judge::judge;
pub(crate) use judge::{CrossJudge, rehearse};
pub(crate) use look::{Ended, Lookup, Missing, Net};
pub use look::{Look, Unread};

use super::{Enforcement, Severity, Violation};
use crate::{
    base::{Bytes, KeyspaceIdentity, Row, limits::ANCHORS},
    codec::{AsKey, CodecError, Key, Keyspace, Shape, decode_key, encode_key},
};
use std::{fmt, sync::Arc};

/// Something that is true of every record of a keyspace, its *anchors*, together with records of others: a captured payment has its
/// entry in the ledger. Given to [`Builder::cross_invariant`](crate::Builder::cross_invariant), it is judged on every request,
/// `update` and procedure that changes an anchor or a record that anchors depend on, as all of them are after it.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use steadfast::{CrossInvariant, Engine, Expect, Keyspace, Outcome, Rejection, Request, Violation};
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Payment { cents: i64, captured: bool }
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Entry { payment: u64, cents: i64 }
///
/// const PAYMENTS: Keyspace<u64, Payment> = Keyspace::new("payments");
/// const LEDGER: Keyspace<u64, Entry> = Keyspace::new("ledger");
///
/// let booked = CrossInvariant::new("captured is booked", &PAYMENTS, |look, id, payment| {
///     let entry = look.get(&LEDGER, id)?.map(|record| record.value);
///     match entry {
///         Some(entry) if entry.cents == payment.cents => Ok(()),
///         _ if !payment.captured => Ok(()),
///         _ => Err(Violation::new("there is no entry of that amount")),
///     }
/// })
/// .touched_by(&LEDGER, |_, entry| [entry.payment]);
///
/// let engine = Engine::builder().cross_invariant(booked).in_memory()?;
/// let (payment, entry) = (Payment { cents: 100, captured: true }, Entry { payment: 7, cents: 100 });
/// let capture = || Request::unkeyed().put(&PAYMENTS, &7, &payment, Expect::Any);
/// match engine.commit(capture())? {
///     Outcome::Rejected(Rejection::Invariant(broken)) => assert_eq!(broken.invariant, "captured is booked"),
///     other => panic!("{other:?}"),
/// }
/// // Both at once, in any order.
/// engine.commit(capture().put(&LEDGER, &7, &entry, Expect::Any))?.committed()?;
/// // From now on the entry stays.
/// let removed = engine.commit(Request::unkeyed().delete(&LEDGER, &7, Expect::Any))?;
/// assert!(matches!(removed, Outcome::Rejected(Rejection::Invariant(_))));
/// # Ok::<(), steadfast::Error>(())
/// ```
pub struct CrossInvariant<K, V> {
    name: &'static str,
    keyspace: Keyspace<K, V>,
    anchor: Named,
    holds: Holds<K, V>,
    footprint: Vec<Part>,
    severity: Severity,
    enforcement: Enforcement,
    version: u32,
}

type Holds<K, V> = Arc<dyn Fn(&mut Look<'_>, &K, &V) -> Result<(), Violation> + Send + Sync>;

/// A keyspace as a rule names it.
struct Named {
    identity: KeyspaceIdentity,
    shape: Shape,
}

/// A keyspace that is read besides that of the anchors.
struct Part {
    keyspace: Named,
    /// The encoded keys of the anchors that a record of it may concern.
    anchors: Anchors,
}

type Anchors = Arc<dyn Fn(&[u8], &Row) -> Result<Vec<Bytes>, CodecError> + Send + Sync>;

impl<K: Key, V> CrossInvariant<K, V> {
    /// Names an invariant, 1 to 64 bytes, and says when it holds of a record of `anchors`. It is enforced, and an error, unless that is
    /// changed. The function must decide from the record and what it reads through [`Look`] alone, and be fast: all writers wait for
    /// it.
    pub fn new(
        name: &'static str,
        anchors: &Keyspace<K, V>,
        holds: impl Fn(&mut Look<'_>, &K, &V) -> Result<(), Violation> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            keyspace: *anchors,
            anchor: Named::new(anchors),
            holds: Arc::new(holds),
            footprint: Vec::new(),
            severity: Severity::default(),
            enforcement: Enforcement::default(),
            version: 1,
        }
    }

    /// Says that it reads records of `keyspace`, and which anchors a record of it may concern: it is asked about each one that
    /// changes, as it was before and as it is after, and those anchors are judged. One anchor too many costs time; one that is
    /// left out goes by the invariant. Reading a keyspace that was not named like this, under this
    /// definition, is an error ([`ShapeError::Undeclared`](crate::ShapeError)), but for the anchor's own record. Where anchors depend on each other, their own
    /// keyspace is named, too.
    #[must_use]
    pub fn touched_by<L: Key, W: 'static, A>(
        mut self,
        keyspace: &Keyspace<L, W>,
        anchors: impl Fn(&L, &W) -> A + Send + Sync + 'static,
    ) -> Self
    where
        A: IntoIterator,
        A::Item: AsKey<K>,
    {
        let (named, keyspace) = (Named::new(keyspace), *keyspace);
        let anchors = move |key: &[u8], row: &Row| {
            let (key, value) = (decode_key(key)?, keyspace.decode(row.schema, &row.value)?);
            // One too many is enough to be refused.
            let found = anchors(&key, &value).into_iter().take(ANCHORS + 1);
            // There is no record under a key that can't be.
            Ok(found.filter_map(|anchor| encode_key::<K>(&anchor).ok()).collect())
        };
        self.footprint.push(Part { keyspace: named, anchors: Arc::new(anchors) });
        self
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

    /// The version of its code, 1 unless this is said. Raise it when the code changes: the next opening holds all anchors against it.
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }
}

impl Named {
    fn new<K: Key, V>(keyspace: &Keyspace<K, V>) -> Self {
        Self { identity: keyspace.identity(), shape: keyspace.shape() }
    }

    /// Whether this is it, as it was named.
    fn is<K: Key, V>(&self, keyspace: &Keyspace<K, V>) -> bool {
        let Self { identity, shape } = self;
        let KeyspaceIdentity { name, codec, schema, .. } = identity;
        name.as_ref() == keyspace.name().as_bytes()
            && (*codec, *schema) == (keyspace.codec().tag(), keyspace.schema_number())
            && *shape == keyspace.shape()
    }
}

impl<K, V> fmt::Debug for CrossInvariant<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, anchor, footprint, severity, enforcement, .. } = self;
        f.debug_struct("CrossInvariant")
            .field("name", name)
            .field("anchor", &anchor.identity.name)
            .field(
                "footprint",
                &footprint.iter().map(|part| &part.keyspace.identity.name).collect::<Vec<_>>(),
            )
            .field("severity", severity)
            .field("enforcement", enforcement)
            .finish()
    }
}
