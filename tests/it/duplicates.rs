//! What a retry costs: while its outcome is remembered in memory, not one call of the disk.

use std::collections::VecDeque;
use steadfast::{
    Background, Engine, Expect, IdempotencyKey, Keyspace, Request, Ticket,
    testing::{SimClock, SimDisk},
};

const RECORDS: Keyspace<u64, u64> = Keyspace::new("records");
const KEYS: u64 = 100_000;

fn request(number: u64) -> Request {
    let key = IdempotencyKey::new("test", number.to_be_bytes()).unwrap();
    Request::new(key).put(&RECORDS, &number, &number, Expect::Absent)
}

/// An engine that remembers `KEYS` outcomes, all of them in memory.
fn loaded(disk: &SimDisk) -> Engine {
    let clock = SimClock::new(1_700_000_000_000_000_000, 1_000);
    let builder = Engine::builder().clock(clock).background(Background::Manual);
    let engine = builder.memtable_limit_bytes(1 << 30).open_on(disk.clone()).unwrap();
    let mut tickets: VecDeque<Ticket> = VecDeque::new();
    for number in 0..KEYS {
        if tickets.len() == 4096 {
            while engine.run_background_step().unwrap() {}
            tickets.drain(..).for_each(|ticket| drop(ticket.wait().unwrap().committed().unwrap()));
        }
        tickets.push_back(engine.submit(request(number)));
    }
    tickets.into_iter().for_each(|ticket| drop(ticket.wait().unwrap().committed().unwrap()));
    engine
}

fn assert_replayed(engine: &Engine, number: u64) {
    let committed = engine.commit(request(number)).unwrap().committed().unwrap();
    let submitted = engine.submit(request(number)).wait().unwrap().committed().unwrap();
    assert!(committed.replayed && submitted.replayed, "request {number} was carried out again");
    assert_eq!(committed.seq, submitted.seq);
}

#[test]
fn the_last_hundred_thousand_are_answered_again_without_the_disk() {
    let disk = SimDisk::new();
    let engine = loaded(&disk);
    let calls = |disk: &SimDisk| (disk.io_count(), disk.read_count());
    let (before, seq) = (calls(&disk), engine.durable_seq());
    (0..KEYS).for_each(|number| assert_replayed(&engine, number));
    assert_eq!(calls(&disk), before, "calls that change something, and others");
    assert_eq!(engine.durable_seq(), seq);
    // The counters count: one that is new is written.
    engine.commit(request(KEYS)).unwrap().committed().unwrap();
    assert!(calls(&disk) > before);

    // From the checkpoint it may be read, and nothing is written.
    engine.checkpoint().unwrap();
    let (before, seq) = (disk.io_count(), engine.durable_seq());
    (0..KEYS).step_by(97).for_each(|number| assert_replayed(&engine, number));
    assert_eq!((disk.io_count(), engine.durable_seq()), (before, seq));
}
