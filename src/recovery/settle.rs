//! The page cache is not to be trusted: after a failed sync it can show bytes that are not on the medium. So everything is
//! synced, and the cache dropped, before the first byte is believed; after a clean end, too, because the mark that tells of
//! it says nothing about what was written to the checkpoint afterwards, before the first entry.

use crate::{
    base::canary::canary,
    disk::{Disk, ListedKind},
    format::names,
};
use std::io;

/// Syncs files and folders, then asks for the cached copies to be forgotten. Changes no byte.
pub(crate) fn settle(disk: &dyn Disk) -> io::Result<()> {
    canary!(SettleSkipped => return Ok(()));
    for folder in ["", names::SEGMENTS] {
        let listed = match disk.list(folder) {
            // A folder that is missing, or none, is judged when its turn comes.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                continue;
            }
            other => other?,
        };
        for listed in listed.iter().filter(|listed| listed.kind == ListedKind::File) {
            let name = if folder.is_empty() {
                listed.name.clone()
            } else {
                format!("{folder}/{}", listed.name)
            };
            // What is not a file, or is gone, is judged when its turn comes.
            match disk.open(&name) {
                Err(error) if not_ours(&error) => {}
                other => {
                    let file = other?;
                    file.sync_data()?;
                    file.drop_cache()?;
                }
            }
        }
        disk.sync_dir(folder)?;
    }
    Ok(())
}

fn not_ours(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound)
}
