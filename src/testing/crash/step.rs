//! What a crashed run is made of.

use super::super::model::{Action, Deed, Model, Operation, Order, Terms};
use crate::{Expect, Mode, Version};

/// One step of a run. What it does to which record follows from the model and its place in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Writes over a record.
    Put,
    /// Writes a record that is expected to be absent: done once, refused from then on.
    Insert,
    /// Writes over the version that is there.
    CasHit,
    /// Writes over a version that is stale.
    CasMiss,
    /// Removes a record, whether there or not.
    Delete,
    /// Adds to a record.
    Add,
    /// Adds too much to a record.
    AddTooMuch,
    /// Changes several records at once.
    Batch,
    /// Three requests in one group, and a refusal that depends on it.
    Burst,
    /// Repeats the last request that had a key.
    Retry,
    /// Fills what a segment can hold, so that the log goes on in the next.
    Rotate,
    /// Writes a checkpoint.
    Checkpoint,
    /// Closes the engine and opens it again.
    CloseReopen,
    /// Does one piece of background work, such as preparing a segment ahead of need.
    Background,
    /// Fences a key, then delivers its request.
    Fence,
    /// Sets the database to take no writes, asks for one, and sets it back.
    Rest,
    /// Two requests that are answered before they are durable, then a sync.
    Buffered,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Put,
        Self::Insert,
        Self::CasHit,
        Self::CasMiss,
        Self::Delete,
        Self::Add,
        Self::AddTooMuch,
        Self::Batch,
        Self::Burst,
        Self::Retry,
        Self::Rotate,
        Self::Checkpoint,
        Self::CloseReopen,
        Self::Background,
        Self::Fence,
        Self::Rest,
        Self::Buffered,
    ];

    /// What else than plain orders a step hands in, one after the other, the first under the idempotency key `name`.
    pub(super) fn deeds(self, name: u64) -> Vec<(Deed, Terms)> {
        let put = |name, key| {
            let action = Action::Put(1_000_000 + key as i64);
            let operations = vec![Operation { key, expect: Expect::Any, action }];
            Deed::Order(Order { name, operations, result_bytes: 20 })
        };
        let buffered = Terms { buffered: true, ..Terms::default() };
        let plain = |deed| (deed, Terms::default());
        match self {
            Self::Fence => vec![plain(Deed::Fence(name)), plain(put(Some(name), 9))],
            Self::Rest => {
                let reason = "a while".to_owned();
                let read_only = plain(Deed::Mode(Mode::ReadOnly { reason }));
                let late = Terms { late: true, ..Terms::default() };
                let refused = [plain(put(Some(name), 9)), (put(None, 9), late)];
                let [first, second] = refused;
                vec![read_only, first, second, plain(Deed::Mode(Mode::ReadWrite))]
            }
            Self::Buffered => vec![(put(None, 10), buffered), (put(None, 11), buffered)],
            _ => Vec::new(),
        }
    }

    /// The orders of a step, the first under the idempotency key `name`; none for steps that are not requests.
    pub(super) fn orders(self, model: &Model, name: u64) -> Vec<Order> {
        let value = name as i64;
        let put = |key, expect| Operation { key, expect, action: Action::Put(value) };
        let add = |delta| {
            let action = Action::Add { delta, bounds: (0, 1_000) };
            Operation { key: 2, expect: Expect::Any, action }
        };
        let delete = |key| Operation { key, expect: Expect::Any, action: Action::Delete };
        let check = |key, expect| Operation { key, expect, action: Action::Check };
        let there = |key| model.records().get(&key).map(|record| record.version);
        let order = |name, operations| Order { name: Some(name), operations, result_bytes: 20 };
        match self {
            Self::Put => vec![order(name, vec![put(0, Expect::Any)])],
            Self::Insert => vec![order(name, vec![put(5, Expect::Absent)])],
            Self::CasHit => {
                let expect = there(0).map_or(Expect::Absent, Expect::Version);
                vec![order(name, vec![put(0, expect)])]
            }
            Self::CasMiss => {
                // The first entry is long written over, or wrote something else.
                let stale = there(1) != Some(Version::new(1)) && model.last().get() > 0;
                let expect = if stale { Expect::Version(Version::new(1)) } else { Expect::Any };
                vec![order(name, vec![put(1, expect)])]
            }
            Self::Delete => vec![order(name, vec![delete(1)])],
            Self::Add => vec![order(name, vec![add(5)])],
            Self::AddTooMuch => vec![order(name, vec![add(1_001)])],
            Self::Batch => {
                let operations = vec![
                    put(0, there(0).map_or(Expect::Absent, Expect::Version)),
                    delete(1),
                    add(1),
                    put(4, Expect::Any),
                    check(99, Expect::Absent),
                ];
                vec![order(name, operations)]
            }
            Self::Burst => vec![
                order(name, vec![put(0, Expect::Any)]),
                order(name + 1, vec![add(1), delete(4)]),
                order(name + 2, vec![put(1, Expect::Any), put(6, Expect::Any)]),
                // It is refused for what was just handed in, and not remembered.
                Order { name: None, ..order(name, vec![check(6, Expect::Absent)]) },
            ],
            Self::Retry => model.remembered().next_back().cloned().into_iter().collect(),
            Self::Rotate => {
                let operations = vec![put(3, Expect::Any)];
                vec![Order { name: None, operations, result_bytes: 50_000 }]
            }
            Self::Checkpoint | Self::CloseReopen | Self::Background => Vec::new(),
            Self::Fence | Self::Rest | Self::Buffered => Vec::new(),
        }
    }
}
