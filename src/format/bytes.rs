//! Bounded reading and writing of little-endian fields.

use crate::base::Bytes;

/// Reads fields off the front of a slice; `None` when it is too short. Never allocates before a length is checked.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(head)
    }

    pub(crate) fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(|&[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().copied().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().copied().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().copied().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().copied().map(i64::from_le_bytes)
    }

    pub(crate) fn u128(&mut self) -> Option<u128> {
        self.array().copied().map(u128::from_le_bytes)
    }

    /// A run whose length stands before it in one byte.
    pub(crate) fn bytes8(&mut self) -> Option<Bytes> {
        let length = self.u8()?;
        self.slice(length.into()).map(Bytes::copy_from_slice)
    }

    /// A run whose length stands before it in two bytes.
    pub(crate) fn bytes16(&mut self) -> Option<Bytes> {
        let length = self.u16()?;
        self.slice(length.into()).map(Bytes::copy_from_slice)
    }

    /// A run whose length stands before it in four bytes.
    pub(crate) fn bytes32(&mut self) -> Option<Bytes> {
        let length = self.u32()?;
        self.slice(length as usize).map(Bytes::copy_from_slice)
    }
}

/// Writes a run after its length in one byte. The limits keep it short enough.
pub(crate) fn put8(out: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= usize::from(u8::MAX));
    out.push(bytes.len() as u8);
    out.extend_from_slice(bytes);
}

/// Writes a run after its length in two bytes. The limits keep it short enough.
pub(crate) fn put16(out: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= usize::from(u16::MAX));
    out.extend((bytes.len() as u16).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Writes a run after its length in four bytes. The limits keep it short enough.
pub(crate) fn put32(out: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= u32::MAX as usize);
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}
