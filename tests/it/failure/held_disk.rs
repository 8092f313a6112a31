//! A disk that hangs.

use parking_lot::{Condvar, Mutex};
use std::{io, sync::Arc};
use steadfast::testing::{Disk, File, Listed, Lock, SimDisk};

/// A disk whose next sync waits until it is told to fail.
#[derive(Clone, Debug)]
pub struct HeldDisk {
    pub inner: SimDisk,
    pub hold: Arc<Hold>,
}

/// Where that sync stands.
#[derive(Debug, Default)]
pub struct Hold {
    stage: Mutex<Stage>,
    changed: Condvar,
}

#[derive(Debug, Default, PartialEq)]
pub enum Stage {
    #[default]
    Idle,
    Armed,
    Syncing,
    Failing,
}

impl Hold {
    pub fn set(&self, stage: Stage) {
        *self.stage.lock() = stage;
        self.changed.notify_all();
    }

    pub fn await_stage(&self, wanted: &Stage) {
        let mut stage = self.stage.lock();
        while *stage != *wanted {
            self.changed.wait(&mut stage);
        }
    }

    fn sync(&self) -> io::Result<()> {
        if *self.stage.lock() != Stage::Armed {
            return Ok(());
        }
        self.set(Stage::Syncing);
        self.await_stage(&Stage::Failing);
        Err(io::Error::other("held, then failed"))
    }
}

#[derive(Debug)]
struct HeldFile {
    inner: Arc<dyn File>,
    hold: Arc<Hold>,
}

impl HeldDisk {
    fn file(&self, inner: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(HeldFile { inner, hold: self.hold.clone() })
    }
}

impl Disk for HeldDisk {
    fn lock(&self) -> io::Result<Box<dyn Lock>> {
        self.inner.lock()
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.file(self.inner.create(name)?))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.file(self.inner.open(name)?))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }
    fn create_dir(&self, name: &str) -> io::Result<()> {
        self.inner.create_dir(name)
    }
    fn list(&self, folder: &str) -> io::Result<Vec<Listed>> {
        self.inner.list(folder)
    }
    fn sync_dir(&self, folder: &str) -> io::Result<()> {
        self.inner.sync_dir(folder)
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.inner.free_bytes()
    }
    fn location(&self) -> String {
        self.inner.location()
    }
}

impl File for HeldFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write_at(offset, bytes)
    }
    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.inner.set_len(bytes)
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn sync_data(&self) -> io::Result<()> {
        self.hold.sync()?;
        self.inner.sync_data()
    }
    fn drop_cache(&self) -> io::Result<()> {
        self.inner.drop_cache()
    }
}
