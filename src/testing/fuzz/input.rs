//! Takes choices off the front of some bytes.

/// What is left of an input. Total: past the end everything is zero, so that every input means something and a shorter one
/// means less.
#[derive(Clone, Debug)]
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// So many bytes, zeros where there are none.
    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.bytes(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    pub(super) fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.array())
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    pub(super) fn u128(&mut self) -> u128 {
        u128::from_le_bytes(self.array())
    }

    pub(super) fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.array())
    }

    pub(super) fn flag(&mut self) -> bool {
        self.u8() & 1 == 1
    }

    /// A number below `end`, which is not 0, of as few bytes as will do.
    pub(super) fn below(&mut self, end: usize) -> usize {
        match end {
            0..=0x100 => usize::from(self.u8()) % end.max(1),
            0x101..=0x1_0000 => usize::from(self.u16()) % end,
            _ => self.u32() as usize % end,
        }
    }

    /// One of these, of which there is at least one.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A number: small ones and the greatest more often than others.
    pub(super) fn number(&mut self) -> u64 {
        match self.u8() {
            0xFF => u64::MAX,
            0xFE => u64::MAX - 1,
            0xF0..0xFE => self.u64(),
            small => small.into(),
        }
    }

    /// At most so many bytes, fewer at the end.
    pub(super) fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(most.min(self.0.len()));
        self.0 = tail;
        head
    }

    /// Bytes behind their length, of which there are at most `most`, up to 255.
    pub(super) fn string(&mut self, most: usize) -> &'a [u8] {
        let length = usize::from(self.u8()).min(most);
        self.bytes(length)
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

/// So many bytes of noise: the xorshift generator, from a seed.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}
