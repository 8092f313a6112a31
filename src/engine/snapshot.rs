//! The durable state at one entry, for as long as it is held.

use super::{
    core::{Core, View},
    error::Error,
    iter::Iter,
    outcome::Record,
};
use crate::{
    admission::keyspaces::compare,
    base::{KeyspaceId, Row, SeqNo},
    codec::{AsKey, ByteRange, Key, KeyRange, Keyspace, Prefix, encode_key},
};
use std::{fmt, sync::Arc};

/// The durable state at one entry, unchanged for as long as it is held, and never in the way of a writer.
///
/// It keeps what it shows: the memory of records written over meanwhile, and their pages in the checkpoint.
#[derive(Clone)]
pub struct Snapshot(Arc<Inner>);

struct Inner {
    core: Arc<Core>,
    view: Arc<View>,
    seq: SeqNo,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.core.live.lock().remove(self.seq);
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

    /// The last entry this shows.
    #[must_use]
    pub fn seq(&self) -> SeqNo {
        self.0.seq
    }

    /// The record under `key`; `None` when there is none. May read the checkpoint's file.
    ///
    /// # Errors
    /// [`Error::KeyspaceMismatch`], [`Error::Codec`] when the value is not one of this type, [`Error::Limit`] for an
    /// impossible key, [`Error::Corruption`] or [`Error::Io`] from the checkpoint.
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

    /// Whether there is a record under `key`.
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
    /// empty.
    ///
    /// An error of the keyspace comes as the first item.
    pub fn range<K: Key, V>(&self, keyspace: &Keyspace<K, V>, range: impl KeyRange<K>) -> Iter<K, V> {
        self.iter(keyspace, ByteRange::of(&range))
    }

    /// The records whose keys begin with `prefix`: leading elements of a tuple, or the start of a string or byte
    /// string. Ascending; descending with `.rev()`.
    ///
    /// An error of the keyspace comes as the first item.
    pub fn prefix<K: Key, V>(&self, keyspace: &Keyspace<K, V>, prefix: impl Prefix<K>) -> Iter<K, V> {
        self.iter(keyspace, ByteRange::of_prefix(&prefix))
    }

    /// How many records a keyspace has. Does not count them one by one.
    ///
    /// # Errors
    /// [`Error::KeyspaceMismatch`], [`Error::Corruption`] or [`Error::Io`] from the checkpoint.
    pub fn len<K: Key, V>(&self, keyspace: &Keyspace<K, V>) -> Result<u64, Error> {
        let Some(id) = self.keyspace(keyspace)? else { return Ok(0) };
        let Inner { core, view, seq } = &*self.0;
        let known = view
            .active
            .count(id, *seq)
            .or_else(|| view.frozen.as_ref()?.count(id, *seq));
        known.map_or_else(|| view.base.count(id).map_err(|error| core.checkpoint_error(error)), Ok)
    }

    /// The names of the keyspaces there are, sorted.
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
    pub(super) fn keyspace<K: Key, V>(&self, keyspace: &Keyspace<K, V>) -> Result<Option<KeyspaceId>, Error> {
        keyspace_at(&self.0.core, keyspace, self.0.seq)
    }

    fn row(&self, id: KeyspaceId, key: &[u8]) -> Result<Option<Row>, Error> {
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
    let Some(stored) = core.registry.read().at(keyspace.name().as_bytes(), seq) else { return Ok(None) };
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
