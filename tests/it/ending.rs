//! Closing: what the report says, and what every call says afterwards.

use crate::support::key;
use std::io;
use steadfast::{
    Abort, Background, ChainHead, CloseMark, CloseReport, Closed, Engine, Error, ErrorKind, Expect,
    Keyspace, Request, Retry, SeqNo, Verdict,
    testing::{Repeat, SimClock, SimDisk, SimEntropy},
};

const SUMS: Keyspace<String, i64> = Keyspace::new("sums");

fn open(disk: &SimDisk) -> Engine {
    let clock = SimClock::new(1_700_000_000_000_000_000, 1_000);
    let builder = Engine::builder().clock(clock).entropy(SimEntropy::new(4));
    builder.background(Background::Manual).open_on(disk.clone()).unwrap()
}

fn add() -> Request {
    Request::unkeyed().add(&SUMS, "n", 1, 0..=1_000)
}

fn place(report: &CloseReport) -> (SeqNo, ChainHead, Option<&String>) {
    (report.durable_seq, report.chain_head, report.state_digest.as_ref())
}

#[test]
fn the_report_says_where_the_log_ended_and_who_ended_it() {
    let disk = SimDisk::new();
    let engine = open(&disk);
    let clone = engine.clone();
    let seq = engine.commit(add()).unwrap().committed().unwrap().seq;
    // What was handed in is waited for.
    drop(engine.submit(add()));
    let report = engine.close().unwrap();
    assert_eq!((report.closed, report.mark), (Closed::Now, CloseMark::Left));
    assert_eq!(report.durable_seq.get(), seq.get() + 1);
    assert_eq!(report.chain_head, clone.chain_head());
    let again = clone.clone().close().unwrap();
    assert_eq!((again.closed, again.mark), (Closed::Before, CloseMark::Left));
    assert_eq!(place(&again), place(&report));
    drop(clone);

    let engine = open(&disk);
    let found = engine.recovery();
    assert_eq!((found.verdict, found.applied_seq), (Verdict::Clean, report.durable_seq));
    assert_eq!(Some(&found.state_digest), report.state_digest.as_ref());
    assert_eq!(engine.chain_head(), report.chain_head);
    // Nothing was written since, so the mark is true as it is.
    let calls = disk.io_count();
    let kept = engine.close().unwrap();
    assert_eq!((kept.closed, kept.mark), (Closed::Now, CloseMark::Kept));
    assert_eq!(place(&kept), place(&report));
    println!("{} calls changed the disk", disk.io_count() - calls);

    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<CloseReport>(&json).unwrap(), report);
    let text = report.to_string();
    let digest = report.state_digest.unwrap();
    assert!(text.contains("closed at entry 2") && text.contains(&digest), "{text}");
    println!("{text}\n{again}\n{kept}");
}

#[test]
fn what_could_not_be_closed_has_no_mark() {
    let disk = SimDisk::new();
    disk.assume_powersafe("checkpoint.redb");
    let engine = open(&disk);
    engine.commit(add()).unwrap().committed().unwrap();
    let durable = engine.durable_seq();
    disk.fail_call(disk.io_count() + 1, io::ErrorKind::Other, Repeat::Once);
    assert_eq!(engine.commit(add()).unwrap_err().kind(), ErrorKind::Indeterminate);
    assert_eq!(engine.clone().close().unwrap_err().kind(), ErrorKind::Poisoned);
    let report = engine.close().unwrap();
    assert_eq!((report.closed, report.mark), (Closed::Before, CloseMark::Missing));
    assert_eq!((report.durable_seq, &report.state_digest), (durable, &None));
    let text = report.to_string();
    assert!(text.contains("not marked"), "{text}");
    let verdict = open(&disk.after_kill()).recovery().verdict;
    assert!(matches!(verdict, Verdict::Unclean | Verdict::TornTail), "{verdict:?}");
}

#[test]
fn after_closing_every_call_says_so() {
    let disk = SimDisk::new();
    let engine = &open(&disk);
    engine.commit(add()).unwrap().committed().unwrap();
    engine.checkpoint().unwrap();
    let (seq, head) = (engine.durable_seq(), engine.chain_head());
    let snapshot = engine.snapshot();
    engine.clone().close().unwrap();
    let calls = disk.io_count();
    type Call = fn(&Engine) -> Result<(), Error>;
    let closed: [(&str, Call); 12] = [
        ("commit", |e| e.commit(add()).map(drop)),
        ("commit under a key", |e| {
            e.commit(Request::new(key("k")).add(&SUMS, "n", 1, 0..=9)).map(drop)
        }),
        ("commit in time", |e| e.commit(add().deadline_in(Default::default())).map(drop)),
        ("submit", |e| e.submit(add()).wait().map(drop)),
        ("try_submit", |e| e.try_submit(add()).map(drop)),
        ("update", |e| e.update(key("up"), &1, |_| Ok::<_, Abort>(())).map(drop)),
        ("get", |e| e.get(&SUMS, "n").map(drop)),
        ("contains", |e| e.contains(&SUMS, "n").map(drop)),
        ("get_many", |e| e.get_many(&SUMS, ["n"]).map(drop)),
        ("len", |e| e.len(&SUMS).map(drop)),
        ("checkpoint", Engine::checkpoint),
        ("run_background_step", |e| e.run_background_step().map(drop)),
    ];
    for (name, call) in closed {
        let error = call(engine).expect_err(name);
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Closed, Retry::SameKey), "{name}");
    }
    // A snapshot is right, or refused where it needs the checkpoint's file.
    match snapshot.get(&SUMS, "n") {
        Ok(record) => assert_eq!(record.unwrap().value, 1),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
    }
    // What is told without the file is told.
    assert_eq!((engine.durable_seq(), engine.chain_head()), (seq, head));
    assert_eq!((engine.queue().requests, engine.keyspaces()), (0, vec!["sums".to_owned()]));
    assert_eq!(engine.recovery().verdict, Verdict::Created);
    assert_eq!(disk.io_count(), calls, "something was written");
    drop(snapshot);
    assert_eq!(disk.io_count(), calls);
    let again = open(&disk);
    let request = Request::unkeyed().check(&SUMS, "n", Expect::Present);
    again.commit(request).unwrap().committed().unwrap();
}

/// A retry is answered without the lock that everybody else takes, and must not slip past the end all the same.
#[test]
fn a_retry_of_what_is_remembered_is_refused_by_a_closed_engine_too() {
    const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    let engine = Engine::in_memory().unwrap();
    let put = || Request::new(key("put")).put(&STOCK, &1, &7, Expect::Any);
    engine.commit(put()).unwrap().committed().unwrap();
    let clone = engine.clone();
    assert!(clone.commit(put()).unwrap().committed().unwrap().replayed);
    engine.close().unwrap();
    assert!(matches!(clone.commit(put()), Err(Error::Closed)));
    assert!(matches!(clone.submit(put()).wait(), Err(Error::Closed)));
}
