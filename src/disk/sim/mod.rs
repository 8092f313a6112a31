//! A machine for tests: a disk that loses what was not synced, fails when told to, and does the same for the same seed.
//!
//! The disk holds a durable image and everything done since it was last synced. [`SimDisk::after_power_cut`] gives the
//! disk that comes up when some of that was lost; [`SimDisk::after_kill`] the one a killed process leaves behind.

mod allocated;
mod choice;
mod file;
mod gate;
mod inode;
mod machine;
mod rng;
mod rot;
mod state;

#[cfg(test)]
mod tests;

pub use choice::Choice;
pub use gate::{Effect, Fault, Repeat, is_power_off};
pub use machine::{SimClock, SimEntropy};
pub use state::Lie;

use super::{Disk, File, Listed, Lock};
use file::SimFile;
use gate::{Gate, limit};
use parking_lot::Mutex;
use state::State;
use std::{io, sync::Arc};

/// A disk that can lose its power. A clone is another handle to the same disk; see [`snapshot`](Self::snapshot) for a copy.
#[derive(Clone, Debug)]
pub struct SimDisk {
    machine: Arc<Mutex<Machine>>,
}

#[derive(Debug)]
struct Machine {
    state: State,
    gate: Gate,
    held: Held,
}

/// Who holds the lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Held {
    #[default]
    Free,
    Exclusively,
    /// By so many.
    Shared(usize),
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::from_parts(State::new(), Gate::default())
    }

    /// A copy of everything: files, what is pending, counters and planned faults. Only the trace starts empty, and no one
    /// holds its lock. Costs little, whatever the files hold.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let machine = self.machine.lock();
        let Gate { changes, reads, crash_at, off, ref faults, ref read_faults, .. } = machine.gate;
        let (faults, read_faults) = (faults.clone(), read_faults.clone());
        let gate = Gate { changes, reads, crash_at, off, faults, read_faults, trace: Vec::new() };
        Self::from_parts(machine.state.fork(), gate)
    }

    /// The disk that comes up after a power cut: powered on, unlocked, without faults, its counters at 0, and with nothing
    /// pending. This one stays as it is.
    #[must_use]
    pub fn after_power_cut(&self, choice: &Choice) -> Self {
        Self::from_parts(self.machine.lock().state.after_power_cut(choice), Gate::default())
    }

    /// The disk that a killed process leaves behind: as after a power cut, but what was pending is still there, and
    /// pending.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let mut state = self.machine.lock().state.fork();
        state.forget_unreachable();
        (state.allocations, state.full) = (0, Vec::new());
        Self::from_parts(state, Gate::default())
    }

    /// How many units a power cut could take on their own right now; see [`Choice`].
    #[must_use]
    pub fn pending_units(&self) -> usize {
        self.machine.lock().state.pending_units()
    }

    /// The pending units in the order of their numbers, in words, for messages.
    #[must_use]
    pub fn describe_pending(&self) -> Vec<String> {
        self.machine.lock().state.describe_pending()
    }

    /// The numbers of those pending units that would change the medium: a sector written with what it held before would
    /// not. Keeping or losing the others makes no difference.
    #[must_use]
    pub fn telling_units(&self) -> Vec<usize> {
        self.machine.lock().state.telling_units()
    }

    /// Names, lengths and bytes as readers see them, as one number.
    #[must_use]
    pub fn digest(&self) -> u128 {
        self.machine.lock().state.digest()
    }

    /// How many calls that change something have been made: `write_at`, `set_len`, `sync_data`, `create`, `rename`, `remove`,
    /// `create_dir`, `sync_dir`. Failed ones count; those without power do not.
    #[must_use]
    pub fn io_count(&self) -> u64 {
        self.machine.lock().gate.changes
    }

    /// How many other calls of [`Disk`] and [`File`] have been made. Taking the lock is not counted.
    #[must_use]
    pub fn read_count(&self) -> u64 {
        self.machine.lock().gate.reads
    }

    /// Cuts the power right before the `call`-th changing call (counted from 1, see [`io_count`](Self::io_count)): that call
    /// does nothing, and it and every later call of any kind fail with an error that [`is_power_off`] knows.
    pub fn crash_at(&self, call: u64) {
        self.machine.lock().gate.crash_at = Some(call);
    }

    /// Whether the power is off.
    #[must_use]
    pub fn powered_off(&self) -> bool {
        self.machine.lock().gate.off
    }

    /// Plans a failure of a changing call. Of several that strike at one call the first planned wins.
    pub fn inject(&self, fault: Fault) {
        self.machine.lock().gate.faults.push(fault);
    }

    /// Plans a failure of another call; see [`read_count`](Self::read_count) for which these are.
    pub fn inject_read(&self, fault: Fault) {
        self.machine.lock().gate.read_faults.push(fault);
    }

    /// Plans an error at the `call`-th changing call, counted from 1.
    pub fn fail_call(&self, call: u64, kind: io::ErrorKind, repeat: Repeat) {
        self.inject(Fault { call, effect: Effect::Error(kind), repeat });
    }

    /// Plans an error at the `call`-th other call, counted from 1.
    pub fn fail_read(&self, call: u64, kind: io::ErrorKind, repeat: Repeat) {
        self.inject_read(Fault { call, effect: Effect::Error(kind), repeat });
    }

    /// How many calls have needed room: those that create a file or a folder, and writes to pages of a file (4 KiB) that
    /// were never written before. As on a file system that writes in place, nothing else does: neither a write over what is
    /// there, nor a sync, a rename, a removal, or a length that grows.
    #[must_use]
    pub fn allocation_count(&self) -> u64 {
        self.machine.lock().state.allocations
    }

    /// Lets the `allocation`-th call that needs room find none, counted from 1; see
    /// [`allocation_count`](Self::allocation_count).
    pub fn fill_up_at(&self, allocation: u64, repeat: Repeat) {
        self.machine.lock().state.full.push((allocation, repeat));
    }

    /// Forgets all planned failures.
    pub fn clear_faults(&self) {
        let Machine { state, gate, .. } = &mut *self.machine.lock();
        gate.faults.clear();
        gate.read_faults.clear();
        state.full.clear();
    }

    /// Bytes of room that files take: their pages (4 KiB) that were ever written.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.machine.lock().state.used_bytes()
    }

    /// Lets files take no more room than this; see [`used_bytes`](Self::used_bytes). A write at the limit is cut short
    /// first and then fails with `StorageFull`.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.machine.lock().state.capacity_bytes = bytes;
    }

    /// Lets a seeded power cut leave alone bytes of this file that no write touched: each of its sectors is then old, new,
    /// an earlier version, or new up to some byte, but never zeroed or garbage. Stores that update part of a sector in
    /// place, redb among them, need a medium like that.
    pub fn assume_powersafe(&self, name: &str) {
        self.machine.lock().state.powersafe.insert(name.to_owned());
    }

    /// Lets syncs of one kind succeed without doing anything, until the power is cut: what a store must not survive
    /// unnoticed by its tests.
    pub fn lie(&self, lie: Lie) {
        self.machine.lock().state.lie = Some(lie);
    }

    /// The changing calls so far, in words: offsets and lengths, never contents.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.machine.lock().gate.trace.clone()
    }

    /// Empties the trace.
    pub fn clear_trace(&self) {
        self.machine.lock().gate.trace.clear();
    }

    fn from_parts(state: State, gate: Gate) -> Self {
        Self { machine: Arc::new(Mutex::new(Machine { state, gate, held: Held::Free })) }
    }

    /// Makes a changing call: `act` gets what a planned fault wants of it.
    fn change<T>(
        &self,
        call: impl FnOnce(&State) -> String,
        act: impl FnOnce(&mut State, Option<Effect>) -> io::Result<T>,
    ) -> io::Result<T> {
        let Machine { state, gate, .. } = &mut *self.machine.lock();
        let effect = gate.change()?;
        let call = call(state);
        let result = act(state, effect);
        gate.record(call, result.as_ref().err().map(io::Error::kind));
        result
    }

    /// Makes any other call: `look` gets the most bytes it may read.
    fn look<T>(
        &self,
        look: impl FnOnce(&mut State, Option<usize>) -> io::Result<T>,
    ) -> io::Result<T> {
        let Machine { state, gate, .. } = &mut *self.machine.lock();
        let most = gate.read()?;
        look(state, most)
    }

    fn file(&self, state: &State, inode: u64) -> Arc<dyn File> {
        Arc::new(SimFile { disk: self.clone(), inode, _handle: state.handle(inode) })
    }
}

impl Disk for SimDisk {
    fn lock(&self) -> io::Result<Box<dyn Lock>> {
        let mut machine = self.machine.lock();
        machine.gate.power()?;
        if machine.held != Held::Free {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        machine.held = Held::Exclusively;
        Ok(Box::new(SimLock(self.clone())))
    }

    fn lock_shared(&self) -> io::Result<Box<dyn Lock>> {
        let mut machine = self.machine.lock();
        machine.gate.power()?;
        machine.held = match machine.held {
            Held::Free => Held::Shared(1),
            Held::Shared(others) => Held::Shared(others + 1),
            Held::Exclusively => return Err(io::ErrorKind::WouldBlock.into()),
        };
        Ok(Box::new(SimLock(self.clone())))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let call = |_: &State| format!("create {name}");
        self.change(call, |state, effect| {
            limit(effect)?;
            let inode = state.create(name)?;
            Ok(self.file(state, inode))
        })
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.look(|state, _| {
            let inode = state.names.file(name)?;
            Ok(self.file(state, inode))
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let call = |_: &State| format!("rename {from} {to}");
        self.change(call, |state, effect| {
            limit(effect)?;
            state.rename(from, to)
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let call = |_: &State| format!("remove {name}");
        self.change(call, |state, effect| {
            limit(effect)?;
            state.remove(name)
        })
    }

    fn create_dir(&self, name: &str) -> io::Result<()> {
        let call = |_: &State| format!("create_dir {name}");
        self.change(call, |state, effect| {
            limit(effect)?;
            state.create_dir(name)
        })
    }

    fn list(&self, folder: &str) -> io::Result<Vec<Listed>> {
        self.look(|state, _| state.names.list(folder))
    }

    fn sync_dir(&self, folder: &str) -> io::Result<()> {
        let call = |_: &State| format!("sync_dir {}", if folder.is_empty() { "." } else { folder });
        self.change(call, |state, effect| {
            limit(effect)?;
            state.sync_dir(folder)
        })
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.look(|state, _| Ok(state.free_bytes()))
    }

    fn location(&self) -> String {
        "simulated disk".to_owned()
    }
}

#[derive(Debug)]
struct SimLock(SimDisk);

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut machine = self.0.machine.lock();
        machine.held = match machine.held {
            Held::Shared(others) if others > 1 => Held::Shared(others - 1),
            _ => Held::Free,
        };
    }
}
