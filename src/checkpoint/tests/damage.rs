//! Flipped bits, cut files and garbage: either noticed, or without consequence.

use super::{
    memory_file::MemoryFile,
    model::{CACHE, Model, created, written},
};
use crate::checkpoint::{Checkpoint, CheckpointError};

/// Byte 9 of the file, bit 0: which of redb's two commit slots counts.
const PRIMARY_BIT: usize = 9 * 8;

#[derive(Debug, Default)]
struct Tally {
    damaged: usize,
    harmless: usize,
    /// Bits that bring back exactly the write before the last. A power cut between the two phases of a commit leaves
    /// the same bytes, so the file alone can't tell; the log can, and it is kept back to that write for this reason.
    previous: Vec<usize>,
}

/// A file, the state it holds, and the state the write before it left.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    model: Model,
    previous: Model,
}

impl Case {
    /// Opens `bytes` in place of the file; true when they hold the state, false when they hold the previous one.
    fn open(&self, bytes: Vec<u8>) -> Result<bool, CheckpointError> {
        let applied = {
            let checkpoint = Checkpoint::open_held(MemoryFile::of(bytes.clone()), CACHE)?;
            checkpoint.reader()?.meta().applied_seq
        };
        let last = applied != self.previous.meta().applied_seq;
        open_and_read(bytes, if last { &self.model } else { &self.previous })?;
        Ok(last)
    }
}

/// Opens the file as recovery does, and asks it for everything.
fn open_and_read(file: Vec<u8>, model: &Model) -> Result<(), CheckpointError> {
    let file = MemoryFile::of(file);
    let mut checkpoint = Checkpoint::open_held(file, CACHE)?;
    checkpoint.check_pages()?;
    let verified = model.verify(&checkpoint)?;
    let reader = checkpoint.reader()?;
    if verified.digest != reader.meta().digest {
        return Err(CheckpointError::damaged("digest"));
    }
    drop(reader);
    assert!(model.check(&checkpoint)?, "accepted, and something is wrong");
    // What was accepted must also stand being written on: free pages that are not would be overwritten now.
    checkpoint.release()?;
    let mut model = model.clone();
    model.change(&checkpoint, 40)?;
    model.change(&checkpoint, 40)?;
    assert!(model.check(&checkpoint)?, "accepted, and broken by the next write");
    assert_eq!(model.verify(&checkpoint)?.digest, model.digest());
    Ok(())
}

fn flip(case: &Case, bits: impl Iterator<Item = usize>) -> Tally {
    let mut tally = Tally::default();
    for bit in bits {
        let mut bytes = case.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match case.open(bytes) {
            Ok(true) => tally.harmless += 1,
            Ok(false) => tally.previous.push(bit),
            Err(CheckpointError::Damaged { .. }) => tally.damaged += 1,
            Err(error) => panic!("bit {bit}: {error}"),
        }
    }
    tally
}

/// A small checkpoint that was closed, and one whose process died.
fn cases() -> [Case; 2] {
    let file = created();
    let (checkpoint, previous) = written(&file, 2, 60);
    let mut model = previous.clone();
    model.step(&checkpoint, 60);
    let unclean = file.bytes();
    checkpoint.close().unwrap();
    let case = |name, bytes| Case { name, bytes, model: model.clone(), previous: previous.clone() };
    [case("clean", file.bytes()), case("unclean", unclean)]
}

/// The bits of all pages that hold something.
fn used_bits(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let used =
        bytes.chunks(4096).enumerate().filter(|(_, page)| page.iter().any(|byte| *byte != 0));
    used.flat_map(|(index, page)| {
        let start = index * 4096 * 8;
        start..start + page.len() * 8
    })
}

#[test]
fn a_flipped_bit_is_noticed_or_harmless() {
    for case in cases() {
        // Everywhere a little, and much of the header, which redb believes most.
        campaign(&case, 997, 3);
    }
}

#[test]
#[ignore = "takes a minute; run with --release, too, where redb checks less"]
fn many_flipped_bits_are_noticed_or_harmless() {
    for case in cases() {
        campaign(&case, 97, 1);
    }
}

fn campaign(case: &Case, page_step: usize, header_step: usize) {
    assert!(case.open(case.bytes.clone()).unwrap());
    let pages = flip(case, used_bits(&case.bytes).step_by(page_step));
    let header = flip(case, (0..320 * 8).step_by(header_step));
    println!("{}: pages {pages:?}, header {header:?}", case.name);
    assert!(pages.damaged > 100 && header.damaged > 100);
    let previous: Vec<_> = pages.previous.iter().chain(&header.previous).collect();
    assert!(previous.iter().all(|bit| **bit == PRIMARY_BIT), "{previous:?}");
}

#[test]
fn a_cut_file_is_damaged() {
    for case in cases() {
        let len = case.bytes.len();
        for len in (0..len).step_by(4096 * 7 + 13).chain([1, 9, 320, 4095, 4096, 8192]) {
            let cut = case.open(case.bytes[..len].to_vec());
            assert!(matches!(cut, Err(CheckpointError::Damaged { .. })), "{len}: {cut:?}");
        }
    }
}

#[test]
fn garbage_is_damaged() {
    let [case, _] = cases();
    let mut noise = 1u64;
    let mut garbage = |len: usize| -> Vec<u8> {
        std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (noise >> 56) as u8
        })
        .take(len)
        .collect()
    };
    for len in [1, 100, 4096, 100_000, 2 << 20] {
        let all = garbage(len);
        // Garbage behind a believable beginning.
        let behind = |head: usize| [&case.bytes[..head], &all[..]].concat();
        for file in [all.clone(), vec![0; len], behind(16), behind(320), behind(4096)] {
            let opened = case.open(file);
            assert!(matches!(opened, Err(CheckpointError::Damaged { .. })), "{len}: {opened:?}");
        }
    }
}
