//! A verification changes nothing, and waits for nobody.

use super::*;
use crate::support::{key, picture};
use std::{collections::BTreeMap, fs, path::PathBuf, time::SystemTime};
use steadfast::{Error, Request, ShapeError, testing::replay::assert_replays, verify};

/// When each file and folder was last changed.
fn times(dir: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let mut times = BTreeMap::new();
    let names = picture(dir).into_keys().chain([PathBuf::new()]);
    for name in names {
        times.insert(name.clone(), fs::metadata(dir.join(name)).unwrap().modified().unwrap());
    }
    times
}

fn write(dir: &Path) -> Engine {
    let engine = open(dir);
    for n in 0..50 {
        let request = Request::new(key(&n.to_string())).add(&ACCOUNTS, "ann", 1, 0..=100);
        committed(engine.commit(request).unwrap());
        if n == 20 {
            engine.checkpoint().unwrap();
        }
    }
    engine
}

#[test]
fn no_byte_and_no_time_changes() {
    let dir = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let engine = write(dir.path());
    // As a crash leaves it.
    crate::support::paint(copy.path(), &picture(dir.path()));
    engine.close().unwrap();
    for dir in [dir.path(), copy.path()] {
        let before = (picture(dir), times(dir));
        assert_replays(dir, &registry());
        // Found to differ, too.
        verify(dir, &Registry::new()).unwrap();
        assert!((picture(dir), times(dir)) == before, "something changed in {}", dir.display());
    }
}

#[test]
fn an_open_database_is_refused_and_readers_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let engine = write(dir.path());
    assert!(matches!(verify(dir.path(), &registry()), Err(Error::Locked { .. })));
    engine.close().unwrap();
    let reader = Engine::open_read_only(dir.path()).unwrap();
    assert_replays(dir.path(), &registry());
    reader.close().unwrap();
}

#[test]
fn what_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_owned(), dir.path().join("missing")] {
        assert!(matches!(verify(&path, &registry()), Err(Error::NotADatabase { .. })));
    }
    assert!(picture(dir.path()).is_empty());
}

#[test]
fn a_registry_that_is_not_well_made_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path()).close().unwrap();
    let twice = Registry::new().rules(solvent(0)).rules(solvent(1));
    assert!(matches!(verify(dir.path(), &twice), Err(Error::Shape(ShapeError::Rule { .. }))));
    let opened = Engine::builder().registry(&registry()).registry(&registry()).open(dir.path());
    assert!(matches!(opened, Err(Error::Shape(ShapeError::Rule { .. }))));
}
