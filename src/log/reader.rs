//! Reads a segment front to back through one buffer.

use super::segments::Segment;
use std::io;

const WINDOW: usize = 1 << 20;

/// A window of one segment's bytes that follows the reader.
pub(crate) struct Window<'a> {
    segment: &'a Segment,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    pub(crate) fn new(segment: &'a Segment) -> Self {
        Self { segment, start: 0, bytes: Vec::new() }
    }

    /// `length` bytes at `offset`, fewer at the end of the segment.
    pub(crate) fn at(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let length = within(length, self.segment.header.bytes.saturating_sub(offset));
        if offset < self.start || offset + length as u64 > self.start + self.bytes.len() as u64 {
            self.load(offset, length)?;
        }
        let from = (offset - self.start) as usize;
        Ok(&self.bytes[from..from + length])
    }

    fn load(&mut self, offset: u64, length: usize) -> io::Result<()> {
        let rest = self.segment.header.bytes - offset;
        self.bytes.resize(within(length.max(WINDOW), rest), 0);
        self.start = offset;
        self.segment.file.read_exact_at(offset, &mut self.bytes)
    }
}

/// `length`, but no more than what is left, which `usize` need not hold.
fn within(length: usize, left: u64) -> usize {
    usize::try_from(left).map_or(length, |left| length.min(left))
}
