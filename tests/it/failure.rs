//! A disk that fails: the first failed write or sync is the last; what is durable can still be read and answered; the
//! next opening decides, and a retry under the same key makes it once. A full disk is another matter: it passes.

use crate::support::{assert_healthy, in_time, key, refusal};
use parking_lot::{Condvar, Mutex};
use std::{collections::BTreeMap, io, sync::Arc, thread};
use steadfast::{
    Abort, Background, Engine, Error, ErrorKind, Expect, Keyspace, Outcome, Receipt, Rejection,
    Request, Retry, Ticket, Version,
    testing::{
        Choice, Disk, Effect, Fault, File, Listed, Lock, Repeat, SimClock, SimDisk, SimEntropy,
    },
};

const SUMS: Keyspace<String, i64> = Keyspace::new("sums");
const PAGES: Keyspace<u32, Vec<u8>> = Keyspace::new("pages");

fn open_with(disk: impl Disk, background: Background) -> Result<Engine, Error> {
    Engine::builder()
        .clock(SimClock::new(1_700_000_000_000_000_000, 1_000))
        .entropy(SimEntropy::new(9))
        .background(background)
        .checkpoint_cache_bytes(1 << 20)
        .segment_bytes(64 << 10)
        .open_on(disk)
}

fn open(disk: &SimDisk) -> Engine {
    open_with(disk.clone(), Background::Manual).unwrap()
}

fn add(name: &str) -> Request<String> {
    Request::new(key(name)).add(&SUMS, name, 1, 0..=1_000).result(&name.to_owned())
}

fn committed<T>(outcome: Result<Outcome<T>, Error>) -> Receipt<T> {
    outcome.unwrap().committed().unwrap()
}

fn sum(engine: &Engine, name: &str) -> i64 {
    engine.get(&SUMS, name).unwrap().map_or(0, |record| record.value)
}

/// An engine with one outcome in the checkpoint and one in the log, and what was answered.
fn prepared(disk: &SimDisk) -> (Engine, [Receipt<String>; 2]) {
    let engine = open(disk);
    let first = committed(engine.commit(add("settled")));
    engine.checkpoint().unwrap();
    let second = committed(engine.commit(add("logged")));
    (engine, [first, second])
}

fn is_indeterminate<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Indeterminate, Retry::Resolve));
    let text = error.to_string();
    assert!(text.contains("open it, then retry under the same key"), "{text}");
}

fn is_poisoned<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Poisoned, Retry::SameKey), "{error}");
    let text = error.to_string();
    assert!(text.contains("failed") && text.contains("open the directory again"), "{text}");
}

/// All that holds of an engine after its disk failed at `group`, up to and including its end.
fn check_poisoned(disk: &SimDisk, engine: Engine, answered: &[Receipt<String>; 2], group: &[&str]) {
    let (calls, trace) = (disk.io_count(), disk.trace());
    let durable = engine.durable_seq();
    for name in group {
        is_indeterminate(engine.commit(add(name)));
        is_indeterminate(engine.submit(add(name)).wait());
        assert_eq!(sum(&engine, name), 0, "what is not durable is seen");
    }
    is_poisoned(engine.commit(add("new")));
    is_poisoned(engine.submit(add("new")).wait());
    is_poisoned(engine.commit(Request::unkeyed().add(&SUMS, "new", 1, 0..=9)));
    is_poisoned(engine.update(key("update"), &1, |tx| {
        tx.put(&SUMS, "new", &1)?;
        Ok::<_, Abort>(())
    }));
    is_poisoned(engine.checkpoint());

    // What is durable is answered and read as ever.
    for (name, first) in ["settled", "logged"].iter().zip(answered) {
        let again = committed(engine.commit(add(name)));
        assert_eq!((again.seq, again.time, &again.result), (first.seq, first.time, &first.result));
        assert!(again.replayed);
        let other = Request::new(key(name)).add(&SUMS, "other", 1, 0..=9);
        assert_eq!(engine.commit(other).unwrap_err().kind(), ErrorKind::KeyReused);
        assert_eq!(sum(&engine, name), 1);
    }
    let snapshot = engine.snapshot();
    let names: Vec<_> = snapshot.range(&SUMS, ..).map(|item| item.unwrap().0).collect();
    assert_eq!(names, ["logged", "settled"]);
    assert_eq!(engine.len(&SUMS).unwrap(), 2);
    assert_eq!(engine.durable_seq(), durable);
    drop(snapshot);

    is_poisoned(engine.close());
    assert_eq!((disk.io_count(), disk.trace()), (calls, trace), "something more was written");
}

/// Every way the machine can come up again.
fn aftermaths(disk: &SimDisk) -> Vec<(String, SimDisk)> {
    let mut disks = vec![("a kill".to_owned(), disk.after_kill())];
    let choices = [Choice::All, Choice::None].into_iter().chain((0..6).map(Choice::Seeded));
    for choice in choices {
        disks.push((format!("a power cut, {choice:?}"), disk.after_power_cut(&choice)));
    }
    disks
}

/// After opening again, every request of the failed group is carried out once, now or then.
fn check_reopened(disk: &SimDisk, answered: &[Receipt<String>; 2], group: &[&str]) {
    for (what, disk) in aftermaths(disk) {
        let engine = open_with(disk.clone(), Background::Manual)
            .unwrap_or_else(|error| panic!("after {what}: {error}"));
        for (name, first) in ["settled", "logged"].iter().zip(answered) {
            let again = committed(engine.commit(add(name)));
            assert_eq!(
                (again.seq, again.time, again.replayed),
                (first.seq, first.time, true),
                "{what}"
            );
        }
        let there: Vec<_> = group.iter().map(|name| sum(&engine, name)).collect();
        assert!(there.iter().all(|sum| *sum == there[0]), "after {what} a group is half there");
        for (name, there) in group.iter().zip(there) {
            let retried = committed(engine.commit(add(name)));
            assert_eq!(retried.replayed, there == 1, "after {what}");
            assert!(committed(engine.commit(add(name))).replayed);
            assert_eq!(sum(&engine, name), 1, "after {what}");
        }
        assert_healthy(&engine);
        engine.checkpoint().unwrap();
        engine.close().unwrap();
        assert_eq!(open(&disk).len(&SUMS).unwrap(), 2 + group.len() as u64);
    }
}

fn tickets(engine: &Engine, group: &[&str]) -> Vec<Ticket<String>> {
    group.iter().map(|name| engine.submit(add(name))).collect()
}

#[test]
fn the_first_failed_write_or_sync_is_the_last() {
    const GROUP: [&str; 2] = ["first", "second"];
    let effects = [
        Effect::Error(io::ErrorKind::Other),
        Effect::Error(io::ErrorKind::StorageFull),
        Effect::Error(io::ErrorKind::PermissionDenied),
    ];
    // The group is a write and a sync.
    let mut failures = 0;
    for effect in effects {
        for call in 1..=2 {
            for repeat in [Repeat::Once, Repeat::Forever] {
                let disk = SimDisk::new();
                disk.assume_powersafe("checkpoint.redb");
                let (engine, answered) = prepared(&disk);
                disk.inject(Fault { call: disk.io_count() + call, effect, repeat });
                let mut parked = tickets(&engine, &GROUP);
                // A second delivery shares the fate of the first; what only saw it is taken back.
                parked.push(engine.submit(add("first")));
                let stale =
                    engine.submit(Request::unkeyed().check(&SUMS, "first", Version::new(0)));
                let read = engine.submit(Request::unkeyed().check(&SUMS, "first", Expect::Absent));
                assert!(engine.run_background_step().unwrap());
                parked.into_iter().for_each(|ticket| is_indeterminate(ticket.wait()));
                is_poisoned(stale.wait());
                is_poisoned(read.wait());
                let last = disk.trace().pop().unwrap();
                assert!(last.contains("failed"), "{last}");
                check_poisoned(&disk, engine, &answered, &GROUP);
                check_reopened(&disk, &answered, &GROUP);
                failures += 1;
            }
        }
    }
    println!("{failures} failures");
}

#[test]
fn short_and_interrupted_writes_are_no_failures() {
    for effect in [Effect::Short(1), Effect::Short(512), Effect::Error(io::ErrorKind::Interrupted)]
    {
        let disk = SimDisk::new();
        let (engine, _) = prepared(&disk);
        disk.inject(Fault { call: disk.io_count() + 1, effect, repeat: Repeat::Once });
        committed(engine.commit(add("short")));
        assert_healthy(&engine);
        drop(engine);
        let engine = open(&disk.after_power_cut(&Choice::None));
        assert_eq!(sum(&engine, "short"), 1);
    }
}

#[test]
fn a_segment_that_cannot_be_begun_is_a_failed_write() {
    const GROUP: [&str; 1] = ["alone"];
    // Opening a closed database writes nothing; its first commit takes away the mark and begins a segment.
    let closed = SimDisk::new();
    closed.assume_powersafe("checkpoint.redb");
    let (engine, answered) = prepared(&closed);
    engine.close().unwrap();
    let closed = closed.after_power_cut(&Choice::None);
    let mut kinds = Vec::new();
    for call in 1.. {
        let disk = closed.snapshot();
        disk.assume_powersafe("checkpoint.redb");
        let engine = open(&disk);
        disk.clear_trace();
        disk.fail_call(disk.io_count() + call, io::ErrorKind::Other, Repeat::Once);
        match engine.commit(add("alone")) {
            Ok(outcome) => {
                committed(Ok(outcome));
                break;
            }
            // The segment is prepared before anything is decided.
            Err(error) if error.kind() == ErrorKind::Io => {
                assert_eq!(engine.durable_seq(), answered[1].seq);
                assert!(!committed(engine.commit(add("alone"))).replayed);
                assert_healthy(&engine);
                kinds.push("io");
            }
            Err(error) => {
                // As long as the segment is not begun, nothing of the group was written.
                kinds.push(if error.kind() == ErrorKind::Poisoned {
                    "poisoned"
                } else {
                    "in doubt"
                });
                if error.kind() != ErrorKind::Poisoned {
                    is_indeterminate(Err::<(), _>(error));
                }
                let in_doubt = if kinds.last() == Some(&"in doubt") { &GROUP[..] } else { &[] };
                check_poisoned(&disk, engine, &answered, in_doubt);
                disk.clear_faults();
                if in_doubt.is_empty() {
                    for (what, disk) in aftermaths(&disk) {
                        assert_eq!(sum(&open(&disk), "alone"), 0, "after {what} it is there");
                    }
                }
                check_reopened(&disk, &answered, &GROUP);
            }
        }
    }
    println!("{kinds:?}");
    assert!(["io", "poisoned", "in doubt"].iter().all(|kind| kinds.contains(kind)));
}

/// A disk whose next sync waits until it is told to fail.
#[derive(Clone, Debug)]
struct HeldDisk {
    inner: SimDisk,
    hold: Arc<Hold>,
}

#[derive(Debug, Default)]
struct Hold {
    stage: Mutex<Stage>,
    changed: Condvar,
}

#[derive(Debug, Default, PartialEq)]
enum Stage {
    #[default]
    Idle,
    Armed,
    Syncing,
    Failing,
}

impl Hold {
    fn set(&self, stage: Stage) {
        *self.stage.lock() = stage;
        self.changed.notify_all();
    }

    fn await_stage(&self, wanted: &Stage) {
        let mut stage = self.stage.lock();
        while *stage != *wanted {
            self.changed.wait(&mut stage);
        }
    }

    fn sync(&self) -> io::Result<()> {
        if *self.stage.lock() != Stage::Armed {
            return Ok(());
        }
        self.set(Stage::Syncing);
        self.await_stage(&Stage::Failing);
        Err(io::Error::other("held, then failed"))
    }
}

#[derive(Debug)]
struct HeldFile {
    inner: Arc<dyn File>,
    hold: Arc<Hold>,
}

impl HeldDisk {
    fn file(&self, inner: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(HeldFile { inner, hold: self.hold.clone() })
    }
}

impl Disk for HeldDisk {
    fn lock(&self) -> io::Result<Box<dyn Lock>> {
        self.inner.lock()
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.file(self.inner.create(name)?))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.file(self.inner.open(name)?))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }
    fn create_dir(&self, name: &str) -> io::Result<()> {
        self.inner.create_dir(name)
    }
    fn list(&self, folder: &str) -> io::Result<Vec<Listed>> {
        self.inner.list(folder)
    }
    fn sync_dir(&self, folder: &str) -> io::Result<()> {
        self.inner.sync_dir(folder)
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.inner.free_bytes()
    }
    fn location(&self) -> String {
        self.inner.location()
    }
}

impl File for HeldFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write_at(offset, bytes)
    }
    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.inner.set_len(bytes)
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn sync_data(&self) -> io::Result<()> {
        self.hold.sync()?;
        self.inner.sync_data()
    }
    fn drop_cache(&self) -> io::Result<()> {
        self.inner.drop_cache()
    }
}

#[test]
fn those_behind_a_failed_group_were_never_written() {
    for background in [Background::Manual, Background::Threads] {
        let disk = SimDisk::new();
        disk.assume_powersafe("checkpoint.redb");
        let (engine, answered) = prepared(&disk);
        drop(engine);
        let hold = Arc::new(Hold::default());
        let held = HeldDisk { inner: disk.clone(), hold: hold.clone() };
        let engine = open_with(held, background).unwrap();
        // So that a segment is in use.
        assert_healthy(&engine);
        hold.set(Stage::Armed);
        thread::scope(|scope| {
            let failing = scope.spawn(|| engine.commit(add("failing")));
            hold.await_stage(&Stage::Syncing);
            let behind = tickets(&engine, &["behind", "also"]);
            // It only saw what never will be.
            let conflict =
                engine.submit(Request::unkeyed().check(&SUMS, "behind", Version::new(1)));
            // A second delivery of what is being written tells of that.
            let again = engine.submit(add("failing"));
            // What is durable is read while the disk hangs.
            assert_eq!(sum(&engine, "logged"), 1);
            assert_eq!(sum(&engine, "failing"), 0);
            hold.set(Stage::Failing);
            is_indeterminate(failing.join().unwrap());
            is_indeterminate(again.wait());
            behind.into_iter().for_each(|ticket| is_poisoned(ticket.wait()));
            is_poisoned(conflict.wait());
        });
        is_indeterminate(engine.commit(add("failing")));
        for name in ["behind", "also"] {
            is_poisoned(engine.commit(add(name)));
        }
        let calls = disk.io_count();
        is_poisoned(engine.close());
        assert_eq!(disk.io_count(), calls);

        let after = disk.after_kill();
        let engine = open(&after);
        let there = sum(&engine, "failing") == 1;
        assert_eq!(committed(engine.commit(add("failing"))).replayed, there);
        for name in ["behind", "also"] {
            assert_eq!(sum(&engine, name), 0);
            assert!(!committed(engine.commit(add(name))).replayed);
        }
        let logged = committed(engine.commit(add("logged")));
        assert_eq!((logged.seq, logged.replayed), (answered[1].seq, true));
    }
}

#[test]
fn with_threads_every_caller_learns_its_fate() {
    for call in 1..40 {
        let disk = SimDisk::new();
        let engine = open_with(disk.clone(), Background::Threads).unwrap();
        disk.fail_call(disk.io_count() + call, io::ErrorKind::Other, Repeat::Forever);
        let results: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|thread| {
                    let engine = &engine;
                    scope.spawn(move || -> Vec<_> {
                        (0..10)
                            .map(|n| {
                                let name = format!("{thread} {n}");
                                let result = if n % 2 == 0 {
                                    engine.commit(add(&name))
                                } else {
                                    engine.submit(add(&name)).wait()
                                };
                                (name, result)
                            })
                            .collect()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(results.len(), 40);
        drop(engine);
        let engine = open(&disk.after_power_cut(&Choice::Seeded(call)));
        let (mut ok, mut unknown, mut nothing) = (0, 0, 0);
        for (name, result) in results {
            let there = sum(&engine, &name);
            match result {
                Ok(outcome) => {
                    let seq = committed(Ok(outcome)).seq;
                    assert_eq!(there, 1, "call {call}: an acknowledged request is lost");
                    assert_eq!(committed(engine.commit(add(&name))).seq, seq);
                    ok += 1;
                }
                Err(error) if error.kind() == ErrorKind::Indeterminate => unknown += 1,
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Io), "{error}");
                    assert_eq!(there, 0, "call {call}: {error}, and it is there");
                    nothing += 1;
                }
            }
            assert_eq!(committed(engine.commit(add(&name))).replayed, there == 1);
            assert_eq!(sum(&engine, &name), 1);
        }
        println!("call {call}: {ok} done, {unknown} unknown, {nothing} not done");
    }
}

/// Every file with its bytes.
fn contents(disk: &SimDisk) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for folder in ["", "segments/"] {
        for listed in disk.list(folder.trim_end_matches('/')).unwrap() {
            let name = format!("{folder}{}", listed.name);
            if let Ok(file) = disk.open(&name) {
                let mut bytes = vec![0; file.len().unwrap() as usize];
                file.read_exact_at(0, &mut bytes).unwrap();
                files.insert(name, bytes);
            }
        }
    }
    files
}

/// Total length of all files.
fn used(disk: &SimDisk) -> u64 {
    contents(disk).values().map(|bytes| bytes.len() as u64).sum()
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
        disk.set_capacity(Some(used(&disk)));
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
fn an_opening_without_room_says_so_and_can_be_done_again() {
    // A creation.
    let disk = SimDisk::new();
    disk.assume_powersafe("checkpoint.redb");
    for capacity in [0, 100, 9_000, 20_000, 40_000] {
        disk.set_capacity(Some(capacity));
        let error = refusal(open_with(disk.clone(), Background::Manual));
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{capacity} bytes: {error}");
    }
    disk.set_capacity(None);
    let engine = open(&disk);
    committed(engine.commit(page(1)));
    drop(engine);
    // An opening after an unclean end needs room for a segment.
    let engine = open(&disk);
    engine.checkpoint().unwrap();
    committed(engine.commit(page(2)));
    let disk = disk.after_kill();
    drop(engine);
    disk.set_capacity(Some(used(&disk)));
    for _ in 0..3 {
        let error = refusal(open_with(disk.clone(), Background::Manual));
        assert_eq!((error.kind(), error.retry()), (ErrorKind::NoSpace, Retry::SameKey), "{error}");
    }
    disk.set_capacity(None);
    let engine = open(&disk);
    assert_eq!(engine.len(&PAGES).unwrap(), 2);
    assert!(committed(engine.commit(page(1))).replayed);
    assert!(committed(engine.commit(page(2))).replayed);
}

#[test]
fn a_checkpoint_that_cannot_be_written_ends_the_writing_and_loses_nothing() {
    let full = |disk: &SimDisk| disk.set_capacity(Some(used(disk)));
    let broken = |disk: &SimDisk| {
        disk.fail_call(disk.io_count() + 3, io::ErrorKind::Other, Repeat::Once);
    };
    for fail in [full, broken] as [fn(&SimDisk); 2] {
        let disk = SimDisk::new();
        disk.assume_powersafe("checkpoint.redb");
        let (engine, answered) = prepared(&disk);
        for n in 0..8 {
            let request = Request::new(key(&format!("large {n}")));
            let request = request.put(&PAGES, &n, &vec![n as u8; 200_000], Expect::Any);
            committed(engine.commit(request));
        }
        fail(&disk);
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
        disk.set_capacity(None);
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
    disk.set_capacity(Some(used(&disk) + (1 << 20)));
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
