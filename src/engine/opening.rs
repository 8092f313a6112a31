//! Opening a machine: recovery, and what is due before anyone is served.

use super::{
    Engine, Error, builder::Options, close::Handle, core::Core, registry::Registry,
    retention::LogRetention,
};
use crate::recovery::{self, Machine, OpenError, Settings};
use std::{io, sync::Arc};

impl Engine {
    pub(super) fn open_machine(
        options: Options,
        registry: Registry,
        machine: Machine,
    ) -> Result<Self, Error> {
        registry.check()?;
        let location = machine.disk.location();
        let failed = |error: OpenError| Error::opening(error, location.clone());
        let settings = Settings {
            cache_bytes: options.checkpoint_cache_bytes,
            segment_bytes: options.segment_bytes,
            filter_bytes: options.filter_limit_bytes,
            scopes: options.policy.scope_limit < u64::MAX,
            accept_clock_jump: options.accept_clock_jump,
            keep_log: options.log_retention == LogRetention::KeepAll,
        };
        if options.read_only {
            let recovered = recovery::open_read_only(&machine, settings).map_err(failed)?;
            let core = Arc::new(Core::new(options, registry, machine, recovered));
            return Ok(Self(Arc::new(Handle::start(core)?)));
        }
        let recovered = recovery::open(&machine, settings).map_err(failed)?;
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
        Ok(Self(Arc::new(Handle::start(core)?)))
    }
}
