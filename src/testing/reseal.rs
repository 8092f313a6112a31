//! What a fault in memory does to a group before it is sealed: every checksum is right, and the bytes are not.

use super::SimDisk;
use crate::format::{
    BLOCK,
    group::{GroupHeader, HEADER},
    segment::{DATA, SegmentHeader},
};
use std::io;

/// Where the whole groups of a segment begin, in bytes, the last one last.
///
/// # Errors
/// `NotFound` when there is no such file; `InvalidData` when its header is not whole.
pub fn groups(disk: &SimDisk, segment: &str) -> io::Result<Vec<u64>> {
    let (nonce, bytes) = read(disk, segment)?;
    let offsets = (DATA as usize..bytes.len()).step_by(BLOCK as usize);
    let whole = offsets.filter(|&offset| whole(nonce, &bytes[offset..]).is_some());
    Ok(whole.map(|offset| offset as u64).collect())
}

/// Changes the body of the group at `offset`, and seals it again with a checksum of what it holds now. What other groups
/// say of it, and the state digest in its header, stay as they were.
///
/// # Errors
/// `NotFound` when there is no such file; `InvalidData` when there is no whole group at `offset`.
pub fn reseal(
    disk: &SimDisk,
    segment: &str,
    offset: u64,
    change: impl FnOnce(&mut [u8]),
) -> io::Result<()> {
    let (nonce, bytes) = read(disk, segment)?;
    let at = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    let (header, len) = whole(nonce, &bytes[at..]).ok_or(io::ErrorKind::InvalidData)?;
    let mut group = bytes[at..at + len].to_vec();
    change(&mut group[HEADER..]);
    header.seal(nonce, &mut group);
    disk.overwrite(segment, offset, &group)
}

fn read(disk: &SimDisk, segment: &str) -> io::Result<(u128, Vec<u8>)> {
    let bytes = disk.read_file(segment)?;
    let header = SegmentHeader::decode(bytes.get(..DATA as usize).unwrap_or(&bytes));
    Ok((header.ok_or(io::ErrorKind::InvalidData)?.nonce, bytes))
}

/// The group that `bytes` begin with, and its length without padding.
fn whole(nonce: u128, bytes: &[u8]) -> Option<(GroupHeader, usize)> {
    let header = GroupHeader::decode(nonce, bytes)?;
    let len = HEADER + header.body_len as usize;
    header.covers(nonce, bytes.get(HEADER..len)?).then_some((header, len))
}
