//! The tables of remembered outcomes: writing what is new, and bringing what was demoted or forgotten up to date, a bounded
//! piece with each transaction.

use super::{
    error::CheckpointError,
    guard::{Guarded, guard, guard_plain},
    reader::opened,
    tables::{WindowTable, window_table},
    write::{RowTable, Writer},
};
use crate::{
    base::{Control, KeyHash, Stub, WindowRow, canary::canary, key_hash},
    format::rows::{RowTag, decode_window_row, encode_stub, encode_window_row},
    state::control::Place,
};
use redb::{ReadableTable, WriteTransaction};
use std::collections::{BTreeMap, btree_map::Entry};

const DOING: &str = "writing the window";

/// Rows that are taken out of a table at once.
const AT_ONCE: usize = 4096;

/// Stubs on their way, by the table they go to.
type Stubs = BTreeMap<u32, Vec<(KeyHash, Stub)>>;

/// Writes rows to where they belong by now.
pub(super) fn write<'a>(
    writer: &mut Writer<'_>,
    txn: &WriteTransaction,
    control: &Control,
    rows: impl Iterator<Item = (&'a [u8], &'a WindowRow)>,
) -> Result<(), CheckpointError> {
    let mut tables: BTreeMap<u32, RowTable<'_>> = BTreeMap::new();
    let mut stubs = Stubs::new();
    for (key, row) in rows {
        canary!(WindowNotInCheckpoint => continue);
        match control.place(row.seq) {
            Place::Generation(number) => {
                let table = match tables.entry(number) {
                    Entry::Occupied(table) => table.into_mut(),
                    Entry::Vacant(place) => {
                        place.insert(open(writer, txn, WindowTable::Whole(number))?)
                    }
                };
                writer.put(DOING, RowTag::Window, table, key, |out| encode_window_row(row, out))?;
            }
            Place::Era(era) => stubs.entry(era).or_default().push((key_hash(key), row.stub())),
            Place::Forgotten => {}
        }
    }
    for table in tables.into_values() {
        writer.close(DOING, table)?;
    }
    put_stubs(writer, txn, stubs)
}

/// Rewrites or drops at most `most` rows of tables that are no longer what they were.
pub(super) fn keep_up(
    writer: &mut Writer<'_>,
    txn: &WriteTransaction,
    control: &Control,
    most: usize,
) -> Result<(), CheckpointError> {
    let handles = guard(writer.backend, DOING, || txn.list_tables())?;
    let tables = guard_plain(writer.backend, DOING, || WindowTable::among(handles))?;
    let mut left = most;
    for table in tables {
        let era = match table {
            WindowTable::Whole(number) => match control.place_of(number) {
                Place::Generation(_) => continue,
                Place::Era(era) => Some(era),
                Place::Forgotten => None,
            },
            WindowTable::Stubs(number) if control.eras.iter().any(|era| era.number == number) => {
                continue;
            }
            WindowTable::Stubs(_) => None,
        };
        // Some at a time: a row may hold a long result, and there may be many.
        let mut more = true;
        while left > 0 && more {
            let at_once = left.min(AT_ONCE);
            let taken = take(writer, txn, table, at_once, era.is_some())?;
            more = taken.count == at_once;
            left -= taken.count;
            if let Some(era) = era {
                put_stubs(writer, txn, Stubs::from([(era, taken.stubs)]))?;
            }
        }
    }
    Ok(())
}

/// What was taken out of a table.
struct Taken {
    count: usize,
    /// What is left of it, where that was asked for.
    stubs: Vec<(KeyHash, Stub)>,
}

/// Takes up to `most` rows out of a table; the table goes with the last of them.
fn take(
    writer: &Writer<'_>,
    txn: &WriteTransaction,
    table: WindowTable,
    most: usize,
    wanted: bool,
) -> Result<Taken, CheckpointError> {
    let mut rows = open(writer, txn, table)?;
    let mut taken = Taken { count: 0, stubs: Vec::new() };
    let mut last = Vec::new();
    {
        let mut range = Guarded::new(writer.backend, guard(writer.backend, DOING, || rows.iter())?);
        while taken.count < most {
            let Some((key, stored)) = guard(writer.backend, DOING, || range.next().transpose())?
            else {
                break;
            };
            let (key, stored) =
                guard_plain(writer.backend, DOING, || (key.value(), stored.value()))?;
            if wanted {
                let row = opened("window", RowTag::Window, key, stored, decode_window_row)?;
                taken.stubs.push((key_hash(key), row.stub()));
            }
            taken.count += 1;
            last.clear();
            last.extend_from_slice(key);
        }
    }
    let all = taken.count < most;
    if !all {
        guard(writer.backend, DOING, || rows.retain_in(..=&last[..], |_, _| false))?;
    }
    writer.close(DOING, rows)?;
    if all {
        let name = table.name();
        guard(writer.backend, DOING, || txn.delete_table(window_table(&name)))?;
    }
    Ok(taken)
}

/// Writes stubs, in the order of their table.
fn put_stubs(
    writer: &mut Writer<'_>,
    txn: &WriteTransaction,
    stubs: Stubs,
) -> Result<(), CheckpointError> {
    for (era, mut stubs) in stubs {
        stubs.sort_unstable_by_key(|(key, _)| *key);
        let mut table = open(writer, txn, WindowTable::Stubs(era))?;
        for (key, stub) in &stubs {
            writer.put(DOING, RowTag::Stub, &mut table, key, |out| encode_stub(stub, out))?;
        }
        writer.close(DOING, table)?;
    }
    Ok(())
}

fn open<'txn>(
    writer: &Writer<'_>,
    txn: &'txn WriteTransaction,
    table: WindowTable,
) -> Result<RowTable<'txn>, CheckpointError> {
    let name = table.name();
    let table = guard(writer.backend, DOING, || txn.open_table(window_table(&name)))?;
    Ok(Guarded::new(writer.backend, table))
}
