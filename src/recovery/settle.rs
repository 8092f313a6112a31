//! After an unclean end the page cache is not to be trusted: after a failed sync it can show bytes that are not on the
//! medium. So everything is synced, and the cache dropped, before the first byte is believed.

use crate::{
    disk::{Disk, ListedKind},
    format::names,
};
use std::io;

/// Syncs files and folders, then asks for the cached copies to be forgotten. Changes no byte.
pub(crate) fn settle(disk: &dyn Disk) -> io::Result<()> {
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
            // A file that can't be opened is judged when its turn comes.
            if let Ok(file) = disk.open(&name) {
                file.sync_data()?;
                file.drop_cache()?;
            }
        }
        disk.sync_dir(folder)?;
    }
    Ok(())
}
