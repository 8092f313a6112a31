//! A process that looks like a forked child, while every lock is held as by a thread of the parent.
#![cfg(not(steadfast_shuttle))]

use crate::{
    Abort, Background, Engine, Error, ErrorKind, Expect, IdempotencyKey, Keyspace, Request, Retry,
    disk::{Choice, Disk, SimClock, SimDisk, SimEntropy},
    engine::core::Core,
};
use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

const SUMS: Keyspace<u32, i64> = Keyspace::new("sums");

fn open(disk: &SimDisk, background: Background) -> Engine {
    let clock = SimClock::new(1_700_000_000_000_000_000, 1_000);
    let builder = Engine::builder().clock(clock).entropy(SimEntropy::new(1));
    builder.background(background).open_on(disk.clone()).unwrap()
}

fn add() -> Request {
    Request::unkeyed().add(&SUMS, &1, 1, 0..=1_000)
}

fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey::new("test", name).unwrap()
}

fn assert_forked(error: Error, what: &str) {
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Forked, Retry::Never), "{what}");
    let text = error.to_string();
    let says = ["forked child", "fork before opening", "once the parent has closed it"];
    assert!(says.iter().all(|part| text.contains(part)) && text.starts_with(what), "{text}");
}

/// Takes every lock that the engine has and gives none back, as threads of the parent may have them at the fork.
fn lock_everything(core: &Core) {
    mem::forget((core.checkpoint.lock(), core.preparing.lock(), core.writer.lock()));
    mem::forget((core.sequencer.lock(), core.view.write(), core.live.lock()));
    mem::forget((core.registry.write(), core.settled.write(), core.lock.lock()));
}

#[test]
fn a_forked_child_is_refused_and_touches_nothing() {
    for background in [Background::Manual, Background::Threads] {
        let disk = SimDisk::new();
        let engine = open(&disk, background);
        let _ = engine.commit(add()).unwrap().committed().unwrap();
        engine.checkpoint().unwrap();
        let snapshot = engine.snapshot();
        let core = engine.0.core.clone();
        // Those that are not answered at the fork never will be.
        core.sequencer.lock().led = true;
        let [waits, mut polled, dropped] = [(); 3].map(|()| engine.submit(add()));
        core.owner.pretend(true);
        lock_everything(&core);
        let (calls, clone) = (disk.io_count(), engine.clone());

        type Call = fn(&Engine) -> Result<(), Error>;
        let refused: [(&str, Call); 8] = [
            ("commit", |e| e.commit(add()).map(drop)),
            ("submit", |e| e.submit(add()).wait().map(drop)),
            ("try_submit", |e| e.try_submit(add()).map(drop)),
            ("update", |e| e.update(key("u"), &1, |_| Ok::<_, Abort>(())).map(drop)),
            ("audit", |e| e.audit().map(drop)),
            ("checkpoint", Engine::checkpoint),
            ("run_background_step", |e| e.run_background_step().map(drop)),
            ("close", |e| e.clone().close().map(drop)),
        ];
        for (what, call) in refused {
            assert_forked(call(&engine).expect_err(what), what);
        }
        assert_forked(waits.wait().unwrap_err(), "Ticket::wait");
        match Pin::new(&mut polled).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Err(error)) => assert_forked(error, "a ticket"),
            other => panic!("{other:?}"),
        }
        drop((dropped, polled));
        drop(snapshot);
        drop(clone);
        let (handles, cores) = (Arc::strong_count(&engine.0), Arc::strong_count(&core));
        assert_eq!(handles, 1);
        // The last handle in the child: nothing of the parent's is written, joined, unlocked or dropped.
        drop(engine);
        assert_eq!(Arc::strong_count(&core), cores, "what the parent uses was dropped");
        assert_eq!(disk.io_count(), calls, "the child changed the disk");
        assert!(disk.lock().is_err(), "the child gave up the parent's lock");
        // The parent's log is as it was, and what it had promised is there.
        let again = open(&disk.after_power_cut(&Choice::None), Background::Manual);
        assert_eq!(again.get(&SUMS, &1).unwrap().unwrap().value, 1);
    }
}

/// What fails in a child that reads is not damage: the parent has gone on.
#[test]
fn a_read_that_fails_in_a_child_says_why() {
    let disk = SimDisk::new();
    let engine = open(&disk, Background::Manual);
    let put = |n| Request::unkeyed().put(&SUMS, &n, &1, Expect::Any);
    let _ = engine.commit(put(1)).unwrap().committed().unwrap();
    engine.checkpoint().unwrap();
    let core = &engine.0.core;
    core.owner.pretend(true);
    let failed = crate::checkpoint::CheckpointError::Damaged { what: "another page".into() };
    assert_forked(core.checkpoint_error(failed), "reading");
    let failed = crate::checkpoint::CheckpointError::Io(std::io::ErrorKind::Other.into());
    assert_forked(core.checkpoint_error(failed), "reading");
    core.owner.pretend(false);
    assert!(core.sequencer.lock().poison.is_none());
    let _ = engine.commit(put(2)).unwrap().committed().unwrap();
    engine.close().unwrap();
}
