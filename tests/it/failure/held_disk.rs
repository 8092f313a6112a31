//! A disk that hangs.

use parking_lot::{Condvar, Mutex};
use std::{io, sync::Arc};
use steadfast::testing::{Disk, File, Listed, Lock, SimDisk};

/// A disk of which some calls wait until they are told what to do.
#[derive(Clone, Debug)]
pub struct HeldDisk {
    pub inner: SimDisk,
    /// The next sync of a file whose name begins like this.
    pub sync: (&'static str, Arc<Hold>),
    /// The next write to one.
    pub write: (&'static str, Arc<Hold>),
    /// The next durable write to one.
    pub durable: (&'static str, Arc<Hold>),
}

/// Where a call stands.
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
    Waiting,
    Failing,
    GoingOn,
}

impl Hold {
    pub fn set(&self, stage: Stage) {
        *self.stage.lock() = stage;
        self.changed.notify_all();
    }

    pub fn is(&self, stage: &Stage) -> bool {
        *self.stage.lock() == *stage
    }

    pub fn await_stage(&self, wanted: &Stage) {
        let mut stage = self.stage.lock();
        while *stage != *wanted {
            self.changed.wait(&mut stage);
        }
    }

    fn call(&self) -> io::Result<()> {
        if *self.stage.lock() != Stage::Armed {
            return Ok(());
        }
        self.set(Stage::Waiting);
        let mut stage = self.stage.lock();
        while *stage == Stage::Waiting {
            self.changed.wait(&mut stage);
        }
        if *stage == Stage::Failing {
            return Err(io::Error::other("held, then failed"));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct HeldFile {
    inner: Arc<dyn File>,
    sync: Option<Arc<Hold>>,
    write: Option<Arc<Hold>>,
    durable: Option<Arc<Hold>>,
}

impl HeldDisk {
    pub fn new(inner: SimDisk) -> Self {
        let (sync, write, durable) = Default::default();
        Self { inner, sync, write, durable }
    }

    fn file(&self, name: &str, inner: Arc<dyn File>) -> Arc<dyn File> {
        let of =
            |(prefix, hold): &(&str, Arc<Hold>)| name.starts_with(prefix).then(|| hold.clone());
        let (sync, write, durable) = (of(&self.sync), of(&self.write), of(&self.durable));
        Arc::new(HeldFile { inner, sync, write, durable })
    }
}

impl Disk for HeldDisk {
    fn lock(&self) -> io::Result<Box<dyn Lock>> {
        self.inner.lock()
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.file(name, self.inner.create(name)?))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.file(name, self.inner.open(name)?))
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
        self.write.as_ref().map_or(Ok(()), |hold| hold.call())?;
        self.inner.write_at(offset, bytes)
    }
    fn write_durably_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.durable.as_ref().map_or(Ok(()), |hold| hold.call())?;
        self.write_all_at(offset, bytes)?;
        self.sync_data()
    }
    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.inner.set_len(bytes)
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn sync_data(&self) -> io::Result<()> {
        self.sync.as_ref().map_or(Ok(()), |hold| hold.call())?;
        self.inner.sync_data()
    }
    fn drop_cache(&self) -> io::Result<()> {
        self.inner.drop_cache()
    }
}
