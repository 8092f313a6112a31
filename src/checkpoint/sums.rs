//! What each block of the file held when it was last read or written, as a CRC in memory.
//!
//! redb checks its pages when it opens a file, and not when it reads them later. A row that damage changes fails its own
//! checksum, but one that damage hides, in a page above it or by taking its page away, would read as absent. So a block
//! that is read again must be what it was.

use crate::format::{BLOCK, crc};
use parking_lot::Mutex;
use std::{io, ops::Range};

/// Not yet known. A CRC that happens to be this is kept as another.
const UNKNOWN: u32 = 0;

/// By block; four bytes each.
#[derive(Debug, Default)]
pub(super) struct Sums(Mutex<Vec<u32>>);

impl Sums {
    /// Compares what was read with what was there before, as far as it is whole blocks, and notes what is new.
    pub(super) fn check(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        for (block, sum) in whole_blocks(offset, bytes) {
            let mut known = self.0.lock();
            let known = slot(&mut known, block);
            if *known == UNKNOWN {
                *known = sum;
            } else if *known != sum {
                let what =
                    format!("the block at offset {} is not what it was", block as u64 * BLOCK);
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        }
        Ok(())
    }

    /// What is about to be written is not known until it is.
    pub(super) fn forget(&self, blocks: Range<u64>) {
        let mut known = self.0.lock();
        let end = known.len().min(blocks.end as usize);
        let begin = end.min(blocks.start as usize);
        known[begin..end].fill(UNKNOWN);
    }

    /// Notes what was written, as far as it is whole blocks.
    pub(super) fn wrote(&self, offset: u64, bytes: &[u8]) {
        for (block, sum) in whole_blocks(offset, bytes) {
            *slot(&mut self.0.lock(), block) = sum;
        }
    }

    /// The file has this length now.
    pub(super) fn cut(&self, len: u64) {
        let mut known = self.0.lock();
        let whole = (len / BLOCK) as usize;
        known.truncate(whole);
    }
}

/// The blocks that a range of bytes touches.
pub(super) fn touched(offset: u64, bytes: &[u8]) -> Range<u64> {
    offset / BLOCK..(offset + bytes.len() as u64).div_ceil(BLOCK)
}

fn whole_blocks(offset: u64, bytes: &[u8]) -> impl Iterator<Item = (usize, u32)> {
    let before = offset.next_multiple_of(BLOCK) - offset;
    let first = offset.div_ceil(BLOCK) as usize;
    let inside = bytes.get(before as usize..).unwrap_or(&[]);
    let blocks = inside.chunks_exact(BLOCK as usize).map(|block| match crc(0, block) {
        UNKNOWN => !UNKNOWN,
        sum => sum,
    });
    (first..).zip(blocks)
}

fn slot(known: &mut Vec<u32>, block: usize) -> &mut u32 {
    if known.len() <= block {
        known.resize(block + 1, UNKNOWN);
    }
    &mut known[block]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_between_two_reads_is_noticed() {
        let sums = Sums::default();
        let mut bytes = vec![7; 3 * BLOCK as usize];
        sums.check(BLOCK, &bytes).unwrap();
        sums.check(BLOCK, &bytes).unwrap();
        bytes[5_000] ^= 1;
        let error = sums.check(BLOCK, &bytes).unwrap_err();
        assert_eq!(error.to_string(), "the block at offset 8192 is not what it was");
        // Part of a block says nothing, and the other blocks are as they were.
        sums.check(2 * BLOCK + 1, &bytes[BLOCK as usize + 1..2 * BLOCK as usize]).unwrap();
        sums.check(3 * BLOCK, &bytes[2 * BLOCK as usize..]).unwrap();
    }

    #[test]
    fn what_is_written_is_what_is_read_next() {
        let sums = Sums::default();
        let (old, new) = (vec![1; BLOCK as usize], vec![2; BLOCK as usize]);
        sums.wrote(0, &old);
        assert!(sums.check(0, &new).is_err());
        sums.forget(touched(10, &new[..20]));
        sums.check(0, &new).unwrap();
        assert!(sums.check(0, &old).is_err());
        sums.wrote(0, &old);
        sums.cut(BLOCK - 1);
        sums.check(0, &new).unwrap();
        // Far past anything known.
        sums.forget(900..901);
    }
}
