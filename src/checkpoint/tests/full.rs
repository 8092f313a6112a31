//! A disk that is full while a checkpoint is written, at every place.

use super::{
    memory_file::MemoryFile,
    model::{CACHE, Model, Step, created, opened, written},
};
use crate::checkpoint::{Checkpoint, CheckpointError};
use proptest::prelude::*;
use std::sync::{Arc, atomic::Ordering};

/// What came of a write.
#[derive(Default)]
struct Tries {
    /// Calls that said that there is no room.
    full: usize,
    /// Of those, the ones after which redb had committed all the same.
    committed: usize,
    /// The most that was held in memory.
    held_bytes: u64,
}

/// Writes a step with room for so many pages, and for `more` pages more at each try, until it is written. All the while readers
/// and a crash show what was there before.
fn write_with_little_room(
    file: &Arc<MemoryFile>,
    (checkpoint, before): (&Checkpoint, &Model),
    (after, step): (&Model, &Step),
    room: usize,
    more: usize,
) -> Tries {
    let mut tries = Tries::default();
    *file.room.lock() = Some(room);
    loop {
        match after.write(checkpoint, step) {
            Ok(()) => break,
            Err(CheckpointError::Full) => {}
            Err(other) => panic!("a full disk gave: {other}"),
        }
        tries.full += 1;
        tries.committed += usize::from(checkpoint.unsettled.lock().is_some());
        tries.held_bytes = tries.held_bytes.max(checkpoint.backend.short_bytes());
        assert!(checkpoint.failed().is_none());
        assert!(before.check(checkpoint).unwrap(), "readers see something else");
        if tries.full < 3 {
            check_crashed(file, before);
        }
        *file.room.lock().as_mut().unwrap() += more;
    }
    *file.room.lock() = None;
    assert!(after.check(checkpoint).unwrap());
    assert!(!checkpoint.backend.is_short());
    tries
}

/// A crash now leaves this.
fn check_crashed(file: &MemoryFile, model: &Model) {
    let mut crashed = Checkpoint::open_held(MemoryFile::of(file.bytes()), CACHE).unwrap();
    crashed.check_pages().unwrap();
    assert!(model.check(&crashed).unwrap(), "a crash leaves something else");
}

#[test]
fn a_full_disk_at_any_page_fails_nothing_and_passes() {
    let (mut full, mut committed, mut given_up) = (0, 0, 0);
    for (records, step_pages, more) in [(100, 4, 3), (2_000, 60, 40)] {
        for room in (0..4).chain((8..).step_by(step_pages)) {
            let file = created();
            let (checkpoint, before) = written(&file, 2, 60);
            let mut after = before.clone();
            let step = after.plan(records);
            let tries =
                write_with_little_room(&file, (&checkpoint, &before), (&after, &step), room, more);
            full += tries.full;
            committed += tries.committed;
            given_up += tries.full - tries.committed;
            assert!(tries.held_bytes <= CACHE as u64 * 3 / 2, "{} are held", tries.held_bytes);
            check_crashed(&file, &after);
            // All goes on.
            after.step(&checkpoint, 40);
            checkpoint.close().unwrap();
            assert!(after.check(&opened(&file)).unwrap());
            if tries.full == 0 {
                break;
            }
        }
    }
    println!("{full} times no room: {committed} after the commit, {given_up} before it");
    assert!(committed > 20 && given_up > 20);
}

/// Where its file grows redb syncs, also in the middle of a commit, and all pages of the transaction are written after that.
#[test]
fn a_file_that_grows_while_redb_commits_does_not_make_all_be_held() {
    let mut most = 0;
    for history in [[101, 46, 137], [1, 169, 93], [150, 150, 150]] {
        let file = created();
        let checkpoint = opened(&file);
        let mut before = Model::default();
        history.iter().for_each(|records| before.step(&checkpoint, *records));
        checkpoint.close().unwrap();
        let bytes = file.bytes();
        for (records, room) in [300, 525, 873, 1_200]
            .into_iter()
            .flat_map(|n| (0..120).step_by(4).map(move |r| (n, r)))
        {
            let file = MemoryFile::of(bytes.clone());
            let checkpoint = opened(&file);
            let mut after = before.clone();
            let step = after.plan(records);
            let both = (&checkpoint, &before);
            let tries = write_with_little_room(&file, both, (&after, &step), room, 200);
            most = most.max(tries.held_bytes);
        }
    }
    println!("at most {most} bytes are held, with a cache of {CACHE}");
    assert!(most <= CACHE as u64 * 3 / 2, "{most} are held");
}

#[test]
fn a_file_that_finds_no_room_to_grow_fails_nothing() {
    for records in [100, 500, 2_000] {
        let file = created();
        let (checkpoint, before) = written(&file, 2, 60);
        let mut after = before.clone();
        let step = after.plan(records);
        file.full_at_growth.store(true, Ordering::Relaxed);
        *file.room.lock() = Some(20);
        assert!(matches!(after.write(&checkpoint, &step), Err(CheckpointError::Full)));
        assert!(before.check(&checkpoint).unwrap());
        check_crashed(&file, &before);
        *file.room.lock() = None;
        if let Err(error) = after.write(&checkpoint, &step) {
            assert!(matches!(error, CheckpointError::Full), "{error}");
            check_crashed(&file, &before);
        }
        file.full_at_growth.store(false, Ordering::Relaxed);
        after.write(&checkpoint, &step).unwrap();
        check_crashed(&file, &after);
        checkpoint.close().unwrap();
        assert!(after.check(&opened(&file)).unwrap());
    }
}

#[test]
fn what_is_short_can_be_closed_and_dropped_and_leaves_what_was_before() {
    for records in [100, 2_000] {
        for close in [false, true] {
            let file = created();
            let (checkpoint, before) = written(&file, 2, 60);
            *file.room.lock() = Some(3);
            let error = before.clone().change(&checkpoint, records).unwrap_err();
            assert!(matches!(error, CheckpointError::Full));
            if close {
                checkpoint.close().unwrap()
            } else {
                drop(checkpoint)
            }
            *file.room.lock() = None;
            check_crashed(&file, &before);
        }
    }
}

#[test]
fn a_close_writes_what_there_is_room_for_by_then() {
    let file = created();
    let (checkpoint, before) = written(&file, 2, 60);
    *file.room.lock() = Some(3);
    let mut after = before.clone();
    assert!(matches!(after.change(&checkpoint, 100), Err(CheckpointError::Full)));
    assert!(checkpoint.unsettled.lock().is_some());
    *file.room.lock() = None;
    checkpoint.close().unwrap();
    assert!(after.check(&opened(&file)).unwrap());
}

#[test]
fn while_it_is_short_any_other_failure_is_final() {
    for sync in [false, true] {
        let file = created();
        let (checkpoint, before) = written(&file, 2, 60);
        *file.room.lock() = Some(3);
        let mut after = before.clone();
        let step = after.plan(100);
        assert!(matches!(after.write(&checkpoint, &step), Err(CheckpointError::Full)));
        *file.room.lock() = None;
        // What a sync says of room says nothing about the bytes.
        let failing = if sync { &file.full_at_sync } else { &file.fail_writes };
        failing.store(true, Ordering::Relaxed);
        assert!(matches!(after.write(&checkpoint, &step), Err(CheckpointError::Io(_))));
        failing.store(false, Ordering::Relaxed);
        let bytes = file.bytes();
        assert!(matches!(after.write(&checkpoint, &step), Err(CheckpointError::Io(_))));
        assert!(checkpoint.close().is_err());
        assert!(file.bytes() == bytes, "something more was written");
        let crashed = opened(&MemoryFile::of(bytes));
        assert!(before.check(&crashed).unwrap() || after.check(&crashed).unwrap());
    }
}

#[test]
fn a_sync_that_finds_no_room_is_final() {
    let file = created();
    let (checkpoint, before) = written(&file, 2, 60);
    file.full_at_sync.store(true, Ordering::Relaxed);
    assert!(matches!(before.clone().change(&checkpoint, 100), Err(CheckpointError::Io(_))));
    assert!(checkpoint.failed().is_some());
}

#[test]
fn a_creation_without_room_says_so() {
    for room in 0.. {
        let file = MemoryFile::of(Vec::new());
        *file.room.lock() = Some(room);
        match Checkpoint::create(file.clone(), &Model::default().meta(), CACHE) {
            Err(CheckpointError::Full) => {}
            created => {
                created.unwrap();
                assert!(room > 2);
                assert!(Model::default().check(&opened(&file)).unwrap());
                break;
            }
        }
    }
}

/// Why no room is set aside before a write: redb's file is longer than what is in it, and pages are taken from all over it.
#[test]
fn the_file_grows_by_more_than_is_written_to_it() {
    let file = created();
    let (checkpoint, model) = written(&file, 6, 500);
    let (pages, taken) = (file.bytes().len() / 4096, file.pages());
    println!(
        "{} of {pages} pages take room, the last is page {}",
        taken.len(),
        taken.last().unwrap()
    );
    assert!(taken.len() < pages * 3 / 4);
    assert!(*taken.last().unwrap() > taken.len() * 5 / 4);
    assert!(model.check(&checkpoint).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    // Any changes to any tree, with any room: they are written, or there is no room, and then they can be written again.
    #[test]
    fn any_write_with_any_room_is_done_or_can_be_done_again(
        history in prop::collection::vec(1u64..200, 0..4),
        writes in prop::collection::vec((1u64..1_500, 0usize..300, 20usize..200), 1..3),
    ) {
        let file = created();
        let checkpoint = opened(&file);
        let mut model = Model::default();
        for records in history {
            model.step(&checkpoint, records);
        }
        for (records, room, more) in writes {
            let before = model.clone();
            let step = model.plan(records);
            let tries =
                write_with_little_room(&file, (&checkpoint, &before), (&model, &step), room, more);
            // Half the cache before the commit, and what redb has not written yet when that begins.
            let most = CACHE as u64 * 3 / 2;
            prop_assert!(tries.held_bytes <= most, "{} are held", tries.held_bytes);
        }
        check_crashed(&file, &model);
        checkpoint.close().unwrap();
        prop_assert!(model.check(&opened(&file)).unwrap());
    }
}
