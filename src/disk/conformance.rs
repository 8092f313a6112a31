//! What every disk has to do, whichever it is.

use super::{Disk, File, ListedKind, MemoryDisk, RealDisk};
use std::{io::ErrorKind, sync::Arc};

/// Runs a check on an empty disk of each kind.
fn on_each(check: fn(Arc<dyn Disk>)) {
    let directory = tempfile::tempdir().unwrap();
    check(Arc::new(RealDisk::open_or_create(&directory.path().join("db")).unwrap()));
    check(Arc::new(MemoryDisk::new()));
    #[cfg(feature = "testing")]
    check(Arc::new(super::SimDisk::new()));
}

fn contents(file: &dyn File) -> Vec<u8> {
    let mut bytes = vec![0xEE; file.len().unwrap() as usize];
    file.read_exact_at(0, &mut bytes).unwrap();
    bytes
}

fn kind<T>(result: std::io::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("this should have failed"),
        Err(error) => error.kind(),
    }
}

#[test]
fn bytes_come_back() {
    on_each(|disk| {
        let file = disk.create("a").unwrap();
        assert_eq!(file.len().unwrap(), 0);
        file.write_all_at(5, b"hello").unwrap();
        assert_eq!(contents(&*file), b"\0\0\0\0\0hello");
        file.sync_data().unwrap();
        file.drop_cache().unwrap();
        assert_eq!(contents(&*disk.open("a").unwrap()), b"\0\0\0\0\0hello");
        assert_eq!(contents(&*disk.open_to_read("a").unwrap()), b"\0\0\0\0\0hello");
        assert_eq!(file.read_at(10, &mut [0; 4]).unwrap(), 0);
        assert_eq!(file.read_at(8, &mut [0; 4]).unwrap(), 2);
        assert_eq!(kind(file.read_exact_at(8, &mut [0; 4])), ErrorKind::UnexpectedEof);
        assert_eq!(file.write_at(100, b"").unwrap(), 0);
        assert_eq!(file.len().unwrap(), 10);
    });
}

#[test]
fn durable_writes_of_every_shape_come_back() {
    on_each(|disk| {
        let file = disk.create_log("a").unwrap();
        assert_eq!(file.len().unwrap(), 0);
        let mut expected = vec![0; 4 << 20];
        file.write_all_at(0, &expected).unwrap();
        file.sync_data().unwrap();
        file.drop_cache().unwrap();
        // Whole blocks, parts of one, and more than is written in one piece; with ordinary writes between them.
        let writes = [
            (4096, 4096, 1),
            (8192, 12288, 2),
            (100, 300, 3),
            (20480, 4095, 4),
            (1 << 20, 2 << 20, 5),
            (0, 8192, 6),
        ];
        for (offset, length, byte) in writes {
            let bytes = vec![byte; length];
            file.write_durably_at(offset as u64, &bytes).unwrap();
            expected[offset..offset + length].copy_from_slice(&bytes);
            file.write_all_at(offset as u64 + 1, &[9]).unwrap();
            expected[offset + 1] = 9;
            assert!(
                contents(&*file) == expected && contents(&*disk.open("a").unwrap()) == expected
            );
        }
        assert_eq!(kind(disk.create_log("a")), ErrorKind::AlreadyExists);
    });
}

#[test]
fn lengths_cut_and_grow_with_zeros() {
    on_each(|disk| {
        let file = disk.create("a").unwrap();
        file.write_all_at(0, &[7; 10_000]).unwrap();
        file.set_len(4_100).unwrap();
        file.set_len(10_000).unwrap();
        let mut expected = vec![7; 4_100];
        expected.resize(10_000, 0);
        assert_eq!(contents(&*file), expected);
        file.sync_data().unwrap();
        file.drop_cache().unwrap();
        assert_eq!(contents(&*file), expected);
    });
}

#[test]
fn names_are_taken_moved_and_given_back() {
    on_each(|disk| {
        assert_eq!(kind(disk.open("a")), ErrorKind::NotFound);
        disk.create("a").unwrap().write_all_at(0, b"a").unwrap();
        assert_eq!(kind(disk.create("a")), ErrorKind::AlreadyExists);
        assert_eq!(kind(disk.create_dir("a")), ErrorKind::AlreadyExists);
        disk.create("b").unwrap().write_all_at(0, b"b").unwrap();
        disk.rename("a", "b").unwrap();
        assert_eq!(contents(&*disk.open("b").unwrap()), b"a");
        assert_eq!(kind(disk.open("a")), ErrorKind::NotFound);
        assert_eq!(kind(disk.rename("a", "c")), ErrorKind::NotFound);
        disk.rename("b", "b").unwrap();
        assert_eq!(contents(&*disk.open("b").unwrap()), b"a");
        disk.sync_dir("").unwrap();
        disk.remove("b").unwrap();
        assert_eq!(kind(disk.remove("b")), ErrorKind::NotFound);
        disk.sync_dir("").unwrap();
        assert_eq!(disk.list("").unwrap(), []);
    });
}

#[test]
fn folders_hold_files() {
    on_each(|disk| {
        assert_eq!(kind(disk.create("segments/1")), ErrorKind::NotFound);
        assert_eq!(kind(disk.list("segments")), ErrorKind::NotFound);
        assert_eq!(kind(disk.sync_dir("segments")), ErrorKind::NotFound);
        disk.create_dir("segments").unwrap();
        assert_eq!(kind(disk.create_dir("segments")), ErrorKind::AlreadyExists);
        assert_eq!(kind(disk.open("segments")), ErrorKind::InvalidInput);
        assert!(disk.remove("segments").is_err());
        disk.create("segments/2").unwrap();
        disk.create("segments/10").unwrap();
        disk.create("top").unwrap();
        disk.rename("segments/2", "segments/1").unwrap();
        disk.sync_dir("segments").unwrap();
        let names = |folder| -> Vec<(String, ListedKind)> {
            disk.list(folder).unwrap().into_iter().map(|it| (it.name, it.kind)).collect()
        };
        let (file, folder) = (ListedKind::File, ListedKind::Folder);
        assert_eq!(names("segments"), [("1".into(), file), ("10".into(), file)]);
        assert_eq!(names(""), [("segments".into(), folder), ("top".into(), file)]);
        assert_eq!(kind(disk.list("top")), ErrorKind::NotADirectory);
        assert_eq!(kind(disk.create("top/1")), ErrorKind::NotADirectory);
        disk.rename("top", "segments/3").unwrap();
        assert_eq!(names("").len(), 1);
    });
}

#[test]
fn names_that_lead_out_are_refused() {
    on_each(|disk| {
        for name in ["", "/a", "../a", "..", "a/b/c", "a\0"] {
            assert_eq!(kind(disk.create(name)), ErrorKind::InvalidInput, "{name:?}");
            assert_eq!(kind(disk.open(name)), ErrorKind::InvalidInput, "{name:?}");
        }
        assert_eq!(kind(disk.list("..")), ErrorKind::InvalidInput);
        assert_eq!(kind(disk.sync_dir("/")), ErrorKind::InvalidInput);
    });
}

#[test]
fn an_open_file_outlives_its_name() {
    on_each(|disk| {
        let first = disk.create("a").unwrap();
        let second = disk.create("b").unwrap();
        first.write_all_at(0, b"first").unwrap();
        second.write_all_at(0, b"second").unwrap();
        disk.rename("a", "b").unwrap();
        disk.remove("b").unwrap();
        disk.sync_dir("").unwrap();
        assert_eq!(contents(&*first), b"first");
        assert_eq!(contents(&*second), b"second");
        second.write_all_at(0, b"SECOND").unwrap();
        second.sync_data().unwrap();
        assert_eq!(contents(&*second), b"SECOND");
    });
}

#[test]
fn one_holder_of_the_lock_at_a_time() {
    on_each(|disk| {
        let held = disk.lock().unwrap();
        assert_eq!(kind(disk.lock()), ErrorKind::WouldBlock);
        drop(held);
        drop(disk.lock().unwrap());
        // Many may read, and nobody writes meanwhile.
        let shared = [disk.lock_shared().unwrap(), disk.lock_shared().unwrap()];
        assert_eq!(kind(disk.lock()), ErrorKind::WouldBlock);
        let [first, second] = shared;
        drop(first);
        assert_eq!(kind(disk.lock()), ErrorKind::WouldBlock);
        drop(second);
        let held = disk.lock().unwrap();
        assert_eq!(kind(disk.lock_shared()), ErrorKind::WouldBlock);
        drop(held);
        assert!(disk.free_bytes().unwrap() > 0);
        assert!(!disk.location().is_empty());
    });
}

#[test]
fn a_clone_of_a_memory_disk_is_the_same_disk() {
    let disk = MemoryDisk::new();
    let _held = disk.lock().unwrap();
    disk.create("a").unwrap();
    assert!(disk.clone().open("a").is_ok());
    assert_eq!(kind(disk.clone().lock()), ErrorKind::WouldBlock);
}
