//! The scan of the log over arbitrary segments, and over damaged ones.

mod arbitrary;
mod damaged;
mod log;

pub(super) use arbitrary::{Next, any_group};
pub(super) use log::Log;

use super::input::Input;
use crate::{
    format::{group::GroupHeader, segment::DATA},
    log::{
        Position,
        scan::{Known, ScanError, Scanned, scan},
        segments::Segment,
    },
};
use std::{collections::BTreeMap, convert::Infallible};

/// One or more segments, arbitrary or damaged, through the scan of the log.
///
/// Always: nothing panics, the answer is one of those that are documented, what is handed out is a chain, and the same
/// bytes give the same answer. Of a log that the engine wrote and something damaged, moreover:
///
/// - what is handed out is what was written, up to some group;
/// - what is missing, nothing durable vouches for: neither the checkpoint, nor `CLEAN`, nor a whole group behind it;
/// - it is refused only if something vouches for what is damaged.
///
/// # Panics
/// When any of that does not hold.
pub fn segment_scan(data: &[u8]) {
    let input = &mut Input::new(data);
    if input.flag() { damaged::check(input) } else { arbitrary::check(input) }
}

/// A group as the scan gave it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub header: GroupHeader,
    pub position: Position,
    pub body: Vec<u8>,
}

impl Given {
    pub(super) fn offset(&self) -> u64 {
        self.position.end - self.header.padded_len()
    }
}

/// The scan's answer, and what it gave out before.
fn look(
    segments: &BTreeMap<u64, Segment>,
    known: &Known,
) -> (Vec<Given>, Result<Scanned, ScanError<Infallible>>) {
    let mut given = Vec::new();
    let answer = scan(segments, known, &mut |group| {
        given.push(Given {
            header: group.header,
            position: group.position,
            body: group.body.to_vec(),
        });
        Ok(())
    });
    for (place, group) in given.iter().enumerate() {
        let place_ok = group.offset() >= DATA
            && group.position.end <= segments[&group.position.segment].header.bytes;
        assert!(place_ok, "a group outside of its segment: {group:?}");
        assert_eq!(group.body.len(), group.header.body_len as usize);
        if let Some(before) = place.checked_sub(1).map(|before| &given[before]) {
            let follows = group.header.g == before.header.g + 1
                && group.header.chain == before.position.chain
                && group.header.first_seq > before.header.last_seq
                && group.position.segment >= before.position.segment;
            assert!(follows, "{group:?} does not follow {before:?}");
        }
    }
    if let Ok(scanned) = &answer {
        assert_eq!(scanned.groups, given.len() as u64);
        let last = given.last().map(|group| group.position);
        assert!(last.is_none_or(|last| last.g == scanned.accepted.g));
    }
    (given, answer)
}

/// Whatever the bytes are, no error of the machine comes of them.
fn check_kind(answer: &Result<Scanned, ScanError<Infallible>>) {
    if let Err(ScanError::Io { segment, error }) = answer {
        panic!("segment {segment} is all there, and reading it gave {error}");
    }
}
