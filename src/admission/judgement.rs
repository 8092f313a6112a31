//! One request against the rules of the records it changes.

use super::{
    Refusal, View,
    evaluation::Evaluation,
    rules::{self, Judged, Ruled},
};
use crate::{
    base::{KeyspaceId, Standing, StoredRejection},
    state::draft::Change,
};
use std::collections::BTreeMap;

impl Evaluation<'_> {
    /// Plays the mutations, and holds what comes of them against the rules.
    pub(super) fn play_and_judge<V: View>(
        &mut self,
        view: &V,
    ) -> Result<Option<StoredRejection>, Refusal> {
        match self.play()? {
            None if !self.at.rules.is_empty() => self.judge(view),
            refused => Ok(refused),
        }
    }

    /// Holds the net change of each record against the rules: the first guard that refuses, or else the first invariant that
    /// would not hold, of records, or else of totals.
    fn judge<V: View>(&mut self, view: &V) -> Result<Option<StoredRejection>, Refusal> {
        let mut monitored = Vec::new();
        let mut broken = None;
        let judged = self.judged()?;
        for &(position, change) in &judged {
            let name = &self.request.keyspaces[position].name;
            let (key, old, new) = (&change.key, change.old.as_ref(), change.new.as_ref());
            let place = || (name.clone(), key.clone());
            let before = || {
                old.map(|row| Standing {
                    version: row.version,
                    time: row.time,
                    actor: row.actor.clone(),
                })
            };
            for Ruled { judge, .. } in self.at.rules.of(name) {
                match judge.judge(key, old, new, &mut monitored).map_err(Refusal::Unjudged)? {
                    Judged::Holds => {}
                    Judged::Illegal(transition) => {
                        let ((keyspace, key), transition) = (place(), Box::new(transition));
                        let before = before();
                        return Ok(Some(StoredRejection::Illegal {
                            keyspace,
                            key,
                            before,
                            transition,
                        }));
                    }
                    Judged::Broken(found) if broken.is_none() => {
                        let ((keyspace, key), found) = (place(), Box::new(found));
                        let before = before();
                        broken =
                            Some(StoredRejection::Broken { keyspace, key, before, broken: found });
                    }
                    Judged::Broken(_) => {}
                }
            }
        }
        if broken.is_none() && self.at.rules.keeps_totals() {
            let mut summed = self.sum_up(&judged, self.at.totals(view.control()))?;
            monitored.append(&mut summed.monitored);
            (broken, self.totals) = (summed.refused, summed.changed);
        }
        self.monitored = monitored;
        Ok(broken)
    }

    /// The changes that there are rules for, each with the position of its keyspace, in the order of keyspaces and keys.
    fn judged(&self) -> Result<Vec<(usize, &Change)>, Refusal> {
        let rules = self.at.rules;
        let ruled = |position: usize| rules.of(&self.request.keyspaces[position].name);
        let mut positions = BTreeMap::new();
        for (position, keyspace) in self.keyspaces.iter().enumerate() {
            if !ruled(position).is_empty() && keyspace.id != KeyspaceId::NONE {
                positions.insert(keyspace.id, position);
            }
        }
        let judged = self.draft.changed();
        let judged = judged.filter_map(|change| Some((*positions.get(&change.keyspace)?, change)));
        let mut judged: Vec<_> = judged.collect();
        let mismatch = judged.iter().find_map(|(position, _)| {
            rules::mismatch(ruled(*position), &self.request.keyspaces[*position])
        });
        if let Some(mismatch) = mismatch {
            return Err(Refusal::Keyspace(mismatch));
        }
        judged.sort_by(|(a, this), (b, that)| {
            let name = |position: usize| &self.request.keyspaces[position].name;
            (name(*a), &this.key).cmp(&(name(*b), &that.key))
        });
        Ok(judged)
    }
}
