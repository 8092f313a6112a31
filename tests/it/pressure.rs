//! Back-pressure: so much may wait for the disk and no more, however long it hangs; who is not to wait is turned away, and
//! who has a deadline waits until then.

mod deadlines;

use crate::{
    failure::held_disk::{HeldDisk, Hold, Stage},
    support::{assert_healthy, in_time, key},
};
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};
use steadfast::{
    Background, Builder, Engine, Error, ErrorKind, Expect, Keyspace, OnDuplicate, Outcome, Receipt,
    Request, Retry, Ticket, Version,
    testing::{Repeat, SimClock, SimDisk, SimEntropy},
};

const SUMS: Keyspace<String, i64> = Keyspace::new("sums");
const PAGES: Keyspace<u32, Vec<u8>> = Keyspace::new("pages");

fn builder(clock: &SimClock) -> Builder {
    let builder = Engine::builder().clock(clock.clone()).entropy(SimEntropy::new(5));
    builder.checkpoint_cache_bytes(1 << 20).segment_bytes(64 << 10)
}

fn clock() -> SimClock {
    SimClock::new(1_700_000_000_000_000_000, 1_000)
}

fn add(name: &str) -> Request {
    Request::new(key(name)).add(&SUMS, name, 1, 0..=1_000_000)
}

fn committed<T>(outcome: Result<Outcome<T>, Error>) -> Receipt<T> {
    outcome.unwrap().committed().unwrap()
}

fn sum(engine: &Engine, name: &str) -> i64 {
    engine.get(&SUMS, name).unwrap().map_or(0, |record| record.value)
}

fn assert_overloaded(refused: Result<Ticket, Error>) -> Duration {
    let error = refused.expect_err("it was taken in");
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Overloaded, Retry::SameKey), "{error}");
    let text = error.to_string();
    assert!(text.contains("try again in") && text.contains("nothing was logged"), "{text}");
    let Error::Overloaded { retry_after } = error else { unreachable!() };
    assert!((1..=10_000).contains(&retry_after.as_millis()), "{retry_after:?}");
    retry_after
}

/// A disk of which the next durable write to the log waits until it is told what to do.
fn held(disk: &SimDisk) -> (HeldDisk, Arc<Hold>) {
    let hold = Arc::new(Hold::default());
    (HeldDisk { durable: ("segments/", hold.clone()), ..HeldDisk::new(disk.clone()) }, hold)
}

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Callers of every kind hand in for as long as the disk hangs, and a good deal after.
#[test]
fn a_disk_that_hangs_does_not_grow_memory() {
    const EACH: u32 = 200;
    // So many of the smallest reach the one limit before the other.
    for (limit_requests, limit_bytes) in [(40, 16 << 20), (400, 64 << 10)] {
        let (disk, hold) = held(&SimDisk::new());
        let engine = builder(&clock())
            .queue_limit_requests(limit_requests as usize)
            .queue_limit_bytes(limit_bytes)
            .open_on(disk)
            .unwrap();
        assert_healthy(&engine);
        committed(engine.commit(add("stored")));
        let page = |n: u32| {
            let request = Request::new(key(&format!("page {n}")));
            request.put(&PAGES, &(n % 16), &vec![7; 2_000], Expect::Any)
        };
        let full = AtomicBool::new(false);
        hold.set(Stage::Armed);
        let (accepted, turned_away) = thread::scope(|scope| {
            let (engine, page, full) = (&engine, &page, &full);
            let held = scope.spawn(|| committed(engine.commit(add("held"))));
            hold.await_stage(&Stage::Waiting);
            let submitters: Vec<_> = (0..4)
                .map(|thread| {
                    scope.spawn(move || {
                        let mut tickets = Vec::new();
                        for n in 0..EACH {
                            let ticket = engine.submit(page(thread * EACH + n));
                            // Every other ticket is dropped.
                            if n % 2 == 0 {
                                tickets.push(ticket);
                            }
                        }
                        let answers = tickets.into_iter().map(Ticket::wait);
                        answers.map(committed).filter(|receipt| !receipt.replayed).count()
                    })
                })
                .collect();
            let committers: Vec<_> = (0..4)
                .map(|thread| {
                    scope.spawn(move || {
                        for n in 0..EACH / 4 {
                            committed(engine.commit(add(&format!("{thread} {n}"))));
                            // A duplicate of what is in flight, a conflict and a refusal take no place in the log.
                            committed(engine.commit(add("held")));
                            let stale = Request::unkeyed().check(&SUMS, "held", Version::new(0));
                            engine.commit(stale).unwrap().committed().unwrap_err();
                            let there = Request::unkeyed().check(&SUMS, "stored", Expect::Absent);
                            engine.commit(there).unwrap().committed().unwrap_err();
                        }
                    })
                })
                .collect();
            // Until there is no room for one more.
            let mut impatient = 0;
            let turned_away = scope.spawn(move || {
                let mut turned_away = 0;
                while !full.load(Ordering::SeqCst) {
                    match engine.try_submit(add(&format!("impatient {impatient}"))) {
                        Ok(ticket) => {
                            drop(ticket);
                            impatient += 1;
                        }
                        refused => {
                            assert_overloaded(refused);
                            turned_away += 1;
                        }
                    }
                    // What is stored is told, and what is in flight is not.
                    assert!(committed(engine.try_submit(add("stored")).unwrap().wait()).replayed);
                    if turned_away > 0 {
                        let told = add("stored").on_duplicate(OnDuplicate::Reject);
                        let told = engine.try_submit(told).unwrap().wait().unwrap_err();
                        assert_eq!(told.kind(), ErrorKind::AlreadyDecided);
                    }
                    if turned_away > 500 {
                        full.store(true, Ordering::SeqCst);
                    }
                }
                // A second delivery takes less room than a request of its own, but some.
                let mut again = engine.try_submit(add("held"));
                while let Ok(ticket) = again {
                    drop(ticket);
                    again = engine.try_submit(add("held"));
                }
                assert_overloaded(again);
                (impatient, turned_away)
            });
            while !full.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            assert!(!held.is_finished() && submitters.iter().all(|thread| !thread.is_finished()));
            let (impatient, turned_away) = turned_away.join().unwrap();
            println!("{}", engine.queue());
            hold.set(Stage::GoingOn);
            assert!(!held.join().unwrap().replayed);
            let answered: usize = submitters.into_iter().map(|t| t.join().unwrap()).sum();
            assert_eq!(answered, 4 * EACH as usize / 2);
            committers.into_iter().for_each(|thread| thread.join().unwrap());
            // Those whose tickets were dropped go before this one.
            committed(engine.commit(add("last")));
            (impatient, turned_away)
        });
        let queue = engine.queue();
        println!("{queue}; {accepted} accepted while it hung, {turned_away} turned away");
        assert!(turned_away > 500);
        assert_eq!((queue.requests, queue.bytes), (0, 0));
        assert!(queue.most_requests <= limit_requests && queue.most_bytes <= limit_bytes as u64);
        // It was full, of one or of the other.
        if limit_bytes > 1 << 20 {
            assert_eq!(queue.most_requests, limit_requests);
        } else {
            assert!(
                queue.most_requests < limit_requests && queue.most_bytes > limit_bytes as u64 / 2
            );
        }
        for n in 0..accepted {
            assert_eq!(sum(&engine, &format!("impatient {n}")), 1, "an accepted request is lost");
        }
        assert_eq!((sum(&engine, "held"), sum(&engine, "stored")), (1, 1));
        for n in 0..4 * EACH {
            assert!(committed(engine.commit(page(n))).replayed, "a dropped ticket cancelled");
        }
        assert_healthy(&engine);
        engine.close().unwrap();
    }
}

#[test]
fn a_dropped_ticket_leaves_nothing_behind() {
    let (disk, hold) = held(&SimDisk::new());
    let engine = builder(&clock()).open_on(disk).unwrap();
    assert_healthy(&engine);
    hold.set(Stage::Armed);
    let count = Arc::new(Count::default());
    let first = engine.submit(add("first"));
    hold.await_stage(&Stage::Waiting);
    for n in 0..100 {
        let mut ticket = engine.submit(add(&n.to_string()));
        let waker = Waker::from(count.clone());
        assert!(Pin::new(&mut ticket).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!(engine.queue().requests, 101);
    assert_eq!(Arc::strong_count(&count), 101, "one waker for each that waits");
    hold.set(Stage::GoingOn);
    committed(first.wait());
    committed(engine.commit(add("behind them")));
    let queue = engine.queue();
    assert_eq!((queue.requests, queue.bytes), (0, 0));
    assert!((101..=102).contains(&queue.most_requests), "{queue}");
    engine.close().unwrap();
    assert_eq!((Arc::strong_count(&count), count.0.load(Ordering::SeqCst)), (1, 100));
}

/// Everything that can make a caller wait, one after the other, and nobody but this thread to do it.
#[test]
fn who_is_not_to_wait_does_no_work_for_others() {
    let (disk, clock) = (SimDisk::new(), clock());
    let open = || {
        let builder = builder(&clock).background(Background::Manual).queue_limit_requests(2);
        builder.memtable_limit_bytes(64 << 10).open_on(disk.clone()).unwrap()
    };
    let engine = open();
    // There is no segment yet, and it prepares none.
    let calls = disk.io_count();
    for _ in 0..3 {
        assert_eq!(assert_overloaded(engine.try_submit(add("a"))), Duration::from_millis(1));
    }
    assert_eq!(disk.io_count(), calls);
    assert!(engine.run_background_step().unwrap());
    let first = engine.try_submit(add("a")).unwrap();
    // The queue has two places; a second delivery takes one, too.
    let again = engine.try_submit(add("a")).unwrap();
    for request in [add("b"), add("a"), Request::unkeyed().check(&SUMS, "a", Expect::Absent)] {
        assert_overloaded(engine.try_submit(request));
    }
    assert_eq!((engine.queue().requests, engine.queue().most_requests), (2, 2));
    assert!(engine.run_background_step().unwrap());
    assert_eq!(committed(first.wait()).seq, committed(again.wait()).seq);
    committed(engine.try_submit(add("b")).unwrap().wait());

    // Both memtables are full.
    let page = |n: u32| {
        let request = Request::new(key(&format!("page {n}")));
        request.put(&PAGES, &n, &vec![7; 3_000], Expect::Any)
    };
    let (mut pages, mut turned_away) = (0, 0);
    while turned_away < 3 {
        match engine.try_submit(page(pages)) {
            Ok(ticket) => {
                // Leads, and does nothing else.
                committed(ticket.wait());
                (pages, turned_away) = (pages + 1, 0);
            }
            refused => {
                assert_overloaded(refused);
                turned_away += 1;
                // One step of another kind may be due: a segment.
                if turned_away == 1 && pages < 10 {
                    assert!(engine.run_background_step().unwrap());
                }
            }
        }
    }
    println!("{pages} pages until it was full");
    let calls = disk.io_count();
    assert_overloaded(engine.try_submit(page(pages)));
    assert!(committed(engine.try_submit(add("a")).unwrap().wait()).replayed);
    assert_eq!(disk.io_count(), calls, "it did something");
    while engine.run_background_step().unwrap() {}
    let mut ticket = engine.try_submit(page(pages));
    while ticket.is_err() {
        assert!(engine.run_background_step().unwrap(), "nobody makes room");
        ticket = engine.try_submit(page(pages));
    }
    committed(ticket.unwrap().wait());
    engine.close().unwrap();
    assert_eq!(open().len(&PAGES).unwrap(), u64::from(pages) + 1);
}

#[test]
fn who_is_not_to_wait_is_told_of_a_full_disk_and_of_a_failed_one() {
    let disk = SimDisk::new();
    let engine = builder(&clock()).background(Background::Manual).open_on(disk.clone()).unwrap();
    disk.set_capacity(Some(1));
    assert_overloaded(engine.try_submit(add("a")));
    assert_eq!(engine.run_background_step().unwrap_err().kind(), ErrorKind::NoSpace);
    for _ in 0..2 {
        assert_eq!(engine.try_submit(add("a")).unwrap_err().kind(), ErrorKind::NoSpace);
    }
    // It asked for another attempt, which comes to the same; and then there is room.
    assert_eq!(engine.run_background_step().unwrap_err().kind(), ErrorKind::NoSpace);
    disk.set_capacity(None);
    assert_eq!(engine.try_submit(add("a")).unwrap_err().kind(), ErrorKind::NoSpace);
    assert!(engine.run_background_step().unwrap());
    committed(engine.try_submit(add("a")).unwrap().wait());
    assert_healthy(&engine);
    disk.fail_call(disk.io_count() + 1, std::io::ErrorKind::Other, Repeat::Once);
    let failing = engine.try_submit(add("failing")).unwrap();
    assert_eq!(failing.wait().unwrap_err().kind(), ErrorKind::Indeterminate);
    let poisoned = engine.try_submit(add("b")).unwrap().wait();
    assert_eq!(poisoned.unwrap_err().kind(), ErrorKind::Poisoned);
    assert!(committed(engine.try_submit(add("a")).unwrap().wait()).replayed);
}

/// Hands in more than the queue holds, on the thread that would have to write it.
struct Greedy {
    engine: Engine,
    done: AtomicBool,
}

impl Wake for Greedy {
    fn wake(self: Arc<Self>) {
        (0..20).for_each(|n| drop(self.engine.submit(add(&format!("from within {n}")))));
        self.done.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_waker_that_fills_the_queue_hangs_nobody() {
    in_time(|| {
        let (disk, hold) = held(&SimDisk::new());
        let engine = builder(&clock()).queue_limit_requests(3).open_on(disk).unwrap();
        assert_healthy(&engine);
        hold.set(Stage::Armed);
        // Nobody waits but a future.
        let mut ticket = engine.submit(add("a"));
        let greedy = Arc::new(Greedy { engine: engine.clone(), done: AtomicBool::new(false) });
        let waker = Waker::from(greedy.clone());
        hold.await_stage(&Stage::Waiting);
        assert!(Pin::new(&mut ticket).poll(&mut Context::from_waker(&waker)).is_pending());
        hold.set(Stage::GoingOn);
        while !greedy.done.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        committed(ticket.wait());
        committed(engine.commit(add("last")));
        for n in 0..20 {
            assert_eq!(sum(&engine, &format!("from within {n}")), 1);
        }
        assert!(engine.queue().most_requests <= 3);
        engine.close().unwrap();
    });
}

/// With threads, those who were turned away get in by and by without anybody waiting.
#[test]
fn who_comes_again_gets_in() {
    in_time(|| {
        let dir = tempfile::tempdir().unwrap();
        let builder = Engine::builder().queue_limit_requests(3).memtable_limit_bytes(64 << 10);
        let engine = builder.segment_bytes(64 << 10).open(dir.path()).unwrap();
        thread::scope(|scope| {
            for thread in 0..4 {
                let engine = &engine;
                scope.spawn(move || {
                    for n in 0..200 {
                        while let Err(error) = engine.try_submit(add(&format!("{thread} {n}"))) {
                            let Error::Overloaded { retry_after } = error else {
                                panic!("{error}")
                            };
                            assert!(retry_after >= Duration::from_millis(1));
                            thread::yield_now();
                        }
                    }
                });
            }
        });
        engine.clone().close().unwrap();
        let queue = engine.queue();
        assert!((1..=3).contains(&queue.most_requests), "{queue}");
        assert!(serde_json::to_string(&queue).unwrap().contains("most_requests"));
        drop(engine);
        assert_eq!(Engine::open(dir.path()).unwrap().len(&SUMS).unwrap(), 800);
    });
}

#[test]
fn limits_are_taken_as_the_nearest_that_can_be() {
    let limits = |requests, bytes| {
        let builder = Engine::builder().queue_limit_requests(requests).queue_limit_bytes(bytes);
        let queue = builder.in_memory().unwrap().queue();
        (queue.limit_requests, queue.limit_bytes)
    };
    assert_eq!(limits(0, 0), (1, 64 << 10));
    assert_eq!(limits(usize::MAX, usize::MAX), (1 << 20, 16 << 20));
    assert_eq!(limits(7, 1 << 20), (7, 1 << 20));
    // What is larger than the queue goes alone.
    let engine =
        Engine::builder().queue_limit_bytes(0).queue_limit_requests(1).in_memory().unwrap();
    for n in 0..4 {
        let request = Request::unkeyed().put(&PAGES, &n, &vec![7; 500_000], Expect::Any);
        drop(engine.submit(request));
    }
    engine.clone().close().unwrap();
    assert_eq!(engine.queue().most_requests, 1);
    assert!(engine.queue().most_bytes > 500_000);
}
