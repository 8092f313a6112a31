//! Logs that the engine wrote.

use super::{
    super::{
        input::Input,
        subject::{Left, Subject},
    },
    Given, look,
};
use crate::{
    disk::SimDisk,
    format::{
        BLOCK,
        clean::Clean,
        group::{GroupHeader, HEADER},
        identity::Identity,
        names,
        segment::DATA,
    },
    log::{
        Position,
        scan::Known,
        segments::{self, Segment, SegmentFault},
    },
};
use std::{collections::BTreeMap, sync::OnceLock};

/// A log that the engine wrote, and every group of it.
pub(in super::super) struct Log {
    pub uuid: u128,
    pub numbers: Vec<u64>,
    pub groups: Vec<Given>,
    /// The headers of groups behind those that never became whole: each says what was durable when it was written.
    pub torn: Vec<GroupHeader>,
}

impl Log {
    pub(in super::super) fn of(left: Left) -> &'static Self {
        static LOGS: [OnceLock<Log>; Left::ALL.len()] =
            [const { OnceLock::new() }; Left::ALL.len()];
        LOGS[left as usize].get_or_init(|| Self::read(left.subject()))
    }

    fn read(subject: &Subject) -> Self {
        let Ok(identity) = subject.disk.read_file(names::IDENTITY) else {
            return Self { uuid: 0, numbers: Vec::new(), groups: Vec::new(), torn: Vec::new() };
        };
        let uuid = Identity::decode(&identity).expect("nothing damaged it").uuid;
        let numbers = segments::list(&subject.disk).expect("it was made").named;
        let mut log = Self { uuid, numbers, groups: Vec::new(), torn: Vec::new() };
        let segments = log.open(&subject.disk).expect("nothing damaged them");
        // As if the checkpoint had been made right before the oldest segment.
        let mut link = vec![0; HEADER];
        let oldest = &segments[&log.numbers[0]];
        oldest.file.read_exact_at(DATA, &mut link).expect("a segment has data");
        let first = GroupHeader::decode(oldest.header.nonce, &link);
        let (checkpoint_g, checkpoint_chain) =
            first.map_or((0, [0; 32]), |header| (header.g - 1, header.chain));
        let known = Known { checkpoint_g, checkpoint_chain, clean: None };
        let (groups, answer) = look(&segments, &known);
        answer.expect("nothing damaged it");
        log.torn = groups.last().map_or_else(Vec::new, |last| torn(&segments, last));
        log.groups = groups;
        log
    }

    pub(super) fn open(&self, disk: &SimDisk) -> Result<BTreeMap<u64, Segment>, SegmentFault> {
        segments::open(disk, self.uuid, self.numbers[0], &self.numbers)
    }

    /// The chain digest after group `g`.
    fn chain(&self, g: u64) -> [u8; 32] {
        let after = self.groups.iter().find(|group| group.header.g == g);
        let before = self.groups.iter().find(|group| group.header.g == g + 1);
        let chain = after.map(|group| group.position.chain);
        chain.or(before.map(|group| group.header.chain)).unwrap_or([0; 32])
    }

    /// What may be known of it: a checkpoint and a clean end, each at some group or none.
    pub(super) fn known(&self, input: &mut Input<'_>) -> Known {
        let lowest = self.groups.first().map_or(0, |group| group.header.g - 1);
        let checkpoint_g = lowest + input.below(self.groups.len() + 1) as u64;
        let clean = input.pick(&[None, Some(())]).and_then(|()| {
            let group = self.groups.get(input.below(self.groups.len().max(1)))?;
            let Position { g, chain, segment, end } = group.position;
            Some(Clean { uuid: self.uuid, g, segment, end, chain })
        });
        Known { checkpoint_g, checkpoint_chain: self.chain(checkpoint_g), clean }
    }
}

/// The headers behind the last whole group.
fn torn(segments: &BTreeMap<u64, Segment>, last: &Given) -> Vec<GroupHeader> {
    let segment = &segments[&last.position.segment];
    let offsets = (last.position.end..segment.header.bytes).step_by(BLOCK as usize);
    let header = |offset| {
        let mut bytes = vec![0; HEADER];
        segment.file.read_exact_at(offset, &mut bytes).expect("a segment is whole blocks");
        GroupHeader::decode(segment.header.nonce, &bytes)
    };
    offsets.filter_map(header).collect()
}
