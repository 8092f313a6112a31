//! Ranges that a procedure reads, against a plain map: over memtables, checkpoint, and what the procedure itself has written.

use super::key;
use proptest::{collection::vec, prelude::*};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use steadfast::{
    Abort, Background, Engine, Expect, Keyspace, Never, Procedure, Request, Transaction,
    testing::SimDisk,
};

const ROWS: Keyspace<(u8, u16), u32> = Keyspace::new("rows");

type Rows = Vec<((u8, u16), u32)>;

/// Writes and removes some records, then reads them.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Look {
    writes: Vec<((u8, u16), Option<u32>)>,
    from: (u8, u16),
    to: (u8, u16),
    limit: usize,
    prefix: u8,
}

impl Procedure for Look {
    const NAME: &'static str = "look";
    const VERSION: u32 = 1;
    type Output = [Rows; 4];
    type Rejection = Never;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<[Rows; 4], Abort> {
        for (key, value) in &self.writes {
            match value {
                Some(value) => tx.put(&ROWS, key, value)?,
                None => tx.delete(&ROWS, key)?,
            }
        }
        let plain = |rows: Vec<((u8, u16), steadfast::Record<u32>)>| {
            rows.into_iter().map(|(key, record)| (key, record.value)).collect()
        };
        Ok([
            plain(tx.range(&ROWS, self.from..self.to, self.limit)?),
            plain(tx.range_back(&ROWS, self.from..self.to, self.limit)?),
            plain(tx.range(&ROWS, .., self.limit)?),
            plain(tx.prefix(&ROWS, (self.prefix,), self.limit)?),
        ])
    }
}

fn key_of_row() -> impl Strategy<Value = (u8, u16)> {
    (0..3u8, 0..120u16)
}

fn writes(most: usize) -> impl Strategy<Value = Vec<((u8, u16), Option<u32>)>> {
    vec((key_of_row(), prop::option::weighted(0.7, 0..1_000u32)), 0..most)
}

prop_compose! {
    fn look()(
        writes in writes(12),
        (from, to) in (key_of_row(), key_of_row()),
        limit in prop_oneof![1..5usize, Just(200)],
        prefix in 0..3u8,
    ) -> Look {
        Look { writes, from, to, limit, prefix }
    }
}

/// What is there before, in layers, and what is looked at.
#[derive(Clone, Debug)]
enum Step {
    Write(Vec<((u8, u16), Option<u32>)>),
    Checkpoint,
    Look(Look),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => writes(150).prop_map(Step::Write),
        2 => Just(Step::Checkpoint),
        3 => look().prop_map(Step::Look),
    ]
}

fn change(model: &mut BTreeMap<(u8, u16), u32>, writes: &[((u8, u16), Option<u32>)]) {
    for (key, value) in writes {
        match value {
            Some(value) => drop(model.insert(*key, *value)),
            None => drop(model.remove(key)),
        }
    }
}

fn due(model: &BTreeMap<(u8, u16), u32>, look: &Look) -> [Rows; 4] {
    let Look { from, to, limit, prefix, .. } = *look;
    let within = |key: &(u8, u16)| from <= *key && *key < to;
    let all = || model.iter().map(|(key, value)| (*key, *value));
    [
        all().filter(|(key, _)| within(key)).take(limit).collect(),
        all().rev().filter(|(key, _)| within(key)).take(limit).collect(),
        all().take(limit).collect(),
        all().filter(|(key, _)| key.0 == prefix).take(limit).collect(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_procedure_sees_what_a_map_holds(steps in vec(step(), 1..12)) {
        let builder = Engine::builder().background(Background::Manual).procedure::<Look>();
        let engine = builder.open_on(SimDisk::new()).unwrap();
        let mut model = BTreeMap::new();
        for (n, step) in steps.iter().enumerate() {
            match step {
                Step::Write(writes) if writes.is_empty() => {}
                Step::Write(writes) => {
                    let request = writes.iter().fold(Request::unkeyed(), |request, (key, value)| match value {
                        Some(value) => request.put(&ROWS, key, value, Expect::Any),
                        None => request.delete(&ROWS, key, Expect::Any),
                    });
                    engine.commit(request).unwrap().committed().unwrap();
                    change(&mut model, writes);
                }
                Step::Checkpoint => engine.checkpoint().unwrap(),
                Step::Look(look) => {
                    change(&mut model, &look.writes);
                    let outcome = engine.call(key((n as u64).to_be_bytes()), look).unwrap();
                    prop_assert_eq!(outcome.committed().unwrap().result, due(&model, look));
                }
            }
        }
        let shown: BTreeMap<_, _> = engine
            .snapshot()
            .range(&ROWS, ..)
            .map(|item| item.map(|(key, record)| (key, record.value)).unwrap())
            .collect();
        prop_assert_eq!(shown, model);
    }
}
