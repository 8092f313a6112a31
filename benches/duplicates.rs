#![allow(
    clippy::disallowed_methods,
    reason = "a program around the engine: files and clocks are its own"
)]
//! Answering duplicates of the last 100,000 requests: puts of 128 bytes under 24-byte idempotency keys, each of which is built anew and
//! hashed to its fingerprint. Once with what is remembered in memory, once in the checkpoint.

#[allow(dead_code, reason = "shared with the other benchmarks")]
mod common;

use common::{
    Failure, RECORDS, SCOPE, VALUE_BYTES, numbered_key, scramble, sized, spread, temporary_dir,
    value,
};
use criterion::{Criterion, Throughput};
use std::{
    collections::VecDeque,
    fs,
    hint::black_box,
    sync::{LazyLock, OnceLock},
    thread,
    time::{Duration, Instant},
};
use steadfast::{Bytes, Engine, Expect, IdempotencyKey, Request, Ticket};

const IN_FLIGHT: usize = 4096;

fn main() -> Result<(), Failure> {
    let dir = temporary_dir()?;
    let engine = Engine::builder().memtable_limit_bytes(1 << 30).open(dir.path())?;
    let requests = sized(100_000, 500);
    load(&engine, requests)?;
    let mut criterion = Criterion::default().configure_from_args();
    measure(&mut criterion, "in memory", &engine, requests);
    let lists = std::env::args().any(|arg| arg == "--list");
    if !lists {
        rates("in memory", &engine, requests)?;
    }
    engine.checkpoint()?;
    measure(&mut criterion, "in the checkpoint", &engine, requests);
    if !lists {
        rates("in the checkpoint", &engine, requests)?;
    }
    criterion.final_summary();
    Ok(())
}

fn load(engine: &Engine, requests: u64) -> Result<(), Failure> {
    let mut tickets: VecDeque<Ticket> = VecDeque::new();
    for number in 0..requests {
        if tickets.len() == IN_FLIGHT {
            committed(tickets.pop_front().expect("there are some"))?;
        }
        tickets.push_back(engine.submit(request(number)?));
    }
    tickets.into_iter().try_for_each(committed)
}

fn committed(ticket: Ticket) -> Result<(), Failure> {
    ticket.wait()?.committed().map_err(steadfast::Error::from)?;
    Ok(())
}

/// The request of a number, as its client would send it again.
fn request(number: u64) -> Result<Request, Failure> {
    let key = IdempotencyKey::new(SCOPE, numbered_key(number))?;
    static VALUE: LazyLock<[u8; VALUE_BYTES]> = LazyLock::new(|| value(1));
    let value = Bytes::copy_from_slice(&*VALUE);
    Ok(Request::new(key).put(&RECORDS, &number, &value, Expect::Absent))
}

fn duplicate(engine: &Engine, number: u64) -> Result<(), Failure> {
    let receipt = engine.commit(request(number)?)?.committed().map_err(steadfast::Error::from)?;
    if receipt.replayed { Ok(()) } else { Err("it was carried out again".into()) }
}

fn measure(criterion: &mut Criterion, place: &str, engine: &Engine, requests: u64) {
    let mut group = criterion.benchmark_group(format!("duplicate, {place}"));
    group.throughput(Throughput::Elements(1));
    let mut turn = 0;
    let mut next = move || {
        turn += 1;
        scramble(turn) % requests
    };
    group.bench_function("building the request", |bencher| {
        bencher.iter(|| drop(black_box(request(next()))));
    });
    group.bench_function("building the request and its answer", |bencher| {
        bencher.iter(|| duplicate(engine, next()).expect("a stored outcome is told"));
    });
    group.finish();
}

/// Answers per second of a thread's time on a core, so that others on the machine do not count, in nine rounds.
fn rates(place: &str, engine: &Engine, requests: u64) -> Result<(), Failure> {
    let (seq, each) = (engine.durable_seq(), sized(200_000, 500));
    println!("\n{place}: operations per second and core, median (least to most) of nine rounds");
    for (what, threads, answers) in [
        ("building the request alone, 1 thread", 1, false),
        ("with its answer, 1 thread", 1, true),
        ("with its answer, 2 threads", 2, true),
    ] {
        let mut rates = Vec::new();
        for _ in 0..sized(9, 1) {
            let elapsed = round(threads, each, |number| {
                let number = scramble(number) % requests;
                if answers {
                    duplicate(engine, number)
                } else {
                    black_box(request(number)).map(drop)
                }
            })?;
            rates.push(each as f64 / elapsed.as_secs_f64());
        }
        println!("{what:<38} {}", spread(rates, 0));
    }
    if engine.durable_seq() == seq { Ok(()) } else { Err("something was logged".into()) }
}

/// The time that the threads had a core, on average.
fn round(
    threads: u64,
    each: u64,
    act: impl Fn(u64) -> Result<(), Failure> + Sync,
) -> Result<Duration, Failure> {
    let act = &act;
    let run = move |thread: u64| -> Result<Duration, Failure> {
        let started = on_core()?;
        (thread * each..(thread + 1) * each).try_for_each(act)?;
        Ok(on_core()? - started)
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        let times = clients.into_iter().map(|client| client.join().expect("no client panics"));
        Ok(times.sum::<Result<Duration, Failure>>()? / threads as u32)
    })
}

/// How long this thread has had a core; where the system does not tell, how long it is since the first call.
fn on_core() -> Result<Duration, Failure> {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let Ok(text) = fs::read_to_string("/proc/thread-self/schedstat") else {
        return Ok(FIRST.get_or_init(Instant::now).elapsed());
    };
    let nanos = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(Duration::from_nanos(nanos))
}
