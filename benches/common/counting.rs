//! A real disk that counts how often the checkpoint's file is read.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use steadfast::testing::{Disk, File, Listed, Lock, RealDisk};

#[derive(Debug)]
pub struct CountingDisk {
    pub disk: RealDisk,
    pub reads: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountingFile {
    file: Arc<dyn File>,
    reads: Arc<AtomicU64>,
}

impl CountingDisk {
    fn counted(&self, name: &str, file: Arc<dyn File>) -> Arc<dyn File> {
        if name != "checkpoint.redb" {
            return file;
        }
        Arc::new(CountingFile { file, reads: self.reads.clone() })
    }
}

impl Disk for CountingDisk {
    fn lock(&self) -> io::Result<Box<dyn Lock>> {
        self.disk.lock()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.counted(name, self.disk.create(name)?))
    }

    fn create_log(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.disk.create_log(name)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.counted(name, self.disk.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn create_dir(&self, name: &str) -> io::Result<()> {
        self.disk.create_dir(name)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<Listed>> {
        self.disk.list(folder)
    }

    fn sync_dir(&self, folder: &str) -> io::Result<()> {
        self.disk.sync_dir(folder)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }

    fn location(&self) -> String {
        self.disk.location()
    }
}

impl File for CountingFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads.fetch_add(1, Relaxed);
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(offset, bytes)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write_durably_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_durably_at(offset, bytes)
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.file.drop_cache()
    }
}
