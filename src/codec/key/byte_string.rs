//! Byte strings of any length.

use super::{AsKey, CodecError, Key, Prefix, Shape, escape};
use crate::base::Bytes;

impl Key for Vec<u8> {
    const SHAPE: Shape = Shape::Bytes;
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        escape::take_ended(input)
    }
}

impl AsKey<Vec<u8>> for [u8] {
    fn encode(&self, out: &mut Vec<u8>) {
        escape::put_ended(self, out);
    }
}

impl Prefix<Vec<u8>> for [u8] {
    fn encode(&self, out: &mut Vec<u8>) {
        escape::put(self, out);
    }
}

impl<const N: usize> AsKey<Vec<u8>> for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        escape::put_ended(self, out);
    }
}

impl<const N: usize> Prefix<Vec<u8>> for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        escape::put(self, out);
    }
}

macro_rules! owned {
    ($($owned:ty),*) => {$(
        impl AsKey<Vec<u8>> for $owned {
            fn encode(&self, out: &mut Vec<u8>) {
                escape::put_ended(self, out);
            }
        }

        impl Prefix<Vec<u8>> for $owned {
            fn encode(&self, out: &mut Vec<u8>) {
                escape::put(self, out);
            }
        }
    )*};
}

owned!(Vec<u8>, Bytes);
