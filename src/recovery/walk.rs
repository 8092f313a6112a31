//! A walk over the entries of the log: an opening that only reads, from the first entry on where all of the log is there.

use super::{
    Machine, OpenError, RecoveryReport, Settings, begin, directory, look, replay::Visit,
    watch::Watch,
};
use crate::base::Epoch;

/// What a walk found.
#[derive(Debug)]
pub(crate) struct Walked {
    pub report: RecoveryReport,
    /// Whether it began with the first entry, and not with the checkpoint.
    pub from_first: bool,
    /// Segments that are there and that nothing leads on from: what trimming left of those before.
    pub left_over: u64,
}

/// Verifies the directory as an opening that only reads does, and lends every entry out before it is applied. `machine` has a
/// disk of which nothing can be changed.
pub(crate) fn walk(
    machine: &Machine,
    settings: Settings,
    visit: Visit<'_>,
) -> Result<Walked, OpenError> {
    // Time does not pass for what is only read, and nothing is removed.
    let settings = Settings { accept_clock_jump: true, keep_log: true, ..settings };
    let disk = &*machine.disk;
    let mut watch = Watch::new(machine);
    let (lock, settle_us) = begin(disk, &mut watch)?;
    let directory = directory::identify_existing(disk, settings.cache_bytes)?;
    let (plan, checkpoint) = look(machine, directory, &settings, &mut watch, Some(visit))?;
    let lowest = plan.segments.keys().next().copied().unwrap_or(1);
    let left_over = plan.listing.named.iter().filter(|number| **number < lowest).count() as u64;
    let (from_first, mut report) = (plan.from_first, plan.report.clone());
    report.phases.settle_us = settle_us;
    report.epoch = Epoch::new(report.epoch.get() - 1);
    drop(plan);
    checkpoint.abandon();
    drop(lock);
    Ok(Walked { report, from_first, left_over })
}

#[cfg(test)]
mod tests {
    use crate::{
        Background, Engine, Error, Expect, Keyspace, LogRetention, Registry, Request,
        base::{KeyspaceId, Row, SeqNo},
        checkpoint::{Changes, Checkpoint, Meta},
        disk::{Disk, MemoryDisk},
        engine::verify_on,
        format::names,
        state::digest::RowHasher,
    };
    use std::iter;

    const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
    const CACHE_BYTES: usize = 1 << 20;

    /// A kept log that goes on past its checkpoint.
    fn log() -> MemoryDisk {
        let disk = MemoryDisk::new();
        let builder = Engine::builder().background(Background::Manual);
        let builder = builder.log_retention(LogRetention::KeepAll);
        let engine = builder.open_on(disk.clone()).unwrap();
        for n in 0..6 {
            let request = Request::unkeyed().put(&STOCK, &n, &7, Expect::Absent);
            engine.commit(request).unwrap().committed().unwrap();
            if n == 3 {
                engine.checkpoint().unwrap();
            }
        }
        engine.close().unwrap();
        disk
    }

    /// Writes the checkpoint once more: with a row that is another, and a meta row that fits it.
    fn forge(disk: &MemoryDisk, change: impl FnOnce(&mut Row, &mut Meta)) {
        let checkpoint =
            Checkpoint::open_held(disk.open(names::CHECKPOINT).unwrap(), CACHE_BYTES).unwrap();
        checkpoint.release().unwrap();
        let reader = checkpoint.reader().unwrap();
        let (mut meta, control) = (reader.meta().clone(), reader.control().clone());
        let (keyspace, key) = (KeyspaceId::new(1), &2u64.to_be_bytes()[..]);
        let mut row = reader.record(keyspace, key).unwrap().unwrap();
        drop(reader);
        let mut hasher = RowHasher::new(meta.uuid);
        meta.digest.sub(hasher.record(keyspace, key, &row));
        change(&mut row, &mut meta);
        meta.digest.add(hasher.record(keyspace, key, &row));
        let changes = Changes {
            records: iter::once((keyspace, key, Some(&row))),
            window: iter::empty(),
            control: &control,
            upkeep: 0,
            counts: iter::empty(),
        };
        checkpoint.write(changes, &meta).unwrap();
        checkpoint.close().unwrap();
    }

    fn refusal(change: impl FnOnce(&mut Row, &mut Meta)) -> String {
        let disk = log();
        forge(&disk, change);
        match verify_on(disk, &Registry::new()) {
            Err(Error::Corruption { file, evidence, .. }) => {
                assert_eq!(file, names::CHECKPOINT);
                evidence
            }
            other => panic!("{other:?}"),
        }
    }

    /// Every row must follow from the log.
    #[test]
    fn a_checkpoint_that_the_log_does_not_lead_to_is_told() {
        let disk = log();
        forge(&disk, |_, _| ());
        assert!(verify_on(disk, &Registry::new()).unwrap().is_exact());
        let value = refusal(|row, _| row.value = vec![8].into());
        assert!(value.starts_with("its state is not what the log leads to"), "{value}");
        let seq = refusal(|_, meta| meta.applied_seq = SeqNo::new(5));
        assert!(seq.starts_with("the entry it stands at"), "{seq}");
    }
}
