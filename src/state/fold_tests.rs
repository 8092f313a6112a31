use super::*;
use crate::{
    base::{
        self, Action, Bytes, Expect, Fingerprint, IdempotencyKey, KeyspaceIdentity, KeyspaceRef,
        Operation, Recorded, RuleKind, RuleMark, RuleName, RuleSet, StoredOutcome, StoredRejection,
        Totals, Version,
    },
    format::{bytes::Reader, entry},
    state::draft::Draft,
};
use proptest::{collection::vec, prelude::*};
use std::convert::Infallible;

type Rows = BTreeMap<(KeyspaceId, Bytes), Row>;
const UUID: u128 = 7;

/// One step: an entry to fold, or a checkpoint that takes over what the memtables held.
#[derive(Clone, Debug)]
enum Step {
    Entry { key: Option<u8>, refused: bool, changes: Vec<(u8, u8, Mutation)>, schema: u32 },
    Freeze,
    Checkpoint,
}

#[derive(Clone, Debug)]
enum Mutation {
    Put(u8),
    Delete,
    Add(u8),
    Check,
}

fn step() -> impl Strategy<Value = Step> {
    let mutation = prop_oneof![
        3 => any::<u8>().prop_map(Mutation::Put),
        2 => Just(Mutation::Delete),
        1 => any::<u8>().prop_map(Mutation::Add),
        1 => Just(Mutation::Check),
    ];
    let changes = vec((0..3u8, 0..5u8, mutation), 0..5);
    let entry = (prop::option::of(any::<u8>()), prop::bool::weighted(0.2), changes, 1..3u32)
        .prop_map(|(key, refused, changes, schema)| Step::Entry { key, refused, changes, schema });
    prop_oneof![12 => entry, 1 => Just(Step::Freeze), 1 => Just(Step::Checkpoint)]
}

/// What a checkpoint holds.
#[derive(Clone, Default)]
struct Base(Rows);

impl Records for Base {
    type Error = Infallible;

    fn record(&self, keyspace: KeyspaceId, key: &[u8]) -> Result<Option<Row>, Infallible> {
        Ok(self.0.get(&(keyspace, key.into())).cloned())
    }
}

/// A fold, and beside it the state worked out in the plainest way.
struct Pair {
    fold: Fold,
    base: Base,
    rows: Rows,
    window: BTreeMap<Bytes, WindowRow>,
}

fn empty() -> Fold {
    Fold {
        settled: Arc::new(RwLock::new(Filters::new(usize::MAX))),
        control: Control::default(),
        scopes: None,
        active: Arc::default(),
        frozen: None,
        registry: Arc::default(),
        counts: BTreeMap::new(),
        digest: StateDigest::default(),
        hasher: RowHasher::new(UUID),
        applied: SeqNo::new(0),
        time: LogTime::new(0),
    }
}

impl Pair {
    fn new() -> Self {
        let (base, rows, window) = (Base::default(), Rows::new(), BTreeMap::new());
        Self { fold: empty(), base, rows, window }
    }

    /// Folds an entry; an idempotency key is given once only.
    fn apply(&mut self, entry: &Entry) {
        let over = Over { fold: &self.fold, base: &self.base };
        let Ok(changes) = Draft::changes(entry, &over);
        self.fold.apply(entry, changes, Horizon { durable: entry.seq, snapshots: &[] });
        if let StoredOutcome::Committed(_) = entry.outcome {
            play(&mut self.rows, entry);
        }
        if let Some((key, fingerprint)) = &entry.key {
            let (fingerprint, outcome) = (*fingerprint, entry.outcome.clone());
            let row = WindowRow { fingerprint, seq: entry.seq, time: entry.time, outcome };
            assert_eq!(self.window.insert(key.as_bytes().clone(), row), None);
        }
    }

    fn step(&mut self, step: &Step, number: usize) -> Option<Entry> {
        match step {
            Step::Entry { key, refused, changes, schema } => {
                let seq = SeqNo::new(number as u64 * 3 + 1);
                let made = self.entry(seq, *key, *refused, changes, *schema);
                self.apply(&made);
                Some(made)
            }
            Step::Freeze => {
                if self.fold.frozen.is_none() {
                    self.fold.frozen = Some(std::mem::take(&mut self.fold.active));
                }
                None
            }
            Step::Checkpoint => {
                if let Some(frozen) = self.fold.frozen.take() {
                    self.settle(&frozen);
                }
                None
            }
        }
    }

    fn settle(&mut self, frozen: &Memtable) {
        frozen.frozen(|frozen| {
            for (keyspace, key, row) in frozen.records() {
                let place = (keyspace, Bytes::from(key));
                match row {
                    Some(row) => drop(self.base.0.insert(place, row.clone())),
                    None => drop(self.base.0.remove(&place)),
                }
            }
        });
    }

    /// An entry as admission makes it: it defines a keyspace that is new, and raises a schema number.
    fn entry(
        &self,
        seq: SeqNo,
        key: Option<u8>,
        refused: bool,
        changes: &[(u8, u8, Mutation)],
        schema: u32,
    ) -> Entry {
        let keyspaces = (0..3u8).map(|n| self.keyspace(n, schema, refused, changes)).collect();
        let operation = |(keyspace, key, mutation): &(u8, u8, Mutation)| Operation {
            keyspace: (*keyspace).into(),
            key: [*key].as_slice().into(),
            expect: Expect::Any,
            action: action(mutation),
        };
        let outcome = match refused {
            true => StoredOutcome::Rejected(StoredRejection::Procedure(Bytes::new())),
            false => StoredOutcome::Committed([key.unwrap_or(0)].as_slice().into()),
        };
        let fingerprint = Fingerprint { hash: [1; 32], kind: 1, operations: 0, expectations: 0 };
        let key = key.map(|key| IdempotencyKey::new([key], seq.get().to_le_bytes()).unwrap());
        Entry {
            seq,
            time: LogTime::new(seq.get() * 10),
            key: key.map(|key| (key, fingerprint)),
            steps: Vec::new(),
            keyspaces,
            operations: changes.iter().map(operation).collect(),
            reads: Vec::new(),
            call: None,
            totals: Vec::new(),
            actor: [seq.get() as u8].as_slice().into(),
            correlation: Bytes::new(),
            outcome,
        }
    }

    fn keyspace(
        &self,
        n: u8,
        schema: u32,
        refused: bool,
        changes: &[(u8, u8, Mutation)],
    ) -> KeyspaceRef {
        let name = Bytes::from([b'a' + n].as_slice());
        let writes = !refused
            && changes.iter().any(|(keyspace, _, mutation)| {
                *keyspace == n && matches!(mutation, Mutation::Put(_) | Mutation::Add(_))
            });
        let known = self.fold.keyspace(&name);
        let id = match (&known, writes) {
            (Some(known), _) => known.id,
            (None, true) => KeyspaceId::new(u32::from(n) + 1),
            (None, false) => KeyspaceId::NONE,
        };
        let schema = schema.max(known.as_ref().map_or(0, |known| known.schema));
        let named = known.is_none_or(|known| writes && schema > known.schema);
        let identity =
            named.then(|| KeyspaceIdentity::stored(name, Bytes::from_static(&[0x32]), 0, schema));
        KeyspaceRef { id, schema, identity }
    }

    /// Compares everything the fold keeps with what the plain state gives.
    fn check(&mut self) {
        let mut hasher = RowHasher::new(UUID);
        let (mut digest, mut counts) = (StateDigest::default(), BTreeMap::new());
        for ((keyspace, key), row) in &self.rows {
            digest.add(hasher.record(*keyspace, key, row));
            *counts.entry(*keyspace).or_insert(0) += 1;
        }
        for (key, row) in &self.window {
            digest.add(hasher.window(key, row));
        }
        assert_eq!(self.fold.digest, digest);
        self.fold.counts.retain(|_, count| *count > 0);
        assert_eq!(self.fold.counts, counts);
        let over = Over { fold: &self.fold, base: &self.base };
        for keyspace in 0..4 {
            let keys = (0..5u8).map(|key| vec![key]).chain((b'a'..=b'c').map(|name| vec![name]));
            for key in keys {
                let place = (KeyspaceId::new(keyspace), Bytes::from(key));
                let row = self.rows.get(&place).cloned();
                assert_eq!(over.record(place.0, &place.1), Ok(row));
            }
        }
    }
}

fn action(mutation: &Mutation) -> Action {
    match mutation {
        Mutation::Put(value) => Action::Put([*value].as_slice().into()),
        Mutation::Delete => Action::Delete,
        Mutation::Add(sum) => {
            Action::Add { delta: 1, min: 0, max: 9, sum: [*sum].as_slice().into() }
        }
        Mutation::Check => Action::Check,
    }
}

/// Plays a committed entry on plain rows.
fn play(rows: &mut Rows, entry: &Entry) {
    for keyspace in &entry.keyspaces {
        let KeyspaceRef { id, schema, identity: Some(identity) } = keyspace else { continue };
        if *id == KeyspaceId::NONE {
            continue;
        }
        let (shape, codec) = (identity.shape.clone(), identity.codec);
        let definition = KeyspaceDefinition { id: *id, shape, codec, schema: *schema };
        let value = keyspace::encode(&definition);
        put(rows, entry, (KeyspaceId::DIRECTORY, identity.name.clone()), value, 1);
    }
    for operation in &entry.operations {
        let KeyspaceRef { id, schema, .. } = &entry.keyspaces[usize::from(operation.keyspace)];
        let place = (*id, operation.key.clone());
        match &operation.action {
            Action::Put(value) | Action::Add { sum: value, .. } => {
                put(rows, entry, place, value.clone(), *schema)
            }
            Action::Delete => drop(rows.remove(&place)),
            Action::Check => {}
        }
    }
}

fn put(rows: &mut Rows, entry: &Entry, place: (KeyspaceId, Bytes), value: Bytes, schema: u32) {
    let version = Version::from(entry.seq);
    let created = rows.get(&place).map_or(version, |row| row.created);
    let (time, actor) = (entry.time, entry.actor.clone());
    rows.insert(place, Row { value, schema, version, created, time, actor });
}

proptest! {
    // What Miri would take minutes for is smaller.
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 128 }))]

    #[test]
    fn the_fold_is_the_plain_state(steps in vec(step(), 0..40)) {
        let mut pair = Pair::new();
        let mut log = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            log.extend(pair.step(step, number));
            pair.check();
        }
        // Replayed from its bytes, in one go, without any checkpoint.
        let mut again = Pair::new();
        for written in &log {
            let mut body = Vec::new();
            entry::encode(written, &mut body);
            let read = entry::decode(&mut Reader::new(&body), written.seq).unwrap();
            again.apply(&read);
        }
        again.check();
        prop_assert_eq!(again.fold.digest, pair.fold.digest);
        prop_assert_eq!(&again.fold.counts, &pair.fold.counts);
        prop_assert_eq!((again.fold.applied, again.fold.time), (pair.fold.applied, pair.fold.time));
        prop_assert_eq!(&again.rows, &pair.rows);
        for (key, row) in &pair.window {
            let remembered = again.fold.window(&IdempotencyKey::from_bytes(key.clone()).unwrap());
            prop_assert_eq!(remembered, Some(Some(Remembered::Row(Arc::new(row.clone())))));
        }
    }
}

fn rules(totals: &[(&'static str, i128)]) -> Recorded {
    let name = |name: &'static str| Bytes::from_static(name.as_bytes());
    let mark = RuleMark { version: 1, severity: 0, enforcement: 0, details: [7; 16] };
    let rule = |kind, rule| (RuleName { kind, keyspace: name("k"), name: name(rule) }, mark);
    let kept = totals.iter().map(|(total, _)| rule(RuleKind::Total, total));
    let set: RuleSet = kept.chain([rule(RuleKind::Guard, "guard")]).collect();
    let totals: Totals = totals.iter().map(|(total, value)| (name(total), *value)).collect();
    Recorded { set: set.into(), totals: totals.into() }
}

/// An entry that does nothing but this.
fn about_rules(seq: u64, rules: Option<Recorded>, totals: &[(&'static str, i128)]) -> Entry {
    let totals = totals.iter().map(|(name, value)| (Bytes::from_static(name.as_bytes()), *value));
    Entry {
        steps: rules.map(base::Step::Rules).into_iter().collect(),
        totals: totals.collect(),
        ..Pair::new().entry(SeqNo::new(seq), None, false, &[], 1)
    }
}

#[test]
fn rules_and_totals_are_rows_of_the_digest() {
    let mut pair = Pair::new();
    let mut hasher = RowHasher::new(UUID);
    let mut due = |totals: &[(&'static str, i128)]| {
        let control = Control { rules: rules(totals), ..Control::default() };
        let rows = control.rules.set.len() + totals.len();
        (StateDigest(hasher.control(&control)), rows)
    };
    pair.apply(&about_rules(1, Some(rules(&[("a", 5), ("b", -1)])), &[]));
    assert_eq!((pair.fold.digest, 5), due(&[("a", 5), ("b", -1)]));
    pair.apply(&about_rules(2, None, &[("b", i128::MIN)]));
    assert_eq!((pair.fold.digest, 5), due(&[("a", 5), ("b", i128::MIN)]));
    // A step first, then what the entry itself does.
    pair.apply(&about_rules(3, Some(rules(&[("a", 6), ("c", 0)])), &[("a", 7)]));
    assert_eq!((pair.fold.digest, 5), due(&[("a", 7), ("c", 0)]));
    let value = |name: &str| pair.fold.control.rules.totals.get(name.as_bytes()).copied();
    assert_eq!((value("a"), value("b"), value("c")), (Some(7), None, Some(0)));
    pair.apply(&about_rules(4, Some(Recorded::default()), &[]));
    assert_eq!(pair.fold.digest, StateDigest::default());
    assert!(pair.fold.control.is_as_made());
}

#[test]
fn every_rule_and_every_number_changes_the_digest() {
    let mut hasher = RowHasher::new(UUID);
    let base = rules(&[("a", 5)]);
    let mut of = |rules: Recorded| hasher.control(&Control { rules, ..Control::default() });
    let before = of(base.clone());
    let mut changed = vec![rules(&[("a", 6)]), rules(&[("b", 5)]), rules(&[("a", 5), ("b", 0)])];
    let mut marked = |change: fn(&mut RuleMark)| {
        let mut set = RuleSet::clone(&base.set);
        change(set.values_mut().next().unwrap());
        changed.push(Recorded { set: set.into(), ..base.clone() });
    };
    marked(|mark| mark.version = 2);
    marked(|mark| mark.severity = 1);
    marked(|mark| mark.enforcement = 1);
    marked(|mark| mark.details[15] = 0);
    for rules in changed {
        assert_ne!(of(rules.clone()), before, "{rules:?}");
    }
}

#[test]
fn only_totals_that_are_kept_are_changed_and_by_commits_only() {
    let mut fold = empty();
    let kept = || Some(rules(&[("a", 5)]));
    let mut unkept = rules(&[("a", 5)]);
    unkept.totals = Arc::default();
    for entry in [
        about_rules(1, None, &[("a", 1)]),
        about_rules(1, kept(), &[("b", 1)]),
        about_rules(1, Some(unkept), &[]),
        about_rules(1, Some(Recorded { set: Arc::default(), ..rules(&[("a", 5)]) }), &[]),
        Entry { outcome: StoredOutcome::Fenced, ..about_rules(1, kept(), &[("a", 1)]) },
    ] {
        assert!(!fold.can_take(&entry), "{entry:?}");
    }
    let entry = Entry { outcome: StoredOutcome::Fenced, ..about_rules(1, kept(), &[]) };
    assert!(fold.can_take(&entry));
    fold.apply(&entry, Vec::new(), Horizon { durable: entry.seq, snapshots: &[] });
    assert!(fold.can_take(&about_rules(2, None, &[("a", 1)])));
    assert!(!fold.can_take(&about_rules(2, Some(Recorded::default()), &[("a", 1)])));
}
