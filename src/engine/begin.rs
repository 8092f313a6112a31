//! The mark of a clean end goes before anybody is shown what is not durable yet: with the mark still there, the next opening
//! would give the very numbers to others that a crash takes.

use super::{core::Core, error::Error};
use crate::base::{canary::canary, sync::atomic::Ordering};

impl Core {
    /// Sees to it that after a crash no number is given again that is shown from now on. Syncs, once in the life of an engine;
    /// false when it takes no more writes, so that there is nothing to show.
    pub(super) fn begin(&self) -> Result<bool, Error> {
        canary!(ShownBeforeUnmarked => return Ok(true));
        if self.begun.load(Ordering::Acquire) {
            return Ok(true);
        }
        let mut writer = self.writer.lock();
        {
            let sequencer = self.sequencer.lock();
            if sequencer.closed || sequencer.poison.is_some() || self.options.read_only {
                return Ok(false);
            }
        }
        let unmarked = writer.unmark_clean();
        drop(writer);
        unmarked.map_err(|source| {
            self.stop_writes(format!("removing the mark of a clean end failed: {source}"))
        })?;
        self.begun.store(true, Ordering::Release);
        Ok(true)
    }
}
