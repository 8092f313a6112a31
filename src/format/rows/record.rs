//! A record:
//! ```text
//! | schema u32 | version u64 | created u64 | time u64 | actor length u8 | actor | value ... |
//! ```

use crate::{
    base::{LogTime, Row, Version, canary::canary},
    format::bytes::{Reader, put_bytes, put_bytes8, put_u32, put_u64},
};

/// Appends the body of a record.
pub(crate) fn encode_row(row: &Row, out: &mut Vec<u8>) {
    put_u32(out, row.schema);
    put_u64(out, row.version.get());
    put_u64(out, if canary!(CreatedLost) { row.version.get() } else { row.created.get() });
    put_u64(out, row.time.get());
    put_bytes8(out, &row.actor);
    put_bytes(out, &row.value);
}

/// Reads the body of a record.
pub(crate) fn decode_row(body: &[u8]) -> Option<Row> {
    let mut reader = Reader::new(body);
    Some(Row {
        schema: reader.u32()?,
        version: Version::new(reader.u64()?),
        created: Version::new(reader.u64()?),
        time: LogTime::new(reader.u64()?),
        actor: reader.bytes8()?.into(),
        value: reader.rest().into(),
    })
}
