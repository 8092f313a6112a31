//! What can happen to the files of a database.

use super::image::Files;
use crate::{disk::SimDisk, format::BLOCK};
use serde::Serialize;
use std::fmt;

/// A medium reads and writes so many bytes at once.
pub(super) const SECTOR: u64 = 512;

/// The name of a file, from the directory on. Prints as an expression that makes it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Name(String);

/// A block of 4,096 bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Block {
    /// The file.
    pub file: Name,
    /// Which of its blocks, from 0.
    pub number: u64,
}

/// One piece of damage. Offsets past the end of a file, and files that are not there, do no damage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are named after what they are")]
pub enum Damage {
    /// A bit (0 to 7) of a byte is turned over.
    Flip { file: Name, byte: u64, bit: u8 },
    /// A sector of 512 bytes reads as zeros.
    Zero { file: Name, sector: u64 },
    /// A sector of 512 bytes can't be read.
    Unreadable { file: Name, sector: u64 },
    /// Two blocks change places.
    Swap { left: Block, right: Block },
    /// The last write of a block went to another place: that one has it, its own place has what was there before.
    Misdirect { from: Block, to: Block },
    /// A block was written twice: at its own place and at another.
    Double { from: Block, to: Block },
    /// A block is what it was at an earlier moment of the scene; zeros if the file did not reach so far then.
    Stale { block: Block, moment: usize },
    /// A file is what it was at an earlier moment of the scene, or missing if it was then.
    StaleFile { file: Name, moment: usize },
    /// A file ends early.
    Truncate { file: Name, bytes: u64 },
    /// A file has so many more bytes, zeros.
    Extend { file: Name, bytes: u64 },
    /// A file is missing.
    Remove { file: Name },
    /// A file is there a second time, in the place of another if that name is taken.
    Duplicate { file: Name, copy: Name },
    /// The whole directory is what it was at an earlier moment of the scene.
    OlderDirectory { moment: usize },
}

/// A kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the variant of `Damage` of that name")]
pub enum DamageKind {
    Flip,
    Zero,
    Unreadable,
    Swap,
    Misdirect,
    Double,
    Stale,
    StaleFile,
    Truncate,
    Extend,
    Remove,
    Duplicate,
    OlderDirectory,
    /// More than one piece of damage.
    Several,
}

impl Damage {
    /// What kind it is.
    #[must_use]
    pub const fn kind(&self) -> DamageKind {
        match self {
            Self::Flip { .. } => DamageKind::Flip,
            Self::Zero { .. } => DamageKind::Zero,
            Self::Unreadable { .. } => DamageKind::Unreadable,
            Self::Swap { .. } => DamageKind::Swap,
            Self::Misdirect { .. } => DamageKind::Misdirect,
            Self::Double { .. } => DamageKind::Double,
            Self::Stale { .. } => DamageKind::Stale,
            Self::StaleFile { .. } => DamageKind::StaleFile,
            Self::Truncate { .. } => DamageKind::Truncate,
            Self::Extend { .. } => DamageKind::Extend,
            Self::Remove { .. } => DamageKind::Remove,
            Self::Duplicate { .. } => DamageKind::Duplicate,
            Self::OlderDirectory { .. } => DamageKind::OlderDirectory,
        }
    }

    /// The files it is done to; none when it is the whole directory.
    #[must_use]
    pub fn files(&self) -> Vec<&Name> {
        match self {
            Self::Flip { file, .. }
            | Self::Zero { file, .. }
            | Self::Unreadable { file, .. }
            | Self::StaleFile { file, .. }
            | Self::Truncate { file, .. }
            | Self::Extend { file, .. }
            | Self::Remove { file }
            | Self::Duplicate { copy: file, .. }
            | Self::Stale { block: Block { file, .. }, .. }
            | Self::Double { to: Block { file, .. }, .. } => vec![file],
            Self::Swap { left, right } | Self::Misdirect { from: left, to: right } => {
                if left.file == right.file {
                    vec![&left.file]
                } else {
                    vec![&left.file, &right.file]
                }
            }
            Self::OlderDirectory { .. } => Vec::new(),
        }
    }

    /// Does it. `moments` are the files as they were earlier, oldest first.
    pub(super) fn inflict(&self, disk: &SimDisk, moments: &[&Files]) {
        // What is not there cannot be damaged.
        let _ = self.try_inflict(disk, moments);
    }

    fn try_inflict(&self, disk: &SimDisk, moments: &[&Files]) -> std::io::Result<()> {
        let older = |moment: usize| moments.get(moment).copied();
        match self {
            Self::Flip { file, byte, bit } => {
                if *byte < length(disk, file)? {
                    disk.flip_bit(file, *byte, *bit)?;
                }
            }
            Self::Zero { file, sector } => disk.zero_sector(file, sector.saturating_mul(SECTOR))?,
            Self::Unreadable { file, sector } => {
                disk.make_unreadable(file, sector.saturating_mul(SECTOR))?;
            }
            Self::Swap { left, right } => {
                let (was_left, was_right) = (left.read(disk)?, right.read(disk)?);
                left.write(disk, &was_right)?;
                right.write(disk, &was_left)?;
            }
            Self::Misdirect { from, to } => {
                let written = from.read(disk)?;
                from.write(disk, &from.before(&written, moments))?;
                to.write(disk, &written)?;
            }
            Self::Double { from, to } => to.write(disk, &from.read(disk)?)?,
            Self::Stale { block, moment } => {
                let Some(files) = older(*moment) else { return Ok(()) };
                block.write(disk, &block.within(files))?;
            }
            Self::StaleFile { file, moment } => {
                let Some(files) = older(*moment) else { return Ok(()) };
                match files.get(&file.0) {
                    Some(bytes) => disk.plant_file(file, bytes)?,
                    None => disk.remove_file(file)?,
                }
            }
            Self::Truncate { file, bytes } => {
                if *bytes < length(disk, file)? {
                    disk.truncate(file, *bytes)?;
                }
            }
            Self::Extend { file, bytes } => {
                let grown = length(disk, file)? + bytes.min(&(1 << 20));
                disk.truncate(file, grown)?;
            }
            Self::Remove { file } => disk.remove_file(file)?,
            Self::Duplicate { file, copy } => disk.plant_file(copy, &disk.read_file(file)?)?,
            Self::OlderDirectory { moment } => {
                let Some(files) = older(*moment) else { return Ok(()) };
                for (name, _) in disk.files() {
                    disk.remove_file(&name)?;
                }
                for (name, bytes) in files {
                    disk.plant_file(name, bytes)?;
                }
            }
        }
        Ok(())
    }
}

fn length(disk: &SimDisk, file: &str) -> std::io::Result<u64> {
    Ok(disk.read_file(file)?.len() as u64)
}

impl Block {
    /// That block of that file.
    #[must_use]
    pub fn new(file: impl Into<Name>, number: u64) -> Self {
        Self { file: file.into(), number }
    }

    fn offset(&self) -> u64 {
        self.number.saturating_mul(BLOCK)
    }

    fn read(&self, disk: &SimDisk) -> std::io::Result<Vec<u8>> {
        Ok(self.part_of(&disk.read_file(&self.file)?))
    }

    fn write(&self, disk: &SimDisk, bytes: &[u8]) -> std::io::Result<()> {
        disk.overwrite(&self.file, self.offset(), bytes)
    }

    /// What it was at an earlier moment.
    fn within(&self, files: &Files) -> Vec<u8> {
        self.part_of(files.get(&self.file.0).map_or(&[], |bytes| &bytes[..]))
    }

    /// What it was before it became what it is.
    fn before(&self, now: &[u8], moments: &[&Files]) -> Vec<u8> {
        let earlier = moments.iter().rev().map(|files| self.within(files));
        earlier.into_iter().find(|bytes| bytes != now).unwrap_or_else(|| vec![0; BLOCK as usize])
    }

    fn part_of(&self, bytes: &[u8]) -> Vec<u8> {
        let start = usize::try_from(self.offset()).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(BLOCK as usize).min(bytes.len());
        let mut block = bytes[start..end].to_vec();
        block.resize(BLOCK as usize, 0);
        block
    }
}

impl<T: Into<String>> From<T> for Name {
    fn from(name: T) -> Self {
        Self(name.into())
    }
}

impl std::ops::Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}.into()", self.0)
    }
}
