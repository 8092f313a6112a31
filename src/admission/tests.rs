//! Decisions, on a state of a few maps.

mod across;
mod ages;
mod effects;
mod limits;
mod memory;
mod order;
mod sums;

use super::*;
use crate::{
    admission::{evaluation::decode_number, window::differs},
    base::{
        Action, Expect, Fingerprint, IdempotencyKey, KeyspaceDefinition, KeyspaceIdentity,
        Operation, Read, StoredOutcome,
    },
    format::keyspace,
    state::draft::Draft,
};
use std::collections::BTreeMap;

/// The shape of byte keys.
const SHAPE: &[u8] = &[0x32];
/// Raw values; a number is eight bytes.
const RAW: u8 = 0;

/// The newest applied state.
#[derive(Clone, Default)]
struct State {
    records: BTreeMap<(KeyspaceId, Bytes), Row>,
    window: BTreeMap<Bytes, Arc<WindowRow>>,
    control: Control,
    /// Bytes that are remembered for a scope, all of them in generation 0.
    scope: u64,
    applied: u64,
    /// Numbers of keyspaces that were given out before.
    numbered: u32,
}

impl Records for State {
    type Error = Infallible;

    fn record(&self, keyspace: KeyspaceId, key: &[u8]) -> Result<Option<Row>, Infallible> {
        Ok(self.records.get(&(keyspace, key.into())).cloned())
    }
}

impl View for State {
    fn window(&self, key: &IdempotencyKey) -> Option<Remembered> {
        self.control.recall_row(self.window.get(key.as_bytes())?.clone())
    }

    fn control(&self) -> &Control {
        &self.control
    }

    fn scope_bytes(&self, first: u32, _: &[u8]) -> u64 {
        if first == 0 { self.scope } else { 0 }
    }

    fn keyspace(&self, name: &[u8]) -> Option<KeyspaceDefinition> {
        let row = self.records.get(&(KeyspaceId::DIRECTORY, name.into()))?;
        keyspace::decode(&row.value)
    }

    fn next_keyspace(&self) -> KeyspaceId {
        let defined = self.records.keys().filter(|(id, _)| *id == KeyspaceId::DIRECTORY).count();
        KeyspaceId::new((self.numbered + defined as u32).saturating_add(1))
    }
}

static NO_RULES: rules::RuleBook = rules::RuleBook::new();

impl State {
    fn at(&self) -> At<'static> {
        let (applied, next) = (SeqNo::new(self.applied), SeqNo::new(self.applied + 1));
        let policy = Policy {
            retention: Retention { whole: u64::MAX, stubs: u64::MAX },
            window_limit: u64::MAX,
            scope_limit: u64::MAX,
            time_ordered: false,
        };
        At {
            applied,
            next,
            time: LogTime::new(1000 + self.applied),
            writable: true,
            late: false,
            policy,
            rules: &NO_RULES,
            unrecorded: None,
        }
    }

    /// Decides, and applies what is to go into the log.
    fn decide(&mut self, request: &RequestData) -> Decision {
        let decision = admit(request.clone(), self, self.at());
        if let Decision::Append(admitted) = &decision {
            self.apply(admitted);
        }
        decision
    }

    fn apply(&mut self, Admitted { entry, changes, .. }: &Admitted) {
        for Change { keyspace, key, old, new } in changes.iter().cloned() {
            assert_eq!(self.record(keyspace, &key), Ok(old));
            match new {
                Some(row) => drop(self.records.insert((keyspace, key), row)),
                None => drop(self.records.remove(&(keyspace, key))),
            }
        }
        if let Some((key, fingerprint)) = &entry.key {
            let (seq, time, outcome) = (entry.seq, entry.time, entry.outcome.clone());
            let row = WindowRow { fingerprint: *fingerprint, seq, time, outcome };
            self.window.insert(key.as_bytes().clone(), Arc::new(row));
        }
        self.applied = entry.seq.get();
    }

    /// The entry a request becomes; it must be one.
    fn append(&mut self, request: &RequestData) -> Admitted {
        match self.decide(request) {
            Decision::Append(admitted) => admitted,
            other => panic!("{other:?}"),
        }
    }

    fn commit(&mut self, request: &RequestData) -> Entry {
        let entry = self.append(request).entry;
        assert!(matches!(entry.outcome, StoredOutcome::Committed(_)), "{:?}", entry.outcome);
        entry
    }

    /// A state in which the keyspace "a" holds "there", written by entry 1, and "number", by entry 2.
    fn sample() -> Self {
        let mut state = Self::default();
        state.commit(&request(None).put("there", b"v"));
        state.commit(&request(None).add("number", 5, 0, 10));
        state
    }

    fn row(&self, key: &str) -> Option<&Row> {
        let id = View::keyspace(self, b"a")?.id;
        self.records.get(&(id, key.as_bytes().into()))
    }

    fn number(&self, key: &str) -> Option<i64> {
        decode_number(&identity("a"), self.row(key)?)
    }
}

fn identity(name: &str) -> KeyspaceIdentity {
    KeyspaceIdentity::stored(name.as_bytes().into(), SHAPE.into(), RAW, 1)
}

fn fingerprint(intent: u8) -> Fingerprint {
    let kind = Fingerprint::INTENT;
    Fingerprint { hash: [intent; 32], kind, operations: 0, expectations: 0 }
}

/// A request on the keyspace "a", under a key if there is one.
fn request(key: Option<&str>) -> RequestData {
    let key = key.map(|key| (IdempotencyKey::new("test", key).unwrap(), fingerprint(1)));
    RequestData {
        key,
        keyspaces: vec![identity("a")],
        operations: Vec::new(),
        reads: Vec::new(),
        call: None,
        actor: b"me".as_slice().into(),
        correlation: Bytes::new(),
        verdict: Verdict::Commit(b"done".as_slice().into()),
    }
}

impl RequestData {
    fn operation(mut self, keyspace: u16, key: &str, expect: Expect, action: Action) -> Self {
        let key = key.as_bytes().into();
        self.operations.push(Operation { keyspace, key, expect, action });
        self
    }

    fn put(self, key: &str, value: &[u8]) -> Self {
        self.put_if(key, value, Expect::Any)
    }

    fn put_if(self, key: &str, value: &[u8], expect: impl Into<Expect>) -> Self {
        self.operation(0, key, expect.into(), Action::Put(value.into()))
    }

    fn delete(self, key: &str) -> Self {
        self.operation(0, key, Expect::Any, Action::Delete)
    }

    fn check(self, key: &str, expect: impl Into<Expect>) -> Self {
        self.operation(0, key, expect.into(), Action::Check)
    }

    fn add(self, key: &str, delta: i64, min: i64, max: i64) -> Self {
        let action = Action::Add { delta, min, max, sum: Bytes::new() };
        self.operation(0, key, Expect::Any, action)
    }

    fn read(mut self, key: &str, seen: Option<u64>) -> Self {
        let key = key.as_bytes().into();
        self.reads.push(Read { keyspace: 0, key, seen: seen.map(Version::new) });
        self
    }

    /// Adds a keyspace and gives its position.
    fn keyspace(&mut self, identity: KeyspaceIdentity) -> u16 {
        self.keyspaces.push(identity);
        self.keyspaces.len() as u16 - 1
    }
}

fn version(number: u64) -> Version {
    Version::new(number)
}
