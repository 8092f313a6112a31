//! Requests that are answered before they are durable.

use crate::support::key;
use std::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    thread,
    time::Duration,
};
use steadfast::{
    Background, Builder, Durability, Engine, Error, ErrorKind, Expect, Keyspace, Request,
    testing::{Choice, SimDisk},
};

const SUMS: Keyspace<u32, i64> = Keyspace::new("sums");

fn builder() -> Builder {
    Engine::builder().background(Background::Manual)
}

fn open(disk: &SimDisk) -> Engine {
    builder().open_on(disk.clone()).unwrap()
}

fn put(n: i64) -> Request {
    Request::unkeyed().put(&SUMS, &1, &n, Expect::Any)
}

fn buffered(n: i64) -> Request {
    put(n).durability(Durability::Buffered)
}

fn seen(engine: &Engine) -> Option<i64> {
    engine.get(&SUMS, &1).unwrap().map(|record| record.value)
}

fn applied(engine: &Engine) -> Option<i64> {
    engine.snapshot_applied().get(&SUMS, &1).unwrap().map(|record| record.value)
}

#[test]
fn a_buffered_request_is_answered_at_once_and_seen_when_it_is_durable() {
    let disk = SimDisk::new();
    let engine = open(&disk);
    engine.commit(put(1)).unwrap().committed().unwrap();
    let calls = disk.io_count();
    let receipt = engine.commit(buffered(2)).unwrap().committed().unwrap();
    engine.submit(buffered(3)).wait().unwrap().committed().unwrap();
    assert_eq!(disk.io_count(), calls, "nothing was written");
    assert_eq!((seen(&engine), applied(&engine)), (Some(1), Some(3)));
    // What comes next sees it.
    let stale =
        Request::unkeyed().put(&SUMS, &1, &9, receipt.version()).durability(Durability::Buffered);
    assert!(engine.commit(stale).unwrap().committed().is_err());
    let held = engine.snapshot_applied();
    let last = engine.sync().unwrap();
    assert_eq!(last.get(), receipt.seq.get() + 1);
    assert_eq!((seen(&engine), engine.durable_seq()), (Some(3), last));
    // A snapshot stands still, whatever is written over it.
    for n in 4..40 {
        engine.commit(put(n)).unwrap().committed().unwrap();
    }
    assert_eq!(held.get(&SUMS, &1).unwrap().unwrap().value, 3);
    assert_eq!(held.len(&SUMS).unwrap(), 1);
    let reopened = open(&disk.after_power_cut(&Choice::None));
    assert_eq!(seen(&reopened), Some(39));
}

#[test]
fn what_is_lost_is_the_end_and_never_what_was_synced() {
    for kept in 0..4 {
        let disk = SimDisk::new();
        let engine = open(&disk);
        for n in 0..4 {
            engine.commit(buffered(n)).unwrap().committed().unwrap();
            if n == kept {
                // Takes all before it along.
                let other = Request::unkeyed().put(&SUMS, &2, &n, Expect::Any);
                engine.commit(other).unwrap().committed().unwrap();
            }
        }
        let reopened = open(&disk.after_power_cut(&Choice::None));
        assert_eq!(seen(&reopened), Some(kept));
        assert_eq!(reopened.get(&SUMS, &2).unwrap().unwrap().value, kept);
    }
}

/// After a clean close the next opening goes on with the very next number, so a crash must not find the mark of that close
/// where a buffered answer, or a look at what is applied, has told of one.
#[test]
fn a_number_that_was_told_and_lost_is_not_given_again() {
    let told: [fn(&Engine) -> u64; 2] = [
        |engine| engine.commit(buffered(2)).unwrap().committed().unwrap().seq.get(),
        |engine| {
            drop(engine.submit(put(2)));
            engine.snapshot_applied().seq().get()
        },
    ];
    for tell in told {
        let disk = SimDisk::new();
        let engine = open(&disk);
        engine.commit(put(1)).unwrap().committed().unwrap();
        engine.close().unwrap();
        let engine = open(&disk);
        let lost = tell(&engine);
        assert_eq!(lost, 2);
        let engine = open(&disk.after_power_cut(&Choice::None));
        assert_eq!(seen(&engine), Some(1));
        let next = engine.commit(put(3)).unwrap().committed().unwrap().seq.get();
        assert!(next > lost, "{next} was told before, of something else");
    }
}

#[test]
fn an_answer_about_what_is_buffered_waits_until_it_is_durable() {
    let engine = open(&SimDisk::new());
    engine.commit(buffered(1)).unwrap().committed().unwrap();
    // This refusal tells of the record, so it is there for good.
    let insert = Request::unkeyed().put(&SUMS, &1, &2, Expect::Absent);
    assert!(engine.commit(insert).unwrap().committed().is_err());
    assert_eq!(seen(&engine), Some(1));
}

#[test]
fn a_key_and_a_buffered_answer_do_not_go_together_unless_that_is_allowed() {
    let disk = SimDisk::new();
    let keyed =
        || Request::new(key("a")).put(&SUMS, &1, &1, Expect::Any).durability(Durability::Buffered);
    let engine = open(&disk);
    for error in [engine.commit(keyed()).unwrap_err(), engine.submit(keyed()).wait().unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert!(error.to_string().contains("allow_buffered_keys"), "{error}");
    }
    assert_eq!(engine.sync().unwrap().get(), 0);
    drop(engine);
    let engine = builder().allow_buffered_keys(true).open_on(disk.clone()).unwrap();
    assert!(!engine.commit(keyed()).unwrap().committed().unwrap().replayed);
    assert!(engine.commit(keyed()).unwrap().committed().unwrap().replayed);
    // Its receipt was given, and lost.
    let engine = open(&disk.after_power_cut(&Choice::None));
    assert!(
        !engine
            .commit(Request::new(key("a")).put(&SUMS, &1, &1, Expect::Any))
            .unwrap()
            .committed()
            .unwrap()
            .replayed
    );
}

#[test]
fn it_is_written_by_closing_by_a_checkpoint_and_in_the_background() {
    let write: [fn(&Engine); 3] = [
        |engine| assert!(engine.run_background_step().unwrap()),
        |engine| engine.checkpoint().unwrap(),
        |engine| drop(engine.clone().close().unwrap()),
    ];
    for write in write {
        let disk = SimDisk::new();
        let engine = open(&disk);
        engine.commit(buffered(7)).unwrap().committed().unwrap();
        write(&engine);
        assert_eq!(seen(&open(&disk.after_power_cut(&Choice::None))), Some(7));
    }
}

#[test]
fn a_failed_write_takes_what_was_buffered_with_it() {
    let disk = SimDisk::new();
    let engine = open(&disk);
    engine.commit(put(1)).unwrap().committed().unwrap();
    engine.commit(buffered(2)).unwrap().committed().unwrap();
    disk.fail_call(
        disk.io_count() + 1,
        std::io::ErrorKind::Other,
        steadfast::testing::Repeat::Once,
    );
    assert!(matches!(engine.sync(), Err(Error::Poisoned { .. })));
    assert_eq!(engine.commit(buffered(3)).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(seen(&engine), Some(1));
    drop(engine);
    assert_eq!(seen(&open(&disk.after_power_cut(&Choice::None))), Some(1));
}

#[test]
fn a_stream_of_them_is_written_in_groups_and_memory_stays_within_its_bounds() {
    let engine = Engine::builder().memtable_limit_bytes(1 << 20).in_memory().unwrap();
    let value = vec![7u8; 1000];
    const BYTES: Keyspace<u32, Vec<u8>> = Keyspace::new("bytes");
    for n in 0..5_000u32 {
        let request = Request::unkeyed().put(&BYTES, &(n % 100), &value, Expect::Any);
        engine.commit(request.durability(Durability::Buffered)).unwrap().committed().unwrap();
    }
    // Nobody asked for any of them to be synced, and all but the last group are.
    assert!(engine.durable_seq().get() > 4_000, "{}", engine.durable_seq());
    let groups = engine.chain_head().group;
    assert!(groups < 1_000, "{groups} groups");
    assert_eq!(engine.sync().unwrap().get(), 5_000);
}

#[test]
fn what_nobody_waits_for_is_durable_after_the_interval() {
    let engine =
        Engine::builder().buffered_sync_interval(Duration::from_millis(5)).in_memory().unwrap();
    for round in 1..=3 {
        engine.commit(buffered(round)).unwrap().committed().unwrap();
        while seen(&engine) != Some(round) {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_sync_covers_all_that_came_before_it_while_others_are_under_way() {
    let engine = Engine::in_memory().unwrap();
    let done = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..300 {
                    let request = Request::unkeyed().add(&SUMS, &1, 1, 0..=i64::MAX);
                    let receipt = engine
                        .commit(request.durability(Durability::Buffered))
                        .unwrap()
                        .committed()
                        .unwrap();
                    let synced = engine.sync().unwrap();
                    assert!(synced >= receipt.seq && engine.durable_seq() >= receipt.seq);
                    done.fetch_add(1, SeqCst);
                }
            });
        }
    });
    assert_eq!((done.into_inner(), seen(&engine)), (1200, Some(1200)));
}
