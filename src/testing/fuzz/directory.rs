//! Opening whatever a directory may hold.

use super::{
    damage::Damage,
    frame::any_entry,
    input::Input,
    scan::{Log, Next, any_group},
    subject::{Left, open, order},
};
use crate::{
    Engine, Error, Verdict,
    base::SeqNo,
    disk::{Disk, SimDisk},
    format::{
        clean::Clean,
        entry,
        group::{GroupHeader, HEADER, Kind},
        identity::Identity,
        names,
        segment::SegmentHeader,
    },
    testing::model::{Model, NUMBERS},
};

/// Most things done to a directory before it is opened.
const CHANGES: usize = 12;
/// Longest file that a plain change of length makes; it is sparse.
const LENGTH: u64 = 1 << 28;

/// An arbitrary directory: one that the engine left, or none, with files planted, damaged, copied, removed, and with
/// groups at the end of its log that verify and were never written.
///
/// - opening it gives an engine or an error of the documented kinds, with a place; it does not panic;
/// - a refusal changes no byte and no name;
/// - what opens can be read and written, and opens again as closed. Only where the log itself was made up may a later call
///   be refused, with an error.
///
/// # Panics
/// When any of that does not hold.
pub fn open_dir(data: &[u8]) {
    let input = &mut Input::new(data);
    let (disk, made_up) = directory(input);
    let before = disk.digest();
    match open(&disk, 1) {
        Err(error) => {
            check_refusal(&error);
            assert_eq!(disk.digest(), before, "a refusal changed something: {error}");
            let again = open(&disk, 2).map(drop).expect_err("it was refused before");
            assert_eq!(again.to_string(), error.to_string(), "the second refusal is another");
        }
        Ok(engine) => match use_it(&disk, engine) {
            Err(error) if !made_up => panic!("it opened, and then: {error}"),
            _ => {}
        },
    }
}

fn check_refusal(error: &Error) {
    match error {
        Error::Corruption { file, evidence, .. } => {
            assert!(!file.is_empty() && !evidence.is_empty(), "no place: {error:?}");
        }
        Error::NotADatabase { what, .. } => assert!(!what.is_empty(), "no reason: {error:?}"),
        Error::UnsupportedFormat { supported, version, .. } => assert_ne!(version, supported),
        error => panic!("the machine is whole, and opening says: {error:?}"),
    }
}

/// Reads, writes, checkpoints, closes and opens again.
fn use_it(disk: &SimDisk, engine: Engine) -> Result<(), Error> {
    let read = |engine: &Engine| {
        let items = engine.snapshot().range(&NUMBERS, ..);
        items
            .map(|item| item.map(|(key, record)| (key, record.value)))
            .collect::<Result<Vec<_>, _>>()
    };
    let records = read(&engine)?;
    assert_eq!(engine.len(&NUMBERS)?, records.len() as u64, "the count is wrong");
    let nothing = Model::default();
    for n in 0..8 {
        let mut order = order(n, &nothing);
        order.name = order.name.map(|name| name + (1 << 40));
        let _answer = engine.commit(order.request())?;
    }
    engine.checkpoint()?;
    let records = read(&engine)?;
    let seq = engine.durable_seq();
    engine.close()?;
    let engine = open(disk, 3)?;
    assert_eq!(engine.recovery().verdict, Verdict::Clean, "{}", engine.recovery());
    assert_eq!((read(&engine)?, engine.durable_seq()), (records, seq), "closing lost something");
    engine.close()
}

/// A directory, and whether groups were made up in it.
fn directory(input: &mut Input<'_>) -> (SimDisk, bool) {
    let left = match input.below(8) {
        place @ 0..5 => Left::ALL[place],
        5 => Left::Closed,
        6 => Left::Crashed,
        _ => {
            let disk = SimDisk::new();
            if input.flag() {
                disk.create_dir(names::SEGMENTS).expect("the disk is empty");
            }
            return (disk.clone(), change_all(input, &disk, None));
        }
    };
    let disk = left.subject().disk.snapshot();
    let made_up = change_all(input, &disk, Some(left));
    (disk, made_up)
}

fn change_all(input: &mut Input<'_>, disk: &SimDisk, left: Option<Left>) -> bool {
    let mut made_up = false;
    for _ in 0..CHANGES {
        if input.is_empty() {
            break;
        }
        let name = any_name(input);
        match input.below(10) {
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
            _ => made_up |= left.is_some_and(|left| make_up(input, disk, left)),
        }
    }
    made_up
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

/// A group behind the log, in which everything is right but that nobody ever wrote it. False when there is no room.
fn make_up(input: &mut Input<'_>, disk: &SimDisk, left: Left) -> bool {
    let Some(last) = Log::of(left).groups.last() else { return false };
    let name = names::segment(last.position.segment);
    let Ok(file) = disk.read_file(&name) else { return false };
    let Some(segment) = SegmentHeader::decode(&file) else { return false };
    let mut group = vec![0; HEADER];
    let entries = 1 + input.below(3) as u32;
    if input.u8() < 0xE0 {
        (0..entries).for_each(|_| entry::encode(&any_entry(input), &mut group));
    } else {
        group.extend_from_slice(input.string(255));
    }
    let first =
        last.header.last_seq.get() + 1 + if input.u8() < 0xF0 { 0 } else { input.u64() >> 1 };
    GroupHeader {
        g: last.header.g + 1,
        kind: Kind::Entries,
        first_seq: SeqNo::new(first),
        last_seq: SeqNo::new(first - 1 + u64::from(entries)),
        durable_g: last.header.g,
        body_len: 0,
        entries,
        chain: last.position.chain,
        digest: input.u128(),
        // Of another version the state digest is not compared.
        digest_version: input.u8().into(),
        body_crc: 0,
    }
    .seal(segment.nonce, &mut group);
    let fits = last.position.end + group.len() as u64 <= file.len() as u64;
    fits && disk.overwrite(&name, last.position.end, &group).is_ok()
}
