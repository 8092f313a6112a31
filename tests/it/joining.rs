//! Deliveries of one request at the same time: they get the same outcome when it is durable, and not before; or the same
//! uncertainty. Those who would rather be told of an earlier delivery are told.

use crate::{
    failure::held_disk::{HeldDisk, Hold, Stage},
    support::{assert_discreet, assert_healthy, key},
};
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    thread,
};
use steadfast::{
    Abort, Background, Engine, Error, ErrorKind, Expect, Keyspace, OnDuplicate, Outcome,
    OutcomeClass, Receipt, Rejection, Request, Retry, Ticket, Version,
    testing::{Choice, Disk, MemoryDisk, Repeat, SimClock, SimDisk, SimEntropy},
};

const SUMS: Keyspace<String, i64> = Keyspace::new("sums");

fn open(disk: impl Disk, background: Background) -> Engine {
    let clock = SimClock::new(1_700_000_000_000_000_000, 1_000);
    let builder = Engine::builder().clock(clock).entropy(SimEntropy::new(4)).background(background);
    builder.checkpoint_cache_bytes(1 << 20).segment_bytes(64 << 10).open_on(disk).unwrap()
}

fn add(name: &str) -> Request<String> {
    Request::new(key(name)).add(&SUMS, name, 1, 0..=1_000).result(&name.to_owned())
}

fn telling(name: &str) -> Request<String> {
    add(name).on_duplicate(OnDuplicate::Reject)
}

fn other(name: &str) -> Request {
    Request::new(key(name)).add(&SUMS, name, 2, 0..=1_000).on_duplicate(OnDuplicate::Reject)
}

fn committed<T>(outcome: Result<Outcome<T>, Error>) -> Receipt<T> {
    outcome.unwrap().committed().unwrap()
}

fn assert_told<T: std::fmt::Debug>(answer: Result<T, Error>, first: &Receipt<String>) {
    let error = answer.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::AlreadyDecided, Retry::Resolve));
    let text = error.to_string();
    assert!(text.contains("committed") && text.contains("nothing was done again"), "{text}");
    assert_discreet(&error);
    let Error::AlreadyDecided { class, seq, time } = error else { unreachable!() };
    assert_eq!((class, seq, time), (OutcomeClass::Committed, first.seq, first.time));
}

fn kind<T: std::fmt::Debug>(answer: Result<T, Error>) -> ErrorKind {
    answer.unwrap_err().kind()
}

fn is_pending<T>(ticket: &mut Ticket<T>) -> bool {
    Pin::new(ticket).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// What four deliveries by `commit` and four by `submit` got while the first was on its way to the disk, which then does as
/// it is told; the first itself is the first of them.
fn deliveries(disk: &SimDisk, then: Stage) -> Vec<Result<Outcome<String>, Error>> {
    let hold = Arc::new(Hold::default());
    let held = HeldDisk { durable: ("segments/", hold.clone()), ..HeldDisk::new(disk.clone()) };
    let engine = open(held, Background::Threads);
    assert_healthy(&engine);
    hold.set(Stage::Armed);
    let answers = thread::scope(|scope| {
        let mut callers = vec![scope.spawn(|| engine.commit(add("one")))];
        hold.await_stage(&Stage::Waiting);
        callers.extend((0..4).map(|_| scope.spawn(|| engine.commit(add("one")))));
        let mut tickets: Vec<_> = (0..4).map(|_| engine.submit(add("one"))).collect();
        // A request of its own, so that the deliveries behind it wait for another group, if they can.
        let mut own = engine.submit(add("own"));
        tickets.push(engine.submit(add("one")));
        while engine.queue().requests < 11 {
            thread::yield_now();
        }
        assert!(tickets.iter_mut().all(is_pending) && is_pending(&mut own));
        assert!(callers.iter().all(|caller| !caller.is_finished()), "told before it was durable");
        let fails = then == Stage::Failing;
        hold.set(then);
        let mut answers: Vec<_> = callers.into_iter().map(|c| c.join().unwrap()).collect();
        answers.extend(tickets.into_iter().map(Ticket::wait));
        let own = own.wait();
        assert_eq!(fails, own.is_err(), "{own:?}");
        assert_eq!(engine.queue().requests, 0);
        answers
    });
    drop(engine);
    answers
}

#[test]
fn deliveries_in_flight_get_one_outcome_when_it_is_durable() {
    let disk = SimDisk::new();
    let receipts: Vec<_> = deliveries(&disk, Stage::GoingOn).into_iter().map(committed).collect();
    assert_eq!(receipts.len(), 10);
    assert!(!receipts[0].replayed && receipts[1..].iter().all(|receipt| receipt.replayed));
    for receipt in &receipts {
        let Receipt { seq, time, result, .. } = receipt;
        assert_eq!((*seq, *time, result.as_str()), (receipts[0].seq, receipts[0].time, "one"));
    }
    let engine = open(disk.after_power_cut(&Choice::None), Background::Manual);
    assert_eq!(engine.get(&SUMS, "one").unwrap().unwrap().value, 1);
}

#[test]
fn deliveries_in_flight_share_the_failure() {
    let disk = SimDisk::new();
    let answers = deliveries(&disk, Stage::Failing);
    assert_eq!(answers.len(), 10);
    for answer in answers {
        assert_eq!(kind(answer), ErrorKind::Indeterminate);
    }
    for choice in [Choice::None, Choice::All] {
        let engine = open(disk.after_power_cut(&choice), Background::Manual);
        let there = engine.get(&SUMS, "one").unwrap().is_some();
        assert_eq!(committed(engine.commit(add("one"))).replayed, there);
        assert_eq!(engine.get(&SUMS, "one").unwrap().unwrap().value, 1);
    }
}

/// One thread, and what is handed in is written when the last delivery, a `commit`, does it.
#[test]
fn one_thread_hands_in_twice_and_commits_the_third() {
    let disk = SimDisk::new();
    let engine = open(disk.clone(), Background::Manual);
    assert_healthy(&engine);
    let mut tickets = [engine.submit(add("one")), engine.submit(add("one"))];
    let mut told = [engine.submit(telling("one")), engine.submit(telling("one"))];
    let mut reused = engine.submit(other("one"));
    assert!(tickets.iter_mut().chain(&mut told).all(is_pending) && is_pending(&mut reused));
    assert_eq!(engine.queue().requests, 5);
    let third = committed(engine.commit(add("one")));
    assert_eq!((third.replayed, engine.queue().requests), (true, 0));
    let [first, second] = tickets.map(|ticket| committed(ticket.wait()));
    assert_eq!((first.replayed, second.replayed), (false, true));
    assert_eq!((first.seq, second.seq), (third.seq, third.seq));
    told.into_iter().for_each(|ticket| assert_told(ticket.wait(), &first));
    // Another intent under the key is another intent, whatever the request asks to be told.
    assert_eq!(kind(reused.wait()), ErrorKind::KeyReused);

    // And when it fails, nobody knows: neither those who would be given the outcome nor those who would be told of it.
    for call in 1..=2 {
        let disk = disk.after_kill();
        let engine = open(disk.clone(), Background::Manual);
        committed(engine.commit(add("a segment is in use")));
        disk.fail_call(disk.io_count() + call, io::ErrorKind::Other, Repeat::Once);
        let tickets = [engine.submit(add("two")), engine.submit(telling("two"))];
        let reused = engine.submit(other("two"));
        assert_eq!(kind(engine.commit(add("two"))), ErrorKind::Indeterminate);
        for ticket in tickets {
            assert_eq!(kind(ticket.wait()), ErrorKind::Indeterminate);
        }
        assert_eq!(kind(reused.wait()), ErrorKind::Indeterminate);
        assert_eq!(kind(engine.commit(telling("two"))), ErrorKind::Indeterminate);
        assert_told(engine.commit(telling("one")), &first);
    }
}

#[test]
fn who_asks_to_be_told_is_told_wherever_the_outcome_is() {
    let disk = MemoryDisk::new();
    let mut engine = open(disk.clone(), Background::Manual);
    // The first delivery is carried out as any.
    let first = committed(engine.commit(telling("one")));
    let refusal = || Request::new(key("no")).check(&SUMS, "none", Expect::Present);
    assert!(engine.commit(refusal()).unwrap().committed().is_err());
    for round in 0..4 {
        let before = engine.durable_seq();
        assert_told(engine.commit(telling("one")), &first);
        assert_told(engine.submit(telling("one")).wait(), &first);
        assert_told(engine.try_submit(telling("one")).unwrap().wait(), &first);
        match engine.commit(refusal().on_duplicate(OnDuplicate::Reject)).unwrap_err() {
            Error::AlreadyDecided { class, seq, .. } => {
                assert_eq!((class, seq.get()), (OutcomeClass::Rejected, first.seq.get() + 1));
            }
            error => panic!("{error}"),
        }
        assert_eq!(kind(engine.commit(other("one"))), ErrorKind::KeyReused);
        // It is not part of what the key stands for.
        let again = committed(engine.commit(add("one")));
        assert_eq!((again.seq, again.replayed), (first.seq, true));
        assert_eq!(engine.durable_seq(), before, "a retry was logged");
        if round % 2 == 0 {
            engine.checkpoint().unwrap();
        } else {
            engine.close().unwrap();
            engine = open(disk.clone(), Background::Manual);
        }
    }
    // A conflict is no decision.
    let stale = || telling("stale").check(&SUMS, "one", Version::new(0));
    for _ in 0..2 {
        assert!(matches!(
            engine.commit(stale()).unwrap(),
            Outcome::Rejected(Rejection::Conflict(_))
        ));
    }
    // An update has no such choice: its receipt says whether it is a replay.
    let update = |engine: &Engine| engine.update(key("up"), &1, |_| Ok::<_, Abort>(()));
    assert!(!committed(update(&engine)).replayed && committed(update(&engine)).replayed);
    let told = serde_json::to_string(&[OutcomeClass::Committed, OutcomeClass::Rejected]).unwrap();
    assert_eq!(told, r#"["Committed","Rejected"]"#);
}

/// What is durable is told at once, whatever else is on its way.
#[test]
fn a_durable_outcome_waits_for_nobody() {
    let disk = SimDisk::new();
    let engine = open(disk, Background::Manual);
    let first = committed(engine.commit(add("one")));
    let mut waiting = engine.submit(add("two"));
    let mut again = engine.submit(add("one"));
    match Pin::new(&mut again).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => assert_eq!(committed(outcome).seq, first.seq),
        Poll::Pending => panic!("it waits for another request"),
    }
    assert!(is_pending(&mut waiting));
    assert_told(engine.commit(telling("one")), &first);
    assert_eq!(kind(engine.commit(other("one"))), ErrorKind::KeyReused);
    assert!(is_pending(&mut waiting));
    committed(waiting.wait());
}
