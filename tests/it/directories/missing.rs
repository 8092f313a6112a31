//! What is missed when it is gone.

use super::{database, open, put, refused, segment};
use std::fs;
use steadfast::ErrorKind;

#[test]
fn a_file_of_ours_that_is_missing_is_damage() {
    for name in ["checkpoint.redb", "segments"] {
        let dir = tempfile::tempdir().unwrap();
        database(dir.path());
        let path = dir.path().join(name);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        refused(dir.path(), ErrorKind::Corruption, &[name]);
    }
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    fs::remove_file(segment(dir.path())).unwrap();
    refused(dir.path(), ErrorKind::Corruption, &["segments/"]);
}

#[test]
fn the_newest_segment_of_a_log_that_was_not_closed_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    let engine = open(dir.path()).unwrap();
    put(&engine, "second");
    engine.close().unwrap();
    // As a kill would have left it.
    fs::remove_file(dir.path().join("CLEAN")).unwrap();
    let newest = segment(dir.path());
    fs::remove_file(&newest).unwrap();
    let name = newest.file_name().unwrap().to_str().unwrap();
    refused(dir.path(), ErrorKind::Corruption, &[name, "missing"]);
}

/// The checkpoint alone tells that this is no creation that was cut off, which would be made anew.
#[test]
fn a_checkpoint_with_entries_is_never_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    let engine = open(dir.path()).unwrap();
    put(&engine, "second");
    engine.checkpoint().unwrap();
    engine.close().unwrap();
    for name in ["IDENTITY", "CLEAN"] {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    for file in fs::read_dir(dir.path().join("segments")).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    refused(dir.path(), ErrorKind::Corruption, &["IDENTITY", "a checkpoint with entries"]);
}

#[test]
fn an_identity_that_is_missing_is_told_from_no_database() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    fs::remove_file(dir.path().join("IDENTITY")).unwrap();
    refused(dir.path(), ErrorKind::Corruption, &["IDENTITY", "closed once"]);
    // A creation never leaves a checkpoint alone: whatever that is, it stays.
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("checkpoint.redb"), b"somebody's").unwrap();
    refused(dir.path(), ErrorKind::NotADatabase, &["checkpoint.redb", "alone"]);
}
