//! The work that the benchmarks share: durable, idempotent compare-and-swap on many small records, and the same on the raw disk and
//! on redb with a dedupe table.

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::{
    error::Error,
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};
use steadfast::{Bytes, Engine, Expect, IdempotencyKey, Keyspace, Request, Version};

pub type Failure = Box<dyn Error + Send + Sync>;

pub const VALUE_BYTES: usize = 128;
pub const RECORDS: Keyspace<u64, Bytes> = Keyspace::new("records");
pub const SCOPE: &str = "bench";
const PUTS_PER_REQUEST: u64 = 1000;

/// Whether this is `cargo bench`; under `cargo test` everything runs once, and small.
pub fn is_measured() -> bool {
    let has = |flag: &str| std::env::args().any(|arg| arg == flag);
    has("--bench") && !has("--test")
}

/// `large` when measured, `small` as a test.
pub fn sized<T>(large: T, small: T) -> T {
    if is_measured() { large } else { small }
}

/// A directory on the disk that the build lives on: the one for temporary files may be memory.
pub fn temporary_dir() -> Result<tempfile::TempDir, Failure> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

/// An idempotency key's 24 bytes, never given twice: the number scrambled, so that keys arrive in no order, as UUIDs do, then the
/// number itself.
pub fn unique_key() -> [u8; 24] {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    numbered_key(NEXT.fetch_add(1, Relaxed))
}

/// The idempotency key of a number.
pub fn numbered_key(number: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&scramble(number).to_be_bytes());
    key[8..16].copy_from_slice(&scramble(!number).to_be_bytes());
    key[16..].copy_from_slice(&number.to_be_bytes());
    key
}

pub fn scramble(number: u64) -> u64 {
    let z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 27)
}

/// A value that differs from operation to operation.
pub fn value(number: u64) -> [u8; VALUE_BYTES] {
    std::array::from_fn(|at| (scramble(number ^ at as u64) >> 32) as u8)
}

/// Something that durable compare-and-swaps can be measured on.
pub trait Store: Sync {
    /// Replaces record `id`, last written at `version`, under a new idempotency key. Returns when that is durable, with the new
    /// version.
    fn swap(&self, id: u64, version: u64) -> Result<u64, Failure>;
}

/// A store and the versions of its records that the clients know.
pub struct Bench<S> {
    store: S,
    versions: Mutex<Vec<u64>>,
}

impl<S: Store> Bench<S> {
    /// A store with a record for each of these versions, from 0 on.
    pub fn new(store: S, versions: Vec<u64>) -> Self {
        Self { store, versions: Mutex::new(versions) }
    }

    pub fn store(&self) -> &S {
        &self.store
    }

    /// Time that `threads` clients need for `each` swaps each, on records of their own, so that every swap hits.
    pub fn run(&self, threads: usize, each: usize) -> Result<Duration, Failure> {
        let mut versions = self.versions.lock().expect("no client panicked");
        let share = versions.len() / threads;
        let start = Barrier::new(threads + 1);
        thread::scope(|scope| {
            let mut clients = Vec::new();
            for (client, versions) in versions.chunks_exact_mut(share).take(threads).enumerate() {
                let (store, start) = (&self.store, &start);
                let first = (client * share) as u64;
                clients.push(scope.spawn(move || {
                    start.wait();
                    swaps(store, first, versions, each)
                }));
            }
            start.wait();
            let started = Instant::now();
            for client in clients {
                client.join().expect("no client panics")?;
            }
            Ok(started.elapsed())
        })
    }
}

fn swaps(store: &impl Store, first: u64, versions: &mut [u64], each: usize) -> Result<(), Failure> {
    for number in 0..each as u64 {
        let at = (scramble(first ^ number) % versions.len() as u64) as usize;
        versions[at] = store.swap(first + at as u64, versions[at])?;
    }
    Ok(())
}

impl Store for Engine {
    fn swap(&self, id: u64, version: u64) -> Result<u64, Failure> {
        let key = IdempotencyKey::new(SCOPE, unique_key())?;
        let value = Bytes::copy_from_slice(&value(id ^ version));
        let request = Request::new(key).put(&RECORDS, &id, &value, Version::new(version));
        Ok(self.commit(request)?.committed().map_err(steadfast::Error::from)?.seq.get())
    }
}

/// An engine in `dir` with `records` records.
pub fn engine(dir: &Path, records: u64) -> Result<Bench<Engine>, Failure> {
    bench_of(Engine::open(dir)?, records)
}

/// An engine that is open, with `records` records.
pub fn bench_of(engine: Engine, records: u64) -> Result<Bench<Engine>, Failure> {
    let versions = preload(&engine, records)?;
    Ok(Bench::new(engine, versions))
}

/// Writes `records` records, and gives their versions.
pub fn preload(engine: &Engine, records: u64) -> Result<Vec<u64>, Failure> {
    let mut versions = Vec::new();
    while (versions.len() as u64) < records {
        let first = versions.len() as u64;
        let ids = first..records.min(first + PUTS_PER_REQUEST);
        versions.resize(ids.end as usize, 0);
        let request = ids.clone().fold(Request::unkeyed(), |request, id| {
            request.put(&RECORDS, &id, &Bytes::copy_from_slice(&value(id)), Expect::Absent)
        });
        let receipt = engine.commit(request)?.committed().map_err(steadfast::Error::from)?;
        versions[ids.start as usize..].fill(receipt.seq.get());
    }
    Ok(versions)
}

/// The middle one of some numbers, the least and the most.
pub fn spread(mut numbers: Vec<f64>, digits: usize) -> String {
    numbers.sort_by(f64::total_cmp);
    let (least, most) = (numbers[0], numbers[numbers.len() - 1]);
    let median = numbers[numbers.len() / 2];
    format!("{median:>10.digits$}  ({least:.digits$} to {most:.digits$})")
}

const PEER_RECORDS: TableDefinition<u64, (u64, &[u8])> = TableDefinition::new("records");
const PEER_DEDUPE: TableDefinition<&[u8], u64> = TableDefinition::new("dedupe");

/// The same work done plainly on redb: a records table and a dedupe table, one durable transaction for each operation.
pub struct Redb(Database);

impl Store for Redb {
    fn swap(&self, id: u64, version: u64) -> Result<u64, Failure> {
        let key = unique_key();
        let transaction = self.0.begin_write()?;
        let next = version + 1;
        {
            let mut dedupe = transaction.open_table(PEER_DEDUPE)?;
            if let Some(outcome) = dedupe.get(&key[..])? {
                return Ok(outcome.value());
            }
            let mut records = transaction.open_table(PEER_RECORDS)?;
            let found = records.get(id)?.map(|record| record.value().0);
            if found != Some(version) {
                return Err("a stale version".into());
            }
            records.insert(id, (next, &value(id ^ version)[..]))?;
            dedupe.insert(&key[..], next)?;
        }
        transaction.commit()?;
        Ok(next)
    }
}

/// A redb database in `dir` with `records` records.
pub fn redb(dir: &Path, records: u64) -> Result<Bench<Redb>, Failure> {
    let database = Database::create(dir.join("peer.redb"))?;
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(PEER_RECORDS)?;
        for id in 0..records {
            table.insert(id, (1, &value(id)[..]))?;
        }
        transaction.open_table(PEER_DEDUPE)?;
    }
    transaction.commit()?;
    debug_assert!(database.begin_read()?.open_table(PEER_RECORDS)?.get(0)?.is_some());
    Ok(Bench { store: Redb(database), versions: Mutex::new(vec![1; records as usize]) })
}

/// What the disk can do: overwriting a block of a file that is already there, then waiting for the disk.
pub struct Raw {
    file: File,
    blocks: u64,
    next: AtomicU64,
}

impl Raw {
    const BLOCK: [u8; 4096] = [0x5a; 4096];

    /// A file of zeros in `dir`, on the disk as a whole.
    pub fn new(dir: &Path, blocks: u64) -> Result<Self, Failure> {
        let file = File::create(dir.join("raw"))?;
        for block in 0..blocks {
            file.write_all_at(&[0; 4096], block * 4096)?;
        }
        file.sync_all()?;
        Ok(Self { file, blocks, next: AtomicU64::new(0) })
    }

    /// Time for `each` writes of 4 KiB, each followed by a sync of its data. Goes on where the last one ended, as a log does: writing
    /// the same few blocks over and over would be another, faster disk.
    pub fn run(&self, each: usize) -> Result<Duration, Failure> {
        let first = self.next.fetch_add(each as u64, Relaxed);
        let started = Instant::now();
        for number in 0..each as u64 {
            self.file.write_all_at(&Self::BLOCK, (first + number) % self.blocks * 4096)?;
            self.file.sync_data()?;
        }
        Ok(started.elapsed())
    }
}
