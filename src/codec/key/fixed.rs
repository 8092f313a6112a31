//! Keys of fixed width: integers (big-endian, the sign bit of signed ones flipped), `bool` and 16-byte ids.

use super::{AsKey, CodecError, Key, Shape, take};

macro_rules! unsigned {
    ($($int:ident $shape:ident),*) => {$(
        impl Key for $int {
            const SHAPE: Shape = Shape::$shape;
            fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
                Ok(Self::from_be_bytes(take(input)?))
            }
        }

        impl AsKey<$int> for $int {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
        }
    )*};
}

macro_rules! signed {
    ($($int:ident $shape:ident),*) => {$(
        impl Key for $int {
            const SHAPE: Shape = Shape::$shape;
            fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
                Ok(Self::from_be_bytes(take(input)?) ^ Self::MIN)
            }
        }

        impl AsKey<$int> for $int {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&(self ^ Self::MIN).to_be_bytes());
            }
        }
    )*};
}

unsigned!(u8 U8, u16 U16, u32 U32, u64 U64, u128 U128);
signed!(i8 I8, i16 I16, i32 I32, i64 I64, i128 I128);

impl Key for bool {
    const SHAPE: Shape = Shape::Bool;
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        match take(input)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(CodecError::MalformedKey("a bool is neither 0 nor 1")),
        }
    }
}

impl AsKey<bool> for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Key for [u8; 16] {
    const SHAPE: Shape = Shape::Id;
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        take(input)
    }
}

impl AsKey<[u8; 16]> for [u8; 16] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}
