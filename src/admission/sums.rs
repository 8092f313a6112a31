//! What a request makes of the totals, and whether that may be.

use super::{
    Refusal,
    evaluation::Evaluation,
    rules::{self, Enforcement, JudgedSum, Monitored, RuleBook, Ruled, Sums},
};
use crate::{
    base::{Bytes, StoredRejection, Totals},
    state::draft::Change,
};

/// What comes of the totals.
#[derive(Debug, Default)]
pub(super) struct Summed {
    /// Why they may not become so.
    pub refused: Option<StoredRejection>,
    /// What those become that change, by name.
    pub changed: Vec<(Bytes, i128)>,
    /// Invariants that would not hold and are only monitored.
    pub monitored: Vec<Monitored>,
}

impl Evaluation<'_> {
    /// Works out what the changes make of the totals, and holds that against what must be true of them: the first total that would run
    /// over, or else the first invariant that would not hold, both in the order of their names.
    pub(super) fn sum_up(
        &self,
        judged: &[(usize, &Change)],
        totals: &Totals,
    ) -> Result<Summed, Refusal> {
        let rules = self.at.rules;
        let mut summed = Summed::default();
        let mut sums = Sums::default();
        for (position, change) in judged {
            let name = &self.request.keyspaces[*position].name;
            for Ruled { judge, .. } in rules.of(name).iter().filter(|rules| rules.keeps_totals) {
                let (old, new) = (change.old.as_ref(), change.new.as_ref());
                judge.sum(&change.key, old, new, &mut sums).map_err(Refusal::Unjudged)?;
            }
        }
        let mut over: Option<Bytes> = None;
        for (name, mut sum) in sums.iter() {
            let name = Bytes::from_static(name.as_bytes());
            let before = totals.get(&name).copied();
            let before = before.expect("the rules are recorded with the first entry under them");
            sum.add(before);
            match sum.value() {
                Some(after) if after == before => {}
                Some(after) => summed.changed.push((name, after)),
                None => over = over.into_iter().chain([name]).min(),
            }
        }
        summed.refused = over.map(|total| StoredRejection::TotalOverflow { total });
        summed.changed.sort_unstable();
        if summed.refused.is_none() && !summed.changed.is_empty() {
            judge(rules, totals, &mut summed)?;
        }
        Ok(summed)
    }
}

/// Holds the totals against what must be true of those that change.
fn judge(rules: &RuleBook, totals: &Totals, summed: &mut Summed) -> Result<(), Refusal> {
    let changed = &summed.changed;
    let change = |name: &str| {
        let place = changed.binary_search_by(|(there, _)| there[..].cmp(name.as_bytes()));
        place.ok().map(|place| changed[place].1)
    };
    let value = |name: &'static str| {
        change(name).unwrap_or_else(|| totals.get(name.as_bytes()).copied().unwrap_or_default())
    };
    for invariant in rules.sums() {
        if !invariant.totals().iter().any(|name| change(name).is_some()) {
            continue;
        }
        let monitored = invariant.how().1 == Enforcement::Monitor;
        match rules::judge_sum(invariant, value) {
            Ok(JudgedSum::Holds) => {}
            Ok(JudgedSum::Broken(_)) | Err(_) if monitored => {
                summed.monitored.push(Monitored { invariant: invariant.name(), key: None });
            }
            Ok(JudgedSum::Broken(broken)) => {
                summed.refused = Some(StoredRejection::BrokenSum(Box::new(broken)));
                return Ok(());
            }
            Err(unjudged) => return Err(Refusal::Unjudged(unjudged)),
        }
    }
    Ok(())
}
