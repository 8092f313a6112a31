//! What goes wrong with the disk of a run, and whether it was met.

use super::{machine::Trouble, run::Run};
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
        let call = calls(trouble, disk) + 1 + u64::from(after);
        let kind = |kind| Effect::Error(kind);
        let few = |bytes: u16| Effect::Short(usize::from(bytes.max(if forever { 512 } else { 1 })));
        let repeat = |forever| if forever { Repeat::Forever } else { Repeat::Once };
        let (effect, forever) = match trouble {
            Trouble::WriteError | Trouble::ReadError => (kind(io::ErrorKind::Other), forever),
            Trouble::Full => {
                disk.fill_up_at(call, repeat(forever));
                return Self { trouble, forever, call, met: false };
            }
            // A call that is interrupted for ever is made for ever.
            Trouble::WriteInterrupted | Trouble::ReadInterrupted => {
                (kind(io::ErrorKind::Interrupted), false)
            }
            Trouble::ShortWrite(bytes) | Trouble::ShortRead(bytes) => (few(bytes), forever),
            Trouble::ReadOnly => (kind(io::ErrorKind::ReadOnlyFilesystem), true),
            Trouble::Capacity(more) => {
                disk.set_capacity(Some(disk.used_bytes() + u64::from(more) * 512));
                return Self { trouble, forever: true, call: u64::MAX, met: false };
            }
        };
        let fault = Fault { call, effect, repeat: repeat(forever) };
        if trouble.strikes_changes() {
            disk.inject(fault);
        } else {
            disk.inject_read(fault);
        }
        Self { trouble, forever, call, met: false }
    }

    /// Whether it was met for the first time just now.
    fn is_new(&mut self, disk: &SimDisk) -> bool {
        let new = !self.met && calls(self.trouble, disk) >= self.call;
        self.met |= new;
        new
    }
}

/// How many calls of the kind that a trouble strikes have been made.
fn calls(trouble: Trouble, disk: &SimDisk) -> u64 {
    match trouble {
        Trouble::Full => disk.allocation_count(),
        trouble if trouble.strikes_changes() => disk.io_count(),
        _ => disk.read_count(),
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
            if struck.trouble == Trouble::Full {
                return;
            }
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

    /// Whether all that goes wrong is that there is no room.
    pub(super) fn only_wants_room(&self) -> bool {
        let wants_room = |struck: &Struck| struck.trouble.is_want_of_room();
        !self.disk.powered_off() && self.troubles.iter().all(wants_room)
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
