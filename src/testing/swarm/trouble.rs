//! What goes wrong with the disk of a run, and whether it was met.

use super::{event::Trouble, run::Run};
use crate::{
    Error, ErrorKind,
    disk::{Effect, Fault, Repeat, SimDisk},
};
use std::io;

/// Something that goes wrong, and whether it was met.
#[derive(Clone, Copy, Debug)]
pub(super) struct Struck {
    pub trouble: Trouble,
    forever: bool,
    /// The call that is the first to meet it.
    call: u64,
    met: bool,
}

impl Struck {
    /// Lets a disk fail like this.
    pub(super) fn plan(trouble: Trouble, after: u16, forever: bool, disk: &SimDisk) -> Self {
        let made = if trouble.strikes_changes() { disk.io_count() } else { disk.read_count() };
        let call = made + 1 + u64::from(after);
        let kind = |kind| Effect::Error(kind);
        let few = |bytes: u16| Effect::Short(usize::from(bytes.max(if forever { 512 } else { 1 })));
        let (effect, forever) = match trouble {
            Trouble::WriteError | Trouble::ReadError => (kind(io::ErrorKind::Other), forever),
            Trouble::Full => (kind(io::ErrorKind::StorageFull), forever),
            // A call that is interrupted for ever is made for ever.
            Trouble::WriteInterrupted | Trouble::ReadInterrupted => {
                (kind(io::ErrorKind::Interrupted), false)
            }
            Trouble::ShortWrite(bytes) | Trouble::ShortRead(bytes) => (few(bytes), forever),
            Trouble::ReadOnly => (kind(io::ErrorKind::ReadOnlyFilesystem), true),
            Trouble::Capacity(more) => {
                let used: u64 = disk.files().iter().map(|(_, bytes)| bytes).sum();
                disk.set_capacity(Some(used + u64::from(more) * 512));
                return Self { trouble, forever: true, call: u64::MAX, met: false };
            }
        };
        let repeat = if forever { Repeat::Forever } else { Repeat::Once };
        let fault = Fault { call, effect, repeat };
        if trouble.strikes_changes() {
            disk.inject(fault);
        } else {
            disk.inject_read(fault);
        }
        Self { trouble, forever, call, met: false }
    }

    /// Whether it was met for the first time just now.
    fn is_new(&mut self, disk: &SimDisk) -> bool {
        let made = if self.trouble.strikes_changes() { disk.io_count() } else { disk.read_count() };
        let new = !self.met && made >= self.call;
        self.met |= new;
        new
    }
}

impl Run {
    /// Something begins to go wrong.
    pub(super) fn begin(&mut self, trouble: Trouble, after: u16, forever: bool) {
        let struck = Struck::plan(trouble, after, forever, &self.disk);
        self.troubles.push(struck);
    }

    pub(super) fn note(&mut self, struck: &mut Struck) {
        if struck.is_new(&self.disk) {
            self.met(struck.trouble);
            let call = self.disk.trace().get(struck.call as usize - 1).cloned().unwrap_or_default();
            let lost = call.starts_with("sync ") && call.contains("failed");
            if struck.trouble.strikes_changes() && lost && !call.contains("Interrupted") {
                self.summary.failed_syncs += 1;
            }
        }
    }

    pub(super) fn met(&mut self, trouble: Trouble) {
        *self.summary.faults.entry(trouble.name()).or_default() += 1;
    }

    /// An error may say that files could not grow.
    pub(super) fn out_of_room(&mut self, error: &Error) {
        if error.kind() == ErrorKind::Io {
            return;
        }
        for place in 0..self.troubles.len() {
            let struck = &mut self.troubles[place];
            if matches!(struck.trouble, Trouble::Capacity(_)) && !struck.met {
                struck.met = true;
                let trouble = struck.trouble;
                self.met(trouble);
            }
        }
    }

    /// After a stop: what goes wrong for ever goes on.
    pub(super) fn go_on_failing(&mut self) {
        self.troubles.retain(|struck| struck.forever);
        for struck in &mut self.troubles {
            if !matches!(struck.trouble, Trouble::Capacity(_)) {
                let met = struck.met;
                *struck = Struck { met, ..Struck::plan(struck.trouble, 0, true, &self.disk) };
            }
        }
    }

    /// Ends what a hurdle began; other troubles go on.
    pub(super) fn mend(&mut self) {
        self.disk.clear_faults();
        self.disk.set_capacity(None);
        for struck in &mut self.troubles {
            let met = struck.met;
            *struck = Struck { met, ..Struck::plan(struck.trouble, 0, struck.forever, &self.disk) };
        }
    }
}
