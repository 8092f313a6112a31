//! What the one order of operations is decided in: the fold, the group being filled, the replies that wait.

use super::{
    builder::Options,
    core::{Core, View},
    error::Error,
    outcome::Answer,
    pressure::{Load, Pressure},
    slot::Slot,
    time::Timekeeper,
};
use crate::{
    base::{Control, Entry, LogTime, SeqNo, Totals, canary::canary, limits::UNSYNCED_ENTRIES},
    checkpoint::Reader,
    format::{blocks, entry, group::HEADER},
    log::{
        Position,
        segments::{FIRST_BYTES, Segment},
        writer::{Sealing, Writer, room_in},
    },
    state::{control::Place, digest::StateDigest, fold::Fold, memtable::Memtable},
};
use std::{io, mem, sync::Arc};

/// Numbers of entries and of groups kept free: for the gap after an unclean end, and for groups without entries.
const RESERVE: u64 = 4 * UNSYNCED_ENTRIES;
/// The longest buffer that is kept for another group.
const BUFFER_BYTES: usize = 1 << 20;

/// Behind the one lock that every write passes.
#[derive(Debug)]
pub(super) struct Sequencer {
    pub fold: Fold,
    pub base: Arc<Reader>,
    pub next_seq: SeqNo,
    pub time: Timekeeper,
    pub durable: SeqNo,
    /// The totals after it.
    pub durable_totals: Arc<Totals>,
    /// Whether the next entry is to record the rules.
    pub unrecorded: bool,
    /// The last entry since the opening that made stubs of outcomes.
    pub demoted: SeqNo,
    /// After the last durable group.
    pub head: Position,
    pub pending: Pending,
    pub in_flight: Option<InFlight>,
    /// Whether somebody has the lead, or was handed it.
    pub led: bool,
    pub poison: Option<Poison>,
    pub closed: bool,
    pub freeze_wanted: bool,
    pub frozen: Option<FrozenPoint>,
    /// How many times there was no room on the disk to write it out.
    pub shortages: u64,
    /// Whether there was none the last time.
    pub short: bool,
    /// The buffer of the group before, for the next one.
    pub buffer: Vec<u8>,
    /// Whether a segment is to be begun, durably, before any entry gets a number: the one that makes the verdict of the opening
    /// durable. Nothing is pending as long as that is so.
    pub unbegun: bool,
    /// Bytes left in the segment in use, once everything taken so far is written.
    pub room: u64,
    /// With less than this left, it is time to prepare the next segment.
    pub low_room: u64,
    /// The segment to go on in when the one in use is full.
    pub spare: Option<Segment>,
    /// The number the next segment to be prepared gets, and its length.
    pub next_segment: (u64, u64),
    /// Bytes written to the log since the last freeze.
    pub log_bytes: u64,
    pub pressure: Pressure,
    pub wanted: WantedSegment,
}

/// A segment that those need who don't prepare one themselves.
#[derive(Debug, Default)]
pub(super) struct WantedSegment {
    /// For a group of so many bytes; 0 when nobody does.
    pub room: u64,
    /// How often preparing one has come to an end.
    pub attempts: u64,
    /// How the last time failed, if it did.
    pub failure: Option<(io::ErrorKind, String)>,
}

/// The group being filled.
#[derive(Debug)]
pub(super) struct Pending {
    /// Encoded entries behind room for the header.
    pub buffer: Vec<u8>,
    pub first_seq: SeqNo,
    pub entries: u32,
    pub parked: Vec<Parked>,
    pub load: Load,
}

/// The group being written.
#[derive(Debug)]
pub(super) struct InFlight {
    pub last_seq: SeqNo,
    /// The totals after it.
    pub totals: Arc<Totals>,
    pub parked: Vec<Parked>,
    pub load: Load,
    /// When, on the engine's monotonic clock.
    pub began: u64,
}

/// A reply that waits until what it tells is durable.
#[derive(Debug)]
pub(super) struct Parked {
    pub slot: Arc<Slot>,
    pub reply: Result<Answer, Error>,
    pub about: About,
}

/// What a reply is about, which decides what becomes of it when a write fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The fate of this entry.
    Entry(SeqNo),
    /// The state it was given on.
    State,
}

/// Why there are no more writes.
#[derive(Clone, Debug)]
pub(super) struct Poison {
    pub reason: Arc<str>,
    /// The last entry of the group whose write or sync failed: those up to it may be on the disk.
    pub failed: SeqNo,
}

/// Where a memtable was frozen, at the end of a group.
#[derive(Clone, Debug)]
pub(super) struct FrozenPoint {
    pub memtable: Arc<Memtable>,
    pub seq: SeqNo,
    pub time: LogTime,
    pub digest: StateDigest,
    pub control: Control,
    /// Known once the group is durable.
    pub position: Option<Position>,
}

/// A group taken to be written.
#[derive(Debug)]
pub(super) struct Taken {
    pub buffer: Vec<u8>,
    pub sealing: Sealing,
    /// The segment to begin with it.
    pub next: Option<Segment>,
    pub freezes: bool,
}

impl Poison {
    /// The answer in place of one that can't be given any more. What is durable is told all the same.
    pub(super) fn spoil(&self, parked: &mut Parked, durable: SeqNo) {
        match parked.about {
            About::Entry(seq) if seq <= durable => {}
            About::Entry(seq) if seq <= self.failed => {
                parked.reply = Err(Error::Indeterminate { seq })
            }
            _ => parked.reply = Err(Core::poisoned(self)),
        }
    }
}

impl Pending {
    fn new(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.resize(HEADER, 0);
        let (parked, load) = (Vec::new(), Load::default());
        Self { buffer, first_seq: SeqNo::new(0), entries: 0, parked, load }
    }

    /// Bytes of entries.
    pub(super) fn bytes(&self) -> usize {
        self.buffer.len() - HEADER
    }

    pub(super) fn append(&mut self, entry: &Entry) {
        if self.entries == 0 {
            self.first_seq = entry.seq;
        }
        entry::encode(entry, &mut self.buffer);
        self.entries += 1;
    }
}

impl Sequencer {
    /// The sequencer of a database that was just opened.
    pub(super) fn new(
        fold: Fold,
        base: Arc<Reader>,
        next_seq: SeqNo,
        writer: &Writer,
        log_bytes: u64,
        options: &Options,
        time: Timekeeper,
    ) -> Self {
        let room = writer.room();
        Self {
            durable: fold.applied,
            durable_totals: fold.control.rules.totals.clone(),
            unrecorded: false,
            demoted: SeqNo::new(0),
            head: writer.position(),
            fold,
            base,
            next_seq,
            time,
            pending: Pending::new(Vec::new()),
            in_flight: None,
            led: false,
            poison: None,
            closed: false,
            freeze_wanted: false,
            frozen: None,
            shortages: 0,
            short: false,
            buffer: Vec::new(),
            unbegun: false,
            room,
            low_room: room / 2,
            spare: None,
            next_segment: (writer.next_segment(), FIRST_BYTES.min(options.segment_bytes)),
            log_bytes,
            pressure: Pressure::new(options.queue_limit),
            wanted: WantedSegment::default(),
        }
    }

    /// Whether no write has failed yet.
    pub(super) fn takes_writes(&self) -> bool {
        self.poison.is_none() || canary!(PoisonIgnored)
    }

    /// Whether there is a number, a time and a group for one more entry.
    pub(super) fn has_numbers(&self) -> bool {
        let numbers = self.next_seq.get().max(self.head.g);
        numbers < u64::MAX - RESERVE && self.fold.time.get() < u64::MAX - 1
    }

    /// What an answer is about that tells what is remembered of the entry `seq`: that entry. Where only a stub of it is left, and the
    /// step that made it one is not durable yet, a crash could bring the whole outcome back: then it is about the state.
    pub(super) fn recalled(&self, seq: SeqNo) -> About {
        let rests_on_step = self.demoted > self.durable && self.is_stub(seq);
        if rests_on_step { About::State } else { About::Entry(seq) }
    }

    /// Whether an answer about this may be given at once.
    pub(super) fn is_durable(&self, about: About) -> bool {
        matches!(about, About::Entry(seq) if seq <= self.durable)
    }

    /// Whether only a stub is left of what the entry `seq` decided.
    pub(super) fn is_stub(&self, seq: SeqNo) -> bool {
        matches!(self.fold.control.place(seq), Place::Era(_))
    }

    /// Whether a reply waits for nothing: all it saw is durable.
    pub(super) fn tells_at_once(&self, about: About) -> bool {
        canary!(RefusalBeforeDurable => if about == About::State { return true });
        self.is_durable(about) || (self.pending.entries == 0 && self.in_flight.is_none())
    }

    /// Parks a reply with the group after which all it saw is durable; gives it back when that is so already. What it tells
    /// of a durable entry is so for ever.
    pub(super) fn park(&mut self, parked: Parked, load: Load) -> Option<Parked> {
        if self.tells_at_once(parked.about) {
            return Some(parked);
        }
        if self.pending.entries > 0 {
            self.pending.parked.push(parked);
            self.pending.load = self.pending.load + load;
        } else if let Some(in_flight) = &mut self.in_flight {
            in_flight.parked.push(parked);
            in_flight.load = in_flight.load + load;
        } else {
            return Some(parked);
        }
        let load = self.load();
        self.pressure.note(load);
        None
    }

    /// After a failure: takes those whose entries were not written, and never will be.
    pub(super) fn drop_pending(&mut self) -> Vec<Parked> {
        mem::replace(&mut self.pending, Pending::new(Vec::new())).parked
    }

    /// Takes the group being filled, to write it. Freezes the memtable first, if it is time to.
    pub(super) fn take(&mut self, freeze: bool, now: u64) -> Option<Taken> {
        if self.pending.entries == 0 {
            return None;
        }
        let Pending { buffer, first_seq, entries, parked, load } =
            mem::replace(&mut self.pending, Pending::new(mem::take(&mut self.buffer)));
        let last_seq = self.fold.applied;
        let totals = self.fold.control.rules.totals.clone();
        self.in_flight = Some(InFlight { last_seq, totals, parked, load, began: now });
        let next = self.reserve(buffer.len());
        self.log_bytes += buffer.len() as u64;
        let sealing = Sealing { first_seq, last_seq, entries, digest: self.fold.digest.0 };
        if freeze {
            self.freeze(None);
        }
        Some(Taken { buffer, sealing, next, freezes: freeze })
    }

    /// Freezes the memtable at the last applied entry, which ends a group.
    pub(super) fn freeze(&mut self, position: Option<Position>) {
        let memtable = mem::take(&mut self.fold.active);
        self.fold.frozen = Some(memtable.clone());
        self.frozen = Some(FrozenPoint {
            memtable,
            seq: self.fold.applied,
            time: self.fold.time,
            digest: self.fold.digest,
            control: self.fold.control.clone(),
            position,
        });
        self.freeze_wanted = false;
        self.log_bytes = 0;
    }

    /// What readers see.
    pub(super) fn view(&self) -> Arc<View> {
        Arc::new(View {
            active: self.fold.active.clone(),
            frozen: self.fold.frozen.clone(),
            base: self.base.clone(),
        })
    }

    /// Whether the group being filled would still fit on the disk with `bytes` more.
    pub(super) fn fits(&self, bytes: usize) -> bool {
        let needed = self.needed(bytes);
        needed <= self.room || needed <= self.spare_room()
    }

    /// What the group being filled would take up on the disk with `bytes` more.
    pub(super) fn needed(&self, bytes: usize) -> u64 {
        blocks((self.pending.buffer.len() + bytes) as u64)
    }

    /// Bytes that fit into the spare segment; 0 without one.
    pub(super) fn spare_room(&self) -> u64 {
        self.spare.as_ref().map_or(0, room_in)
    }

    /// Whether it is time to prepare a segment in the background.
    pub(super) fn wants_spare(&self) -> bool {
        self.spare.is_none() && self.room < self.low_room && self.poison.is_none() && !self.closed
    }

    /// Takes a buffer back for the next group.
    pub(super) fn keep(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() <= BUFFER_BYTES {
            self.buffer = buffer;
        }
    }

    /// Sets room aside for a group; gives the spare segment out if the group is to begin it.
    fn reserve(&mut self, group: usize) -> Option<Segment> {
        let needed = blocks(group as u64);
        if needed <= self.room {
            self.room -= needed;
            return None;
        }
        let room = self.spare_room();
        (self.room, self.low_room) = (room.saturating_sub(needed), room / 2);
        self.spare.take()
    }
}
