//! The segments of a directory: finding them, preparing new ones.

use crate::{
    disk::{self, Disk, File, ListedKind, remove_if_there},
    format::{
        self, BLOCK, VERSION,
        names::{self, SegmentName},
        segment::{DATA, SegmentHeader},
    },
};
use std::{collections::BTreeMap, io, sync::Arc};

/// Length of the segment that an opening begins with: one that writes little shall cost little.
pub(crate) const FIRST_BYTES: u64 = 1 << 20;

/// An open segment whose header is whole.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub header: SegmentHeader,
    pub file: Arc<dyn File>,
}

impl Segment {
    pub(crate) fn number(&self) -> u64 {
        self.header.number
    }
}

/// What is wrong with a segment as a whole.
#[derive(Debug)]
pub(crate) enum SegmentFault {
    Io { file: String, error: io::Error },
    Damaged { number: u64, offset: u64, what: String },
    UnsupportedFormat { file: String, version: u32 },
}

/// Names in the segments folder, by what they stand for.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub named: Vec<u64>,
    /// Those of them that are no plain files.
    pub odd: Vec<u64>,
    pub spares: Vec<String>,
    /// The segments that are known to have been begun.
    pub newest: Vec<u64>,
    pub foreign: Vec<String>,
}

/// Lists the segments folder.
pub(crate) fn list(disk: &dyn Disk) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for listed in disk.list(names::SEGMENTS)? {
        match names::parse(&listed.name) {
            // What is in its place is judged when it is opened.
            Some(SegmentName::Named(number)) => {
                listing.named.push(number);
                listing.odd.extend(Some(number).filter(|_| listed.kind != ListedKind::File));
            }
            _ if listed.kind != ListedKind::File => listing.foreign.push(listed.name),
            Some(SegmentName::Spare) => {
                listing.spares.push(format!("{}/{}", names::SEGMENTS, listed.name))
            }
            Some(SegmentName::Newest(number)) => listing.newest.push(number),
            None => listing.foreign.push(listed.name),
        }
    }
    listing.named.sort_unstable();
    Ok(listing)
}

/// Opens the segments `numbers` (ascending), which must follow each other without a gap from `lowest` on.
pub(crate) fn open(
    disk: &dyn Disk,
    uuid: u128,
    lowest: u64,
    numbers: &[u64],
) -> Result<BTreeMap<u64, Segment>, SegmentFault> {
    // At least the lowest, so that it is missed when there is nothing from there on.
    let highest = numbers.last().copied().unwrap_or(lowest).max(lowest);
    (lowest..=highest)
        .map(|number| match numbers.binary_search(&number) {
            Ok(_) => open_one(disk, uuid, number).map(|segment| (number, segment)),
            Err(_) => {
                Err(SegmentFault::Damaged { number, offset: 0, what: "the file is missing".into() })
            }
        })
        .collect()
}

fn open_one(disk: &dyn Disk, uuid: u128, number: u64) -> Result<Segment, SegmentFault> {
    let path = names::segment(number);
    let io = |error| SegmentFault::Io { file: path.clone(), error };
    let damaged = |what: &str| SegmentFault::Damaged { number, offset: 0, what: what.into() };
    let file = match disk.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            return Err(damaged(&error.to_string()));
        }
        other => other.map_err(io)?,
    };
    let length = file.len().map_err(io)?;
    let mut bytes = vec![0; DATA.min(length) as usize];
    file.read_exact_at(0, &mut bytes).map_err(io)?;
    let header = SegmentHeader::decode(&bytes)
        .ok_or_else(|| damaged("neither copy of the header is whole"))?;
    match header {
        SegmentHeader { version, .. } if version != VERSION => {
            Err(SegmentFault::UnsupportedFormat { file: path, version })
        }
        SegmentHeader { uuid: other, .. } if other != uuid => {
            Err(damaged("it belongs to another database"))
        }
        SegmentHeader { number: other, .. } if other != number => {
            Err(damaged("it is another segment under this name"))
        }
        SegmentHeader { bytes, .. } if bytes != length => {
            Err(damaged("the file does not have the length it was made with"))
        }
        SegmentHeader { bytes, .. } if bytes < DATA || !bytes.is_multiple_of(BLOCK) => {
            Err(damaged("it has a length that no segment has"))
        }
        header => Ok(Segment { header, file }),
    }
}

/// Makes a segment of `bytes` bytes under a name that means nothing to recovery: zeroed, synced, ready to be renamed.
pub(crate) fn prepare(
    disk: &dyn Disk,
    uuid: u128,
    number: u64,
    bytes: u64,
    nonce: u128,
) -> io::Result<Segment> {
    const CHUNK: usize = 1 << 20;
    let path = names::spare(number);
    remove_if_there(disk, &path)?;
    let file = disk.create_log(&path)?;
    let header =
        SegmentHeader { version: VERSION, uuid, number, bytes: format::blocks(bytes), nonce };
    let made = (|| {
        let zeros = vec![0; header.bytes.min(CHUNK as u64) as usize];
        for offset in (0..header.bytes).step_by(CHUNK) {
            let length = (header.bytes - offset).min(CHUNK as u64) as usize;
            file.write_all_at(offset, &zeros[..length])?;
        }
        file.write_all_at(0, &header.encode())?;
        file.sync_data()?;
        // What is written from here on may go past the cache, which need not hold the zeros then. No more than advice.
        let _ = file.drop_cache();
        Ok(())
    })();
    if let Err(error) = made {
        // Give the space back: nothing refers to the file.
        let _ = disk.remove(&path);
        return Err(error);
    }
    Ok(Segment { header, file })
}

/// Gives a prepared segment its name in the log, durably, and leaves a note that it was begun: while it is the last, nothing
/// else would show that it is gone. Needs no room, as long as the note of the segment before is there; it may be missing
/// after a crash, but then this is an opening.
pub(crate) fn adopt(disk: &dyn Disk, segment: &Segment) -> io::Result<()> {
    let number = segment.number();
    let (before, note) = (names::newest(number - 1), names::newest(number));
    disk.rename(&names::spare(number), &names::segment(number))?;
    disk.sync_dir(names::SEGMENTS)?;
    // After the name is durable, or a power cut could leave the note without the segment.
    match disk.create(&note) {
        // On a full disk the note of the one before has to do.
        Err(error) if disk::is_full(&error) => {
            disk.rename(&before, &note).map_err(|_| error)?;
            return disk.sync_dir(names::SEGMENTS);
        }
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => disk.sync_dir(names::SEGMENTS)?,
    }
    remove_if_there(disk, &before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    /// The header says what the file is like, but no segment is.
    #[test]
    fn a_length_that_no_segment_has_is_damage() {
        for bytes in [68, DATA - BLOCK, DATA + 1, DATA + BLOCK - 1] {
            let disk = MemoryDisk::new();
            disk.create_dir(names::SEGMENTS).unwrap();
            let header = SegmentHeader { version: VERSION, uuid: 1, number: 1, bytes, nonce: 2 };
            let file = disk.create(&names::segment(1)).unwrap();
            file.write_all_at(0, &header.encode()).unwrap();
            file.set_len(bytes).unwrap();
            let opened = open(&disk, 1, 1, &[1]);
            assert!(
                matches!(opened, Err(SegmentFault::Damaged { number: 1, .. })),
                "{bytes} bytes"
            );
        }
    }
}
