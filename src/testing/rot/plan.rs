//! Which damage there is to do: everything in order, or something at random.

use super::{
    damage::{Block, Damage, DamageKind, Name, SECTOR},
    dice::Dice,
    image::{FileKind, segment_number},
    scene::Subject,
};
use crate::format::{BLOCK, names, segment::DATA};
use std::collections::BTreeMap;

/// Bytes of a segment's header, and of a group's with the body of a `Link`.
const SEGMENT_HEADER: u64 = 68;
const GROUP_HEADER: usize = 128 + 25;
/// One bit is turned over in so many bytes where not every bit is.
const STEP: usize = 16;

/// All damage of one kind to files of one kind.
pub(super) type Strata = BTreeMap<(FileKind, DamageKind), Vec<Damage>>;

/// Every bit of every header and of the small files, and one bit in sixteen bytes elsewhere; every sector and block that is not
/// all zeros, in every way; every file.
pub(super) fn all(subject: &Subject) -> Strata {
    let mut plan = Plan { subject, dice: Dice::seeded(subject.seed), strata: Strata::new() };
    for (name, bytes) in &subject.files {
        plan.file(name, bytes);
        plan.flips(name, bytes);
        plan.sectors(name, bytes);
        plan.blocks(name, bytes);
    }
    for (name, bytes) in subject.moments.iter().flat_map(|moment| &moment.files) {
        // A file that was there once.
        if !subject.files.contains_key(name) {
            plan.stale_file(name, bytes);
        }
    }
    for moment in 0..subject.moments.len() {
        plan.add("", Damage::OlderDirectory { moment });
    }
    plan.strata
}

struct Plan<'a> {
    subject: &'a Subject,
    dice: Dice<'a>,
    strata: Strata,
}

impl Plan<'_> {
    fn add(&mut self, name: &str, damage: Damage) {
        let file = if name.is_empty() {
            FileKind::Several
        } else {
            FileKind::of(name, self.subject.last_segment())
        };
        self.strata.entry((file, damage.kind())).or_default().push(damage);
    }

    /// The file as a whole.
    fn file(&mut self, name: &str, bytes: &[u8]) {
        let length = bytes.len() as u64;
        self.add(name, Damage::Remove { file: name.into() });
        for copy in copies(self.subject, name) {
            self.add(name, Damage::Duplicate { file: name.into(), copy });
        }
        self.stale_file(name, bytes);
        for bytes in [1, SECTOR, BLOCK, 64 << 10] {
            self.add(name, Damage::Extend { file: name.into(), bytes });
        }
        let small = 0..length.min(200);
        let parts = (1..64).map(|part| length * part / 64);
        let near_the_end = [1, 2, SECTOR, BLOCK].map(|less| length.saturating_sub(less));
        for bytes in small.chain(parts).chain(near_the_end).filter(|bytes| *bytes < length) {
            self.add(name, Damage::Truncate { file: name.into(), bytes });
        }
    }

    fn stale_file(&mut self, name: &str, bytes: &[u8]) {
        let mut last: Option<&[u8]> = None;
        for (moment, earlier) in self.subject.moments.iter().enumerate() {
            let was = earlier.files.get(name).map(|bytes| &bytes[..]);
            let gone = !self.subject.files.contains_key(name);
            if was != last && (gone || was != Some(bytes)) {
                self.add(name, Damage::StaleFile { file: name.into(), moment });
            }
            last = was;
        }
    }

    fn flips(&mut self, name: &str, bytes: &[u8]) {
        let every_bit = |plan: &mut Self, from: usize, to: usize| {
            for byte in from..to.min(bytes.len()) {
                for bit in 0..8 {
                    plan.add(name, Damage::Flip { file: name.into(), byte: byte as u64, bit });
                }
            }
        };
        if let Some(number) = segment_number(name) {
            every_bit(self, 0, SEGMENT_HEADER as usize);
            every_bit(self, BLOCK as usize, (BLOCK + SEGMENT_HEADER) as usize);
            let groups: Vec<_> = self.subject.layout.places().collect();
            for (at, _) in groups.iter().filter(|(at, _)| at.segment == number) {
                every_bit(self, at.offset as usize, at.offset as usize + GROUP_HEADER);
            }
        } else {
            // The header of the checkpoint's store, too.
            every_bit(self, 0, SECTOR as usize);
        }
        for start in (0..bytes.len()).step_by(STEP) {
            let chunk = &bytes[start..bytes.len().min(start + STEP)];
            if chunk.iter().any(|byte| *byte != 0) || start % (16 * BLOCK as usize) == 0 {
                let byte = (start + self.dice.below(chunk.len())) as u64;
                let bit = self.dice.below(8) as u8;
                self.add(name, Damage::Flip { file: name.into(), byte, bit });
            }
        }
    }

    fn sectors(&mut self, name: &str, bytes: &[u8]) {
        for (sector, chunk) in bytes.chunks(SECTOR as usize).enumerate() {
            let used = chunk.iter().any(|byte| *byte != 0);
            let (file, sector) = (Name::from(name), sector as u64);
            if used {
                self.add(name, Damage::Zero { file: file.clone(), sector });
            }
            if used || sector.is_multiple_of(16) {
                self.add(name, Damage::Unreadable { file, sector });
            }
        }
    }

    fn blocks(&mut self, name: &str, bytes: &[u8]) {
        let used: Vec<u64> = used_blocks(bytes);
        for (place, &number) in used.iter().enumerate() {
            let block = Block::new(name, number);
            for moment in stale_moments(self.subject, name, number) {
                self.add(name, Damage::Stale { block: block.clone(), moment });
            }
            let mut others: Vec<Block> =
                used[place + 1..].iter().take(2).map(|number| Block::new(name, *number)).collect();
            others.push(Block::new(name, number + 1));
            others.extend(self.dice.one(&used).map(|number| Block::new(name, *number)));
            others.extend(any_block(self.subject, &mut self.dice));
            for other in others.into_iter().filter(|other| *other != block) {
                let (from, to) = (block.clone(), other.clone());
                self.add(name, Damage::Misdirect { from, to });
                let (from, to) = (other.clone(), block.clone());
                self.add(name, Damage::Double { from, to });
                self.add(name, Damage::Swap { left: block.clone(), right: other });
            }
        }
    }
}

/// So many pieces of damage, or fewer where there are not enough choices.
pub(super) fn some(subject: &Subject, dice: &mut Dice<'_>, pieces: usize) -> Vec<Damage> {
    (0..pieces).filter_map(|_| any(subject, dice)).collect()
}

/// Something.
fn any(subject: &Subject, dice: &mut Dice<'_>) -> Option<Damage> {
    let kind = dice.below(14);
    let (name, bytes) = any_file(subject, dice)?;
    let file = Name::from(name);
    let moment = dice.below(subject.moments.len());
    let sector = |dice: &mut Dice<'_>| any_offset(subject, name, bytes, dice) / SECTOR;
    let block =
        |dice: &mut Dice<'_>| Block::new(name, any_offset(subject, name, bytes, dice) / BLOCK);
    Some(match kind {
        0..=2 => {
            let byte = any_offset(subject, name, bytes, dice);
            Damage::Flip { file, byte, bit: dice.below(8) as u8 }
        }
        3 => Damage::Zero { file, sector: sector(dice) },
        4 => Damage::Unreadable { file, sector: sector(dice) },
        5 => Damage::Swap { left: block(dice), right: any_block(subject, dice)? },
        6 => Damage::Misdirect { from: block(dice), to: any_block(subject, dice)? },
        7 => Damage::Double { from: block(dice), to: any_block(subject, dice)? },
        8 => Damage::Stale { block: block(dice), moment },
        9 => Damage::StaleFile { file, moment },
        10 => Damage::Truncate { file, bytes: dice.below(bytes.len()) as u64 },
        11 => match dice.below(3) {
            0 => Damage::OlderDirectory { moment },
            _ => Damage::Extend { file, bytes: 1 + dice.below(8192) as u64 },
        },
        12 => Damage::Remove { file },
        _ => Damage::Duplicate { file, copy: dice.one(&copies(subject, name))?.clone() },
    })
}

/// A file, more likely one of the log's end.
fn any_file<'s>(subject: &'s Subject, dice: &mut Dice<'_>) -> Option<(&'s str, &'s [u8])> {
    let names: Vec<&String> = subject.files.keys().collect();
    let last = names::segment(subject.last_segment());
    let name = match dice.below(4) {
        0 if subject.files.contains_key(&last) => last.as_str(),
        _ => dice.one(&names)?.as_str(),
    };
    let (name, bytes) = subject.files.get_key_value(name)?;
    Some((name, bytes))
}

/// An offset in a file: of a group's header or body, of the headers, or anywhere.
fn any_offset(subject: &Subject, name: &str, bytes: &[u8], dice: &mut Dice<'_>) -> u64 {
    let number = segment_number(name);
    let groups: Vec<_> =
        subject.layout.places().filter(|(at, _)| Some(at.segment) == number).collect();
    let way = dice.below(8);
    match groups.last() {
        Some((at, length)) if way < 2 => at.offset + dice.below(*length) as u64,
        Some(_) if way < 6 => {
            let (at, length) = groups[dice.below(groups.len())];
            at.offset + dice.below(length) as u64
        }
        Some(_) if way < 7 => dice.below(DATA as usize) as u64,
        _ => match used_blocks(bytes)[..] {
            [] => 0,
            ref used => used[dice.below(used.len())] * BLOCK + dice.below(BLOCK as usize) as u64,
        },
    }
}

fn any_block(subject: &Subject, dice: &mut Dice<'_>) -> Option<Block> {
    let (name, bytes) = any_file(subject, dice)?;
    Some(Block::new(name, dice.below(bytes.len().div_ceil(BLOCK as usize)) as u64))
}

fn used_blocks(bytes: &[u8]) -> Vec<u64> {
    let blocks = (0..).zip(bytes.chunks(BLOCK as usize));
    let used = blocks.filter(|(_, block)| block.iter().any(|byte| *byte != 0));
    used.map(|(number, _)| number).collect()
}

/// The moments at which a block became what it is no more.
fn stale_moments(subject: &Subject, name: &str, number: u64) -> Vec<usize> {
    let within = |bytes: &[u8]| {
        let rest = bytes.get((number * BLOCK) as usize..).unwrap_or(&[]);
        rest[..rest.len().min(BLOCK as usize)].to_vec()
    };
    let now = within(&subject.files[name]);
    let (mut last, mut moments) = (now.clone(), Vec::new());
    for (moment, earlier) in subject.moments.iter().enumerate() {
        let was = earlier.files.get(name).map_or_else(Vec::new, |bytes| within(bytes));
        if was != last && was != now {
            moments.push(moment);
        }
        last = was;
    }
    moments
}

/// Names under which a file could be there a second time.
fn copies(subject: &Subject, name: &str) -> Vec<Name> {
    let last = subject.last_segment();
    let mut copies: Vec<Name> = [
        names::segment(last + 1),
        names::segment(last),
        names::segment(last.saturating_sub(1).max(1)),
        names::segment(last + 3),
        names::spare(last + 1),
        names::newest(last),
        names::newest(last + 1),
        format!("{}/copy", names::SEGMENTS),
    ]
    .map(Name::from)
    .into();
    let top = [
        names::IDENTITY,
        names::IDENTITY_NEW,
        names::CLEAN,
        names::CLEAN_NEW,
        names::CHECKPOINT,
        "copy",
    ];
    copies.extend(top.map(Name::from));
    copies.retain(|copy| **copy != *name);
    copies
}
