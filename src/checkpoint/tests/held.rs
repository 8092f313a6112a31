use super::{
    memory_file::{Done, MemoryFile},
    model::{CACHE, Model, created, written},
};
use crate::checkpoint::{Checkpoint, CheckpointError, backend::Backend};
use proptest::prelude::*;
use redb::StorageBackend;
use std::sync::atomic::Ordering;

/// A file that was closed, and one whose process died.
fn clean_and_unclean() -> [(Vec<u8>, Model); 2] {
    let file = created();
    let (checkpoint, model) = written(&file, 3, 100);
    let unclean = file.bytes();
    checkpoint.close().unwrap();
    [(file.bytes(), model.clone()), (unclean, model)]
}

#[test]
fn an_open_that_is_refused_changes_no_byte() {
    for (bytes, model) in clean_and_unclean() {
        let file = MemoryFile::of(bytes.clone());
        let mut checkpoint = Checkpoint::open_held(file.clone(), CACHE).unwrap();
        checkpoint.check_pages().unwrap();
        assert!(model.check(&checkpoint).unwrap());
        checkpoint.abandon();
        // Nor does one that is simply dropped, or closed, without a verdict.
        drop(Checkpoint::open_held(file.clone(), CACHE).unwrap());
        Checkpoint::open_held(file.clone(), CACHE).unwrap().close().unwrap();
        assert!(file.done.lock().is_empty());
        assert_eq!(file.bytes(), bytes);
    }
}

#[test]
fn what_was_held_is_carried_out_on_release() {
    for (bytes, mut model) in clean_and_unclean() {
        let file = MemoryFile::of(bytes);
        let mut checkpoint = Checkpoint::open_held(file.clone(), CACHE).unwrap();
        checkpoint.check_pages().unwrap();
        model.step(&checkpoint, 300);
        assert!(model.check(&checkpoint).unwrap());
        assert!(file.done.lock().is_empty());
        checkpoint.release().unwrap();
        // From here on the file is what a crash would leave.
        let mut unclean = Checkpoint::open_held(MemoryFile::of(file.bytes()), CACHE).unwrap();
        unclean.check_pages().unwrap();
        assert!(model.check(&unclean).unwrap());
        model.step(&checkpoint, 10);
        checkpoint.close().unwrap();
        let checkpoint = Checkpoint::open_held(file, CACHE).unwrap();
        assert!(model.check(&checkpoint).unwrap());
    }
}

#[test]
fn release_keeps_the_order_and_the_syncs() {
    let file = MemoryFile::of(vec![1; 5000]);
    let backend = Backend::held(file.clone()).unwrap();
    backend.write(0, &[2; 10]).unwrap();
    backend.sync_data().unwrap();
    backend.set_len(9000).unwrap();
    backend.write(8000, &[3; 20]).unwrap();
    backend.sync_data().unwrap();
    assert!(file.done.lock().is_empty());
    backend.release().unwrap();
    backend.write(1, &[4; 5]).unwrap();
    assert_eq!(
        *file.done.lock(),
        [
            Done::Write { offset: 0, len: 10 },
            Done::Sync,
            Done::SetLen(9000),
            Done::Write { offset: 8000, len: 20 },
            Done::Sync,
            Done::Write { offset: 1, len: 5 },
        ]
    );
}

/// A file that is short of room, with one page held that found none.
fn short() -> (std::sync::Arc<MemoryFile>, Backend) {
    let file = MemoryFile::of(vec![1; 8192]);
    let backend = Backend::passing(file.clone()).unwrap();
    *file.room.lock() = Some(0);
    backend.set_len(16_384).unwrap();
    backend.write(8192, &[2; 4096]).unwrap();
    assert!(backend.is_short());
    file.done.lock().clear();
    (file, backend)
}

#[test]
fn the_sync_of_a_growth_passes_what_is_held_for_want_of_room() {
    let (file, backend) = short();
    backend.set_len(32_768).unwrap();
    backend.sync_data().unwrap();
    backend.write(0, &[3; 10]).unwrap();
    let passed = vec![Done::SetLen(32_768), Done::Sync, Done::Write { offset: 0, len: 10 }];
    assert_eq!(*file.done.lock(), passed);
    // Any other sync divides what comes before it from what comes after.
    backend.sync_data().unwrap();
    backend.write(0, &[4; 10]).unwrap();
    backend.set_len(65_536).unwrap();
    backend.sync_data().unwrap();
    backend.write(20, &[5; 10]).unwrap();
    assert_eq!(*file.done.lock(), passed);
    *file.room.lock() = None;
    backend.release().unwrap();
    assert!(file.bytes()[8192..12_288] == [2; 4096] && file.bytes()[..10] == [4; 10]);
}

#[test]
fn no_sync_passes_a_growth_that_found_no_room() {
    let (file, backend) = short();
    file.full_at_growth.store(true, Ordering::Relaxed);
    backend.set_len(32_768).unwrap();
    backend.sync_data().unwrap();
    // As of a header that names the length: it must not be there before it.
    backend.write(0, &[3; 10]).unwrap();
    backend.sync_data().unwrap();
    assert_eq!(*file.done.lock(), []);
    file.full_at_growth.store(false, Ordering::Relaxed);
    *file.room.lock() = None;
    backend.release().unwrap();
    assert_eq!(
        *file.done.lock(),
        [
            Done::Write { offset: 8192, len: 4096 },
            Done::SetLen(32_768),
            Done::Sync,
            Done::Write { offset: 0, len: 10 },
            Done::Sync,
        ]
    );
}

#[test]
fn a_release_that_fails_writes_nothing_more() {
    let (bytes, _) = clean_and_unclean()[0].clone();
    let file = MemoryFile::of(bytes);
    let checkpoint = Checkpoint::open_held(file.clone(), CACHE).unwrap();
    file.fail_writes.store(true, Ordering::Relaxed);
    assert!(matches!(checkpoint.release(), Err(CheckpointError::Io(_))));
    assert!(checkpoint.failed().is_some());
    file.fail_writes.store(false, Ordering::Relaxed);
    assert!(checkpoint.close().is_err());
    assert!(file.done.lock().is_empty());
}

#[test]
fn a_release_cut_short_anywhere_loses_nothing() {
    for (bytes, model) in clean_and_unclean() {
        for changes in 0.. {
            let file = MemoryFile::of(bytes.clone());
            let checkpoint = Checkpoint::open_held(file.clone(), CACHE).unwrap();
            *file.changes_left.lock() = Some(changes);
            let released = checkpoint.release();
            drop(checkpoint);
            let mut again = Checkpoint::open_held(MemoryFile::of(file.bytes()), CACHE).unwrap();
            again.check_pages().unwrap();
            assert!(model.check(&again).unwrap(), "after {changes} changes");
            if released.is_ok() {
                assert!(changes > 1);
                break;
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Action {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (0u64..20_000, prop::collection::vec(any::<u8>(), 0..6000))
            .prop_map(|(offset, bytes)| Action::Write(offset, bytes)),
        2 => (0u64..26_000).prop_map(Action::SetLen),
        1 => Just(Action::Sync),
    ]
}

fn act(backend: &Backend, action: &Action) {
    match action {
        Action::Write(offset, bytes) => backend.write(*offset, bytes),
        Action::SetLen(len) => backend.set_len(*len),
        Action::Sync => backend.sync_data(),
    }
    .unwrap();
}

fn all(backend: &Backend) -> Vec<u8> {
    let mut bytes = vec![0; backend.bytes() as usize];
    backend.read(0, &mut bytes).unwrap();
    bytes
}

proptest! {
    // A held file reads as the file would if nothing were held, at every moment, and becomes it on release.
    #[test]
    fn a_held_file_reads_as_the_file_it_becomes(
        start in 0usize..15_000,
        actions in prop::collection::vec(action(), 0..12),
        offset in 0u64..26_000,
        len in 0usize..9000,
    ) {
        let (one, other) = (MemoryFile::of(vec![9; start]), MemoryFile::of(vec![9; start]));
        let held = Backend::held(one.clone()).unwrap();
        let passing = Backend::passing(other.clone()).unwrap();
        for action in &actions {
            act(&held, action);
            act(&passing, action);
            prop_assert!(all(&held) == all(&passing));
            let (mut a, mut b) = (vec![0; len], vec![0; len]);
            let read = held.read(offset, &mut a);
            prop_assert_eq!(read.is_ok(), passing.read(offset, &mut b).is_ok());
            prop_assert!(read.is_err() || a == b);
        }
        prop_assert!(one.bytes() == vec![9; start]);
        held.release().unwrap();
        prop_assert!(one.bytes() == other.bytes());
        prop_assert_eq!(&*one.done.lock(), &*other.done.lock());
    }

    // The same of one that is short of room, whenever there is some for a while; what was durable at a held sync is not
    // there before what the sync made durable.
    #[test]
    fn a_short_file_reads_as_the_file_it_becomes(
        start in 0usize..15_000,
        actions in prop::collection::vec((action(), 0usize..3, any::<bool>()), 0..20),
    ) {
        let (one, other) = (MemoryFile::of(vec![9; start]), MemoryFile::of(vec![9; start]));
        let short = Backend::passing(one.clone()).unwrap();
        let passing = Backend::passing(other.clone()).unwrap();
        for (action, room, release) in &actions {
            *one.room.lock() = Some(*room);
            act(&short, action);
            act(&passing, action);
            prop_assert!(all(&short) == all(&passing));
            if *release {
                let released = short.release();
                prop_assert!(matches!(released, Ok(()) | Err(CheckpointError::Full)));
                prop_assert!(all(&short) == all(&passing));
            }
        }
        *one.room.lock() = None;
        short.release().unwrap();
        prop_assert!(!short.is_short());
        prop_assert!(all(&short) == all(&passing));
        prop_assert!(one.bytes() == other.bytes());
    }
}
