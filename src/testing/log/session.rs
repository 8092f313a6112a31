//! What is done to a log until it is cut off.

use super::{super::luck::Luck, LogCase, check::Problem};
use crate::{
    base::SeqNo,
    disk::{Disk, Entropy, SimDisk, SimEntropy},
    format::group::{HEADER, Kind, padded_len},
    log::{scan::Group, writer::Sealing},
    recovery::log_alone::{self, LogAlone, SEGMENT_BYTES, Settled},
};
use std::{collections::BTreeMap, sync::Arc};

const UUID: u128 = 7;
const OPERATIONS: usize = 20;

/// What was done to a log until it was cut off.
pub(super) struct Played {
    pub disk: SimDisk,
    /// Changing calls, once the log had been made.
    pub calls: u64,
    /// Groups that were handed to the writer: the first entry and the length of each.
    pub attempted: BTreeMap<u64, (SeqNo, usize)>,
    pub acknowledged: u64,
    pub settled: Settled,
}

pub(super) struct Session {
    pub played: Played,
    pub log: LogAlone,
    pub openings: u64,
}

impl Session {
    fn random_operation(&mut self, luck: &Luck) -> Result<(), Problem> {
        match luck.below(20) {
            0..=13 => self.append(1 + luck.below(600) as usize),
            14 => self.append(3_000 + luck.below(12_000) as usize),
            15 => self.close_and_reopen(),
            16 | 17 => self.reopen(),
            _ => self.trim(),
        }
    }

    pub(super) fn append(&mut self, len: usize) -> Result<(), Problem> {
        let writer = &mut self.log.writer;
        let next = if writer.room() < padded_len(len) {
            let next = self.log.source.prepare(writer.next_segment(), SEGMENT_BYTES, 0);
            Some(next.map_err(|error| Problem::Violation(error.to_string()))?)
        } else {
            None
        };
        let seq = self.log.next_seq;
        let mut group = vec![0; HEADER];
        group.extend(body(seq, len));
        let sealing = Sealing { first_seq: seq, last_seq: seq, entries: 1, digest: 0 };
        let appended = writer.append(&mut group, sealing, next);
        if appended.as_ref().err().is_none_or(|failed| failed.written) {
            self.played.attempted.insert(writer.position().g, (seq, len));
        }
        let position = appended.map_err(|failed| Problem::Violation(failed.error.to_string()))?;
        self.played.acknowledged = position.g;
        self.log.next_seq = SeqNo::new(seq.get() + 1);
        Ok(())
    }

    fn close_and_reopen(&mut self) -> Result<(), Problem> {
        let marked = self.log.writer.mark_clean(UUID);
        marked.map_err(|error| Problem::Violation(error.to_string()))?;
        self.reopen()?;
        if self.log.clean {
            Ok(())
        } else {
            Err(Problem::Violation("unclean after a clean end".into()))
        }
    }

    fn reopen(&mut self) -> Result<(), Problem> {
        self.openings += 1;
        self.log = open(&self.played, &self.played.disk, self.openings)?;
        Ok(())
    }

    fn trim(&mut self) -> Result<(), Problem> {
        let before = self.played.settled;
        let Some((settled, numbers)) = self.log.settled(&before) else { return Ok(()) };
        self.played.settled = settled;
        if numbers.is_empty() {
            return Ok(());
        }
        self.log.trim(&numbers).map_err(|error| Problem::Violation(error.to_string()))
    }
}

/// Does what the seed says until the power is cut.
pub(super) fn play(case: &LogCase) -> Result<Played, Problem> {
    let luck = Luck::new(case.seed);
    let disk = SimDisk::new();
    log_alone::create(&shared(&disk), &entropy(0), UUID).map_err(Problem::Refusal)?;
    let made = disk.io_count();
    disk.crash_at(case.crash_at.saturating_add(made));
    if let Some(lie) = case.lie {
        disk.lie(lie);
    }
    let settled = Settled { g: 0, chain: [0; 32], trim: 1 };
    let mut played =
        Played { disk, calls: 0, attempted: BTreeMap::new(), acknowledged: 0, settled };
    let log = match open(&played, &played.disk, 1) {
        Err(Problem::Refusal(_)) if played.disk.powered_off() => return Ok(played),
        opened => opened?,
    };
    let mut session = Session { played, log, openings: 1 };
    for _ in 0..OPERATIONS {
        match session.random_operation(&luck) {
            Err(_) if session.played.disk.powered_off() => break,
            done => done?,
        }
    }
    played = session.played;
    played.calls = played.disk.io_count() - made;
    Ok(played)
}

/// Opens the log on a disk, and compares what it holds with what was written.
pub(super) fn open(played: &Played, disk: &SimDisk, opening: u64) -> Result<LogAlone, Problem> {
    let mut last = None;
    let mut wrong = None;
    let consume = &mut |group: Group<'_>| {
        let g = group.header.g;
        if last.is_some_and(|last| g != last + 1) {
            wrong = Some(format!("group {g} follows {last:?}"));
        }
        last = Some(g);
        let attempted = played.attempted.get(&g);
        let as_written = attempted.is_some_and(|&(seq, len)| {
            group.header.first_seq == seq && group.body == body(seq, len)
        });
        if group.header.kind == Kind::Entries && !as_written {
            wrong = Some(format!("group {g} is not the one that was written"));
        }
        Ok(())
    };
    let opened = log_alone::open(&shared(disk), &entropy(opening), UUID, &played.settled, consume);
    let log = opened.map_err(Problem::Refusal)?;
    if let Some(wrong) = wrong {
        return Err(Problem::Violation(wrong));
    }
    if let Some(last) = last.filter(|last| *last != log.scanned.accepted.g) {
        let accepted = log.scanned.accepted.g;
        return Err(Problem::Violation(format!(
            "{last} was the last group, and {accepted} accepted"
        )));
    }
    let held = last.unwrap_or(played.settled.g);
    if held < played.acknowledged {
        let acknowledged = played.acknowledged;
        return Err(Problem::Loss(format!(
            "the log ends at {held}, {acknowledged} was acknowledged"
        )));
    }
    Ok(log)
}

fn shared(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

/// In every opening other random numbers come up.
fn entropy(opening: u64) -> Arc<dyn Entropy> {
    Arc::new(SimEntropy::new(opening))
}

/// Bytes without zeros that differ from group to group.
fn body(seq: SeqNo, len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| (seq.get().wrapping_mul(31) + i) as u8 | 1).collect()
}
