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
    log::scan::Known,
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
    match answer {
        Ok(scanned) => check_accepted(log, &known, scanned.accepted.g, given.len(), |group| {
            is_intact(group, &disk, subject)
        }),
        Err(error) => {
            let broken = log.groups.iter().find(|group| !is_intact(group, &disk, subject));
            let Some(broken) = broken else { panic!("a whole log is refused: {error:?}") };
            let x = broken.header.g;
            let due = is_vouched(log, &known, x);
            assert!(due, "only the last sync is damaged, from group {x} on: {error:?}");
        }
    }
}

/// What is missing behind the `count` groups that were accepted, nothing that is left vouches for.
fn check_accepted(
    log: &Log,
    known: &Known,
    accepted: u64,
    count: usize,
    is_intact: impl Fn(&Given) -> bool,
) {
    let (x, missing) = (accepted + 1, &log.groups[count..]);
    if missing.is_empty() {
        return;
    }
    let vouches = |group: &&Given| {
        (group.header.durable_g >= x || group.header.kind == Kind::Link) && is_intact(group)
    };
    let witness = missing.iter().find(vouches);
    assert!(witness.is_none(), "{x} is missing in silence, and {witness:?} is there");
    assert!(known.checkpoint_g < x, "{x} is missing, and in the checkpoint");
    let clean = known.clean.map_or(0, |clean| clean.g);
    assert!(clean < x, "{x} is missing, and it was closed after it");
}

/// Whether anything that was written vouches for group `x`, were it all there.
fn is_vouched(log: &Log, known: &Known, x: u64) -> bool {
    let vouches = |group: &Given| {
        let GroupHeader { g, durable_g, kind, .. } = group.header;
        durable_g >= x || (kind == Kind::Link && g > x)
    };
    known.checkpoint_g >= x
        || known.clean.is_some_and(|clean| clean.g >= x)
        || log.groups.iter().any(vouches)
        || log.torn.iter().any(|header| header.durable_g >= x)
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
