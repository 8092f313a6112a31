//! A remembered outcome:
//! ```text
//! | fingerprint: hash 32 | kind u8 | operations u32 | expectations u32 | seq u64 | time u64 | outcome ... |
//! ```
//! What is left of it after a while, under the hash of its key:
//! ```text
//! | fingerprint: first half of the hash 16 | class u8 | seq u64 | time u64 |
//! ```

use super::outcome::{decode_outcome, encode_outcome};
use crate::{
    base::{Fingerprint, LogTime, OutcomeClass, SeqNo, Stub, WindowRow},
    format::bytes::{Reader, put_bytes, put_u8, put_u32, put_u64},
};

/// Appends the body of a window row.
pub(crate) fn encode_window_row(row: &WindowRow, out: &mut Vec<u8>) {
    encode_fingerprint(&row.fingerprint, out);
    put_u64(out, row.seq.get());
    put_u64(out, row.time.get());
    encode_outcome(&row.outcome, out);
}

/// Reads the body of a window row.
pub(crate) fn decode_window_row(body: &[u8]) -> Option<WindowRow> {
    let mut reader = Reader::new(body);
    Some(WindowRow {
        fingerprint: decode_fingerprint(&mut reader)?,
        seq: SeqNo::new(reader.u64()?),
        time: LogTime::new(reader.u64()?),
        outcome: decode_outcome(reader.rest())?,
    })
}

/// Appends a fingerprint.
pub(crate) fn encode_fingerprint(fingerprint: &Fingerprint, out: &mut Vec<u8>) {
    put_bytes(out, &fingerprint.hash);
    put_u8(out, fingerprint.kind);
    put_u32(out, fingerprint.operations);
    put_u32(out, fingerprint.expectations);
}

/// Reads a fingerprint.
pub(crate) fn decode_fingerprint(reader: &mut Reader<'_>) -> Option<Fingerprint> {
    Some(Fingerprint {
        hash: reader.array()?,
        kind: reader.u8()?,
        operations: reader.u32()?,
        expectations: reader.u32()?,
    })
}

/// Appends the body of a stub.
pub(crate) fn encode_stub(stub: &Stub, out: &mut Vec<u8>) {
    put_bytes(out, &stub.fingerprint);
    put_u8(out, stub.class as u8);
    put_u64(out, stub.seq.get());
    put_u64(out, stub.time.get());
}

/// Reads the body of a stub.
pub(crate) fn decode_stub(body: &[u8]) -> Option<Stub> {
    let mut reader = Reader::new(body);
    let stub = Stub {
        fingerprint: reader.array()?,
        class: match reader.u8()? {
            1 => OutcomeClass::Committed,
            2 => OutcomeClass::Rejected,
            3 => OutcomeClass::Fenced,
            _ => return None,
        },
        seq: SeqNo::new(reader.u64()?),
        time: LogTime::new(reader.u64()?),
    };
    reader.end()?;
    Some(stub)
}
