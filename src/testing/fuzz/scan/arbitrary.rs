//! Segments whose headers verify, with groups that are due, or nearly.

use super::{super::input::Input, check_kind, look};
use crate::{
    base::{Epoch, SeqNo},
    disk::{Disk, SimDisk},
    format::{
        VERSION,
        clean::Clean,
        group::{self, GroupHeader, HEADER, Kind, Link},
        names,
        segment::{DATA, SegmentHeader},
    },
    log::{scan::Known, segments},
};

/// Most segments, and groups in each.
const SEGMENTS: usize = 4;
const GROUPS: usize = 8;
/// Most blocks of data in a segment.
const BLOCKS: usize = 12;

pub(super) fn check(input: &mut Input<'_>) {
    let disk = SimDisk::new();
    disk.create_dir(names::SEGMENTS).expect("the disk is empty");
    let first = 1 + input.below(3) as u64;
    let mut state = Next { g: 1, seq: 1, chain: [0; 32], segment: 0, end: DATA };
    let mut numbers = Vec::new();
    for number in first..=first + input.below(SEGMENTS) as u64 {
        let bytes = any_segment(input, number, &mut state);
        disk.plant_file(&names::segment(number), &bytes).expect("the folder is there");
        numbers.push(number);
    }
    let clean = input.flag().then(|| Clean {
        uuid: 0,
        g: input.number(),
        segment: input.number(),
        end: input.number(),
        chain: if input.flag() { state.chain } else { input.array() },
    });
    let checkpoint_g = input.number();
    let checkpoint_chain = if input.flag() { state.chain } else { input.array() };
    let known = Known { checkpoint_g, checkpoint_chain, clean };
    let Ok(opened) = segments::open(&disk, 0, first, &numbers) else { return };
    let before = disk.digest();
    let (given, answer) = look(&opened, &known);
    check_kind(&answer);
    let (again, same) = look(&opened, &known);
    assert_eq!(again, given);
    assert_eq!(format!("{same:?}"), format!("{answer:?}"));
    assert_eq!(disk.digest(), before, "the scan changed something");
}

/// What the next group would have to say to be due.
pub(in super::super) struct Next {
    pub g: u64,
    pub seq: u64,
    pub chain: [u8; 32],
    pub segment: u64,
    pub end: u64,
}

fn any_segment(input: &mut Input<'_>, number: u64, next: &mut Next) -> Vec<u8> {
    let odd = if input.u8() > 0xF0 { input.below(4096) } else { 0 };
    let length = DATA as usize + input.below(BLOCKS) * 4096 + odd;
    let nonce = u128::from(number) | 1 << 64;
    let header = SegmentHeader { version: VERSION, uuid: 0, number, bytes: length as u64, nonce };
    let mut bytes = header.encode();
    bytes.resize(length, 0);
    let mut offset = DATA as usize;
    for _ in 0..input.below(GROUPS + 1) {
        let group = any_group(input, nonce, offset as u64 == DATA, next);
        let end = length.min(offset + group.len());
        if offset >= end {
            break;
        }
        bytes[offset..end].copy_from_slice(&group[..end - offset]);
        offset += group.len().next_multiple_of(4096);
        (next.segment, next.end) = (number, offset as u64);
    }
    // Anything anywhere, headers included.
    for _ in 0..input.below(4) {
        let at = input.below(length);
        let raw = input.string(64);
        let end = length.min(at + raw.len());
        bytes[at..end].copy_from_slice(&raw[..end - at]);
    }
    bytes
}

/// A group with right checksums, which is due as long as the input does not say otherwise.
pub(in super::super) fn any_group(
    input: &mut Input<'_>,
    nonce: u128,
    first: bool,
    next: &mut Next,
) -> Vec<u8> {
    let mut group = vec![0; HEADER];
    let odd = |input: &mut Input<'_>, value: u64| match input.u8() {
        0xF0.. => input.number(),
        near @ 0xE0.. => value.wrapping_add(u64::from(near)).wrapping_sub(0xE8),
        _ => value,
    };
    let link = first != (input.u8() > 0xF8);
    let mut entries = 0;
    if link {
        let previous = odd(input, next.segment);
        let end = odd(input, next.end / 4096).wrapping_mul(4096);
        let epoch = Epoch::new(input.number());
        Link { previous, end, epoch, after_crash: input.flag() }.encode(&mut group);
    } else {
        entries = u32::from(input.u8() % 4);
        let filler = input.string(255);
        group.extend_from_slice(filler);
        group.resize(group.len() + usize::from(input.u8() & 3) * 3_000, filler.len() as u8);
    }
    let g = odd(input, next.g).clamp(1, u64::MAX - 1);
    let seq = odd(input, next.seq).clamp(1, u64::MAX - 8);
    let header = GroupHeader {
        g,
        kind: if link { Kind::Link } else { Kind::Entries },
        first_seq: SeqNo::new(seq),
        last_seq: SeqNo::new(seq - 1 + u64::from(entries)),
        durable_g: odd(input, g - 1).min(g - 1),
        body_len: 0,
        entries,
        chain: if input.u8() > 0xF8 { input.array() } else { next.chain },
        digest: 0,
        digest_version: 1,
        body_crc: 0,
    };
    header.seal(nonce, &mut group);
    (next.g, next.seq, next.chain) = (g + 1, seq + u64::from(entries), group::chain(&group));
    group
}
