//! A directory of the operating system.
//!
//! The directory is held by descriptor and everything below it is reached from there, so a database keeps working
//! when its directory is moved, and no symbolic link below it is ever followed.
#![allow(clippy::disallowed_methods, reason = "the one place that may use the file system")]

#[cfg(target_os = "linux")]
mod direct;

use super::{Disk, File, Listed, ListedKind, Lock, name};
use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags};
use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::FileExt},
    path::{Path, PathBuf},
    sync::Arc,
};

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
compile_error!(
    "steadfast runs on Linux and macOS: elsewhere its promises about syncing and locking are not known to hold"
);

const FILE: OFlags =
    OFlags::RDWR.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// A directory of the operating system, on Linux or macOS.
#[derive(Debug)]
pub struct RealDisk {
    directory: OwnedFd,
    path: PathBuf,
}

impl RealDisk {
    /// Opens a directory, creating it (and those above it) with mode 0700 when it is missing.
    ///
    /// A symbolic link as `path` is resolved here, once.
    ///
    /// # Errors
    /// `NotADirectory` when the path is something else; `NotFound` for a link that leads nowhere; those of the system.
    pub fn open_or_create(path: &Path) -> io::Result<Self> {
        let path = match fs::canonicalize(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::symlink_metadata(path).is_ok() {
                    return Err(explain(error.kind(), path, "a symbolic link that leads nowhere"));
                }
                create_with_parents(path)?;
                fs::canonicalize(path)?
            }
            resolved => resolved?,
        };
        let disk = Self::at(path)?;
        disk.settle_name()?;
        Ok(disk)
    }

    /// Opens a directory that is there, and changes nothing.
    ///
    /// A symbolic link as `path` is resolved here, once.
    ///
    /// # Errors
    /// `NotFound` when there is none; `NotADirectory` when the path is something else; those of the system.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::at(fs::canonicalize(path)?)
    }

    fn at(path: PathBuf) -> io::Result<Self> {
        match rustix::fs::openat(CWD, &path, FOLDER, Mode::empty()) {
            Err(rustix::io::Errno::NOTDIR) => {
                Err(explain(io::ErrorKind::NotADirectory, &path, "not a directory"))
            }
            opened => Ok(Self { directory: opened?, path }),
        }
    }

    /// Makes the directory's own name durable: an earlier process may have stopped right after creating it.
    fn settle_name(&self) -> io::Result<()> {
        if !self.list("")?.is_empty() {
            return Ok(());
        }
        match sync_parent(&self.path) {
            // A parent that may not be read is not where that process created the directory.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced,
        }
    }

    /// A folder by descriptor; `""` is the directory itself.
    fn folder(&self, folder: &str) -> io::Result<OwnedFd> {
        let folder = if folder.is_empty() { "." } else { folder };
        Ok(rustix::fs::openat(&self.directory, folder, FOLDER, Mode::empty())?)
    }

    fn flock(&self, operation: FlockOperation) -> io::Result<Box<dyn Lock>> {
        // A descriptor of its own: two locks of one process have to conflict as well.
        let descriptor = self.folder("")?;
        rustix::fs::flock(&descriptor, operation)?;
        Ok(Box::new(RealLock(descriptor)))
    }

    /// Opens a plain file.
    fn plain(&self, name: &str, flags: OFlags) -> io::Result<Arc<dyn File>> {
        let (folder, leaf) = self.locate(name)?;
        // Looking before opening spares devices the side effects of being opened; looking again afterwards closes the
        // gap between the two.
        let seen = rustix::fs::statat(&folder, leaf, AtFlags::SYMLINK_NOFOLLOW)?;
        check_plain(name, &seen)?;
        let descriptor = match rustix::fs::openat(&folder, leaf, flags, Mode::empty()) {
            Err(rustix::io::Errno::LOOP) => return Err(not_plain(name, "a symbolic link")),
            opened => opened?,
        };
        check_plain(name, &rustix::fs::fstat(&descriptor)?)?;
        Ok(Arc::new(RealFile(descriptor.into())))
    }

    /// The folder of a name by descriptor, and its last part.
    fn locate<'a>(&self, name: &'a str) -> io::Result<(OwnedFd, &'a str)> {
        let (folder, leaf) = name::split(name)?;
        Ok((self.folder(folder)?, leaf))
    }
}

impl Disk for RealDisk {
    fn lock(&self) -> io::Result<Box<dyn Lock>> {
        self.flock(FlockOperation::NonBlockingLockExclusive)
    }

    fn lock_shared(&self) -> io::Result<Box<dyn Lock>> {
        self.flock(FlockOperation::NonBlockingLockShared)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let (folder, leaf) = self.locate(name)?;
        Ok(Arc::new(RealFile::create(&folder, leaf)?))
    }

    #[cfg(target_os = "linux")]
    fn create_log(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let (folder, leaf) = self.locate(name)?;
        let file = RealFile::create(&folder, leaf)?;
        Ok(match direct::Direct::open(&folder, leaf, &file.0) {
            Some(direct) => Arc::new(LogFile { file, direct }),
            None => Arc::new(file),
        })
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.plain(name, FILE)
    }

    fn open_to_read(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.plain(name, READ)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (source, from) = self.locate(from)?;
        let (target, to) = self.locate(to)?;
        Ok(rustix::fs::renameat(&source, from, &target, to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let (folder, leaf) = self.locate(name)?;
        Ok(rustix::fs::unlinkat(&folder, leaf, AtFlags::empty())?)
    }

    fn create_dir(&self, name: &str) -> io::Result<()> {
        let (folder, leaf) = self.locate(name)?;
        Ok(rustix::fs::mkdirat(&folder, leaf, Mode::RWXU)?)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<Listed>> {
        let descriptor = self.folder(name::folder(folder)?)?;
        let mut listed = Vec::new();
        for entry in Dir::read_from(&descriptor)? {
            let entry = entry?;
            let leaf = entry.file_name();
            if leaf == c"." || leaf == c".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => kind_of(&descriptor, leaf)?,
                known => known,
            };
            let name = leaf.to_string_lossy().into_owned();
            listed.push(Listed { name, kind: listed_kind(kind) });
        }
        listed.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(listed)
    }

    fn sync_dir(&self, folder: &str) -> io::Result<()> {
        fs::File::from(self.folder(name::folder(folder)?)?).sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let space = rustix::fs::fstatvfs(&self.directory)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }
}

#[derive(Debug)]
struct RealFile(fs::File);

impl RealFile {
    fn create(folder: &OwnedFd, leaf: &str) -> io::Result<Self> {
        let flags = FILE | OFlags::CREATE | OFlags::EXCL;
        Ok(Self(rustix::fs::openat(folder, leaf, flags, FILE_MODE)?.into()))
    }
}

impl File for RealFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    /// `fdatasync` on Linux, `F_FULLFSYNC` on macOS, where a plain fsync leaves the bytes in the drive's cache.
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    #[cfg(target_os = "linux")]
    fn drop_cache(&self) -> io::Result<()> {
        Ok(rustix::fs::fadvise(&self.0, 0, None, rustix::fs::Advice::DontNeed)?)
    }

    /// macOS cannot drop what it has cached, only stop caching.
    #[cfg(target_os = "macos")]
    fn drop_cache(&self) -> io::Result<()> {
        Ok(rustix::fs::fcntl_nocache(&self.0, true)?)
    }
}

/// A file with a second, faster way to write durably.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct LogFile {
    file: RealFile,
    direct: direct::Direct,
}

#[cfg(target_os = "linux")]
impl File for LogFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
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

    fn drop_cache(&self) -> io::Result<()> {
        self.file.drop_cache()
    }

    fn write_durably_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let written = self.direct.write(offset, bytes)?;
        if written == bytes.len() {
            return Ok(());
        }
        self.file.write_durably_at(offset + written as u64, &bytes[written..])
    }
}

#[derive(Debug)]
struct RealLock(OwnedFd);

impl Lock for RealLock {}

impl Drop for RealLock {
    fn drop(&mut self) {
        // Closing is not enough when a forked child still has the descriptor.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

/// Creates every missing directory of `path`, from the top down, and makes each name durable.
fn create_with_parents(path: &Path) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let missing: Vec<&Path> = path.ancestors().take_while(|path| !path.exists()).collect();
    for directory in missing.into_iter().rev() {
        match rustix::fs::mkdir(directory, Mode::RWXU) {
            Ok(()) => sync_parent(directory)?,
            // Someone else was faster.
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn check_plain(name: &str, seen: &rustix::fs::Stat) -> io::Result<()> {
    match FileType::from_raw_mode(seen.st_mode) {
        FileType::RegularFile if seen.st_nlink == 1 => Ok(()),
        FileType::RegularFile => Err(not_plain(name, "a file with more than one name (hard link)")),
        FileType::Directory => Err(not_plain(name, "a folder")),
        FileType::Symlink => Err(not_plain(name, "a symbolic link")),
        FileType::Fifo => Err(not_plain(name, "a pipe")),
        FileType::Socket => Err(not_plain(name, "a socket")),
        _ => Err(not_plain(name, "a device")),
    }
}

fn not_plain(name: &str, what: &str) -> io::Error {
    explain(io::ErrorKind::InvalidInput, Path::new(name), &format!("{what}, not a plain file"))
}

fn explain(kind: io::ErrorKind, path: &Path, what: &str) -> io::Error {
    io::Error::new(kind, format!("{}: {what}", path.display()))
}

fn kind_of(folder: &OwnedFd, leaf: &std::ffi::CStr) -> io::Result<FileType> {
    let seen = rustix::fs::statat(folder, leaf, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(seen.st_mode))
}

fn listed_kind(kind: FileType) -> ListedKind {
    match kind {
        FileType::RegularFile => ListedKind::File,
        FileType::Directory => ListedKind::Folder,
        _ => ListedKind::Other,
    }
}

#[cfg(test)]
mod tests;
