//! What only the checkpoint has: fetched without the lock, and the request tried again.

use super::*;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};
use steadfast::{
    Never,
    testing::{Repeat, SimDisk},
};

const ITEMS: Keyspace<u64, u64> = Keyspace::new("items");
const PARTS: Keyspace<u64, u64> = Keyspace::new("parts");

/// An item of which `n` is the value has the parts 1 to n; counts how often that was asked.
fn complete(asked: &Arc<AtomicU64>) -> CrossInvariant<u64, u64> {
    let asked = asked.clone();
    CrossInvariant::new("complete", &ITEMS, move |look, _, parts| {
        asked.fetch_add(1, Ordering::Relaxed);
        for part in 1..=*parts {
            let there = look.get(&PARTS, &part)?;
            hold(there.is_some_and(|record| record.value == part * 10), "a part is missing")?;
        }
        Ok(())
    })
    .touched_by(&PARTS, |_, _| [1u64])
}

/// Item 1 and its hundred parts, in the checkpoint alone.
fn settled(builder: Builder) -> (SimDisk, Engine) {
    let disk = SimDisk::new();
    let engine = builder.open_on(disk.clone()).unwrap();
    let parts = (1..=100u64).fold(Request::unkeyed(), |request, part| {
        request.put(&PARTS, &part, &(part * 10), Expect::Any)
    });
    engine.commit(parts.put(&ITEMS, &1, &100, Expect::Any)).unwrap().committed().unwrap();
    engine.checkpoint().unwrap();
    (disk, engine)
}

#[test]
fn what_is_cold_is_fetched_at_once_however_many_records_it_is() {
    for cold in [true, false] {
        let asked = Arc::new(AtomicU64::new(0));
        let (_disk, engine) = settled(Engine::builder().cross_invariant(complete(&asked)));
        if !cold {
            // All of it is in memory again.
            let touch = (1..=100u64).fold(Request::unkeyed(), |request, part| {
                request.put(&PARTS, &part, &(part * 10), Expect::Any)
            });
            let touch = touch.put(&ITEMS, &1, &100, Expect::Any);
            engine.commit(touch).unwrap().committed().unwrap();
        }
        let before = asked.load(Ordering::Relaxed);
        let removal = Request::new(key("1")).delete(&PARTS, &100, Expect::Any);
        assert!(outcome(engine.commit(removal).unwrap()).is_err());
        // The anchor itself is cold the first time, so the rule is not even asked.
        let runs = asked.load(Ordering::Relaxed) - before;
        assert_eq!(runs, if cold { 2 } else { 1 }, "one reads, one decides");
        let fewer = Request::new(key("2")).delete(&PARTS, &100, Expect::Any);
        assert_eq!(
            outcome(engine.commit(fewer.put(&ITEMS, &1, &99, Expect::Any)).unwrap()),
            Ok(())
        );
        assert_eq!(engine.len(&PARTS).unwrap(), 99);
        assert!(engine.audit().unwrap().holds());
    }
}

#[test]
fn cold_records_are_judged_in_every_way_of_writing() {
    for way in WAYS {
        let disk = SimDisk::new();
        let engine = builder().open_on(disk.clone()).unwrap();
        assert_eq!(run(&engine, "set", &[capture(), book()]), Ok(()));
        engine.checkpoint().unwrap();
        let broken = Err(("booked".to_owned(), encoded(&7u64)));
        let ops = [Op::Entry(70, None)];
        assert_eq!(way.run(&engine, key("1"), &ops).unwrap(), broken, "{way:?}");
        engine.checkpoint().unwrap();
        assert_eq!(way.run(&engine, key("1"), &ops).unwrap(), broken, "{way:?}, again");
        let ops = [Op::Payment(7, None), Op::Entry(70, None)];
        assert_eq!(way.run(&engine, key("2"), &ops).unwrap(), Ok(()), "{way:?}");
        engine.checkpoint().unwrap();
        // From another engine, of which nothing is in memory.
        engine.close().unwrap();
        let engine = builder().open_on(disk).unwrap();
        let broken = Err(("booked".to_owned(), encoded(&7u64)));
        assert_eq!(way.run(&engine, key("3"), &[capture()]).unwrap(), broken, "{way:?}");
        assert_eq!(way.run(&engine, key("4"), &[book()]).unwrap(), Ok(()), "{way:?}");
        engine.checkpoint().unwrap();
        assert_eq!(way.run(&engine, key("5"), &[capture()]).unwrap(), Ok(()), "{way:?}");
    }
}

#[test]
fn who_reads_something_else_each_time_gives_up() {
    let place = Arc::new(AtomicU64::new(1));
    let next = place.clone();
    let restless = CrossInvariant::new("restless", &ITEMS, move |look, _, _| {
        look.get(&PARTS, &(next.fetch_add(1, Ordering::Relaxed)))?;
        Ok(())
    });
    let restless = restless.touched_by(&PARTS, |_, _| None::<u64>);
    let (disk, engine) = settled(Engine::builder());
    engine.close().unwrap();
    let engine = builder().cross_invariant(restless).open_on(disk).unwrap();
    // The opening held the record that is there against it.
    assert_eq!(place.swap(1, Ordering::Relaxed), 2);
    let before = engine.durable_seq();
    let put = |name| Request::new(key(name)).put(&ITEMS, &2, &5, Expect::Any);
    let error = engine.commit(put("1")).unwrap_err();
    assert!(matches!(error, Error::Overloaded { .. }), "{error}");
    assert_eq!(
        place.load(Ordering::Relaxed) - 1,
        15,
        "eight trials under the lock, seven to fetch"
    );
    let error =
        engine.update::<(), Never>(key("1"), &1, |tx| Ok(tx.put(&ITEMS, &2, &5)?)).unwrap_err();
    assert!(matches!(error, Error::Overloaded { .. }), "{error}");
    let error = engine.try_submit(put("1")).map(drop).unwrap_err();
    assert!(matches!(error, Error::Overloaded { .. }), "{error}");
    assert_eq!(engine.durable_seq(), before);
    // Past the last part nothing is on the disk, which has to be looked for, too.
    while place.load(Ordering::Relaxed) < 120 {
        let error = engine.commit(put("1")).unwrap_err();
        assert!(matches!(error, Error::Overloaded { .. }), "{error}");
    }
    let other = Request::new(key("1")).put(&PARTS, &2, &5, Expect::Any);
    engine.commit(other).unwrap().committed().unwrap();
}

#[test]
fn an_addition_that_is_tried_again_is_made_once() {
    const BALANCES: Keyspace<u64, i64> = Keyspace::new("balances");
    const MOST: Keyspace<u64, i64> = Keyspace::new("most");
    let within = CrossInvariant::new("within", &BALANCES, |look, key, balance| {
        let most = look.get(&MOST, key)?.map_or(0, |record| record.value);
        hold(*balance <= most, "too much")
    });
    let within = within.touched_by(&MOST, |key, _| [*key]);
    let engine = Engine::builder().cross_invariant(within).open_on(SimDisk::new()).unwrap();
    let set = Request::unkeyed().put(&MOST, &1, &10, Expect::Any);
    engine.commit(set.put(&BALANCES, &1, &3, Expect::Any)).unwrap().committed().unwrap();
    let add = |delta| {
        engine.checkpoint().unwrap();
        let request = Request::unkeyed().add(&BALANCES, &1, delta, 0..=100);
        let added = outcome(engine.commit(request).unwrap()).is_ok();
        (added, engine.get(&BALANCES, &1).unwrap().unwrap().value)
    };
    assert_eq!([add(5), add(3), add(2)], [(true, 8), (false, 8), (true, 10)]);
}

#[test]
fn a_disk_that_can_not_be_read_is_told() {
    const BULK: Keyspace<u64, Vec<u8>> = Keyspace::new("bulk");
    let backed = CrossInvariant::new("backed", &ITEMS, |look, _, _| {
        let mut there = true;
        for n in 0..8u64 {
            there &= look.get(&BULK, &n)?.is_some();
        }
        hold(there, "not all is there")
    });
    let backed = backed.touched_by(&BULK, |_, _| [1u64]);
    let disk = SimDisk::new();
    let engine = Engine::builder().open_on(disk.clone()).unwrap();
    // More than the store of the checkpoint keeps in memory.
    for n in 0..8 {
        let request = Request::unkeyed().put(&BULK, &n, &vec![n as u8; 900 << 10], Expect::Any);
        engine.commit(request).unwrap().committed().unwrap();
    }
    engine.checkpoint().unwrap();
    // What the request itself changes is in memory.
    let put = |value| Request::new(key("1")).put(&ITEMS, &1, &value, Expect::Any);
    let first = Request::unkeyed().put(&ITEMS, &1, &0, Expect::Any);
    engine.commit(first).unwrap().committed().unwrap();
    engine.close().unwrap();
    let builder = Engine::builder().checkpoint_cache_bytes(1 << 20).cross_invariant(backed);
    let engine = builder.clone().open_on(disk.clone()).unwrap();
    // So that there is a segment to write to.
    let other = Request::unkeyed().put(&PARTS, &9, &9, Expect::Any);
    engine.commit(other).unwrap().committed().unwrap();
    disk.fail_read(disk.read_count() + 1, io::ErrorKind::Other, Repeat::Forever);
    let before = engine.durable_seq();
    let error = engine.commit(put(5)).unwrap_err();
    assert!(matches!(error, Error::Poisoned { .. }), "{error}");
    assert_eq!(engine.durable_seq(), before);
    disk.clear_faults();
    drop(engine);
    let engine = builder.open_on(disk).unwrap();
    assert_eq!(engine.get(&ITEMS, &1).unwrap().unwrap().value, 0);
    engine.commit(put(5)).unwrap().committed().unwrap();
}

#[test]
fn cold_requests_and_busy_writers_do_not_mind_each_other() {
    let engine = builder().checkpoint_cache_bytes(1 << 20).in_memory().unwrap();
    let payment = |id: u64, captured| {
        let payment = Payment { cents: 5, captured, entry: id, order: 0 };
        Op::Payment(id, Some(payment))
    };
    let entry = |id: u64| Op::Entry(id, Some(Entry { payment: id, cents: 5 }));
    for id in 1..=200 {
        let ops = [payment(id, true), entry(id)];
        assert_eq!(run(&engine, &format!("set-{id}"), &ops), Ok(()));
    }
    engine.checkpoint().unwrap();
    let done = AtomicU64::new(0);
    thread::scope(|scope| {
        for writer in 1..=2u64 {
            let (engine, done) = (&engine, &done);
            scope.spawn(move || {
                let mut n = 0;
                while done.load(Ordering::Relaxed) == 0 {
                    let id = 1_000 * writer + n % 7;
                    let name = format!("busy-{writer}-{n}");
                    assert_eq!(run(engine, &name, &[payment(id, true), entry(id)]), Ok(()));
                    n += 1;
                }
            });
        }
        for id in 1..=200u64 {
            let way = WAYS[id as usize % 3];
            let broken = Err(("booked".to_owned(), encoded(&id)));
            let refused = way.run(&engine, key(&format!("bad-{id}")), &[Op::Entry(id, None)]);
            assert_eq!(refused.unwrap(), broken);
            let ops = [Op::Entry(id, None), payment(id, false)];
            assert_eq!(way.run(&engine, key(&format!("good-{id}")), &ops).unwrap(), Ok(()));
            if id % 20 == 0 {
                engine.checkpoint().unwrap();
            }
        }
        done.store(1, Ordering::Relaxed);
    });
    assert_eq!(Books::of(&engine).broken(), []);
    let report = engine.audit().unwrap();
    assert!(report.holds());
    assert!(report.invariants.iter().any(|rule| rule.invariant == "booked" && rule.checked >= 200));
}
