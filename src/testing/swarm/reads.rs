//! What clients read: each is shown what is durable, and a snapshot stays as it was.

use super::{
    super::{
        laws::{self, Breach, Law},
        model::{self, Held, Model, keyspace},
    },
    run::Run,
};
use crate::{Error, Record};

impl Run {
    pub(super) fn get(&mut self, key: u32) -> Result<(), Breach> {
        self.summary.reads += 1;
        let seen = match self.engine().get(keyspace(key), &key) {
            Err(error) => return self.excuse(&error, || format!("reading record {key}")),
            Ok(seen) => seen.map(|record| Held {
                value: record.value,
                version: record.version,
                created: record.created,
            }),
        };
        let due = self.mirror.durable().records().get(&key).copied();
        if seen == due {
            return Ok(());
        }
        Err(Breach::new(Law::Shown, format!("record {key} is {seen:?}, not {due:?}")))
    }

    pub(super) fn range(&mut self, from: u32, backwards: bool) -> Result<(), Breach> {
        self.summary.reads += 1;
        let range = self.engine().snapshot().range(keyspace(from), from..);
        let item = |item: Result<(u32, Record<i64>), Error>| {
            item.map(|(key, record)| (key, record.value, record.version))
        };
        let seen: Result<Vec<_>, Error> =
            if backwards { range.rev().map(item).collect() } else { range.map(item).collect() };
        let seen = match seen {
            Err(error) => return self.excuse(&error, || format!("reading from {from} on")),
            Ok(seen) => seen,
        };
        let until = if from < model::OTHERS_FROM { model::OTHERS_FROM } else { u32::MAX };
        let records = self.mirror.durable().records().range(from..until);
        let mut due: Vec<_> = records.map(|(key, held)| (*key, held.value, held.version)).collect();
        if backwards {
            due.reverse();
        }
        if seen == due {
            return Ok(());
        }
        Err(Breach::new(Law::Shown, format!("from {from} on there is {seen:?}, not {due:?}")))
    }

    /// What the next request meets, durable or not.
    pub(super) fn look_at_applied(&mut self) -> Result<(), Breach> {
        if self.mirror.stopped {
            // There may be more than is known.
            return Ok(());
        }
        self.summary.reads += 1;
        let snapshot = self.engine().snapshot_applied();
        let due = if self.is_shaky() && snapshot.seq() == self.engine().durable_seq() {
            // It could not be made safe to show more.
            self.mirror.durable().records()
        } else {
            self.mirror.applied_to(snapshot.seq())?;
            self.mirror.applied().records()
        };
        match laws::snapshot(&snapshot, due)? {
            Err(error) => self.excuse(&error, || "reading what is applied".to_owned()),
            Ok(()) => Ok(()),
        }
    }

    pub(super) fn hold(&mut self) {
        if self.held.len() < 4 {
            let records = Model::records(self.mirror.durable()).clone();
            self.held.push((self.engine().snapshot(), records));
        }
    }

    pub(super) fn look(&mut self, snapshot: u8, keep: bool) -> Result<(), Breach> {
        if self.held.is_empty() {
            return Ok(());
        }
        self.summary.reads += 1;
        let (snapshot, due) = self.held.swap_remove(usize::from(snapshot) % self.held.len());
        match laws::snapshot(&snapshot, &due)? {
            // It was closed with its engine.
            Err(Error::Closed) => return Ok(()),
            Err(error) => self.excuse(&error, || "reading a snapshot".to_owned())?,
            Ok(()) => {}
        }
        if keep {
            self.held.push((snapshot, due));
        }
        Ok(())
    }
}
