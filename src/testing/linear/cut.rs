//! Histories that go on after a failure of the disk.

use super::{
    super::luck::Luck,
    history::{End, History},
    workload::{Stage, Workload},
};
use crate::{
    Engine, Error,
    disk::{Choice, Repeat, SimClock, SimDisk, SimEntropy},
};
use std::{io::ErrorKind, sync::atomic::Ordering};

/// What happens to the disk while the callers are at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The power is cut.
    PowerCut,
    /// One call fails; then the power is cut.
    Failure,
}

/// Callers on a simulated disk that fails under them; then the database is opened again, and others go on with the same
/// records.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// What the callers do, before and after.
    pub workload: Workload,
    /// What happens.
    pub trouble: Trouble,
    /// The failure comes within so many I/Os that change something.
    pub within: u64,
}

impl Cut {
    /// Runs it. A reason to be seen is the history's or the opening's alone: the callers take every error that a failing
    /// disk may cause.
    ///
    /// # Errors
    /// What the database could not be opened for.
    ///
    /// # Panics
    /// When a call does.
    pub fn run(&self) -> Result<History, Error> {
        let luck = Luck::new(self.workload.seed ^ 0x5EED);
        let disk = SimDisk::new();
        disk.assume_powersafe("checkpoint.redb");
        let engine = self.open(&disk, 1)?;
        let call = disk.io_count() + 1 + luck.below(self.within);
        match self.trouble {
            Trouble::PowerCut => disk.crash_at(call),
            Trouble::Failure => disk.fail_call(call, ErrorKind::Other, Repeat::Once),
        }
        let (stage, mut history) = (Stage::default(), History::default());
        self.workload.act(&engine, &stage, &mut history);
        // What an engine does when it is dropped comes after the power cut.
        disk.crash_at(disk.io_count() + 1);
        drop(engine);

        let choice = match luck.below(4) {
            0 => Choice::None,
            1 => Choice::All,
            _ => Choice::Seeded(luck.below(u64::MAX)),
        };
        let engine = self.open(&disk.after_power_cut(&choice), 2)?;
        let reopened = stage.time.fetch_add(1, Ordering::SeqCst);
        history.ends.push(End { reopened, applied: engine.recovery().applied_seq });
        let after = Workload { seed: self.workload.seed + 1, calls: 2, ..self.workload };
        after.act(&engine, &stage, &mut history);
        after.settle(&engine, &stage, &mut history);
        engine.close()?;
        Ok(history)
    }

    fn open(&self, disk: &SimDisk, life: u64) -> Result<Engine, Error> {
        let clock = SimClock::new((1_700_000_000 + life * 60) * 1_000_000_000, 1_000);
        let entropy = SimEntropy::new(self.workload.seed.wrapping_mul(4).wrapping_add(life));
        let builder = Engine::builder().segment_bytes(64 << 10).checkpoint_cache_bytes(1 << 20);
        builder.clock(clock).entropy(entropy).open_on(disk.clone())
    }
}
