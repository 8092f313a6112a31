//! What the bytes of a key are made of. The tags are stored: they never change.

use super::take;
use std::fmt;

/// What the bytes of a key are made of: part of the identity of a keyspace.
///
/// ```
/// use steadfast::{Key, Shape};
///
/// assert_eq!(<(u32, String)>::SHAPE, Shape::Tuple(&[Shape::U32, Shape::Str]));
/// assert_eq!(<(u32, String)>::SHAPE.to_string(), "(u32, str)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// `u8`: 1 byte.
    U8,
    /// `u16`: 2 bytes, big-endian.
    U16,
    /// `u32`: 4 bytes, big-endian.
    U32,
    /// `u64`: 8 bytes, big-endian.
    U64,
    /// `u128`: 16 bytes, big-endian.
    U128,
    /// `i8`: 1 byte, sign bit flipped.
    I8,
    /// `i16`: 2 bytes, big-endian, sign bit flipped.
    I16,
    /// `i32`: 4 bytes, big-endian, sign bit flipped.
    I32,
    /// `i64`: 8 bytes, big-endian, sign bit flipped.
    I64,
    /// `i128`: 16 bytes, big-endian, sign bit flipped.
    I128,
    /// `bool`: 1 byte, 0 or 1.
    Bool,
    /// UTF-8, 00 written as 00 FF, ended by 00 00.
    Str,
    /// Bytes, 00 written as 00 FF, ended by 00 00.
    Bytes,
    /// 16 bytes as they are.
    Id,
    /// These, one after the other.
    Tuple(&'static [Shape]),
}

const TUPLE: u8 = 0x41;
/// Deepest nesting of tuples that is described.
const DEPTH: usize = 16;

impl Shape {
    const fn tag(&self) -> u8 {
        match self {
            Self::U8 => 0x01,
            Self::U16 => 0x02,
            Self::U32 => 0x03,
            Self::U64 => 0x04,
            Self::U128 => 0x05,
            Self::I8 => 0x11,
            Self::I16 => 0x12,
            Self::I32 => 0x13,
            Self::I64 => 0x14,
            Self::I128 => 0x15,
            Self::Bool => 0x21,
            Self::Str => 0x31,
            Self::Bytes => 0x32,
            Self::Id => 0x33,
            Self::Tuple(_) => TUPLE,
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.push(self.tag());
        if let Self::Tuple(elements) = self {
            // Ours have at most six; of a longer one the identity keeps all elements and the count as far as it goes.
            out.push(u8::try_from(elements.len()).unwrap_or(u8::MAX));
            elements.iter().for_each(|element| element.put(out));
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(describe_shape(&encode_shape(self)).as_deref().unwrap_or("(...)"))
    }
}

/// The stored form of a shape: a tag, and for a tuple the number of elements and each of them.
pub(crate) fn encode_shape(shape: &Shape) -> Vec<u8> {
    let mut bytes = Vec::new();
    shape.put(&mut bytes);
    bytes
}

/// The readable form of a stored shape, `(u32, str)`. `None` when it isn't one of ours.
pub(crate) fn describe_shape(mut encoded: &[u8]) -> Option<String> {
    let mut text = String::new();
    describe(&mut encoded, DEPTH, &mut text)?;
    encoded.is_empty().then_some(text)
}

fn describe(input: &mut &[u8], depth: usize, text: &mut String) -> Option<()> {
    let [tag] = take(input).ok()?;
    if tag != TUPLE {
        text.push_str(name(tag)?);
        return Some(());
    }
    let depth = depth.checked_sub(1)?;
    let [elements] = take(input).ok()?;
    for index in 0..elements {
        text.push_str(if index == 0 { "(" } else { ", " });
        describe(input, depth, text)?;
    }
    text.push(')');
    Some(())
}

const fn name(tag: u8) -> Option<&'static str> {
    Some(match tag {
        0x01 => "u8",
        0x02 => "u16",
        0x03 => "u32",
        0x04 => "u64",
        0x05 => "u128",
        0x11 => "i8",
        0x12 => "i16",
        0x13 => "i32",
        0x14 => "i64",
        0x15 => "i128",
        0x21 => "bool",
        0x31 => "str",
        0x32 => "bytes",
        0x33 => "id",
        _ => return None,
    })
}
