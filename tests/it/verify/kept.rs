//! `LogRetention::KeepAll`: nothing of the log is removed, and nothing else changes.

use super::*;
use crate::support::key;
use std::fs;
use steadfast::{
    Coverage, Error, Expect, Request,
    testing::{SimDisk, replay::verify_on},
    verify,
};

fn segments(dir: &Path) -> usize {
    let names = fs::read_dir(dir.join("segments")).unwrap();
    names
        .filter(|name| name.as_ref().unwrap().file_name().to_string_lossy().starts_with('0'))
        .count()
}

fn fill(engine: &Engine, life: usize) {
    for n in 0..30 {
        let value = "x".repeat(4_000);
        let request = Request::new(key(&format!("{life}-{n}")));
        committed(engine.commit(request.put(&AUDIT, &(n, [0; 16]), &value, Expect::Any)).unwrap());
    }
    engine.checkpoint().unwrap();
    engine.checkpoint().unwrap();
}

fn live(dir: &Path, life: usize, retention: LogRetention) -> usize {
    let builder = Engine::builder().segment_bytes(64 << 10).log_retention(retention);
    let engine = builder.open(dir).unwrap();
    fill(&engine, life);
    // An opening reads what it needs, however much there is.
    assert!(engine.recovery().segments_scanned < 8, "{}", engine.recovery());
    engine.close().unwrap();
    segments(dir)
}

#[test]
fn what_is_kept_grows_and_goes_when_it_is_not_kept_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = 0;
    for life in 0..4 {
        let there = live(dir.path(), life, LogRetention::KeepAll);
        assert!(there > before);
        before = there;
    }
    assert_eq!(verify(dir.path(), &Registry::new()).unwrap().coverage, Coverage::Whole);
    let there = live(dir.path(), 9, LogRetention::Trim);
    assert!(there < 6 && there < before, "{there} of {before} are left");
    assert_eq!(verify(dir.path(), &Registry::new()).unwrap().coverage, Coverage::SinceCheckpoint);
    // What was removed does not come back.
    live(dir.path(), 10, LogRetention::KeepAll);
    let report = verify(dir.path(), &Registry::new()).unwrap();
    assert!(report.is_exact() && report.coverage == Coverage::SinceCheckpoint, "{report}");
    assert!(report.segments_not_read > 0, "{report}");
}

/// Nothing is given back on a full disk, and nothing breaks: requests are told so, and what is there is verified.
#[test]
fn a_full_disk_is_told_and_verified() {
    let disk = SimDisk::new();
    disk.set_capacity(Some(3 << 20));
    let open = || {
        keeping(&Registry::new())
            .segment_bytes(64 << 10)
            .log_limit_bytes(64 << 10)
            .checkpoint_cache_bytes(1 << 20)
            .background(steadfast::Background::Manual)
            .open_on(disk.clone())
    };
    let engine = open().unwrap();
    let mut told = 0;
    for n in 0..2_000u64 {
        let value = "x".repeat(2_000);
        let request = Request::new(key(&n.to_string()));
        match engine.commit(request.put(&AUDIT, &(n % 5, [0; 16]), &value, Expect::Any)) {
            Ok(_) => {}
            Err(Error::NoSpace { .. }) => told += 1,
            Err(error) => panic!("{error}"),
        }
        let _ = engine.run_background_step();
        if told > 3 {
            break;
        }
    }
    assert!(told > 3, "the disk was never full");
    let written = engine.durable_seq();
    engine.close().unwrap();
    let report = verify_on(disk.snapshot(), &Registry::new()).unwrap();
    assert!(report.is_exact() && report.coverage == Coverage::Whole, "{report}");
    assert_eq!(report.recovery.applied_seq, written);
    // Room comes only from outside.
    assert!(matches!(open().unwrap().checkpoint(), Ok(()) | Err(Error::NoSpace { .. })));
    disk.set_capacity(Some(8 << 20));
    let engine = open().unwrap();
    let request = Request::new(key("more")).put(&AUDIT, &(1, [0; 16]), &"y".into(), Expect::Any);
    committed(engine.commit(request).unwrap());
    engine.close().unwrap();
    assert!(verify_on(disk.snapshot(), &Registry::new()).unwrap().is_exact());
}
