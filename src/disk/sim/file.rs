//! An open file of the simulated disk.

use super::{
    SimDisk,
    gate::{Effect, limit},
    state::State,
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
            let taken = bytes.len().min(most).min(room(state, self.inode, offset));
            if taken == 0 && most > 0 && !bytes.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.inode_mut(self.inode).write_at(offset, &bytes[..taken])?;
            Ok(taken)
        })
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let call = |state: &State| format!("set_len {} {bytes}", state.name_of(self.inode));
        self.disk.change(call, |state, effect| {
            limit(effect)?;
            let len = state.inode(self.inode).len();
            if bytes.saturating_sub(len) > state.free_bytes() {
                return Err(io::ErrorKind::StorageFull.into());
            }
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
            inode.sync();
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

/// How many bytes a write at `offset` may take before the disk is full.
fn room(state: &State, inode: u64, offset: u64) -> usize {
    let end = state.inode(inode).len().saturating_add(state.free_bytes());
    usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX)
}
