//! Writes groups: one write, one sync, never a write while a sync is in flight. Owned by whoever holds the lead.
//!
//! Invariants:
//! - a block that was synced is never written again;
//! - a segment gets its `Link` only when everything before it is durable, in the same sync as its first group;
//! - after the first error the writer is not used again.

use super::{Position, segments, segments::Segment};
use crate::{
    base::{Epoch, SeqNo, canary::canary, limits::GROUP_BYTES},
    disk::{Disk, Entropy},
    format::{
        BLOCK, blocks,
        clean::Clean,
        group::{self, GroupHeader, HEADER, Kind, Link},
        names,
        segment::DATA,
    },
    state::digest::VERSION as DIGEST_VERSION,
};
use std::{collections::BTreeMap, io, sync::Arc};

/// Room a segment needs besides its groups: its header and its `Link`.
const OVERHEAD: u64 = DATA + BLOCK;

/// What the writer needs to know of the entries of a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealing {
    pub first_seq: SeqNo,
    pub last_seq: SeqNo,
    pub entries: u32,
    /// State digest after the last entry.
    pub digest: u128,
}

/// Why a group did not become durable.
#[derive(Debug)]
pub(crate) struct Failed {
    pub error: io::Error,
    /// Whether any of it may be on the disk.
    pub written: bool,
}

/// Where segments come from.
#[derive(Debug)]
pub(crate) struct Source {
    pub disk: Arc<dyn Disk>,
    pub entropy: Arc<dyn Entropy>,
    pub uuid: u128,
}

impl Source {
    /// Prepares segment `number` with room for `room` bytes of groups at least.
    pub(crate) fn prepare(&self, number: u64, bytes: u64, room: u64) -> io::Result<Segment> {
        let bytes = bytes.max(room + OVERHEAD);
        if self.disk.free_bytes()? < bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        segments::prepare(&*self.disk, self.uuid, number, bytes, self.entropy.random()?)
    }
}

/// The end of the log.
#[derive(Debug)]
pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    epoch: Epoch,
    after_crash: bool,
    /// The segment in use, if it was begun by this opening.
    current: Option<Segment>,
    /// After the last group written.
    position: Position,
    durable_g: u64,
    /// Whether `CLEAN` may exist.
    marked_clean: bool,
    /// The last group of each segment that is still there.
    last_g: BTreeMap<u64, u64>,
    /// State digest after the last group.
    digest: u128,
    /// After the first error nothing is known about the end of the log.
    failed: bool,
}

impl Writer {
    /// A writer that goes on after `position`, in a segment of its own.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        epoch: Epoch,
        position: Position,
        after_crash: bool,
        marked_clean: bool,
        last_g: BTreeMap<u64, u64>,
        digest: u128,
    ) -> Self {
        let durable_g = position.g;
        let current = None;
        Self {
            disk,
            epoch,
            after_crash,
            current,
            position,
            durable_g,
            marked_clean,
            last_g,
            digest,
            failed: false,
        }
    }

    /// Bytes of groups that still fit into the segment in use.
    pub(crate) fn room(&self) -> u64 {
        self.current.as_ref().map_or(0, |segment| segment.header.bytes - self.position.end)
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// The number the next segment must have, beyond all that have a name.
    pub(crate) fn next_segment(&self) -> u64 {
        self.last_g.last_key_value().map_or(1, |(&number, _)| number + 1)
    }

    /// Seals the entries that stand behind the first [`HEADER`] bytes of `group` and makes them durable, in `next` if
    /// the segment in use has no room for them. Blocks for one durable write.
    pub(crate) fn append(
        &mut self,
        group: &mut Vec<u8>,
        sealing: Sealing,
        next: Option<Segment>,
    ) -> Result<Position, Failed> {
        // Unset only when all went well.
        self.failed = true;
        let full = self.room() < group::padded_len(group.len() - HEADER);
        let link = full.then(|| self.link(next, sealing.first_seq)).transpose();
        // While this fails, `CLEAN` may still be there, and the next opening go on with these very numbers.
        let link = link.map_err(|error| Failed { error, written: false })?;
        let start = self.position.end;
        self.digest = sealing.digest;
        let header = self.header(Kind::Entries, sealing);
        let header = header.map_err(|error| Failed { error, written: false })?;
        self.seal(group, header);
        let written = match link {
            Some(mut bytes) => {
                bytes.extend_from_slice(group);
                self.write(DATA, &bytes)
            }
            None => self.write(start, group),
        };
        self.failed = written.is_err();
        written.map_err(|error| Failed { error, written: !canary!(IndeterminateDenied) })
    }

    /// Begins a segment with nothing but its `Link`, so that the verdict on the segment before is durable.
    pub(crate) fn begin(&mut self, next: Segment, next_seq: SeqNo) -> io::Result<Position> {
        // Unset only when all went well.
        self.failed = true;
        let link = self.link(Some(next), next_seq)?;
        let position = self.write(DATA, &link)?;
        self.failed = false;
        Ok(position)
    }

    /// Leaves the marker that says where the log ended. Nothing may be appended afterwards.
    pub(crate) fn mark_clean(&mut self, uuid: u128) -> io::Result<()> {
        if self.marked_clean {
            // Nothing was appended since the marker that is there was left.
            return Ok(());
        }
        let Position { g, chain, segment, end } = self.position;
        let file = match self.disk.create(names::CLEAN_NEW) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.remove(names::CLEAN_NEW)?;
                self.disk.create(names::CLEAN_NEW)?
            }
            other => other?,
        };
        file.write_all_at(0, &Clean { uuid, g, segment, end, chain }.encode())?;
        file.sync_data()?;
        self.disk.rename(names::CLEAN_NEW, names::CLEAN)?;
        self.disk.sync_dir("")
    }

    /// Whether nothing was appended since the log was marked as closed.
    pub(crate) const fn is_marked_clean(&self) -> bool {
        self.marked_clean
    }

    /// The segments all of whose groups are at or before `g`, except the one in use; the lowest that must stay. `None`
    /// after a failure, when it is not known which one is in use.
    pub(crate) fn trimmable(&self, g: u64) -> Option<(Vec<u64>, u64)> {
        if self.failed {
            return None;
        }
        let numbers: Vec<u64> = self.last_g.keys().copied().collect();
        let stays = numbers
            .iter()
            .position(|number| *number >= self.position.segment || self.last_g[number] > g)
            .unwrap_or(numbers.len());
        let lowest = numbers.get(stays).copied().unwrap_or(self.position.segment);
        Some((numbers[..stays].to_vec(), lowest))
    }

    /// Forgets segments that were removed.
    pub(crate) fn forget(&mut self, numbers: &[u64]) {
        self.last_g.retain(|number, _| !numbers.contains(number));
    }

    /// Begins a segment; its first group, still to be written.
    fn link(&mut self, next: Option<Segment>, next_seq: SeqNo) -> io::Result<Vec<u8>> {
        let next = next.ok_or_else(|| io::Error::other("no segment was prepared"))?;
        self.unmark_clean()?;
        segments::adopt(&*self.disk, &next)?;
        let link = Link {
            previous: self.position.segment,
            end: self.position.end,
            epoch: self.epoch,
            after_crash: std::mem::take(&mut self.after_crash),
        };
        let mut group = vec![0; HEADER];
        link.encode(&mut group);
        (self.position.segment, self.position.end) = (next.number(), DATA);
        self.current = Some(next);
        let last_seq = SeqNo::new(next_seq.get() - 1);
        let none = Sealing { first_seq: next_seq, last_seq, entries: 0, digest: self.digest };
        let header = self.header(Kind::Link, none)?;
        self.seal(&mut group, header);
        Ok(group)
    }

    /// Removes the mark of a clean end, if it is there: numbers are given from now on that the next opening must not give again.
    pub(crate) fn unmark_clean(&mut self) -> io::Result<()> {
        canary!(CleanMarkKept => return Ok(()));
        if std::mem::take(&mut self.marked_clean) {
            self.disk.remove(names::CLEAN)?;
            self.disk.sync_dir("")?;
        }
        Ok(())
    }

    fn header(&self, kind: Kind, sealing: Sealing) -> io::Result<GroupHeader> {
        let g = self.position.g.checked_add(1).filter(|&g| g < u64::MAX);
        Ok(GroupHeader {
            g: g.ok_or_else(|| io::Error::other("the log has used up its numbers of groups"))?,
            kind,
            first_seq: sealing.first_seq,
            last_seq: sealing.last_seq,
            durable_g: if canary!(FloorTooHigh) { self.position.g } else { self.durable_g },
            body_len: 0,
            entries: sealing.entries,
            chain: self.position.chain,
            digest: sealing.digest,
            digest_version: DIGEST_VERSION,
            body_crc: 0,
        })
    }

    /// Seals a group as the next of the segment in use.
    fn seal(&mut self, group: &mut Vec<u8>, header: GroupHeader) {
        header.seal(self.segment().header.nonce, group);
        let chain = group::chain(group);
        group.resize(blocks(group.len() as u64) as usize, 0);
        self.position.end += group.len() as u64;
        (self.position.g, self.position.chain) = (header.g, chain);
        self.last_g.insert(self.position.segment, header.g);
    }

    /// Makes durable what was sealed: the only sync of a group.
    fn write(&mut self, start: u64, groups: &[u8]) -> io::Result<Position> {
        self.write_durably(start, groups)?;
        self.durable_g = self.position.g;
        Ok(self.position)
    }

    fn write_durably(&self, start: u64, groups: &[u8]) -> io::Result<()> {
        let file = &self.segment().file;
        canary!(AckBeforeSync => return file.write_all_at(start, groups));
        canary!(SyncRetried => { file.write_all_at(start, groups)?; return file.sync_data().or_else(|_| file.sync_data()) });
        file.write_durably_at(start, groups)
    }

    fn segment(&self) -> &Segment {
        self.current.as_ref().expect("a segment is in use before anything is sealed")
    }
}

/// Room for groups in a segment that is not in use yet.
pub(crate) fn room_in(segment: &Segment) -> u64 {
    segment.header.bytes - OVERHEAD
}

const _: () = assert!(GROUP_BYTES < group::BODY_MAX);

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
