//! What verifies and was never written: hostile, or the work of a bug, but nothing that a power cut or rot can do.

use super::super::{
    frame::{any_control, any_entry, any_row, any_window_row},
    input::Input,
    scan::Log,
    subject::Left,
};
use crate::{
    base::{IdempotencyKey, KeyspaceId, Row, SeqNo, WindowRow},
    checkpoint::{Changes, Checkpoint, CheckpointError, Meta},
    disk::{Disk, SimDisk},
    format::{
        entry,
        group::{GroupHeader, HEADER, Kind},
        names,
        rows::StateDigest,
        segment::SegmentHeader,
    },
};

/// The engine makes no file longer than this here.
const LONGEST: u64 = 8 << 20;

/// A group behind the log, in which everything is right but that nobody ever wrote it. False when there is no room.
pub(super) fn group(input: &mut Input<'_>, disk: &SimDisk, left: Left) -> bool {
    let Some(last) = Log::of(left).groups.last() else { return false };
    let name = names::segment(last.position.segment);
    let files = disk.files();
    if !files.iter().any(|(file, length)| *file == name && *length <= LONGEST) {
        return false;
    }
    let file = disk.read_file(&name).expect("it is listed");
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

/// Rows put into the checkpoint, or removed from it, with a meta row that says something else. False when there is no
/// checkpoint that takes them.
pub(super) fn rows(input: &mut Input<'_>, disk: &SimDisk) -> bool {
    // On a copy: what fails half way leaves no traces.
    let copy = disk.snapshot();
    match write_rows(input, &copy) {
        Ok(()) => {
            let bytes = copy.read_file(names::CHECKPOINT).expect("it was written to");
            disk.plant_file(names::CHECKPOINT, &bytes).is_ok()
        }
        Err(_) => false,
    }
}

fn write_rows(input: &mut Input<'_>, disk: &SimDisk) -> Result<(), CheckpointError> {
    let file = disk.open(names::CHECKPOINT)?;
    if file.len()? > LONGEST {
        return Err(std::io::Error::other("longer than the engine made it").into());
    }
    let checkpoint = Checkpoint::open_held(file, 1 << 20)?;
    let mut meta = checkpoint.reader()?.meta().clone();
    let mut control = checkpoint.reader()?.control().clone();
    if input.flag() {
        control = any_control(input);
    }
    checkpoint.release()?;
    change_meta(input, &mut meta);
    let mut records: Vec<(KeyspaceId, Vec<u8>, Option<Row>)> = Vec::new();
    for _ in 0..input.below(4) {
        let keyspace = KeyspaceId::new(u32::from(input.u8() % 3));
        let key = match input.below(3) {
            0 => b"numbers".to_vec(),
            1 => u32::from(input.u8() % 8).to_be_bytes().to_vec(),
            _ => input.string(40).to_vec(),
        };
        records.push((keyspace, key, input.flag().then(|| any_row(input))));
    }
    let mut window: Vec<(Vec<u8>, WindowRow)> = Vec::new();
    for _ in 0..input.below(3) {
        let name = u64::from(input.u8() % 64).to_be_bytes();
        let key = IdempotencyKey::new("model", name).expect("short and not empty");
        let other = input.string(40);
        let key = if input.flag() { key.as_bytes().to_vec() } else { other.to_vec() };
        window.push((key, any_window_row(input)));
    }
    let counts: Vec<_> = (0..input.below(3))
        .map(|_| (KeyspaceId::new(u32::from(input.u8() % 3)), u64::from(input.u8())))
        .collect();
    let changes = Changes {
        records: records.iter().map(|(id, key, row)| (*id, &key[..], row.as_ref())),
        window: window.iter().map(|(key, row)| (&key[..], row)),
        control: &control,
        upkeep: usize::from(input.u8()),
        counts: counts.into_iter(),
    };
    checkpoint.write(changes, &meta)?;
    checkpoint.close()
}

fn change_meta(input: &mut Input<'_>, meta: &mut Meta) {
    // Of another version the state digest is not compared.
    meta.digest_version = input.u8().into();
    match input.below(12) {
        0 => meta.format = input.u32(),
        1 => meta.uuid = input.u128(),
        2 => meta.applied_seq = SeqNo::new(input.number()),
        3 => meta.applied_g = input.number(),
        4 => meta.applied_time = crate::base::LogTime::new(input.number()),
        5 => meta.chain = input.array(),
        6 => meta.digest = StateDigest(input.u128()),
        7 => meta.epoch = crate::base::Epoch::new(input.number()),
        8 => meta.trim = input.number(),
        _ => {}
    }
}
