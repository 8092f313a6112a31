//! What readers see: the durable state at one entry, whichever of memtables and checkpoint it lies in, from either end,
//! and the same for as long as it is held.

mod snapshots;

use proptest::{collection::vec, prelude::*};
use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};
use steadfast::{
    Abort, Background, Bytes, Engine, Expect, Keyspace, Outcome, Receipt, Record, Request,
    Snapshot, testing::MemoryDisk,
};

const ITEMS: Keyspace<Vec<u8>, Bytes> = Keyspace::raw("items");
const PLACES: Keyspace<(u8, i32, String), u32> = Keyspace::new("places");
const FILLER: Keyspace<u32, Bytes> = Keyspace::raw("filler");

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn committed<T>(outcome: Result<Outcome<T>, steadfast::Error>) -> Receipt<T> {
    outcome.unwrap().committed().unwrap()
}

/// An engine that does nothing in the background unless it is asked to, and freezes its memtable at 64 KiB.
fn manual(disk: &MemoryDisk) -> Engine {
    Engine::builder()
        .background(Background::Manual)
        .memtable_limit_bytes(64 << 10)
        .checkpoint_cache_bytes(1 << 20)
        .segment_bytes(1 << 20)
        .open_on(disk.clone())
        .unwrap()
}

fn pairs(
    iter: impl Iterator<Item = Result<(Vec<u8>, Record<Bytes>), steadfast::Error>>,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    iter.map(|item| item.map(|(key, record)| (key, record.value.to_vec())).unwrap()).collect()
}

/// So much of something else that the memtable is due.
fn fill(engine: &Engine, salt: u32) {
    let value = Bytes::from(vec![7; 4 << 10]);
    let request = (0..18).fold(Request::unkeyed(), |request, n| {
        request.put(&FILLER, &(salt % 3 * 18 + n), &value, Expect::Any)
    });
    committed(engine.commit(request));
}

/// Everything a snapshot can be asked, against the model.
fn compare(
    snapshot: &Snapshot,
    model: &Model,
    range: &(Bound<Vec<u8>>, Bound<Vec<u8>>),
    ends: u32,
) {
    let all: Vec<_> = model.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    assert_eq!(pairs(snapshot.range(&ITEMS, ..)), all);
    let backwards: Vec<_> = all.iter().rev().cloned().collect();
    assert_eq!(pairs(snapshot.range(&ITEMS, ..).rev()), backwards);
    assert_eq!(snapshot.len(&ITEMS).unwrap(), all.len() as u64);

    let inside: Vec<_> = all.iter().filter(|(key, _)| contains(range, key)).cloned().collect();
    assert_eq!(pairs(snapshot.range(&ITEMS, range.clone())), inside, "{range:?}");
    let mut backwards = pairs(snapshot.range(&ITEMS, range.clone()).rev());
    backwards.reverse();
    assert_eq!(backwards, inside, "{range:?}");
    both_ends(snapshot.range(&ITEMS, range.clone()), &inside, ends);

    let (Bound::Included(prefix) | Bound::Excluded(prefix)) = &range.0 else { return };
    let begin: Vec<_> = all.iter().filter(|(key, _)| key.starts_with(prefix)).cloned().collect();
    assert_eq!(pairs(snapshot.prefix(&ITEMS, prefix)), begin, "{prefix:?}");
    both_ends(snapshot.prefix(&ITEMS, prefix), &begin, !ends);
    let found = snapshot.get(&ITEMS, prefix).unwrap().map(|record| record.value.to_vec());
    assert_eq!(found.as_ref(), model.get(prefix));
    assert_eq!(snapshot.contains(&ITEMS, prefix).unwrap(), model.contains_key(prefix));
}

fn contains(range: &(Bound<Vec<u8>>, Bound<Vec<u8>>), key: &[u8]) -> bool {
    let after = match &range.0 {
        Bound::Included(start) => key >= &start[..],
        Bound::Excluded(start) => key > &start[..],
        Bound::Unbounded => true,
    };
    let before = match &range.1 {
        Bound::Included(end) => key <= &end[..],
        Bound::Excluded(end) => key < &end[..],
        Bound::Unbounded => true,
    };
    after && before
}

/// Takes from the front and from the back by turns, until there is nothing left, and nothing comes after that.
fn both_ends(
    mut iter: impl DoubleEndedIterator<Item = Result<(Vec<u8>, Record<Bytes>), steadfast::Error>>,
    expected: &[(Vec<u8>, Vec<u8>)],
    mut ends: u32,
) {
    let mut left = expected;
    loop {
        let back = ends & 1 == 1;
        ends = ends.rotate_right(1);
        let next = if back { iter.next_back() } else { iter.next() };
        let expected = if back { left.split_last() } else { left.split_first() };
        let Some((expected, rest)) = expected else {
            assert!(next.is_none());
            assert!(iter.next().is_none() && iter.next_back().is_none());
            return;
        };
        let (key, record) = next.expect("it ended too early").unwrap();
        assert_eq!((&key, &record.value.to_vec()), (&expected.0, &expected.1));
        left = rest;
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Puts and deletes, in one request.
    Write(Vec<(Vec<u8>, Option<u8>)>),
    /// Makes the memtable due, so that the next write freezes it.
    Fill,
    Background,
    Checkpoint,
    /// Keeps a snapshot to the end.
    Hold,
    Reopen,
}

fn keys() -> impl Strategy<Value = Vec<u8>> {
    vec(prop::sample::select(vec![0u8, 1, 97, 254, 255]), 1..4)
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => vec((keys(), prop::option::weighted(0.7, any::<u8>())), 1..12).prop_map(Step::Write),
        3 => Just(Step::Fill),
        2 => Just(Step::Background),
        1 => Just(Step::Checkpoint),
        2 => Just(Step::Hold),
        1 => Just(Step::Reopen),
    ]
}

fn bounds() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        4 => keys().prop_map(Bound::Included),
        4 => keys().prop_map(Bound::Excluded),
        1 => Just(Bound::Unbounded),
    ]
}

fn write(engine: &Engine, model: &mut Model, changes: &[(Vec<u8>, Option<u8>)]) {
    let request = changes.iter().fold(Request::unkeyed(), |request, (key, value)| match value {
        Some(value) => request.put(&ITEMS, key, &Bytes::from(vec![*value; 3]), Expect::Any),
        None => request.delete(&ITEMS, key, Expect::Any),
    });
    committed(engine.commit(request));
    for (key, value) in changes {
        match value {
            Some(value) => drop(model.insert(key.clone(), vec![*value; 3])),
            None => drop(model.remove(key)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_read_agrees_with_a_model(
        steps in vec(steps(), 1..40),
        ranges in vec(((bounds(), bounds()), any::<u32>()), 6),
    ) {
        let disk = MemoryDisk::new();
        let mut engine = manual(&disk);
        let mut model = Model::new();
        let mut held: Vec<(Snapshot, Model)> = Vec::new();
        for (n, step) in steps.iter().enumerate() {
            match step {
                Step::Write(changes) => write(&engine, &mut model, changes),
                Step::Fill => fill(&engine, n as u32),
                Step::Background => drop(engine.run_background_step().unwrap()),
                Step::Checkpoint => engine.checkpoint().unwrap(),
                Step::Hold => held.push((engine.snapshot(), model.clone())),
                Step::Reopen => {
                    held.clear();
                    engine.close().unwrap();
                    engine = manual(&disk);
                }
            }
            let (range, ends) = &ranges[n % ranges.len()];
            compare(&engine.snapshot(), &model, range, *ends);
        }
        for (range, ends) in &ranges {
            for (snapshot, then) in &held {
                compare(snapshot, then, range, *ends);
            }
        }
        let keys: Vec<_> = model.keys().cloned().chain([vec![9, 9, 9, 9]]).collect();
        let many = engine.get_many(&ITEMS, &keys).unwrap();
        let many: Vec<_> = many.into_iter().map(|found| found.map(|r| r.value.to_vec())).collect();
        let expected: Vec<_> = keys.iter().map(|key| model.get(key).cloned()).collect();
        prop_assert_eq!(many, expected);
    }
}

#[test]
fn one_range_runs_through_both_memtables_and_the_checkpoint() {
    let disk = MemoryDisk::new();
    let engine = manual(&disk);
    let mut model = Model::new();
    let put = |model: &mut Model, numbers: &mut dyn Iterator<Item = u16>, value: u8| {
        let changes: Vec<_> = numbers.map(|n| (n.to_be_bytes().to_vec(), Some(value))).collect();
        write(&engine, model, &changes);
    };
    let delete = |model: &mut Model, numbers: &mut dyn Iterator<Item = u16>| {
        let changes: Vec<_> = numbers.map(|n| (n.to_be_bytes().to_vec(), None)).collect();
        write(&engine, model, &changes);
    };
    // More than one chunk of each.
    put(&mut model, &mut (0..600), 1);
    engine.checkpoint().unwrap();
    assert!(!engine.run_background_step().unwrap());
    put(&mut model, &mut (0..600).step_by(3), 2);
    delete(&mut model, &mut (100..300));
    put(&mut model, &mut (0..600).step_by(7), 3);
    fill(&engine, 0);
    // The write that finds the memtable due is the last to go into it.
    delete(&mut model, &mut (400..410));
    put(&mut model, &mut (0..600).step_by(5), 4);
    delete(&mut model, &mut (0..50));
    put(&mut model, &mut (150..160), 5);
    let snapshot = engine.snapshot();
    let range = (Bound::Excluded(vec![0, 20]), Bound::Included(vec![2, 30]));
    compare(&snapshot, &model, &range, 0x5A5A_1234);
    let then = model.clone();
    assert!(engine.run_background_step().unwrap(), "nothing was frozen");
    compare(&snapshot, &then, &range, 0);
    compare(&engine.snapshot(), &model, &range, u32::MAX);
    delete(&mut model, &mut (0..600));
    engine.checkpoint().unwrap();
    assert!(model.is_empty());
    compare(&engine.snapshot(), &model, &range, 7);
    compare(&snapshot, &then, &range, 0x00FF_00FF);
    // An iterator keeps what it shows, and can leave its thread.
    let iter = snapshot.range(&ITEMS, ..);
    drop(snapshot);
    let counted = thread::spawn(move || iter.count()).join().unwrap();
    assert_eq!(counted, then.len());
}

#[test]
fn a_range_that_ends_before_it_starts_is_empty() {
    let engine = Engine::in_memory().unwrap();
    let request = (0..10u8).fold(Request::unkeyed(), |request, n| {
        request.put(&ITEMS, &vec![n], &Bytes::new(), Expect::Any)
    });
    committed(engine.commit(request));
    let snapshot = engine.snapshot();
    let count = |range: (Bound<Vec<u8>>, Bound<Vec<u8>>)| {
        let forwards = snapshot.range(&ITEMS, range.clone()).map(Result::unwrap).count();
        assert_eq!(snapshot.range(&ITEMS, range).rev().map(Result::unwrap).count(), forwards);
        forwards
    };
    let (low, high) = (vec![3], vec![5]);
    use Bound::{Excluded, Included, Unbounded};
    assert_eq!(count((Included(high.clone()), Included(low.clone()))), 0);
    assert_eq!(count((Excluded(high.clone()), Unbounded)), 4);
    assert_eq!(count((Included(low.clone()), Excluded(low.clone()))), 0);
    assert_eq!(count((Excluded(low.clone()), Excluded(low.clone()))), 0);
    assert_eq!(count((Included(low.clone()), Included(low.clone()))), 1);
    assert_eq!(count((Excluded(low), Included(high))), 2);
}

#[test]
fn tuples_sort_by_their_elements_and_have_prefixes() {
    let engine = Engine::in_memory().unwrap();
    let mut model = BTreeMap::new();
    let mut request = Request::unkeyed();
    for (n, (a, b)) in
        [(1, -5), (1, 7), (0, i32::MAX), (255, 0), (1, i32::MIN), (2, -1)].iter().enumerate()
    {
        for name in ["", "a", "a\0", "b"] {
            request = request.put(&PLACES, &(*a, *b, name), &(n as u32), Expect::Absent);
            model.insert((*a, *b, name.to_owned()), n as u32);
        }
    }
    committed(engine.commit(request));
    for _ in 0..2 {
        let snapshot = engine.snapshot();
        let list = |iter: steadfast::Iter<(u8, i32, String), u32>| -> Vec<_> {
            iter.map(|item| item.map(|(key, record)| (key, record.value)).unwrap()).collect()
        };
        let all: Vec<_> = model.clone().into_iter().collect();
        assert_eq!(list(snapshot.range(&PLACES, ..)), all);
        let one: Vec<_> = all.iter().filter(|((a, ..), _)| *a == 1).cloned().collect();
        assert_eq!(list(snapshot.prefix(&PLACES, (1,))), one);
        let last: Vec<_> = all.iter().filter(|((a, ..), _)| *a == 255).cloned().collect();
        assert_eq!(list(snapshot.prefix(&PLACES, (255,))), last);
        let two: Vec<_> =
            all.iter().filter(|((a, b, _), _)| (*a, *b) == (1, -5)).cloned().collect();
        assert_eq!(list(snapshot.prefix(&PLACES, (1, -5))), two);
        let from: Vec<_> =
            all.iter().filter(|(key, _)| *key >= (1, 0, String::new())).cloned().collect();
        assert_eq!(list(snapshot.range(&PLACES, (1, 0, "")..)), from);
        engine.checkpoint().unwrap();
    }
}

#[test]
fn keyspaces_are_told_apart_and_listed_when_they_are_durable() {
    let disk = MemoryDisk::new();
    let engine = manual(&disk);
    assert!(engine.keyspaces().is_empty());
    assert_eq!(engine.len(&ITEMS).unwrap(), 0);
    assert_eq!(engine.get(&PLACES, &(1, 1, "x")).unwrap(), None);
    // Only asking does not make one.
    let ask = Request::unkeyed().check(&PLACES, &(1, 1, "x"), Expect::Absent);
    committed(engine.commit(ask.delete(&PLACES, &(1, 1, "y"), Expect::Any)));
    assert!(engine.keyspaces().is_empty(), "{:?}", engine.keyspaces());
    let before = engine.snapshot();
    let ticket =
        engine.submit(Request::unkeyed().put(&ITEMS, &vec![1], &Bytes::new(), Expect::Any));
    assert!(engine.keyspaces().is_empty(), "it is not durable yet");
    assert_eq!(engine.get(&ITEMS, &vec![1]).unwrap(), None);
    assert!(engine.run_background_step().unwrap());
    assert_eq!(engine.keyspaces(), ["items"]);
    committed(ticket.wait());
    fill(&engine, 0);
    let put = Request::unkeyed().put(&PLACES, &(1, 1, "x"), &4, Expect::Absent);
    committed(engine.commit(put));
    for _ in 0..2 {
        assert_eq!(engine.keyspaces(), ["filler", "items", "places"]);
        let lengths = (engine.len(&ITEMS), engine.len(&PLACES), engine.len(&FILLER));
        assert_eq!((lengths.0.unwrap(), lengths.1.unwrap(), lengths.2.unwrap()), (1, 1, 18));
        assert!(before.keyspaces().is_empty());
        assert_eq!(before.len(&ITEMS).unwrap(), 0);
        assert_eq!(before.range(&ITEMS, ..).count(), 0);
        engine.checkpoint().unwrap();
    }
}

#[test]
fn versions_times_and_actors_come_with_a_record() {
    let disk = MemoryDisk::new();
    let engine = manual(&disk);
    let put = |value: u8, actor: &str| {
        let request =
            Request::unkeyed().put(&ITEMS, &vec![1], &Bytes::from(vec![value]), Expect::Any);
        committed(engine.commit(request.actor(actor)))
    };
    let first = put(1, "alice");
    let second = put(2, "bob");
    let check = |engine: &Engine| {
        let record = engine.get(&ITEMS, &vec![1]).unwrap().unwrap();
        assert_eq!((record.version, record.created), (second.version(), first.version()));
        assert_eq!((record.time, &record.actor[..]), (second.time, &b"bob"[..]));
        assert!(first.time < second.time && first.seq < second.seq);
    };
    check(&engine);
    engine.checkpoint().unwrap();
    check(&engine);
    engine.close().unwrap();
    let engine = manual(&disk);
    check(&engine);
    let delete = Request::unkeyed().delete(&ITEMS, &vec![1], Expect::Present);
    committed(engine.commit(delete));
    let again = Request::unkeyed().put(&ITEMS, &vec![1], &Bytes::new(), Expect::Absent);
    let again = committed(engine.commit(again));
    let record = engine.get(&ITEMS, &vec![1]).unwrap().unwrap();
    assert_eq!((record.version, record.created), (again.version(), again.version()));
}

#[test]
fn an_update_reads_its_own_writes() {
    let engine = Engine::in_memory().unwrap();
    const SUMS: Keyspace<u32, i64> = Keyspace::new("sums");
    committed(engine.commit(Request::unkeyed().put(&SUMS, &1, &10, Expect::Any)));
    let outcome = engine.update(crate::support::key("own"), &(), |tx| {
        let before = tx.get(&SUMS, &1)?.unwrap();
        tx.add(&SUMS, &1, 5, 0..=100)?;
        assert_eq!(tx.get(&SUMS, &1)?.unwrap().value, 15);
        assert_eq!(tx.get(&SUMS, &1)?.unwrap().version, before.version);
        tx.delete(&SUMS, &1)?;
        assert!(tx.get(&SUMS, &1)?.is_none());
        tx.put(&SUMS, &2, &7)?;
        let new = tx.get(&SUMS, &2)?.unwrap();
        assert_eq!((new.value, new.version.get()), (7, 0));
        Ok::<_, Abort>(())
    });
    committed(outcome);
    assert_eq!(engine.get(&SUMS, &1).unwrap(), None);
    assert_eq!(engine.get(&SUMS, &2).unwrap().unwrap().value, 7);
}
