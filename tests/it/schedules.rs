//! The engine's threads in every order that can be tried: at each lock and each atomic of `base::sync`, shuttle decides which
//! thread goes on. What the callers saw is held against the checkers of `steadfast::testing::linear`; a deadlock, or a
//! caller that is never answered, is found by shuttle.
//!
//! `RUSTFLAGS="--cfg steadfast_shuttle" cargo test --release --target-dir target/shuttle --test it schedules`
//!
//! `STEADFAST_SCHEDULES=1000000` runs so many in all, `STEADFAST_SEED` takes others. A schedule that fails is printed, and
//! runs again as `STEADFAST_REPLAY=<what was printed>` with the name of its test.

mod closing;

use shuttle::{
    Config, FailurePersistence, MaxSteps, Runner,
    rand::{Rng, thread_rng},
    scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler},
    thread,
};
use std::{
    future::Future,
    io::ErrorKind,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};
use steadfast::{
    Engine, Error, Expect, IdempotencyKey, Keyspace, Outcome, RecoveryReport, Request, Ticket,
    Verdict,
    testing::{
        Choice, Disk, Repeat, SimClock, SimDisk, SimEntropy,
        linear::{Answer, Asked, Call, End, History, Recorder, linearizable, serial},
        model::{Action, Operation, Order},
    },
};

/// Bytes of a memtable beside which groups are large, and of one beside which they are not.
const LARGE: usize = 1 << 20;
const SMALL: usize = 64 << 10;

/// Tests that share the schedules.
const TESTS: u64 = 9;

fn told(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|number| number.parse().ok()).unwrap_or(otherwise)
}

/// Runs a scenario under many schedules: half of them at random, half with few, but nasty, changes of the thread.
fn explore(name: &str, scenario: impl Fn() + Clone + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    config.max_steps = MaxSteps::FailAfter(200_000);
    config.failure_persistence = FailurePersistence::Print;
    let run = |scheduler: Box<dyn Scheduler + Send>| {
        Runner::new(scheduler, config.clone()).run(scenario.clone())
    };
    if let Ok(schedule) = std::env::var("STEADFAST_REPLAY") {
        run(Box::new(ReplayScheduler::new_from_encoded(&schedule)));
        return;
    }
    let began = Instant::now();
    let seed = told("STEADFAST_SEED", 1);
    let half = told("STEADFAST_SCHEDULES", 10_000).div_ceil(2 * TESTS) as usize;
    let explored = run(Box::new(RandomScheduler::new_from_seed(seed, half)))
        + run(Box::new(PctScheduler::new_from_seed(seed, 4, half)));
    let seconds = began.elapsed().as_secs_f64();
    println!("{name}: {explored} schedules, {:.0} per second", explored as f64 / seconds);
    assert_eq!(explored, 2 * half);
}

/// Opens a database. A small memtable means small groups: each request waits until the one before was taken.
fn open(disk: &SimDisk, life: u64, memtable_bytes: usize) -> Result<Engine, Error> {
    let clock = SimClock::new((1_700_000_000 + life * 60) * 1_000_000_000, 1_000);
    let builder = Engine::builder().segment_bytes(64 << 10).checkpoint_cache_bytes(1 << 20);
    let builder = builder.memtable_limit_bytes(memtable_bytes).log_limit_bytes(64 << 10);
    builder.clock(clock).entropy(SimEntropy::new(life)).open_on(disk.clone())
}

/// A database to begin with, with so many groups of one block in its log.
fn database(groups: u64) -> SimDisk {
    let disk = SimDisk::new();
    disk.assume_powersafe("checkpoint.redb");
    let made = disk.clone();
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    let make = move || {
        let engine = open(&made, 0, LARGE).unwrap();
        for _ in 0..groups {
            let order = Order { result_bytes: 3_500, ..put(None, &[(1_000, 1, Expect::Any)]) };
            let _ = engine.commit(order.request()).unwrap();
        }
        engine.close().unwrap();
        let engine = open(&made, 1, LARGE).unwrap();
        let bytes = engine.recovery().bytes_scanned;
        assert!(groups == 0 || (57_000..64 << 10).contains(&bytes), "{bytes} bytes of log");
        engine.close().unwrap();
    };
    Runner::new(RandomScheduler::new_from_seed(0, 1), config).run(make);
    disk.after_power_cut(&Choice::None)
}

fn empty() -> &'static SimDisk {
    static DISK: OnceLock<SimDisk> = OnceLock::new();
    DISK.get_or_init(|| database(0))
}

/// A few more groups, and a checkpoint is due.
fn nearly_full() -> &'static SimDisk {
    static DISK: OnceLock<SimDisk> = OnceLock::new();
    DISK.get_or_init(|| database(13))
}

fn put(name: Option<u64>, puts: &[(u32, i64, Expect)]) -> Order {
    let operation = |&(key, value, expect)| Operation { key, expect, action: Action::Put(value) };
    Order { name, operations: puts.iter().map(operation).collect(), result_bytes: 3 }
}

/// Callers of one engine and what they saw.
struct World {
    disk: SimDisk,
    time: AtomicU64,
    processes: AtomicUsize,
    calls: Mutex<Vec<Call>>,
}

impl World {
    fn new(disk: &SimDisk) -> Self {
        let (time, processes) = (AtomicU64::new(0), AtomicUsize::new(0));
        Self { disk: disk.snapshot(), time, processes, calls: Mutex::default() }
    }

    /// One caller's calls.
    fn caller(&self, engine: &Engine, act: impl FnOnce(&mut Recorder<'_, Engine>)) {
        let process = self.processes.fetch_add(1, Ordering::Relaxed);
        let mut recorder = Recorder::new(engine, &self.time, process);
        act(&mut recorder);
        self.calls.lock().unwrap().extend(recorder.into_calls());
    }

    /// Fails one of the next calls that change the disk, or cuts the power there.
    fn trouble(&self) {
        let call = self.disk.io_count() + 1 + thread_rng().gen_range(0..12u64);
        if thread_rng().gen_range(0..2) == 0 {
            self.disk.crash_at(call);
        } else {
            self.disk.fail_call(call, ErrorKind::Other, Repeat::Once);
        }
    }

    /// Everybody got the answer of a healthy engine.
    fn assert_answered(&self) {
        for call in &*self.calls.lock().unwrap() {
            assert!(!matches!(call.answer, Answer::Nothing | Answer::Unknown(_)), "{call}");
        }
    }

    /// Opens what the disk holds after a power cut, asks again for what nobody was told, and checks it all.
    fn check(self, verdict: Option<Verdict>) -> RecoveryReport {
        let choice = match thread_rng().gen_range(0..3) {
            0 => Choice::None,
            1 => Choice::All,
            _ => Choice::Seeded(thread_rng().r#gen()),
        };
        self.disk.crash_at(self.disk.io_count() + 1);
        let engine = open(&self.disk.after_power_cut(&choice), 3, LARGE).unwrap();
        let report = engine.recovery().clone();
        assert!(verdict.is_none_or(|verdict| report.verdict == verdict), "{report}");
        let reopened = self.time.fetch_add(1, Ordering::Relaxed);
        let unknown: Vec<Order> = {
            let calls = self.calls.lock().unwrap();
            let unknown = calls.iter().filter(|call| !call.is_complete());
            unknown.filter_map(order).filter(|order| order.result_bytes > 0).collect()
        };
        self.caller(&engine, |caller| {
            unknown.into_iter().for_each(|order| caller.commit(order));
            caller.snapshot(&[0, 1]);
        });
        engine.close().unwrap();
        let ends = vec![End { reopened, applied: report.applied_seq }];
        let history = History { calls: self.calls.into_inner().unwrap(), ends };
        for checker in [linearizable, serial] {
            checker(&history).unwrap_or_else(|illegal| panic!("{illegal}"));
        }
        report
    }
}

fn order(call: &Call) -> Option<Order> {
    match &call.asked {
        Asked::Write(order) => Some(order.clone()),
        Asked::Read(_) => None,
    }
}

/// Callers of every kind, at the same two records. Large results fill groups, so that some wait for room. All have some
/// names of their own, from `names` on.
fn callers<'s>(
    scope: &'s thread::Scope<'s, '_>,
    world: &'s World,
    engine: &'s Engine,
    result_bytes: usize,
    names: u64,
) {
    let order = move |name, puts: &[(u32, i64, Expect)]| Order { result_bytes, ..put(name, puts) };
    let shared = move || order(Some(1), &[(0, 1, Expect::Any), (1, 1, Expect::Absent)]);
    scope.spawn(move || {
        world.caller(engine, |caller| {
            caller.commit(shared());
            let expect = caller.get(0).map_or(Expect::Absent, |held| held.version.into());
            caller.commit(order(Some(names), &[(0, 2, expect)]));
        });
    });
    scope.spawn(move || {
        world.caller(engine, |caller| {
            let first = caller.submit(shared());
            let second = caller.submit(order(Some(names + 1), &[(1, 3, Expect::Any)]));
            let third = caller.submit(order(Some(names + 2), &[(0, 4, Expect::Present)]));
            caller.wait(second);
            caller.wait(first);
            caller.wait(third);
        });
    });
    scope.spawn(move || {
        world.caller(engine, |caller| {
            caller.update(names + 3, 1, 5);
            caller.snapshot(&[0, 1]);
            caller.get(1);
        });
    });
}

#[test]
fn group_commit_and_checkpoint() {
    let disk = empty();
    explore("group commit, checkpoint", move || {
        let world = World::new(disk);
        let engine = open(&world.disk, 2, LARGE).unwrap();
        thread::scope(|scope| {
            callers(scope, &world, &engine, 3, 10);
            scope.spawn(|| engine.checkpoint().unwrap());
        });
        engine.close().unwrap();
        world.assert_answered();
        world.check(Some(Verdict::Clean));
    });
}

#[test]
fn close_in_the_middle() {
    let disk = empty();
    explore("close", move || {
        let world = World::new(disk);
        let engine = open(&world.disk, 2, LARGE).unwrap();
        thread::scope(|scope| {
            callers(scope, &world, &engine, 3, 10);
            scope.spawn(|| match engine.checkpoint() {
                Ok(()) | Err(Error::Closed) => {}
                Err(error) => panic!("{error}"),
            });
            scope.spawn(|| engine.clone().close().unwrap());
            scope.spawn(|| engine.clone().close().unwrap());
        });
        assert!(matches!(engine.checkpoint(), Err(Error::Closed)));
        world.check(Some(Verdict::Clean));
    });
}

#[test]
fn a_failing_disk() {
    let disk = empty();
    explore("failing disk", move || {
        let world = World::new(disk);
        let engine = open(&world.disk, 2, LARGE).unwrap();
        world.trouble();
        thread::scope(|scope| {
            callers(scope, &world, &engine, 3, 10);
            scope.spawn(|| drop(engine.checkpoint()));
            if thread_rng().gen_range(0..2) == 0 {
                scope.spawn(|| drop(engine.clone().close()));
            }
        });
        drop(engine);
        world.check(None);
    });
}

/// Groups fill up, the log of this checkpoint does, and the memtable is frozen while the one before is written out.
#[test]
fn waiting_for_room() {
    let (disk, checkpoints) = (nearly_full(), Arc::new(AtomicU64::new(0)));
    let written = checkpoints.clone();
    explore("waiting for room", move || {
        let world = World::new(disk);
        let engine = open(&world.disk, 2, SMALL).unwrap();
        let before = engine.durable_seq();
        let fails = thread_rng().gen_range(0..3) == 0;
        if fails {
            world.trouble();
        }
        thread::scope(|scope| {
            callers(scope, &world, &engine, 3_500, 10);
            callers(scope, &world, &engine, 3_500, 20);
        });
        drop(engine);
        if !fails {
            world.assert_answered();
        }
        let report = world.check((!fails).then_some(Verdict::Clean));
        written.fetch_add(u64::from(report.checkpoint_seq > before), Ordering::Relaxed);
    });
    let checkpoints = checkpoints.load(Ordering::Relaxed);
    println!("of these {checkpoints} with a checkpoint that became due");
    assert!(checkpoints > 0);
}

/// A queue with two places, and callers who wait for one, who don't, and who wait until a deadline; the disk may fail, or
/// somebody may close. What was taken in is carried out once, what was turned away is not, and nobody hangs.
#[test]
fn a_full_queue() {
    const SUMS: Keyspace<u32, i64> = Keyspace::new("sums");
    let (disk, counts) = (empty(), Arc::new([const { AtomicU64::new(0) }; 3]));
    let seen = counts.clone();
    explore("a full queue", move || {
        let disk = disk.snapshot();
        let clock = SimClock::new(1_700_000_120 * 1_000_000_000, 1_000);
        let builder = Engine::builder().segment_bytes(64 << 10).queue_limit_requests(2);
        let builder = builder.clock(clock.clone()).entropy(SimEntropy::new(2));
        let engine = builder.open_on(disk.clone()).unwrap();
        let (fails, closes) =
            (thread_rng().gen_range(0..4) == 0, thread_rng().gen_range(0..4) == 0);
        if fails {
            let call = disk.io_count() + 1 + thread_rng().gen_range(0..8u64);
            disk.fail_call(call, ErrorKind::Other, Repeat::Once);
        }
        let add = |name: u32| {
            let key = IdempotencyKey::new("queue", name.to_be_bytes()).unwrap();
            Request::new(key).add(&SUMS, &name, 1, 0..=9)
        };
        let told: Mutex<Vec<(u32, Result<Outcome, Error>)>> = Mutex::default();
        let tell = |name, answer| told.lock().unwrap().push((name, answer));
        thread::scope(|scope| {
            let (engine, add, tell, clock) = (&engine, &add, &tell, &clock);
            for caller in 0..2 {
                scope.spawn(move || tell(0, engine.commit(add(0))));
                scope.spawn(move || {
                    let name = 10 + caller;
                    let ticket = engine.try_submit(add(name));
                    tell(name, ticket.and_then(Ticket::wait));
                    // A dropped ticket keeps its place until it is answered.
                    drop(engine.submit(add(30 + caller)));
                });
                scope.spawn(move || {
                    let name = 20 + caller;
                    let request = add(name).deadline_in(Duration::from_micros(3));
                    if caller == 0 {
                        tell(name, engine.commit(request));
                    } else {
                        tell(name, engine.submit(request).wait());
                    }
                });
            }
            scope.spawn(move || clock.advance(Duration::from_micros(3)));
            if closes {
                scope.spawn(|| drop(engine.clone().close()));
            }
        });
        let queue = engine.queue();
        assert!(queue.most_requests <= 2, "{queue}");
        drop(engine);
        let engine = open(&disk.after_power_cut(&Choice::None), 3, LARGE).unwrap();
        for (name, answer) in told.into_inner().unwrap() {
            let there = engine.get(&SUMS, &name).unwrap().map_or(0, |record| record.value);
            match answer {
                Ok(outcome) => assert_eq!((there, outcome.committed().is_ok()), (1, true)),
                Err(Error::Indeterminate { .. }) => assert!(fails && there <= 1),
                Err(Error::Poisoned { .. } | Error::Io { .. }) => assert!(fails),
                Err(Error::Closed) => assert!(closes),
                Err(Error::Overloaded { .. }) => {
                    assert_eq!(there, 0);
                    counts[0].fetch_add(1, Ordering::Relaxed);
                }
                Err(Error::DeadlineExceeded) => {
                    assert_eq!(there, 0);
                    counts[1].fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => panic!("{error}"),
            }
        }
        counts[2].fetch_add(u64::from(queue.most_requests == 2), Ordering::Relaxed);
        engine.close().unwrap();
    });
    let [overloaded, late, full] = [0, 1, 2].map(|n: usize| seen[n].load(Ordering::Relaxed));
    println!("of these {full} with a full queue; {overloaded} turned away, {late} too late");
    assert!(overloaded > 0 && late > 0 && full > 0);
}

/// Counts how often it is called, and gives its engine up then: maybe the last handle, on a thread of the engine's own.
struct Holding {
    engine: Mutex<Option<Engine>>,
    woken: AtomicUsize,
    /// How often it lets others go on first.
    pauses: usize,
    closed: AtomicUsize,
}

impl Wake for Holding {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::Relaxed);
        (0..self.pauses).for_each(|_| thread::yield_now());
        let engine = self.engine.lock().unwrap().take();
        // A panic would go no further, for the engine catches those of wakers.
        if catch_unwind(AssertUnwindSafe(|| drop(engine))).is_ok() {
            self.closed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A ticket that waits for a waker, which holds the engine; `None` when it was answered at once.
fn polled(engine: &Engine, order: &Order) -> Option<(Ticket<Vec<u8>>, Arc<Holding>)> {
    let mut ticket = engine.submit(order.request());
    let pauses = [0, 0, 50][thread_rng().gen_range(0..3)];
    let (handle, woken) = (Mutex::new(Some(engine.clone())), AtomicUsize::new(0));
    let closed = AtomicUsize::new(0);
    let holding = Arc::new(Holding { engine: handle, woken, pauses, closed });
    let waker = Waker::from(holding.clone());
    let polled = Pin::new(&mut ticket).poll(&mut Context::from_waker(&waker));
    polled.is_pending().then_some((ticket, holding))
}

/// Nobody waits but futures. The last handle of the engine goes when the last of them is woken, on a thread of the
/// engine's own: that of the committer, or of a checkpoint that fails. Gives whether a checkpoint was written, or somebody told of one that failed.
fn wakers_that_close(disk: &SimDisk, fails: bool) -> bool {
    let world = World::new(disk);
    let engine = open(&world.disk, 2, LARGE).unwrap();
    let before = engine.durable_seq();
    if fails {
        let call = world.disk.io_count() + 1 + thread_rng().gen_range(0..60u64);
        world.disk.fail_call(call, ErrorKind::Other, Repeat::Once);
    }
    let large = |number: u32| Order {
        result_bytes: 1_500,
        ..put(Some(u64::from(number)), &[(number, 1, Expect::Any)])
    };
    let tickets: Vec<_> = (0..8)
        .filter_map(|number| Some((large(number), polled(&engine, &large(number))?)))
        .collect();
    drop(engine);
    let (mut committed, mut wakers, mut told) = (Vec::new(), Vec::new(), false);
    for (order, (mut ticket, holding)) in tickets {
        while holding.woken.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
        // The answer is there once it was woken, and it is woken once.
        match Pin::new(&mut ticket).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(Outcome::Committed(receipt))) => committed.push((order, receipt.seq)),
            Poll::Ready(Err(Error::Poisoned { reason })) if fails => {
                told |= reason.contains("checkpoint");
            }
            answer => assert!(fails && answer.is_ready(), "{answer:?}"),
        }
        wakers.push(holding);
    }
    while world.disk.lock().is_err() {
        thread::yield_now();
    }
    for waker in wakers {
        let count = |times: &AtomicUsize| times.load(Ordering::Relaxed);
        while Arc::strong_count(&waker) > 1 {
            thread::yield_now();
        }
        assert_eq!((count(&waker.woken), count(&waker.closed)), (1, 1), "a waker panicked");
    }
    let engine = open(&world.disk.after_power_cut(&Choice::None), 3, LARGE).unwrap();
    for (order, seq) in committed {
        let receipt = engine.commit(order.request()).unwrap().committed().unwrap();
        assert_eq!((receipt.seq, receipt.replayed), (seq, true), "{order:?}");
    }
    let checkpoint = engine.recovery().checkpoint_seq;
    engine.close().unwrap();
    if fails { told } else { checkpoint > before }
}

fn explore_wakers(name: &str, fails: bool) {
    let (disk, checkpoints) = (nearly_full(), Arc::new(AtomicU64::new(0)));
    let written = checkpoints.clone();
    explore(name, move || {
        let checkpoint = wakers_that_close(disk, fails);
        written.fetch_add(u64::from(checkpoint), Ordering::Relaxed);
    });
    let checkpoints = checkpoints.load(Ordering::Relaxed);
    println!("of these {checkpoints} with a checkpoint that mattered");
    assert!(checkpoints > 0);
}

#[test]
fn wakers_that_drop_the_last_handle() {
    explore_wakers("wakers that close", false);
}

#[test]
fn wakers_that_drop_the_last_handle_of_a_failing_engine() {
    explore_wakers("wakers that close, failing disk", true);
}
