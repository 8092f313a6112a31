//! Arbitrary values through every layout.

use super::super::input::Input;
use crate::{
    base::{
        Action, Broken, Bytes, Control, Entry, Epoch, Era, Expect, Fingerprint, Generation,
        IdempotencyKey, KeyspaceDefinition, KeyspaceId, KeyspaceIdentity, KeyspaceRef, LogTime,
        Mode, Operation, ProcedureCall, Read, Recorded, Row, RuleKind, RuleMark, RuleName, RuleSet,
        SeqNo, Standing, Step, StoredOutcome, StoredRejection, Totals, Transition, Version,
        WindowRow,
    },
    format::{
        BLOCK, VERSION,
        bytes::Reader,
        clean::Clean,
        entry,
        group::{GroupHeader, HEADER, Kind, Link},
        identity::Identity,
        keyspace,
        rows::{self, Meta, StateDigest},
        segment::SegmentHeader,
    },
};

/// Most items of a list.
const ITEMS: usize = 4;

pub(super) fn encode_all(bytes: &[u8]) {
    let input = &mut Input::new(bytes);
    match input.below(4) {
        0 => entries(input),
        1 => row_values(input),
        2 => files(input),
        _ => groups(input),
    }
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}

fn entries(input: &mut Input<'_>) {
    let entries: Vec<Entry> = list(input, any_entry);
    let body = encoded(|out| entries.iter().for_each(|entry| entry::encode(entry, out)));
    let mut reader = Reader::new(&body);
    for entry in &entries {
        assert_eq!(entry::decode(&mut reader, entry.seq).as_ref(), Some(entry));
    }
    assert_eq!(reader.end(), Some(()));
}

fn row_values(input: &mut Input<'_>) {
    let row = any_row(input);
    assert_eq!(rows::decode_row(&encoded(|out| rows::encode_row(&row, out))), Some(row));
    let row = any_window_row(input);
    let body = encoded(|out| rows::encode_window_row(&row, out));
    let stub = row.stub();
    assert_eq!(rows::decode_window_row(&body), Some(row));
    assert_eq!(rows::decode_stub(&encoded(|out| rows::encode_stub(&stub, out))), Some(stub));
    let control = any_control(input);
    let body = encoded(|out| rows::encode_control(&control, out));
    assert_eq!(rows::decode_control(&body), Some(control));
    let meta = Meta {
        format: input.u32(),
        uuid: input.u128(),
        applied_seq: SeqNo::new(input.number()),
        applied_g: input.number(),
        applied_time: LogTime::new(input.number()),
        chain: input.array(),
        digest_version: input.u32(),
        digest: StateDigest(input.u128()),
        epoch: Epoch::new(input.number()),
        trim: input.number(),
    };
    let body = encoded(|out| rows::encode_meta(&meta, out));
    assert_eq!(rows::decode_meta(&body).as_ref(), Some(&meta));
    let other = rows::decode_other_format(&body).map(|meta| meta.format);
    assert_eq!(other, Some(meta.format).filter(|format| *format != VERSION));
    let definition = KeyspaceDefinition {
        id: KeyspaceId::new(input.u32()),
        shape: any_bytes(input),
        codec: input.u8(),
        schema: input.u32(),
    };
    assert_eq!(keyspace::decode(&keyspace::encode(&definition)), Some(definition));
}

fn files(input: &mut Input<'_>) {
    let identity = Identity { version: input.u32(), uuid: input.u128() };
    assert_eq!(Identity::decode(&identity.encode()), Some(identity));
    let clean = Clean {
        uuid: input.u128(),
        g: input.number(),
        segment: input.number(),
        end: input.number(),
        chain: input.array(),
    };
    assert_eq!(Clean::decode(&clean.encode()), Some(clean));
    let header = SegmentHeader {
        version: input.u32(),
        uuid: input.u128(),
        number: input.number(),
        bytes: input.number(),
        nonce: input.u128(),
    };
    let mut encoded = header.encode();
    assert_eq!(SegmentHeader::decode(&encoded), Some(header));
    // One copy is enough.
    let damaged = input.below(68);
    encoded[damaged] ^= input.u8() | 1;
    assert_eq!(SegmentHeader::decode(&encoded), Some(header));
}

fn groups(input: &mut Input<'_>) {
    let link = Link {
        previous: input.number(),
        end: u64::from(input.u32()) * BLOCK,
        epoch: Epoch::new(input.number()),
        after_crash: input.flag(),
    };
    assert_eq!(Link::decode(&encoded(|out| link.encode(out))), Some(link));
    let nonce = input.u128();
    let (entries, durable_g) = (u32::from(input.u16()), input.u64() >> 2);
    let first = (input.u64() >> 2) + 1;
    let header = GroupHeader {
        g: durable_g + 1 + u64::from(input.u16()),
        kind: if input.flag() { Kind::Link } else { Kind::Entries },
        first_seq: SeqNo::new(first),
        last_seq: SeqNo::new(first - 1 + u64::from(entries)),
        durable_g,
        body_len: input.u32(),
        entries,
        chain: input.array(),
        digest: input.u128(),
        digest_version: input.u32(),
        body_crc: input.u32(),
    };
    let mut group = vec![0; HEADER];
    group.extend_from_slice(input.rest());
    let sealed = header.seal(nonce, &mut group);
    let GroupHeader { body_len, body_crc, .. } = sealed;
    assert_eq!(sealed, GroupHeader { body_len, body_crc, ..header }, "sealing changed a field");
    assert_eq!(GroupHeader::decode(nonce, &group), Some(sealed));
    assert!(sealed.covers(nonce, &group[HEADER..]));
    assert_eq!(GroupHeader::decode(nonce ^ 1, &group), None);
}

fn list<T>(input: &mut Input<'_>, item: fn(&mut Input<'_>) -> T) -> Vec<T> {
    (0..input.below(ITEMS + 1)).map(|_| item(input)).collect()
}

fn any_bytes(input: &mut Input<'_>) -> Bytes {
    Bytes::copy_from_slice(input.string(255))
}

pub(in super::super) fn any_row(input: &mut Input<'_>) -> Row {
    Row {
        value: any_bytes(input),
        schema: input.u32(),
        version: Version::new(input.number()),
        created: Version::new(input.number()),
        time: LogTime::new(input.number()),
        actor: any_bytes(input),
    }
}

pub(in super::super) fn any_window_row(input: &mut Input<'_>) -> WindowRow {
    WindowRow {
        fingerprint: any_fingerprint(input),
        seq: SeqNo::new(input.number()),
        time: LogTime::new(input.number()),
        outcome: any_outcome(input),
    }
}

fn any_fingerprint(input: &mut Input<'_>) -> Fingerprint {
    Fingerprint {
        hash: input.array(),
        kind: input.u8(),
        operations: input.u32(),
        expectations: input.u32(),
    }
}

/// Scope and key are not empty, as no caller can make them.
fn any_key(input: &mut Input<'_>) -> IdempotencyKey {
    let part = |input: &mut Input<'_>| {
        let part = input.string(255);
        if part.is_empty() { vec![0] } else { part.to_vec() }
    };
    let (scope, key) = (part(input), part(input));
    IdempotencyKey::new(scope, key).expect("1..=255 bytes each")
}

pub(in super::super) fn any_entry(input: &mut Input<'_>) -> Entry {
    Entry {
        seq: SeqNo::new(input.number()),
        time: LogTime::new(input.number()),
        key: input.flag().then(|| (any_key(input), any_fingerprint(input))),
        steps: if input.u8() < 0xE0 { Vec::new() } else { list(input, any_step) },
        keyspaces: list(input, any_keyspace),
        operations: list(input, any_operation),
        reads: list(input, any_read),
        call: if input.u8() < 0xE0 { None } else { Some(any_call(input).into()) },
        totals: if input.u8() < 0xE0 {
            Vec::new()
        } else {
            any_totals(input).into_iter().collect()
        },
        actor: any_bytes(input),
        correlation: any_bytes(input),
        outcome: any_outcome(input),
    }
}

fn any_call(input: &mut Input<'_>) -> ProcedureCall {
    ProcedureCall {
        name: input.string(80).to_vec().into(),
        version: input.u32(),
        time: LogTime::new(input.number()),
        seed: input.number(),
        arguments: any_bytes(input),
    }
}

fn any_step(input: &mut Input<'_>) -> Step {
    match input.below(5) {
        0 => Step::Mode(any_mode(input)),
        1 => Step::Close,
        2 => Step::Demote { era: u32::from(input.u8() % 4) },
        3 => Step::Rules(any_rules(input)),
        _ => Step::Forget,
    }
}

/// With a total for each rule that is one, mostly.
fn any_rules(input: &mut Input<'_>) -> Recorded {
    let kinds = [RuleKind::Guard, RuleKind::Invariant, RuleKind::Total, RuleKind::SumInvariant];
    let mut totals = Totals::new();
    let mut set = RuleSet::new();
    for _ in 0..input.below(ITEMS + 1) {
        let kind = kinds[input.below(kinds.len())];
        let (keyspace, name) = (any_bytes(input), any_bytes(input));
        if kind == RuleKind::Total && totals.insert(name.clone(), any_i128(input)).is_some() {
            continue;
        }
        let mark = RuleMark {
            version: input.u32(),
            severity: input.u8(),
            enforcement: input.u8(),
            details: input.array(),
        };
        set.insert(RuleName { kind, keyspace, name }, mark);
    }
    Recorded { set: set.into(), totals: totals.into() }
}

fn any_totals(input: &mut Input<'_>) -> Totals {
    (0..input.below(ITEMS + 1)).map(|_| (any_bytes(input), any_i128(input))).collect()
}

fn any_i128(input: &mut Input<'_>) -> i128 {
    input.u128() as i128
}

fn any_mode(input: &mut Input<'_>) -> Mode {
    if input.flag() {
        Mode::ReadWrite
    } else {
        Mode::ReadOnly { reason: String::from_utf8_lossy(input.string(80)).into_owned() }
    }
}

pub(in super::super) fn any_control(input: &mut Input<'_>) -> Control {
    let mode = any_mode(input);
    let mut generations = list(input, any_generation);
    generations.push(any_generation(input));
    Control {
        mode,
        generations,
        eras: list(input, any_era),
        forgotten: SeqNo::new(input.number()),
        forgotten_time: LogTime::new(input.number()),
        rules: any_rules(input),
    }
}

fn any_generation(input: &mut Input<'_>) -> Generation {
    Generation {
        number: u32::from(input.u8()),
        rows: input.number(),
        bytes: input.number(),
        full: input.u128(),
        stubs: input.u128(),
        first_time: LogTime::new(input.number()),
        last: SeqNo::new(input.number()),
        last_time: LogTime::new(input.number()),
    }
}

fn any_era(input: &mut Input<'_>) -> Era {
    Era {
        number: u32::from(input.u8()),
        last_generation: u32::from(input.u8()),
        rows: input.number(),
        digest: input.u128(),
        first_time: LogTime::new(input.number()),
        last: SeqNo::new(input.number()),
        last_time: LogTime::new(input.number()),
    }
}

fn any_keyspace(input: &mut Input<'_>) -> KeyspaceRef {
    let schema = input.u32();
    let identity = input
        .flag()
        .then(|| KeyspaceIdentity::stored(any_bytes(input), any_bytes(input), input.u8(), schema));
    // No entry names the directory of keyspaces.
    KeyspaceRef { id: KeyspaceId::new(input.u32().max(1)), schema, identity }
}

fn any_operation(input: &mut Input<'_>) -> Operation {
    let expect = match input.below(4) {
        0 => Expect::Any,
        1 => Expect::Absent,
        2 => Expect::Present,
        _ => Expect::Version(Version::new(input.number())),
    };
    let action = match input.below(4) {
        0 => Action::Check,
        1 => Action::Put(any_bytes(input)),
        2 => Action::Delete,
        _ => Action::Add {
            delta: input.i64(),
            min: input.i64(),
            max: input.i64(),
            sum: any_bytes(input),
        },
    };
    Operation { keyspace: input.u16(), key: any_bytes(input), expect, action }
}

fn any_read(input: &mut Input<'_>) -> Read {
    let seen = Some(input.number()).filter(|seen| *seen != 0).map(Version::new);
    Read { keyspace: input.u16(), key: any_bytes(input), seen }
}

fn any_outcome(input: &mut Input<'_>) -> StoredOutcome {
    let (tag, keyspace, key) = (input.below(10), any_bytes(input), any_bytes(input));
    StoredOutcome::Rejected(match tag {
        0 => return StoredOutcome::Committed(key),
        5 => return StoredOutcome::Fenced,
        1 => StoredRejection::NotAbsent {
            keyspace,
            key,
            version: Version::new(input.number()),
            time: LogTime::new(input.number()),
            actor: any_bytes(input),
        },
        2 => StoredRejection::NotPresent { keyspace, key },
        3 => StoredRejection::OutOfBounds {
            keyspace,
            key,
            current: input.i64(),
            delta: input.i64(),
            min: input.i64(),
            max: input.i64(),
            version: Version::new(input.number()),
        },
        4 => StoredRejection::Procedure(key),
        6 => {
            let (before, transition) = (any_standing(input), any_transition(input).into());
            StoredRejection::Illegal { keyspace, key, before, transition }
        }
        7 => {
            let (before, broken) = (any_standing(input), any_broken(input).into());
            StoredRejection::Broken { keyspace, key, before, broken }
        }
        8 => StoredRejection::BrokenSum(any_broken(input).into()),
        _ => StoredRejection::TotalOverflow { total: key },
    })
}

fn any_broken(input: &mut Input<'_>) -> Broken {
    Broken { invariant: any_bytes(input), severity: input.u8(), reason: any_bytes(input) }
}

fn any_standing(input: &mut Input<'_>) -> Option<Standing> {
    input.flag().then(|| Standing {
        version: Version::new(input.number()),
        time: LogTime::new(input.number()),
        actor: any_bytes(input),
    })
}

fn any_transition(input: &mut Input<'_>) -> Transition {
    fn state(input: &mut Input<'_>) -> Option<Bytes> {
        input.flag().then(|| any_bytes(input))
    }
    Transition {
        field: any_bytes(input),
        from: state(input),
        to: state(input),
        allowed: list(input, state),
    }
}
