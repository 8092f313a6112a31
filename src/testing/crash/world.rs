//! A disk without power on it, and the machine that it is put into.

use super::{
    super::{laws::Unknown, model::Model},
    case::End,
    oracle::Problem,
    step::Step,
};
use crate::{
    Background, Engine, Error, LogRetention,
    disk::{Choice, Lie, SimClock, SimDisk, SimEntropy},
};
use std::time::Duration;

/// What a run begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nothing at all: opening makes the database.
    Empty,
    /// A database with records, remembered outcomes, a checkpoint and several segments, closed.
    Closed,
    /// The same, but the power was cut while it was being written to, and the end of its log is torn.
    Torn,
    /// The first database again, with a log that is longer than it may be: opening writes a checkpoint, and later ones
    /// become due while the log goes on.
    Due,
    /// The same, and the log is kept.
    Kept,
}

/// A disk without power on it, and what is known of what it holds.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub disk: SimDisk,
    pub model: Model,
    /// Requests nobody was told the outcome of, in order, with the entries they became if they were carried out.
    pub unknown: Vec<Unknown>,
    /// The first idempotency key not in use.
    pub name: u64,
    pub seed: u64,
    /// With so much log a checkpoint is due.
    pub log_limit_bytes: u64,
    /// Whether the log is kept.
    pub keep_log: bool,
    /// How often it was started before.
    pub lives: u64,
}

impl Start {
    /// Sets the scene.
    pub(super) fn world(self, seed: u64) -> Result<World, Problem> {
        let disk = SimDisk::new();
        // redb updates part of a sector of its header in place, and documents that it needs a medium on which that
        // leaves the rest of the sector alone.
        disk.assume_powersafe("checkpoint.redb");
        let empty = World {
            disk,
            model: Model::default(),
            unknown: Vec::new(),
            name: 1,
            seed,
            log_limit_bytes: 1 << 20,
            keep_log: self == Self::Kept,
            lives: 0,
        };
        if self == Self::Empty {
            return Ok(empty);
        }
        let steps = [
            Step::Put,
            Step::CasMiss,
            Step::CasMiss,
            Step::Add,
            Step::AddTooMuch,
            Step::Rotate,
            Step::Checkpoint,
            Step::Batch,
            Step::CloseReopen,
            Step::CasMiss,
            Step::CasHit,
            Step::CloseReopen,
        ];
        let closed = empty.run(&steps, None)?.world.after(&End::PowerCut(Choice::None));
        match self {
            Self::Empty | Self::Closed => return Ok(closed),
            Self::Due | Self::Kept => return Ok(World { log_limit_bytes: 64 << 10, ..closed }),
            Self::Torn => {}
        }
        // Cut off before the sync of a group, of which the first sector is there and the others are not.
        let measured = closed.run(&[Step::Put, Step::Burst, Step::Rotate], None)?;
        let last = measured.marks[measured.marks.len() - 1];
        let cut = closed.run(&[Step::Put, Step::Burst, Step::Rotate], Some(last))?.world;
        let first = cut.disk.telling_units().first().copied().unwrap_or(0);
        Ok(cut.after(&End::PowerCut(Choice::Only(first))))
    }
}

impl World {
    /// The same with the power back on.
    pub(super) fn after(&self, end: &End) -> Self {
        let disk = match end {
            End::Kill => self.disk.after_kill(),
            End::PowerCut(choice) => self.disk.after_power_cut(choice),
        };
        Self { disk, lives: self.lives + 1, ..self.clone() }
    }

    /// The same on a disk that lies until the power is cut.
    pub(super) fn lying(self, lie: Option<Lie>) -> Self {
        if let Some(lie) = lie {
            self.disk.lie(lie);
        }
        self
    }
}

/// Cuts the power now.
pub(super) fn cut(disk: &SimDisk) {
    disk.crash_at(disk.io_count() + 1);
}

/// One machine from power on to power off.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub disk: SimDisk,
    clock: SimClock,
    entropy: SimEntropy,
    log_limit_bytes: u64,
    keep_log: bool,
}

impl Machine {
    /// The machine in the life of `world` that comes so many after its own. In every life it is later, and other random
    /// numbers come up.
    pub(super) fn new(disk: SimDisk, world: &World, after: u64) -> Self {
        let lives = world.lives + after;
        let clock = SimClock::new(1_700_000_000_000_000_000, 1_000);
        clock.advance(Duration::from_secs(lives * 60));
        let entropy = SimEntropy::new(world.seed.wrapping_mul(1 << 20).wrapping_add(lives));
        let World { log_limit_bytes, keep_log, .. } = *world;
        Self { disk, clock, entropy, log_limit_bytes, keep_log }
    }

    pub(super) fn open(&self) -> Result<Engine, Error> {
        Engine::builder()
            .background(Background::Manual)
            .segment_bytes(64 << 10)
            .log_limit_bytes(self.log_limit_bytes)
            .log_retention(if self.keep_log { LogRetention::KeepAll } else { LogRetention::Trim })
            .checkpoint_cache_bytes(1 << 20)
            .clock(self.clock.clone())
            .entropy(self.entropy.clone())
            .open_on(self.disk.clone())
    }
}
