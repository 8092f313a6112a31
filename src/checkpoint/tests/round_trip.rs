use super::{
    memory_file::MemoryFile,
    model::{CACHE, Model, UUID, created, opened, row, written},
};
use crate::{
    base::{Bytes, Control, KeyspaceId, RuleKind, RuleMark, RuleName, RuleSet, Totals},
    checkpoint::{Changes, Checkpoint, CheckpointError, Verified, verify},
    state::digest::RowHasher,
};
use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Included, Unbounded},
    sync::{Arc, atomic::Ordering},
};

#[test]
fn what_is_written_is_read_now_and_after_reopening() {
    let file = created();
    let (checkpoint, model) = written(&file, 4, 200);
    assert!(model.check(&checkpoint).unwrap());
    checkpoint.close().unwrap();
    let mut checkpoint = Checkpoint::open_held(file, CACHE).unwrap();
    checkpoint.check_pages().unwrap();
    assert!(model.check(&checkpoint).unwrap());
    let verified = model.verify(&checkpoint).unwrap();
    assert_eq!(verified.digest, model.digest());
    assert_eq!(verified.records, model.records.len() as u64);
    assert_eq!(verified.window_rows, model.window.len() as u64);
}

#[test]
fn a_new_checkpoint_holds_nothing_but_its_meta() {
    let checkpoint = opened(&created());
    assert!(Model::default().check(&checkpoint).unwrap());
    assert_eq!(Model::default().verify(&checkpoint).unwrap().bytes, 0);
}

#[test]
fn an_unclean_end_loses_nothing_that_was_written() {
    let file = created();
    let (checkpoint, model) = written(&file, 3, 100);
    let copy = MemoryFile::of(file.bytes());
    drop(checkpoint);
    let mut checkpoint = opened(&copy);
    checkpoint.check_pages().unwrap();
    assert!(model.check(&checkpoint).unwrap());
    assert_eq!(model.verify(&checkpoint).unwrap().digest, model.digest());
}

#[test]
fn abandoning_leaves_the_last_write() {
    let file = created();
    let (checkpoint, mut model) = written(&file, 3, 100);
    let before = file.bytes();
    checkpoint.abandon();
    assert_eq!(file.bytes(), before);
    let checkpoint = opened(&file);
    assert!(model.check(&checkpoint).unwrap());
    model.step(&checkpoint, 50);
    assert!(model.check(&checkpoint).unwrap());
}

#[test]
fn dropping_gives_everything_back() {
    let file = created();
    let (checkpoint, mut model) = written(&file, 3, 100);
    drop(checkpoint);
    assert_eq!(Arc::strong_count(&file), 1);
    let checkpoint = opened(&file);
    let reader = checkpoint.reader().unwrap();
    model.step(&checkpoint, 100);
    checkpoint.abandon();
    drop(reader);
    assert_eq!(Arc::strong_count(&file), 1);
    drop(Checkpoint::open_held(file.clone(), CACHE).unwrap());
    assert_eq!(Arc::strong_count(&file), 1);
    file.fail_writes.store(true, Ordering::Relaxed);
    let checkpoint = Checkpoint::open_held(file.clone(), CACHE).unwrap();
    assert!(checkpoint.release().is_err());
    drop(checkpoint);
    assert_eq!(Arc::strong_count(&file), 1);
}

#[test]
fn a_reader_sees_one_write_and_generations_grow() {
    let file = created();
    let (checkpoint, mut model) = written(&file, 1, 50);
    let (old, old_model) = (checkpoint.reader().unwrap(), model.clone());
    assert_eq!(old.generation(), checkpoint.reader().unwrap().generation());
    for _ in 0..5 {
        model.step(&checkpoint, 50);
    }
    assert_eq!(checkpoint.reader().unwrap().generation(), old.generation() + 5);
    for ((keyspace, key), row) in &old_model.records {
        assert_eq!(old.record(*keyspace, key).unwrap().as_ref(), Some(row));
    }
    let verified = verify(&old, &mut RowHasher::new(UUID), |_| {}, |_| {}).unwrap();
    assert_eq!(verified.digest, old_model.digest());
}

#[test]
fn a_range_is_read_in_chunks_from_both_ends() {
    let file = created();
    let checkpoint = opened(&file);
    let row = row(1, 3);
    let keys: Vec<[u8; 1]> = (0..10).map(|n| [n]).collect();
    let last = KeyspaceId::new(u32::MAX);
    let places = || [1, 2, u32::MAX].into_iter().map(KeyspaceId::new);
    let changes = Changes {
        records: places()
            .flat_map(|keyspace| keys.iter().map(move |key| (keyspace, &key[..])))
            .map(|(keyspace, key)| (keyspace, key, Some(&row))),
        window: std::iter::empty(),
        control: &Control::default(),
        upkeep: 0,
        counts: places().map(|keyspace| (keyspace, 10)),
    };
    checkpoint.write(changes, &Model::default().meta()).unwrap();
    let reader = checkpoint.reader().unwrap();
    let list = |keyspace, lower, upper, limit, reverse| -> Vec<u8> {
        let found = reader.records(keyspace, lower, upper, limit, reverse).unwrap();
        found.iter().map(|(key, _)| key[0]).collect()
    };
    let one = KeyspaceId::new(1);
    assert_eq!(list(one, Unbounded, Unbounded, 3, false), [0, 1, 2]);
    assert_eq!(list(one, Unbounded, Unbounded, 3, true), [9, 8, 7]);
    assert_eq!(list(last, Excluded(&[6]), Unbounded, 9, false), [7, 8, 9]);
    assert_eq!(list(last, Unbounded, Included(&[1]), 9, true), [1, 0]);
    assert_eq!(list(one, Included(&[4]), Excluded(&[6]), 9, false), [4, 5]);
    assert!(list(one, Included(&[6]), Included(&[4]), 9, false).is_empty());
    assert!(list(one, Excluded(&[4]), Excluded(&[4]), 9, false).is_empty());
    assert_eq!(list(one, Included(&[4]), Included(&[4]), 9, true), [4]);
    assert!(list(KeyspaceId::new(3), Unbounded, Unbounded, 9, false).is_empty());
    assert!(list(one, Unbounded, Unbounded, 0, false).is_empty());
}

#[test]
fn counts_that_disagree_with_the_records_are_damage() {
    for counts in [vec![(1, 2)], vec![], vec![(1, 1), (2, 1)]] {
        let checkpoint = opened(&created());
        let row = row(1, 3);
        let changes = Changes {
            records: [(KeyspaceId::new(1), &b"key"[..], Some(&row))].into_iter(),
            window: std::iter::empty(),
            control: &Control::default(),
            upkeep: 0,
            counts: counts.iter().map(|(keyspace, count)| (KeyspaceId::new(*keyspace), *count)),
        };
        checkpoint.write(changes, &Model::default().meta()).unwrap();
        let verified = Model::default().verify(&checkpoint);
        assert!(matches!(verified, Err(CheckpointError::Damaged { .. })), "{counts:?}");
    }
}

#[test]
fn a_failed_write_is_the_machines_fault_and_final() {
    let file = created();
    let (checkpoint, model) = written(&file, 2, 100);
    assert!(checkpoint.failed().is_none());
    file.fail_writes.store(true, Ordering::Relaxed);
    let error = model.clone().change(&checkpoint, 500).unwrap_err();
    assert!(matches!(error, CheckpointError::Io(ref io) if io.kind() == std::io::ErrorKind::Other));
    assert!(checkpoint.failed().is_some());
    file.fail_writes.store(false, Ordering::Relaxed);
    let before = file.bytes();
    assert!(matches!(model.clone().change(&checkpoint, 1), Err(CheckpointError::Io(_))));
    assert!(checkpoint.close().is_err());
    assert_eq!(file.bytes(), before);
    assert!(model.check(&opened(&file)).unwrap());
}

#[test]
fn a_failed_read_is_the_machines_fault() {
    let file = created();
    written(&file, 2, 300).0.close().unwrap();
    let checkpoint = Checkpoint::open_held(file.clone(), 0).unwrap();
    let reader = checkpoint.reader().unwrap();
    file.fail_reads.store(true, Ordering::Relaxed);
    let verified = verify(&reader, &mut RowHasher::new(UUID), |_| {}, |_| {});
    assert!(matches!(verified, Err(CheckpointError::Io(_))));
    assert!(matches!(Checkpoint::open_held(file, CACHE), Err(CheckpointError::Io(_))));
}

#[test]
fn a_reader_that_outlives_its_checkpoint_fails() {
    let file = created();
    let (checkpoint, model) = written(&file, 2, 1000);
    let reader = checkpoint.reader().unwrap();
    checkpoint.close().unwrap();
    let mut closed = 0;
    for ((keyspace, key), row) in &model.records {
        match reader.record(*keyspace, key) {
            Ok(found) => assert_eq!(found.as_ref(), Some(row)),
            Err(CheckpointError::Io(_)) => closed += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(closed > 0);
}

#[test]
fn a_panic_of_the_caller_goes_its_way_and_changes_nothing() {
    let file = created();
    let (checkpoint, model) = written(&file, 2, 50);
    let changes = Changes {
        records: std::iter::from_fn(
            || -> Option<(KeyspaceId, &[u8], Option<&crate::base::Row>)> {
                panic!("the caller's own")
            },
        ),
        window: std::iter::empty(),
        control: &Control::default(),
        upkeep: 0,
        counts: std::iter::empty(),
    };
    let meta = model.meta();
    let write = std::panic::AssertUnwindSafe(|| checkpoint.write(changes, &meta));
    assert!(std::panic::catch_unwind(write).is_err());
    assert!(model.check(&checkpoint).unwrap());
    checkpoint.close().unwrap();
    assert!(model.check(&opened(&file)).unwrap());
}

#[test]
fn a_checkpoint_dropped_by_a_panic_writes_nothing() {
    let file = created();
    let (checkpoint, model) = written(&file, 2, 50);
    let before = file.bytes();
    let all = std::panic::AssertUnwindSafe(move || {
        let _dropped = checkpoint;
        panic!("the caller's own");
    });
    assert!(std::panic::catch_unwind(all).is_err());
    assert!(file.bytes() == before);
    assert_eq!(Arc::strong_count(&file), 1);
    assert!(model.check(&opened(&file)).unwrap());
}

#[test]
fn pages_are_not_checked_under_a_reader() {
    let file = created();
    written(&file, 1, 50).0.close().unwrap();
    let mut checkpoint = opened(&file);
    let reader = checkpoint.reader().unwrap();
    assert!(matches!(checkpoint.check_pages(), Err(CheckpointError::Io(_))));
    drop(reader);
    checkpoint.check_pages().unwrap();
}

#[test]
fn progress_is_reported_and_grows() {
    let file = created();
    let checkpoint = opened(&file);
    let row = row(1, 3);
    let rows: BTreeMap<_, _> = (0..9000u32).map(|n| (n.to_be_bytes(), &row)).collect();
    let changes = Changes {
        records: rows.iter().map(|(key, row)| (KeyspaceId::new(1), &key[..], Some(*row))),
        window: std::iter::empty(),
        control: &Control::default(),
        upkeep: 0,
        counts: [(KeyspaceId::new(1), 9000)].into_iter(),
    };
    checkpoint.write(changes, &Model::default().meta()).unwrap();
    let mut reports = Vec::new();
    let report = |seen: &Verified| reports.push(seen.records);
    verify(&checkpoint.reader().unwrap(), &mut RowHasher::new(UUID), report, |_| {}).unwrap();
    assert_eq!(reports, [4096, 8192]);
}

#[test]
fn rules_and_totals_come_back_and_are_part_of_the_digest() {
    let file = created();
    let (checkpoint, mut model) = written(&file, 2, 50);
    let name = Bytes::from_static(b"cash");
    let rule = RuleName { kind: RuleKind::Total, keyspace: Bytes::new(), name: name.clone() };
    let mark = RuleMark { version: 1, severity: 0, enforcement: 0, details: [3; 16] };
    model.control.rules.set = RuleSet::from([(rule, mark)]).into();
    let mut seen = Vec::new();
    for value in [5, 6, i128::MIN] {
        model.control.rules.totals = Totals::from([(name.clone(), value)]).into();
        model.step(&checkpoint, 10);
        assert!(model.check(&checkpoint).unwrap());
        assert_eq!(checkpoint.reader().unwrap().control().rules, model.control.rules);
        // The rows of the model are its records and outcomes.
        let due = RowHasher::new(UUID).control(&model.control);
        let verified = model.verify(&checkpoint).unwrap().digest;
        assert_eq!(verified.0.wrapping_sub(model.digest().0), due);
        seen.push(due);
    }
    checkpoint.close().unwrap();
    assert_eq!(opened(&file).reader().unwrap().control().rules, model.control.rules);
    seen.dedup();
    assert_eq!(seen.len(), 3);
}
