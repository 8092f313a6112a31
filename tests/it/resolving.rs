//! What a key stands for, whatever happened; fences; and the mode of the database.

use crate::support::key;
use steadfast::{
    Background, Engine, Error, ErrorKind, Expect, KeyStatus, Keyspace, Mode, Outcome, Rejection,
    Request, Retry,
    testing::{Choice, SimDisk},
};

const SUMS: Keyspace<u32, i64> = Keyspace::new("sums");

fn open(disk: &SimDisk) -> Engine {
    Engine::builder().background(Background::Manual).open_on(disk.clone()).unwrap()
}

fn add(name: &str) -> Request<String> {
    Request::new(key(name)).add(&SUMS, &1, 1, 0..=2).result(&name.to_owned())
}

#[test]
fn every_status_is_told_from_memory_the_checkpoint_and_after_opening() {
    let disk = SimDisk::new();
    let mut engine = open(&disk);
    let receipt = engine.commit(add("done")).unwrap().committed().unwrap();
    let refused = Request::new(key("refused")).put(&SUMS, &2, &2, Expect::Present);
    assert!(matches!(engine.commit(refused), Ok(Outcome::Rejected(_))));
    let KeyStatus::Fenced { seq: fenced, .. } = engine.fence(&key("fenced")).unwrap() else {
        panic!()
    };
    for round in 0..4 {
        match engine.resolve(&key("done")).unwrap() {
            KeyStatus::Committed(told) => {
                assert_eq!((told.seq, told.time, told.replayed), (receipt.seq, receipt.time, true));
                assert_eq!(told.result.decode::<String>().unwrap(), "done");
                assert!(told.result.decode::<u64>().is_err());
            }
            other => panic!("{other:?}"),
        }
        match engine.resolve(&key("refused")).unwrap() {
            KeyStatus::Rejected { rejection: Rejection::Expectation(unmet), seq, .. } => {
                assert_eq!((unmet.found.as_ref(), seq.get()), (None, receipt.seq.get() + 1));
            }
            other => panic!("{other:?}"),
        }
        for status in
            [engine.resolve(&key("fenced")).unwrap(), engine.fence(&key("fenced")).unwrap()]
        {
            assert!(matches!(status, KeyStatus::Fenced { seq, .. } if seq == fenced), "{status:?}");
        }
        // What was decided stands.
        assert!(matches!(engine.fence(&key("done")).unwrap(), KeyStatus::Committed(_)));
        assert!(matches!(engine.fence(&key("refused")).unwrap(), KeyStatus::Rejected { .. }));
        let status = engine.resolve(&key("never")).unwrap();
        assert!(matches!(status, KeyStatus::NotRemembered { horizon: None }), "{status:?}");
        assert_eq!(engine.durable_seq(), fenced, "nothing more was logged");
        match round {
            0 => engine.checkpoint().unwrap(),
            1 => engine = open(&disk.after_power_cut(&Choice::None)),
            _ => {
                engine = {
                    engine.close().unwrap();
                    open(&disk)
                }
            }
        }
    }
}

#[test]
fn a_delivery_that_comes_after_the_fence_is_not_carried_out() {
    let disk = SimDisk::new();
    let engine = open(&disk);
    engine.fence(&key("late")).unwrap();
    for engine in [engine, open(&disk.after_power_cut(&Choice::None))] {
        let error = engine.commit(add("late")).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Fenced, Retry::NewKey), "{error}");
        assert_eq!(engine.submit(add("late")).wait().unwrap_err().kind(), ErrorKind::Fenced);
        let mut ran = false;
        let updated = engine.update(key("late"), &1, |_| {
            ran = true;
            Ok::<_, steadfast::Abort>(())
        });
        assert!(updated.is_err_and(|error| error.kind() == ErrorKind::Fenced) && !ran);
        assert_eq!(engine.get(&SUMS, &1).unwrap(), None);
        engine.checkpoint().unwrap();
    }
}

#[test]
fn a_fence_meets_a_request_that_is_still_being_written() {
    let engine = open(&SimDisk::new());
    let ticket = engine.submit(add("first"));
    // It waits for the request, and tells what became of it.
    assert!(matches!(engine.fence(&key("first")).unwrap(), KeyStatus::Committed(_)));
    assert!(matches!(engine.resolve(&key("first")).unwrap(), KeyStatus::Committed(_)));
    ticket.wait().unwrap().committed().unwrap();
}

/// After a failed write the outcome is unknown; after an opening it never is.
#[test]
fn nothing_is_unknown_after_an_opening() {
    let mut seen = [0; 2];
    for seed in 0..40 {
        let disk = SimDisk::new();
        disk.assume_powersafe("checkpoint.redb");
        let engine = open(&disk);
        engine.commit(add("before")).unwrap().committed().unwrap();
        // The power fails between the write and its sync.
        disk.crash_at(disk.io_count() + 2);
        let error = engine.commit(add("lost?")).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Indeterminate, Retry::Resolve));
        assert_eq!(engine.resolve(&key("lost?")).unwrap_err().kind(), ErrorKind::Indeterminate);
        assert!(matches!(engine.resolve(&key("before")).unwrap(), KeyStatus::Committed(_)));
        assert_eq!(engine.fence(&key("other")).unwrap_err().kind(), ErrorKind::Poisoned);
        drop(engine);
        let disk =
            disk.after_power_cut(&if seed % 4 == 0 { Choice::All } else { Choice::Seeded(seed) });
        let engine = open(&disk);
        let there = engine.get(&SUMS, &1).unwrap().unwrap().value == 2;
        seen[usize::from(there)] += 1;
        match engine.resolve(&key("lost?")).unwrap() {
            KeyStatus::Committed(receipt) => {
                assert!(there);
                assert_eq!(receipt.result.decode::<String>().unwrap(), "lost?");
            }
            KeyStatus::NotRemembered { .. } => assert!(!there),
            other => panic!("{other:?}"),
        }
        // Whoever wants it to be definite for ever fences it.
        let fenced = matches!(engine.fence(&key("lost?")).unwrap(), KeyStatus::Fenced { .. });
        assert_eq!(fenced, !there);
        let retried = engine.commit(add("lost?"));
        assert!(if there { retried.is_ok() } else { matches!(retried, Err(Error::Fenced { .. })) });
        assert_eq!(engine.get(&SUMS, &1).unwrap().unwrap().value, 1 + i64::from(there));
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[test]
fn the_mode_is_an_entry_and_holds_until_it_is_changed() {
    let disk = SimDisk::new();
    let mut engine = open(&disk);
    engine.commit(add("before")).unwrap().committed().unwrap();
    let before = engine.durable_seq();
    let reason = "moving to another machine".to_owned();
    let seq = engine.set_mode(Mode::ReadOnly { reason: reason.clone() }).unwrap();
    assert_eq!(seq.get(), before.get() + 1);
    for round in 0..4 {
        assert_eq!(engine.mode().unwrap(), Mode::ReadOnly { reason: reason.clone() });
        let error = engine.commit(add("new")).unwrap_err();
        assert!(matches!(&error, Error::ReadOnly { reason: told } if **told == reason), "{error}");
        assert_eq!(error.retry(), Retry::SameKey);
        assert_eq!(
            engine.commit(Request::unkeyed().put(&SUMS, &5, &5, Expect::Any)).unwrap_err().kind(),
            ErrorKind::ReadOnly
        );
        assert_eq!(engine.fence(&key("new")).unwrap_err().kind(), ErrorKind::ReadOnly);
        let updated =
            engine.update(key("new"), &1, |tx| Ok::<_, steadfast::Abort>(tx.put(&SUMS, &5, &5)?));
        assert_eq!(updated.unwrap_err().kind(), ErrorKind::ReadOnly);
        // What was decided is told, and what is there is read.
        assert!(engine.commit(add("before")).unwrap().committed().unwrap().replayed);
        assert!(matches!(engine.resolve(&key("before")).unwrap(), KeyStatus::Committed(_)));
        assert_eq!(engine.get(&SUMS, &1).unwrap().unwrap().value, 1);
        assert_eq!(engine.durable_seq(), seq);
        match round {
            0 => engine.checkpoint().unwrap(),
            1 => engine = open(&disk.after_power_cut(&Choice::None)),
            _ => {
                engine = {
                    engine.close().unwrap();
                    open(&disk)
                }
            }
        }
    }
    engine.set_mode(Mode::ReadWrite).unwrap();
    assert_eq!(engine.mode().unwrap(), Mode::ReadWrite);
    engine.commit(add("new")).unwrap().committed().unwrap();
    let engine = open(&disk.after_power_cut(&Choice::None));
    assert_eq!(engine.mode().unwrap(), Mode::ReadWrite);
    let long = "x".repeat(1025);
    assert_eq!(
        engine.set_mode(Mode::ReadOnly { reason: long }).unwrap_err().kind(),
        ErrorKind::Limit
    );
}
