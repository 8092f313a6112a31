//! Small logs for tests, written by the real writer.

use super::{
    Position,
    scan::{Known, scan},
    segments::{self, Segment},
    writer::{Sealing, Writer},
};
use crate::{
    base::{Epoch, SeqNo, limits::UNSYNCED_ENTRIES},
    disk::{Disk, MemoryDisk},
    format::{
        BLOCK, blocks,
        group::{self, GroupHeader, HEADER, Kind},
        names,
        segment::DATA,
    },
};
use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

pub(super) const UUID: u128 = 7;
/// Room for a `Link` and three groups of one block.
pub(super) const SEGMENT_BYTES: u64 = DATA + 4 * BLOCK;
/// Where the first group of a database comes after.
pub(super) const GENESIS: Position = Position { g: 0, chain: [0; 32], segment: 1, end: DATA };
/// What is known of a log nothing was ever made of.
pub(super) const NOTHING: Known =
    Known { checkpoint_g: 0, checkpoint_chain: GENESIS.chain, clean: None };

/// A log, and the writer at its end.
pub(super) struct Sample {
    pub disk: Arc<dyn Disk>,
    pub writer: Writer,
    pub segments: BTreeMap<u64, Segment>,
    pub epoch: u64,
    next_seq: u64,
}

/// A group as it was written.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub header: GroupHeader,
    pub segment: u64,
    pub offset: u64,
    pub bytes: Vec<u8>,
}

impl Placed {
    pub(super) fn position(&self) -> Position {
        Position {
            g: self.header.g,
            chain: group::chain(&self.bytes),
            segment: self.segment,
            end: self.offset + self.header.padded_len(),
        }
    }
}

impl Sample {
    /// A database as it is created: segment 1 with nothing in it.
    pub(super) fn new() -> Self {
        Self::on(Arc::new(MemoryDisk::new()))
    }

    pub(super) fn on(disk: Arc<dyn Disk>) -> Self {
        disk.create_dir(names::SEGMENTS).unwrap();
        let genesis = segments::prepare(&*disk, UUID, 1, SEGMENT_BYTES, nonce(1)).unwrap();
        segments::adopt(&*disk, &genesis).unwrap();
        let last_g = BTreeMap::from([(1, 0)]);
        let writer = Writer::new(disk.clone(), Epoch::new(1), GENESIS, false, false, last_g, 0);
        let segments = BTreeMap::from([(1, genesis)]);
        Self { disk, writer, segments, epoch: 1, next_seq: 1 }
    }

    /// A log of segments 2 and 3, a `Link` and three groups each, all synced one by one.
    pub(super) fn two_segments() -> Self {
        let mut sample = Self::new();
        (0..6).for_each(|_| sample.append(100));
        assert_eq!((sample.writer.position().g, sample.segments.len()), (8, 3));
        sample
    }

    /// Appends a group of one entry, in a new segment where the one in use has no room.
    pub(super) fn append(&mut self, body_len: usize) {
        let next = (self.writer.room() < group::padded_len(body_len)).then(|| self.prepare());
        let mut bytes = body(self.next_seq, body_len);
        let seq = SeqNo::new(self.next_seq);
        let sealing = Sealing {
            first_seq: seq,
            last_seq: seq,
            entries: 1,
            digest: u128::from(self.next_seq),
        };
        self.writer.append(&mut bytes, sealing, next).unwrap();
        self.next_seq += 1;
    }

    /// Opens the log after an unclean end: a new writer, in a segment of its own.
    pub(super) fn reopen(&mut self) {
        let none = &mut |_: super::scan::Group<'_>| Ok::<(), Infallible>(());
        let scanned = scan(&self.segments, &NOTHING, none).unwrap();
        let mut last = 0;
        let last_g = self.segments.keys().map(|number| {
            last = scanned.last_g.get(number).copied().unwrap_or(last);
            (*number, last)
        });
        self.epoch += 1;
        self.writer = Writer::new(
            self.disk.clone(),
            Epoch::new(self.epoch),
            scanned.accepted,
            true,
            false,
            last_g.collect(),
            0,
        );
        self.next_seq = scanned.last_seq.get() + UNSYNCED_ENTRIES;
        let next = self.prepare();
        self.writer.begin(next, SeqNo::new(self.next_seq)).unwrap();
    }

    /// Writes groups past the writer's end, each with the `durable_g` that is given.
    pub(super) fn write_past_the_end(&mut self, durable_g: &[u64]) {
        let mut position = self.writer.position();
        let segment = self.segments[&position.segment].clone();
        for &durable_g in durable_g {
            let seq = SeqNo::new(self.next_seq);
            let header = GroupHeader {
                g: position.g + 1,
                first_seq: seq,
                last_seq: seq,
                durable_g,
                entries: 1,
                chain: position.chain,
                ..plain_header()
            };
            let mut bytes = body(self.next_seq, 50);
            header.seal(segment.header.nonce, &mut bytes);
            segment.file.write_all_at(position.end, &bytes).unwrap();
            position.end += blocks(bytes.len() as u64);
            (position.g, position.chain) = (header.g, group::chain(&bytes));
            self.next_seq += 1;
        }
    }

    pub(super) fn prepare(&mut self) -> Segment {
        let number = self.writer.next_segment();
        let segment =
            segments::prepare(&*self.disk, UUID, number, SEGMENT_BYTES, nonce(number)).unwrap();
        self.segments.insert(number, segment.clone());
        segment
    }

    /// Every group that can be reached from the front of its segment, in the order of their numbers.
    pub(super) fn groups(&self) -> Vec<Placed> {
        let mut groups: Vec<_> = self.segments.values().flat_map(groups_in).collect();
        groups.sort_by_key(|group| group.header.g);
        assert!(groups.iter().zip(1..).all(|(group, g)| group.header.g == g), "the log is dense");
        groups
    }

    /// The bytes of a segment from `offset` on.
    pub(super) fn bytes(&self, segment: u64, offset: u64) -> Vec<u8> {
        let segment = &self.segments[&segment];
        let mut bytes = vec![0; (segment.header.bytes - offset) as usize];
        segment.file.read_exact_at(offset, &mut bytes).unwrap();
        bytes
    }

    pub(super) fn write(&self, segment: u64, offset: u64, bytes: &[u8]) {
        self.segments[&segment].file.write_all_at(offset, bytes).unwrap();
    }
}

/// The header of a group of entries, but for its place in the log.
pub(super) fn plain_header() -> GroupHeader {
    GroupHeader {
        g: 0,
        kind: Kind::Entries,
        first_seq: SeqNo::new(1),
        last_seq: SeqNo::new(0),
        durable_g: 0,
        body_len: 0,
        entries: 0,
        chain: [0; 32],
        digest: 0,
        digest_version: 1,
        body_crc: 0,
    }
}

/// Room for a header, then a body without zeros.
pub(super) fn body(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    bytes.extend((0..len as u64).map(|i| (seed * 31 + i) as u8 | 1));
    bytes
}

fn groups_in(segment: &Segment) -> Vec<Placed> {
    let (nonce, length) = (segment.header.nonce, segment.header.bytes);
    let mut all = vec![0; length as usize];
    segment.file.read_exact_at(0, &mut all).unwrap();
    let mut groups = Vec::new();
    let mut offset = DATA;
    while let Some(header) = GroupHeader::decode(nonce, &all[offset as usize..]) {
        let bytes = all[offset as usize..][..HEADER + header.body_len as usize].to_vec();
        groups.push(Placed { header, segment: segment.number(), offset, bytes });
        offset += header.padded_len();
    }
    groups
}

fn nonce(segment: u64) -> u128 {
    0xfeed_0000 + u128::from(segment)
}
