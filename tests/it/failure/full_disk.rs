//! A disk without room, and a checkpoint that cannot be written.

use super::*;

/// A disk with so many bytes of room left.
fn leave(disk: &SimDisk, bytes: u64) {
    disk.set_capacity(Some(disk.used_bytes() + bytes));
}

/// The next entry has this number.
fn assert_healthy_from(engine: &Engine, seq: u64) {
    assert_eq!(committed(engine.commit(add("next"))).seq.get(), seq);
}

fn page(n: u32) -> Request {
    Request::new(key(&format!("page {n}"))).put(&PAGES, &(n % 8), &vec![7; 3_000], Expect::Any)
}

#[test]
fn a_full_disk_is_no_failure_and_passes() {
    for background in [Background::Manual, Background::Threads] {
        let disk = SimDisk::new();
        let engine = open_with(disk.clone(), background).unwrap();
        committed(engine.commit(page(0)));
        leave(&disk, 0);
        let mut refused = 0;
        for n in 1..40 {
            match engine.commit(page(n)) {
                Ok(outcome) => {
                    assert_eq!(refused, 0, "it went on by itself");
                    committed(Ok(outcome));
                }
                Err(error) => {
                    assert_eq!(
                        (error.kind(), error.retry()),
                        (ErrorKind::NoSpace, Retry::SameKey),
                        "{error}"
                    );
                    let text = error.to_string();
                    assert!(text.contains("make room and try again"), "{text}");
                    assert!(text.contains("nothing was logged"), "{text}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 10, "the disk was never full");
        let durable = engine.durable_seq();
        // Whatever needs no room goes on.
        assert!(committed(engine.commit(page(0))).replayed);
        assert_eq!(engine.len(&PAGES).unwrap(), 8);
        assert_eq!(engine.submit(page(39)).wait().unwrap_err().kind(), ErrorKind::NoSpace);
        let rejected = Request::unkeyed().check(&PAGES, &0, Expect::Absent);
        let rejected = engine
            .commit(rejected)
            .map(|outcome| matches!(outcome, Outcome::Rejected(Rejection::Expectation(_))));
        assert!(matches!(rejected, Ok(true) | Err(Error::NoSpace { .. })), "{rejected:?}");
        assert_eq!(engine.durable_seq(), durable);

        disk.set_capacity(None);
        let replayed = (0..40).filter(|n| committed(engine.commit(page(*n))).replayed).count();
        assert_eq!(replayed, 40 - refused);
        assert_healthy(&engine);
        engine.close().unwrap();
        assert_eq!(open(&disk).len(&PAGES).unwrap(), 8);
    }
}

#[test]
fn a_creation_without_room_says_so_and_an_opening_without_room_reads() {
    // A creation.
    let disk = SimDisk::new();
    disk.assume_powersafe("checkpoint.redb");
    for capacity in [0, 100, 9_000, 16_384, 20_480] {
        disk.set_capacity(Some(capacity));
        let error = refusal(open_with(disk.clone(), Background::Manual));
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{capacity} bytes: {error}");
    }
    disk.set_capacity(None);
    let engine = open(&disk);
    committed(engine.commit(page(1)));
    drop(engine);
    // An opening after an unclean end wants a segment.
    let engine = open(&disk);
    engine.checkpoint().unwrap();
    committed(engine.commit(page(2)));
    let disk = disk.after_kill();
    drop(engine);
    leave(&disk, 0);
    // Without it nothing gets a number; what is durable is read and answered.
    let mut opened = Vec::new();
    for background in [Background::Manual, Background::Threads, Background::Manual] {
        let engine = open_with(disk.clone(), background).unwrap();
        assert_eq!(engine.recovery().verdict, steadfast::Verdict::Unclean);
        assert_eq!(engine.len(&PAGES).unwrap(), 2);
        let again = committed(engine.commit(page(1)));
        assert!(again.replayed);
        let error = engine.commit(page(3)).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::NoSpace, Retry::SameKey), "{error}");
        assert_eq!(engine.durable_seq(), engine.recovery().applied_seq);
        // To say that the log ended well would give the numbers out again that a crash may have taken.
        assert_eq!(engine.close().unwrap_err().kind(), ErrorKind::NoSpace);
        opened.push(disk.list("segments").unwrap());
    }
    assert!(opened.iter().all(|names| *names == opened[0]), "{opened:?}");
    // The engine that is there goes on as soon as there is room, and its numbers are beyond those of the crash.
    for background in [Background::Manual, Background::Threads] {
        let disk = disk.after_kill();
        let engine = open_with(disk.clone(), background).unwrap();
        let last = engine.recovery().applied_seq.get();
        assert!(engine.commit(page(3)).is_err());
        disk.set_capacity(None);
        assert_eq!(committed(engine.commit(page(3))).seq.get(), last + (1 << 20));
        assert_healthy(&engine);
        drop(engine);
        let engine = open(&disk.after_power_cut(&Choice::None));
        assert!(committed(engine.commit(page(3))).replayed);
    }
    // With room by then, one that wrote nothing closes as any other does, beyond those numbers.
    let engine = open(&disk);
    let last = engine.recovery().applied_seq.get();
    disk.set_capacity(None);
    assert_eq!(engine.close().unwrap().mark, steadfast::CloseMark::Left);
    let engine = open(&disk);
    assert_eq!(engine.recovery().verdict, steadfast::Verdict::Clean);
    assert_healthy_from(&engine, last + (1 << 20));
    assert_eq!(engine.len(&PAGES).unwrap(), 2);
    assert!(committed(engine.commit(page(1))).replayed);
    assert!(committed(engine.commit(page(2))).replayed);
}

#[test]
fn a_checkpoint_that_cannot_be_written_ends_the_writing_and_loses_nothing() {
    for call in [1, 3, 9] {
        let disk = SimDisk::new();
        disk.assume_powersafe("checkpoint.redb");
        let (engine, answered) = prepared(&disk);
        for n in 0..8 {
            let request = Request::new(key(&format!("large {n}")));
            let request = request.put(&PAGES, &n, &vec![n as u8; 200_000], Expect::Any);
            committed(engine.commit(request));
        }
        disk.fail_call(disk.io_count() + call, io::ErrorKind::Other, Repeat::Once);
        let error = engine.checkpoint().unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Poisoned, Retry::SameKey), "{error}");
        assert!(error.to_string().contains("writing the checkpoint failed"), "{error}");
        let pages = |engine: &Engine| {
            let snapshot = engine.snapshot();
            let pages = snapshot.range(&PAGES, ..).map(|item| item.unwrap());
            pages
                .enumerate()
                .all(|(n, (key, record))| key == n as u32 && record.value == vec![n as u8; 200_000])
                && engine.len(&PAGES).unwrap() == 8
        };
        assert!(pages(&engine), "what is durable can still be read");
        is_poisoned(engine.commit(add("new")));
        let calls = disk.io_count();
        is_poisoned(engine.close());
        assert_eq!(disk.io_count(), calls, "something more was written");
        disk.clear_faults();
        for (what, disk) in aftermaths(&disk) {
            let engine = open_with(disk.clone(), Background::Manual)
                .unwrap_or_else(|error| panic!("after {what}: {error}"));
            assert!(pages(&engine), "after {what}");
            assert_eq!(committed(engine.commit(add("logged"))).seq, answered[1].seq);
            engine.checkpoint().unwrap();
            assert!(pages(&engine), "after {what}");
        }
    }
}

#[test]
fn a_full_disk_under_load_hangs_nobody() {
    let disk = SimDisk::new();
    disk.assume_powersafe("checkpoint.redb");
    let engine = Engine::builder()
        .memtable_limit_bytes(64 << 10)
        .checkpoint_cache_bytes(1 << 20)
        .segment_bytes(256 << 10)
        .open_on(disk.clone())
        .unwrap();
    leave(&disk, 1 << 20);
    let acknowledged: Vec<u32> = in_time(move || {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..4u32)
                .map(|thread| {
                    let engine = &engine;
                    scope.spawn(move || -> Vec<u32> {
                        let numbers = (0..200).map(|n| thread * 1_000 + n);
                        numbers.take_while(|n| engine.commit(large(*n)).is_ok()).collect()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        })
    });
    assert!(!acknowledged.is_empty() && acknowledged.len() < 800);
    disk.set_capacity(None);
    let engine = open(&disk);
    for n in &acknowledged {
        assert!(committed(engine.commit(large(*n))).replayed, "an acknowledged request is lost");
    }
    println!("{} of 800 were acknowledged", acknowledged.len());
}

fn large(n: u32) -> Request {
    Request::new(key(&format!("large {n}"))).put(&PAGES, &n, &vec![7; 10_000], Expect::Any)
}
