//! What an invariant across records is judged on: the records as they are after a request.

use super::{
    super::{Unjudged, Violation},
    Named, Part,
};
use crate::{
    admission::{
        keyspaces::{Mismatch, compare},
        shape::ShapeError,
    },
    base::{
        Bytes, KeyspaceDefinition, KeyspaceId, KeyspaceIdentity, KeyspaceRef, LogTime, Row,
        limits::{ANCHOR_READS, INVARIANT_READS, check},
    },
    codec::{AsKey, Key, Keyspace, Record, encode_key},
    state::draft::Change,
};
use std::{cell::Cell, collections::BTreeMap, fmt};

/// What a [`CrossInvariant`](crate::CrossInvariant) reads through: the records as they would be after the request, or, in an audit, as
/// they are.
pub struct Look<'a> {
    pub(super) net: &'a Net<'a>,
    pub(super) lookup: &'a mut dyn Lookup,
    pub(super) rule: &'static str,
    /// The anchor that is judged.
    pub(super) anchor: (&'a Named, &'a Bytes),
    /// What else may be read.
    pub(super) footprint: &'a [Part],
    pub(super) reads: usize,
    /// Why nothing comes of it, whatever the code makes of that.
    pub(super) ended: Option<Ended>,
}

/// What could not be read, by [`Look::get`]. It is to be passed on, by `?`: the engine knows why, and fetches what is on the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Unread(());

impl From<Unread> for Violation {
    /// Nobody is told this one.
    fn from(_: Unread) -> Self {
        Self::new("it could not be judged")
    }
}

impl fmt::Debug for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unread")
    }
}

/// Where the rows are that a request does not change.
pub(crate) trait Lookup {
    /// The newest definition of a keyspace.
    fn definition(&self, name: &[u8]) -> Option<KeyspaceDefinition>;
    /// The newest row of a record.
    fn row(&mut self, keyspace: KeyspaceId, key: &Bytes) -> Result<Option<Row>, Missing>;
}

/// A row is not at hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Missing;

/// Why a judgement ended before there was one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ended {
    /// A row is not at hand.
    Cold,
    /// It can't be judged, ever.
    Unjudged(Unjudged),
}

impl From<Missing> for Ended {
    fn from(_: Missing) -> Self {
        Self::Cold
    }
}

impl From<Unjudged> for Ended {
    fn from(unjudged: Unjudged) -> Self {
        Self::Unjudged(unjudged)
    }
}

/// What a request changes, and when: as nothing but the rules across records needs it.
pub(crate) struct Net<'a> {
    /// The keyspaces it names.
    keyspaces: &'a [KeyspaceIdentity],
    /// Their numbers, those included that it defines.
    numbers: &'a [KeyspaceRef],
    changes: BTreeMap<(KeyspaceId, &'a Bytes), &'a Change>,
    pub now: LogTime,
    /// Records that were read so far, by all invariants together.
    reads: Cell<usize>,
}

impl<'a> Net<'a> {
    pub(crate) fn new(
        keyspaces: &'a [KeyspaceIdentity],
        numbers: &'a [KeyspaceRef],
        changes: impl Iterator<Item = &'a Change>,
        now: LogTime,
    ) -> Self {
        let changes = changes.map(|change| ((change.keyspace, &change.key), change)).collect();
        Self { keyspaces, numbers, changes, now, reads: Cell::new(0) }
    }

    /// Of a request that changes nothing.
    pub(crate) const fn none(now: LogTime) -> Self {
        let reads = Cell::new(0);
        Self { keyspaces: &[], numbers: &[], changes: BTreeMap::new(), now, reads }
    }

    /// How the request names a keyspace, and the number that has; none when it does not name it.
    fn named(&self, name: &Bytes) -> Option<(&KeyspaceIdentity, KeyspaceId)> {
        let position = self.keyspaces.iter().position(|keyspace| keyspace.name == *name)?;
        Some((&self.keyspaces[position], self.numbers[position].id))
    }

    /// The changes in a keyspace, by key. It must be what the rule thinks it is.
    pub(crate) fn changed(
        &self,
        keyspace: &KeyspaceIdentity,
    ) -> Result<impl Iterator<Item = &Change>, Unjudged> {
        let named = self.named(&keyspace.name);
        let number = named.map(|(_, number)| number);
        let changes = self.changes.values().copied();
        let mut changes = changes.filter(move |change| Some(change.keyspace) == number).peekable();
        if let Some((given, _)) = named
            && changes.peek().is_some()
        {
            agree(keyspace, &as_stored(given))?;
        }
        Ok(changes)
    }

    /// The row of a record before and after the request.
    pub(super) fn rows(
        &self,
        lookup: &mut dyn Lookup,
        keyspace: &KeyspaceIdentity,
        key: &Bytes,
    ) -> Result<[Option<Row>; 2], Ended> {
        let Some(id) = self.number(lookup, keyspace)? else { return Ok([None, None]) };
        if let Some(Change { old, new, .. }) = self.changes.get(&(id, key)) {
            return Ok([old.clone(), new.clone()]);
        }
        let row = lookup.row(id, key)?;
        Ok([row.clone(), row])
    }

    /// The number of a keyspace, if it exists and is what the rule thinks it is.
    fn number(
        &self,
        lookup: &dyn Lookup,
        keyspace: &KeyspaceIdentity,
    ) -> Result<Option<KeyspaceId>, Unjudged> {
        if let Some((given, id)) = self.named(&keyspace.name) {
            agree(keyspace, &as_stored(given))?;
            return Ok((id != KeyspaceId::NONE).then_some(id));
        }
        let Some(stored) = lookup.definition(&keyspace.name) else { return Ok(None) };
        agree(keyspace, &stored)?;
        Ok(Some(stored.id))
    }
}

/// A keyspace as a request names it, as it will be stored.
fn as_stored(given: &KeyspaceIdentity) -> KeyspaceDefinition {
    let KeyspaceIdentity { shape, codec, schema, .. } = given;
    KeyspaceDefinition {
        id: KeyspaceId::NONE,
        shape: shape.clone(),
        codec: *codec,
        schema: *schema,
    }
}

/// Whether a rule thinks of a keyspace what it is.
fn agree(keyspace: &KeyspaceIdentity, stored: &KeyspaceDefinition) -> Result<(), Unjudged> {
    let name = keyspace.name.clone();
    match compare(keyspace, stored) {
        None => Ok(()),
        Some(differs) => Err(Unjudged::Keyspace(Mismatch { name, differs })),
    }
}

impl<'a> Look<'a> {
    /// The record under `key`, as it is after the request; `None` when there is none, or can't be one under this key. What the
    /// request writes has its version, time and actor already.
    ///
    /// # Errors
    /// [`Unread`], which is to be passed on: it is not in memory, and the invariant is judged again once it is; or it does not decode,
    /// the keyspace is not part of the footprint or not what it was, or this is the 257th read. Those end the request.
    pub fn get<K: Key, V>(
        &mut self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
    ) -> Result<Option<Record<V>>, Unread> {
        self.read(keyspace, key).map_err(|ended| {
            self.ended.get_or_insert(ended);
            Unread(())
        })
    }

    /// What time it is: that of the request's entry, or, in an audit, the log time at which it looks.
    #[must_use]
    pub fn now(&self) -> LogTime {
        self.net.now
    }

    fn read<K: Key, V>(
        &mut self,
        keyspace: &Keyspace<K, V>,
        key: &(impl AsKey<K> + ?Sized),
    ) -> Result<Option<Record<V>>, Ended> {
        self.reads += 1;
        check("records that an invariant reads to judge one", self.reads, 0, ANCHOR_READS)
            .map_err(Unjudged::Limit)?;
        let all = self.net.reads.get() + 1;
        self.net.reads.set(all);
        check("records that invariants read for one request", all, 0, INVARIANT_READS)
            .map_err(Unjudged::Limit)?;
        let key = encode_key(key).ok();
        let identity = self.declared(keyspace, key.as_ref())?;
        let Some(key) = key else { return Ok(None) };
        let [_, row] = self.net.rows(self.lookup, identity, &key)?;
        let record = row.map(|row| Record::decode(keyspace, &row)).transpose();
        Ok(record.map_err(Unjudged::Codec)?)
    }

    /// The keyspace as the rule names it. The anchor itself may be read; all else must be named.
    fn declared<K: Key, V>(
        &self,
        keyspace: &Keyspace<K, V>,
        key: Option<&Bytes>,
    ) -> Result<&'a KeyspaceIdentity, Unjudged> {
        let (anchor, own) = self.anchor;
        if key == Some(own) && anchor.is(keyspace) {
            return Ok(&anchor.identity);
        }
        let part = self.footprint.iter().find(|part| part.keyspace.is(keyspace));
        let undeclared = ShapeError::Undeclared { rule: self.rule, keyspace: keyspace.name() };
        part.map(|part| &part.keyspace.identity).ok_or(Unjudged::Shape(undeclared))
    }
}

impl fmt::Debug for Look<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Look").field("rule", &self.rule).field("now", &self.now()).finish()
    }
}
