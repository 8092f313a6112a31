//! Opening a machine: recovery, and what is due before anyone is served.

use super::{
    Engine, Error, builder::Options, close::Handle, core::Core, registry::Registry,
    retention::LogRetention,
};
use crate::recovery::{self, Machine, Settings};
use std::{io, sync::Arc};

impl Engine {
    /// Opens the database, as far as nobody need look at what was found first.
    pub(super) fn open_machine(
        options: Options,
        registry: Registry,
        machine: Machine,
    ) -> Result<Self, Error> {
        if options.read_only {
            return Self::open_to_read(options, registry, machine);
        }
        let contained = contain(&options, &registry, &machine)?;
        Self::restore(options, registry, machine, contained)
    }

    /// Carries out what was planned for a database that was looked at, and serves it.
    pub(super) fn restore(
        options: Options,
        registry: Registry,
        machine: Machine,
        contained: recovery::Contained,
    ) -> Result<Self, Error> {
        let recovered = contained
            .apply(&machine, &settings(&options))
            .map_err(|error| Error::opening(error, machine.disk.location()))?;
        let many = recovered.segments > recovery::SEGMENTS_AT_OPEN;
        let core = Arc::new(Core::new(options, registry, machine, recovered));
        let due = core.due(&core.sequencer.lock());
        match core.set_going(many || due) {
            // That is done when there is room. Until then all that is durable is read, and writes go on as far as they find room; to
            // refuse would leave a segment behind each time that it is tried.
            Err(Error::NoSpace { .. }) => {}
            // There is no engine yet that could be said to take no more writes.
            Err(Error::Poisoned { reason }) => {
                let what = "writing a checkpoint or a segment while opening".into();
                return Err(Error::Io { what, source: io::Error::other(&*reason) });
            }
            done => done?,
        }
        let engine = Self(Arc::new(Handle::start(core)?));
        engine.take_rules(options.on_broken_rule)?;
        Ok(engine)
    }

    fn open_to_read(options: Options, registry: Registry, machine: Machine) -> Result<Self, Error> {
        registry.check()?;
        let recovered = recovery::open_read_only(&machine, settings(&options))
            .map_err(|error| Error::opening(error, machine.disk.location()))?;
        let core = Arc::new(Core::new(options, registry, machine, recovered));
        Ok(Self(Arc::new(Handle::start(core)?)))
    }
}

/// Locks and verifies the database, and leaves it as it is.
pub(super) fn contain(
    options: &Options,
    registry: &Registry,
    machine: &Machine,
) -> Result<recovery::Contained, Error> {
    registry.check()?;
    recovery::contain(machine, &settings(options))
        .map_err(|error| Error::opening(error, machine.disk.location()))
}

fn settings(options: &Options) -> Settings {
    Settings {
        cache_bytes: options.checkpoint_cache_bytes,
        segment_bytes: options.segment_bytes,
        filter_bytes: options.filter_limit_bytes,
        scopes: options.policy.scope_limit < u64::MAX,
        accept_clock_jump: options.accept_clock_jump,
        keep_log: options.log_retention == LogRetention::KeepAll,
    }
}
