//! What is remembered, in numbers; and the filter of its keys, made anew when too many of them are forgotten.

use super::{Engine, core::Core, error::Error, reentrancy};
use crate::{
    base::{LogTime, sync::atomic::Ordering::Relaxed},
    checkpoint::{Reader, WindowPosition},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Keys that are looked through in one piece.
const PIECE: usize = 4096;

/// What is remembered, and what it takes. It counts what was handed in by then, durable or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WindowStatus {
    /// Outcomes that are remembered whole.
    pub outcomes: u64,
    /// Outcomes of which stubs are left.
    pub stubs: u64,
    /// Bytes of both, keys included; a stub counts 53.
    pub bytes: u64,
    /// What was decided up to then, in nanoseconds of log time, is forgotten; `None` while nothing is.
    pub horizon: Option<LogTime>,
    /// The time of the last entry that was handed in: by it the age of an outcome is told.
    pub time: LogTime,
    /// Bytes of memory that the filter of their keys takes.
    pub filter_bytes: u64,
    /// How many times a key that no memory knew was held against the filter.
    pub filter_asked: u64,
    /// How many of these passed it and were looked for in the checkpoint.
    pub filter_passed: u64,
    /// How many of those were not there: looks in vain.
    pub filter_in_vain: u64,
}

impl Engine {
    /// What is remembered of requests, and what that takes. Does no I/O.
    ///
    /// ```
    /// use steadfast::{Engine, Expect, IdempotencyKey, Keyspace, Request};
    ///
    /// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    ///
    /// let engine = Engine::in_memory()?;
    /// let key = IdempotencyKey::new("shop", "order-1")?;
    /// engine.commit(Request::new(key).put(&STOCK, &12, &7, Expect::Any))?.committed()?;
    /// assert_eq!(engine.window().outcomes, 1);
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    #[must_use]
    pub fn window(&self) -> WindowStatus {
        reentrancy::assert_outside("window");
        let core = self.core();
        let (control, time) = {
            let sequencer = core.sequencer.lock();
            (sequencer.fold.control.clone(), sequencer.fold.time)
        };
        let filter = core.settled.read();
        WindowStatus {
            outcomes: control.generations.iter().map(|generation| generation.rows).sum(),
            stubs: control.eras.iter().map(|era| era.rows).sum(),
            bytes: control.bytes(),
            horizon: control.horizon(),
            time,
            filter_bytes: filter.bytes() as u64,
            filter_asked: core.asked.load(Relaxed),
            filter_passed: core.passed.load(Relaxed),
            filter_in_vain: core.in_vain.load(Relaxed),
        }
    }
}

/// A filter in the making.
#[derive(Debug)]
pub(super) struct Refill {
    reader: Arc<Reader>,
    position: WindowPosition,
}

impl Core {
    /// Does a piece of making the filter anew, if that is worth it; false when there was nothing to do.
    pub(super) fn refill_step(&self) -> Result<bool, Error> {
        // While a checkpoint is written, some of its keys are in the filter and not yet in the reader.
        let checkpoint = self.checkpoint.lock();
        let mut refill = self.refill.lock();
        if refill.is_none() {
            let sequencer = self.sequencer.lock();
            // What was forgotten since is still among its rows.
            if !self.settled.read().is_stale(sequencer.base.control().rows()) {
                return Ok(false);
            }
            self.settled.write().begin_anew();
            let reader = sequencer.base.clone();
            *refill = Some(Refill { reader, position: WindowPosition::default() });
        }
        drop(checkpoint);
        let Some(Refill { reader, position }) = &mut *refill else { return Ok(false) };
        let mut keys = Vec::with_capacity(PIECE);
        let read = reader.window_keys(position, PIECE, |hash| keys.push(*hash));
        let more = match read {
            Ok(more) => more,
            Err(error) => {
                *refill = None;
                self.settled.write().give_up_anew();
                drop(refill);
                return Err(self.checkpoint_error(error));
            }
        };
        self.settled.write().fill_anew(&keys);
        if !more {
            self.settled.write().finish_anew();
            *refill = None;
        }
        Ok(true)
    }
}
