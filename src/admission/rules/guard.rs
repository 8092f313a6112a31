//! Transition guards: a table of the states a field of a record may go through.

use super::{NAME_BYTES, STATE_BYTES, STATES};
use crate::base::{Bytes, Transition};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// The states a field of a record may go through, from its creation to its removal, as a table. What is not in it is
/// refused: [`Rejection::IllegalTransition`](crate::Rejection), which is remembered. A record whose state stays as it is may be
/// written.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use steadfast::{Engine, Expect, Guard, Keyspace, Outcome, Rejection, Request, Rules};
///
/// #[derive(Clone, Copy, Serialize, Deserialize)]
/// enum Status { Pending, Paid, Canceled }
///
/// const ORDERS: Keyspace<u64, Status> = Keyspace::new("orders");
///
/// let status = Guard::new("status", |status: &Status| match status {
///     Status::Pending => "pending",
///     Status::Paid => "paid",
///     Status::Canceled => "canceled",
/// })
/// .creates(&["pending"])
/// .allows("pending", &["paid", "canceled"])
/// .removes(&["canceled"]);
///
/// let engine = Engine::builder().rules(Rules::of(&ORDERS).guard(status)).in_memory()?;
/// let put = |status| Request::unkeyed().put(&ORDERS, &1, &status, Expect::Any);
/// engine.commit(put(Status::Pending))?.committed()?;
/// engine.commit(put(Status::Paid))?.committed()?;
/// match engine.commit(put(Status::Canceled))? {
///     Outcome::Rejected(Rejection::IllegalTransition(illegal)) => {
///         assert_eq!((illegal.from.as_deref(), illegal.to.as_deref()), (Some("paid"), Some("canceled")));
///         assert!(illegal.allowed.is_empty());
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), steadfast::Error>(())
/// ```
pub struct Guard<V> {
    field: &'static str,
    state: State<V>,
    /// What each state may become; `None` for no record.
    table: Table,
    version: u32,
}

type Table = BTreeMap<Option<&'static str>, BTreeSet<Option<&'static str>>>;

type State<V> = Arc<dyn Fn(&V) -> &'static str + Send + Sync>;

impl<V> Guard<V> {
    /// Names a field, 1 to 64 bytes, and says what state it is in: up to 32 of them, of 1 to 32 bytes. As yet it allows nothing.
    pub fn new(
        field: &'static str,
        state: impl Fn(&V) -> &'static str + Send + Sync + 'static,
    ) -> Self {
        Self { field, state: Arc::new(state), table: BTreeMap::new(), version: 1 }
    }

    /// Records may be created in these states.
    #[must_use]
    pub fn creates(self, states: &[&'static str]) -> Self {
        self.allow(None, states.iter().copied().map(Some))
    }

    /// Records in the state `from` may go into these states.
    #[must_use]
    pub fn allows(self, from: &'static str, states: &[&'static str]) -> Self {
        self.allow(Some(from), states.iter().copied().map(Some))
    }

    /// Records in these states may be removed.
    #[must_use]
    pub fn removes(self, states: &[&'static str]) -> Self {
        states.iter().fold(self, |this, state| this.allow(Some(state), [None]))
    }

    /// The version of the code that says what state the field is in, 1 unless it is said here. It is recorded with the table, so that
    /// the log tells which guard an entry was judged by.
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    fn allow(
        mut self,
        from: Option<&'static str>,
        to: impl IntoIterator<Item = Option<&'static str>>,
    ) -> Self {
        self.table.entry(from).or_default().extend(to);
        self
    }

    pub(super) const fn field(&self) -> &'static str {
        self.field
    }

    pub(super) const fn table(&self) -> &Table {
        &self.table
    }

    pub(super) const fn declared_version(&self) -> u32 {
        self.version
    }

    /// What is wrong with the declaration.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        let mut states: BTreeSet<&'static str> = BTreeSet::new();
        for (from, to) in &self.table {
            states.extend(from.iter().chain(to.iter().flatten()));
        }
        if self.field.is_empty() || self.field.len() > NAME_BYTES {
            Some("the name of its field has not 1 to 64 bytes")
        } else if states.len() > STATES {
            Some("it has more than 32 states")
        } else if states.iter().any(|state| state.is_empty() || state.len() > STATE_BYTES) {
            Some("a state has not 1 to 32 bytes")
        } else {
            None
        }
    }

    /// The transition from `old` to `new`, if it is illegal.
    pub(super) fn judge(&self, old: Option<&V>, new: Option<&V>) -> Option<Transition> {
        let (from, to) =
            (old.map(|value| (self.state)(value)), new.map(|value| (self.state)(value)));
        let allowed = self.table.get(&from);
        if from == to || allowed.is_some_and(|allowed| allowed.contains(&to)) {
            return None;
        }
        // A state that is not in the table can be of any length.
        let name = |state: &'static str| Bytes::copy_from_slice(cut(state, STATE_BYTES).as_bytes());
        Some(Transition {
            field: Bytes::copy_from_slice(self.field.as_bytes()),
            from: from.map(name),
            to: to.map(name),
            allowed: allowed.into_iter().flatten().map(|state| state.map(name)).collect(),
        })
    }
}

/// The first of `text`, at most so many bytes.
pub(super) fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

impl<V> fmt::Debug for Guard<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("field", &self.field).field("table", &self.table).finish()
    }
}
