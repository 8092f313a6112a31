//! A disk that is full when a checkpoint is due: nothing fails, and all goes on when there is room.

use super::*;

/// More than an engine of these tests may hold in memory while there is no room.
const LARGE: usize = 200_000;

fn large(n: u32) -> Request {
    let value = vec![n as u8; LARGE];
    Request::new(key(&format!("large {n}"))).put(&PAGES, &n, &value, Expect::Any)
}

fn small(n: u32) -> Request {
    let value = vec![n as u8; 500];
    Request::new(key(&format!("small {n}"))).put(&PAGES, &n, &value, Expect::Any)
}

fn leave(disk: &SimDisk, bytes: u64) {
    disk.set_capacity(Some(disk.used_bytes() + bytes));
}

fn is_no_space<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::NoSpace, Retry::SameKey), "{error}");
    assert!(error.to_string().contains("make room and try again"), "{error}");
}

/// An engine that writes a checkpoint after a few records.
fn open_small(disk: &SimDisk, background: Background) -> Engine {
    Engine::builder()
        .clock(SimClock::new(1_700_000_000_000_000_000, 1_000))
        .entropy(SimEntropy::new(9))
        .background(background)
        .memtable_limit_bytes(64 << 10)
        .checkpoint_cache_bytes(1 << 20)
        .segment_bytes(256 << 10)
        .open_on(disk.clone())
        .unwrap()
}

fn values(engine: &Engine) -> Vec<(u32, usize)> {
    let snapshot = engine.snapshot();
    let items = snapshot.range(&PAGES, ..).map(|item| item.unwrap());
    items.map(|(key, record)| (key, record.value.len())).collect()
}

#[test]
fn a_checkpoint_without_room_fails_nothing_and_is_written_later() {
    for background in [Background::Manual, Background::Threads] {
        // With little room it is redb's commit that finds none, with more it is given up before.
        for (count, left) in [(1, 0), (1, 40_000), (8, 0), (8, 100_000), (8, 500_000)] {
            let disk = SimDisk::new();
            disk.assume_powersafe("checkpoint.redb");
            drop(prepared(&disk));
            let engine = open_with(disk.clone(), background).unwrap();
            let answers: Vec<_> = (0..count).map(|n| committed(engine.commit(large(n)))).collect();
            let expected: Vec<_> = (0..count).map(|n| (n, LARGE)).collect();
            leave(&disk, left);
            let calls = disk.io_count();
            is_no_space(engine.checkpoint());
            is_no_space(engine.checkpoint());
            assert!(disk.io_count() > calls, "it was not even tried");
            // What is durable is read and answered, and what fits into the log is written.
            assert_eq!(values(&engine), expected);
            for (n, first) in answers.iter().enumerate() {
                let again = committed(engine.commit(large(n as u32)));
                assert!(again.replayed && again.seq == first.seq);
            }
            let settled = committed(engine.commit(add("settled")));
            assert!(settled.replayed);
            committed(engine.commit(add("meanwhile")));
            assert_eq!(sum(&engine, "meanwhile"), 1);
            // A crash now loses nothing, nor does a close.
            for (what, disk) in aftermaths(&disk) {
                disk.set_capacity(None);
                let engine = open_with(disk, Background::Manual)
                    .unwrap_or_else(|error| panic!("after {what}: {error}"));
                assert_eq!(values(&engine), expected, "after {what}");
                assert_eq!(sum(&engine, "meanwhile"), 1, "after {what}");
            }
            if left == 0 {
                let copy = disk.snapshot();
                disk.set_capacity(None);
                engine.checkpoint().unwrap();
                copy.set_capacity(None);
                assert_eq!(values(&open(&copy)), expected);
            } else {
                // The checkpoint may have taken the last room, and left none for the mark.
                let verdict = match engine.clone().close() {
                    Ok(_) => steadfast::Verdict::Clean,
                    error => {
                        is_no_space(error);
                        steadfast::Verdict::Unclean
                    }
                };
                disk.set_capacity(None);
                let engine = open(&disk);
                assert_eq!(engine.recovery().verdict, verdict);
                engine.checkpoint().unwrap();
            }
            drop(engine);
            let engine = open(&disk);
            assert_eq!(values(&engine), expected);
            committed(engine.commit(add("afterwards")));
            assert_healthy(&engine);
        }
    }
}

fn segments(disk: &SimDisk) -> usize {
    let listed = disk.list("segments").unwrap();
    listed.iter().filter(|listed| !listed.name.contains("newest")).count()
}

/// After several crashes in a row an opening writes a checkpoint first thing.
#[test]
fn an_opening_that_finds_no_room_for_its_checkpoint_starts_all_the_same() {
    for background in [Background::Manual, Background::Threads] {
        let mut disk = SimDisk::new();
        disk.assume_powersafe("checkpoint.redb");
        let mut answers = Vec::new();
        for n in 0..2 {
            let engine = open_with(disk.clone(), Background::Manual).unwrap();
            answers.push(committed(engine.commit(large(n))));
            disk = disk.after_kill();
        }
        let expected: Vec<_> = (0..2).map(|n| (n, LARGE)).collect();
        // Room for a segment or two, and not for the checkpoint.
        leave(&disk, 200_000);
        let mut opened = 0;
        for _ in 0..6 {
            let engine = open_with(disk.clone(), background).unwrap();
            assert_eq!(engine.recovery().checkpoint_seq.get(), 0, "there was room for it");
            assert_eq!(values(&engine), expected);
            for (n, first) in answers.iter().enumerate() {
                let again = committed(engine.commit(large(n as u32)));
                assert!(again.replayed && again.seq == first.seq);
            }
            is_no_space(engine.checkpoint());
            // A crash, or an end without room for the mark.
            drop(engine);
            disk = disk.after_kill();
            opened = segments(&disk);
        }
        assert_eq!(opened, 4, "each opening leaves one more");
        // Writes go on as far as there is room, and all the way when there is more.
        let engine = open_with(disk.clone(), background).unwrap();
        let taken = (100..2_000).take_while(|n| engine.commit(small(*n)).is_ok()).count();
        println!("{taken} more found room");
        is_no_space(engine.commit(small(5_000)));
        disk.set_capacity(None);
        committed(engine.commit(small(5_000)));
        engine.checkpoint().unwrap();
        assert_healthy(&engine);
        engine.close().unwrap();
        let engine = open(&disk);
        assert_eq!(engine.len(&PAGES).unwrap(), 2 + taken as u64 + 1);
        assert!(segments(&disk) < opened, "the log was not trimmed");
    }
}

/// Writes until nothing more is taken, and gives back what was acknowledged.
fn fill_up(engine: &Engine, from: u32) -> Vec<u32> {
    let mut taken = Vec::new();
    let mut refused = 0;
    for n in from..from + 4_000 {
        match engine.commit(small(n)) {
            Ok(outcome) => {
                committed(Ok(outcome));
                taken.push(n);
            }
            error => {
                is_no_space(error);
                refused += 1;
                if refused == 12 {
                    return taken;
                }
            }
        }
    }
    panic!("the disk was never full");
}

#[test]
fn a_disk_that_fills_up_and_is_given_room_again_loses_nothing_and_needs_nobody() {
    for background in [Background::Manual, Background::Threads] {
        let disk = SimDisk::new();
        disk.assume_powersafe("checkpoint.redb");
        let engine = open_small(&disk, background);
        let mut taken = Vec::new();
        let mut next = 0;
        // With the log full, with both memtables full, or with both: as the room that is left has it.
        for left in [0, 100_000, 300_000, 1_000_000, 40_000, 700_000] {
            leave(&disk, left);
            let more = fill_up(&engine, next);
            next += 4_000;
            taken.extend(more);
            assert_eq!(engine.len(&PAGES).unwrap(), taken.len() as u64);
            assert_eq!(engine.durable_seq().get(), taken.len() as u64, "something else was logged");
            for n in taken.iter().rev().step_by(1 + taken.len() / 20) {
                assert!(committed(engine.commit(small(*n))).replayed);
                assert_eq!(engine.get(&PAGES, n).unwrap().unwrap().value, vec![*n as u8; 500]);
            }
            let after = disk.after_power_cut(&Choice::Seeded(left));
            after.set_capacity(None);
            assert_eq!(open(&after).len(&PAGES).unwrap(), taken.len() as u64);
        }
        assert!(taken.len() > 500);
        // As soon as there is room, whoever writes next makes all go on.
        disk.set_capacity(None);
        for n in next..next + 500 {
            committed(engine.commit(small(n)));
            taken.push(n);
        }
        engine.checkpoint().unwrap();
        engine.close().unwrap();
        let engine = open(&disk);
        let expected: Vec<_> = taken.iter().map(|n| (*n, 500)).collect();
        assert_eq!(values(&engine), expected);
        for n in taken {
            assert!(committed(engine.commit(small(n))).replayed);
        }
    }
}

/// All that an engine does, with no room from the `allocation`-th call on that needs some. Whatever is refused is refused for
/// that reason; when it is over, all is done.
fn with_no_room_from(allocation: u64) -> (u64, u64) {
    let disk = SimDisk::new();
    disk.assume_powersafe("checkpoint.redb");
    let mut refused = 0;
    disk.fill_up_at(allocation, Repeat::Forever);
    let engine = match open_with(disk.clone(), Background::Manual) {
        Ok(engine) => engine,
        Err(error) => {
            is_no_space(Err::<(), _>(error));
            disk.clear_faults();
            refused += 1;
            open(&disk)
        }
    };
    let mut note = |done: Result<bool, Error>| {
        if done.is_err() {
            is_no_space(done);
            refused += 1;
            return false;
        }
        true
    };
    let mut taken = Vec::new();
    let put = |n| engine.commit(small(n)).map(|outcome| outcome.committed().is_ok());
    for round in 0..4 {
        for n in round * 10..round * 10 + 10 {
            if note(put(n)) {
                taken.push(n);
            }
        }
        if note(engine.commit(large(1_000 + round)).map(|outcome| outcome.committed().is_ok())) {
            taken.push(1_000 + round);
        }
        note(engine.run_background_step());
        note(engine.checkpoint().map(|()| true));
    }
    let cut = disk.after_power_cut(&Choice::Seeded(allocation));
    disk.clear_faults();
    for n in 100..110 {
        committed(engine.commit(small(n)));
        taken.push(n);
    }
    engine.checkpoint().unwrap();
    engine.close().unwrap();
    taken.sort_unstable();
    let keys =
        |engine: &Engine| -> Vec<u32> { values(engine).into_iter().map(|(key, _)| key).collect() };
    assert_eq!(keys(&open(&disk)), taken, "no room from allocation {allocation} on");
    taken.retain(|n| !(100..110).contains(n));
    assert_eq!(
        keys(&open(&cut)),
        taken,
        "no room from allocation {allocation} on, and a power cut"
    );
    (disk.allocation_count(), refused)
}

#[test]
fn no_room_from_any_call_on_that_needs_some_ends_nothing() {
    let (mut calls, mut refusals) = (0, 0);
    for allocation in 1.. {
        let (needed, refused) = with_no_room_from(allocation);
        if allocation > needed {
            assert_eq!(refused, 0);
            break;
        }
        (calls, refusals) = (allocation, refusals + refused);
    }
    println!("no room from each of {calls} calls on: {refusals} refusals");
    assert!(calls > 50 && refusals > 500);
}

/// Nothing is lost by it: the log is as after a crash.
#[test]
fn a_close_without_room_for_its_mark_says_so() {
    let disk = SimDisk::new();
    disk.assume_powersafe("checkpoint.redb");
    let (engine, answered) = prepared(&disk);
    disk.fill_up_at(disk.allocation_count() + 1, Repeat::Forever);
    is_no_space(engine.close());
    disk.clear_faults();
    let engine = open(&disk);
    assert_eq!(engine.recovery().verdict, steadfast::Verdict::Unclean);
    assert_eq!(committed(engine.commit(add("logged"))).seq, answered[1].seq);
}

/// There is room in the log, and none for the checkpoint: to come again in a moment is no advice.
#[test]
fn who_does_not_wait_is_told_that_the_disk_is_full() {
    for background in [Background::Manual, Background::Threads] {
        let disk = SimDisk::new();
        disk.assume_powersafe("checkpoint.redb");
        let engine = Engine::builder()
            .background(background)
            .memtable_limit_bytes(64 << 10)
            .checkpoint_cache_bytes(1 << 20)
            .open_on(disk.clone())
            .unwrap();
        committed(engine.commit(small(0)));
        leave(&disk, 0);
        let refused = (1..300).find_map(|n| engine.commit(small(n)).err()).expect("it is full");
        assert!(refused.to_string().contains("writing the checkpoint"), "{refused}");
        let error = engine.try_submit(small(301)).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
        // Whoever asked had it tried again.
        disk.set_capacity(None);
        if background == Background::Manual {
            while engine.run_background_step().unwrap() {}
        } else {
            engine.checkpoint().unwrap();
        }
        committed(engine.try_submit(small(302)).unwrap().wait());
    }
}

/// Where nothing is written, nothing needs room: who asks is told the mode.
#[test]
fn a_read_only_mode_is_told_before_a_full_disk() {
    let mode = || steadfast::Mode::ReadOnly { reason: "moving".into() };
    for background in [Background::Manual, Background::Threads] {
        let disk = SimDisk::new();
        disk.assume_powersafe("checkpoint.redb");
        let engine = open_small(&disk, background);
        committed(engine.commit(small(0)));
        // With the log full, and with both memtables full.
        for left in [0, 600_000] {
            leave(&disk, left);
            (1..3_000).find_map(|n| engine.commit(small(n)).err()).expect("the disk is full");
            // What changes the mode takes room itself.
            is_no_space(engine.set_mode(mode()));
            disk.set_capacity(None);
            engine.set_mode(mode()).unwrap();
            leave(&disk, 0);
            let hour = std::time::Duration::from_secs(3600);
            for n in [5_000, 5_001] {
                let refusals = [
                    engine.commit(large(n)).map(drop),
                    engine.commit(large(n).deadline_in(hour)).map(drop),
                    engine.submit(large(n)).wait().map(drop),
                    engine.try_submit(large(n)).and_then(Ticket::wait).map(drop),
                    engine.fence(&key("new")).map(drop),
                ];
                for refused in refusals {
                    let error = refused.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
                }
            }
            assert!(committed(engine.commit(small(0))).replayed);
            disk.set_capacity(None);
            engine.set_mode(steadfast::Mode::ReadWrite).unwrap();
        }
        // An opening that has prepared nothing yet.
        engine.set_mode(mode()).unwrap();
        engine.close().unwrap();
        leave(&disk, 0);
        let engine = open_small(&disk, background);
        let error = engine.commit(small(9_000)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
        is_no_space(engine.set_mode(steadfast::Mode::ReadWrite));
    }
}

/// The checkpoint finds no room, and neither does a segment: whoever waits for one is told, with a deadline or without.
#[test]
fn who_waits_for_a_segment_is_told_while_the_checkpoint_waits_for_room() {
    let disk = SimDisk::new();
    disk.assume_powersafe("checkpoint.redb");
    let engine = open_small(&disk, Background::Threads);
    committed(engine.commit(small(0)));
    leave(&disk, 0);
    let hour = std::time::Duration::from_secs(3600);
    let refused = (1..300).find_map(|n| engine.commit(small(n).deadline_in(hour)).err());
    is_no_space(Err::<(), _>(refused.expect("the disk is full")));
    let refused = (0..1_000_000).find_map(|_| match engine.try_submit(small(301)) {
        Err(Error::Overloaded { .. }) => {
            std::thread::yield_now();
            None
        }
        other => Some(other.map(drop)),
    });
    is_no_space(refused.expect("it is not asked to come again for ever"));
    disk.set_capacity(None);
    engine.checkpoint().unwrap();
    committed(engine.commit(small(302)));
}
