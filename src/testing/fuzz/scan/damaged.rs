//! Logs that the engine wrote and something damaged.

use super::{
    super::{
        damage::Damage,
        input::Input,
        subject::{Left, Subject},
    },
    Given, Log, check_kind, look,
};
use crate::{
    disk::{Disk, SimDisk},
    format::{
        group::{GroupHeader, HEADER, Kind},
        names,
    },
};

/// Most pieces of damage.
const DAMAGES: usize = 8;

pub(super) fn check(input: &mut Input<'_>) {
    let left = input.pick(&[Left::Closed, Left::Crashed, Left::Torn]);
    let (subject, log) = (left.subject(), Log::of(left));
    let disk = subject.disk.snapshot();
    let known = log.known(input);
    let files: Vec<_> = log.numbers.iter().map(|number| names::segment(*number)).collect();
    for _ in 0..=input.below(DAMAGES) {
        Damage::of_bytes(input, &disk, &files).inflict(&disk);
    }
    let Ok(segments) = log.open(&disk) else { return };
    let (given, answer) = look(&segments, &known);
    check_kind(&answer);
    assert!(log.groups.starts_with(&given), "what is handed out is not what was written");
    let intact: Vec<bool> =
        log.groups.iter().map(|group| is_intact(group, &disk, subject)).collect();
    let broken = intact.iter().position(|intact| !intact).unwrap_or(intact.len());
    match answer {
        Ok(scanned) => {
            let missing = log.groups.iter().zip(&intact).skip(given.len());
            let x = scanned.accepted.g + 1;
            let vouched = |header: &GroupHeader| header.durable_g >= x || header.kind == Kind::Link;
            let witness = missing.filter(|(_, intact)| **intact).find(|(g, _)| vouched(&g.header));
            let missing = given.len() < log.groups.len();
            assert!(witness.is_none(), "{x} is missing in silence, and {witness:?} is there");
            let clean = known.clean.map_or(0, |clean| clean.g);
            assert!(!missing || known.checkpoint_g < x, "{x} is missing, and in the checkpoint");
            assert!(!missing || clean < x, "{x} is missing, and it was closed after it");
        }
        Err(error) => {
            let Some(x) = log.groups.get(broken).map(|group| group.header.g) else {
                panic!("a whole log is refused: {error:?}");
            };
            let vouch = |group: &Given| {
                let GroupHeader { g, durable_g, kind, .. } = group.header;
                durable_g >= x || (kind == Kind::Link && g > x)
            };
            let vouched = known.checkpoint_g >= x
                || known.clean.is_some_and(|clean| clean.g >= x)
                || log.groups.iter().any(vouch);
            assert!(vouched, "only the last sync is damaged, from group {x} on: {error:?}");
        }
    }
}

/// Whether the bytes of a group are those that were written.
fn is_intact(group: &Given, disk: &SimDisk, subject: &Subject) -> bool {
    let name = names::segment(group.position.segment);
    let read = |disk: &SimDisk| {
        let mut bytes = vec![0; HEADER + group.body.len()];
        let file = disk.open(&name).expect("it was opened before");
        file.read_exact_at(group.offset(), &mut bytes).ok().map(|()| bytes)
    };
    read(disk) == read(&subject.disk)
}
