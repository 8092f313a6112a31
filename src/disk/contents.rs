//! The bytes of one file in memory, in shared pages: a copy of a whole file costs one reference count.
//!
//! Always holds: bytes past the length are zero, and a page that is absent is all zeros.

use std::{collections::BTreeMap, fmt, io, sync::Arc};

/// Bytes in a page.
pub(super) const PAGE_BYTES: u64 = 4096;

/// One page of a file.
pub(super) type Page = [u8; PAGE_BYTES as usize];

/// What an absent page reads as.
pub(super) static ZERO_PAGE: Page = [0; PAGE_BYTES as usize];

/// The bytes and the length of a file.
#[derive(Clone, Default)]
pub(super) struct Contents {
    pages: Arc<BTreeMap<u64, Arc<Page>>>,
    len: u64,
}

impl Contents {
    /// Writes and grows the length as needed.
    pub(super) fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = end_of(offset, bytes.len())?;
        self.patch(offset, bytes);
        if !bytes.is_empty() {
            self.len = self.len.max(end);
        }
        Ok(())
    }

    /// Sets the length; everything past it is forgotten.
    pub(super) fn set_len(&mut self, len: u64) {
        self.len = len;
        let (last, within) = (len / PAGE_BYTES, (len % PAGE_BYTES) as usize);
        if self.pages.range(last..).next().is_none() {
            return;
        }
        let pages = Arc::make_mut(&mut self.pages);
        let mut cut = pages.split_off(&last);
        if within > 0
            && let Some(mut page) = cut.remove(&last)
        {
            Arc::make_mut(&mut page)[within..].fill(0);
            pages.insert(last, page);
        }
    }

    /// Writes bytes without regard to the length. The caller sets the length afterwards.
    pub(super) fn patch(&mut self, offset: u64, bytes: &[u8]) {
        for (number, within, part) in parts(offset, bytes) {
            if !self.pages.contains_key(&number) && part.iter().all(|byte| *byte == 0) {
                continue;
            }
            let pages = Arc::make_mut(&mut self.pages);
            let page = pages.entry(number).or_insert_with(|| Arc::new(ZERO_PAGE));
            Arc::make_mut(page)[within..within + part.len()].copy_from_slice(part);
        }
    }

    /// Puts a whole page in place without regard to the length.
    #[cfg(feature = "testing")]
    pub(super) fn put_page(&mut self, number: u64, page: Option<Arc<Page>>) {
        let pages = Arc::make_mut(&mut self.pages);
        match page {
            Some(page) => pages.insert(number, page),
            None => pages.remove(&number),
        };
    }

    /// A page; none when it is all zeros.
    #[cfg(feature = "testing")]
    pub(super) fn page(&self, number: u64) -> Option<&Arc<Page>> {
        self.pages.get(&number)
    }

    /// Reads what there is of `buffer.len()` bytes and returns how many.
    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let there = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let taken = buffer.len().min(there);
        let mut done = 0;
        while done < taken {
            let at = offset + done as u64;
            let within = (at % PAGE_BYTES) as usize;
            let n = (PAGE_BYTES as usize - within).min(taken - done);
            let page = self.pages.get(&(at / PAGE_BYTES)).map_or(&ZERO_PAGE, |page| &**page);
            buffer[done..done + n].copy_from_slice(&page[within..within + n]);
            done += n;
        }
        taken
    }

    /// The length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }
}

/// Lengths only: the bytes may be someone's.
impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contents({} bytes, {} pages)", self.len, self.pages.len())
    }
}

/// The end of a range, within what a file can hold.
pub(super) fn end_of(offset: u64, bytes: usize) -> io::Result<u64> {
    let end = offset.checked_add(bytes as u64).filter(|end| i64::try_from(*end).is_ok());
    end.ok_or_else(|| io::ErrorKind::FileTooLarge.into())
}

/// Cuts a write at page boundaries: page number, offset within it, bytes.
pub(super) fn parts(offset: u64, bytes: &[u8]) -> impl Iterator<Item = (u64, usize, &[u8])> {
    let mut at = offset;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let within = (at % PAGE_BYTES) as usize;
        let (part, tail) = rest.split_at(rest.len().min(PAGE_BYTES as usize - within));
        let number = at / PAGE_BYTES;
        at += part.len() as u64;
        rest = tail;
        Some((number, within, part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(contents: &Contents) -> Vec<u8> {
        let mut bytes = vec![0xEE; contents.len() as usize + 10];
        let n = contents.read_at(0, &mut bytes);
        bytes.truncate(n);
        bytes
    }

    #[test]
    fn writes_across_pages_read_back() {
        let mut contents = Contents::default();
        contents.write_at(4090, b"0123456789").unwrap();
        assert_eq!(contents.len(), 4100);
        assert_eq!(&all(&contents)[4090..], b"0123456789");
        assert!(all(&contents)[..4090].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_a_shorter_length_cut_does_not_come_back() {
        let mut contents = Contents::default();
        contents.write_at(0, &[7; 9000]).unwrap();
        contents.set_len(5000);
        contents.set_len(9000);
        let bytes = all(&contents);
        assert!(bytes[..5000].iter().all(|byte| *byte == 7));
        assert!(bytes[5000..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn zeros_take_no_pages_and_copies_are_independent() {
        let mut contents = Contents::default();
        contents.write_at(0, &[0; 64 << 10]).unwrap();
        assert_eq!(contents.pages.len(), 0);
        let before = contents.clone();
        contents.write_at(0, b"x").unwrap();
        assert_eq!(all(&before)[0], 0);
        assert_eq!(all(&contents)[0], b'x');
    }

    #[test]
    fn an_offset_no_file_can_have_is_refused() {
        let mut contents = Contents::default();
        assert!(contents.write_at(u64::MAX, b"x").is_err());
        assert!(contents.write_at(i64::MAX as u64, b"x").is_err());
        assert_eq!(contents.read_at(u64::MAX, &mut [0; 4]), 0);
    }
}
