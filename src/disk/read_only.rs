//! A disk that is only looked at.

use super::{Disk, File, Listed, Lock};
use std::{io, sync::Arc};

/// Another disk, of which no byte and no name is changed: its lock is the shared one, files are opened to be read, and
/// everything that would change something fails. Syncs are made where they are allowed, since they change nothing that
/// anyone sees.
#[derive(Debug)]
pub(crate) struct ReadOnlyDisk(pub(crate) Arc<dyn Disk>);

#[derive(Debug)]
struct ReadOnlyFile(Arc<dyn File>);

fn refused<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "it was opened to be read only"))
}

/// Where nothing may be written, there may be nothing to sync either.
fn where_allowed(synced: io::Result<()>) -> io::Result<()> {
    let not_allowed = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::ReadOnlyFilesystem
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::Unsupported
        )
    };
    match synced {
        Err(error) if not_allowed(&error) => Ok(()),
        synced => synced,
    }
}

impl Disk for ReadOnlyDisk {
    fn lock(&self) -> io::Result<Box<dyn Lock>> {
        self.0.lock_shared()
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn File>> {
        refused()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(ReadOnlyFile(self.0.open_to_read(name)?)))
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        refused()
    }

    fn create_dir(&self, _: &str) -> io::Result<()> {
        refused()
    }

    fn list(&self, folder: &str) -> io::Result<Vec<Listed>> {
        self.0.list(folder)
    }

    fn sync_dir(&self, folder: &str) -> io::Result<()> {
        where_allowed(self.0.sync_dir(folder))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.0.free_bytes()
    }

    fn location(&self) -> String {
        self.0.location()
    }
}

impl File for ReadOnlyFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> io::Result<usize> {
        refused()
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        refused()
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn sync_data(&self) -> io::Result<()> {
        where_allowed(self.0.sync_data())
    }

    fn drop_cache(&self) -> io::Result<()> {
        where_allowed(self.0.drop_cache())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn nothing_is_changed_through_it() {
        let inner = MemoryDisk::new();
        inner.create_dir("folder").unwrap();
        inner.create("a").unwrap().write_all_at(0, b"a").unwrap();
        let disk = ReadOnlyDisk(Arc::new(inner.clone()));
        let _locks = [disk.lock().unwrap(), disk.lock_shared().unwrap()];
        let file = disk.open("a").unwrap();
        let mut byte = [0];
        file.read_exact_at(0, &mut byte).unwrap();
        assert_eq!((&byte, file.len().unwrap()), (b"a", 1));
        for changed in [
            disk.create("b").map(drop),
            disk.create_log("b").map(drop),
            disk.rename("a", "b"),
            disk.remove("a"),
            disk.create_dir("b"),
            file.write_all_at(0, b"b"),
            file.write_durably_at(0, b"b"),
            file.set_len(0),
        ] {
            assert_eq!(changed.unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
        }
        file.sync_data().unwrap();
        file.drop_cache().unwrap();
        disk.sync_dir("folder").unwrap();
        assert_eq!(disk.list("").unwrap(), inner.list("").unwrap());
        inner.open("a").unwrap().read_exact_at(0, &mut byte).unwrap();
        assert_eq!(&byte, b"a");
    }
}
