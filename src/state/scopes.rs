//! How many bytes of outcomes are remembered whole for each scope, so that one can be kept from filling the window. Kept only
//! where a limit is set.

use crate::base::{Bytes, Control};
use std::collections::{BTreeMap, HashMap};

/// Bytes by scope, for each generation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scopes(BTreeMap<u32, HashMap<Bytes, u64>>);

impl Scopes {
    /// Takes note of a row.
    pub(crate) fn add(&mut self, generation: u32, scope: &[u8], bytes: u64) {
        let scopes = self.0.entry(generation).or_default();
        match scopes.get_mut(scope) {
            Some(sum) => *sum += bytes,
            None => drop(scopes.insert(scope.into(), bytes)),
        }
    }

    /// Bytes of the rows of a scope in generations from this one on.
    pub(crate) fn bytes(&self, first: u32, scope: &[u8]) -> u64 {
        self.0.range(first..).filter_map(|(_, scopes)| scopes.get(scope)).sum()
    }

    /// Drops what is not remembered whole any more.
    pub(crate) fn keep(&mut self, control: &Control) {
        let first = control.generations.first().map_or(0, |generation| generation.number);
        self.0 = self.0.split_off(&first);
    }
}
