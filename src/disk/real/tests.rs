#![allow(clippy::disallowed_methods, reason = "sets the scene on a real file system")]

use super::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

fn scene() -> (tempfile::TempDir, RealDisk) {
    let directory = tempfile::tempdir().unwrap();
    let disk = RealDisk::open_or_create(&directory.path().join("db")).unwrap();
    (directory, disk)
}

fn pipe(path: &Path) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, FILE_MODE, 0).unwrap();
}

fn refused(disk: &RealDisk, name: &str, what: &str) {
    let error = disk.open(name).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    let text = error.to_string();
    assert!(text.contains(name) && text.contains(what), "{text}");
}

#[test]
fn what_is_created_is_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("some/where/db");
    let disk = RealDisk::open_or_create(&path).unwrap();
    disk.create("a").unwrap();
    disk.create_dir("segments").unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(directory.path().join("some")), 0o700);
    assert_eq!(mode(path.clone()), 0o700);
    assert_eq!(mode(path.join("segments")), 0o700);
    assert_eq!(mode(path.join("a")), 0o600);
}

#[test]
fn a_given_link_is_resolved_once() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("first"), directory.path().join("second"));
    fs::create_dir(&first).unwrap();
    fs::create_dir(&second).unwrap();
    let link = directory.path().join("link");
    symlink(&first, &link).unwrap();
    let disk = RealDisk::open_or_create(&link).unwrap();
    assert!(disk.location().ends_with("first"));
    fs::remove_file(&link).unwrap();
    symlink(&second, &link).unwrap();
    disk.create("a").unwrap();
    assert!(first.join("a").exists());
}

#[test]
fn a_moved_directory_goes_on_working() {
    let (directory, disk) = scene();
    disk.create_dir("segments").unwrap();
    fs::rename(directory.path().join("db"), directory.path().join("elsewhere")).unwrap();
    disk.create("segments/1").unwrap().write_all_at(0, b"x").unwrap();
    disk.sync_dir("segments").unwrap();
    assert_eq!(fs::read(directory.path().join("elsewhere/segments/1")).unwrap(), b"x");
}

#[test]
fn a_path_that_is_no_directory_is_refused_without_hanging() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("it");
    let kind = |path: &Path| RealDisk::open_or_create(path).unwrap_err().kind();
    fs::write(&path, b"mine").unwrap();
    assert_eq!(kind(&path), io::ErrorKind::NotADirectory);
    assert_eq!(kind(&path.join("below")), io::ErrorKind::NotADirectory);
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    fs::remove_file(&path).unwrap();
    pipe(&path);
    assert_eq!(kind(&path), io::ErrorKind::NotADirectory);
    fs::remove_file(&path).unwrap();
    symlink("/nowhere/at/all", &path).unwrap();
    assert_eq!(kind(&path), io::ErrorKind::NotFound);
}

#[test]
fn only_plain_files_with_one_name_are_opened() {
    let (directory, disk) = scene();
    let db = directory.path().join("db");
    let outside = directory.path().join("outside");
    fs::write(&outside, b"secret").unwrap();

    symlink(&outside, db.join("link")).unwrap();
    refused(&disk, "link", "symbolic link");
    assert_eq!(disk.create("link").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    symlink("/nowhere/at/all", db.join("dangling")).unwrap();
    refused(&disk, "dangling", "symbolic link");
    assert_eq!(disk.create("dangling").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    pipe(&db.join("pipe"));
    refused(&disk, "pipe", "pipe");
    fs::hard_link(&outside, db.join("second")).unwrap();
    refused(&disk, "second", "more than one name");
    fs::create_dir(db.join("folder")).unwrap();
    refused(&disk, "folder", "folder");

    let kinds: Vec<_> = disk.list("").unwrap().into_iter().map(|it| (it.name, it.kind)).collect();
    let (file, folder, other) = (ListedKind::File, ListedKind::Folder, ListedKind::Other);
    assert_eq!(
        kinds,
        [
            ("dangling".into(), other),
            ("folder".into(), folder),
            ("link".into(), other),
            ("pipe".into(), other),
            ("second".into(), file),
        ]
    );
}

#[test]
fn a_folder_that_is_a_link_is_not_followed() {
    let (directory, disk) = scene();
    let outside = directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("1"), b"secret").unwrap();
    symlink(&outside, directory.path().join("db/segments")).unwrap();
    assert!(disk.open("segments/1").is_err());
    assert!(disk.create("segments/2").is_err());
    assert!(disk.remove("segments/1").is_err());
    assert!(disk.list("segments").is_err());
    assert!(disk.sync_dir("segments").is_err());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn the_lock_holds_between_disks_of_one_process() {
    let (directory, disk) = scene();
    let other = RealDisk::open_or_create(&directory.path().join("db")).unwrap();
    let held = disk.lock().unwrap();
    assert_eq!(other.lock().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(disk.lock().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(held);
    assert!(other.lock().is_ok());
}

#[test]
fn an_existing_directory_keeps_its_mode() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o750)).unwrap();
    RealDisk::open_or_create(directory.path()).unwrap();
    assert_eq!(fs::metadata(directory.path()).unwrap().mode() & 0o777, 0o750);
}
