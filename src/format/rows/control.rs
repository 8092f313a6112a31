//! The mode of the database, and what is remembered for how long:
//! ```text
//! | mode | forgotten seq u64 | forgotten time u64 | generations u16 | generation ... | eras u16 | era ... | rules |
//!
//! mode        | 0 |   or   | 1 | reason length u16 | reason |
//! generation  | number u32 | rows u64 | bytes u64 | full u128 | stubs u128 | first time u64 | last seq u64 | last time u64 |
//! era         | number u32 | last generation u32 | rows u64 | digest u128 | first time u64 | last seq u64 | last time u64 |
//! ```
//! `rules` is the last, and said in `rules.rs`. The state digest covers only what steps of entries change: mode, what is forgotten, the closed generations, the eras;
//! rules and totals have rows of their own in it.

use super::{decode_rules, encode_rules};
use crate::{
    base::{Control, Era, Generation, LogTime, Mode, SeqNo},
    format::bytes::{Reader, put_bytes16, put_u8, put_u16, put_u32, put_u64, put_u128},
};

/// Appends the body of the control row.
pub(crate) fn encode_control(control: &Control, out: &mut Vec<u8>) {
    encode_head(control, out);
    put_u16(out, count(control.generations.len()));
    for generation in &control.generations {
        put_u32(out, generation.number);
        put_u64(out, generation.rows);
        put_u64(out, generation.bytes);
        put_u128(out, generation.full);
        put_u128(out, generation.stubs);
        put_u64(out, generation.first_time.get());
        put_u64(out, generation.last.get());
        put_u64(out, generation.last_time.get());
    }
    put_u16(out, count(control.eras.len()));
    for era in &control.eras {
        put_u32(out, era.number);
        put_u32(out, era.last_generation);
        put_u64(out, era.rows);
        put_u128(out, era.digest);
        put_u64(out, era.first_time.get());
        put_u64(out, era.last.get());
        put_u64(out, era.last_time.get());
    }
    encode_rules(&control.rules, out);
}

/// Appends what the state digest covers, which changes by steps only.
pub(crate) fn encode_boundaries(control: &Control, out: &mut Vec<u8>) {
    encode_head(control, out);
    put_u16(out, count(control.generations.len()));
    let (open, closed) = control.generations.split_last().expect("one is always open");
    for generation in closed {
        put_u32(out, generation.number);
        put_u64(out, generation.last.get());
        put_u64(out, generation.last_time.get());
    }
    put_u32(out, open.number);
    for era in &control.eras {
        put_u32(out, era.number);
        put_u32(out, era.last_generation);
        put_u64(out, era.first_time.get());
        put_u64(out, era.last.get());
        put_u64(out, era.last_time.get());
    }
}

fn encode_head(control: &Control, out: &mut Vec<u8>) {
    encode_mode(&control.mode, out);
    put_u64(out, control.forgotten.get());
    put_u64(out, control.forgotten_time.get());
}

/// Reads the body of the control row.
pub(crate) fn decode_control(body: &[u8]) -> Option<Control> {
    let mut reader = Reader::new(body);
    let control = Control {
        mode: decode_mode(&mut reader)?,
        forgotten: SeqNo::new(reader.u64()?),
        forgotten_time: LogTime::new(reader.u64()?),
        generations: list(&mut reader, decode_generation)?,
        eras: list(&mut reader, decode_era)?,
        rules: decode_rules(&mut reader)?,
    };
    reader.end()?;
    (!control.generations.is_empty()).then_some(control)
}

fn decode_generation(reader: &mut Reader<'_>) -> Option<Generation> {
    Some(Generation {
        number: reader.u32()?,
        rows: reader.u64()?,
        bytes: reader.u64()?,
        full: reader.u128()?,
        stubs: reader.u128()?,
        first_time: LogTime::new(reader.u64()?),
        last: SeqNo::new(reader.u64()?),
        last_time: LogTime::new(reader.u64()?),
    })
}

fn decode_era(reader: &mut Reader<'_>) -> Option<Era> {
    Some(Era {
        number: reader.u32()?,
        last_generation: reader.u32()?,
        rows: reader.u64()?,
        digest: reader.u128()?,
        first_time: LogTime::new(reader.u64()?),
        last: SeqNo::new(reader.u64()?),
        last_time: LogTime::new(reader.u64()?),
    })
}

/// Appends a mode.
pub(crate) fn encode_mode(mode: &Mode, out: &mut Vec<u8>) {
    match mode {
        Mode::ReadWrite => put_u8(out, 0),
        Mode::ReadOnly { reason } => {
            put_u8(out, 1);
            put_bytes16(out, reason.as_bytes());
        }
    }
}

/// Reads a mode.
pub(crate) fn decode_mode(reader: &mut Reader<'_>) -> Option<Mode> {
    match reader.u8()? {
        0 => Some(Mode::ReadWrite),
        1 => {
            let reason = std::str::from_utf8(reader.bytes16()?).ok()?;
            Some(Mode::ReadOnly { reason: reason.to_owned() })
        }
        _ => None,
    }
}

fn count(items: usize) -> u16 {
    items.try_into().expect("a generation or an era takes a part of the time outcomes are kept")
}

fn list<T>(reader: &mut Reader<'_>, item: fn(&mut Reader<'_>) -> Option<T>) -> Option<Vec<T>> {
    (0..reader.u16()?).map(|_| item(reader)).collect()
}
