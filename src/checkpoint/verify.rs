//! Reading everything once: each row against its checksum, all rows against the digest, all records against the counts.

use super::{
    error::CheckpointError,
    guard::{Guarded, guard, guard_plain},
    reader::{Reader, RowTable, opened},
    tables::{WindowTable, keyspace_prefix, split_record_key},
};
use crate::{
    base::{Control, Era, Generation, KeyHash, KeyspaceId, LogTime, SeqNo, Stub, key_hash},
    format::rows::{self, RowTag, decode_row, decode_stub, decode_window_row},
    state::{
        control::Place,
        digest::{RowHasher, StateDigest},
    },
};
use redb::ReadableTable;
use std::collections::BTreeMap;

/// How many rows go by between two reports of progress.
const REPORT_ROWS: u64 = 4096;

/// What a checkpoint holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verified {
    /// The sum over all rows, to be compared with the meta row's if that has the same version.
    pub(crate) digest: StateDigest,
    /// How many records, of all keyspaces together.
    pub(crate) records: u64,
    /// How many outcomes that are remembered whole.
    pub(crate) window_rows: u64,
    /// How many of which stubs are left.
    pub(crate) stubs: u64,
    /// How many bytes of keys and rows.
    pub(crate) bytes: u64,
}

/// A key under which something is remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(crate) hash: &'a KeyHash,
    /// For an outcome that is remembered whole: its generation, its key, and how many bytes both have.
    pub(crate) whole: Option<(u32, &'a [u8], u64)>,
}

/// Reads every row. `on_progress` is called now and then with what was seen so far, `on_key` with each key of the window.
pub(crate) fn verify(
    reader: &Reader,
    hasher: &mut RowHasher,
    mut on_progress: impl FnMut(&Verified),
    mut on_key: impl FnMut(Key<'_>),
) -> Result<Verified, CheckpointError> {
    let mut seen = Verified::default();
    let mut counted = BTreeMap::<KeyspaceId, u64>::new();
    each(reader, "records", &reader.records, |key, stored| {
        let (keyspace, _) = split_record_key(key)
            .ok_or_else(|| CheckpointError::damaged("records: a key is too short"))?;
        *counted.entry(keyspace).or_default() += 1;
        seen.records += 1;
        let row =
            row(hasher, "records", RowTag::Record, key, stored, |body| decode_row(body).map(drop))?;
        note(&mut seen, row, key, stored, &mut on_progress);
        Ok(())
    })?;
    let meta = reader.meta();
    if !reader.control().is_in_order(meta.applied_seq, meta.applied_time) {
        let what = "control: generations do not follow each other";
        return Err(CheckpointError::damaged(what));
    }
    let mut window = Window { control: reader.control(), sums: BTreeMap::new() };
    for (table, rows) in &reader.window {
        each(reader, WINDOW, rows, |key, stored| {
            let found = window.row(hasher, *table, key, stored, &mut on_key)?;
            (seen.window_rows, seen.stubs) = (seen.window_rows + found.0, seen.stubs + found.1);
            seen.bytes += (key.len() + stored.len()) as u64;
            report(&seen, &mut on_progress);
            Ok(())
        })?;
    }
    seen.digest.add(window.compare()?);
    seen.digest.add(hasher.control(reader.control()));
    compare_counts(reader, counted)?;
    Ok(seen)
}

const WINDOW: &str = "window";

/// The remembered outcomes, held against what the control row says of them.
struct Window<'a> {
    control: &'a Control,
    /// What the rows come to, by place.
    sums: BTreeMap<(bool, u32), Sum>,
}

/// What the rows of a generation or an era come to.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sum {
    rows: u64,
    /// Their digests, as what they are by now.
    digest: u128,
    /// Of those that are whole.
    whole: Whole,
    first: Option<SeqNo>,
    first_time: LogTime,
    last: (SeqNo, LogTime),
}

/// What rows that are whole come to besides.
#[derive(Clone, Debug, Default, PartialEq)]
struct Whole {
    bytes: u64,
    /// The digests of the stubs they will become.
    stubs: u128,
}

impl Sum {
    fn add(&mut self, row: &Stub, digest: u128, whole: Whole) {
        self.rows += 1;
        self.digest = self.digest.wrapping_add(digest);
        self.whole.bytes += whole.bytes;
        self.whole.stubs = self.whole.stubs.wrapping_add(whole.stubs);
        if self.first.is_none_or(|first| row.seq < first) {
            (self.first, self.first_time) = (Some(row.seq), row.time);
        }
        self.last = self.last.max((row.seq, row.time));
    }

    /// What the control row says of a generation. When its first was decided is said, and not by which entry.
    fn of_generation(generation: &Generation) -> Self {
        let Generation { rows, bytes, full, stubs, first_time, last, last_time, .. } = *generation;
        let whole = Whole { bytes, stubs };
        Self { rows, digest: full, whole, first: None, first_time, last: (last, last_time) }
    }

    fn of_era(era: &Era) -> Self {
        let Era { rows, digest, first_time, last, last_time, .. } = *era;
        let whole = Whole::default();
        Self { rows, digest, whole, first: None, first_time, last: (last, last_time) }
    }
}

impl Window<'_> {
    /// One stored row. Gives how many outcomes it is, whole, and as a stub.
    fn row(
        &mut self,
        hasher: &mut RowHasher,
        table: WindowTable,
        key: &[u8],
        stored: &[u8],
        on_key: &mut impl FnMut(Key<'_>),
    ) -> Result<(u64, u64), CheckpointError> {
        let damaged = |what: &str| CheckpointError::damaged(format!("{WINDOW}: {what}"));
        let (hash, stub, place) = match table {
            WindowTable::Whole(number) => {
                let row = opened(WINDOW, RowTag::Window, key, stored, decode_window_row)?;
                (key_hash(key), row.stub(), self.control.place_of(number))
            }
            WindowTable::Stubs(number) => {
                let stub = opened(WINDOW, RowTag::Stub, key, stored, decode_stub)?;
                let hash =
                    KeyHash::try_from(key).map_err(|_| damaged("a hash of another length"))?;
                let there = self.control.eras.iter().any(|era| era.number == number);
                (hash, stub, if there { Place::Era(number) } else { Place::Forgotten })
            }
        };
        if self.control.place(stub.seq) != place {
            return Err(damaged("a row is out of its place"));
        }
        let (part, digest, bytes) = match place {
            Place::Generation(number) => {
                let bytes = (key.len() + stored.len() - size_of::<u32>()) as u64;
                on_key(Key { hash: &hash, whole: Some((number, key, bytes)) });
                let digest = hasher.body(RowTag::Window, key, &stored[size_of::<u32>()..]);
                ((true, number), digest, Some(bytes))
            }
            Place::Era(number) => {
                on_key(Key { hash: &hash, whole: None });
                ((false, number), hasher.stub(&hash, &stub), None)
            }
            Place::Forgotten => return Ok((0, 0)),
        };
        let whole = bytes.map(|bytes| Whole { bytes, stubs: hasher.stub(&hash, &stub) });
        let found = if whole.is_some() { (1, 0) } else { (0, 1) };
        self.sums.entry(part).or_default().add(&stub, digest, whole.unwrap_or_default());
        Ok(found)
    }

    /// Compares rows and sums, and gives the sum of them all.
    fn compare(mut self) -> Result<u128, CheckpointError> {
        let mut digest = 0u128;
        let whole =
            self.control.generations.iter().map(|g| ((true, g.number), Sum::of_generation(g)));
        let stubs = self.control.eras.iter().map(|era| ((false, era.number), Sum::of_era(era)));
        for (place, due) in whole.chain(stubs) {
            let found = Sum { first: None, ..self.sums.remove(&place).unwrap_or_default() };
            let which = format!("{} {}", if place.0 { "generation" } else { "era" }, place.1);
            if (found.rows, found.digest) != (due.rows, due.digest) {
                return Err(CheckpointError::damaged(format!(
                    "{WINDOW}: of {which} there are {} rows, and not the {} that were written",
                    found.rows, due.rows,
                )));
            }
            if found != due {
                let what =
                    format!("{WINDOW}: the lengths or times of {which} are not those of its rows");
                return Err(CheckpointError::damaged(what));
            }
            digest = digest.wrapping_add(due.digest);
        }
        Ok(digest)
    }
}

/// The digest of one row that passes its checksum and decodes.
fn row(
    hasher: &mut RowHasher,
    table: &'static str,
    tag: RowTag,
    key: &[u8],
    stored: &[u8],
    decode: impl FnOnce(&[u8]) -> Option<()>,
) -> Result<u128, CheckpointError> {
    opened(table, tag, key, stored, |body| {
        decode(body)?;
        Some(hasher.body(tag, key, body))
    })
}

fn note(
    seen: &mut Verified,
    row: u128,
    key: &[u8],
    stored: &[u8],
    on_progress: &mut impl FnMut(&Verified),
) {
    seen.digest.add(row);
    seen.bytes += (key.len() + stored.len()) as u64;
    report(seen, on_progress);
}

fn report(seen: &Verified, on_progress: &mut impl FnMut(&Verified)) {
    if (seen.records + seen.window_rows + seen.stubs).is_multiple_of(REPORT_ROWS) {
        on_progress(seen);
    }
}

/// Calls `visit` with each key and stored value of a table, and checks that the keys come in order.
fn each(
    reader: &Reader,
    table: &'static str,
    rows: &RowTable,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), CheckpointError>,
) -> Result<(), CheckpointError> {
    let backend = reader.backend();
    let mut range = Guarded::new(backend, guard(backend, table, || rows.iter())?);
    let mut previous: Option<Vec<u8>> = None;
    while let Some((key, stored)) = guard(backend, table, || range.next().transpose())? {
        let (key, stored) = guard_plain(backend, table, || (key.value(), stored.value()))?;
        let previous = previous.get_or_insert_with(Vec::new);
        if !previous.is_empty() && key <= &previous[..] {
            return Err(CheckpointError::damaged(format!("{table}: a row is out of its place")));
        }
        previous.clear();
        previous.extend_from_slice(key);
        visit(key, stored)?;
    }
    Ok(())
}

fn compare_counts(
    reader: &Reader,
    mut counted: BTreeMap<KeyspaceId, u64>,
) -> Result<(), CheckpointError> {
    let backend = reader.backend();
    let mut range = Guarded::new(backend, guard(backend, "counts", || reader.counts.iter())?);
    while let Some((keyspace, stored)) = guard(backend, "counts", || range.next().transpose())? {
        let (keyspace, stored) =
            guard_plain(backend, "counts", || (KeyspaceId::new(keyspace.value()), stored.value()))?;
        let body = rows::open(RowTag::Count, &keyspace_prefix(keyspace), stored)
            .ok_or_else(|| CheckpointError::damaged("counts: a row fails its checksum"))?;
        compare(keyspace, counted.remove(&keyspace).unwrap_or(0), body)?;
    }
    match counted.pop_first() {
        Some((keyspace, _)) => {
            Err(CheckpointError::damaged(format!("counts: no row for keyspace {keyspace}")))
        }
        None => Ok(()),
    }
}

fn compare(keyspace: KeyspaceId, counted: u64, body: &[u8]) -> Result<(), CheckpointError> {
    match body.try_into().map(u64::from_le_bytes) {
        Ok(stored) if stored == counted => Ok(()),
        Ok(stored) => Err(CheckpointError::damaged(format!(
            "records: keyspace {keyspace} has {counted} rows and should have {stored}"
        ))),
        Err(_) => Err(CheckpointError::damaged("counts: a row cannot be decoded")),
    }
}
