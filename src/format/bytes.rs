//! Little-endian building blocks of every layout.
//!
//! [`Reader`] checks each length against what is left before anything is copied, so a damaged length costs no memory.
//! Writers append to a `Vec`; a length prefix that would not fit is a broken limit upstream, and they panic on it
//! rather than store a truncated length.

/// Takes values off the front of some bytes; `None` as soon as they do not suffice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// The next `len` bytes.
    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    /// Bytes behind a length of one byte.
    pub(crate) fn bytes8(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.bytes(len.into())
    }

    /// Bytes behind a length of two bytes.
    pub(crate) fn bytes16(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.bytes(len.into())
    }

    /// Bytes behind a length of four bytes.
    pub(crate) fn bytes32(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.bytes(len.try_into().ok()?)
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// `Some` when everything was taken: a layout has no room for anything behind it.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

pub(crate) fn put_u8(out: &mut Vec<u8>, number: u8) {
    out.push(number);
}

pub(crate) fn put_u16(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&number.to_le_bytes());
}

pub(crate) fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

pub(crate) fn put_u128(out: &mut Vec<u8>, number: u128) {
    out.extend_from_slice(&number.to_le_bytes());
}

pub(crate) fn put_i64(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// Bytes without a length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

/// Bytes behind a length of one byte.
pub(crate) fn put_bytes8(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u8(out, bytes.len().try_into().expect("limited to 255 bytes"));
    put_bytes(out, bytes);
}

/// Bytes behind a length of two bytes.
pub(crate) fn put_bytes16(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u16(out, bytes.len().try_into().expect("limited to 65,535 bytes"));
    put_bytes(out, bytes);
}

/// Bytes behind a length of four bytes.
pub(crate) fn put_bytes32(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, bytes.len().try_into().expect("limited to 4 GiB"));
    put_bytes(out, bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_read_back() {
        let mut out = Vec::new();
        put_u8(&mut out, 1);
        put_u16(&mut out, 2);
        put_u32(&mut out, 3);
        put_u64(&mut out, 4);
        put_u128(&mut out, 5);
        put_i64(&mut out, -6);
        put_bytes8(&mut out, b"seven");
        put_bytes16(&mut out, b"eight");
        put_bytes32(&mut out, b"nine");
        put_bytes(&mut out, b"ten");
        let mut reader = Reader::new(&out);
        assert_eq!(reader.u8(), Some(1));
        assert_eq!(reader.u16(), Some(2));
        assert_eq!(reader.u32(), Some(3));
        assert_eq!(reader.u64(), Some(4));
        assert_eq!(reader.u128(), Some(5));
        assert_eq!(reader.i64(), Some(-6));
        assert_eq!(reader.bytes8(), Some(&b"seven"[..]));
        assert_eq!(reader.bytes16(), Some(&b"eight"[..]));
        assert_eq!(reader.bytes32(), Some(&b"nine"[..]));
        assert_eq!(reader.end(), None);
        assert_eq!(reader.rest(), b"ten");
        assert_eq!(reader.end(), Some(()));
    }

    #[test]
    fn a_length_past_the_end_is_refused() {
        assert_eq!(Reader::new(&[3, 1, 2]).bytes8(), None);
        assert_eq!(Reader::new(&[0xff, 0xff, 1]).bytes16(), None);
        assert_eq!(Reader::new(&[0xff; 7]).bytes32(), None);
        assert_eq!(Reader::new(&[1, 2, 3]).u32(), None);
        assert_eq!(Reader::new(&[]).bytes(usize::MAX), None);
    }
}
