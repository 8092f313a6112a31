//! What an engine shows, held against the model.

use super::{
    super::laws::{Breach, Law},
    Model, NUMBERS, OTHERS, key_of,
    records::records_of,
};
use crate::{Engine, Error, Snapshot};

impl Model {
    /// Compares the records an engine shows with those it must show.
    ///
    /// # Errors
    /// Where they differ, or what went wrong while reading.
    pub fn compare(&self, engine: &Engine) -> Result<(), Breach> {
        self.compare_snapshot(&engine.snapshot())
    }

    /// Compares the records of a snapshot with those it must show.
    ///
    /// # Errors
    /// Where they differ, or what went wrong while reading.
    pub fn compare_snapshot(&self, snapshot: &Snapshot) -> Result<(), Breach> {
        let failed = |error: Error| Breach::new(Law::Healing, format!("reading: {error}"));
        let seen = records_of(snapshot).map_err(failed)?;
        if seen != self.records {
            let what = format!("the records are {seen:?} instead of {:?}", self.records);
            return Err(Breach::loss(Law::Prefix, what));
        }
        let counted =
            snapshot.len(&NUMBERS).map_err(failed)? + snapshot.len(&OTHERS).map_err(failed)?;
        if counted != seen.len() as u64 {
            let what = format!("{counted} records are counted where there are {}", seen.len());
            return Err(Breach::new(Law::Prefix, what));
        }
        Ok(())
    }

    /// Compares what an engine remembers, and whether it takes writes, with what it must: how many outcomes whole, how many as
    /// stubs, and up to when all is forgotten. Nothing may be on its way to the disk.
    ///
    /// # Errors
    /// Where they differ.
    pub fn compare_memory(&self, engine: &Engine) -> Result<(), Breach> {
        self.compare_window(engine)?;
        match engine.mode() {
            Ok(mode) if mode == self.mode => Ok(()),
            Ok(mode) => {
                let what = format!("the mode is {mode:?} instead of {:?}", self.mode);
                Err(Breach::loss(Law::Prefix, what))
            }
            Err(error) => Err(Breach::new(Law::Healing, format!("asking for the mode: {error}"))),
        }
    }

    /// Compares what is remembered, after the last entry that was handed in.
    ///
    /// # Errors
    /// Where it differs.
    pub fn compare_window(&self, engine: &Engine) -> Result<(), Breach> {
        let window = engine.window();
        let seen = (window.outcomes, window.stubs, window.horizon);
        let ((whole, stubs), horizon) = (self.memory.counts(), self.memory.horizon);
        if seen == (whole, stubs, horizon) {
            return Ok(());
        }
        let due = (whole, stubs, horizon);
        let what = format!("whole, stubs and horizon are {seen:?} instead of {due:?}");
        Err(Breach::new(Law::Once, what))
    }

    /// Compares what an engine says that keys stand for with what they do.
    ///
    /// # Errors
    /// Where they differ, or what went wrong while asking.
    pub fn compare_statuses(
        &self,
        engine: &Engine,
        names: impl IntoIterator<Item = u64>,
    ) -> Result<(), Breach> {
        for name in names {
            let failed =
                |error: Error| Breach::new(Law::Healing, format!("resolving {name}: {error}"));
            let status = engine.resolve(&key_of(name)).map_err(failed)?;
            let due = self.status(name);
            if !due.is(&status) {
                let what = format!("name {name} stands for {status:?}, not for {due:?}");
                return Err(Breach::new(Law::Once, what));
            }
        }
        Ok(())
    }
}
