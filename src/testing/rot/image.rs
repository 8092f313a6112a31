//! All files of a directory, byte for byte.

use crate::{
    disk::SimDisk,
    format::names::{self, SegmentName},
};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

/// Every file by its name.
pub(super) type Files = BTreeMap<String, Arc<Vec<u8>>>;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[non_exhaustive]
pub enum FileKind {
    /// What the directory is.
    Identity,
    /// Where the log ended when it was closed.
    Clean,
    /// The checkpoint.
    Checkpoint,
    /// The first segment of all, which has no groups.
    Genesis,
    /// A segment of the log.
    Segment,
    /// The last segment of the log.
    LastSegment,
    /// A segment that is being prepared.
    Spare,
    /// The empty file that says which segment was begun.
    Note,
    /// Any other file.
    Other,
    /// No one file: several were damaged, or the whole directory.
    Several,
}

/// Reads all files of a disk.
pub(super) fn files(disk: &SimDisk) -> Files {
    let named = disk.files().into_iter().map(|(name, _)| {
        let bytes = disk.read_file(&name).expect("it was listed");
        (name, Arc::new(bytes))
    });
    named.collect()
}

/// The segments of the log among some files, by number.
pub(super) fn segments(files: &Files) -> BTreeMap<u64, &[u8]> {
    let numbered =
        files.iter().filter_map(|(name, bytes)| Some((segment_number(name)?, &bytes[..])));
    numbered.collect()
}

/// The number of a segment of the log, if that is what a file is.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    match names::parse(in_segments(name)?) {
        Some(SegmentName::Named(number)) => Some(number),
        _ => None,
    }
}

fn in_segments(name: &str) -> Option<&str> {
    name.strip_prefix(names::SEGMENTS)?.strip_prefix('/')
}

impl FileKind {
    /// What the file of that name is, in a directory whose last segment is `last`.
    pub(super) fn of(name: &str, last: u64) -> Self {
        match name {
            names::IDENTITY => return Self::Identity,
            names::CLEAN => return Self::Clean,
            names::CHECKPOINT => return Self::Checkpoint,
            _ => {}
        }
        match in_segments(name).and_then(names::parse) {
            Some(SegmentName::Named(1)) => Self::Genesis,
            Some(SegmentName::Named(number)) if number == last => Self::LastSegment,
            Some(SegmentName::Named(_)) => Self::Segment,
            Some(SegmentName::Spare) => Self::Spare,
            Some(SegmentName::Newest(_)) => Self::Note,
            None => Self::Other,
        }
    }
}
