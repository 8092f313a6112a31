//! What all handles of one open database share.

use super::{
    builder::Options,
    error::Error,
    live::Live,
    sequencer::{FrozenPoint, Parked, Pending, Poison, Sequencer},
};
use crate::{
    base::{SeqNo, limits::UNSYNCED_ENTRIES},
    checkpoint::{Checkpoint, CheckpointError, Reader},
    disk::Lock,
    log::writer::{Source, Writer, room_in},
    recovery::{Machine, Recovered, RecoveryReport},
    state::{memtable::Memtable, registry::Registry},
};
use parking_lot::{Condvar, Mutex, RwLock};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// Locks are taken in the order of these fields.
pub(super) struct Core {
    pub options: Options,
    pub machine: Machine,
    pub source: Source,
    pub recovery: RecoveryReport,
    /// One checkpoint at a time.
    pub checkpoint: Mutex<Option<Checkpoint>>,
    /// Held by whoever prepares a segment.
    pub preparing: Mutex<()>,
    /// For whoever has the lead.
    pub writer: Mutex<Writer>,
    pub sequencer: Mutex<Sequencer>,
    /// Signalled when there is room again: a group was taken, a memtable written out.
    pub room: Condvar,
    pub view: RwLock<Arc<View>>,
    pub live: Mutex<Live>,
    pub registry: Arc<RwLock<Registry>>,
    /// The last durable entry; changed under the sequencer's lock, read without.
    pub durable: AtomicU64,
    /// The group of the checkpoint before the last: nothing before it is needed.
    pub checkpointed_g: AtomicU64,
    pub wakes: super::background::Wakes,
    pub stopped: AtomicBool,
    pub lock: Mutex<Option<Box<dyn Lock>>>,
}

/// Where readers look: what changed since the checkpoint, and the checkpoint.
#[derive(Debug)]
pub(super) struct View {
    pub active: Arc<Memtable>,
    pub frozen: Option<Arc<Memtable>>,
    pub base: Arc<Reader>,
}

impl Core {
    pub(super) fn new(options: Options, machine: Machine, recovered: Recovered) -> Self {
        let Recovered { lock, uuid, fold, next_seq, checkpoint, reader, writer, report, .. } =
            recovered;
        let source = Source { disk: machine.disk.clone(), entropy: machine.entropy.clone(), uuid };
        let durable = fold.applied;
        let registry = fold.registry.clone();
        let (room, next_segment) = (writer.room(), writer.next_segment());
        let applied_g = reader.meta().applied_g;
        let sequencer = Sequencer {
            fold,
            base: reader,
            next_seq,
            durable,
            pending: Pending::new(Vec::new()),
            in_flight: None,
            buffer: Vec::new(),
            led: false,
            poison: None,
            closed: false,
            freeze_wanted: false,
            frozen: None,
            room,
            low_room: room / 2,
            spare: None,
            next_segment: (next_segment, FIRST_SEGMENT_BYTES.min(options.segment_bytes)),
            log_bytes: report.bytes_scanned,
        };
        Self {
            options,
            machine,
            source,
            recovery: report,
            checkpoint: Mutex::new(Some(checkpoint)),
            preparing: Mutex::new(()),
            writer: Mutex::new(writer),
            view: RwLock::new(sequencer.view()),
            sequencer: Mutex::new(sequencer),
            room: Condvar::new(),
            live: Mutex::default(),
            registry,
            durable: AtomicU64::new(durable.get()),
            checkpointed_g: AtomicU64::new(applied_g),
            wakes: super::background::Wakes::default(),
            stopped: AtomicBool::new(false),
            lock: Mutex::new(Some(lock)),
        }
    }

    pub(super) fn durable(&self) -> SeqNo {
        SeqNo::new(self.durable.load(Ordering::Acquire))
    }

    /// What went wrong in the checkpoint, as a reader is told.
    pub(super) fn checkpoint_error(&self, error: CheckpointError) -> Error {
        let what = "reading the checkpoint".to_owned();
        match error {
            _ if self.stopped.load(Ordering::Acquire) => Error::Closed,
            CheckpointError::Io(source) => Error::Io { what, source },
            CheckpointError::Damaged { what } => Error::Corruption {
                file: crate::format::names::CHECKPOINT.into(),
                offset: 0,
                seq: None,
                evidence: what,
            },
        }
    }

    /// Prepares the next segment, unless there is one with that much room; false when nothing was to be done. Blocks
    /// while it writes and syncs zeros.
    pub(super) fn ensure_spare(&self, room: u64) -> Result<bool, Error> {
        let _preparing = self.preparing.lock();
        let (number, bytes) = {
            let mut sequencer = self.sequencer.lock();
            let enough = sequencer.spare.as_ref().is_some_and(|spare| room_in(spare) >= room);
            // A group that is being filled may count on the one there is.
            let needed = sequencer.spare.is_some() && sequencer.pending.entries > 0;
            if enough || needed || sequencer.closed || sequencer.poison.is_some() {
                return Ok(false);
            }
            if let Some(small) = sequencer.spare.take() {
                sequencer.next_segment.0 = small.number();
            }
            sequencer.next_segment
        };
        let segment = self.source.prepare(number, bytes, room).map_err(spare_error)?;
        let mut sequencer = self.sequencer.lock();
        // A database that is written much gets longer segments, up to the limit.
        let longer = bytes.saturating_mul(4).min(self.options.segment_bytes);
        sequencer.next_segment = (number + 1, longer);
        sequencer.spare = Some(segment);
        Ok(true)
    }

    /// The last error of a write or sync, as those are told that come after it.
    pub(super) fn poisoned(poison: &Poison) -> Error {
        Error::Poisoned { reason: poison.reason.clone() }
    }

    /// Makes the engine refuse writes from now on. Those up to `failed` that are not durable may be on the disk; those
    /// behind them are given back, to be told that they are not.
    pub(super) fn poison(
        &self,
        sequencer: &mut Sequencer,
        reason: String,
        failed: SeqNo,
    ) -> Vec<Parked> {
        let poison = sequencer.poison.get_or_insert(Poison { reason: reason.into(), failed });
        poison.failed = poison.failed.max(failed);
        self.room.notify_all();
        sequencer.drop_pending()
    }

    /// Gives answers to those who wait for them.
    pub(super) fn answer(parked: Vec<Parked>) {
        for Parked { slot, reply, .. } in parked {
            slot.fill(reply);
        }
    }

    /// The memtable to write out, once it is durable.
    pub(super) fn frozen(&self) -> Option<FrozenPoint> {
        let sequencer = self.sequencer.lock();
        let healthy = sequencer.poison.is_none();
        sequencer.frozen.clone().filter(|point| healthy && point.position.is_some())
    }
}

/// The first segment of a new database is small.
const FIRST_SEGMENT_BYTES: u64 = 1 << 20;

fn spare_error(source: std::io::Error) -> Error {
    let what = "preparing a segment of the log".to_owned();
    match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Error::NoSpace { what }
        }
        _ => Error::Io { what, source },
    }
}

const _: () = assert!(UNSYNCED_ENTRIES > 2 * (crate::base::limits::GROUP_BYTES as u64) / 36);
