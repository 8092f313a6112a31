//! A disk that fails: the first failed write or sync is the last; what is durable can still be read and answered; the
//! next opening decides, and a retry under the same key makes it once. A full disk is another matter: it passes.

mod full_checkpoint;
mod full_disk;
pub mod held_disk;

use crate::support::{assert_healthy, in_time, key, refusal};
use held_disk::{HeldDisk, Hold, Stage};
use std::{io, sync::Arc, thread, time::Duration};
use steadfast::{
    Abort, Background, Engine, Error, ErrorKind, Expect, Keyspace, Outcome, Receipt, Rejection,
    Request, Retry, Ticket, Version,
    testing::{Choice, Disk, Effect, Fault, Repeat, SimClock, SimDisk, SimEntropy},
};

const SUMS: Keyspace<String, i64> = Keyspace::new("sums");
const PAGES: Keyspace<u32, Vec<u8>> = Keyspace::new("pages");

fn open_with(disk: impl Disk, background: Background) -> Result<Engine, Error> {
    Engine::builder()
        .clock(SimClock::new(1_700_000_000_000_000_000, 1_000))
        .entropy(SimEntropy::new(9))
        .background(background)
        .checkpoint_cache_bytes(1 << 20)
        .segment_bytes(64 << 10)
        .open_on(disk)
}

fn open(disk: &SimDisk) -> Engine {
    open_with(disk.clone(), Background::Manual).unwrap()
}

fn add(name: &str) -> Request<String> {
    Request::new(key(name)).add(&SUMS, name, 1, 0..=1_000).result(&name.to_owned())
}

fn committed<T>(outcome: Result<Outcome<T>, Error>) -> Receipt<T> {
    outcome.unwrap().committed().unwrap()
}

fn sum(engine: &Engine, name: &str) -> i64 {
    engine.get(&SUMS, name).unwrap().map_or(0, |record| record.value)
}

/// An engine with one outcome in the checkpoint and one in the log, and what was answered.
fn prepared(disk: &SimDisk) -> (Engine, [Receipt<String>; 2]) {
    let engine = open(disk);
    let first = committed(engine.commit(add("settled")));
    engine.checkpoint().unwrap();
    let second = committed(engine.commit(add("logged")));
    (engine, [first, second])
}

fn is_indeterminate<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Indeterminate, Retry::Resolve));
    let text = error.to_string();
    assert!(text.contains("open it, then retry under the same key"), "{text}");
}

fn is_poisoned<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Poisoned, Retry::SameKey), "{error}");
    let text = error.to_string();
    assert!(text.contains("failed") && text.contains("open the directory again"), "{text}");
}

/// All that holds of an engine after its disk failed at `group`, up to and including its end.
fn check_poisoned(disk: &SimDisk, engine: Engine, answered: &[Receipt<String>; 2], group: &[&str]) {
    let (calls, trace) = (disk.io_count(), disk.trace());
    let durable = engine.durable_seq();
    for name in group {
        is_indeterminate(engine.commit(add(name)));
        is_indeterminate(engine.submit(add(name)).wait());
        assert_eq!(sum(&engine, name), 0, "what is not durable is seen");
    }
    is_poisoned(engine.commit(add("new")));
    is_poisoned(engine.submit(add("new")).wait());
    is_poisoned(engine.commit(Request::unkeyed().add(&SUMS, "new", 1, 0..=9)));
    is_poisoned(engine.update(key("update"), &1, |tx| {
        tx.put(&SUMS, "new", &1)?;
        Ok::<_, Abort>(())
    }));
    is_poisoned(engine.checkpoint());

    // What is durable is answered and read as ever.
    for (name, first) in ["settled", "logged"].iter().zip(answered) {
        let again = committed(engine.commit(add(name)));
        assert_eq!((again.seq, again.time, &again.result), (first.seq, first.time, &first.result));
        assert!(again.replayed);
        let other = Request::new(key(name)).add(&SUMS, "other", 1, 0..=9);
        assert_eq!(engine.commit(other).unwrap_err().kind(), ErrorKind::KeyReused);
        assert_eq!(sum(&engine, name), 1);
    }
    let snapshot = engine.snapshot();
    let names: Vec<_> = snapshot.range(&SUMS, ..).map(|item| item.unwrap().0).collect();
    assert_eq!(names, ["logged", "settled"]);
    assert_eq!(engine.len(&SUMS).unwrap(), 2);
    assert_eq!(engine.durable_seq(), durable);
    drop(snapshot);

    is_poisoned(engine.close());
    assert_eq!((disk.io_count(), disk.trace()), (calls, trace), "something more was written");
}

/// Every way the machine can come up again.
fn aftermaths(disk: &SimDisk) -> Vec<(String, SimDisk)> {
    let mut disks = vec![("a kill".to_owned(), disk.after_kill())];
    let choices = [Choice::All, Choice::None].into_iter().chain((0..6).map(Choice::Seeded));
    for choice in choices {
        disks.push((format!("a power cut, {choice:?}"), disk.after_power_cut(&choice)));
    }
    disks
}

/// After opening again, every request of the failed group is carried out once, now or then.
fn check_reopened(disk: &SimDisk, answered: &[Receipt<String>; 2], group: &[&str]) {
    for (what, disk) in aftermaths(disk) {
        let engine = open_with(disk.clone(), Background::Manual)
            .unwrap_or_else(|error| panic!("after {what}: {error}"));
        for (name, first) in ["settled", "logged"].iter().zip(answered) {
            let again = committed(engine.commit(add(name)));
            assert_eq!(
                (again.seq, again.time, again.replayed),
                (first.seq, first.time, true),
                "{what}"
            );
        }
        let there: Vec<_> = group.iter().map(|name| sum(&engine, name)).collect();
        assert!(there.iter().all(|sum| *sum == there[0]), "after {what} a group is half there");
        for (name, there) in group.iter().zip(there) {
            let retried = committed(engine.commit(add(name)));
            assert_eq!(retried.replayed, there == 1, "after {what}");
            assert!(committed(engine.commit(add(name))).replayed);
            assert_eq!(sum(&engine, name), 1, "after {what}");
        }
        assert_healthy(&engine);
        engine.checkpoint().unwrap();
        engine.close().unwrap();
        assert_eq!(open(&disk).len(&SUMS).unwrap(), 2 + group.len() as u64);
    }
}

fn tickets(engine: &Engine, group: &[&str]) -> Vec<Ticket<String>> {
    group.iter().map(|name| engine.submit(add(name))).collect()
}

#[test]
fn the_first_failed_write_or_sync_is_the_last() {
    const GROUP: [&str; 2] = ["first", "second"];
    let effects = [
        Effect::Error(io::ErrorKind::Other),
        Effect::Error(io::ErrorKind::StorageFull),
        Effect::Error(io::ErrorKind::PermissionDenied),
    ];
    // The group is a write and a sync.
    let mut failures = 0;
    for effect in effects {
        for call in 1..=2 {
            for repeat in [Repeat::Once, Repeat::Forever] {
                let disk = SimDisk::new();
                disk.assume_powersafe("checkpoint.redb");
                let (engine, answered) = prepared(&disk);
                disk.inject(Fault { call: disk.io_count() + call, effect, repeat });
                let mut parked = tickets(&engine, &GROUP);
                // A second delivery shares the fate of the first; what only saw it is taken back.
                parked.push(engine.submit(add("first")));
                let stale =
                    engine.submit(Request::unkeyed().check(&SUMS, "first", Version::new(0)));
                let read = engine.submit(Request::unkeyed().check(&SUMS, "first", Expect::Absent));
                assert!(engine.run_background_step().unwrap());
                parked.into_iter().for_each(|ticket| is_indeterminate(ticket.wait()));
                is_poisoned(stale.wait());
                is_poisoned(read.wait());
                let last = disk.trace().pop().unwrap();
                assert!(last.contains("failed"), "{last}");
                check_poisoned(&disk, engine, &answered, &GROUP);
                check_reopened(&disk, &answered, &GROUP);
                failures += 1;
            }
        }
    }
    println!("{failures} failures");
}

#[test]
fn short_and_interrupted_writes_are_no_failures() {
    for effect in [Effect::Short(1), Effect::Short(512), Effect::Error(io::ErrorKind::Interrupted)]
    {
        let disk = SimDisk::new();
        let (engine, _) = prepared(&disk);
        disk.inject(Fault { call: disk.io_count() + 1, effect, repeat: Repeat::Once });
        committed(engine.commit(add("short")));
        assert_healthy(&engine);
        drop(engine);
        let engine = open(&disk.after_power_cut(&Choice::None));
        assert_eq!(sum(&engine, "short"), 1);
    }
}

#[test]
fn a_segment_that_cannot_be_begun_is_a_failed_write() {
    const GROUP: [&str; 1] = ["alone"];
    // Opening a closed database writes nothing; its first commit takes away the mark and begins a segment.
    let closed = SimDisk::new();
    closed.assume_powersafe("checkpoint.redb");
    let (engine, answered) = prepared(&closed);
    engine.close().unwrap();
    let closed = closed.after_power_cut(&Choice::None);
    let mut kinds = Vec::new();
    for call in 1.. {
        let disk = closed.snapshot();
        disk.assume_powersafe("checkpoint.redb");
        let engine = open(&disk);
        disk.clear_trace();
        disk.fail_call(disk.io_count() + call, io::ErrorKind::Other, Repeat::Once);
        match engine.commit(add("alone")) {
            Ok(outcome) => {
                committed(Ok(outcome));
                break;
            }
            // The segment is prepared before anything is decided.
            Err(error) if error.kind() == ErrorKind::Io => {
                assert_eq!(engine.durable_seq(), answered[1].seq);
                assert!(!committed(engine.commit(add("alone"))).replayed);
                assert_healthy(&engine);
                kinds.push("io");
            }
            Err(error) => {
                // As long as the segment is not begun, nothing of the group was written.
                kinds.push(if error.kind() == ErrorKind::Poisoned {
                    "poisoned"
                } else {
                    "in doubt"
                });
                if error.kind() != ErrorKind::Poisoned {
                    is_indeterminate(Err::<(), _>(error));
                }
                let in_doubt = if kinds.last() == Some(&"in doubt") { &GROUP[..] } else { &[] };
                check_poisoned(&disk, engine, &answered, in_doubt);
                disk.clear_faults();
                if in_doubt.is_empty() {
                    for (what, disk) in aftermaths(&disk) {
                        assert_eq!(sum(&open(&disk), "alone"), 0, "after {what} it is there");
                    }
                }
                check_reopened(&disk, &answered, &GROUP);
            }
        }
    }
    println!("{kinds:?}");
    assert!(["io", "poisoned", "in doubt"].iter().all(|kind| kinds.contains(kind)));
}

#[test]
fn those_behind_a_failed_group_were_never_written() {
    for background in [Background::Manual, Background::Threads] {
        let disk = SimDisk::new();
        disk.assume_powersafe("checkpoint.redb");
        let (engine, answered) = prepared(&disk);
        drop(engine);
        let hold = Arc::new(Hold::default());
        let held = HeldDisk { sync: ("", hold.clone()), ..HeldDisk::new(disk.clone()) };
        let engine = open_with(held, background).unwrap();
        // So that a segment is in use.
        assert_healthy(&engine);
        hold.set(Stage::Armed);
        thread::scope(|scope| {
            let failing = scope.spawn(|| engine.commit(add("failing")));
            hold.await_stage(&Stage::Waiting);
            let behind = tickets(&engine, &["behind", "also"]);
            // It only saw what never will be.
            let conflict =
                engine.submit(Request::unkeyed().check(&SUMS, "behind", Version::new(1)));
            // A second delivery of what is being written tells of that.
            let again = engine.submit(add("failing"));
            // What is durable is read while the disk hangs.
            assert_eq!(sum(&engine, "logged"), 1);
            assert_eq!(sum(&engine, "failing"), 0);
            hold.set(Stage::Failing);
            is_indeterminate(failing.join().unwrap());
            is_indeterminate(again.wait());
            behind.into_iter().for_each(|ticket| is_poisoned(ticket.wait()));
            is_poisoned(conflict.wait());
        });
        is_indeterminate(engine.commit(add("failing")));
        for name in ["behind", "also"] {
            is_poisoned(engine.commit(add(name)));
        }
        let calls = disk.io_count();
        is_poisoned(engine.close());
        assert_eq!(disk.io_count(), calls);

        let after = disk.after_kill();
        let engine = open(&after);
        let there = sum(&engine, "failing") == 1;
        assert_eq!(committed(engine.commit(add("failing"))).replayed, there);
        for name in ["behind", "also"] {
            assert_eq!(sum(&engine, name), 0);
            assert!(!committed(engine.commit(add(name))).replayed);
        }
        let logged = committed(engine.commit(add("logged")));
        assert_eq!((logged.seq, logged.replayed), (answered[1].seq, true));
    }
}

/// With a group on its way to the disk and another filling, a checkpoint fails: that drops the second, which `close` waits for, and
/// the first is written after `close` was told of the failure.
#[test]
fn a_directory_is_given_up_only_when_nothing_is_written_to_it() {
    let (checkpoint, log) = (Arc::new(Hold::default()), Arc::new(Hold::default()));
    let (sync, write) = (("checkpoint.redb", checkpoint.clone()), ("segments/", log.clone()));
    let held = HeldDisk { sync, write, ..HeldDisk::new(SimDisk::new()) };
    held.inner.assume_powersafe("checkpoint.redb");
    let open = || open_with(held.clone(), Background::Threads).unwrap();
    let engine = open();
    committed(engine.commit(add("before")));
    checkpoint.set(Stage::Armed);
    let told = thread::scope(|scope| {
        let checkpointing = scope.spawn(|| engine.checkpoint());
        checkpoint.await_stage(&Stage::Waiting);
        log.set(Stage::Armed);
        let flying = scope.spawn(|| engine.commit(add("in flight")));
        log.await_stage(&Stage::Waiting);
        let dropped = engine.submit(add("behind"));
        let closing = {
            let engine = engine.clone();
            scope.spawn(move || engine.close())
        };
        // Let `close` come to where it waits. If it does not get there, the test sees less, and passes.
        thread::sleep(Duration::from_millis(100));
        checkpoint.set(Stage::Failing);
        is_poisoned(checkpointing.join().unwrap());
        thread::sleep(Duration::from_millis(100));
        let gave_up_early = closing.is_finished();
        log.set(Stage::GoingOn);
        is_poisoned(closing.join().unwrap());
        is_poisoned(dropped.wait());
        assert!(!gave_up_early, "the directory was given up while a group was on its way");
        committed(flying.join().unwrap())
    });
    let engine = open();
    assert_eq!(sum(&engine, "in flight"), 1);
    assert_eq!(committed(engine.commit(add("in flight"))).seq, told.seq);
}

#[test]
fn with_threads_every_caller_learns_its_fate() {
    for call in 1..40 {
        let disk = SimDisk::new();
        let engine = open_with(disk.clone(), Background::Threads).unwrap();
        disk.fail_call(disk.io_count() + call, io::ErrorKind::Other, Repeat::Forever);
        let results: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|thread| {
                    let engine = &engine;
                    scope.spawn(move || -> Vec<_> {
                        (0..10)
                            .map(|n| {
                                let name = format!("{thread} {n}");
                                let result = if n % 2 == 0 {
                                    engine.commit(add(&name))
                                } else {
                                    engine.submit(add(&name)).wait()
                                };
                                (name, result)
                            })
                            .collect()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(results.len(), 40);
        drop(engine);
        let engine = open(&disk.after_power_cut(&Choice::Seeded(call)));
        let (mut ok, mut unknown, mut nothing) = (0, 0, 0);
        for (name, result) in results {
            let there = sum(&engine, &name);
            match result {
                Ok(outcome) => {
                    let seq = committed(Ok(outcome)).seq;
                    assert_eq!(there, 1, "call {call}: an acknowledged request is lost");
                    assert_eq!(committed(engine.commit(add(&name))).seq, seq);
                    ok += 1;
                }
                Err(error) if error.kind() == ErrorKind::Indeterminate => unknown += 1,
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Io), "{error}");
                    assert_eq!(there, 0, "call {call}: {error}, and it is there");
                    nothing += 1;
                }
            }
            assert_eq!(committed(engine.commit(add(&name))).replayed, there == 1);
            assert_eq!(sum(&engine, &name), 1);
        }
        println!("call {call}: {ok} done, {unknown} unknown, {nothing} not done");
    }
}
