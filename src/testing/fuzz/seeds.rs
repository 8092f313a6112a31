//! Where the corpora begin: inputs made from databases that the engine wrote.

use super::{
    input::noise,
    scan::Log,
    subject::{Left, Subject},
};
use crate::{
    base::{KeyspaceId, Remembered},
    checkpoint::{Checkpoint, Reader},
    codec::encode_shape,
    disk::Disk,
    format::{bytes, group::Kind, names, rows},
    testing::model::NUMBERS,
};
use std::{ops::Bound, sync::Arc};

/// Groups, entries and rows of each kind that are taken.
const EACH: usize = 6;

/// An input that a corpus begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The name of the target, see [`TARGETS`](super::TARGETS).
    pub target: &'static str,
    /// The name of the file in the corpus.
    pub name: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The seeds of every target, the same every time: of the order of a hundred bytes each.
///
/// # Panics
/// When the engine fails without a fault.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let mut seeds = Seeds::default();
    frame(&mut seeds, Left::Closed.subject());
    segment_scan(&mut seeds);
    open_dir(&mut seeds);
    crash_recovery(&mut seeds);
    for n in 0..16 {
        seeds.add("model", "noise", noise(n, 40 * (n as usize + 1)));
    }
    faults(&mut seeds);
    rot(&mut seeds);
    seeds.0
}

#[derive(Default)]
struct Seeds(Vec<Seed>);

impl Seeds {
    fn add(&mut self, target: &'static str, what: &str, bytes: Vec<u8>) {
        let like = format!("{what}-");
        let before = self.0.iter().filter(|s| s.target == target && s.name.starts_with(&like));
        let name = format!("{what}-{:02}", before.count());
        self.0.push(Seed { target, name, bytes });
    }
}

/// What stands in a real directory, piece by piece, and noise for the values.
fn frame(seeds: &mut Seeds, subject: &Subject) {
    let mut add = |what: &str, bytes: &[u8]| seeds.add("frame", what, [&[0], bytes].concat());
    let file = |name: &str| subject.disk.read_file(name).expect("the engine wrote it");
    add("identity", &file(names::IDENTITY));
    add("clean", &file(names::CLEAN));
    let log = Log::of(Left::Closed);
    let of_kind = |kind| log.groups.iter().filter(move |group| group.header.kind == kind);
    for group in of_kind(Kind::Link).take(2).chain(of_kind(Kind::Entries).take(EACH)) {
        let place = group.offset() as usize..(group.offset() + 128) as usize;
        let header = &file(&names::segment(group.position.segment))[place];
        if group.body.len() < 2_000 {
            add("group", &[header, &group.body].concat());
            add("body", &group.body);
        }
    }
    let newest = names::segment(log.numbers[log.numbers.len() - 1]);
    add("segment", &file(&newest)[..68]);
    for name in subject.files().iter().filter_map(|(name, _)| name.strip_prefix("segments/")) {
        add("name", name.as_bytes());
    }
    for body in checkpoint_rows(subject) {
        add("row", &body);
    }
    add("shape", &encode_shape(&NUMBERS.shape()));
    for mode in 1..4 {
        for n in 0..EACH as u64 {
            seeds.add("frame", "noise", [&[mode], &noise(n, 250)[..]].concat());
        }
    }
}

/// The bodies of some rows of the checkpoint, as they are stored.
fn checkpoint_rows(subject: &Subject) -> Vec<Vec<u8>> {
    let (_open, reader) = checkpoint(subject);
    let mut bodies = Vec::new();
    let mut body = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        encode(&mut out);
        bodies.push(out);
    };
    body(&|out| rows::encode_meta(reader.meta(), out));
    for keyspace in 0..2 {
        let (id, all) = (KeyspaceId::new(keyspace), Bound::Unbounded);
        let records = reader.records(id, all, all, EACH, false).expect("it is whole");
        for (_, row) in records {
            body(&|out| rows::encode_row(&row, out));
            body(&|out| bytes::put_bytes(out, &row.value));
        }
    }
    for order in subject.model.remembered().take(2 * EACH) {
        let key = order.idempotency_key().expect("it is remembered under one");
        let found = reader.window(key.as_bytes(), key.hash()).expect("it is whole");
        if let Some(Remembered::Row(row)) = found {
            body(&|out| rows::encode_window_row(&row, out));
        }
        body(&|out| bytes::put_bytes(out, key.as_bytes()));
    }
    bodies
}

/// The checkpoint, which must stay open for as long as it is read.
fn checkpoint(subject: &Subject) -> (Checkpoint, Arc<Reader>) {
    let file = subject.disk.snapshot().open(names::CHECKPOINT).expect("the engine wrote it");
    let checkpoint = Checkpoint::open_held(file, 1 << 20).expect("nothing damaged it");
    let reader = checkpoint.reader().expect("nothing damaged it");
    (checkpoint, reader)
}

/// Segments that verify; then each kind of damage to each log.
fn segment_scan(seeds: &mut Seeds) {
    for n in 0..12 {
        let zeros = if n % 2 == 0 { 0x0F } else { 0xFF };
        let stream = noise(n, 120 + 40 * n as usize).iter().map(|byte| byte & zeros).collect();
        seeds.add("segment_scan", "arbitrary", [vec![0], stream].concat());
    }
    for left in 0..3 {
        for kind in 0..16 {
            let known = [left, kind * 3, kind % 2, kind];
            let damage = [0, kind, kind % 4, kind, 1, 40 + kind, 0, 5, 6, 7];
            seeds.add("segment_scan", "damage", [&[1], &known[..], &damage].concat());
        }
    }
}

/// Each kind of change to each database.
fn open_dir(seeds: &mut Seeds) {
    for left in 0..8 {
        for kind in 0..12 {
            let change = [kind, kind + left, kind];
            let more = noise(u64::from(kind * 8 + left), 60);
            seeds.add("open_dir", "change", [&[left], &change[..], &more].concat());
        }
    }
}

/// Each start, each way to end, and cuts all over some steps of each kind.
fn crash_recovery(seeds: &mut Seeds) {
    for start in 0..4 {
        for end in 0..7 {
            let (seed, crash_at) = (end % 4, 7 + 9 * end);
            let how = if end == 6 { vec![0] } else { vec![99, end, 3 * end, 1, 2, 3, 4, 5, 6, 7] };
            let again = [end & 1, 2 + end, end];
            let steps = [start + end, 2 * end, 10, 11, 8, 13];
            let bytes = [&[start, seed, crash_at], &how[..], &again, &steps].concat();
            seeds.add("crash_recovery", "cut", bytes);
        }
    }
}

/// Each kind of failure, at some calls of each database.
fn faults(seeds: &mut Seeds) {
    for left in 0..4 {
        for effect in 0..4 {
            for (which, call) in [(0, 9 * effect + left), (200, 20 * effect + left)] {
                let plan = [left, 0, which, call, effect, 100, 0, effect & 1, left];
                let script = [5, 6, 0, 7, 2, 8, 9, 3, 10, 11, 4, 12];
                seeds.add("faults", "fault", [&plan[..], &script].concat());
            }
        }
    }
}

/// Each kind of damage to each file.
fn rot(seeds: &mut Seeds) {
    for left in 0..2 {
        for kind in [0, 6, 9, 11, 14, 15] {
            for file in 0..8 {
                let place = [kind + file, file & 1, 30 + kind, 0, file, 1];
                seeds.add("rot", "damage", [&[left, kind, file], &place[..]].concat());
            }
        }
    }
}
