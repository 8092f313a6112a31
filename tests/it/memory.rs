//! Records need not fit in memory: what an engine holds is bounded by its limits, however much it is given.

use crate::support::{answer, as_child, told};
use std::{collections::VecDeque, fs, path::Path, thread};
use steadfast::{Bytes, Engine, Expect, IdempotencyKey, Keyspace, Outcome, Request};

const BLOBS: Keyspace<(u32, u32), Bytes> = Keyspace::raw("blobs");

/// What is small costs more beside its bytes than it has bytes.
const SMALL: Keyspace<(u32, u32), u32> = Keyspace::new("small");

const THREADS: u32 = 8;
const VALUE_BYTES: usize = 16 << 10;
/// 1 GiB of values.
const RECORDS: u32 = (1 << 30) / VALUE_BYTES as u32;
const BATCH: u32 = 16;
const SMALL_RECORDS: u32 = 1 << 20;
const SMALL_BATCH: u32 = 1024;
const LIMIT_MIB: u64 = 256;
/// What the log, the checkpoint and what redb writes anew take up on the disk together, generously.
const DISK_BYTES: u64 = 8 << 30;

fn open(directory: &str) -> Engine {
    Engine::builder()
        .memtable_limit_bytes(32 << 20)
        .log_limit_bytes(32 << 20)
        .checkpoint_cache_bytes(32 << 20)
        .open(directory)
        .unwrap()
}

/// Bytes that do not compress and are told by their key.
fn value(thread: u32, n: u32) -> Bytes {
    let mut state = u64::from(thread) << 32 | u64::from(n) | 1 << 63;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(VALUE_BYTES / 8).flatten().collect::<Vec<_>>().into()
}

fn load(engine: &Engine, thread: u32) {
    let numbers: Vec<u32> = (0..RECORDS / THREADS).collect();
    for batch in numbers.chunks(BATCH as usize) {
        let request = batch.iter().fold(Request::unkeyed(), |request, &n| {
            request.put(&BLOBS, &(thread, n), &value(thread, n), Expect::Absent)
        });
        assert!(matches!(engine.commit(request).unwrap(), Outcome::Committed(_)));
    }
}

fn load_small(engine: &Engine, thread: u32) {
    let numbers: Vec<u32> = (0..SMALL_RECORDS / THREADS).collect();
    let mut waiting = VecDeque::new();
    for batch in numbers.chunks(SMALL_BATCH as usize) {
        let key = IdempotencyKey::new(thread.to_be_bytes(), batch[0].to_be_bytes()).unwrap();
        let request = batch.iter().fold(Request::new(key), |request, &n| {
            request.put(&SMALL, &(thread, n), &n, Expect::Absent)
        });
        waiting.push_back(engine.submit(request));
        if waiting.len() > 4 {
            let first = waiting.pop_front().unwrap();
            assert!(matches!(first.wait().unwrap(), Outcome::Committed(_)));
        }
    }
    for ticket in waiting {
        assert!(matches!(ticket.wait().unwrap(), Outcome::Committed(_)));
    }
}

fn sample(engine: &Engine) {
    for n in (0..RECORDS / THREADS).step_by(97) {
        let thread = n % THREADS;
        let record = engine.get(&BLOBS, &(thread, n)).unwrap().unwrap();
        assert!(record.value == value(thread, n), "record {thread} {n}");
    }
    let snapshot = engine.snapshot();
    let lengths = snapshot.prefix(&BLOBS, (3u32,)).map(|item| item.unwrap().1.value.len());
    assert_eq!(lengths.sum::<usize>(), (RECORDS / THREADS) as usize * VALUE_BYTES);
    let small = snapshot.range(&SMALL, ..).map(|item| u64::from(item.unwrap().1.value));
    let each = u64::from(SMALL_RECORDS / THREADS);
    assert_eq!(small.sum::<u64>(), u64::from(THREADS) * each * (each - 1) / 2);
}

/// The most memory this process ever had in use, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

fn free_bytes(directory: &Path) -> u64 {
    let space = rustix::fs::statvfs(directory).unwrap();
    space.f_bavail * space.f_frsize
}

#[test]
fn a_gibibyte_is_loaded_and_opened_within_256_mib() {
    let dir = tempfile::tempdir().unwrap();
    let free = free_bytes(dir.path());
    if free < DISK_BYTES {
        println!("skipped: {free} bytes are free, {DISK_BYTES} are needed");
        return;
    }
    let path = dir.path().to_str().unwrap();
    for role in ["loads", "reopens"] {
        let child = as_child(&format!("memory::{role}_in_a_child"), "STEADFAST_TEST_MEMORY", path);
        let peak: u64 = answer(child).parse().unwrap();
        println!("the child that {role} had {} MiB at its peak", peak >> 10);
        assert!(peak >> 10 < LIMIT_MIB, "the child that {role} had {} MiB", peak >> 10);
    }
}

#[test]
fn loads_in_a_child() {
    let Some(directory) = told("STEADFAST_TEST_MEMORY") else { return };
    let engine = open(&directory);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let engine = &engine;
            scope.spawn(move || {
                load(engine, thread);
                load_small(engine, thread);
            });
        }
    });
    assert_eq!(engine.len(&BLOBS).unwrap(), u64::from(RECORDS));
    assert_eq!(engine.len(&SMALL).unwrap(), u64::from(SMALL_RECORDS));
    sample(&engine);
    engine.close().unwrap();
    println!("answer: {}", peak_kib());
}

#[test]
fn reopens_in_a_child() {
    let Some(directory) = told("STEADFAST_TEST_MEMORY") else { return };
    let engine = open(&directory);
    println!("{}", engine.recovery());
    assert!(engine.recovery().checkpoint_records > 0);
    assert_eq!(engine.len(&BLOBS).unwrap(), u64::from(RECORDS));
    assert_eq!(engine.len(&SMALL).unwrap(), u64::from(SMALL_RECORDS));
    sample(&engine);
    engine.close().unwrap();
    println!("answer: {}", peak_kib());
}
