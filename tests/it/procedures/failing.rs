//! Panics, limits, calls of the engine from inside: nothing is logged, nothing is remembered, and the engine goes on.

use super::{ACCOUNTS, Count, Transfer, account, ann_to_bob, builder, key, with_accounts};
use serde::{Deserialize, Serialize};
use std::{panic, sync::OnceLock};
use steadfast::{Abort, Engine, Error, Expect, Never, Procedure, Request, ShapeError, Transaction};

/// What a procedure is to do wrong.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Wrong {
    Panic,
    TooManyWrites,
    TooLargeAResult,
    RangeOfNothing,
    RangeOfTooMuch,
    OwnError,
    Read,
    Snapshot,
    Iterate,
    Commit,
    Update,
    Call,
    Queue,
    SnapshotApplied,
    ChainHead,
    Window,
}

static ENGINE: OnceLock<Engine> = OnceLock::new();

impl Procedure for Wrong {
    const NAME: &'static str = "wrong";
    const VERSION: u32 = 1;
    type Output = Vec<u8>;
    type Rejection = Never;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<Vec<u8>, Abort> {
        tx.put(&ACCOUNTS, "wrong", &1)?;
        let engine = || ENGINE.get().expect("it was set");
        match self {
            Self::Panic => panic!("on purpose"),
            Self::TooManyWrites => {
                for n in 0..1_025 {
                    tx.put(&ACCOUNTS, &n.to_string(), &n)?;
                }
            }
            Self::TooLargeAResult => return Ok(vec![1; 70_000]),
            Self::RangeOfNothing => drop(tx.range(&ACCOUNTS, .., 0)?),
            Self::RangeOfTooMuch => drop(tx.range(&ACCOUNTS, .., 1_025)?),
            Self::OwnError => return Err(Error::KeyUntimed.into()),
            Self::Read => drop(engine().get(&ACCOUNTS, "ann")?),
            Self::Snapshot => drop(engine().snapshot().get(&ACCOUNTS, "ann")?),
            Self::Iterate => {
                for item in engine().snapshot().range(&ACCOUNTS, ..) {
                    item?;
                }
            }
            Self::Commit => {
                let request = Request::unkeyed().put(&ACCOUNTS, "ann", &1, Expect::Any);
                drop(engine().commit(request)?);
            }
            Self::Update => drop(engine().update::<_, Never>(key("inner"), &1, |_| Ok(1))?),
            Self::Call => drop(engine().call(key("inner"), &Count { place: 9 })?),
            Self::Queue => drop(engine().queue()),
            Self::SnapshotApplied => drop(engine().snapshot_applied()),
            Self::ChainHead => drop(engine().chain_head()),
            Self::Window => drop(engine().window()),
        }
        Ok(Vec::new())
    }
}

/// `Wrong`, and an error that is due.
type Case = (Wrong, fn(&Error) -> bool);

const CASES: [Case; 16] = [
    (Wrong::Panic, |error| matches!(error, Error::Panicked { what: "wrong" })),
    (Wrong::TooManyWrites, |error| matches!(error, Error::Limit(_))),
    (Wrong::TooLargeAResult, |error| matches!(error, Error::Limit(_))),
    (Wrong::RangeOfNothing, |error| matches!(error, Error::Limit(_))),
    (Wrong::RangeOfTooMuch, |error| matches!(error, Error::Limit(_))),
    (Wrong::OwnError, |error| matches!(error, Error::KeyUntimed)),
    (Wrong::Read, |error| matches!(error, Error::Reentrant { .. })),
    (Wrong::Snapshot, |error| matches!(error, Error::Reentrant { .. })),
    (Wrong::Iterate, |error| matches!(error, Error::Reentrant { .. })),
    (Wrong::Commit, |error| matches!(error, Error::Reentrant { .. })),
    (Wrong::Update, |error| matches!(error, Error::Reentrant { .. })),
    (Wrong::Call, |error| matches!(error, Error::Reentrant { .. })),
    (Wrong::Queue, |error| matches!(error, Error::Panicked { .. })),
    (Wrong::SnapshotApplied, |error| matches!(error, Error::Panicked { .. })),
    (Wrong::ChainHead, |error| matches!(error, Error::Panicked { .. })),
    (Wrong::Window, |error| matches!(error, Error::Panicked { .. })),
];

#[test]
fn what_goes_wrong_in_a_procedure_is_contained() {
    let engine = builder().procedure::<Wrong>().procedure::<Count>().in_memory().unwrap();
    ENGINE.set(engine.clone()).expect("this test alone sets it");
    with_accounts(&engine, &[("ann", 100)]);
    let before = engine.durable_seq();
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let outcomes: Vec<_> =
        CASES.iter().map(|(wrong, _)| engine.call(key("wrong"), wrong)).collect();
    panic::set_hook(hook);
    for ((wrong, due), outcome) in CASES.iter().zip(outcomes) {
        let error = outcome.unwrap_err();
        assert!(due(&error), "{wrong:?} got {error:?}");
    }
    assert_eq!(engine.durable_seq(), before, "nothing was logged");
    assert_eq!(engine.queue().requests, 0);
    // The key was never used.
    let receipt = engine.call(key("wrong"), &ann_to_bob(1)).unwrap().committed().unwrap();
    assert_eq!((receipt.seq.get(), receipt.replayed), (before.get() + 1, false));
    assert_eq!(account(&engine, "wrong"), 0);
}

#[test]
fn only_what_is_registered_can_be_called() {
    let engine = Engine::builder().procedure::<Count>().in_memory().unwrap();
    let error = engine.call(key("1"), &ann_to_bob(1)).unwrap_err();
    assert!(matches!(error, Error::UnknownProcedure { name: "transfer", version: 1 }), "{error}");
    let ticket = engine.submit_call(key("1"), &ann_to_bob(1));
    assert!(matches!(ticket.wait(), Err(Error::UnknownProcedure { .. })));
    assert_eq!(engine.durable_seq().get(), 0);
}

/// Claims to be the transfer.
#[derive(Serialize, Deserialize)]
struct Impostor;

impl Procedure for Impostor {
    const NAME: &'static str = Transfer::NAME;
    const VERSION: u32 = Transfer::VERSION;
    type Output = ();
    type Rejection = Never;

    fn run(&self, _: &mut Transaction<'_>) -> Result<(), Abort> {
        Ok(())
    }
}

#[test]
fn two_types_can_not_be_one_procedure() {
    let opened = builder().procedure::<Transfer>().in_memory();
    assert!(opened.is_ok(), "the same type twice is the same procedure");
    let error = builder().procedure::<Impostor>().in_memory().unwrap_err();
    let twice = ShapeError::ProcedureTwice { name: "transfer", version: 1 };
    assert!(matches!(&error, Error::Shape(shape) if *shape == twice), "{error}");
    let engine = builder().in_memory().unwrap();
    let error = engine.call(key("1"), &Impostor).unwrap_err();
    assert!(matches!(error, Error::UnknownProcedure { .. }), "{error}");
}

#[test]
fn an_update_reads_no_ranges() {
    let engine = Engine::in_memory().unwrap();
    let outcome = engine.update::<(), Never>(key("1"), &1, |tx| {
        tx.range(&ACCOUNTS, .., 10)?;
        Ok(())
    });
    assert!(matches!(outcome, Err(Error::Shape(ShapeError::RangeInUpdate))), "{outcome:?}");
}
