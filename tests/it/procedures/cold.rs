//! Procedures on records that only the checkpoint has.

use super::{builder, key};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use steadfast::{
    Abort, Builder, Engine, Error, Expect, Keyspace, Never, Procedure, Request, Transaction,
    testing::SimDisk,
};

const SHELF: Keyspace<u32, u64> = Keyspace::new("shelf");

/// Sums some records up, replaces one and removes one, neither of which it has read, and writes a large one.
#[derive(Serialize, Deserialize)]
struct Tidy {
    sum: Vec<u32>,
    replace: u32,
    remove: u32,
    swallow: bool,
}

static RUNS: AtomicU64 = AtomicU64::new(0);

impl Procedure for Tidy {
    const NAME: &'static str = "tidy";
    const VERSION: u32 = 1;
    type Output = u64;
    type Rejection = Never;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<u64, Abort> {
        RUNS.fetch_add(1, Ordering::Relaxed);
        let mut sum = 0;
        for place in &self.sum {
            let record = tx.get(&SHELF, place);
            // Whoever does this loses nothing but the time of a run.
            let record = if self.swallow { record.unwrap_or(None) } else { record? };
            sum += record.map_or(0, |record| record.value);
        }
        tx.put(&SHELF, &self.replace, &sum)?;
        tx.delete(&SHELF, &self.remove)?;
        Ok(sum)
    }
}

/// Reads another record in each run, so that it never finds it.
#[derive(Serialize, Deserialize)]
struct Restless;

static PLACE: AtomicU64 = AtomicU64::new(0);

impl Procedure for Restless {
    const NAME: &'static str = "restless";
    const VERSION: u32 = 1;
    type Output = ();
    type Rejection = Never;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<(), Abort> {
        tx.get(&SHELF, &(PLACE.fetch_add(1, Ordering::Relaxed) as u32))?;
        Ok(())
    }
}

/// Writes nearly as much as a request may.
#[derive(Serialize, Deserialize)]
struct Bulky(u32);

const BULK: Keyspace<u32, Vec<u8>> = Keyspace::new("bulk");

impl Procedure for Bulky {
    const NAME: &'static str = "bulky";
    const VERSION: u32 = 1;
    type Output = ();
    type Rejection = Never;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<(), Abort> {
        for part in 0..9 {
            tx.put(&BULK, &(self.0 * 16 + part), &vec![part as u8; 100 << 10])?;
        }
        Ok(())
    }
}

fn cold_builder() -> Builder {
    builder().procedure::<Tidy>().procedure::<Restless>().procedure::<Bulky>()
}

/// A hundred records, each with ten times its key, in the checkpoint alone.
fn shelved() -> (SimDisk, Engine) {
    let disk = SimDisk::new();
    let engine = cold_builder().open_on(disk.clone()).unwrap();
    let request = (0..100u32).fold(Request::unkeyed(), |request, place| {
        request.put(&SHELF, &place, &(u64::from(place) * 10), Expect::Any)
    });
    engine.commit(request).unwrap().committed().unwrap();
    engine.checkpoint().unwrap();
    (disk, engine)
}

#[test]
fn what_is_cold_is_fetched_before_the_run_that_counts() {
    for swallow in [false, true] {
        let (disk, engine) = shelved();
        let tidy = Tidy { sum: vec![3, 4, 50, 99, 100], replace: 7, remove: 8, swallow };
        let before = RUNS.load(Ordering::Relaxed);
        let receipt = engine.call(key("1"), &tidy).unwrap().committed().unwrap();
        assert_eq!(receipt.result, 30 + 40 + 500 + 990);
        let runs = RUNS.load(Ordering::Relaxed) - before;
        assert!((2..=4).contains(&runs), "one finds out, one fetches, one decides: {runs}");
        let check = |engine: &Engine| {
            let shown = |place: u32| engine.get(&SHELF, &place).unwrap().map(|r| r.value);
            assert_eq!((shown(7), shown(8), shown(9)), (Some(1_560), None, Some(90)));
            assert_eq!(engine.len(&SHELF).unwrap(), 99);
        };
        check(&engine);
        engine.checkpoint().unwrap();
        check(&engine);
        // The digest of what is folded is compared with the one that was written down.
        let after = disk.after_power_cut(&steadfast::testing::Choice::None);
        drop(engine);
        check(&Engine::builder().open_on(after).unwrap());
    }
}

/// Writes under keys made of time, a new id and a random number, and reads what is due by now.
#[derive(Serialize, Deserialize)]
struct Stamp;

const STAMPS: Keyspace<(u64, [u8; 16], u64), u32> = Keyspace::new("stamps");

impl Procedure for Stamp {
    const NAME: &'static str = "stamp";
    const VERSION: u32 = 1;
    type Output = (u64, usize);
    type Rejection = Never;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<(u64, usize), Abort> {
        let (now, id, number) = (tx.now().get(), tx.new_id(), tx.rng().next_u64());
        let due = tx.range(&STAMPS, ..(now, [0; 16], 0), 1_000)?.len();
        let before = tx.get(&STAMPS, &(now, id, number))?;
        assert!(before.is_none());
        tx.put(&STAMPS, &(now, id, number), &(due as u32))?;
        Ok((now, due))
    }
}

#[test]
fn keys_made_of_time_and_chance_are_found_beside_a_busy_writer() {
    let engine = cold_builder().procedure::<Stamp>().in_memory().unwrap();
    engine.call(key("first"), &Stamp).unwrap().committed().unwrap();
    engine.checkpoint().unwrap();
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while done.load(Ordering::Relaxed) == 0 {
                let request = Request::unkeyed().put(&SHELF, &1, &n, Expect::Any);
                engine.commit(request).unwrap().committed().unwrap();
                n += 1;
            }
        });
        let mut last = 0;
        for n in 1..60u32 {
            let receipt = engine.call(key(n.to_be_bytes()), &Stamp).unwrap().committed().unwrap();
            let (now, due) = receipt.result;
            assert!(now <= receipt.time.get() && now > last, "{now} after {last}");
            assert_eq!(due, n as usize, "all that were made before are due");
            last = now;
            if n % 7 == 0 {
                engine.checkpoint().unwrap();
            }
        }
        done.store(1, Ordering::Relaxed);
    });
}

/// Takes the first of a queue.
#[derive(Serialize, Deserialize)]
struct Pop;

impl Procedure for Pop {
    const NAME: &'static str = "pop";
    const VERSION: u32 = 1;
    type Output = Option<u32>;
    type Rejection = Never;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<Option<u32>, Abort> {
        let first = tx.range(&SHELF, .., 1)?.pop();
        if let Some((place, _)) = &first {
            tx.delete(&SHELF, place)?;
        }
        Ok(first.map(|(place, _)| place))
    }
}

#[test]
fn a_range_goes_over_removed_records_so_far_and_no_further() {
    let builder = cold_builder().procedure::<Pop>();
    let engine = builder.open_on(SimDisk::new()).unwrap();
    let places: Vec<u32> = (0..17_000).collect();
    for places in places.chunks(1_000) {
        let put = |request: Request, place: &u32| request.put(&SHELF, place, &1, Expect::Any);
        let request = places.iter().fold(Request::unkeyed(), put);
        engine.commit(request).unwrap().committed().unwrap();
    }
    engine.checkpoint().unwrap();
    let pop = |n: u32| engine.call(key(n.to_be_bytes()), &Pop);
    for n in 0..100 {
        assert_eq!(pop(n).unwrap().committed().unwrap().result, Some(n));
    }
    for places in places[100..16_900].chunks(1_000) {
        let delete = |request: Request, place: &u32| request.delete(&SHELF, place, Expect::Any);
        let request = places.iter().fold(Request::unkeyed(), delete);
        engine.commit(request).unwrap().committed().unwrap();
    }
    let error = pop(100).unwrap_err();
    assert!(matches!(error, Error::Limit(_)), "{error}");
    engine.checkpoint().unwrap();
    assert_eq!(pop(100).unwrap().committed().unwrap().result, Some(16_900));
}

#[test]
fn who_never_finds_what_it_reads_gives_up() {
    let (_disk, engine) = shelved();
    let before = engine.durable_seq();
    let error = engine.call(key("1"), &Restless).unwrap_err();
    assert!(matches!(error, Error::Overloaded { .. }), "{error}");
    assert_eq!(PLACE.load(Ordering::Relaxed), 15, "eight runs under the lock, seven to fetch");
    assert_eq!(engine.durable_seq(), before);
    let tidy = Tidy { sum: vec![1], replace: 2, remove: 3, swallow: false };
    engine.call(key("1"), &tidy).unwrap().committed().unwrap();
}

#[test]
fn what_a_procedure_writes_finds_room_however_much_it_is() {
    let builder = cold_builder().memtable_limit_bytes(1 << 20).segment_bytes(1 << 20);
    let engine = builder.open_on(SimDisk::new()).unwrap();
    for n in 0..12u32 {
        engine.call(key(n.to_be_bytes()), &Bulky(n)).unwrap().committed().unwrap();
    }
    assert_eq!(engine.len(&BULK).unwrap(), 12 * 9);
    let last = engine.get(&BULK, &(11 * 16 + 8)).unwrap().unwrap();
    assert_eq!(last.value, vec![8; 100 << 10]);
}
