use super::*;
use crate::base::{
    Broken, Bytes, Fingerprint, Mode, Recorded, RuleKind, RuleMark, RuleName, Standing,
    StoredOutcome, StoredRejection, Totals, Transition,
};
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
};
use std::sync::Arc;

fn bytes(length: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), length).prop_map(Bytes::from)
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..4u64, Just(u64::MAX), any::<u64>()]
}

fn fingerprint() -> impl Strategy<Value = Fingerprint> {
    any::<([u8; 32], u8, u32, u32)>().prop_map(|(hash, kind, operations, expectations)| {
        Fingerprint { hash, kind, operations, expectations }
    })
}

fn key() -> impl Strategy<Value = (IdempotencyKey, Fingerprint)> {
    let part = || vec(any::<u8>(), 1..=255);
    let key = (part(), part()).prop_map(|(scope, key)| IdempotencyKey::new(scope, key).unwrap());
    (key, fingerprint())
}

fn keyspace() -> impl Strategy<Value = KeyspaceRef> {
    let identity = option::of((bytes(1..=64), bytes(0..20), any::<u8>()));
    (any::<u32>(), any::<u32>(), identity).prop_map(|(id, schema, identity)| KeyspaceRef {
        id: KeyspaceId::new(id),
        schema,
        identity: identity
            .map(|(name, shape, codec)| KeyspaceIdentity::stored(name, shape, codec, schema)),
    })
}

fn expect() -> impl Strategy<Value = Expect> {
    prop_oneof![
        Just(Expect::Any),
        Just(Expect::Absent),
        Just(Expect::Present),
        number().prop_map(|version| Expect::Version(Version::new(version))),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let add = (any::<(i64, i64, i64)>(), bytes(0..=10))
        .prop_map(|((delta, min, max), sum)| Action::Add { delta, min, max, sum });
    let put = prop_oneof![20 => bytes(0..40), 1 => bytes(70_000..=70_000)].prop_map(Action::Put);
    prop_oneof![Just(Action::Check), put, Just(Action::Delete), add]
}

fn operation() -> impl Strategy<Value = Operation> {
    (any::<u16>(), bytes(0..40), expect(), action())
        .prop_map(|(keyspace, key, expect, action)| Operation { keyspace, key, expect, action })
}

fn read() -> impl Strategy<Value = Read> {
    let seen = option::of((1..u64::MAX).prop_map(Version::new));
    (any::<u16>(), bytes(0..40), seen).prop_map(|(keyspace, key, seen)| Read {
        keyspace,
        key,
        seen,
    })
}

fn outcome() -> impl Strategy<Value = StoredOutcome> {
    let place = || (bytes(1..=64), bytes(1..40));
    let absent = (place(), number(), number(), bytes(0..=64)).prop_map(
        |((keyspace, key), version, time, actor)| StoredRejection::NotAbsent {
            keyspace,
            key,
            version: Version::new(version),
            time: LogTime::new(time),
            actor,
        },
    );
    let present = place().prop_map(|(keyspace, key)| StoredRejection::NotPresent { keyspace, key });
    let bounds = (place(), any::<(i64, i64, i64, i64)>(), number()).prop_map(
        |((keyspace, key), (current, delta, min, max), version)| StoredRejection::OutOfBounds {
            keyspace,
            key,
            current,
            delta,
            min,
            max,
            version: Version::new(version),
        },
    );
    let own = bytes(0..40).prop_map(StoredRejection::Procedure);
    let before = || {
        option::of((number(), number(), bytes(0..=64))).prop_map(|before| {
            let standing = |(version, time, actor)| Standing {
                version: Version::new(version),
                time: LogTime::new(time),
                actor,
            };
            before.map(standing)
        })
    };
    let state = || option::of(bytes(1..=32));
    let transition = (bytes(1..=64), state(), state(), vec(state(), 0..5))
        .prop_map(|(field, from, to, allowed)| Box::new(Transition { field, from, to, allowed }));
    let illegal =
        (place(), before(), transition).prop_map(|((keyspace, key), before, transition)| {
            StoredRejection::Illegal { keyspace, key, before, transition }
        });
    let broken = (bytes(1..=64), any::<u8>(), bytes(0..40))
        .prop_map(|(invariant, severity, reason)| Box::new(Broken { invariant, severity, reason }));
    let broken = (place(), before(), broken).prop_map(|((keyspace, key), before, broken)| {
        StoredRejection::Broken { keyspace, key, before, broken }
    });
    let rejected = prop_oneof![absent, present, bounds, own, illegal, broken]
        .prop_map(StoredOutcome::Rejected);
    let committed = bytes(0..40).prop_map(StoredOutcome::Committed);
    prop_oneof![4 => committed, 4 => rejected, 1 => Just(StoredOutcome::Fenced)]
}

fn step() -> impl Strategy<Value = Step> {
    let reason = option::of(".{0,20}").prop_map(|reason| match reason {
        Some(reason) => Step::Mode(Mode::ReadOnly { reason }),
        None => Step::Mode(Mode::ReadWrite),
    });
    let demote = any::<u32>().prop_map(|era| Step::Demote { era });
    prop_oneof![
        reason,
        Just(Step::Close),
        demote,
        Just(Step::Forget),
        rules().prop_map(Step::Rules)
    ]
}

prop_compose! {
    fn totals(lengths: std::ops::Range<usize>)(
        totals in btree_map(bytes(1..=64), any::<i128>(), lengths),
    ) -> Totals {
        totals
    }
}

/// With a total for each rule that is one.
fn rules() -> impl Strategy<Value = Recorded> {
    let kind =
        prop_oneof![Just(RuleKind::Guard), Just(RuleKind::Invariant), Just(RuleKind::SumInvariant)];
    let mark = (any::<u32>(), any::<u8>(), any::<u8>(), any::<[u8; 16]>()).prop_map(
        |(version, severity, enforcement, details)| RuleMark {
            version,
            severity,
            enforcement,
            details,
        },
    );
    let others = vec((kind, bytes(0..=64), bytes(1..=64), mark.clone()), 0..4);
    (totals(0..3), bytes(1..=64), mark, others).prop_map(|(totals, keyspace, mark, others)| {
        let name = |(kind, keyspace, name)| RuleName { kind, keyspace, name };
        let kept = totals
            .keys()
            .map(|total| (name((RuleKind::Total, keyspace.clone(), total.clone())), mark));
        let others = others
            .into_iter()
            .map(|(kind, keyspace, rule, mark)| (name((kind, keyspace, rule)), mark));
        Recorded { set: Arc::new(kept.chain(others).collect()), totals: Arc::new(totals) }
    })
}

prop_compose! {
    fn call()(
        (name, version, seed, arguments) in (bytes(0..=64), any::<u32>(), number(), bytes(0..40)),
        time in number(),
    ) -> Box<ProcedureCall> {
        let time = LogTime::new(time);
        ProcedureCall { name, version, time, seed, arguments }.into()
    }
}

prop_compose! {
    fn entry()(
        (seq, time, key) in (number(), number(), option::of(key())),
        (actor, correlation) in (bytes(0..=64), bytes(0..=1024)),
        keyspaces in vec(keyspace(), 0..4),
        operations in vec(operation(), 0..6),
        reads in vec(read(), 0..4),
        (call, totals) in (option::of(call()), prop_oneof![3 => Just(Totals::new()), 1 => totals(1..4)]),
        steps in prop_oneof![3 => Just(Vec::new()), 1 => vec(step(), 1..5)],
        outcome in outcome(),
    ) -> Entry {
        let (seq, time) = (SeqNo::new(seq), LogTime::new(time));
        let totals = totals.into_iter().collect();
        Entry { seq, time, key, steps, call, totals, keyspaces, operations, reads, actor, correlation, outcome }
    }
}

fn encoded(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::new();
    encode(entry, &mut out);
    out
}

proptest! {
    #[test]
    fn entries_come_back(entries in vec(entry(), 0..4)) {
        let mut body = Vec::new();
        entries.iter().for_each(|entry| encode(entry, &mut body));
        let mut reader = Reader::new(&body);
        for entry in &entries {
            prop_assert_eq!(decode(&mut reader, entry.seq), Some(entry.clone()));
        }
        prop_assert_eq!(reader.end(), Some(()));
    }

    /// Shorter, there is no entry; changed, there is none or another one, which is said in these very bytes.
    #[test]
    fn changed_bytes_are_refused_or_another_entry(entry in entry(), at: prop::sample::Index, change in 1..=255u8) {
        let mut body = encoded(&entry);
        prop_assert_eq!(decode(&mut Reader::new(&body[..at.index(body.len())]), entry.seq), None);
        let at = at.index(body.len());
        body[at] ^= change;
        let mut reader = Reader::new(&body);
        if let Some(other) = decode(&mut reader, entry.seq) {
            prop_assert_ne!(&other, &entry);
            let used = body.len() - reader.rest().len();
            prop_assert_eq!(encoded(&other), &body[..used]);
        }
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..300), plausible: bool) {
        let mut body = bytes;
        if plausible && body.len() > 4 {
            let length = (body.len() - 4) as u32;
            body[..4].copy_from_slice(&length.to_le_bytes());
        }
        let _ = decode(&mut Reader::new(&body), SeqNo::new(1));
    }
}

fn example_rules() -> Recorded {
    let bytes = Bytes::from_static;
    let name = |kind, keyspace, name| RuleName { kind, keyspace, name };
    let mark =
        |severity, enforcement| RuleMark { version: 3, severity, enforcement, details: [0xcd; 16] };
    let set = [
        (name(RuleKind::Total, bytes(b"accounts"), bytes(b"cash")), mark(0, 0)),
        (name(RuleKind::SumInvariant, Bytes::new(), bytes(b"even")), mark(2, 1)),
    ];
    Recorded {
        set: Arc::new(set.into_iter().collect()),
        totals: Arc::new([(bytes(b"cash"), -1)].into_iter().collect()),
    }
}

fn example() -> Entry {
    let bytes = Bytes::from_static;
    let operation = |key, expect, action| Operation { keyspace: 0, key, expect, action };
    let identity = KeyspaceIdentity::stored(bytes(b"stock"), bytes(&[0x31]), 1, 2);
    Entry {
        seq: SeqNo::new(9),
        time: LogTime::new(0x0102),
        key: Some((
            IdempotencyKey::new("shop", "k").unwrap(),
            Fingerprint { hash: [0xab; 32], kind: 2, operations: 3, expectations: 4 },
        )),
        steps: vec![
            Step::Close,
            Step::Demote { era: 3 },
            Step::Forget,
            Step::Rules(example_rules()),
        ],
        keyspaces: vec![
            KeyspaceRef { id: KeyspaceId::new(1), schema: 2, identity: Some(identity) },
            KeyspaceRef { id: KeyspaceId::new(7), schema: 1, identity: None },
        ],
        operations: vec![
            operation(bytes(b"a"), Expect::Absent, Action::Put(bytes(b"value"))),
            operation(bytes(b"b"), Expect::Version(Version::new(5)), Action::Delete),
            operation(bytes(b"c"), Expect::Present, Action::Check),
            operation(
                bytes(b"d"),
                Expect::Any,
                Action::Add { delta: -1, min: 0, max: 9, sum: bytes(&[8]) },
            ),
        ],
        reads: vec![
            Read { keyspace: 1, key: bytes(b"e"), seen: Some(Version::new(6)) },
            Read { keyspace: 1, key: bytes(b"f"), seen: None },
        ],
        call: Some(Box::new(ProcedureCall {
            name: bytes(b"sell"),
            version: 3,
            time: LogTime::new(5),
            seed: 4,
            arguments: bytes(b"twelve"),
        })),
        totals: vec![(bytes(b"cash"), -2), (bytes(b"owed"), 1 << 64)],
        actor: bytes(b"me"),
        correlation: bytes(b"flow"),
        outcome: StoredOutcome::Committed(bytes(b"done")),
    }
}

#[test]
fn an_entry_is_these_bytes() {
    let body = encoded(&example());
    let (hash, details) = ("ab".repeat(32), "cd".repeat(16));
    let parts = [
        "7e010000",
        "0201000000000000",
        "0f 0600 0473686f706b",
        &hash,
        "02 03000000 04000000",
        "04 02 03 03000000 04 05 0200",
        "03 08 6163636f756e7473 04 63617368 03000000 00 00",
        &details,
        "04 00 04 6576656e 03000000 02 01",
        &details,
        "0100 04 63617368 ffffffffffffffffffffffffffffffff",
        "04 73656c6c 03000000 0500000000000000 0400000000000000 06000000 7477656c7665",
        "0200 04 63617368 feffffffffffffffffffffffffffffff",
        "04 6f776564 00000000000000000100000000000000",
        "02 6d65 0400 666c6f77",
        "0200",
        "01000000 02000000 01 0573746f636b 0100 31 01",
        "07000000 01000000 00",
        "0400",
        "0000 0100 61 01 01 05000000 76616c7565",
        "0000 0100 62 03 0500000000000000 02",
        "0000 0100 63 02 00",
        "0000 0100 64 00 03 ffffffffffffffff 0000000000000000 0900000000000000 0108",
        "0200",
        "0100 0100 65 0600000000000000",
        "0100 0100 66 0000000000000000",
        "01 646f6e65",
    ];
    let hex: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, parts.concat().replace(' ', ""));
    assert_eq!(decode(&mut Reader::new(&body), SeqNo::new(9)), Some(example()));
}
