//! What a path can lead to besides a database, who may have one open, and what it takes to be refused: nothing in it
//! is changed, nothing hangs.

mod creation;
mod foreign;
mod holders;
mod kinds;
mod leftovers;
mod missing;
mod path;
mod permissions;
mod rewritten;

use crate::support::{in_time, key, picture, refusal};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use steadfast::{Engine, Error, ErrorKind, Expect, Keyspace, Request};

const WORDS: Keyspace<String, String> = Keyspace::new("words");

fn put(engine: &Engine, name: &str) {
    let request = Request::new(key(name)).put(&WORDS, name, &name.to_owned(), Expect::Absent);
    assert!(!engine.commit(request).unwrap().committed().unwrap().replayed);
}

/// A closed database with one record, not yet in the checkpoint.
fn database(directory: &Path) {
    let engine = Engine::open(directory).unwrap();
    put(&engine, "first");
    engine.close().unwrap();
}

fn open(directory: &Path) -> Result<Engine, Error> {
    let directory = directory.to_owned();
    in_time(move || Engine::open(directory))
}

/// Opening gives this kind of error, twice, and leaves everything as it was.
fn refused(directory: &Path, kind: ErrorKind, says: &[&str]) -> Error {
    let before = picture(directory);
    let error = refusal(open(directory));
    assert_eq!(error.kind(), kind, "{error}");
    for part in says {
        assert!(error.to_string().contains(part), "{error} does not say {part:?}");
    }
    assert_eq!(refusal(open(directory)).kind(), kind, "the second time it is another error");
    assert!(picture(directory) == before, "something was changed by {error}");
    error
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// The path of the only segment with groups of a small database.
fn segment(directory: &Path) -> PathBuf {
    let mut segments: Vec<_> = fs::read_dir(directory.join("segments"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with('0'))
        .collect();
    segments.sort();
    segments.pop().unwrap()
}
