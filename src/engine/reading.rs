//! Reads of durable state, one record at a time, and snapshots for more.

use super::{Engine, Error, Record, Snapshot, reentrancy, snapshot};
use crate::codec::{AsKey, Key, Keyspace, encode_key};

impl Engine {
    /// The durable record under `key`; `None` when there is none. May read the checkpoint's file.
    ///
    /// # Errors
    /// As [`Snapshot::get`]; [`Error::Closed`].
    pub fn get<K: Key, V>(
        &self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
    ) -> Result<Option<Record<V>>, Error> {
        let row = self.row(keyspace, key)?;
        Ok(row.map(|row| Record::decode(keyspace, &row)).transpose()?)
    }

    /// Whether there is a durable record under `key`. May read the checkpoint's file.
    ///
    /// # Errors
    /// As [`Snapshot::contains`]; [`Error::Closed`].
    pub fn contains<K: Key, V>(
        &self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
    ) -> Result<bool, Error> {
        Ok(self.row(keyspace, key)?.is_some())
    }

    /// The durable records under several keys, all at one entry, in the order of the keys: `None` where there is none.
    /// May read the checkpoint's file.
    ///
    /// ```
    /// use steadfast::{Engine, Expect, Keyspace, Request};
    ///
    /// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    ///
    /// let engine = Engine::in_memory()?;
    /// let request = Request::unkeyed().put(&STOCK, &1, &10, Expect::Any).put(&STOCK, &2, &20, Expect::Any);
    /// engine.commit(request)?.committed()?;
    /// let records = engine.get_many(&STOCK, [2, 3, 1])?;
    /// let values: Vec<_> = records.into_iter().map(|record| record.map(|record| record.value)).collect();
    /// assert_eq!(values, [Some(20), None, Some(10)]);
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Snapshot::get`]; [`Error::Closed`].
    pub fn get_many<K: Key, V, Q: AsKey<K>>(
        &self,
        keyspace: &Keyspace<K, V>,
        keys: impl IntoIterator<Item = Q>,
    ) -> Result<Vec<Option<Record<V>>>, Error> {
        self.check_open()?;
        let snapshot = self.snapshot();
        keys.into_iter().map(|key| snapshot.get(keyspace, &key)).collect()
    }

    /// The durable state as it is now, for as long as the snapshot is held. Does no I/O and copies no records.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.0.core.clone())
    }

    /// The state as it is now, what is not durable yet included: a power cut can take what this shows. The first time after an
    /// opening this can sync a name in the directory; where that fails, it is a [`snapshot`](Self::snapshot). Otherwise as
    /// that.
    #[must_use]
    pub fn snapshot_applied(&self) -> Snapshot {
        reentrancy::assert_outside("snapshot_applied");
        // Without that, what a crash takes of it could come back as something else, of the same version.
        if self.core().begin().is_err() {
            return self.snapshot();
        }
        Snapshot::applied(self.0.core.clone())
    }

    /// How many durable records a keyspace has; 0 for one that nothing was written to. Does not count them one by one.
    ///
    /// # Errors
    /// As [`Snapshot::len`]; [`Error::Closed`].
    pub fn len<K: Key, V>(&self, keyspace: &Keyspace<K, V>) -> Result<u64, Error> {
        self.check_open()?;
        self.snapshot().len(keyspace)
    }

    /// The names of the keyspaces that were ever written to, sorted.
    #[must_use]
    pub fn keyspaces(&self) -> Vec<String> {
        self.snapshot().keyspaces()
    }

    fn row<K: Key, V>(
        &self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
    ) -> Result<Option<crate::base::Row>, Error> {
        self.check_open()?;
        let core = self.core();
        let key = encode_key(key)?;
        let view = core.view.read().clone();
        let Some(id) = snapshot::keyspace_at(core, keyspace, core.durable())? else {
            return Ok(None);
        };
        view.row(core, id, &key, || core.durable())
    }
}
