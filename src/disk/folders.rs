//! The names of a disk in memory, with the rules and errors of a file system.
//!
//! Names lead to numbers (inodes), so that a rename moves a name and never bytes. A change is a value: the plain
//! memory disk applies it at once, the simulated one also keeps it until the folder is synced.

use super::{Listed, ListedKind, name};
use std::{collections::BTreeMap, io};

/// The number of a file or folder, never reused.
pub(super) type Inode = u64;

/// The directory itself.
pub(super) const ROOT: Inode = 0;

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// A file.
    File(Inode),
    /// A folder.
    Folder(Inode),
}

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) folder: Inode,
    pub(super) leaf: String,
}

/// One change of names.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// A new name.
    Add { at: Place, node: Node },
    /// A name goes.
    Remove { at: Place, node: Node },
    /// A name moves, replacing what was there.
    Rename { from: Place, to: Place, node: Node },
}

impl Change {
    /// The names it touches.
    #[cfg(feature = "testing")]
    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        let (first, second) = match self {
            Self::Add { at, .. } | Self::Remove { at, .. } => (at, None),
            Self::Rename { from, to, .. } => (from, Some(to)),
        };
        std::iter::once(first).chain(second)
    }

    /// What it moves.
    #[cfg(feature = "testing")]
    pub(super) fn node(&self) -> Node {
        match self {
            Self::Add { node, .. } | Self::Remove { node, .. } | Self::Rename { node, .. } => *node,
        }
    }
}

/// All names of a disk.
#[derive(Clone, Debug)]
pub(super) struct Folders(BTreeMap<Inode, BTreeMap<String, Node>>);

impl Folders {
    /// One empty directory.
    pub(super) fn new() -> Self {
        Self(BTreeMap::from([(ROOT, BTreeMap::new())]))
    }

    /// The change that gives `node` a name.
    pub(super) fn adding(&self, name: &str, node: Node) -> io::Result<Change> {
        let at = self.place(name)?;
        if self.node(&at).is_some() {
            return Err(error(io::ErrorKind::AlreadyExists, name, "there is one already"));
        }
        Ok(Change::Add { at, node })
    }

    /// The change that removes a file's name.
    pub(super) fn removing(&self, name: &str) -> io::Result<Change> {
        let at = self.place(name)?;
        let node = self.movable(&at, name)?;
        Ok(Change::Remove { at, node })
    }

    /// The change that moves a file's name.
    pub(super) fn renaming(&self, from: &str, to: &str) -> io::Result<Change> {
        let (source, target) = (self.place(from)?, self.place(to)?);
        let node = self.movable(&source, from)?;
        if let Some(Node::Folder(_)) = self.node(&target) {
            return Err(error(io::ErrorKind::IsADirectory, to, "it is a folder"));
        }
        Ok(Change::Rename { from: source, to: target, node })
    }

    /// Makes a change. What it moves or removes has to be there, else nothing happens: after a power cut an earlier
    /// change may be missing.
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Add { at, node } => self.insert(at, *node),
            Change::Remove { at, node } => {
                self.take(at, *node);
            }
            Change::Rename { from, to, node } => {
                if self.take(from, *node) {
                    self.insert(to, *node);
                }
            }
        }
    }

    /// The file of that name.
    pub(super) fn file(&self, name: &str) -> io::Result<Inode> {
        match self.node(&self.place(name)?) {
            Some(Node::File(inode)) => Ok(inode),
            Some(Node::Folder(_)) => {
                Err(error(io::ErrorKind::InvalidInput, name, "it is a folder, not a plain file"))
            }
            None => Err(error(io::ErrorKind::NotFound, name, "there is none")),
        }
    }

    /// The folder of that name.
    pub(super) fn folder(&self, folder: &str) -> io::Result<Inode> {
        let leaf = name::folder(folder)?;
        if leaf.is_empty() {
            return Ok(ROOT);
        }
        match self.node(&Place { folder: ROOT, leaf: leaf.to_owned() }) {
            Some(Node::Folder(inode)) => Ok(inode),
            Some(Node::File(_)) => {
                Err(error(io::ErrorKind::NotADirectory, folder, "it is not a folder"))
            }
            None => Err(error(io::ErrorKind::NotFound, folder, "there is none")),
        }
    }

    /// What a folder holds, sorted.
    pub(super) fn list(&self, folder: &str) -> io::Result<Vec<Listed>> {
        let inode = self.folder(folder)?;
        let names = self.0.get(&inode).into_iter().flatten();
        Ok(names.map(|(name, node)| Listed { name: name.clone(), kind: kind(*node) }).collect())
    }

    /// What a place holds.
    pub(super) fn node(&self, at: &Place) -> Option<Node> {
        self.0.get(&at.folder)?.get(&at.leaf).copied()
    }

    /// Every file with its whole name, folder by folder.
    #[cfg(feature = "testing")]
    pub(super) fn files(&self) -> Vec<(String, Inode)> {
        let mut found = Vec::new();
        for (leaf, node) in &self.0[&ROOT] {
            match node {
                Node::File(inode) => found.push((leaf.clone(), *inode)),
                Node::Folder(inode) => {
                    for (inner, node) in self.0.get(inode).into_iter().flatten() {
                        if let Node::File(file) = node {
                            found.push((format!("{leaf}/{inner}"), *file));
                        }
                    }
                }
            }
        }
        found
    }

    /// Everything that has a name, in every folder.
    #[cfg(feature = "testing")]
    pub(super) fn nodes(&self) -> impl Iterator<Item = Node> {
        self.0.values().flat_map(|names| names.values().copied())
    }

    /// The whole name of a place, for messages.
    #[cfg(feature = "testing")]
    pub(super) fn spell(&self, at: &Place) -> String {
        let folders = self.0.get(&ROOT).into_iter().flatten();
        match folders.into_iter().find(|(_, node)| **node == Node::Folder(at.folder)) {
            Some((folder, _)) => format!("{folder}/{}", at.leaf),
            None => at.leaf.clone(),
        }
    }

    /// Takes every name that leads to `node`.
    #[cfg(feature = "testing")]
    pub(super) fn forget(&mut self, node: Node) {
        for names in self.0.values_mut() {
            names.retain(|_, named| *named != node);
        }
    }

    /// Forgets folders that no name leads to.
    #[cfg(feature = "testing")]
    pub(super) fn prune(&mut self) {
        let named: Vec<Node> = self.0[&ROOT].values().copied().collect();
        self.0.retain(|inode, _| *inode == ROOT || named.contains(&Node::Folder(*inode)));
    }

    fn place(&self, name: &str) -> io::Result<Place> {
        let (folder, leaf) = name::split(name)?;
        Ok(Place { folder: self.folder(folder)?, leaf: leaf.to_owned() })
    }

    fn movable(&self, at: &Place, name: &str) -> io::Result<Node> {
        match self.node(at) {
            Some(node @ Node::File(_)) => Ok(node),
            Some(Node::Folder(_)) => {
                Err(error(io::ErrorKind::IsADirectory, name, "it is a folder"))
            }
            None => Err(error(io::ErrorKind::NotFound, name, "there is none")),
        }
    }

    fn insert(&mut self, at: &Place, node: Node) {
        self.0.entry(at.folder).or_default().insert(at.leaf.clone(), node);
    }

    fn take(&mut self, at: &Place, node: Node) -> bool {
        let found = self.node(at) == Some(node);
        if found && let Some(names) = self.0.get_mut(&at.folder) {
            names.remove(&at.leaf);
        }
        found
    }
}

fn kind(node: Node) -> ListedKind {
    match node {
        Node::File(_) => ListedKind::File,
        Node::Folder(_) => ListedKind::Folder,
    }
}

fn error(kind: io::ErrorKind, name: &str, what: &str) -> io::Error {
    io::Error::new(kind, format!("{name}: {what}"))
}
