//! Damage to files that nobody meant: what fails a checksum but for one time in four thousand million.

use super::input::{Input, noise};
use crate::disk::{Disk, SimDisk};

const SECTOR: u64 = 512;

/// One piece of damage.
#[derive(Clone, Debug)]
pub(super) enum Damage {
    /// A bit turns over.
    Flip { file: String, offset: u64, bit: u8 },
    /// A sector becomes zeros.
    Zero { file: String, offset: u64 },
    /// A sector becomes noise.
    Noise { file: String, offset: u64, seed: u64 },
    /// So many sectors become those of another place, as a misdirected or stale write leaves them.
    Copy { file: String, offset: u64, bytes: Vec<u8> },
    /// The file gets another length.
    Length { file: String, bytes: u64 },
    /// The file is gone.
    Remove { file: String },
    /// No file is there to damage.
    Nothing,
}

impl Damage {
    /// The damage that some bytes describe, to one of these files.
    pub(super) fn of_bytes(input: &mut Input<'_>, disk: &SimDisk, files: &[String]) -> Self {
        let kind = input.below(16);
        let Some((file, length)) = any_file(input, disk, files) else { return Self::Nothing };
        let offset = place(input, length);
        match kind {
            0..=5 => Self::Flip { file, offset, bit: input.u8() % 8 },
            6..=8 => Self::Zero { file, offset },
            9..=10 => Self::Noise { file, offset, seed: input.u64() },
            11..=13 => {
                let Some((from, length)) = any_file(input, disk, files) else {
                    return Self::Nothing;
                };
                let start = place(input, length) / SECTOR * SECTOR;
                let end = length.min(start + SECTOR * input.pick(&[1, 2, 8, 16]));
                let mut bytes = vec![0; (end - start) as usize];
                let read = disk.open(&from).and_then(|file| file.read_exact_at(start, &mut bytes));
                read.expect("it is there and as long as that");
                Self::Copy { file, offset: offset / SECTOR * SECTOR, bytes }
            }
            14 => {
                let longer = length + input.pick(&[1, 512, 4096]);
                Self::Length { file, bytes: if input.flag() { longer } else { offset } }
            }
            _ => Self::Remove { file },
        }
    }

    pub(super) fn inflict(&self, disk: &SimDisk) {
        let done = match self {
            Self::Flip { file, offset, bit } => disk.flip_bit(file, *offset, *bit),
            Self::Zero { file, offset } => disk.zero_sector(file, *offset),
            Self::Noise { file, offset, seed } => {
                disk.overwrite(file, offset / SECTOR * SECTOR, &noise(*seed, SECTOR as usize))
            }
            Self::Copy { file, offset, bytes } => disk.overwrite(file, *offset, bytes),
            Self::Length { file, bytes } => disk.truncate(file, *bytes),
            Self::Remove { file } => disk.remove_file(file),
            Self::Nothing => Ok(()),
        };
        done.expect("the file was there");
    }
}

fn any_file(input: &mut Input<'_>, disk: &SimDisk, files: &[String]) -> Option<(String, u64)> {
    let file = files.get(input.below(files.len().max(1)))?;
    disk.files().into_iter().find(|(name, _)| name == file)
}

/// A place in a file, in its first bytes or near the front of one of its blocks more often than elsewhere.
fn place(input: &mut Input<'_>, length: u64) -> u64 {
    let blocks = length.div_ceil(4096).max(1);
    let block = input.below(blocks as usize) as u64 * 4096;
    let within = if input.flag() { input.below(4096) } else { input.below(256) };
    (block + within as u64).min(length.saturating_sub(1))
}
