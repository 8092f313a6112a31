//! Damage is found, with its place, wherever in the log it is; and a log that is not whole is not taken for one.

use super::*;
use crate::support::key;
use std::fs;
use steadfast::{Coverage, Error, Expect, Request, testing::replay::assert_replays, verify};

/// A log of many segments that is kept, most of it below the checkpoint. How many there are.
fn log(dir: &Path) -> u64 {
    for life in 0..3 {
        let engine = keeping(&Registry::new()).segment_bytes(64 << 10).open(dir).unwrap();
        for n in 0..40 {
            let key = key(&format!("{life}-{n}"));
            let request =
                Request::new(key).put(&AUDIT, &(n, [0; 16]), &"x".repeat(4_000), Expect::Any);
            committed(engine.commit(request).unwrap());
        }
        engine.checkpoint().unwrap();
        engine.checkpoint().unwrap();
        engine.close().unwrap();
    }
    fs::read_dir(dir.join("segments"))
        .unwrap()
        .filter(|name| name.as_ref().unwrap().file_name().to_string_lossy().starts_with('0'))
        .count() as u64
}

fn segment(dir: &Path, number: u64) -> std::path::PathBuf {
    let mut names: Vec<_> = fs::read_dir(dir.join("segments"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with('0'))
        .collect();
    names.sort();
    names[number as usize - 1].clone()
}

#[test]
fn damage_in_a_kept_segment_stops_no_opening_and_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let segments = log(dir.path());
    assert!(segments > 6, "{segments}");
    assert_replays(dir.path(), &Registry::new());
    for (number, flip) in [(2, 12_288 + 600), (3, 20_480 + 20), (4, 8_192 + 2)] {
        let path = segment(dir.path(), number);
        let whole = fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        damaged[flip] ^= 4;
        fs::write(&path, &damaged).unwrap();
        let engine = keeping(&Registry::new()).open(dir.path()).unwrap();
        assert!(engine.contains(&AUDIT, &(7, [0; 16])).unwrap());
        engine.close().unwrap();
        match verify(dir.path(), &Registry::new()) {
            Err(Error::Corruption { file, offset, seq, .. }) => {
                assert!(path.to_string_lossy().ends_with(&file), "{file} is not {path:?}");
                assert!(offset > 0 && offset <= flip as u64, "{offset}");
                assert!(seq.is_some());
            }
            other => panic!("{other:?}"),
        }
        fs::write(&path, &whole).unwrap();
    }
    assert_replays(dir.path(), &Registry::new());
}

/// In place of a kept segment there is something else.
#[test]
fn what_is_no_segment_stops_no_opening_and_is_found() {
    let dir = tempfile::tempdir().unwrap();
    log(dir.path());
    let path = segment(dir.path(), 2);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    keeping(&Registry::new()).open(dir.path()).unwrap().close().unwrap();
    Engine::open_read_only(dir.path()).unwrap().close().unwrap();
    assert!(matches!(verify(dir.path(), &Registry::new()), Err(Error::Corruption { .. })));
    // What is to be removed must be what it seems.
    assert!(matches!(Engine::open(dir.path()), Err(Error::Corruption { .. })));
}

#[test]
fn a_log_with_a_hole_is_verified_from_the_checkpoint() {
    for gone in [1, 3] {
        let dir = tempfile::tempdir().unwrap();
        let segments = log(dir.path());
        fs::remove_file(segment(dir.path(), gone)).unwrap();
        let report = assert_replays(dir.path(), &Registry::new());
        assert_eq!(report.coverage, Coverage::SinceCheckpoint);
        assert!(report.segments_not_read > 3 && report.segments_not_read < segments, "{report}");
        assert!(report.to_string().contains("not read"), "{report}");
    }
}

/// The log of one database beside the checkpoint of its own past: the log leads on.
#[test]
fn an_older_checkpoint_is_what_the_log_leads_to_at_its_entry() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    for n in 0..20 {
        let request = Request::new(key(&n.to_string())).add(&ACCOUNTS, "ann", 1, 0..=100);
        committed(engine.commit(request).unwrap());
        if n == 9 {
            engine.checkpoint().unwrap();
        }
    }
    engine.close().unwrap();
    let report = assert_replays(dir.path(), &registry());
    assert_eq!((report.recovery.checkpoint_seq.get(), report.entries), (10, 20));
    // One digest for the rows of the checkpoint, one for each group, one for the checkpoint on the way.
    assert_eq!(report.recovery.digests_compared, 1 + report.recovery.groups_scanned + 1);
}
