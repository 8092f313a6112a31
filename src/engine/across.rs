//! Where the invariants across records read what is not in memory: without the sequencer's lock, for a request to be tried again.

use super::{
    core::{Core, View},
    error::Error,
    preread::Preread,
};
use crate::{
    admission::{
        Cold,
        rules::{Lookup, Missing},
    },
    base::{Bytes, KeyspaceDefinition, KeyspaceId, RequestData, Row, SeqNo},
};

impl Core {
    /// Fetches what the rules read of a request that was tried, and gives it back to be tried again.
    pub(super) fn warm_rules(
        &self,
        cold: Cold,
        preread: &mut Preread,
    ) -> Result<RequestData, Error> {
        let view = self.view.read().clone();
        // If another checkpoint has come, all is read anew.
        if preread.is_of(&view) {
            let mut outside = Outside { core: self, view: &view, preread, failed: None };
            {
                let _rules = self.enter_rules();
                cold.rehearse(&self.rules, &mut outside);
            }
            if let Some(error) = outside.failed {
                return Err(error);
            }
        }
        Ok(cold.into_request())
    }
}

/// A recent state, with the disk at hand: what is read of the checkpoint is kept for the trial that counts.
struct Outside<'a> {
    core: &'a Core,
    view: &'a View,
    preread: &'a mut Preread,
    /// What the disk said.
    failed: Option<Error>,
}

impl Lookup for Outside<'_> {
    fn definition(&self, name: &[u8]) -> Option<KeyspaceDefinition> {
        self.core.registry.read().newest(name)
    }

    fn row(&mut self, keyspace: KeyspaceId, key: &Bytes) -> Result<Option<Row>, Missing> {
        if let Some(seen) = self.view.in_memory(keyspace, key, || SeqNo::MAX) {
            return Ok(seen);
        }
        self.preread.fetch(self.view, keyspace, key).map_err(|error| {
            self.failed = Some(self.core.checkpoint_error(error));
            Missing
        })
    }
}
