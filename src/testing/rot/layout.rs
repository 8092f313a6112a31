//! Where every group of an undamaged log lies, and what of it is left after damage.
//!
//! The undamaged log is read by the format's own layouts; what damage did to it is found by comparing bytes alone, so that this
//! can't make a mistake that the engine's scan makes.

use super::image::{self, Files};
use crate::{
    SeqNo,
    format::{
        BLOCK,
        clean::Clean,
        group::{self, GroupHeader, HEADER, Kind},
        names,
        segment::{DATA, SegmentHeader},
    },
};

/// A point in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub segment: u64,
    pub offset: u64,
}

/// A group of the undamaged log.
#[derive(Clone, Debug)]
struct Group {
    g: u64,
    durable_g: u64,
    at: Place,
    end: u64,
    /// Header and body, as they stand in the file.
    bytes: Vec<u8>,
    /// The last entry in it; `None` for a `Link`.
    last_seq: Option<SeqNo>,
}

/// A header that verifies, whether its group counts or not.
#[derive(Clone, Debug)]
struct Mark {
    at: Place,
    durable_g: u64,
    bytes: Vec<u8>,
}

/// The undamaged log.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    groups: Vec<Group>,
    marks: Vec<Mark>,
}

/// The longest whole beginning of a damaged log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    /// The first group that is not whole.
    pub x: u64,
    /// After the last one that is.
    pub end: Place,
    /// The last entry before that; 0 for none.
    pub last_seq: SeqNo,
}

impl Layout {
    /// Reads the log of an undamaged directory.
    pub(super) fn of(files: &Files) -> Self {
        let mut layout = Self::default();
        let mut chain = None;
        for (number, bytes) in image::segments(files) {
            let Some(header) = SegmentHeader::decode(&bytes[..bytes.len().min(DATA as usize)])
            else {
                continue;
            };
            let mut due = DATA;
            for offset in (DATA..bytes.len() as u64).step_by(BLOCK as usize) {
                let rest = &bytes[offset as usize..];
                let Some(head) = GroupHeader::decode(header.nonce, rest) else { continue };
                let at = Place { segment: number, offset };
                let durable_g = head.durable_g;
                layout.marks.push(Mark { at, durable_g, bytes: rest[..HEADER].to_vec() });
                let whole = HEADER + head.body_len as usize;
                let follows = offset == due
                    && chain.is_none_or(|chain| chain == (head.g - 1, head.chain))
                    && rest.get(HEADER..whole).is_some_and(|body| head.covers(header.nonce, body));
                if follows {
                    let bytes = rest[..whole].to_vec();
                    chain = Some((head.g, group::chain(&bytes)));
                    due = offset + head.padded_len();
                    let last_seq = (head.kind == Kind::Entries).then_some(head.last_seq);
                    layout.groups.push(Group {
                        g: head.g,
                        durable_g,
                        at,
                        end: due,
                        bytes,
                        last_seq,
                    });
                }
            }
        }
        layout
    }

    /// The last entry of the log; 0 for none.
    pub(super) fn last_seq(&self) -> SeqNo {
        last_seq(&self.groups)
    }

    /// The first group of the last sync; `None` when there are no groups.
    pub(super) fn last_sync(&self) -> Option<u64> {
        let last = self.groups.last()?;
        // What one write holds knew the same to be durable.
        self.groups.iter().find(|group| group.durable_g == last.durable_g).map(|group| group.g)
    }

    /// Where groups begin, and how many bytes they have, header included.
    pub(super) fn places(&self) -> impl Iterator<Item = (Place, usize)> {
        self.groups.iter().map(|group| (group.at, group.bytes.len()))
    }

    /// How much of the log a damaged directory still holds, from its beginning on; `None` when it holds nothing. The log
    /// begins after the last gap in the numbers of its segments: whether that is early enough is for the checkpoint to say.
    pub(super) fn whole(&self, damaged: &Files) -> Option<Whole> {
        let named = image::segments(damaged);
        let last = *named.last_key_value()?.0;
        let begin = (1..=last).rev().take_while(|number| named.contains_key(number)).last()?;
        let skipped = self.groups.partition_point(|group| group.at.segment < begin);
        let groups = &self.groups[skipped..];
        let first = groups.first()?;
        let kept = groups.iter().take_while(|group| is_there(damaged, group.at, &group.bytes));
        let kept = &groups[..kept.count()];
        // Before the first `Link` there is only the first segment of all.
        let end = kept.last().map_or(Place { segment: 1, offset: DATA }, |group| Place {
            segment: group.at.segment,
            offset: group.end,
        });
        let x = kept.last().map_or(first.g, |group| group.g + 1);
        Some(Whole { x, end, last_seq: last_seq(kept) })
    }

    /// What in a damaged directory still says that group `x`, which should begin at `end`, had been durable.
    pub(super) fn evidence(&self, damaged: &Files, end: Place, x: u64) -> Option<String> {
        let clean = damaged.get(names::CLEAN).and_then(|bytes| Clean::decode(bytes));
        if let Some(clean) = clean.filter(|clean| clean.g >= x) {
            return Some(format!("CLEAN names group {}", clean.g));
        }
        let later = self.marks.iter().filter(|mark| mark.at >= end && mark.durable_g >= x);
        let mark = later.into_iter().find(|mark| is_there(damaged, mark.at, &mark.bytes))?;
        Some(format!("the header at {:?} knew group {} to be durable", mark.at, mark.durable_g))
    }
}

/// Whether a damaged directory has anything but zeros in its log from `end` on.
pub(super) fn anything_behind(damaged: &Files, end: Place) -> bool {
    image::segments(damaged).range(end.segment..).any(|(number, bytes)| {
        let from = if *number == end.segment { end.offset } else { DATA };
        let rest = bytes.get(from as usize..).unwrap_or(&[]);
        rest.iter().any(|byte| *byte != 0)
    })
}

fn is_there(damaged: &Files, at: Place, expected: &[u8]) -> bool {
    let there = damaged.get(&names::segment(at.segment));
    there.is_some_and(|bytes| {
        bytes.get(at.offset as usize..).is_some_and(|rest| rest.starts_with(expected))
    })
}

fn last_seq(groups: &[Group]) -> SeqNo {
    groups.iter().rev().find_map(|group| group.last_seq).unwrap_or_default()
}
