//! Books that can't find anything wrong prove nothing: each law broken once.

use super::*;
use crate::{
    Version,
    testing::model::{Action, Operation},
};

fn put(name: u64, key: u32, expect: Expect) -> Order {
    let action = Action::Put(name as i64);
    Order { name: Some(name), operations: vec![Operation { key, expect, action }], result_bytes: 4 }
}

fn committed(order: &Order, seq: u64, replayed: bool) -> Answer {
    Answer::Committed { seq: SeqNo::new(seq), time: 5, replayed, result: order.result() }
}

fn seq(number: u64) -> SeqNo {
    SeqNo::new(number)
}

/// Books in which `put(1)` is entry 1.
fn begun() -> Books {
    let mut books = Books::default();
    let order = put(1, 0, Expect::Any);
    deliver(&mut books, 1, &order, 0, 1, committed(&order, 1, false)).unwrap();
    books
}

fn deliver(
    books: &mut Books,
    id: u64,
    order: &Order,
    before: u64,
    after: u64,
    answer: Answer,
) -> Result<(), Problem> {
    books.hear(Line::Begins { id, durable: seq(before), order: order.clone() })?;
    books.hear(Line::Answered { id, durable: seq(after), answer })
}

fn opened(epoch: u64, applied: u64, digest: &str) -> Line {
    let (epoch, applied, digest) = (Epoch::new(epoch), seq(applied), digest.to_owned());
    Line::Opened(Opened { epoch, applied, digest, torn: false, micros: 0 })
}

fn settled(books: &mut Books) -> Result<(), Problem> {
    books.fold(seq(u64::MAX - 1))?;
    books.settle()
}

#[test]
fn what_is_right_is_right() {
    let mut books = begun();
    let order = put(2, 0, Expect::Version(Version::new(1)));
    deliver(&mut books, 2, &order, 1, 2, committed(&order, 2, false)).unwrap();
    deliver(&mut books, 3, &order, 2, 2, committed(&order, 2, true)).unwrap();
    // Refused by what entry 1 wrote, which entry 2 has written over by the time of the answer.
    let late = put(3, 0, Expect::Absent);
    deliver(&mut books, 4, &late, 1, 2, Answer::Unmet(Some(Version::new(1)))).unwrap();
    let stale = put(4, 0, Expect::Version(Version::new(1)));
    deliver(&mut books, 5, &stale, 2, 2, Answer::Conflict(Some(Version::new(2)))).unwrap();
    // In doubt, and carried out.
    let doubtful = put(5, 1, Expect::Any);
    books.hear(Line::Begins { id: 6, durable: seq(2), order: doubtful.clone() }).unwrap();
    books.died();
    assert_eq!(books.doubtful(), std::slice::from_ref(&doubtful));
    books.hear(opened(1, 4, "a")).unwrap();
    books.hear(opened(2, 4, "a")).unwrap();
    books.answered_here(&doubtful, seq(4), seq(4), committed(&doubtful, 4, true)).unwrap();
    settled(&mut books).unwrap();
    assert!(books.doubtful().is_empty());
    let counts = (books.summary.commits, books.summary.replays, books.summary.refused_requests);
    assert_eq!(counts, (2, 1, 2));
    assert_eq!((books.summary.in_doubt, books.summary.in_doubt_carried_out), (1, 1));
}

#[test]
fn a_lost_entry_is_noticed() {
    let error = begun().hear(opened(1, 0, "a")).unwrap_err();
    assert_eq!(error.kind, crate::testing::crash::Kind::Loss);
    // Acknowledged, and taken for another.
    let mut books = begun();
    let order = put(1, 0, Expect::Any);
    assert!(books.answered_here(&order, seq(1), seq(2), committed(&order, 2, false)).is_err());
}

#[test]
fn a_state_that_changes_by_itself_is_noticed() {
    let mut books = begun();
    books.hear(opened(1, 1, "a")).unwrap();
    assert!(books.hear(opened(2, 1, "b")).is_err());
}

#[test]
fn a_number_of_an_opening_that_comes_again_is_noticed() {
    let mut books = begun();
    books.hear(opened(2, 1, "a")).unwrap();
    // Nothing was written under it.
    books.hear(opened(2, 1, "a")).unwrap();
    let order = put(2, 0, Expect::Any);
    deliver(&mut books, 2, &order, 1, 2, committed(&order, 2, false)).unwrap();
    assert!(books.hear(opened(2, 2, "b")).is_err());
    let mut books = begun();
    books.hear(opened(2, 1, "a")).unwrap();
    assert!(books.hear(opened(1, 1, "a")).is_err());
}

#[test]
fn another_answer_to_a_retry_is_noticed() {
    let order = put(1, 0, Expect::Any);
    for answer in [
        committed(&order, 2, true),
        committed(&order, 1, false),
        committed(&put(2, 0, Expect::Any), 1, true),
        Answer::Unmet(None),
        Answer::Conflict(None),
    ] {
        let told = deliver(&mut begun(), 2, &order, 1, 2, answer.clone());
        assert!(told.is_err(), "{answer:?}");
    }
}

#[test]
fn a_number_that_is_taken_or_out_of_place_is_noticed() {
    let order = put(2, 1, Expect::Any);
    for (before, after, number) in [(1, 2, 1), (1, 2, 3), (2, 2, 2)] {
        let told =
            deliver(&mut begun(), 2, &order, before, after, committed(&order, number, false));
        assert!(told.is_err(), "{before} {after} {number}");
    }
}

#[test]
fn a_write_over_another_version_is_noticed() {
    let mut books = begun();
    for (id, name) in [(2, 2), (3, 3)] {
        let order = put(name, 0, Expect::Version(Version::new(1)));
        deliver(&mut books, id, &order, 1, 3, committed(&order, name, false)).unwrap();
    }
    assert!(settled(&mut books).is_err());
}

#[test]
fn a_refusal_without_a_reason_is_noticed() {
    let mut books = begun();
    deliver(&mut books, 2, &put(2, 0, Expect::Present), 1, 1, Answer::Unmet(None)).unwrap();
    assert!(settled(&mut books).is_err());
}

#[test]
fn a_version_that_was_shown_and_is_gone_is_noticed() {
    let mut books = begun();
    let order = put(2, 0, Expect::Version(Version::new(9)));
    deliver(&mut books, 2, &order, 1, 1, Answer::Conflict(Some(Version::new(1)))).unwrap();
    let error = settled(&mut books).unwrap_err();
    assert_eq!(error.kind, crate::testing::crash::Kind::Loss);
}
