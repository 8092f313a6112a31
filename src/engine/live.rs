//! The snapshots there are.

use crate::base::SeqNo;

/// The entries live snapshots stand at, ascending, once for each.
#[derive(Debug, Default)]
pub(super) struct Live(Vec<SeqNo>);

impl Live {
    pub(super) fn add(&mut self, seq: SeqNo) {
        let place = self.0.partition_point(|live| *live <= seq);
        self.0.insert(place, seq);
    }

    pub(super) fn remove(&mut self, seq: SeqNo) {
        if let Ok(place) = self.0.binary_search(&seq) {
            self.0.remove(place);
        }
    }

    pub(super) fn as_slice(&self) -> &[SeqNo] {
        &self.0
    }
}
