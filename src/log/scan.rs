//! Scans the log after a restart: finds the first invalid position and what it means. Reads, and changes nothing.
//!
//! Invariants:
//! - every group handed out is whole, has the number and the chain digest its predecessor leads to, and lies before the
//!   end that the next segment's `Link` records;
//! - a segment is left for a later one only over that one's whole `Link`; segments in between never began;
//! - the verdict on the first invalid position is [`verdict`]'s alone.

use super::{
    Position,
    reader::Window,
    segments::Segment,
    verdict::{Evidence, Vouch, verdict},
};
use crate::{
    base::{Epoch, SeqNo, canary::canary},
    format::{
        BLOCK,
        clean::Clean,
        group::{self, GroupHeader, HEADER, Kind, Link},
        segment::DATA,
    },
};
use std::{collections::BTreeMap, io};

/// What is known to be durable from outside the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// The last group the checkpoint holds (0 for none), and the chain digest after it.
    pub checkpoint_g: u64,
    pub checkpoint_chain: [u8; 32],
    pub clean: Option<Clean>,
}

/// A whole group, as the scan hands it out.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    pub header: GroupHeader,
    pub body: &'a [u8],
    /// After this group.
    pub position: Position,
}

/// How the log ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// After the last accepted group.
    pub accepted: Position,
    /// The greatest number in the log, of an entry or a gap; 0 for none.
    pub last_seq: SeqNo,
    /// The greatest opening number seen; 0 for none.
    pub epoch: Epoch,
    pub segments: u64,
    pub groups: u64,
    pub bytes: u64,
    /// The last group of each segment.
    pub last_g: BTreeMap<u64, u64>,
    /// What was dropped after the accepted end.
    pub torn: Torn,
}

/// What was dropped at the end of the log: never acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Torn {
    /// Bytes from the accepted end to the last one that is not zero, in whole blocks.
    pub bytes: u64,
    /// Whole groups among them.
    pub groups: u64,
}

/// Why the log is refused.
#[derive(Debug)]
pub(crate) enum ScanError<E> {
    Io {
        segment: u64,
        error: io::Error,
    },
    Corruption {
        segment: u64,
        offset: u64,
        g: u64,
        last_seq: SeqNo,
        what: &'static str,
        vouch: Option<Vouch>,
    },
    /// From whom the groups were handed to.
    Consumer(E),
}

/// Scans `segments` (consecutive, at least one) and hands each accepted group to `consume`, in order.
pub(crate) fn scan<E>(
    segments: &BTreeMap<u64, Segment>,
    known: &Known,
    consume: &mut dyn FnMut(Group<'_>) -> Result<(), E>,
) -> Result<Scanned, ScanError<E>> {
    let (&first, _) = segments.first_key_value().expect("a database has at least one segment");
    let links = read_links(segments)?;
    let mut scan = Scan {
        segments,
        known,
        links,
        out: Scanned {
            accepted: Position { g: 0, chain: [0; 32], segment: first, end: DATA },
            last_seq: SeqNo::new(0),
            epoch: Epoch::new(0),
            segments: 0,
            groups: 0,
            bytes: 0,
            last_g: BTreeMap::new(),
            torn: Torn::default(),
        },
    };
    scan.enter_first(first)?;
    let mut current = first;
    loop {
        scan.segment(current, consume)?;
        match scan.successor(current)? {
            Some(next) => current = next,
            None => break,
        }
    }
    scan.conclude(current)?;
    Ok(scan.out)
}

/// The whole `Link` of each segment that has one.
fn read_links<E>(
    segments: &BTreeMap<u64, Segment>,
) -> Result<BTreeMap<u64, (GroupHeader, Link)>, ScanError<E>> {
    let mut links = BTreeMap::new();
    for (&number, segment) in segments {
        let io = |error| ScanError::Io { segment: number, error };
        let mut block = vec![0; BLOCK.min(segment.header.bytes.saturating_sub(DATA)) as usize];
        segment.file.read_exact_at(DATA, &mut block).map_err(io)?;
        let Some(header) = GroupHeader::decode(segment.header.nonce, &block) else { continue };
        let body = block.get(HEADER..HEADER + header.body_len as usize).unwrap_or(&[]);
        if header.kind == Kind::Link && header.covers(segment.header.nonce, body) {
            links.extend(Link::decode(body).map(|link| (number, (header, link))));
        }
    }
    Ok(links)
}

struct Scan<'a> {
    segments: &'a BTreeMap<u64, Segment>,
    known: &'a Known,
    links: BTreeMap<u64, (GroupHeader, Link)>,
    out: Scanned,
}

impl Scan<'_> {
    /// Takes up the chain where the first segment begins. Only the very first segment of a database can lack its
    /// `Link`: the others' were durable before anything older was removed.
    fn enter_first<E>(&mut self, first: u64) -> Result<(), ScanError<E>> {
        if first == 1 {
            return Ok(());
        }
        let Some((header, _)) = self.links.get(&first) else {
            return Err(self.corruption(
                first,
                DATA,
                "the first group of the oldest segment is damaged",
                None,
            ));
        };
        (self.out.accepted.g, self.out.accepted.chain) = (header.g - 1, header.chain);
        if header.g - 1 > self.known.checkpoint_g {
            let vouch = Some(Vouch::Checkpoint { g: self.known.checkpoint_g });
            return Err(self.corruption(
                first,
                DATA,
                "groups between the checkpoint and the oldest segment are missing",
                vouch,
            ));
        }
        if header.g - 1 == self.known.checkpoint_g && header.chain != self.known.checkpoint_chain {
            return Err(self.corruption(
                first,
                DATA,
                "this segment does not follow the group the checkpoint was made at",
                None,
            ));
        }
        Ok(())
    }

    /// Hands out the groups of one segment up to its recorded end, or the first invalid position.
    fn segment<E>(
        &mut self,
        number: u64,
        consume: &mut dyn FnMut(Group<'_>) -> Result<(), E>,
    ) -> Result<(), ScanError<E>> {
        let segments = self.segments;
        let segment = &segments[&number];
        let mut window = Window::new(segment);
        let end = self.recorded_end(number).unwrap_or(segment.header.bytes);
        let mut offset = DATA;
        self.out.segments += 1;
        (self.out.accepted.segment, self.out.accepted.end) = (number, DATA);
        self.out.last_g.insert(number, self.out.accepted.g);
        while offset < end {
            let found = self.group(segment, &mut window, offset, end);
            canary!(ReadErrorTakenForEnd => if found.is_err() { break });
            let Some((header, group)) = found? else { break };
            let position = Position {
                g: header.g,
                chain: group::chain(group),
                segment: number,
                end: offset + header.padded_len(),
            };
            self.check_known(&position, offset)?;
            consume(Group { header, body: &group[HEADER..], position })
                .map_err(ScanError::Consumer)?;
            offset = position.end;
            self.accept(&header, position);
        }
        Ok(())
    }

    /// The group at `offset`, header and body, if it is whole and the one that must stand there.
    fn group<'w, E>(
        &self,
        segment: &Segment,
        window: &'w mut Window<'_>,
        offset: u64,
        end: u64,
    ) -> Result<Option<(GroupHeader, &'w [u8])>, ScanError<E>> {
        let nonce = segment.header.nonce;
        let io = |error| ScanError::Io { segment: segment.number(), error };
        let Some(header) = GroupHeader::decode(nonce, window.at(offset, HEADER).map_err(io)?)
        else {
            return Ok(None);
        };
        let due = header.g == self.out.accepted.g + 1
            && (header.chain == self.out.accepted.chain || canary!(ChainIgnored))
            && header.first_seq > self.out.last_seq
            && (header.kind == Kind::Link) == (offset == DATA)
            && offset + header.padded_len() <= end;
        if !due {
            return Ok(None);
        }
        let group = window.at(offset, HEADER + header.body_len as usize).map_err(io)?;
        Ok(header.covers(nonce, &group[HEADER..]).then_some((header, group)))
    }

    fn accept(&mut self, header: &GroupHeader, position: Position) {
        self.out.bytes += header.padded_len();
        self.out.groups += 1;
        self.out.last_seq = header.last_seq.max(self.out.last_seq);
        self.out.last_g.insert(position.segment, position.g);
        if let Some((_, link)) = self.links.get(&position.segment) {
            self.out.epoch = link.epoch.max(self.out.epoch);
        }
        self.out.accepted = position;
    }

    /// What the checkpoint and `CLEAN` say of the chain must be what the log says.
    fn check_known<E>(&self, position: &Position, offset: u64) -> Result<(), ScanError<E>> {
        let segment = position.segment;
        if position.g == self.known.checkpoint_g && position.chain != self.known.checkpoint_chain {
            return Err(self.corruption(
                segment,
                offset,
                "this is not the group the checkpoint was made at",
                None,
            ));
        }
        match &self.known.clean {
            Some(clean)
                if clean.g == position.g
                    && (clean.chain, clean.end) != (position.chain, position.end) =>
            {
                Err(self.corruption(
                    segment,
                    offset,
                    "this is not the group the database was closed at",
                    None,
                ))
            }
            _ => Ok(()),
        }
    }

    /// The end of `number` that a later segment's `Link` records.
    fn recorded_end(&self, number: u64) -> Option<u64> {
        self.later_links(number)
            .find(|(_, (_, link))| link.previous == number)
            .map(|(_, (_, link))| link.end)
    }

    fn later_links(&self, number: u64) -> impl Iterator<Item = (&u64, &(GroupHeader, Link))> {
        self.links.range(number + 1..)
    }

    /// The segment that goes on from the end of `number`; `None` when the log ends there.
    fn successor<E>(&self, number: u64) -> Result<Option<u64>, ScanError<E>> {
        let Some((&next, (header, link))) = self.later_links(number).next() else {
            return Ok(None);
        };
        let accepted = &self.out.accepted;
        let follows = link.previous == number
            && link.end == accepted.end
            && header.g == accepted.g + 1
            && header.chain == accepted.chain
            && header.first_seq > self.out.last_seq;
        if follows {
            return Ok(Some(next));
        }
        let vouch = verdict(&Evidence { link: Some(next), ..self.outside() });
        // A segment that was gone on from was begun, so a `Link` it does not have was damaged.
        if link.previous > number && self.segments.contains_key(&link.previous) {
            let what = "the first group of a segment is damaged";
            return Err(self.corruption(link.previous, DATA, what, vouch));
        }
        let what = "groups before a later segment are damaged or missing";
        Err(self.corruption(number, accepted.end, what, vouch))
    }

    /// What the checkpoint and `CLEAN` say of the position after the accepted end.
    fn outside(&self) -> Evidence {
        let x = self.out.accepted.g + 1;
        Evidence {
            checkpoint: Some(self.known.checkpoint_g).filter(|&g| g >= x),
            clean: self.known.clean.map(|clean| clean.g).filter(|&g| g >= x),
            ..Evidence::default()
        }
    }

    /// The verdict on the accepted end, which lies in `last`.
    fn conclude<E>(&mut self, last: u64) -> Result<(), ScanError<E>> {
        let mut evidence = self.outside();
        for (&number, segment) in self.segments.range(last..) {
            let from = if number == last { self.out.accepted.end } else { DATA };
            self.survey(segment, from, &mut evidence)
                .map_err(|error| ScanError::Io { segment: number, error })?;
        }
        canary!(CleanDoesNotVouch => evidence.clean = None);
        canary!(CutInSilence => self.out.torn = Torn::default());
        match verdict(&evidence) {
            None => Ok(()),
            vouch => Err(self.corruption(
                last,
                self.out.accepted.end,
                "a group that was durable is damaged or missing",
                vouch,
            )),
        }
    }

    /// Looks for groups behind the accepted end, and for any that knew it to be durable.
    fn survey(&mut self, segment: &Segment, from: u64, evidence: &mut Evidence) -> io::Result<()> {
        let (x, nonce) = (self.out.accepted.g + 1, segment.header.nonce);
        let mut window = Window::new(segment);
        for offset in (from..segment.header.bytes).step_by(BLOCK as usize) {
            let block = window.at(offset, BLOCK as usize)?;
            if block.iter().all(|&byte| byte == 0) {
                continue;
            }
            self.out.torn.bytes += BLOCK;
            let Some(header) = GroupHeader::decode(nonce, block) else { continue };
            let group = window.at(offset, HEADER + header.body_len as usize)?;
            self.out.torn.groups += u64::from(header.covers(nonce, &group[HEADER..]));
            if header.durable_g >= x + u64::from(canary!(FloorTooLow)) {
                evidence.later = evidence.later.max(Some(header.g));
            }
        }
        Ok(())
    }

    fn corruption<E>(
        &self,
        segment: u64,
        offset: u64,
        what: &'static str,
        vouch: Option<Vouch>,
    ) -> ScanError<E> {
        ScanError::Corruption {
            segment,
            offset,
            g: self.out.accepted.g + 1,
            last_seq: self.out.last_seq,
            what,
            vouch,
        }
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
