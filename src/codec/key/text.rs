//! Strings, in the order of their UTF-8 bytes.

use super::{AsKey, CodecError, Key, Prefix, Shape, escape};

impl Key for String {
    const SHAPE: Shape = Shape::Str;
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        Self::from_utf8(escape::take_ended(input)?)
            .map_err(|_| CodecError::MalformedKey("a string is not UTF-8"))
    }
}

impl AsKey<String> for str {
    fn encode(&self, out: &mut Vec<u8>) {
        escape::put_ended(self.as_bytes(), out);
    }
}

impl AsKey<String> for String {
    fn encode(&self, out: &mut Vec<u8>) {
        AsKey::<String>::encode(self.as_str(), out);
    }
}

impl Prefix<String> for str {
    fn encode(&self, out: &mut Vec<u8>) {
        escape::put(self.as_bytes(), out);
    }
}

impl Prefix<String> for String {
    fn encode(&self, out: &mut Vec<u8>) {
        Prefix::<String>::encode(self.as_str(), out);
    }
}
