//! The durable state at one entry, for as long as it is held.

use super::{
    core::{Core, View},
    error::Error,
    iter::Iter,
    outcome::Record,
    reentrancy,
};
use crate::{
    admission::keyspaces::compare,
    base::{KeyspaceId, Row, SeqNo, Totals},
    codec::{AsKey, ByteRange, Key, KeyRange, Keyspace, Prefix, encode_key},
};
use std::{fmt, sync::Arc};

/// The durable state at one entry, unchanged for as long as it is held, and never in the way of a writer.
///
/// It keeps what it shows: the memory of records written over meanwhile, and their pages in the checkpoint's file. So
/// don't hold one longer than needed. Cloning it is cheap.
#[derive(Clone)]
pub struct Snapshot(Arc<Inner>);

struct Inner {
    core: Arc<Core>,
    view: Arc<View>,
    seq: SeqNo,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let live = self.core.live.try_lock();
        // In a forked child it may be locked for ever, and nobody writes.
        let live =
            live.or_else(|| (!self.core.owner.is_elsewhere()).then(|| self.core.live.lock()));
        if let Some(mut live) = live {
            live.remove(self.seq);
        }
    }
}

impl Snapshot {
    pub(super) fn new(core: Arc<Core>) -> Self {
        let view = core.view.read();
        let seq = {
            let mut live = core.live.lock();
            let seq = core.durable();
            live.add(seq);
            seq
        };
        let inner = Inner { view: view.clone(), seq, core: core.clone() };
        drop(view);
        Self(Arc::new(inner))
    }

    /// With the totals after the same entry.
    pub(super) fn with_totals(core: Arc<Core>) -> (Self, Arc<Totals>) {
        // What is durable changes under the lock only.
        let sequencer = core.sequencer.lock();
        let totals = sequencer.durable_totals.clone();
        let snapshot = Self::new(core.clone());
        drop(sequencer);
        (snapshot, totals)
    }

    /// As of the last entry that was applied, durable or not.
    pub(super) fn applied(core: Arc<Core>) -> Self {
        let sequencer = core.sequencer.lock();
        let (view, seq) = (core.view.read().clone(), sequencer.fold.applied);
        core.live.lock().add(seq);
        drop(sequencer);
        Self(Arc::new(Inner { view, seq, core }))
    }

    /// The last entry this shows; 0 before the first.
    #[must_use]
    pub fn seq(&self) -> SeqNo {
        self.0.seq
    }

    /// The record under `key`; `None` when there is none. May read the checkpoint's file.
    ///
    /// # Errors
    /// [`Error::KeyspaceMismatch`]; [`Error::Codec`] when the value is not one of this type; [`Error::Limit`] for an
    /// impossible key; [`Error::Corruption`] when the checkpoint's file is damaged; [`Error::Poisoned`] when the system
    /// can't read it, after which the engine takes no more writes; [`Error::Closed`] when it was closed with the engine.
    pub fn get<K: Key, V>(
        &self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
    ) -> Result<Option<Record<V>>, Error> {
        let key = encode_key(key)?;
        let Some(id) = self.keyspace(keyspace)? else { return Ok(None) };
        let row = self.row(id, &key)?;
        Ok(row.map(|row| Record::decode(keyspace, &row)).transpose()?)
    }

    /// Whether there is a record under `key`. May read the checkpoint's file.
    ///
    /// # Errors
    /// As [`get`](Self::get), except that the value is not decoded.
    pub fn contains<K: Key, V>(
        &self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
    ) -> Result<bool, Error> {
        let key = encode_key(key)?;
        let Some(id) = self.keyspace(keyspace)? else { return Ok(false) };
        Ok(self.row(id, &key)?.is_some())
    }

    /// The records of a range of keys, ascending; descending with `.rev()`. A range that ends before it starts is
    /// empty. Reads nothing before the first item is asked for, then 64 records at a time.
    ///
    /// Errors come as items, as [`get`](Self::get) gives them; after one the iteration ends.
    ///
    /// ```
    /// use std::ops::Bound;
    /// use steadfast::{Engine, Expect, Keyspace, Request};
    ///
    /// const STOCK: Keyspace<(u32, u64), u32> = Keyspace::new("stock"); // (store, product) -> units
    ///
    /// let engine = Engine::in_memory()?;
    /// let request = Request::unkeyed()
    ///     .put(&STOCK, &(4, 10), &1, Expect::Any)
    ///     .put(&STOCK, &(4, 12), &2, Expect::Any)
    ///     .put(&STOCK, &(5, 10), &3, Expect::Any);
    /// engine.commit(request)?.committed()?;
    ///
    /// let snapshot = engine.snapshot();
    /// let mut units = Vec::new();
    /// for item in snapshot.range(&STOCK, (4, 0)..(5, 0)) {
    ///     let (_, record) = item?;
    ///     units.push(record.value);
    /// }
    /// assert_eq!(units, [1, 2]);
    ///
    /// let last = snapshot.range(&STOCK, ..).rev().next().transpose()?;
    /// assert_eq!(last.map(|(key, _)| key), Some((5, 10)));
    ///
    /// // A page that goes on after the key the one before ended with.
    /// let after = (Bound::Excluded((4, 10)), Bound::Unbounded);
    /// let page: Result<Vec<_>, _> = snapshot.range(&STOCK, after).take(100).collect();
    /// assert_eq!(page?.len(), 2);
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    pub fn range<K: Key, V>(
        &self,
        keyspace: &Keyspace<K, V>,
        range: impl KeyRange<K>,
    ) -> Iter<K, V> {
        self.iter(keyspace, ByteRange::of(&range))
    }

    /// The records whose keys begin with `prefix`: leading elements of a tuple, or the start of a string or byte
    /// string. Otherwise as [`range`](Self::range).
    ///
    /// ```
    /// use steadfast::{Engine, Expect, Keyspace, Request};
    ///
    /// const STOCK: Keyspace<(u32, u64), u32> = Keyspace::new("stock");
    /// const USERS: Keyspace<String, u32> = Keyspace::new("users");
    ///
    /// let engine = Engine::in_memory()?;
    /// let request = Request::unkeyed()
    ///     .put(&STOCK, &(4, 10), &1, Expect::Any)
    ///     .put(&STOCK, &(4, 12), &2, Expect::Any)
    ///     .put(&STOCK, &(5, 10), &3, Expect::Any)
    ///     .put(&USERS, "ann", &1, Expect::Any)
    ///     .put(&USERS, "anna", &2, Expect::Any);
    /// engine.commit(request)?.committed()?;
    ///
    /// let snapshot = engine.snapshot();
    /// let store: Result<Vec<_>, _> = snapshot.prefix(&STOCK, (4,)).map(|item| Ok(item?.0)).collect();
    /// assert_eq!(store.map_err(|error: steadfast::Error| error)?, [(4, 10), (4, 12)]);
    /// assert_eq!(snapshot.prefix(&USERS, "ann").count(), 2);
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    pub fn prefix<K: Key, V>(
        &self,
        keyspace: &Keyspace<K, V>,
        prefix: impl Prefix<K>,
    ) -> Iter<K, V> {
        self.iter(keyspace, ByteRange::of_prefix(&prefix))
    }

    /// How many records a keyspace has; 0 for one that nothing was written to. Does not count them one by one.
    ///
    /// # Errors
    /// [`Error::KeyspaceMismatch`]; [`Error::Corruption`], [`Error::Poisoned`] or [`Error::Closed`] from the checkpoint.
    pub fn len<K: Key, V>(&self, keyspace: &Keyspace<K, V>) -> Result<u64, Error> {
        let Some(id) = self.keyspace(keyspace)? else { return Ok(0) };
        let Inner { core, view, seq } = &*self.0;
        let known = view.active.count(id, *seq).or_else(|| view.frozen.as_ref()?.count(id, *seq));
        known.map_or_else(|| view.base.count(id).map_err(|error| core.checkpoint_error(error)), Ok)
    }

    /// The names of the keyspaces that were written to by then, sorted.
    #[must_use]
    pub fn keyspaces(&self) -> Vec<String> {
        let registry = self.0.core.registry.read();
        let names = registry.all(self.0.seq).into_iter();
        names.map(|(name, _)| String::from_utf8_lossy(&name).into_owned()).collect()
    }

    fn iter<K: Key, V>(&self, keyspace: &Keyspace<K, V>, range: ByteRange) -> Iter<K, V> {
        Iter::new(self.clone(), *keyspace, self.keyspace(keyspace), range)
    }

    /// The number of a keyspace, if it exists.
    pub(super) fn keyspace<K: Key, V>(
        &self,
        keyspace: &Keyspace<K, V>,
    ) -> Result<Option<KeyspaceId>, Error> {
        reentrancy::check_read("a snapshot")?;
        keyspace_at(&self.0.core, keyspace, self.0.seq)
    }

    pub(super) fn row(&self, id: KeyspaceId, key: &[u8]) -> Result<Option<Row>, Error> {
        let Inner { core, view, seq } = &*self.0;
        view.row(core, id, key, || *seq)
    }

    pub(super) fn core(&self) -> &Core {
        &self.0.core
    }

    pub(super) fn view(&self) -> &View {
        &self.0.view
    }
}

impl View {
    /// The row as of the entry `at` gives, which must not be before the checkpoint.
    pub(super) fn row(
        &self,
        core: &Core,
        keyspace: KeyspaceId,
        key: &[u8],
        at: impl Fn() -> SeqNo,
    ) -> Result<Option<Row>, Error> {
        match self.in_memory(keyspace, key, at) {
            Some(seen) => Ok(seen),
            None if self.base.meta().applied_seq.get() == 0 => Ok(None),
            None => self.base.record(keyspace, key).map_err(|error| core.checkpoint_error(error)),
        }
    }
}

/// The number of a keyspace as of an entry, if it exists by then and is what the caller thinks.
pub(super) fn keyspace_at<K: Key, V>(
    core: &Core,
    keyspace: &Keyspace<K, V>,
    seq: SeqNo,
) -> Result<Option<KeyspaceId>, Error> {
    let Some(stored) = core.registry.read().at(keyspace.name().as_bytes(), seq) else {
        return Ok(None);
    };
    match compare(&keyspace.identity(), &stored) {
        None => Ok(Some(stored.id)),
        Some(differs) => Err(Error::KeyspaceMismatch { name: keyspace.name().into(), differs }),
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("seq", &self.0.seq).finish_non_exhaustive()
    }
}
