//! Invariants across records: in which order they are judged, on what, and what comes of rows that are not at hand.

use super::*;
use crate::{
    admission::rules::{CrossInvariant, Enforcement, Look, Lookup, Missing, Unread, Violation},
    codec::Keyspace,
};
use std::{cell::RefCell, collections::BTreeSet};

const ITEMS: Keyspace<u8, Bytes> = Keyspace::raw("items");
const PARTS: Keyspace<u8, Bytes> = Keyspace::raw("parts");

type Rule = CrossInvariant<u8, Bytes>;

fn keyspaces() -> Vec<KeyspaceIdentity> {
    vec![ITEMS.identity(), PARTS.identity()]
}

/// An item is whole, by a rule of this name, while its part is there and says so.
fn whole(name: &'static str, marked: u8) -> Rule {
    let holds = move |look: &mut Look<'_>, key: &u8, _: &Bytes| -> Result<(), Violation> {
        let part = look.get(&PARTS, key)?;
        if part.is_some_and(|part| part.value.contains(&marked)) {
            Ok(())
        } else {
            Err(Violation::new(name))
        }
    };
    CrossInvariant::new(name, &ITEMS, holds).touched_by(&PARTS, |key, _| [*key])
}

fn book(rules: impl IntoIterator<Item = Rule>) -> RuleBook {
    let mut book = RuleBook::new();
    rules.into_iter().for_each(|rule| book.add_across(Arc::new(rule)));
    book
}

/// A request that puts items, and parts with marks.
fn changes(items: &[u8], parts: &[(u8, &[u8])]) -> RequestData {
    let mut request = RequestData { keyspaces: keyspaces(), ..request(None) };
    let put = |keyspace, key: u8, value: &[u8]| Operation {
        keyspace,
        key: Bytes::copy_from_slice(&[key]),
        expect: Expect::Any,
        action: Action::Put(value.into()),
    };
    request.operations.extend(items.iter().map(|key| put(0, *key, b"item")));
    request.operations.extend(parts.iter().map(|(key, marks)| put(1, *key, marks)));
    request
}

fn removes(key: u8) -> RequestData {
    let mut request = RequestData { keyspaces: keyspaces(), ..request(None) };
    let (key, expect) = (Bytes::copy_from_slice(&[key]), Expect::Any);
    request.operations.push(Operation { keyspace: 1, key, expect, action: Action::Delete });
    request
}

/// Some records with all marks.
fn state() -> State {
    let mut state = State::default();
    state.commit(&changes(&[1, 2, 3], &[(1, b"abc"), (2, b"abc"), (3, b"abc")]));
    state
}

fn judged(state: &State, rules: &RuleBook, request: RequestData) -> Result<Vec<Monitored>, String> {
    match admit(request, state, At { rules, ..state.at() }) {
        Decision::Append(admitted) => Ok(admitted.monitored),
        Decision::Rejected(StoredRejection::Broken { keyspace, key, broken, .. }) => {
            assert_eq!(keyspace.as_ref(), b"items");
            Err(format!("{} of {}", String::from_utf8_lossy(&broken.invariant), key[0]))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_by_name_and_then_by_anchor_is_the_answer() {
    let state = state();
    let rules = book([whole("c", b'c'), whole("a", b'a'), whole("b", b'b')]);
    let check = |parts: &[(u8, &[u8])]| judged(&state, &rules, changes(&[], parts));
    assert_eq!(check(&[(3, b"abc"), (1, b"cba")]), Ok(vec![]));
    assert_eq!(check(&[(3, b"bc"), (1, b"ab"), (2, b"c")]), Err("a of 2".into()));
    assert_eq!(check(&[(3, b"bc"), (1, b"ab")]), Err("a of 3".into()));
    assert_eq!(check(&[(2, b"ab"), (1, b"ac")]), Err("b of 1".into()));
    assert_eq!(check(&[(2, b"ab"), (1, b"ab")]), Err("c of 1".into()));
    // What has no anchor is nobody's business.
    assert_eq!(check(&[(9, b"")]), Ok(vec![]));
    assert_eq!(judged(&state, &rules, changes(&[9], &[])), Err("a of 9".into()));
}

#[test]
fn records_are_looked_at_as_they_are_after_the_request() {
    let state = state();
    let rules = book([whole("a", b'a')]);
    assert_eq!(judged(&state, &rules, changes(&[7], &[(7, b"a")])), Ok(vec![]));
    assert_eq!(judged(&state, &rules, removes(2)), Err("a of 2".into()));
    let mut both = removes(2);
    both.operations.push(Operation { keyspace: 0, ..both.operations[0].clone() });
    assert_eq!(judged(&state, &rules, both), Ok(vec![]));
    // On an empty database the request defines the keyspaces that it writes.
    let none = State::default();
    assert_eq!(judged(&none, &rules, changes(&[7], &[(7, b"a")])), Ok(vec![]));
    assert_eq!(judged(&none, &rules, changes(&[7], &[])), Err("a of 7".into()));
    assert_eq!(judged(&none, &rules, removes(7)), Ok(vec![]));
}

#[test]
fn what_is_monitored_is_noted_once_for_each_anchor_and_refuses_nothing() {
    let state = state();
    let watched = |name, mark| whole(name, mark).enforcement(Enforcement::Monitor);
    let rules = book([watched("a", b'a'), watched("b", b'b'), whole("c", b'c')]);
    let request = || changes(&[1], &[(2, b"c"), (1, b"ac")]);
    let noted = judged(&state, &rules, request()).unwrap();
    let noted: Vec<_> =
        noted.iter().map(|noted| (noted.invariant, noted.key.as_ref().unwrap()[0])).collect();
    assert_eq!(noted, [("a", 2), ("b", 1), ("b", 2)]);
    // Nothing is counted of what is refused after all.
    let refused = judged(&state, &rules, changes(&[], &[(1, b"")]));
    assert_eq!(refused, Err("c of 1".into()));
}

/// A state of which only some rows are in memory.
struct Partly {
    state: State,
    warm: RefCell<BTreeSet<(KeyspaceId, Bytes)>>,
}

impl Records for Partly {
    type Error = Infallible;

    fn record(&self, keyspace: KeyspaceId, key: &[u8]) -> Result<Option<Row>, Infallible> {
        self.state.record(keyspace, key)
    }
}

impl View for Partly {
    fn window(&self, key: &IdempotencyKey) -> Option<Remembered> {
        self.state.window(key)
    }

    fn control(&self) -> &Control {
        &self.state.control
    }

    fn scope_bytes(&self, first: u32, scope: &[u8]) -> u64 {
        self.state.scope_bytes(first, scope)
    }

    fn keyspace(&self, name: &[u8]) -> Option<KeyspaceDefinition> {
        View::keyspace(&self.state, name)
    }

    fn next_keyspace(&self) -> KeyspaceId {
        self.state.next_keyspace()
    }

    fn at_hand(&self, keyspace: KeyspaceId, key: &[u8]) -> Option<Option<Row>> {
        let warm = self.warm.borrow().contains(&(keyspace, key.into()));
        warm.then(|| self.state.record(keyspace, key).unwrap())
    }
}

/// The disk: it has everything, and what was read of it is warm.
struct Disk<'a>(&'a Partly);

impl Lookup for Disk<'_> {
    fn definition(&self, name: &[u8]) -> Option<KeyspaceDefinition> {
        View::keyspace(self.0, name)
    }

    fn row(&mut self, keyspace: KeyspaceId, key: &Bytes) -> Result<Option<Row>, Missing> {
        self.0.warm.borrow_mut().insert((keyspace, key.clone()));
        Ok(self.0.state.record(keyspace, key).unwrap())
    }
}

#[test]
fn what_is_not_at_hand_ends_it_and_is_read_by_one_rehearsal() {
    let partly = Partly { state: state(), warm: RefCell::default() };
    // A chain: each part that is read leads to the next.
    let chain = |look: &mut Look<'_>, key: &u8, _: &Bytes| {
        for key in *key..4 {
            // Code that makes nothing of it decides nothing.
            let part: Result<_, Unread> = look.get(&PARTS, &key);
            if part.is_ok_and(|part| part.is_none()) {
                return Err(Violation::new("a gap"));
            }
        }
        Ok(())
    };
    let of = |key: &u8, _: &Bytes| 0..=*key;
    let rules = book([CrossInvariant::new("chain", &ITEMS, chain).touched_by(&PARTS, of)]);
    let at = || At { rules: &rules, ..partly.state.at() };
    let Decision::Cold(cold) = admit(removes(2), &partly, at()) else { panic!("it is cold") };
    assert_eq!(partly.warm.borrow().len(), 0);
    cold.rehearse(&rules, &mut Disk(&partly));
    // The anchors 0 to 2, of which the first is not there; and the parts from 1 on but for 2, which the request removes: there it ends.
    assert_eq!(partly.warm.borrow().len(), 3);
    let decision = admit(cold.into_request(), &partly, at());
    let Decision::Rejected(StoredRejection::Broken { key, .. }) = decision else {
        panic!("{decision:?}")
    };
    assert_eq!(key[0], 1);
}

#[test]
fn a_request_on_other_keyspaces_asks_no_rule() {
    let rules = book([whole("a", b'a')]);
    let partly = Partly { state: state(), warm: RefCell::default() };
    let at = At { rules: &rules, ..partly.state.at() };
    let decision = admit(request(None).put("x", b"1"), &partly, at);
    assert!(matches!(decision, Decision::Append(_)), "{decision:?}");
}
