//! Who may have a directory open, and of which database its parts are.

use super::{WORDS, open, put, refused, segment};
use crate::support::{answer, as_child, refusal, told};
use std::{fs, path::Path};
use steadfast::{Engine, ErrorKind, Retry};

#[test]
fn one_opening_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path()).unwrap();
    put(&engine, "a");
    let child = || {
        answer(as_child(
            "directories::holders::plays_a_second_process",
            "STEADFAST_TEST_DIRECTORY",
            dir.path().to_str().unwrap(),
        ))
    };
    let error = refusal(open(dir.path()));
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Locked, Retry::SameKey));
    assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
    assert_eq!(child(), "Locked");
    // Whoever was refused has disturbed nothing.
    put(&engine, "b");
    let clone = engine.clone();
    engine.close().unwrap();
    assert_eq!(child(), "2 records");
    let engine = open(dir.path()).unwrap();
    assert_eq!(engine.len(&WORDS).unwrap(), 2);
    assert_eq!(child(), "Locked");
    drop(clone);
    assert_eq!(child(), "Locked", "a clone of a closed engine holds nothing any more");
    // Dropping the last clone closes, too.
    drop(engine);
    assert_eq!(child(), "2 records");
}

#[test]
fn plays_a_second_process() {
    let Some(directory) = told("STEADFAST_TEST_DIRECTORY") else { return };
    match Engine::open(directory) {
        Ok(engine) => println!("answer: {} records", engine.len(&WORDS).unwrap()),
        Err(error) => println!("answer: {:?}", error.kind()),
    }
}

#[test]
fn two_engines_have_two_directories() {
    let (left, right) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (l, r) = (open(left.path()).unwrap(), open(right.path()).unwrap());
    put(&l, "left");
    put(&r, "right");
    put(&r, "left");
    assert_eq!((l.len(&WORDS).unwrap(), r.len(&WORDS).unwrap()), (1, 2));
    l.close().unwrap();
    r.close().unwrap();
    // A part of one is damage in the other.
    let of = |dir: &Path, name: &str| fs::read(dir.join(name)).unwrap();
    for name in ["checkpoint.redb", "CLEAN", "IDENTITY"] {
        let mine = of(left.path(), name);
        fs::write(left.path().join(name), of(right.path(), name)).unwrap();
        refused(left.path(), ErrorKind::Corruption, &["another database"]);
        fs::write(left.path().join(name), mine).unwrap();
    }
    let mine = fs::read(segment(left.path())).unwrap();
    fs::write(segment(left.path()), fs::read(segment(right.path())).unwrap()).unwrap();
    refused(left.path(), ErrorKind::Corruption, &["another database"]);
    fs::write(segment(left.path()), mine).unwrap();
    assert_eq!(open(left.path()).unwrap().len(&WORDS).unwrap(), 1);
}
