use super::*;
use crate::base::{
    Broken, Bytes, Control, Epoch, Era, Fingerprint, Generation, LogTime, Mode, Recorded, Row,
    RuleKind, RuleMark, RuleName, RuleSet, SeqNo, StoredOutcome, StoredRejection, Totals, Version,
    WindowRow,
};
use crate::format::bytes::Reader;
use proptest::prelude::*;

fn row() -> Row {
    Row {
        value: Bytes::from_static(b"value"),
        schema: 7,
        version: Version::new(0x0102),
        created: Version::new(3),
        time: LogTime::new(4),
        actor: Bytes::from_static(b"me"),
    }
}

fn outcomes() -> Vec<StoredOutcome> {
    let place = || (Bytes::from_static(b"stock"), Bytes::from_static(b"apple"));
    let ((k1, r1), (k2, r2), (k3, r3)) = (place(), place(), place());
    vec![
        StoredOutcome::Committed(Bytes::from_static(b"done")),
        StoredOutcome::Committed(Bytes::new()),
        StoredOutcome::Rejected(StoredRejection::NotAbsent {
            keyspace: k1,
            key: r1,
            version: Version::new(9),
            time: LogTime::new(8),
            actor: Bytes::from_static(b"you"),
        }),
        StoredOutcome::Rejected(StoredRejection::NotPresent { keyspace: k2, key: r2 }),
        StoredOutcome::Rejected(StoredRejection::OutOfBounds {
            keyspace: k3,
            key: r3,
            current: 1,
            delta: -2,
            min: 0,
            max: i64::MAX,
            version: Version::new(5),
        }),
        StoredOutcome::Rejected(StoredRejection::Procedure(Bytes::from_static(b"no"))),
        StoredOutcome::Fenced,
        StoredOutcome::Rejected(StoredRejection::BrokenSum(Box::new(Broken {
            invariant: Bytes::from_static(b"even"),
            severity: 3,
            reason: Bytes::from_static(b"odd"),
        }))),
        StoredOutcome::Rejected(StoredRejection::TotalOverflow {
            total: Bytes::from_static(b"cash"),
        }),
    ]
}

fn window_row(outcome: StoredOutcome) -> WindowRow {
    WindowRow {
        fingerprint: Fingerprint { hash: [0xab; 32], kind: 2, operations: 3, expectations: 4 },
        seq: SeqNo::new(5),
        time: LogTime::new(6),
        outcome,
    }
}

fn control() -> Control {
    let closed = Generation {
        number: 3,
        rows: 4,
        bytes: 5,
        full: 6,
        stubs: 7,
        first_time: LogTime::new(8),
        last: SeqNo::new(9),
        last_time: LogTime::new(10),
    };
    let era = Era {
        number: 1,
        last_generation: 2,
        rows: 11,
        digest: 12,
        first_time: LogTime::new(13),
        last: SeqNo::new(14),
        last_time: LogTime::new(15),
    };
    Control {
        mode: Mode::ReadOnly { reason: "ho".into() },
        generations: vec![closed, Generation { number: 4, ..Generation::default() }],
        eras: vec![era],
        forgotten: SeqNo::new(1),
        forgotten_time: LogTime::new(2),
        rules: rules(),
    }
}

fn rules() -> Recorded {
    let bytes = Bytes::from_static;
    let name = |kind, keyspace, name| RuleName { kind, keyspace, name };
    let mark =
        |severity, enforcement| RuleMark { version: 1, severity, enforcement, details: [0xcd; 16] };
    let set = [
        (name(RuleKind::Guard, bytes(b"a"), bytes(b"b")), mark(0, 0)),
        (name(RuleKind::Total, bytes(b"a"), bytes(b"c")), mark(0, 0)),
        (name(RuleKind::SumInvariant, Bytes::new(), bytes(b"d")), mark(3, 2)),
    ];
    Recorded {
        set: set.into_iter().collect::<RuleSet>().into(),
        totals: Totals::from([(bytes(b"c"), -2)]).into(),
    }
}

fn meta() -> Meta {
    Meta {
        format: 1,
        uuid: 2,
        applied_seq: SeqNo::new(3),
        applied_g: 4,
        applied_time: LogTime::new(5),
        chain: [6; 32],
        digest_version: 7,
        digest: StateDigest(8),
        epoch: Epoch::new(9),
        trim: 10,
    }
}

fn encoded<T>(encode: impl Fn(&T, &mut Vec<u8>), item: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode(item, &mut out);
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn rows_come_back() {
    assert_eq!(decode_row(&encoded(encode_row, &row())), Some(row()));
    assert_eq!(decode_meta(&encoded(encode_meta, &meta())), Some(meta()));
    for outcome in outcomes() {
        assert_eq!(decode_outcome(&encoded(encode_outcome, &outcome)), Some(outcome.clone()));
        let row = window_row(outcome);
        let stub = row.stub();
        assert_eq!(decode_window_row(&encoded(encode_window_row, &row)), Some(row));
        assert_eq!(decode_stub(&encoded(encode_stub, &stub)), Some(stub));
    }
    for control in [control(), Control::default()] {
        assert_eq!(decode_control(&encoded(encode_control, &control)), Some(control));
    }
}

#[test]
fn a_record_is_these_bytes() {
    assert_eq!(
        hex(&encoded(encode_row, &row())),
        "07000000020100000000000003000000000000000400000000000000026d6576616c7565"
    );
}

#[test]
fn outcomes_are_these_bytes() {
    let expected = [
        "01646f6e65",
        "01",
        "020573746f636b05006170706c650900000000000000080000000000000003796f75",
        "030573746f636b05006170706c65",
        "040573746f636b05006170706c650100000000000000feffffffffffffff0000000000000000ffffffffffffff7f0500000000000000",
        "056e6f",
        "06",
        "09046576656e0303006f6464",
        "0a0463617368",
    ];
    for (outcome, expected) in outcomes().iter().zip(expected) {
        assert_eq!(hex(&encoded(encode_outcome, outcome)), expected);
    }
}

#[test]
fn a_window_row_is_these_bytes() {
    let row = window_row(StoredOutcome::Committed(Bytes::from_static(b"done")));
    let head = "ab".repeat(32);
    assert_eq!(
        hex(&encoded(encode_window_row, &row)),
        format!("{head}02030000000400000005000000000000000600000000000000{}", "01646f6e65")
    );
}

#[test]
fn a_stub_is_these_bytes() {
    let stub = window_row(StoredOutcome::Committed(Bytes::new())).stub();
    let head = "ab".repeat(16);
    assert_eq!(
        hex(&encoded(encode_stub, &stub)),
        format!("{head}01{}", "05000000000000000600000000000000")
    );
    // With its key, the hash of one, and a checksum.
    let sealed = seal(RowTag::Stub, &[0; 16], &encoded(encode_stub, &stub));
    assert_eq!(16 + sealed.len(), 53);
}

#[test]
fn the_control_row_is_these_bytes() {
    let number = |n: u64| hex(&n.to_le_bytes());
    let digest = |n: u128| hex(&n.to_le_bytes());
    let head = format!("01020068 6f{}{}", number(1), number(2));
    let closed = format!(
        "03000000{}{}{}{}{}{}{}",
        number(4),
        number(5),
        digest(6),
        digest(7),
        number(8),
        number(9),
        number(10)
    );
    let open = format!(
        "04000000{}{}{}{}{}{}{}",
        number(0),
        number(0),
        digest(0),
        digest(0),
        number(0),
        number(0),
        number(0)
    );
    let era = format!(
        "01000000 02000000{}{}{}{}{}",
        number(11),
        digest(12),
        number(13),
        number(14),
        number(15)
    );
    let (mark, details) = ("01000000 00 00", "cd".repeat(16));
    let rules = format!(
        "0300 01 0161 0162 {mark}{details} 03 0161 0163 {mark}{details} 04 00 0164 01000000 03 02{details} \
         0100 0163 feffffffffffffffffffffffffffffff"
    );
    assert_eq!(
        hex(&encoded(encode_control, &control())),
        format!("{head}0200{closed}{open}0100{era}{rules}").replace(' ', "")
    );
    // What the state digest covers.
    let closed = format!("03000000{}{}", number(9), number(10));
    let era = format!("01000000 02000000{}{}{}", number(13), number(14), number(15));
    assert_eq!(
        hex(&encoded(encode_boundaries, &control())),
        format!("{head}0200{closed}04000000{era}").replace(' ', "")
    );
}

#[test]
fn rules_and_totals_have_one_encoding() {
    let body = encoded(encode_rules, &rules());
    assert_eq!(decode_rules(&mut Reader::new(&body)), Some(rules()));
    // One rule and its mark are as long as another of the same names.
    let (first, second) = (2..2 + 27, 29..29 + 27);
    let swapped = [&body[..2], &body[second.clone()], &body[first], &body[second.end..]].concat();
    assert_eq!(decode_rules(&mut Reader::new(&swapped)), None, "out of order");
    let twice = [&body[..2], &body[second.clone()], &body[second.clone()], &body[second.end..]];
    assert_eq!(decode_rules(&mut Reader::new(&twice.concat())), None, "twice");
    let mut unkept = body.clone();
    *unkept.last_chunk_mut::<17>().unwrap().first_mut().unwrap() = b'd';
    assert_eq!(decode_rules(&mut Reader::new(&unkept)), None, "a total of another name");
    let mut unknown = body;
    unknown[2] = 5;
    assert_eq!(decode_rules(&mut Reader::new(&unknown)), None, "of no kind");
}

#[test]
fn the_meta_row_is_these_bytes() {
    let chain = "06".repeat(32);
    assert_eq!(
        hex(&encoded(encode_meta, &meta())),
        format!(
            "01000000020000000000000000000000000000000300000000000000040000000000000005000000000000\
             00{chain}07000000080000000000000000000000000000000900000000000000\
             0a00000000000000"
        )
    );
}

#[test]
fn a_seal_is_these_bytes() {
    assert_eq!(hex(&seal(RowTag::Record, b"key", b"body")), "e73c34a6626f6479");
}

#[test]
fn a_short_or_long_body_is_refused() {
    let body = encoded(encode_meta, &meta());
    for len in 0..body.len() {
        assert_eq!(decode_meta(&body[..len]), None);
    }
    assert_eq!(decode_meta(&[&body[..], &[0]].concat()), None);
    let outcome = encoded(encode_outcome, &outcomes()[3]);
    assert_eq!(decode_outcome(&[&outcome[..], &[0]].concat()), None);
    assert_eq!(decode_outcome(&[0]), None);
    assert_eq!(decode_outcome(&[6, 0]), None);
    assert_eq!(decode_outcome(&[7]), None);
    let body = encoded(encode_control, &control());
    for len in 0..body.len() {
        assert_eq!(decode_control(&body[..len]), None);
    }
    assert_eq!(decode_control(&[&body[..], &[0]].concat()), None);
}

#[test]
fn a_row_opens_only_under_its_own_key_and_tag() {
    let sealed = seal(RowTag::Record, b"key", b"body");
    assert_eq!(open(RowTag::Record, b"key", &sealed), Some(&b"body"[..]));
    assert_eq!(open(RowTag::Window, b"key", &sealed), None);
    assert_eq!(open(RowTag::Record, b"kez", &sealed), None);
    assert_eq!(open(RowTag::Record, b"ke", &sealed), None);
    // The same bytes, divided otherwise between key and body.
    let moved = [&sealed[..4], b"ybody"].concat();
    assert_eq!(open(RowTag::Record, b"ke", &moved), None);
}

#[test]
fn every_flipped_bit_is_noticed() {
    let control = encoded(encode_control, &control());
    for body in [encoded(encode_row, &row()), encoded(encode_meta, &meta()), control, vec![]] {
        let mut sealed = seal(RowTag::Record, b"key", &body);
        for bit in 0..sealed.len() * 8 {
            sealed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(RowTag::Record, b"key", &sealed), None, "bit {bit}");
            sealed[bit / 8] ^= 1 << (bit % 8);
        }
        for len in 0..sealed.len() {
            assert_eq!(open(RowTag::Record, b"key", &sealed[..len]), None, "length {len}");
        }
    }
}

proptest! {
    // What decodes encodes to the same bytes: there is one encoding of a row, so a digest may be taken of either.
    #[test]
    fn any_bytes_are_refused_or_canonical(bytes in prop::collection::vec(any::<u8>(), 0..200), tag in 0u8..12) {
        if let Some(row) = decode_row(&bytes) {
            prop_assert_eq!(&encoded(encode_row, &row), &bytes);
        }
        if let Some(row) = decode_window_row(&bytes) {
            prop_assert_eq!(&encoded(encode_window_row, &row), &bytes);
        }
        if let Some(stub) = decode_stub(&bytes) {
            prop_assert_eq!(&encoded(encode_stub, &stub), &bytes);
        }
        if let Some(control) = decode_control(&bytes) {
            prop_assert_eq!(&encoded(encode_control, &control), &bytes);
        }
        if let Some(meta) = decode_meta(&bytes) {
            prop_assert_eq!(&encoded(encode_meta, &meta), &bytes);
        }
        let tagged = [&[tag], &bytes[..]].concat();
        if let Some(outcome) = decode_outcome(&tagged) {
            prop_assert_eq!(&encoded(encode_outcome, &outcome), &tagged);
        }
        let _ = open(RowTag::Window, &bytes, &bytes);
    }
}
