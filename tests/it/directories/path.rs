//! What the path that is opened can lead to.

use super::{WORDS, database, make_fifo, open, put};
use crate::support::{Node, picture, refusal};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};
use steadfast::{ErrorKind, Retry};

#[test]
fn a_file_is_not_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "mine").unwrap();
    let error = refusal(open(&path));
    assert_eq!((error.kind(), error.retry()), (ErrorKind::NotADatabase, Retry::Never));
    assert!(error.to_string().contains("file") && error.to_string().contains("not a directory"));
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    let error = refusal(open(&path.join("below")));
    assert!(matches!(error.kind(), ErrorKind::NotADatabase | ErrorKind::Io), "{error}");
}

#[test]
fn a_pipe_is_refused_without_hanging() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    make_fifo(&path);
    let error = refusal(open(&path));
    assert_eq!(error.kind(), ErrorKind::NotADatabase, "{error}");
}

#[test]
fn a_link_to_a_directory_is_followed_and_one_to_nowhere_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    database(&link);
    assert!(real.join("IDENTITY").is_file());
    let engine = open(&link).unwrap();
    assert_eq!(engine.get(&WORDS, "first").unwrap().unwrap().value, "first");
    // By whichever name, it is one directory.
    assert_eq!(refusal(open(&real)).kind(), ErrorKind::Locked);
    // It is resolved once: the engine holds on to the directory, not to the name.
    fs::remove_file(&link).unwrap();
    put(&engine, "second");
    engine.checkpoint().unwrap();
    engine.close().unwrap();
    assert_eq!(open(&real).unwrap().len(&WORDS).unwrap(), 2);

    let nowhere = dir.path().join("nowhere");
    symlink(dir.path().join("missing"), &nowhere).unwrap();
    let error = refusal(open(&nowhere));
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(error.to_string().contains("nowhere"), "{error}");
    assert!(!dir.path().join("missing").exists());
}

#[test]
fn a_directory_that_is_moved_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    let engine = open(&old).unwrap();
    put(&engine, "before");
    fs::rename(&old, &new).unwrap();
    put(&engine, "after");
    engine.checkpoint().unwrap();
    engine.close().unwrap();
    assert!(!old.exists());
    assert_eq!(open(&new).unwrap().len(&WORDS).unwrap(), 2);
}

#[test]
fn missing_directories_are_made_for_their_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a").join("b").join("c");
    let engine = open(&path).unwrap();
    put(&engine, "x");
    engine.checkpoint().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let check = || {
        for folder in ["a", "a/b", "a/b/c", "a/b/c/segments"] {
            assert_eq!(mode(&dir.path().join(folder)), 0o700, "{folder}");
        }
        let files = picture(&path).into_iter().filter(|(_, node)| matches!(node, Node::File(_)));
        let files: Vec<_> = files.map(|(name, _)| name).collect();
        assert!(files.len() >= 3, "{files:?}");
        for file in &files {
            assert_eq!(mode(&path.join(file)), 0o600, "{}", file.display());
        }
        files.len()
    };
    check();
    engine.close().unwrap();
    check();
}
