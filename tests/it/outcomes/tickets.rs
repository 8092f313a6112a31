//! Tickets: futures, and what is handed in without waiting.

use super::*;

/// Wakes a thread that has parked itself.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The smallest executor there is.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll<T, R>(ticket: &mut Ticket<T, R>, waker: &Arc<Count>) -> Poll<Result<Outcome<T, R>, Error>> {
    Pin::new(ticket).poll(&mut Context::from_waker(&waker.clone().into()))
}

#[test]
fn a_ticket_is_a_future_under_any_executor() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    let add = |n: u32| {
        engine.submit(Request::new(key(&n.to_string())).add(&SUMS, &1, 1, 0..=1_000).result(&n))
    };
    for n in 0..50 {
        assert_eq!(committed(block_on(add(n))).result, n);
    }
    let tickets: Vec<_> = (50..250).map(add).collect();
    let sum = block_on(async {
        let mut sum = 0;
        for ticket in tickets {
            sum += committed(ticket.await).result;
        }
        sum
    });
    assert_eq!(sum, (50..250).sum::<u32>());
    let replayed = committed(block_on(add(7)));
    assert_eq!((replayed.result, replayed.replayed), (7, true));
    thread::scope(|scope| {
        for thread in 0..4 {
            let add = &add;
            scope.spawn(move || {
                for n in 0..50 {
                    committed(block_on(add(1_000 + thread * 50 + n)));
                }
            });
        }
    });
    assert_eq!(engine.get(&SUMS, &1).unwrap().unwrap().value, 450);
    let refused = block_on(engine.submit(Request::unkeyed()));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Shape);
}

#[test]
fn a_ticket_wakes_whoever_polled_last_and_only_when_it_is_durable() {
    let disk = MemoryDisk::new();
    let engine = manual(&disk);
    let (first, last) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let woken = || (first.0.load(Ordering::SeqCst), last.0.load(Ordering::SeqCst));
    let mut ticket = engine.submit(put("a", "a", Expect::Absent));
    assert!(poll(&mut ticket, &first).is_pending());
    assert!(poll(&mut ticket, &last).is_pending());
    assert_eq!((woken(), engine.durable_seq().get()), ((0, 0), 0));
    assert_eq!(engine.get(&WORDS, "w").unwrap(), None);
    assert!(engine.run_background_step().unwrap());
    assert_eq!((woken(), engine.durable_seq().get()), ((0, 1), 1));
    match poll(&mut ticket, &first) {
        Poll::Ready(outcome) => assert!(!committed(outcome).replayed),
        Poll::Pending => panic!("woken for nothing"),
    }
    assert!(!engine.run_background_step().unwrap());
    let spent =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(&mut ticket, &first)));
    assert!(spent.is_err(), "it gave its outcome twice");
}

#[test]
fn a_dropped_ticket_is_carried_out_all_the_same() {
    let disk = MemoryDisk::new();
    let engine = manual(&disk);
    drop(engine.submit(put("a", "a", Expect::Absent)));
    let mut polled = engine.submit(Request::new(key("b")).add(&SUMS, &1, 1, 0..=9));
    assert!(poll(&mut polled, &Arc::new(Count::default())).is_pending());
    drop(polled);
    assert!(engine.run_background_step().unwrap());
    assert_eq!(engine.get(&WORDS, "w").unwrap().unwrap().value, "a");
    assert_eq!(engine.get(&SUMS, &1).unwrap().unwrap().value, 1);
    // Closing waits for what was handed in, and so does dropping the engine.
    drop(engine.submit(Request::new(key("c")).add(&SUMS, &1, 1, 0..=9)));
    engine.close().unwrap();
    let engine = manual(&disk);
    assert_eq!(engine.get(&SUMS, &1).unwrap().unwrap().value, 2);
    drop(engine.submit(Request::new(key("d")).add(&SUMS, &1, 1, 0..=9)));
    drop(engine);
    let engine = manual(&disk);
    assert_eq!(engine.get(&SUMS, &1).unwrap().unwrap().value, 3);

    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    (0..500u32).for_each(|n| {
        drop(engine.submit(Request::new(key(&n.to_string())).add(&SUMS, &1, 1, 0..=500)));
    });
    engine.close().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    assert_eq!(engine.get(&SUMS, &1).unwrap().unwrap().value, 500);
}

#[test]
fn a_ticket_outlives_its_engine() {
    let disk = MemoryDisk::new();
    let engine = manual(&disk);
    let ticket = engine.submit(put("a", "a", Expect::Absent));
    engine.close().unwrap();
    assert!(!committed(ticket.wait()).replayed);
    let engine = manual(&disk);
    let ticket = engine.submit(put("a", "a", Expect::Absent));
    drop(engine);
    assert!(committed(block_on(ticket)).replayed);
}

#[test]
fn no_answer_tells_of_what_is_not_durable() {
    let disk = MemoryDisk::new();
    let engine = manual(&disk);
    let zero = Arc::new(Count::default());
    // Neither a second delivery, nor a conflict, nor a refusal, before what they saw is on the disk.
    let first = engine.submit(put("a", "a", Expect::Absent));
    let mut again = engine.submit(put("a", "a", Expect::Absent));
    let mut stale = engine.submit(put("b", "b", Version::new(0)));
    let unkeyed = Request::unkeyed().put(&WORDS, "w", &"c".into(), Expect::Absent);
    let mut refused = engine.submit(unkeyed);
    let mut reused = engine.submit(put("a", "other", Expect::Absent));
    for ticket in [&mut again, &mut stale, &mut refused, &mut reused] {
        assert!(poll(ticket, &zero).is_pending());
    }
    assert!(engine.run_background_step().unwrap());
    let (first, again) = (committed(first.wait()), committed(again.wait()));
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!(first.seq, again.seq);
    assert_eq!(conflict(stale.wait()).found(), Some(first.version()));
    assert!(matches!(refused.wait().unwrap(), Outcome::Rejected(Rejection::Expectation(_))));
    assert_eq!(reused.wait().unwrap_err().kind(), ErrorKind::KeyReused);
    assert_eq!(engine.durable_seq().get(), 1);
}
