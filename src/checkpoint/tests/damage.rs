//! Flipped bits, cut files and garbage: either noticed, or without consequence.

use super::{
    memory_file::MemoryFile,
    model::{CACHE, Model, created, written},
};
use crate::{
    base::{Control, LogTime, SeqNo, Step},
    checkpoint::{Checkpoint, CheckpointError},
    state::digest::StateDigest,
};

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

/// An era, a closed generation and the open one, each with rows.
fn with_steps(forge: impl FnOnce(&mut Control)) -> Result<(), CheckpointError> {
    let file = created();
    let (checkpoint, mut model) = written(&file, 1, 20);
    for _ in 0..2 {
        model.control.step(&Step::Close, &mut StateDigest::default()).unwrap();
        model.step(&checkpoint, 20);
    }
    model.control.step(&Step::Demote { era: 0 }, &mut StateDigest::default()).unwrap();
    let step = model.plan(1);
    forge(&mut model.control);
    model.write(&checkpoint, &step)?;
    checkpoint.close()?;
    let checkpoint = Checkpoint::open_held(file, CACHE)?;
    model.verify(&checkpoint).map(drop)
}

type Forgery<'a> = (&'a str, &'a dyn Fn(&mut Control));

/// With right checksums: nobody but a forger does that.
#[test]
fn a_control_row_that_says_otherwise_than_its_rows_is_damage() {
    with_steps(|_| ()).unwrap();
    let later = |time: &mut LogTime| *time = time.plus(1);
    let earlier = |time: &mut LogTime| *time = LogTime::new(time.get() - 1);
    let next = |seq: &mut SeqNo| *seq = SeqNo::new(seq.get() + 1);
    let forgeries: [Forgery<'_>; 15] = [
        ("bytes of a closed generation", &|c| c.generations[0].bytes += 1),
        ("bytes of the open one", &|c| c.generations[1].bytes = 0),
        ("stubs of a closed generation", &|c| c.generations[0].stubs ^= 1),
        ("stubs of the open one", &|c| c.generations[1].stubs ^= 1),
        ("the first time of a generation", &|c| earlier(&mut c.generations[0].first_time)),
        ("a later first time", &|c| later(&mut c.generations[0].first_time)),
        ("the last time of a generation", &|c| earlier(&mut c.generations[0].last_time)),
        ("the last time of the open one", &|c| later(&mut c.generations[1].last_time)),
        ("the last entry of the open one", &|c| next(&mut c.generations[1].last)),
        ("the first time of an era", &|c| later(&mut c.eras[0].first_time)),
        ("the last time of an era", &|c| earlier(&mut c.eras[0].last_time)),
        ("what is forgotten", &|c| c.forgotten_time = LogTime::new(9)),
        ("more than there is", &|c| c.forgotten = SeqNo::new(1_000)),
        ("the number of an era", &|c| c.eras[0].last_generation = 7),
        ("the number of a generation", &|c| c.generations[1].number = 9),
    ];
    for (what, forge) in forgeries {
        let found = with_steps(forge);
        assert!(matches!(found, Err(CheckpointError::Damaged { .. })), "{what}: {found:?}");
    }
}
