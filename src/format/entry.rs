//! Entries in the body of a group, each after its length in four bytes.
//!
//! ```text
//! 0      8       9
//! | time | flags | key, fingerprint (flag 1) | steps (flag 2) | call (flag 4) | totals (flag 8) | actor | correlation | keyspaces | operations | reads | outcome
//!
//! steps    | count u8, at least 1 | step ... |
//! step     | 1 | mode |     the mode becomes this
//!          | 2 |            the open generation is closed
//!          | 3 | era u32 |  the outcomes of the oldest closed generation become stubs
//!          | 4 |            the stubs of the oldest era are forgotten
//!          | 5 | rules |    the rules and totals become these
//! call     | name length u8 | name | version u32 | time u64 | seed u64 | arguments length u32 | arguments |
//! totals   | count u16, at least 1 | total ... |     what they are after it
//! ```
//! The number of an entry is that of the group's first entry plus its position.

use super::{
    bytes::{Reader, put_bytes8, put_bytes16, put_bytes32},
    rows::{
        decode_fingerprint, decode_mode, decode_outcome, decode_rules, decode_totals,
        encode_fingerprint, encode_mode, encode_outcome, encode_rules, encode_totals,
    },
};
use crate::base::{
    Action, Entry, Expect, IdempotencyKey, KeyspaceId, KeyspaceIdentity, KeyspaceRef, LogTime,
    Operation, ProcedureCall, Read, SeqNo, Step, Version,
};

const KEYED: u8 = 1;
const STEPS: u8 = 2;
const CALLED: u8 = 4;
const TOTALS: u8 = 8;

/// Appends `entry` with its length in front.
pub(crate) fn encode(entry: &Entry, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([0; 4]);
    out.extend(entry.time.get().to_le_bytes());
    let flag = |flag, is_set| if is_set { flag } else { 0 };
    let keyed = flag(KEYED, entry.key.is_some());
    let (stepped, called) =
        (flag(STEPS, !entry.steps.is_empty()), flag(CALLED, entry.call.is_some()));
    out.push(keyed | stepped | called | flag(TOTALS, !entry.totals.is_empty()));
    if let Some((key, fingerprint)) = &entry.key {
        put_bytes16(out, key.as_bytes());
        encode_fingerprint(fingerprint, out);
    }
    encode_steps(&entry.steps, out);
    if let Some(call) = &entry.call {
        encode_call(call, out);
    }
    if !entry.totals.is_empty() {
        encode_totals(entry.totals.iter().map(|(name, value)| (&name[..], *value)), out);
    }
    put_bytes8(out, &entry.actor);
    put_bytes16(out, &entry.correlation);
    count(out, entry.keyspaces.len());
    entry.keyspaces.iter().for_each(|keyspace| encode_keyspace(keyspace, out));
    count(out, entry.operations.len());
    entry.operations.iter().for_each(|operation| encode_operation(operation, out));
    count(out, entry.reads.len());
    entry.reads.iter().for_each(|read| encode_read(read, out));
    encode_outcome(&entry.outcome, out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Takes the next entry, which has the number `seq`, off the front of a group's body.
pub(crate) fn decode(body: &mut Reader<'_>, seq: SeqNo) -> Option<Entry> {
    let length = body.u32()?;
    let mut reader = Reader::new(body.bytes(length as usize)?);
    decode_fields(&mut reader, seq)
}

fn decode_fields(reader: &mut Reader<'_>, seq: SeqNo) -> Option<Entry> {
    let time = LogTime::new(reader.u64()?);
    let flags = reader.u8()?;
    if flags & !(KEYED | STEPS | CALLED | TOTALS) != 0 {
        return None;
    }
    let key = if flags & KEYED == 0 {
        None
    } else {
        let key = IdempotencyKey::from_bytes(reader.bytes16()?.into())?;
        Some((key, decode_fingerprint(reader)?))
    };
    Some(Entry {
        seq,
        time,
        key,
        steps: if flags & STEPS == 0 { Vec::new() } else { decode_steps(reader)? },
        call: if flags & CALLED == 0 { None } else { Some(decode_call(reader)?.into()) },
        totals: if flags & TOTALS == 0 {
            Vec::new()
        } else {
            decode_totals(reader).filter(|totals| !totals.is_empty())?
        },
        actor: reader.bytes8()?.into(),
        correlation: reader.bytes16()?.into(),
        keyspaces: list(reader, decode_keyspace)?,
        operations: list(reader, decode_operation)?,
        reads: list(reader, decode_read)?,
        outcome: decode_outcome(reader.rest())?,
    })
}

fn encode_steps(steps: &[Step], out: &mut Vec<u8>) {
    if steps.is_empty() {
        return;
    }
    out.push(u8::try_from(steps.len()).expect("admission makes no more than that"));
    for step in steps {
        match step {
            Step::Mode(mode) => {
                out.push(1);
                encode_mode(mode, out);
            }
            Step::Close => out.push(2),
            Step::Demote { era } => {
                out.push(3);
                out.extend(era.to_le_bytes());
            }
            Step::Forget => out.push(4),
            Step::Rules(rules) => {
                out.push(5);
                encode_rules(rules, out);
            }
        }
    }
}

fn decode_steps(reader: &mut Reader<'_>) -> Option<Vec<Step>> {
    let count = reader.u8().filter(|count| *count > 0)?;
    let step = |_| match reader.u8()? {
        1 => Some(Step::Mode(decode_mode(reader)?)),
        2 => Some(Step::Close),
        3 => Some(Step::Demote { era: reader.u32()? }),
        4 => Some(Step::Forget),
        5 => Some(Step::Rules(decode_rules(reader)?)),
        _ => None,
    };
    (0..count).map(step).collect()
}

fn encode_call(call: &ProcedureCall, out: &mut Vec<u8>) {
    put_bytes8(out, &call.name);
    out.extend(call.version.to_le_bytes());
    out.extend(call.time.get().to_le_bytes());
    out.extend(call.seed.to_le_bytes());
    put_bytes32(out, &call.arguments);
}

fn decode_call(reader: &mut Reader<'_>) -> Option<ProcedureCall> {
    Some(ProcedureCall {
        name: reader.bytes8()?.into(),
        version: reader.u32()?,
        time: LogTime::new(reader.u64()?),
        seed: reader.u64()?,
        arguments: reader.bytes32()?.into(),
    })
}

fn count(out: &mut Vec<u8>, count: usize) {
    out.extend((count as u16).to_le_bytes());
}

fn list<T>(reader: &mut Reader<'_>, item: fn(&mut Reader<'_>) -> Option<T>) -> Option<Vec<T>> {
    (0..reader.u16()?).map(|_| item(reader)).collect()
}

fn encode_keyspace(keyspace: &KeyspaceRef, out: &mut Vec<u8>) {
    out.extend(keyspace.id.get().to_le_bytes());
    out.extend(keyspace.schema.to_le_bytes());
    out.push(u8::from(keyspace.identity.is_some()));
    if let Some(identity) = &keyspace.identity {
        put_bytes8(out, &identity.name);
        put_bytes16(out, &identity.shape);
        out.push(identity.codec);
    }
}

fn decode_keyspace(reader: &mut Reader<'_>) -> Option<KeyspaceRef> {
    let (id, schema) = (KeyspaceId::new(reader.u32()?), reader.u32()?);
    if id == KeyspaceId::DIRECTORY {
        return None;
    }
    let identity = match reader.u8()? {
        0 => None,
        1 => Some(KeyspaceIdentity::stored(
            reader.bytes8()?.into(),
            reader.bytes16()?.into(),
            reader.u8()?,
            schema,
        )),
        _ => return None,
    };
    Some(KeyspaceRef { id, schema, identity })
}

fn encode_operation(operation: &Operation, out: &mut Vec<u8>) {
    out.extend(operation.keyspace.to_le_bytes());
    put_bytes16(out, &operation.key);
    match operation.expect {
        Expect::Any => out.push(0),
        Expect::Absent => out.push(1),
        Expect::Present => out.push(2),
        Expect::Version(version) => {
            out.push(3);
            out.extend(version.get().to_le_bytes());
        }
    }
    match &operation.action {
        Action::Check => out.push(0),
        Action::Put(value) => {
            out.push(1);
            put_bytes32(out, value);
        }
        Action::Delete => out.push(2),
        Action::Add { delta, min, max, sum } => {
            out.push(3);
            [delta, min, max].into_iter().for_each(|number| out.extend(number.to_le_bytes()));
            put_bytes8(out, sum);
        }
    }
}

fn decode_operation(reader: &mut Reader<'_>) -> Option<Operation> {
    let (keyspace, key) = (reader.u16()?, reader.bytes16()?.into());
    let expect = match reader.u8()? {
        0 => Expect::Any,
        1 => Expect::Absent,
        2 => Expect::Present,
        3 => Expect::Version(Version::new(reader.u64()?)),
        _ => return None,
    };
    let action = match reader.u8()? {
        0 => Action::Check,
        1 => Action::Put(reader.bytes32()?.into()),
        2 => Action::Delete,
        3 => Action::Add {
            delta: reader.i64()?,
            min: reader.i64()?,
            max: reader.i64()?,
            sum: reader.bytes8()?.into(),
        },
        _ => return None,
    };
    Some(Operation { keyspace, key, expect, action })
}

fn encode_read(read: &Read, out: &mut Vec<u8>) {
    out.extend(read.keyspace.to_le_bytes());
    put_bytes16(out, &read.key);
    // No entry has the number 0, so it can stand for "there was no record".
    out.extend(read.seen.map_or(0, Version::get).to_le_bytes());
}

fn decode_read(reader: &mut Reader<'_>) -> Option<Read> {
    let (keyspace, key, seen) = (reader.u16()?, reader.bytes16()?.into(), reader.u64()?);
    Some(Read { keyspace, key, seen: (seen != 0).then(|| Version::new(seen)) })
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
