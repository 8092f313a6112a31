//! A disk that is only memory: for engines that need not outlive their process.

use super::{
    Disk, File, Listed, Lock,
    contents::{Contents, end_of},
    folders::{Change, Folders, Inode, Node},
};
use parking_lot::{Mutex, RwLock};
use std::{collections::BTreeMap, io, sync::Arc};

/// Files in memory. Syncing does nothing, and nothing is lost before the last handle goes. A clone is another handle
/// to the same files.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    names: Arc<Mutex<Names>>,
    /// How many share the lock; [`EXCLUSIVE`] when one has it alone.
    locked: Arc<Mutex<usize>>,
}

const EXCLUSIVE: usize = usize::MAX;

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Disk for MemoryDisk {
    fn lock(&self) -> io::Result<Box<dyn Lock>> {
        let mut holders = self.locked.lock();
        if *holders != 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        *holders = EXCLUSIVE;
        Ok(Box::new(MemoryLock(Arc::clone(&self.locked))))
    }

    fn lock_shared(&self) -> io::Result<Box<dyn Lock>> {
        let mut holders = self.locked.lock();
        if *holders == EXCLUSIVE {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        *holders += 1;
        Ok(Box::new(MemoryLock(Arc::clone(&self.locked))))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut names = self.names.lock();
        let inode = names.next_inode();
        let change = names.folders.adding(name, Node::File(inode))?;
        names.folders.apply(&change);
        let file = Arc::new(MemoryFile::default());
        names.files.insert(inode, Arc::clone(&file));
        Ok(file)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let names = self.names.lock();
        let inode = names.folders.file(name)?;
        Ok(Arc::clone(&names.files[&inode]) as Arc<dyn File>)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut names = self.names.lock();
        let change = names.folders.renaming(from, to)?;
        if let Change::Rename { to, node, .. } = &change
            && let Some(replaced) = names.folders.node(to)
            && replaced != *node
        {
            names.forget(replaced);
        }
        names.folders.apply(&change);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut names = self.names.lock();
        let change = names.folders.removing(name)?;
        names.folders.apply(&change);
        if let Change::Remove { node, .. } = change {
            names.forget(node);
        }
        Ok(())
    }

    fn create_dir(&self, name: &str) -> io::Result<()> {
        let mut names = self.names.lock();
        let inode = names.next_inode();
        let change = names.folders.adding(name, Node::Folder(inode))?;
        names.folders.apply(&change);
        Ok(())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<Listed>> {
        self.names.lock().folders.list(folder)
    }

    fn sync_dir(&self, folder: &str) -> io::Result<()> {
        self.names.lock().folders.folder(folder).map(drop)
    }

    /// As if there were no end: the machine's memory is the limit.
    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX / 2)
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }
}

#[derive(Debug)]
struct Names {
    folders: Folders,
    files: BTreeMap<Inode, Arc<MemoryFile>>,
    last_inode: Inode,
}

impl Names {
    fn next_inode(&mut self) -> Inode {
        self.last_inode += 1;
        self.last_inode
    }

    /// Lets go of a file without a name; it lives on in the handles that have it open.
    fn forget(&mut self, node: Node) {
        if let Node::File(inode) = node {
            self.files.remove(&inode);
        }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self { folders: Folders::new(), files: BTreeMap::new(), last_inode: super::folders::ROOT }
    }
}

#[derive(Debug, Default)]
struct MemoryFile(RwLock<Contents>);

impl File for MemoryFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.0.read().read_at(offset, buffer))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.0.write().write_at(offset, bytes)?;
        Ok(bytes.len())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        end_of(bytes, 0)?;
        self.0.write().set_len(bytes);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.read().len())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn drop_cache(&self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryLock(Arc<Mutex<usize>>);

impl Lock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut holders = self.0.lock();
        *holders = if *holders == EXCLUSIVE { 0 } else { *holders - 1 };
    }
}
