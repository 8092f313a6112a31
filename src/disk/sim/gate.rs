//! What stands before every call: the power, planned faults, the counters and the trace.

use std::{error::Error, fmt, io};

/// A planned failure of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which call fails, counted from 1.
    pub call: u64,
    /// What happens then.
    pub effect: Effect,
    /// Whether the calls after it fail as well.
    pub repeat: Repeat,
}

/// What a fault does to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The call fails and does nothing, with one exception: a failed `sync_data` (other than by `Interrupted`) loses what
    /// it should have made durable. Readers go on seeing it until the cache is dropped, and the next sync succeeds, as on
    /// Linux.
    Error(io::ErrorKind),
    /// A read or write takes at most so many bytes. Other calls are not affected.
    Short(usize),
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// At one call.
    Once,
    /// At that call and every later one.
    Forever,
}

impl Repeat {
    /// Whether what was planned for one call strikes another.
    pub(super) fn strikes(self, planned: u64, call: u64) -> bool {
        match self {
            Self::Once => call == planned,
            Self::Forever => call >= planned,
        }
    }
}

/// Whether an error of a simulated disk says that its power is off.
#[must_use]
pub fn is_power_off(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<PowerOff>())
}

#[derive(Debug)]
struct PowerOff;

impl fmt::Display for PowerOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulated disk has no power")
    }
}

impl Error for PowerOff {}

#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    pub(super) changes: u64,
    pub(super) reads: u64,
    pub(super) crash_at: Option<u64>,
    pub(super) off: bool,
    pub(super) faults: Vec<Fault>,
    pub(super) read_faults: Vec<Fault>,
    pub(super) trace: Vec<String>,
}

impl Gate {
    /// Counts a call that changes something and says what is to happen to it.
    pub(super) fn change(&mut self) -> io::Result<Option<Effect>> {
        if self.crash_at.is_some_and(|call| self.changes + 1 >= call) {
            self.off = true;
        }
        self.power()?;
        self.changes += 1;
        Ok(effect(&self.faults, self.changes))
    }

    /// Counts a call that changes nothing. An error is returned, a short read is up to the caller.
    pub(super) fn read(&mut self) -> io::Result<Option<usize>> {
        self.power()?;
        self.reads += 1;
        limit(effect(&self.read_faults, self.reads))
    }

    pub(super) fn power(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other(PowerOff)) } else { Ok(()) }
    }

    pub(super) fn record(&mut self, call: String, failed: Option<io::ErrorKind>) {
        self.trace.push(match failed {
            Some(kind) => format!("{call} failed: {kind:?}"),
            None => call,
        });
    }
}

/// The most bytes a call may take, when it may take any.
pub(super) fn limit(effect: Option<Effect>) -> io::Result<Option<usize>> {
    match effect {
        Some(Effect::Error(kind)) => Err(io::Error::new(kind, "an error planned for this call")),
        Some(Effect::Short(bytes)) => Ok(Some(bytes)),
        None => Ok(None),
    }
}

fn effect(faults: &[Fault], call: u64) -> Option<Effect> {
    faults.iter().find(|fault| fault.repeat.strikes(fault.call, call)).map(|fault| fault.effect)
}
