//! Logs of all kinds come out the same.

use super::*;
use crate::support::key;
use std::time::Duration;
use steadfast::{
    Coverage, Error, Expect, Mode, Rejection, ReplayVerdict, Request, Verdict, VerifyReport,
    testing::{MemoryDisk, SimClock, replay},
    verify,
};

/// One of everything that can be in a log.
fn everything(engine: &Engine, name: &str) {
    let key = |n: &str| key(&format!("{name}-{n}"));
    let put = |n: u64, state: &str, expect: Expect| {
        Request::unkeyed().put(&ORDERS, &n, &state.to_owned(), expect)
    };
    for (account, cents) in [("ann", 100), ("bob", 50)] {
        let deposit = Request::new(key(account)).add(&ACCOUNTS, account, cents, -900..=1_000_000);
        committed(engine.commit(deposit.result(&cents)).unwrap());
    }
    committed(engine.call(key("t1"), &ten("ann", "bob", 31)).unwrap());
    committed(engine.call(key("t2"), &Transfer2(ten("bob", "ann", 31))).unwrap());
    let refused = engine.call(key("t3"), &ten("ann", "bob", 900_000)).unwrap();
    assert!(matches!(refused, Outcome::Rejected(Rejection::Procedure(Refused::Insufficient))));

    let order = engine.durable_seq().get();
    committed(engine.commit(put(order, "pending", Expect::Absent)).unwrap());
    let there = engine.get(&ORDERS, &order).unwrap().unwrap();
    let swap = Request::new(key("swap"))
        .put(&ORDERS, &order, &"paid".to_owned(), there.version)
        .check(&ACCOUNTS, "ann", Expect::Present)
        .actor("till")
        .correlation("c-1");
    committed(engine.commit(swap).unwrap());
    let rejected = [
        Request::new(key("r1")).put(&ORDERS, &order, &"pending".to_owned(), Expect::Any),
        Request::new(key("r2")).put(&ORDERS, &order, &"paid".to_owned(), Expect::Absent),
        Request::new(key("r3")).check(&ORDERS, &(order + 1), Expect::Present),
        Request::new(key("r4")).add(&ACCOUNTS, "ann", 1, 0..=10_000_000).add(
            &ACCOUNTS,
            "bob",
            -1_000_000,
            0..=10,
        ),
        Request::new(key("r5")).put(&ACCOUNTS, "ann", &-501, Expect::Any),
        Request::new(key("r6")).delete(&ORDERS, &7, Expect::Present),
    ];
    for request in rejected {
        let intent = request.intent(&order);
        assert!(matches!(engine.commit(intent).unwrap(), Outcome::Rejected(_)));
    }
    // What is not logged.
    assert!(matches!(
        engine.commit(put(order, "paid", Expect::Version(there.version))).unwrap(),
        Outcome::Rejected(Rejection::Conflict(_))
    ));
    let update = engine.update::<_, Refused>(key("u1"), &"raise", |tx| {
        let there = tx.get(&ACCOUNTS, "ann")?.map_or(0, |account| account.value);
        tx.get(&ACCOUNTS, "nobody")?;
        tx.put(&ACCOUNTS, "ann", &(there + 5))?;
        tx.add(&ACCOUNTS, "till", 3, 0..=i64::MAX)?;
        Ok(there)
    });
    committed(update.unwrap());
    let refused = engine.update::<(), Refused>(key("u2"), &"lower", |tx| {
        tx.get(&ORDERS, &order)?;
        tx.put(&ACCOUNTS, "ann", &0)?;
        Err(Abort::Reject(Refused::Insufficient))
    });
    assert!(matches!(refused.unwrap(), Outcome::Rejected(_)));
    engine.fence(&key("fence")).unwrap();
    engine.set_mode(Mode::ReadOnly { reason: "moving".into() }).unwrap();
    engine.set_mode(Mode::ReadWrite).unwrap();
    committed(engine.commit(Request::unkeyed().delete(&ORDERS, &order, Expect::Any)).unwrap());
}

fn assert_exact(report: &VerifyReport) {
    assert!(report.is_exact() && report.exact == report.entries, "{report}");
    assert!(report.entries > 0, "{report}");
}

#[test]
fn one_of_everything_comes_out_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    everything(&engine, "a");
    engine.close().unwrap();
    let report = verify(dir.path(), &registry()).unwrap();
    assert_exact(&report);
    assert_eq!(report.recovery.verdict, Verdict::Clean);
    assert_eq!(report.coverage, Coverage::Whole);
    assert_eq!((report.calls, report.fences, report.modes), (3, 1, 2));
    assert_eq!(report.requests, report.entries - 6);
    assert_eq!(report.covered.unwrap().1, report.recovery.applied_seq);
    let text = report.to_string();
    assert!(text.starts_with("replay exact: entries 1 to "), "{text}");
}

#[test]
fn the_report_is_data() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    everything(&engine, "a");
    engine.close().unwrap();
    let report = verify(dir.path(), &Registry::new()).unwrap();
    assert_eq!(report.verdict, ReplayVerdict::Incomplete);
    assert!(report.other_rules.count > 0 && report.not_replayable.count > 0, "{report}");
    let read: VerifyReport =
        serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!((read.exact, read.missing.len()), (report.exact, 2));
    assert_eq!(read.to_string(), report.to_string());
}

#[test]
fn what_was_not_closed_is_verified_as_it_would_be_opened() {
    let disk = MemoryDisk::new();
    let engine = keeping(&registry()).open_on(disk.clone()).unwrap();
    everything(&engine, "a");
    let shown = engine.durable_seq();
    // Its lock goes, its mark of a clean end does not come.
    let copy = copy_of(&disk);
    let report = replay::verify_on(copy, &registry()).unwrap();
    assert_exact(&report);
    assert_eq!(report.recovery.verdict, Verdict::Unclean);
    assert_eq!(report.recovery.applied_seq, shown);
}

#[test]
fn all_of_the_log_is_verified_after_checkpoints_and_openings() {
    let dir = tempfile::tempdir().unwrap();
    let mut written = 0;
    for life in 0..4 {
        let engine = keeping(&registry()).segment_bytes(64 << 10).open(dir.path()).unwrap();
        for round in 0..2 {
            everything(&engine, &format!("{life}-{round}"));
            engine.checkpoint().unwrap();
        }
        everything(&engine, &format!("{life}-last"));
        written = engine.durable_seq().get();
        engine.close().unwrap();
    }
    let report = verify(dir.path(), &registry()).unwrap();
    assert_exact(&report);
    assert_eq!(report.coverage, Coverage::Whole);
    assert_eq!(report.covered.map(|(first, last)| (first.get(), last.get())), Some((1, written)));
    assert!(report.recovery.checkpoint_seq.get() > 1 && report.entries > 200, "{report}");
}

#[test]
fn a_trimmed_log_is_verified_from_the_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    for life in 0..3 {
        let engine = Engine::builder().registry(&registry()).open(dir.path()).unwrap();
        everything(&engine, &format!("{life}-first"));
        engine.checkpoint().unwrap();
        engine.checkpoint().unwrap();
        everything(&engine, &format!("{life}-last"));
        engine.close().unwrap();
    }
    let report = verify(dir.path(), &registry()).unwrap();
    assert_exact(&report);
    assert_eq!(report.coverage, Coverage::SinceCheckpoint);
    assert_eq!(report.covered.unwrap().0.get(), report.recovery.checkpoint_seq.get() + 1);
}

#[test]
fn what_is_only_in_the_checkpoint_decides_as_it_did() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::builder().registry(&registry()).open(dir.path()).unwrap();
    for n in 0..200 {
        let note = Request::unkeyed().put(&AUDIT, &(n, [0; 16]), &"old".into(), Expect::Absent);
        committed(engine.commit(note).unwrap());
    }
    everything(&engine, "a");
    engine.checkpoint().unwrap();
    engine.checkpoint().unwrap();
    engine.close().unwrap();
    let engine = Engine::builder().registry(&registry()).open(dir.path()).unwrap();
    engine.checkpoint().unwrap();
    // Old records decide, ranges go over them, and the key of a call that was decided gets what was decided.
    committed(engine.call(key("later"), &ten("ann", "bob", 1)).unwrap());
    committed(engine.call(key("a-t1"), &ten("ann", "bob", 31)).unwrap());
    let taken =
        Request::new(key("taken")).put(&AUDIT, &(3, [0; 16]), &"new".into(), Expect::Absent);
    assert!(matches!(engine.commit(taken).unwrap(), Outcome::Rejected(_)));
    engine.close().unwrap();
    let report = verify(dir.path(), &registry()).unwrap();
    assert_exact(&report);
    assert_eq!((report.coverage, report.calls, report.entries), (Coverage::SinceCheckpoint, 1, 2));
}

#[test]
fn outcomes_are_forgotten_again_as_they_were() {
    let disk = MemoryDisk::new();
    let clock = SimClock::new(1_700_000_000_000_000_000, 1_000);
    let engine = keeping(&registry())
        .remember_outcomes_for(Duration::from_secs(600))
        .remember_keys_for(Duration::from_secs(3_600))
        .clock(clock.clone())
        .open_on(disk.clone())
        .unwrap();
    for round in 0..40 {
        clock.advance(Duration::from_secs(300));
        // The same keys again, once they are forgotten.
        let name = format!("k{}", round % 20);
        match engine.commit(Request::new(key(&name)).add(&ACCOUNTS, "ann", 1, 0..=i64::MAX)) {
            Ok(_) | Err(Error::AlreadyDecided { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        let clicked =
            Request::new(key(&format!("n{round}"))).add(&ACCOUNTS, "bob", 1, 0..=i64::MAX);
        committed(engine.commit(clicked).unwrap());
        if round % 10 == 9 {
            engine.checkpoint().unwrap();
        }
    }
    assert!(engine.window().horizon.is_some(), "nothing was forgotten");
    engine.close().unwrap();
    let report = replay::verify_on(disk, &registry()).unwrap();
    assert_exact(&report);
    assert_eq!(report.coverage, Coverage::Whole);
}

#[test]
fn older_schemas_are_read_as_they_were() {
    const OLD: Keyspace<u64, u32> = Keyspace::new("versioned");
    const NEW: Keyspace<u64, u64> = Keyspace::new("versioned")
        .schema(2)
        .upgrade(1, |bytes| Ok(u64::from(OLD.decode(1, bytes)?)));
    let disk = MemoryDisk::new();
    let engine = keeping(&Registry::new()).open_on(disk.clone()).unwrap();
    committed(engine.commit(Request::new(key("a")).put(&OLD, &1, &1, Expect::Absent)).unwrap());
    committed(engine.commit(Request::new(key("b")).check(&NEW, &1, Expect::Present)).unwrap());
    committed(engine.commit(Request::new(key("c")).put(&NEW, &2, &2, Expect::Absent)).unwrap());
    committed(engine.commit(Request::new(key("d")).put(&NEW, &1, &3, Expect::Present)).unwrap());
    let refused = Request::new(key("e")).put(&NEW, &1, &3, Expect::Absent);
    assert!(matches!(engine.commit(refused).unwrap(), Outcome::Rejected(_)));
    engine.close().unwrap();
    assert_exact(&replay::verify_on(disk, &Registry::new()).unwrap());
}

/// A range looks at no more than 16,384 keys, those of removed records that the checkpoint still has to let go of included.
#[test]
fn what_was_removed_long_ago_does_not_lie_in_the_way() {
    let disk = MemoryDisk::new();
    let engine = keeping(&registry()).open_on(disk.clone()).unwrap();
    for block in 0..20u64 {
        let keys = (0..1_000u64).map(|n| (block * 1_000 + n, [0; 16]));
        let write = |request: Request, key| request.put(&AUDIT, &key, &"x".into(), Expect::Absent);
        committed(engine.commit(keys.clone().fold(Request::unkeyed(), write)).unwrap());
        let remove = |request: Request, key| request.delete(&AUDIT, &key, Expect::Present);
        committed(engine.commit(keys.fold(Request::unkeyed(), remove)).unwrap());
        if block % 8 == 7 {
            engine.checkpoint().unwrap();
        }
    }
    committed(engine.commit(Request::unkeyed().put(&ACCOUNTS, "ann", &100, Expect::Any)).unwrap());
    committed(engine.call(key("t"), &ten("ann", "bob", 31)).unwrap());
    engine.close().unwrap();
    let report = replay::verify_on(disk, &registry()).unwrap();
    assert_exact(&report);
    assert_eq!((report.coverage, report.calls), (Coverage::Whole, 1));
}

#[test]
fn a_database_without_entries_is_exact_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close().unwrap();
    let report = verify(dir.path(), &registry()).unwrap();
    assert_eq!((report.verdict, report.entries, report.covered), (ReplayVerdict::Exact, 0, None));
    assert!(report.to_string().contains("no entry"), "{report}");
}

/// The files of a disk as they are, on another one.
fn copy_of(disk: &MemoryDisk) -> MemoryDisk {
    use steadfast::testing::{Disk, ListedKind};
    let copy = MemoryDisk::new();
    for folder in ["", "segments"] {
        for listed in disk.list(folder).unwrap() {
            let name =
                if folder.is_empty() { listed.name } else { format!("{folder}/{}", listed.name) };
            if listed.kind == ListedKind::Folder {
                copy.create_dir(&name).unwrap();
                continue;
            }
            let file = disk.open(&name).unwrap();
            let mut bytes = vec![0; file.len().unwrap() as usize];
            file.read_exact_at(0, &mut bytes).unwrap();
            copy.create(&name).unwrap().write_all_at(0, &bytes).unwrap();
        }
    }
    copy
}
