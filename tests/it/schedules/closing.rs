//! Wakers that close the engine or drop its last handle while other threads close it, and a waiter that drops the last.

use super::*;
use steadfast::SeqNo;

/// Closes the engine, or only drops its handle, when it is called.
struct Closing {
    engine: Mutex<Option<Engine>>,
    closes: bool,
    /// How many other threads are closing.
    others: Arc<AtomicUsize>,
    done: AtomicUsize,
    overlapped: AtomicUsize,
}

impl Wake for Closing {
    fn wake(self: Arc<Self>) {
        let engine = self.engine.lock().unwrap().take().expect("woken once");
        if self.closes {
            let others = self.others.load(Ordering::Relaxed);
            engine.clone().close().unwrap();
            let refused = engine.commit(put(Some(99), &[(9, 9, Expect::Any)]).request());
            assert!(matches!(refused, Err(Error::Closed)), "{refused:?}");
            self.overlapped.store(others, Ordering::Relaxed);
        }
        drop(engine);
        // The engine catches the panics of wakers: one that panicked is never done.
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// A request that was handed in, and the waker that waits for its answer.
struct Waiting {
    order: Order,
    ticket: Ticket<Vec<u8>>,
    closing: Arc<Closing>,
}

impl Waiting {
    /// `None` when it was answered at once.
    fn new(engine: &Engine, order: Order, others: &Arc<AtomicUsize>) -> Option<Self> {
        let closing = Arc::new(Closing {
            engine: Mutex::new(Some(engine.clone())),
            closes: thread_rng().gen_range(0..3) > 0,
            others: others.clone(),
            done: AtomicUsize::new(0),
            overlapped: AtomicUsize::new(0),
        });
        let mut ticket = engine.submit(order.request());
        let waker = Waker::from(closing.clone());
        let polled = Pin::new(&mut ticket).poll(&mut Context::from_waker(&waker));
        polled.is_pending().then_some(Self { order, ticket, closing })
    }

    fn assert_woken(&self) {
        assert_eq!(self.closing.done.load(Ordering::Relaxed), 1, "a waker is not done");
    }

    /// What the ticket gives after it was woken.
    fn receipt(mut self) -> (Order, SeqNo) {
        match Pin::new(&mut self.ticket).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(Outcome::Committed(receipt))) => (self.order, receipt.seq),
            answer => panic!("{answer:?}"),
        }
    }
}

/// Closes with nothing of the engine left behind when it returns.
fn close(engine: Engine, disk: &SimDisk, closers: &AtomicUsize) {
    closers.fetch_add(1, Ordering::Relaxed);
    engine.close().unwrap();
    closers.fetch_sub(1, Ordering::Relaxed);
    drop(disk.lock().expect("the directory is free"));
}

/// Opens what a power cut leaves after the engine was closed: all that was acknowledged is remembered.
fn assert_durable(disk: &SimDisk, committed: Vec<(Order, SeqNo)>) {
    let engine = open(&disk.after_power_cut(&Choice::None), 3, LARGE).unwrap();
    assert_eq!(engine.recovery().verdict, Verdict::Clean);
    for (order, seq) in committed {
        let receipt = engine.commit(order.request()).unwrap().committed().unwrap();
        assert_eq!((receipt.seq, receipt.replayed), (seq, true), "{order:?}");
    }
    engine.close().unwrap();
}

/// Gives how many wakers closed while another thread did.
fn wakers_and_others_close(disk: &SimDisk) -> usize {
    let disk = disk.snapshot();
    let engine = open(&disk, 2, LARGE).unwrap();
    let closers = Arc::new(AtomicUsize::new(0));
    let named = |name: u32| put(Some(u64::from(name)), &[(name, 1, Expect::Any)]);
    let waiting: Vec<_> =
        (0..2).filter_map(|name| Waiting::new(&engine, named(name), &closers)).collect();
    // Without a caller that leads, all wakers run on the committer and on the threads that close, which wait for it.
    let callers = thread_rng().gen_range(0..2);
    let assert_woken = || waiting.iter().for_each(Waiting::assert_woken);
    let mut committed = thread::scope(|scope| {
        let committing: Vec<_> = (0..callers)
            .map(|caller| {
                let engine = engine.clone();
                scope.spawn(move || match engine.commit(named(10 + caller).request()) {
                    Ok(outcome) => Some((named(10 + caller), outcome.committed().unwrap().seq)),
                    Err(Error::Closed) => None,
                    Err(error) => panic!("{error}"),
                })
            })
            .collect();
        for engine in [engine.clone(), engine] {
            let (disk, closers, assert_woken) = (&disk, &closers, &assert_woken);
            scope.spawn(move || {
                close(engine, disk, closers);
                if callers == 0 {
                    assert_woken();
                }
            });
        }
        committing.into_iter().filter_map(|caller| caller.join().unwrap()).collect::<Vec<_>>()
    });
    assert_woken();
    let overlapped = |waiting: &Waiting| waiting.closing.overlapped.load(Ordering::Relaxed);
    let overlaps = waiting.iter().filter(|waiting| overlapped(waiting) > 0).count();
    committed.extend(waiting.into_iter().map(Waiting::receipt));
    assert_durable(&disk, committed);
    overlaps
}

#[test]
fn wakers_that_close_while_another_thread_does() {
    let (disk, overlaps) = (empty(), Arc::new(AtomicUsize::new(0)));
    let counted = overlaps.clone();
    explore("wakers close, others too", move || {
        counted.fetch_add(wakers_and_others_close(disk), Ordering::Relaxed);
    });
    let overlaps = overlaps.load(Ordering::Relaxed);
    println!("{overlaps} wakers closed while another thread did");
    assert!(overlaps > 0);
}

/// A waiter that was polled before, with a waker that holds the last handle, gives up the waker and with it the engine.
#[test]
fn a_waiter_that_drops_the_last_handle() {
    struct Handle(#[expect(dead_code, reason = "held until it is dropped")] Engine);
    impl Wake for Handle {
        fn wake(self: Arc<Self>) {}
    }
    let (disk, waited) = (empty(), Arc::new(AtomicUsize::new(0)));
    let counted = waited.clone();
    explore("a waiter closes", move || {
        let disk = disk.snapshot();
        let engine = open(&disk, 2, LARGE).unwrap();
        let named = |name: u32| put(Some(u64::from(name)), &[(name, 1, Expect::Any)]);
        let (first, second) = (engine.submit(named(0).request()), named(1));
        let mut ticket = engine.submit(second.request());
        let waker = Waker::from(Arc::new(Handle(engine)));
        let polled = Pin::new(&mut ticket).poll(&mut Context::from_waker(&waker));
        drop(waker);
        if polled.is_pending() {
            let seq = ticket.wait().unwrap().committed().unwrap().seq;
            counted.fetch_add(1, Ordering::Relaxed);
            while disk.lock().is_err() {
                thread::yield_now();
            }
            let first = first.wait().unwrap().committed().unwrap().seq;
            assert_durable(&disk, vec![(named(0), first), (second, seq)]);
        }
    });
    let waited = waited.load(Ordering::Relaxed);
    println!("of these {waited} that waited");
    assert!(waited > 0);
}
