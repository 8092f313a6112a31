//! Deadlines: passed before a request has its place in the log, nothing happened; afterwards they mean nothing.

use super::*;

fn late(request: Request) -> Request {
    request.deadline_in(Duration::ZERO)
}

fn assert_late<T: std::fmt::Debug>(answer: Result<T, Error>) {
    let error = answer.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::DeadlineExceeded, Retry::SameKey));
    let text = error.to_string();
    assert!(text.contains("under the same key") && text.contains("nothing was logged"), "{text}");
}

#[test]
fn a_deadline_that_has_passed_does_nothing_and_hides_nothing() {
    let disk = SimDisk::new();
    let engine = builder(&clock()).background(Background::Manual).open_on(disk).unwrap();
    let first = committed(engine.commit(add("a")));
    let before = engine.durable_seq();
    for settled in [false, true] {
        for request in [add("b"), Request::unkeyed().add(&SUMS, "b", 1, 0..=9)] {
            assert_late(engine.commit(late(request)));
        }
        assert_late(engine.submit(late(add("b"))).wait());
        assert_late(engine.try_submit(late(add("b"))));
        // Before the mode and the expectations are looked at, and after the shape and the window.
        assert_late(engine.commit(late(add("b").check(&SUMS, "a", Version::new(u64::MAX / 2)))));
        let shapeless = engine.commit(late(Request::new(key("b"))));
        assert_eq!(shapeless.unwrap_err().kind(), ErrorKind::Shape);
        let again = committed(engine.commit(late(add("a"))));
        assert_eq!((again.seq, again.replayed), (first.seq, true));
        committed(engine.try_submit(late(add("a"))).unwrap().wait());
        let reused = engine.commit(late(Request::new(key("a")).add(&SUMS, "c", 1, 0..=1)));
        assert_eq!(reused.unwrap_err().kind(), ErrorKind::KeyReused);
        let told = engine.commit(late(add("a")).on_duplicate(OnDuplicate::Reject));
        assert_eq!(told.unwrap_err().kind(), ErrorKind::AlreadyDecided);
        assert_eq!((engine.durable_seq(), sum(&engine, "b")), (before, 0), "something was logged");
        if !settled {
            engine.checkpoint().unwrap();
        }
    }
    // It is not part of what the key stands for.
    let first = committed(engine.commit(add("b").deadline_in(Duration::MAX)));
    assert_eq!(committed(engine.commit(add("b"))).seq, first.seq);
}

#[test]
fn a_deadline_counts_from_when_the_request_is_handed_in_to_when_it_has_its_place() {
    let clock = clock();
    let disk = SimDisk::new();
    let engine = builder(&clock).background(Background::Manual).open_on(disk).unwrap();
    // Building it takes no time.
    let request = add("a").deadline_in(Duration::from_millis(1));
    clock.advance(Duration::from_secs(3_600));
    let ticket = engine.submit(request);
    // Nor does waiting for the disk.
    clock.advance(Duration::from_secs(3_600));
    assert!(engine.run_background_step().unwrap());
    assert!(!committed(ticket.wait()).replayed);
    // What is in flight is stored as well, and told when it is durable.
    let first = engine.submit(add("b"));
    let again = engine.submit(late(add("b")));
    assert_late(engine.submit(late(add("c"))).wait());
    let (first, again) = (committed(first.wait()), committed(again.wait()));
    assert_eq!((again.seq, again.replayed), (first.seq, true));
}

/// Runs a request with a deadline on a thread of its own while the disk hangs, and lets time pass until it is answered.
fn answer_while_it_hangs(engine: &Engine, clock: &SimClock, request: Request) -> Result<(), Error> {
    thread::scope(|scope| {
        let waiting = scope.spawn(|| engine.commit(request).map(drop));
        while !waiting.is_finished() {
            clock.advance(Duration::from_millis(1));
            thread::yield_now();
        }
        waiting.join().unwrap()
    })
}

#[test]
fn the_wait_for_a_place_in_the_queue_ends_at_the_deadline() {
    let (clock, (disk, hold)) = (clock(), held(&SimDisk::new()));
    let engine = builder(&clock).queue_limit_requests(1).open_on(disk).unwrap();
    assert_healthy(&engine);
    hold.set(Stage::Armed);
    thread::scope(|scope| {
        let first = scope.spawn(|| engine.commit(add("first")));
        hold.await_stage(&Stage::Waiting);
        let short = Duration::from_millis(20);
        assert_late(answer_while_it_hangs(&engine, &clock, add("late").deadline_in(short)));
        // Also a second delivery of what is in flight, for which there is no place to wait in.
        assert_late(answer_while_it_hangs(&engine, &clock, add("first").deadline_in(short)));
        hold.set(Stage::GoingOn);
        committed(first.join().unwrap());
    });
    assert_eq!((sum(&engine, "first"), sum(&engine, "late")), (1, 0));
    assert!(committed(engine.commit(late(add("first")))).replayed);
    assert_healthy(&engine);
}

/// By the machine's own clock, with everybody in front of whom something hangs.
#[test]
fn real_time_passes_by_itself() {
    let (disk, hold) = held(&SimDisk::new());
    let engine = Engine::builder().queue_limit_requests(1).open_on(disk).unwrap();
    assert_healthy(&engine);
    hold.set(Stage::Armed);
    let first = engine.submit(add("first"));
    hold.await_stage(&Stage::Waiting);
    let soon = || add("late").deadline_in(Duration::from_millis(5));
    assert_late(engine.commit(soon()));
    assert_late(engine.submit(soon()).wait());
    assert_overloaded(engine.try_submit(soon()));
    hold.set(Stage::GoingOn);
    committed(first.wait());
    let far = add("far").deadline_in(Duration::from_secs(3_600));
    committed(engine.commit(far));
    assert_healthy(&engine);
}

#[test]
fn the_wait_for_a_checkpoint_ends_at_the_deadline() {
    let (clock, hold) = (clock(), Arc::new(Hold::default()));
    let disk =
        HeldDisk { sync: ("checkpoint.redb", hold.clone()), ..HeldDisk::new(SimDisk::new()) };
    let builder = builder(&clock).memtable_limit_bytes(64 << 10).segment_bytes(1 << 20);
    let engine = builder.open_on(disk).unwrap();
    assert_healthy(&engine);
    hold.set(Stage::Armed);
    let page = |n: u32| {
        let request = Request::new(key(&format!("page {n}")));
        request.put(&PAGES, &n, &vec![7; 3_000], Expect::Any)
    };
    // While the checkpoint hangs, the other memtable fills up, and then even an idle engine has no room. The segment is long
    // enough for all of it.
    let mut pages = 0;
    let mut full = false;
    while !full {
        full = match engine.try_submit(page(pages)) {
            Ok(ticket) => {
                committed(ticket.wait());
                pages += 1;
                false
            }
            Err(error) => {
                assert_eq!((error.kind(), engine.queue().requests), (ErrorKind::Overloaded, 0));
                thread::yield_now();
                hold.is(&Stage::Waiting)
            }
        };
        assert!(pages < 1_000, "it never was full");
    }
    let request = || page(pages).deadline_in(Duration::from_millis(20));
    assert_late(answer_while_it_hangs(&engine, &clock, request()));
    assert_late(answer_while_it_hangs(&engine, &clock, request()));
    assert_overloaded(engine.try_submit(page(pages)));
    hold.set(Stage::GoingOn);
    committed(engine.commit(page(pages)));
    assert_eq!(engine.len(&PAGES).unwrap(), u64::from(pages) + 1);
    engine.close().unwrap();
}

/// A segment is prepared by the engine's thread for those who have a deadline.
#[test]
fn the_wait_for_a_segment_ends_at_the_deadline() {
    let (clock, hold) = (clock(), Arc::new(Hold::default()));
    let inner = SimDisk::new();
    let disk = HeldDisk { write: ("segments/", hold.clone()), ..HeldDisk::new(inner.clone()) };
    let engine = builder(&clock).open_on(disk).unwrap();
    hold.set(Stage::Armed);
    let request = || add("a").deadline_in(Duration::from_millis(20));
    // It may be late before it came to ask for one.
    while !hold.is(&Stage::Waiting) {
        assert_late(answer_while_it_hangs(&engine, &clock, request()));
    }
    assert_late(engine.submit(late(add("a"))).wait());
    assert_overloaded(engine.try_submit(add("a")));
    hold.set(Stage::GoingOn);
    committed(engine.commit(add("a").deadline_in(Duration::from_secs(3_600))));
    engine.close().unwrap();

    // It is told what that thread met.
    let disk = SimDisk::new();
    let engine = builder(&clock).open_on(disk.clone()).unwrap();
    disk.set_capacity(Some(1));
    let far = || add("a").deadline_in(Duration::from_secs(3_600));
    for _ in 0..3 {
        assert_eq!(engine.commit(far()).unwrap_err().kind(), ErrorKind::NoSpace);
        assert_eq!(engine.submit(far()).wait().unwrap_err().kind(), ErrorKind::NoSpace);
    }
    disk.set_capacity(None);
    committed(engine.commit(far()));
    assert_healthy(&engine);
}
