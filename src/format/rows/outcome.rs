//! An outcome: a tag, then what the tag says. The tags are pinned; 0 and those not listed are refused.
//! ```text
//! committed     | 1 | result ... |
//! not absent    | 2 | keyspace length u8 | keyspace | key length u16 | key | version u64 | time u64 | actor length u8 | actor |
//! not present   | 3 | keyspace length u8 | keyspace | key length u16 | key |
//! out of bounds | 4 | keyspace length u8 | keyspace | key length u16 | key | current i64 | delta i64 | min i64 | max i64 | version u64 |
//! procedure     | 5 | rejection ... |
//! fenced        | 6 |
//! illegal       | 7 | place | before | field length u8 | field | state | state | count u8 | state ... |   from, to, allowed
//! broken        | 8 | place | before | name length u8 | name | severity u8 | reason length u16 | reason |
//! broken sum    | 9 | name length u8 | name | severity u8 | reason length u16 | reason |
//! overflow      | 10 | name length u8 | name |                          the name of a total
//!
//! place         | keyspace length u8 | keyspace | key length u16 | key |
//! before        | 0 |   or   | 1 | version u64 | time u64 | actor length u8 | actor |
//! state         | 0 |   or   | 1 | length u8 | state |                      0 stands for no record
//! ```

use crate::{
    base::{Broken, Bytes, LogTime, Standing, StoredOutcome, StoredRejection, Transition, Version},
    format::bytes::{Reader, put_bytes, put_bytes8, put_bytes16, put_i64, put_u8, put_u64},
};

const COMMITTED: u8 = 1;
const NOT_ABSENT: u8 = 2;
const NOT_PRESENT: u8 = 3;
const OUT_OF_BOUNDS: u8 = 4;
const PROCEDURE: u8 = 5;
const FENCED: u8 = 6;
const ILLEGAL: u8 = 7;
const BROKEN: u8 = 8;
const BROKEN_SUM: u8 = 9;
const OVERFLOW: u8 = 10;

/// Appends an outcome.
pub(crate) fn encode_outcome(outcome: &StoredOutcome, out: &mut Vec<u8>) {
    match outcome {
        StoredOutcome::Committed(result) => {
            put_u8(out, COMMITTED);
            put_bytes(out, result);
        }
        StoredOutcome::Rejected(rejection) => encode_rejection(rejection, out),
        StoredOutcome::Fenced => put_u8(out, FENCED),
    }
}

fn encode_rejection(rejection: &StoredRejection, out: &mut Vec<u8>) {
    match rejection {
        StoredRejection::NotAbsent { keyspace, key, version, time, actor } => {
            put_place(out, NOT_ABSENT, keyspace, key);
            put_u64(out, version.get());
            put_u64(out, time.get());
            put_bytes8(out, actor);
        }
        StoredRejection::NotPresent { keyspace, key } => put_place(out, NOT_PRESENT, keyspace, key),
        StoredRejection::OutOfBounds { keyspace, key, current, delta, min, max, version } => {
            put_place(out, OUT_OF_BOUNDS, keyspace, key);
            for number in [current, delta, min, max] {
                put_i64(out, *number);
            }
            put_u64(out, version.get());
        }
        StoredRejection::Procedure(rejection) => {
            put_u8(out, PROCEDURE);
            put_bytes(out, rejection);
        }
        StoredRejection::Illegal { keyspace, key, before, transition } => {
            put_place(out, ILLEGAL, keyspace, key);
            put_before(out, before.as_ref());
            put_transition(out, transition);
        }
        StoredRejection::Broken { keyspace, key, before, broken } => {
            put_place(out, BROKEN, keyspace, key);
            put_before(out, before.as_ref());
            put_broken(out, broken);
        }
        StoredRejection::BrokenSum(broken) => {
            put_u8(out, BROKEN_SUM);
            put_broken(out, broken);
        }
        StoredRejection::TotalOverflow { total } => {
            put_u8(out, OVERFLOW);
            put_bytes8(out, total);
        }
    }
}

fn put_broken(out: &mut Vec<u8>, broken: &Broken) {
    put_bytes8(out, &broken.invariant);
    put_u8(out, broken.severity);
    put_bytes16(out, &broken.reason);
}

fn put_before(out: &mut Vec<u8>, before: Option<&Standing>) {
    put_u8(out, u8::from(before.is_some()));
    if let Some(Standing { version, time, actor }) = before {
        put_u64(out, version.get());
        put_u64(out, time.get());
        put_bytes8(out, actor);
    }
}

fn put_transition(out: &mut Vec<u8>, transition: &Transition) {
    let Transition { field, from, to, allowed } = transition;
    put_bytes8(out, field);
    put_state(out, from.as_ref());
    put_state(out, to.as_ref());
    put_u8(out, u8::try_from(allowed.len()).expect("a guard has few states"));
    allowed.iter().for_each(|state| put_state(out, state.as_ref()));
}

fn put_state(out: &mut Vec<u8>, state: Option<&Bytes>) {
    put_u8(out, u8::from(state.is_some()));
    if let Some(state) = state {
        put_bytes8(out, state);
    }
}

fn put_place(out: &mut Vec<u8>, tag: u8, keyspace: &Bytes, key: &Bytes) {
    put_u8(out, tag);
    put_bytes8(out, keyspace);
    put_bytes16(out, key);
}

/// Reads an outcome that takes up all of `bytes`.
pub(crate) fn decode_outcome(bytes: &[u8]) -> Option<StoredOutcome> {
    let mut reader = Reader::new(bytes);
    let outcome = match reader.u8()? {
        COMMITTED => StoredOutcome::Committed(reader.rest().into()),
        FENCED => StoredOutcome::Fenced,
        tag => StoredOutcome::Rejected(decode_rejection(tag, &mut reader)?),
    };
    reader.end()?;
    Some(outcome)
}

// A struct's fields are evaluated in the order they are written here, which is the order of the layout.
fn decode_rejection(tag: u8, reader: &mut Reader<'_>) -> Option<StoredRejection> {
    Some(match tag {
        NOT_ABSENT => StoredRejection::NotAbsent {
            keyspace: reader.bytes8()?.into(),
            key: reader.bytes16()?.into(),
            version: Version::new(reader.u64()?),
            time: LogTime::new(reader.u64()?),
            actor: reader.bytes8()?.into(),
        },
        NOT_PRESENT => StoredRejection::NotPresent {
            keyspace: reader.bytes8()?.into(),
            key: reader.bytes16()?.into(),
        },
        OUT_OF_BOUNDS => StoredRejection::OutOfBounds {
            keyspace: reader.bytes8()?.into(),
            key: reader.bytes16()?.into(),
            current: reader.i64()?,
            delta: reader.i64()?,
            min: reader.i64()?,
            max: reader.i64()?,
            version: Version::new(reader.u64()?),
        },
        PROCEDURE => StoredRejection::Procedure(reader.rest().into()),
        ILLEGAL => StoredRejection::Illegal {
            keyspace: reader.bytes8()?.into(),
            key: reader.bytes16()?.into(),
            before: decode_before(reader)?,
            transition: Box::new(decode_transition(reader)?),
        },
        BROKEN => StoredRejection::Broken {
            keyspace: reader.bytes8()?.into(),
            key: reader.bytes16()?.into(),
            before: decode_before(reader)?,
            broken: Box::new(decode_broken(reader)?),
        },
        BROKEN_SUM => StoredRejection::BrokenSum(Box::new(decode_broken(reader)?)),
        OVERFLOW => StoredRejection::TotalOverflow { total: reader.bytes8()?.into() },
        _ => return None,
    })
}

fn decode_broken(reader: &mut Reader<'_>) -> Option<Broken> {
    Some(Broken {
        invariant: reader.bytes8()?.into(),
        severity: reader.u8()?,
        reason: reader.bytes16()?.into(),
    })
}

fn decode_before(reader: &mut Reader<'_>) -> Option<Option<Standing>> {
    Some(match reader.u8()? {
        0 => None,
        1 => Some(Standing {
            version: Version::new(reader.u64()?),
            time: LogTime::new(reader.u64()?),
            actor: reader.bytes8()?.into(),
        }),
        _ => return None,
    })
}

fn decode_transition(reader: &mut Reader<'_>) -> Option<Transition> {
    Some(Transition {
        field: reader.bytes8()?.into(),
        from: decode_state(reader)?,
        to: decode_state(reader)?,
        allowed: (0..reader.u8()?).map(|_| decode_state(reader)).collect::<Option<_>>()?,
    })
}

fn decode_state(reader: &mut Reader<'_>) -> Option<Option<Bytes>> {
    Some(match reader.u8()? {
        0 => None,
        1 => Some(reader.bytes8()?.into()),
        _ => return None,
    })
}
