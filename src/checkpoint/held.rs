//! Changes to a file that are kept in memory: the list, to be carried out later, and what a reader sees meanwhile.
//!
//! Two kinds of holders use it. One holds everything. The other, [short](Held::short) of room, holds what found none, and
//! lets the rest pass: between two syncs the order of writes to different blocks is nobody's business. From a sync on, or a
//! shorter length, it holds everything, too, since what follows must not be there before.

use crate::disk::{self, File};
use std::{
    collections::BTreeMap,
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

const BLOCK: u64 = 4096;

/// The changes so far, in order, over a file that stays as it is.
#[derive(Debug)]
pub(super) struct Held {
    changes: Vec<Change>,
    /// How many of them have been carried out.
    done: AtomicUsize,
    /// How many bytes they write.
    bytes: u64,
    /// Blocks that differ from the file.
    blocks: BTreeMap<u64, Box<[u8]>>,
    /// How much of the file shows through; what was cut off reads as zeros if the length grows again.
    shows: u64,
    /// The length a reader sees.
    len: u64,
    /// For one that is short: the last write to each block, since the last change of another kind.
    last: Option<BTreeMap<u64, usize>>,
    /// Whether a length is held.
    resized: bool,
    /// Whether something is held that nothing may pass.
    sealed: bool,
}

#[derive(Debug)]
enum Change {
    Write { offset: u64, bytes: Box<[u8]> },
    SetLen(u64),
    Sync,
}

impl Held {
    pub(super) const fn new(len: u64) -> Self {
        Self {
            changes: Vec::new(),
            done: AtomicUsize::new(0),
            bytes: 0,
            blocks: BTreeMap::new(),
            shows: len,
            len,
            last: None,
            resized: false,
            sealed: false,
        }
    }

    /// Holds what finds no room.
    pub(super) fn short(len: u64) -> Self {
        Self { last: Some(BTreeMap::new()), ..Self::new(len) }
    }

    /// Whether a write may go to the file at once, past all that is held.
    pub(super) fn lets_pass(&self, offset: u64, bytes: &[u8]) -> bool {
        let end = offset + bytes.len() as u64;
        let mut held = self.blocks.range(offset / BLOCK..end.div_ceil(BLOCK));
        self.is_unordered() && end <= self.shows && held.next().is_none()
    }

    /// Whether what was written before may still be written after what comes now.
    pub(super) fn is_unordered(&self) -> bool {
        self.last.is_some() && !self.sealed
    }

    /// Whether, besides, the file has the length that a reader sees.
    pub(super) fn has_its_length(&self) -> bool {
        self.is_unordered() && !self.resized
    }

    /// Lets the file grow at once, if nothing held is against it; false when it did not.
    fn grows(&mut self, file: &dyn File, len: u64) -> io::Result<bool> {
        if !self.has_its_length() || len < self.len {
            return Ok(false);
        }
        match file.set_len(len) {
            Err(error) if disk::is_full(&error) => Ok(false),
            grown => {
                grown?;
                (self.shows, self.len) = (len, len);
                Ok(true)
            }
        }
    }

    /// How many bytes are to be written in all.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads the file with the changes in place. The caller has checked the range against the length.
    pub(super) fn read(&self, file: &dyn File, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read_file(file, offset, out)?;
        let end = offset + out.len() as u64;
        for (index, block) in self.blocks.range(offset / BLOCK..end.div_ceil(BLOCK)) {
            let start = index * BLOCK;
            let (from, to) = (start.max(offset), (start + BLOCK).min(end));
            out[(from - offset) as usize..(to - offset) as usize]
                .copy_from_slice(&block[(from - start) as usize..(to - start) as usize]);
        }
        Ok(())
    }

    fn read_file(&self, file: &dyn File, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = self.shows.saturating_sub(offset).min(out.len() as u64) as usize;
        let (shown, beyond) = out.split_at_mut(there);
        beyond.fill(0);
        file.read_exact_at(offset, shown)
    }

    pub(super) fn write(&mut self, file: &dyn File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset + bytes.len() as u64;
        self.len = self.len.max(end);
        for index in offset / BLOCK..end.div_ceil(BLOCK) {
            let start = index * BLOCK;
            let (from, to) = (start.max(offset), (start + BLOCK).min(end));
            self.block(file, index)?[(from - start) as usize..(to - start) as usize]
                .copy_from_slice(&bytes[(from - offset) as usize..(to - offset) as usize]);
        }
        if !self.supersedes(offset, bytes) {
            self.changes.push(Change::Write { offset, bytes: bytes.into() });
            self.bytes += bytes.len() as u64;
        }
        Ok(())
    }

    /// Puts a write in the place of one that nobody needs any more, if there is one. It is short of memory, too.
    fn supersedes(&mut self, offset: u64, bytes: &[u8]) -> bool {
        let Some(last) = &mut self.last else { return false };
        let blocks = offset / BLOCK..(offset + bytes.len() as u64).div_ceil(BLOCK);
        let before = last.get(&blocks.start).copied();
        let alone = blocks.clone().all(|block| last.get(&block).copied() == before);
        let before = before.filter(|place| alone && *place >= *self.done.get_mut());
        match before.map(|place| &mut self.changes[place]) {
            Some(Change::Write { offset: there, bytes: old })
                if *there == offset && old.len() == bytes.len() =>
            {
                old.copy_from_slice(bytes);
                true
            }
            _ => {
                last.extend(blocks.map(|block| (block, self.changes.len())));
                false
            }
        }
    }

    fn block(&mut self, file: &dyn File, index: u64) -> io::Result<&mut [u8]> {
        if !self.blocks.contains_key(&index) {
            let mut block = vec![0; BLOCK as usize].into_boxed_slice();
            self.read_file(file, index * BLOCK, &mut block)?;
            self.blocks.insert(index, block);
        }
        Ok(self.blocks.get_mut(&index).expect("inserted above"))
    }

    pub(super) fn set_len(&mut self, file: &dyn File, len: u64) -> io::Result<()> {
        if self.grows(file, len)? {
            return Ok(());
        }
        self.sealed |= len < self.len;
        (self.resized, self.len) = (true, len);
        self.shows = self.shows.min(len);
        self.blocks.split_off(&len.div_ceil(BLOCK));
        if let Some(block) = self.blocks.get_mut(&(len / BLOCK)) {
            block[(len % BLOCK) as usize..].fill(0);
        }
        self.push(Change::SetLen(len));
        Ok(())
    }

    pub(super) fn sync(&mut self) {
        self.sealed = true;
        self.push(Change::Sync);
    }

    fn push(&mut self, change: Change) {
        self.changes.push(change);
        if let Some(last) = &mut self.last {
            last.clear();
        }
    }

    /// Carries the changes out, in order, from where the last call ended. What this one could not do is done by the next:
    /// readers see no difference.
    pub(super) fn replay(&self, file: &dyn File) -> Result<(), Stuck> {
        let done = self.done.load(Ordering::Acquire);
        for (place, change) in self.changes.iter().enumerate().skip(done) {
            match change {
                Change::Write { offset, bytes } => {
                    file.write_all_at(*offset, bytes).map_err(Stuck::of)?
                }
                Change::SetLen(len) => file.set_len(*len).map_err(Stuck::of)?,
                // Whatever it says, nothing is known about the bytes any more.
                Change::Sync => file.sync_data().map_err(Stuck::Failed)?,
            }
            self.done.store(place + 1, Ordering::Release);
        }
        Ok(())
    }

    /// Whether all of them have been carried out.
    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire) == self.changes.len()
    }
}

/// Why changes were not carried out.
#[derive(Debug)]
pub(super) enum Stuck {
    /// There is no room. They can be tried again.
    Full,
    Failed(io::Error),
}

impl Stuck {
    fn of(error: io::Error) -> Self {
        if disk::is_full(&error) { Self::Full } else { Self::Failed(error) }
    }
}
