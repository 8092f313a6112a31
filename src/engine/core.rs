//! What all handles of one open database share.

use super::{
    builder::Options,
    error::Error,
    live::Live,
    owner::Owner,
    procedure::Procedures,
    registry::Registry as Declared,
    rule_set::Registration,
    rules::Tallies,
    sequencer::{FrozenPoint, Parked, Poison, Sequencer},
    time::Timekeeper,
    window::Refill,
};
use crate::{
    admission::rules::RuleBook,
    base::{
        SeqNo,
        canary::canary,
        sync::{
            Condvar, Mutex, RwLock,
            atomic::{AtomicBool, AtomicU64, Ordering},
        },
    },
    checkpoint::{Checkpoint, CheckpointError, Reader},
    disk::Lock,
    log::writer::{Source, Writer},
    recovery::{Machine, Recovered, RecoveryReport},
    state::{filter::Filters, memtable::Memtable, registry::Registry},
};
use std::sync::{Arc, OnceLock};

/// Locks are taken in the order of these fields.
pub(super) struct Core {
    pub owner: Owner,
    pub options: Options,
    pub procedures: Procedures,
    pub rules: RuleBook,
    pub machine: Machine,
    pub source: Source,
    pub recovery: RecoveryReport,
    /// One checkpoint at a time.
    pub checkpoint: Mutex<Option<Checkpoint>>,
    /// While the filter of remembered keys is made anew.
    pub refill: Mutex<Option<Refill>>,
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
    /// The keys the checkpoint may remember.
    pub settled: Arc<RwLock<Filters>>,
    /// The last durable entry; changed under the sequencer's lock, read without.
    pub durable: AtomicU64,
    /// What was decided up to this entry is forgotten; changed under the sequencer's lock, read without.
    pub forgotten: AtomicU64,
    /// Of what was decided up to this entry there are stubs at most; changed and read like `forgotten`.
    pub stubs: AtomicU64,
    /// Whether nothing more is taken in; changed under the sequencer's lock, read without.
    pub closing: AtomicBool,
    /// The group of the checkpoint before the last: nothing before it is needed.
    pub checkpointed_g: AtomicU64,
    /// How the filter of remembered keys did.
    pub asked: AtomicU64,
    pub passed: AtomicU64,
    pub in_vain: AtomicU64,
    /// What the opening found of the rules, where they are others than those that were recorded.
    pub registration: OnceLock<Registration>,
    /// Why nothing is written after an incident, where that is so.
    pub findings: OnceLock<Arc<str>>,
    /// How often invariants broke that are only monitored.
    pub monitored: Mutex<Tallies>,
    /// What random numbers of the caller's own code come from: one for each run.
    pub seeds: AtomicU64,
    pub wakes: super::background::Wakes,
    pub stopped: AtomicBool,
    /// Whether the mark of a clean end is known to be gone.
    pub begun: AtomicBool,
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
    pub(super) fn new(
        options: Options,
        declared: Declared,
        machine: Machine,
        recovered: Recovered,
    ) -> Self {
        let Declared { procedures, rules } = declared;
        let Recovered {
            lock,
            uuid,
            fold,
            next_seq,
            checkpoint,
            reader,
            writer,
            unbegun,
            report,
            ..
        } = recovered;
        let source = Source { disk: machine.disk.clone(), entropy: machine.entropy.clone(), uuid };
        let durable = fold.applied;
        let (registry, settled) = (fold.registry.clone(), fold.settled.clone());
        let (forgotten, stubs) = (fold.control.forgotten, fold.control.last_stub());
        let applied_g = reader.meta().applied_g;
        let log_bytes = report.bytes_scanned;
        let time = Timekeeper::new(&*machine.clock, fold.time);
        // Numbers made of the clock will do where the system has no better ones: they are not secret.
        let seeds = machine.entropy.random().map_or_else(|_| time.seed(), |random| random as u64);
        let mut sequencer =
            Sequencer::new(fold, reader, next_seq, &writer, log_bytes, &options, time);
        sequencer.unbegun = unbegun;
        Self {
            owner: Owner::here(),
            options,
            procedures,
            rules,
            machine,
            source,
            recovery: report,
            checkpoint: Mutex::new(Some(checkpoint)),
            refill: Mutex::new(None),
            preparing: Mutex::new(()),
            writer: Mutex::new(writer),
            view: RwLock::new(sequencer.view()),
            sequencer: Mutex::new(sequencer),
            room: Condvar::new(),
            live: Mutex::default(),
            registry,
            settled,
            durable: AtomicU64::new(durable.get()),
            forgotten: AtomicU64::new(forgotten.get()),
            stubs: AtomicU64::new(stubs.get()),
            closing: AtomicBool::new(false),
            checkpointed_g: AtomicU64::new(applied_g),
            asked: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            in_vain: AtomicU64::new(0),
            registration: OnceLock::new(),
            findings: OnceLock::new(),
            monitored: Mutex::default(),
            seeds: AtomicU64::new(seeds),
            wakes: super::background::Wakes::default(),
            stopped: AtomicBool::new(false),
            begun: AtomicBool::new(false),
            lock: Mutex::new(Some(lock).filter(|_| !canary!(LockLetGo))),
        }
    }

    /// Another one each time.
    pub(super) fn seed(&self) -> u64 {
        // An odd step comes round after all of them.
        self.seeds.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed)
    }

    pub(super) fn durable(&self) -> SeqNo {
        SeqNo::new(self.durable.load(Ordering::Acquire))
    }

    pub(super) fn forgotten(&self) -> SeqNo {
        SeqNo::new(self.forgotten.load(Ordering::Acquire))
    }

    /// Of what was decided up to this entry there are stubs at most.
    pub(super) fn stubs(&self) -> SeqNo {
        SeqNo::new(self.stubs.load(Ordering::Acquire))
    }

    /// From now on nothing more is taken in.
    pub(super) fn take_no_more(&self) {
        let mut sequencer = self.sequencer.lock();
        sequencer.closed = true;
        self.closing.store(true, Ordering::Release);
    }

    /// What went wrong in the checkpoint, as a reader is told. redb refuses everything after an error of the system, so
    /// that ends the writes. For callers who hold none of the locks.
    pub(super) fn checkpoint_error(&self, error: CheckpointError) -> Error {
        match error {
            // There redb's memory is as it was, and its file goes on.
            _ if self.owner.is_elsewhere() => Error::Forked { what: "reading" },
            _ if self.stopped.load(Ordering::Acquire) => Error::Closed,
            CheckpointError::Io(source) => {
                self.stop_writes(format!("reading the checkpoint failed: {source}"))
            }
            CheckpointError::Full => Self::no_room_for_checkpoint(),
            CheckpointError::Damaged { what } => Error::Corruption {
                file: crate::format::names::CHECKPOINT.into(),
                offset: 0,
                seq: None,
                evidence: what,
            },
        }
    }

    /// Refuses a write to an engine that only reads.
    pub(super) fn check_writable(&self) -> Result<(), Error> {
        if self.options.read_only {
            return Err(Error::ReadOnly { reason: "it was opened to be read only".into() });
        }
        Ok(())
    }

    pub(super) fn no_room_for_checkpoint() -> Error {
        Error::NoSpace { what: "writing the checkpoint".into() }
    }

    /// The last error of a write or sync, as those are told that come after it.
    pub(super) fn poisoned(poison: &Poison) -> Error {
        Error::Poisoned { reason: poison.reason.clone() }
    }

    /// Makes the engine refuse writes from now on. Those up to `failed` that are not durable may be on the disk. Gives
    /// back `in_flight`, and those behind it that will never be written, with the answers they get now.
    pub(super) fn poison(
        &self,
        sequencer: &mut Sequencer,
        reason: String,
        failed: SeqNo,
        in_flight: Vec<Parked>,
    ) -> Vec<Parked> {
        let poison = sequencer.poison.get_or_insert(Poison { reason: reason.into(), failed });
        poison.failed = poison.failed.max(failed);
        let (poison, durable) = (poison.clone(), sequencer.durable);
        self.room.notify_all();
        let mut told = in_flight;
        told.append(&mut sequencer.drop_pending());
        told.iter_mut().for_each(|parked| poison.spoil(parked, durable));
        told
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
