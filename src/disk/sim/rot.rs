//! Damage to the medium, and looking at it from outside: none of this counts as a call or needs power.

use super::{
    SimDisk,
    inode::{Inode, SECTOR_BYTES},
};
use std::io;

/// Damage appears on the medium and to readers alike, as if nothing of it were cached; only bytes not yet synced hide it.
impl SimDisk {
    /// Turns over one bit (0 to 7) of a byte.
    ///
    /// # Errors
    /// `NotFound` when there is no such file.
    pub fn flip_bit(&self, name: &str, offset: u64, bit: u8) -> io::Result<()> {
        self.with_inode(name, |inode| {
            inode.damage(|medium| {
                let mut byte = [0];
                medium.read_at(offset, &mut byte);
                medium.patch(offset, &[byte[0] ^ 1 << (bit % 8)]);
                medium.set_len(medium.len());
            });
        })
    }

    /// Zeroes the sector of 512 bytes that holds `offset`.
    ///
    /// # Errors
    /// `NotFound` when there is no such file.
    pub fn zero_sector(&self, name: &str, offset: u64) -> io::Result<()> {
        let start = offset - offset % SECTOR_BYTES;
        self.overwrite(name, start, &[0; SECTOR_BYTES as usize])
    }

    /// Puts other bytes on the medium, as a stale, doubled or misdirected write would. What lies past the end is
    /// ignored.
    ///
    /// # Errors
    /// `NotFound` when there is no such file.
    pub fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.with_inode(name, |inode| {
            inode.damage(|medium| {
                medium.patch(offset, bytes);
                medium.set_len(medium.len());
            });
        })
    }

    /// Makes every read of the sector that holds `offset` fail.
    ///
    /// # Errors
    /// `NotFound` when there is no such file.
    pub fn make_unreadable(&self, name: &str, offset: u64) -> io::Result<()> {
        self.with_inode(name, |inode| inode.make_unreadable(offset))
    }

    /// Sets the length of a file for good, after making what was pending in it durable.
    ///
    /// # Errors
    /// `NotFound` when there is no such file.
    pub fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        self.with_inode(name, |inode| inode.truncate(len))
    }

    /// Takes a file away for good.
    ///
    /// # Errors
    /// `NotFound` when there is no such file.
    pub fn remove_file(&self, name: &str) -> io::Result<()> {
        self.machine.lock().state.erase(name)
    }

    /// Puts a file in place for good, with its name; one that is there gets these contents.
    ///
    /// # Errors
    /// `NotFound` when there is no such folder.
    pub fn plant_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.machine.lock().state.plant(name, bytes)
    }

    /// A file as readers see it.
    ///
    /// # Errors
    /// `NotFound` when there is no such file.
    pub fn read_file(&self, name: &str) -> io::Result<Vec<u8>> {
        let machine = self.machine.lock();
        Ok(machine.state.inode(machine.state.names.file(name)?).bytes())
    }

    /// Every file as readers see it, with its length.
    #[must_use]
    pub fn files(&self) -> Vec<(String, u64)> {
        let state = &self.machine.lock().state;
        let named = state.names.files().into_iter();
        named.map(|(name, inode)| (name, state.inode(inode).len())).collect()
    }

    fn with_inode(&self, name: &str, act: impl FnOnce(&mut Inode)) -> io::Result<()> {
        let state = &mut self.machine.lock().state;
        let inode = state.names.file(name)?;
        act(state.inode_mut(inode));
        Ok(())
    }
}
