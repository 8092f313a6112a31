//! Everything a simulated disk holds: names as readers see them, names on the medium, what lies between, and files.

use super::{
    choice::{Choice, Picker},
    gate::Repeat,
    inode::Inode,
};
use crate::disk::contents::PAGE_BYTES;
use crate::disk::folders::{Change, Folders, Inode as Number, Node, Place, ROOT};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};
use xxhash_rust::xxh3::Xxh3;

#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) names: Folders,
    durable_names: Folders,
    pending_names: Vec<Pending>,
    inodes: BTreeMap<Number, Inode>,
    last_number: Number,
    pub(super) powersafe: BTreeSet<String>,
    pub(super) capacity_bytes: Option<u64>,
    /// Calls that needed room so far.
    pub(super) allocations: u64,
    /// Those of them that find none.
    pub(super) full: Vec<(u64, Repeat)>,
    pub(super) lie: Option<Lie>,
}

/// What a disk only says it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Making files durable.
    Files,
    /// Making names durable.
    Names,
}

/// A change of names that is not durable yet.
#[derive(Clone, Debug)]
struct Pending {
    change: Change,
    /// Of a move between two folders: those already synced.
    synced: Vec<Number>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            names: Folders::new(),
            durable_names: Folders::new(),
            pending_names: Vec::new(),
            inodes: BTreeMap::new(),
            last_number: ROOT,
            powersafe: BTreeSet::new(),
            capacity_bytes: None,
            allocations: 0,
            full: Vec::new(),
            lie: None,
        }
    }

    pub(super) fn create(&mut self, name: &str) -> io::Result<Number> {
        let number = self.last_number + 1;
        let change = self.names.adding(name, Node::File(number))?;
        self.allocate()?;
        self.last_number = number;
        self.inodes.insert(number, Inode::default());
        self.change(change);
        Ok(number)
    }

    pub(super) fn create_dir(&mut self, name: &str) -> io::Result<()> {
        let number = self.last_number + 1;
        let change = self.names.adding(name, Node::Folder(number))?;
        self.allocate()?;
        self.last_number = number;
        self.change(change);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let change = self.names.renaming(from, to)?;
        self.change(change);
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        let change = self.names.removing(name)?;
        self.change(change);
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, folder: &str) -> io::Result<()> {
        let number = self.names.folder(folder)?;
        if self.lie == Some(Lie::Names) {
            return Ok(());
        }
        for change in self.take_settled(number) {
            self.durable_names.apply(&change);
        }
        self.forget_unreachable();
        Ok(())
    }

    pub(super) fn inode(&self, number: Number) -> &Inode {
        &self.inodes[&number]
    }

    pub(super) fn inode_mut(&mut self, number: Number) -> &mut Inode {
        self.inodes.get_mut(&number).expect("a file that is open or named is kept")
    }

    pub(super) fn handle(&self, number: Number) -> Arc<()> {
        Arc::clone(&self.inodes[&number].handles)
    }

    /// A file of that name, made durable with its name. For tests that set a scene.
    pub(super) fn plant(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let number = match self.names.file(name) {
            Ok(number) => number,
            Err(_) => self.create(name)?,
        };
        let inode = self.inode_mut(number);
        inode.truncate(0);
        inode.write_at(0, bytes)?;
        inode.sync();
        let folder = name.split_once('/').map_or("", |(folder, _)| folder);
        self.sync_dir(folder)
    }

    /// Takes a file from the medium and from readers.
    pub(super) fn erase(&mut self, name: &str) -> io::Result<()> {
        let node = Node::File(self.names.file(name)?);
        self.names.forget(node);
        self.durable_names.forget(node);
        self.pending_names.retain(|pending| pending.change.node() != node);
        Ok(())
    }

    /// Bytes of room that is left, in whole pages.
    pub(super) fn free_bytes(&self) -> u64 {
        let Some(capacity) = self.capacity_bytes else { return u64::MAX / 2 };
        let free = capacity.saturating_sub(self.used_bytes());
        free - free % PAGE_BYTES
    }

    /// Bytes of room that files take.
    pub(super) fn used_bytes(&self) -> u64 {
        self.inodes.values().map(Inode::used_bytes).sum()
    }

    /// How many bytes of a write there is room for.
    pub(super) fn make_room(
        &mut self,
        number: Number,
        offset: u64,
        bytes: usize,
    ) -> io::Result<usize> {
        let most = self.free_bytes() / PAGE_BYTES;
        let (fresh, left_out) = self.inodes[&number].fresh_pages(offset, bytes as u64, most);
        if fresh > 0 {
            self.allocate()?;
        }
        match left_out.map(|end| end.saturating_sub(offset)) {
            Some(0) => Err(io::ErrorKind::StorageFull.into()),
            Some(taken) => Ok(usize::try_from(taken).unwrap_or(bytes).min(bytes)),
            None => Ok(bytes),
        }
    }

    /// Counts a call that needs room, and says whether it finds any.
    fn allocate(&mut self) -> io::Result<()> {
        self.allocations += 1;
        let strikes = |(call, repeat): &(u64, Repeat)| repeat.strikes(*call, self.allocations);
        if self.full.iter().any(strikes) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    pub(super) fn pending_units(&self) -> usize {
        let files = self.reachable();
        let units = files.iter().map(|number| self.inodes[number].pending_units());
        units.sum::<usize>() + self.pending_names.len()
    }

    pub(super) fn telling_units(&self) -> Vec<usize> {
        let mut telling = Vec::new();
        for number in self.reachable() {
            self.inodes[&number].telling_units(&mut telling);
        }
        telling.extend(self.pending_names.iter().map(|_| true));
        (0..telling.len()).filter(|unit| telling[*unit]).collect()
    }

    pub(super) fn digest(&self) -> u128 {
        let mut hasher = Xxh3::new();
        for listed in self.names.list("").into_iter().flatten() {
            hasher.update(listed.name.as_bytes());
            hasher.update(b"\n");
        }
        for (name, number) in self.names.files() {
            hasher.update(name.as_bytes());
            self.inodes[&number].digest(&mut hasher);
        }
        hasher.digest128()
    }

    pub(super) fn describe_pending(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for number in self.reachable() {
            self.inodes[&number].describe_pending(&self.name_of(number), &mut lines);
        }
        for pending in &self.pending_names {
            let spell = |at: &Place| self.names.spell(at);
            lines.push(match &pending.change {
                Change::Add { at, .. } => format!("create {}", spell(at)),
                Change::Remove { at, .. } => format!("remove {}", spell(at)),
                Change::Rename { from, to, .. } => format!("rename {} {}", spell(from), spell(to)),
            });
        }
        lines
    }

    /// The disk that comes up after a power cut.
    pub(super) fn after_power_cut(&self, choice: &Choice) -> Self {
        let mut picker = Picker::new(choice);
        let mut inodes = BTreeMap::new();
        for number in self.reachable() {
            let powersafe = self.powersafe.contains(&self.name_of(number));
            let inode = self.inodes[&number].after_power_cut(&mut picker, powersafe);
            inodes.insert(number, inode);
        }
        let mut names = self.durable_names.clone();
        for pending in &self.pending_names {
            if picker.name() {
                names.apply(&pending.change);
            }
        }
        names.prune();
        let mut state = Self {
            names: names.clone(),
            durable_names: names,
            pending_names: Vec::new(),
            inodes,
            last_number: self.last_number,
            powersafe: self.powersafe.clone(),
            capacity_bytes: self.capacity_bytes,
            allocations: 0,
            full: Vec::new(),
            lie: None,
        };
        state.forget_unreachable();
        state
    }

    /// A copy that no handle of this disk reaches.
    pub(super) fn fork(&self) -> Self {
        let mut state = self.clone();
        for inode in state.inodes.values_mut() {
            inode.handles = Arc::default();
        }
        state
    }

    /// The name readers know a file by.
    pub(super) fn name_of(&self, number: Number) -> String {
        let named = self.names.files().into_iter().find(|(_, file)| *file == number);
        named.map_or_else(|| format!("(unnamed {number})"), |(name, _)| name)
    }

    /// Lets go of files that neither a name nor a handle leads to.
    pub(super) fn forget_unreachable(&mut self) {
        let reachable = self.reachable();
        self.inodes.retain(|number, inode| {
            reachable.contains(number) || Arc::strong_count(&inode.handles) > 1
        });
    }

    fn change(&mut self, change: Change) {
        self.names.apply(&change);
        self.pending_names.push(Pending { change, synced: Vec::new() });
    }

    /// Takes out the pending changes that a sync of this folder settles, in order.
    ///
    /// A move between two folders is settled when both are synced, or by a later change of one of its names: no journal
    /// puts two changes of a name on the disk in the wrong order.
    fn take_settled(&mut self, folder: Number) -> Vec<Change> {
        let mut settled = vec![false; self.pending_names.len()];
        let mut names: Vec<&Place> = Vec::new();
        for (settled, pending) in settled.iter_mut().zip(&mut self.pending_names).rev() {
            let Pending { change, synced } = pending;
            if change.places().any(|at| at.folder == folder) {
                synced.push(folder);
            }
            *settled = change.places().all(|at| synced.contains(&at.folder))
                || change.places().any(|at| names.contains(&at));
            if *settled {
                names.extend(change.places());
            }
        }
        let mut taken = Vec::new();
        for (settled, pending) in settled.into_iter().zip(std::mem::take(&mut self.pending_names)) {
            if settled {
                taken.push(pending.change);
            } else {
                self.pending_names.push(pending);
            }
        }
        taken
    }

    /// Files that readers see or that a power cut could show.
    fn reachable(&self) -> BTreeSet<Number> {
        // All folders, also those whose own name is still pending.
        let named = self.names.nodes().chain(self.durable_names.nodes());
        let pending = self.pending_names.iter().map(|pending| pending.change.node());
        let files = named.chain(pending).filter_map(|node| match node {
            Node::File(number) => Some(number),
            Node::Folder(_) => None,
        });
        files.collect()
    }
}
