//! Calls of procedures. The caller's code runs under the sequencer's lock, on the newest state and in the order of the log, so
//! that no call is run in vain because of another; and it never waits for the disk there:
//!
//! 1. [`Core::offer_call`] looks the key up, takes the lock, and runs the code on what is in memory
//! 2. where it asks for a row that only the checkpoint has, the run ends. The lock is given up, and the code is run outside
//!    ([`Core::warm`]) to find and fetch all it reads
//! 3. from the beginning, with what was fetched; at most [`ROUNDS`] times
//! 4. what it wrote is admitted like any request, in the same hold of the lock

use super::{
    commit::{Offered, ROUNDS},
    core::{Core, View},
    error::Error,
    fingerprint,
    iter::memtable_chunk,
    lookup::undurable,
    merge::Chunk,
    outcome::Answer,
    payload,
    preread::{Newest, Preread},
    pressure::{Load, Terms},
    procedure::{Procedure, Run},
    reentrancy,
    sequence::Reply,
    sequencer::{About, Sequencer},
    transaction::{Moment, Scan, Source, Transaction},
    update::Abort,
};
use crate::{
    admission::{self, Cold, shape::check_request},
    base::{
        Bytes, IdempotencyKey, KeyspaceDefinition, KeyspaceId, LogTime, ProcedureCall, RequestData,
        Row, SeqNo, Verdict,
        limits::{REQUEST_BYTES, check},
    },
    codec::ByteRange,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A call, encoded.
pub(super) struct Call {
    name: &'static str,
    run: Run,
    /// The request, but for what the procedure will write.
    blank: RequestData,
}

/// What a run under the lock lacked.
enum Lacks {
    /// A row it read.
    Read,
    /// The old rows of what it wrote.
    Written(Box<RequestData>),
    /// Room for what it wrote.
    Room(Box<RequestData>),
    /// What rules across records need to judge it.
    Rules(Box<Cold>),
}

impl Call {
    pub(super) fn new<P: Procedure>(
        core: &Core,
        key: IdempotencyKey,
        procedure: &P,
    ) -> Result<Self, Error> {
        let run = core.procedures.find::<P>()?;
        let name = Bytes::from_static(P::NAME.as_bytes());
        let arguments = payload::encode(procedure)?;
        check("argument bytes", arguments.len(), 0, REQUEST_BYTES)?;
        let fingerprint = fingerprint::of_call(&name, &arguments);
        // What time it is told is known once it is tried.
        let (time, seed) = (LogTime::new(0), core.seed());
        let call = ProcedureCall { name, version: P::VERSION, time, seed, arguments };
        let blank = RequestData::empty(Some((key, fingerprint)));
        let blank = RequestData { call: Some(Box::new(call)), ..blank };
        Ok(Self { name: P::NAME, run, blank })
    }
}

impl Core {
    /// Sequences a call and blocks until its answer is durable.
    pub(super) fn call(&self, call: &Call) -> Result<Answer, Error> {
        match self.offer_call(call, &Terms::patient())? {
            Offered::Answered(answer) => answer,
            Offered::Parked { slot, leads } => self.await_reply(&slot, leads),
        }
    }

    /// Sequences a call.
    pub(super) fn offer_call(&self, call: &Call, terms: &Terms) -> Result<Offered, Error> {
        // What there must be room for: at first for the call alone.
        let mut sized = None;
        // The same in all runs, or what one of them reads would be of no use to the next.
        let mut moment = None;

        let mut preread = self.preread(&call.blank)?;
        if let Some(reply) = self.retell(&call.blank, &preread, terms) {
            return Ok(Offered::Answered(reply));
        }
        let mut round = 1;
        loop {
            let mut sequencer = match self.room_for(sized.as_ref().unwrap_or(&call.blank), terms) {
                Ok(sequencer) => sequencer,
                // What is remembered is told in every mode.
                Err(error) => return self.look_up(&call.blank, terms, false)?.ok_or(error),
            };
            if !preread.holds_for(&sequencer) {
                drop(sequencer);
                preread = self.preread(&call.blank)?;
                continue;
            }
            let before = sequencer.pending.bytes();
            let decided = self.sequence_call(&mut sequencer, call, &preread, &mut moment, terms);
            let lacks = match decided {
                Ok((reply, about)) => {
                    let load = Load::of(sequencer.pending.bytes() - before, &reply);
                    return Ok(self.park(sequencer, reply, about, load, terms.patience));
                }
                Err(lacks) => lacks,
            };
            if round == ROUNDS {
                return Err(sequencer.overloaded(&*self.machine.clock));
            }
            drop(sequencer);
            round += 1;
            match lacks {
                Lacks::Room(data) => sized = Some(*data),
                Lacks::Read => self.warm(call, &mut preread, None, &mut moment)?,
                Lacks::Written(data) => self.warm(call, &mut preread, Some(*data), &mut moment)?,
                // The request is made anew by the next run.
                Lacks::Rules(cold) => drop(self.warm_rules(*cold, &mut preread)?),
            }
        }
    }

    /// Decides on a call, under the lock.
    fn sequence_call(
        &self,
        sequencer: &mut Sequencer,
        call: &Call,
        preread: &Preread,
        moment: &mut Option<(Moment, u32)>,
        terms: &Terms,
    ) -> Result<Reply, Lacks> {
        let at = self.at(sequencer, terms);
        let newest = Newest { fold: &sequencer.fold, preread };
        if let Some(reply) = undurable(sequencer, &call.blank, &newest) {
            return Ok((Err(reply), About::State));
        }
        if let Some(decision) = admission::decided_before(&call.blank, &newest, &at) {
            return self.carry_out(sequencer, decision, terms).map_err(Lacks::Rules);
        }
        let first = Moment { time: at.time, seed: call.call().seed };
        let (moment, runs) = moment.get_or_insert((first, 0));
        *runs += 1;
        let mut inside = Inside { newest: &newest, moment: *moment, cold: false };
        let made = call.run(&mut inside, *runs);
        if inside.cold {
            return Err(Lacks::Read);
        }
        let data = match made {
            Ok(data) => data,
            // Made by hand: it says the same.
            Err(Error::Cold) => return Err(Lacks::Read),
            Err(error) => return Ok((Err(error), About::State)),
        };
        if !self.has_room(sequencer, &data) {
            return Err(Lacks::Room(Box::new(data)));
        }
        if !newest.knows(&data) {
            return Err(Lacks::Written(Box::new(data)));
        }
        let decision = {
            let _rules = self.enter_rules();
            admission::evaluate(data, &newest, at)
        };
        self.carry_out(sequencer, decision, terms).map_err(Lacks::Rules)
    }

    /// Fetches the old rows of what a run `wrote`; or what it reads, for which the code is run without the lock, and what comes
    /// of that does not matter.
    fn warm(
        &self,
        call: &Call,
        preread: &mut Preread,
        wrote: Option<RequestData>,
        moment: &mut Option<(Moment, u32)>,
    ) -> Result<(), Error> {
        let view = self.view.read().clone();
        if !preread.is_of(&view) {
            // Another checkpoint has come: from the beginning.
            return Ok(());
        }
        let data = match wrote {
            Some(data) => Some(data),
            None => {
                let (moment, runs) = moment.as_mut().expect("it was run before");
                *runs += 1;
                self.run_outside(call, preread, &view, (*moment, *runs))?
            }
        };
        let Some(data) = data else { return Ok(()) };
        let loaded = preread.load_records(self, &view, &data);
        loaded.map_err(|error| self.checkpoint_error(error))
    }

    /// Runs the code where it may read from the disk, and keeps what it read.
    fn run_outside(
        &self,
        call: &Call,
        preread: &mut Preread,
        view: &View,
        (moment, run): (Moment, u32),
    ) -> Result<Option<RequestData>, Error> {
        let mut outside = Outside { core: self, view, preread, moment, failed: None };
        let made = call.run(&mut outside, run);
        match outside.failed {
            Some(error) => Err(error),
            None => Ok(made.ok()),
        }
    }
}

impl Call {
    fn call(&self) -> &ProcedureCall {
        self.blank.call.as_ref().expect("it was made with one")
    }

    fn run(&self, source: &mut dyn Source, attempt: u32) -> Result<RequestData, Error> {
        run_code(self.name, self.run, &self.blank, source, attempt)
    }
}

/// Runs the code of a procedure on the arguments in `blank`, and makes a request of what it did.
pub(super) fn run_code(
    name: &'static str,
    run: Run,
    blank: &RequestData,
    source: &mut dyn Source,
    attempt: u32,
) -> Result<RequestData, Error> {
    let time = source.moment().time;
    let arguments = &blank.call.as_ref().expect("it was made with a call").arguments;
    let mut tx = Transaction::new(source, blank.clone(), attempt);
    let result = {
        let _inside = reentrancy::enter_procedure();
        let result = catch_unwind(AssertUnwindSafe(|| run(arguments, &mut tx)));
        // The panic's payload is the caller's own, too.
        result.map_err(|payload| drop(catch_unwind(AssertUnwindSafe(|| drop(payload)))))
    };
    let mut data = tx.into_data();
    if let Some(call) = &mut data.call {
        call.time = time;
    }
    match result.map_err(|()| Error::Panicked { what: name })? {
        Ok(output) => data.verdict = Verdict::Commit(output),
        Err(Abort::Reject(rejection)) => {
            data.operations.clear();
            data.verdict = Verdict::Reject(rejection);
        }
        Err(Abort::Engine(error)) => return Err(error),
    }
    check_request(&data)?;
    Ok(data)
}

/// The newest state, with the lock held: nobody else writes.
struct Inside<'a> {
    newest: &'a Newest<'a>,
    moment: Moment,
    /// Whether something was asked for that is not in memory.
    cold: bool,
}

impl Inside<'_> {
    fn known<T>(&mut self, known: Option<T>) -> Result<T, Error> {
        self.cold |= known.is_none();
        known.ok_or(Error::Cold)
    }
}

impl Source for Inside<'_> {
    fn definition(&self, name: &[u8]) -> Option<KeyspaceDefinition> {
        self.newest.fold.keyspace(name)
    }

    fn row(&mut self, keyspace: KeyspaceId, key: &Bytes) -> Result<Option<Row>, Error> {
        let known = self.newest.find(keyspace, key);
        self.known(known)
    }

    fn rows(&mut self, scan: &Scan<'_>, layer: usize, left: &ByteRange) -> Result<Chunk, Error> {
        let fold = self.newest.fold;
        let memtable = match layer {
            0 => Some(&fold.active),
            1 => fold.frozen.as_ref(),
            _ => {
                let known = self.newest.preread.settled(scan, left);
                return self.known(known);
            }
        };
        Ok(memtable_chunk(memtable, scan.keyspace, left, SeqNo::MAX, scan.reverse))
    }

    fn moment(&mut self) -> Moment {
        self.moment
    }

    fn is_shared(&self) -> bool {
        false
    }
}

/// A recent state, with the disk at hand: what is read of the checkpoint is kept for the run that counts.
struct Outside<'a> {
    core: &'a Core,
    view: &'a View,
    preread: &'a mut Preread,
    moment: Moment,
    /// What the disk said.
    failed: Option<Error>,
}

impl Outside<'_> {
    fn settled<T>(
        &mut self,
        read: impl FnOnce(&mut Preread, &View) -> Result<T, crate::checkpoint::CheckpointError>,
    ) -> Result<T, Error> {
        read(self.preread, self.view).map_err(|error| {
            self.failed = Some(self.core.checkpoint_error(error));
            Error::Cold
        })
    }
}

impl Source for Outside<'_> {
    fn definition(&self, name: &[u8]) -> Option<KeyspaceDefinition> {
        self.core.registry.read().newest(name)
    }

    fn row(&mut self, keyspace: KeyspaceId, key: &Bytes) -> Result<Option<Row>, Error> {
        match self.view.in_memory(keyspace, key, || SeqNo::MAX) {
            Some(seen) => Ok(seen),
            None => self.settled(|preread, view| preread.fetch(view, keyspace, key)),
        }
    }

    fn rows(&mut self, scan: &Scan<'_>, layer: usize, left: &ByteRange) -> Result<Chunk, Error> {
        let memtable = match layer {
            0 => Some(&self.view.active),
            1 => self.view.frozen.as_ref(),
            _ => return self.settled(|preread, view| preread.fetch_rows(view, scan, left)),
        };
        Ok(memtable_chunk(memtable, scan.keyspace, left, SeqNo::MAX, scan.reverse))
    }

    fn moment(&mut self) -> Moment {
        self.moment
    }

    fn is_shared(&self) -> bool {
        false
    }
}
