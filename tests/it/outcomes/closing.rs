//! Wakers that close the engine, on whatever thread runs them.

use super::*;
use std::{sync::Mutex, thread::ThreadId};

/// Waits until another thread is closing the engine, then closes it as well, or only drops its handle.
struct Closing {
    engine: Mutex<Option<Engine>>,
    closes: bool,
    done: AtomicUsize,
    /// Where it was called.
    thread: Mutex<Option<ThreadId>>,
}

impl Closing {
    fn new(engine: &Engine, closes: bool) -> Arc<Self> {
        let engine = Mutex::new(Some(engine.clone()));
        Arc::new(Self { engine, closes, done: AtomicUsize::new(0), thread: Mutex::default() })
    }
}

impl Wake for Closing {
    fn wake(self: Arc<Self>) {
        let engine = self.engine.lock().unwrap().take().expect("woken once");
        *self.thread.lock().unwrap() = Some(thread::current().id());
        while !refuses(&engine) {
            thread::yield_now();
        }
        if self.closes {
            engine.close().unwrap();
        } else {
            drop(engine);
        }
        // The engine catches the panics of wakers: one that panicked is never done.
        self.done.fetch_add(1, Ordering::SeqCst);
    }
}

/// Whether the engine takes nothing in any more.
fn refuses(engine: &Engine) -> bool {
    let mut probe = engine.submit(put("probe", "probe", Expect::Any));
    let polled = Pin::new(&mut probe).poll(&mut Context::from_waker(Waker::noop()));
    matches!(polled, Poll::Ready(Err(Error::Closed)))
}

/// The ticket of a request, and the waker that waits for it; `None` when it was answered at once.
fn waiting(engine: &Engine, name: u32, round: u32) -> Option<(Ticket, Arc<Closing>)> {
    let request = Request::new(key(&name.to_string())).add(&SUMS, &1, 1, 0..=i64::MAX);
    let mut ticket = engine.submit(request);
    let closing = Closing::new(engine, !(round + name).is_multiple_of(3));
    let waker = Waker::from(closing.clone());
    let polled = Pin::new(&mut ticket).poll(&mut Context::from_waker(&waker));
    polled.is_pending().then_some((ticket, closing))
}

/// Closes an engine while a waker, on its own thread or on that of a caller, waits for just that to close it, too. Gives
/// how many wakers were called on another thread than this one.
fn close_with_wakers(round: u32) -> usize {
    let disk = MemoryDisk::new();
    let engine = Engine::builder().open_on(disk.clone()).unwrap();
    let with_caller = round.is_multiple_of(2);
    let waiting = thread::scope(|scope| {
        if with_caller {
            let engine = engine.clone();
            scope.spawn(move || match engine.commit(put("caller", "a", Expect::Any)) {
                Ok(_) | Err(Error::Closed) => {}
                Err(error) => panic!("{error}"),
            });
        }
        let mut names = 0..;
        let mut next = || names.next().and_then(|name| waiting(&engine, name, round));
        let first =
            std::iter::repeat_with(&mut next).flatten().next().expect("it goes on for ever");
        while first.1.thread.lock().unwrap().is_none() {
            thread::yield_now();
        }
        let waiting: Vec<_> = [Some(first), next(), next()].into_iter().flatten().collect();
        engine.close().unwrap();
        // Whatever led a group was a thread of the engine's, which has ended, or this one.
        assert!(with_caller || done(&waiting) == waiting.len(), "{} done", done(&waiting));
        // All that was handed in is durable, and the directory is free.
        let reopened = Engine::builder().open_on(disk.clone()).unwrap();
        assert_eq!(reopened.recovery().verdict, steadfast::Verdict::Clean);
        assert_eq!(reopened.get(&SUMS, &1).unwrap().unwrap().value, i64::from(names.start));
        reopened.close().unwrap();
        waiting
    });
    assert_eq!(done(&waiting), waiting.len());
    let mut elsewhere = 0;
    for (mut ticket, closing) in waiting {
        let polled = Pin::new(&mut ticket).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(Outcome::Committed(_)))), "{polled:?}");
        elsewhere += usize::from(*closing.thread.lock().unwrap() != Some(thread::current().id()));
    }
    elsewhere
}

fn done(waiting: &[(Ticket, Arc<Closing>)]) -> usize {
    waiting.iter().map(|(_, closing)| closing.done.load(Ordering::SeqCst)).sum()
}

#[test]
fn a_waker_closes_while_another_thread_does() {
    let closed: usize = (0..300).map(close_with_wakers).sum();
    println!("{closed} wakers closed, or dropped their handle, while another thread was closing");
    assert!(closed >= 300);
}
