//! Snapshots that are held while the world goes on.

use super::*;

#[test]
fn a_snapshot_stands_still_while_writers_and_checkpoints_go_on() {
    const WRITERS: u8 = 3;
    const KEYS: u8 = 40;
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::builder()
        .memtable_limit_bytes(64 << 10)
        .checkpoint_cache_bytes(1 << 20)
        .segment_bytes(256 << 10)
        .open(dir.path())
        .unwrap();
    let value = |n: u32| Bytes::from(n.to_be_bytes().repeat(100));
    // Every request sets the keys of one writer to one value: a snapshot that shows two was cut in half.
    let round = |writer: u8, n: u32| {
        let request = (0..KEYS).fold(Request::unkeyed(), |request, key| {
            request.put(&ITEMS, &vec![writer, key], &value(n), Expect::Any)
        });
        committed(engine.commit(request));
    };
    (0..WRITERS).for_each(|writer| round(writer, 0));
    let see = |snapshot: &Snapshot| -> Vec<Vec<u8>> {
        (0..WRITERS)
            .map(|writer| {
                let mut values = pairs(snapshot.prefix(&ITEMS, &[writer][..]));
                assert_eq!(values.len(), usize::from(KEYS));
                values.dedup_by(|a, b| a.1 == b.1);
                assert_eq!(values.len(), 1, "half a request");
                values.remove(0).1
            })
            .collect()
    };
    let done = AtomicBool::new(false);
    let first = engine.snapshot();
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| scope.spawn(move || (1..=60).for_each(|n| round(writer, n))))
            .collect();
        let reader = scope.spawn(|| {
            let mut held: Vec<(Snapshot, Vec<Vec<u8>>)> = Vec::new();
            while !done.load(Ordering::Acquire) {
                let snapshot = engine.snapshot();
                let seen = see(&snapshot);
                if let Some((_, before)) = held.last() {
                    assert!(
                        seen.iter().zip(before).all(|(now, then)| now >= then),
                        "time went back"
                    );
                }
                held.push((snapshot, seen));
                if held.len() > 8 {
                    held.remove(0);
                }
                for (snapshot, seen) in &held {
                    assert_eq!(see(snapshot), *seen);
                }
            }
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Release);
        reader.join().unwrap();
    });
    engine.checkpoint().unwrap();
    assert_eq!(see(&first), vec![value(0).to_vec(); usize::from(WRITERS)]);
    assert_eq!(see(&engine.snapshot()), vec![value(60).to_vec(); usize::from(WRITERS)]);
}

#[test]
fn a_snapshot_that_outlives_its_engine_is_right_or_refused() {
    let disk = MemoryDisk::new();
    let engine = manual(&disk);
    let value = |n: u32| Bytes::from(n.to_be_bytes().repeat(1_000));
    let write = |engine: &Engine, round: u32| {
        for thousand in 0..4u16 {
            let request = (0..200u16).fold(Request::unkeyed(), |request, n| {
                let key = (thousand * 200 + n).to_be_bytes().to_vec();
                request.put(&ITEMS, &key, &value(round), Expect::Any)
            });
            committed(engine.commit(request));
        }
        engine.checkpoint().unwrap();
    };
    write(&engine, 0);
    let snapshot = engine.snapshot();
    let memory = Request::unkeyed().put(&PLACES, &(1, 1, "x"), &1, Expect::Any);
    committed(engine.commit(memory));
    let newest = engine.snapshot();
    engine.close().unwrap();
    assert!(newest.get(&PLACES, &(1, 1, "x")).unwrap().is_some());
    // Nor does it keep the directory: somebody else may write to it meanwhile.
    let (mut right, mut refused) = (0, 0);
    for round in 1..5 {
        let engine = manual(&disk);
        write(&engine, round);
        engine.close().unwrap();
        let items: Vec<_> = snapshot.range(&ITEMS, ..).collect();
        if items.iter().all(Result::is_ok) {
            assert_eq!(items.len(), 800);
        }
        for item in items {
            match item {
                Ok((_, record)) => {
                    assert!(record.value == value(0), "a value of another engine");
                    right += 1;
                }
                Err(error) => {
                    assert!(matches!(error, steadfast::Error::Closed), "{error}");
                    refused += 1;
                }
            }
        }
    }
    println!("{right} right, {refused} refused");
}
