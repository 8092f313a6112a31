//! The log, recovered without a checkpoint around it: for tests that want thousands of recoveries a second. What stands in for
//! the checkpoint is a position that the caller vouches for.

use super::{
    OpenError,
    apply::{begin_segment, clear},
    directory,
    plan::{last_groups, list_ours, lowest_needed},
    settle,
};
use crate::{
    base::{Epoch, SeqNo, limits::UNSYNCED_ENTRIES},
    disk::{Disk, Entropy, Listed},
    format::names,
    log::{
        Position,
        scan::{self, Group, Known, Scanned},
        segments,
        writer::{Source, Writer},
    },
};
use std::{
    io::{self, ErrorKind::StorageFull},
    sync::Arc,
};

/// Length of every segment but the first.
pub(crate) const SEGMENT_BYTES: u64 = 32 << 10;

/// What a checkpoint would say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled {
    pub g: u64,
    pub chain: [u8; 32],
    /// The first segment that is still needed.
    pub trim: u64,
}

/// A log that can be written.
#[derive(Debug)]
pub(crate) struct LogAlone {
    pub scanned: Scanned,
    pub writer: Writer,
    pub next_seq: SeqNo,
    pub source: Source,
    pub clean: bool,
}

/// Makes an empty log.
pub(crate) fn create(
    disk: &Arc<dyn Disk>,
    entropy: &Arc<dyn Entropy>,
    uuid: u128,
) -> Result<(), OpenError> {
    let io = || OpenError::io("creating the log");
    disk.create_dir(names::SEGMENTS).map_err(io())?;
    disk.sync_dir("").map_err(io())?;
    let nonce = entropy.random().map_err(io())?;
    let genesis = segments::prepare(&**disk, uuid, 1, directory::GENESIS_BYTES, nonce);
    segments::adopt(&**disk, &genesis.map_err(io())?).map_err(io())
}

/// Opens a log as a database does, with `settled` in place of its checkpoint.
pub(crate) fn open(
    disk: &Arc<dyn Disk>,
    entropy: &Arc<dyn Entropy>,
    uuid: u128,
    settled: &Settled,
    consume: &mut dyn FnMut(Group<'_>) -> Result<(), OpenError>,
) -> Result<LogAlone, OpenError> {
    let io = |what: &str| OpenError::io(what.to_owned());
    settle::settle(&**disk).map_err(io("syncing what the last process left"))?;
    let listed: Vec<Listed> = disk.list("").map_err(io("listing the directory"))?;
    let clean = directory::read_clean(&**disk, uuid, &listed)?;
    let listing = list_ours(&**disk)?;
    let lowest = lowest_needed(&listing.named, settled.trim);
    let segments = segments::open(&**disk, uuid, lowest, &listing.named)?;
    let known = Known { checkpoint_g: settled.g, checkpoint_chain: settled.chain, clean };
    let scanned = scan::scan(&segments, &known, consume)?;

    let ends_clean =
        clean.is_some_and(|clean| clean.g == scanned.accepted.g) && scanned.torn.bytes == 0;
    clear(&**disk, &listing, segments.keys().next().copied().unwrap_or(1))
        .map_err(io("removing what is no longer needed"))?;
    let gap = if ends_clean { 1 } else { UNSYNCED_ENTRIES };
    let next_seq = SeqNo::new(scanned.last_seq.get().saturating_add(gap));
    let mut writer = Writer::new(
        disk.clone(),
        Epoch::new(scanned.epoch.get().saturating_add(1)),
        scanned.accepted,
        !ends_clean,
        clean.is_some(),
        last_groups(&scanned, &segments),
        0,
    );
    let source = Source { disk: disk.clone(), entropy: entropy.clone(), uuid };
    if !ends_clean {
        // There is nobody here that would begin it later.
        let begun = begin_segment(&source, &mut writer, SEGMENT_BYTES, next_seq);
        begun
            .and_then(|begun| if begun { Ok(()) } else { Err(StorageFull.into()) })
            .map_err(io("beginning a segment"))?;
    }
    Ok(LogAlone { scanned, writer, next_seq, source, clean: ends_clean })
}

impl LogAlone {
    /// What a checkpoint at the end of the log would say, and the segments that nobody needs after it: as in the engine, those
    /// up to the checkpoint `before` it.
    pub(crate) fn settled(&self, before: &Settled) -> Option<(Settled, Vec<u64>)> {
        let Position { g, chain, .. } = self.writer.position();
        let (numbers, trim) = self.writer.trimmable(before.g)?;
        Some((Settled { g, chain, trim }, numbers))
    }

    /// Removes segments, as the engine does once a checkpoint is durable.
    pub(crate) fn trim(&mut self, numbers: &[u64]) -> io::Result<()> {
        for &number in numbers {
            self.source.disk.remove(&names::segment(number))?;
        }
        self.source.disk.sync_dir(names::SEGMENTS)?;
        self.writer.forget(numbers);
        Ok(())
    }
}
