//! What is done to a directory before it is opened.

use super::{
    super::{
        damage::Damage,
        input::Input,
        scan::{Log, Next, any_group},
        subject::Left,
    },
    made_up,
};
use crate::{
    disk::{Disk, SimDisk},
    format::{clean::Clean, identity::Identity, names, segment::SegmentHeader},
};

/// Most changes.
const CHANGES: usize = 12;
/// Longest file that a plain change of length makes; it is sparse.
const LENGTH: u64 = 1 << 28;

/// Changes a directory, and tells whether groups or rows were made up in it.
pub(super) fn change_all(input: &mut Input<'_>, disk: &SimDisk, left: Option<Left>) -> bool {
    let mut any = false;
    for _ in 0..CHANGES {
        if input.is_empty() {
            break;
        }
        let name = any_name(input);
        match input.below(11) {
            0..3 => {
                let files: Vec<_> = disk.files().into_iter().map(|(name, _)| name).collect();
                Damage::of_bytes(input, disk, &files).inflict(disk);
            }
            3 => plant(disk, &name, &raw(input)),
            4 => plant(disk, &name, &sealed(input, left)),
            5 => {
                let other = input.pick(&Left::ALL).subject();
                let files = other.disk.files();
                let (from, _) = &files[input.below(files.len())];
                let to = if input.flag() { from } else { &name };
                plant(disk, to, &other.disk.read_file(from).expect("it is listed"));
            }
            // Neither does anything where there is something else, or nothing.
            6 => drop(disk.remove_file(&name)),
            7 => drop(disk.create_dir(&name)),
            8 => {
                let bytes = if input.flag() { input.u64() % LENGTH } else { input.u16().into() };
                drop(disk.truncate(&name, bytes));
            }
            9 => any |= left.is_some_and(|left| made_up::group(input, disk, left)),
            _ => any |= made_up::rows(input, disk),
        }
    }
    any
}

/// A name of ours or of somebody else.
fn any_name(input: &mut Input<'_>) -> String {
    let number = 1 + input.below(8) as u64;
    match input.below(14) {
        0 => names::IDENTITY.into(),
        1 => names::IDENTITY_NEW.into(),
        2 => names::CLEAN.into(),
        3 => names::CLEAN_NEW.into(),
        4 => names::CHECKPOINT.into(),
        5 => names::SEGMENTS.into(),
        6..9 => names::segment(number),
        9 => names::spare(number),
        10 => names::newest(number),
        11 => "notes.txt".into(),
        12 => format!("{}/photo.jpg", names::SEGMENTS),
        _ => format!("{}/{number}", names::SEGMENTS),
    }
}

/// Puts a file in place, unless a folder has its name or its folder is not there.
fn plant(disk: &SimDisk, name: &str, bytes: &[u8]) {
    let _ = disk.plant_file(name, bytes);
}

/// Some runs of bytes, with zeros between them.
fn raw(input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..input.below(8) {
        bytes.resize(bytes.len() + input.below(8_193), 0);
        bytes.extend_from_slice(input.string(255));
    }
    bytes.resize(bytes.len() + input.below(8_193), 0);
    bytes
}

/// A file of ours whose checksums are right, whatever it says.
fn sealed(input: &mut Input<'_>, left: Option<Left>) -> Vec<u8> {
    let ours = left.filter(|_| input.u8() < 0xF0).map_or(0, |left| Log::of(left).uuid);
    let version = if input.u8() < 0xF0 { 1 } else { input.u32() };
    match input.below(3) {
        0 => Identity { version, uuid: ours }.encode(),
        1 => {
            let place = left.map(|left| &Log::of(left).groups);
            let at = place.and_then(|groups| groups.get(input.below(groups.len().max(1))));
            let clean = at.map(|at| at.position).map_or(
                Clean {
                    uuid: ours,
                    g: input.number(),
                    segment: input.number(),
                    end: input.number(),
                    chain: input.array(),
                },
                |at| Clean {
                    uuid: ours,
                    g: at.g,
                    segment: at.segment,
                    end: at.end,
                    chain: at.chain,
                },
            );
            clean.encode()
        }
        _ => {
            let number = 1 + input.below(8) as u64;
            let length = input.below(40_000);
            let stated = if input.u8() < 0xF0 { length as u64 } else { input.number() };
            let nonce = u128::from(number) | 1 << 64;
            let header = SegmentHeader { version, uuid: ours, number, bytes: stated, nonce };
            let mut bytes = header.encode();
            let mut next = Next { g: 1, seq: 1, chain: [0; 32], segment: number - 1, end: 8192 };
            if let Some(last) = left.and_then(|left| Log::of(left).groups.last()) {
                let at = last.position;
                let (segment, end) = (at.segment, at.end);
                next = Next { g: at.g + 1, seq: at.g + 2, chain: at.chain, segment, end };
            }
            for first in [true, false] {
                bytes.extend(any_group(input, nonce, first, &mut next));
                bytes.resize(bytes.len().next_multiple_of(4096), 0);
            }
            bytes.resize(length, 0);
            bytes
        }
    }
}
