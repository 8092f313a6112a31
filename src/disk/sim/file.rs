//! An open file of the simulated disk.

use super::{
    SimDisk,
    gate::{Effect, limit},
    state::{Lie, State},
};
use crate::disk::File;
use std::{io, sync::Arc};

#[derive(Debug)]
pub(super) struct SimFile {
    pub(super) disk: SimDisk,
    pub(super) inode: u64,
    /// Keeps a file that has lost its name.
    pub(super) _handle: Arc<()>,
}

impl File for SimFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.disk.look(|state, most| {
            let wanted = buffer.len().min(most.unwrap_or(usize::MAX));
            state.inode(self.inode).read_at(offset, &mut buffer[..wanted])
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let call =
            |state: &State| format!("write {} {offset}+{}", state.name_of(self.inode), bytes.len());
        self.disk.change(call, |state, effect| {
            let most = limit(effect)?.unwrap_or(usize::MAX);
            let taken = state.make_room(self.inode, offset, bytes.len().min(most))?;
            state.inode_mut(self.inode).write_at(offset, &bytes[..taken])?;
            Ok(taken)
        })
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let call = |state: &State| format!("set_len {} {bytes}", state.name_of(self.inode));
        self.disk.change(call, |state, effect| {
            limit(effect)?;
            state.inode_mut(self.inode).set_len(bytes)
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.disk.look(|state, _| Ok(state.inode(self.inode).len()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let call = |state: &State| format!("sync {}", state.name_of(self.inode));
        self.disk.change(call, |state, effect| {
            let inode = state.inode_mut(self.inode);
            if loses_data(effect) {
                inode.lose_pending();
            }
            limit(effect)?;
            if state.lie != Some(Lie::Files) {
                state.inode_mut(self.inode).sync();
            }
            Ok(())
        })
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.disk.look(|state, _| {
            state.inode_mut(self.inode).drop_cache();
            Ok(())
        })
    }
}

/// Whether a sync that meets this loses what it should have made durable.
fn loses_data(effect: Option<Effect>) -> bool {
    matches!(effect, Some(Effect::Error(kind)) if kind != io::ErrorKind::Interrupted)
}
