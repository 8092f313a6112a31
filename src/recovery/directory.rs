//! What a directory is before anything in it is trusted: ours, new, half-created or somebody else's.

use super::error::OpenError;
#[cfg(feature = "testing")]
use crate::log::{Position, writer::Writer};
use crate::{
    base::{Epoch, LogTime, SeqNo},
    checkpoint::{Checkpoint, CheckpointError, Meta},
    disk::{Disk, Entropy, File, Listed, ListedKind, remove_if_there},
    format::{
        BLOCK, VERSION,
        clean::{self, Clean},
        identity::{self, Identity},
        names,
        segment::DATA,
    },
    log::segments,
    state::digest::{self, StateDigest},
};
#[cfg(feature = "testing")]
use std::collections::BTreeMap;
use std::{io, sync::Arc};

/// Length of the first segment of all, which holds no groups: its absence shows that the log was removed.
pub(super) const GENESIS_BYTES: u64 = DATA + BLOCK;

/// The number and the time after which a database begins: 0, but for tests of what happens near their ends.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beginning {
    pub seq: SeqNo,
    pub time: LogTime,
}

/// A directory whose identity is known.
#[derive(Debug)]
pub(crate) struct Directory {
    pub identity: Identity,
    pub clean: Option<Clean>,
    pub created: bool,
}

/// Finds out what the directory is; makes a database in an empty or half-created one.
pub(crate) fn identify(
    disk: &dyn Disk,
    entropy: &dyn Entropy,
    cache_bytes: usize,
) -> Result<Directory, OpenError> {
    if let Some(directory) = find(disk, cache_bytes)? {
        return Ok(directory);
    }
    let identity = create(disk, entropy, cache_bytes)?;
    Ok(Directory { identity, clean: None, created: true })
}

/// Finds a database that is there.
pub(crate) fn identify_existing(
    disk: &dyn Disk,
    cache_bytes: usize,
) -> Result<Directory, OpenError> {
    find(disk, cache_bytes)?.ok_or_else(|| {
        let what = "it is empty, or the creation of one in it did not finish".into();
        OpenError::NotADatabase { what }
    })
}

/// Finds out what the directory is; nothing when it is an empty or half-created one.
fn find(disk: &dyn Disk, cache_bytes: usize) -> Result<Option<Directory>, OpenError> {
    let listed = disk.list("").map_err(OpenError::io("listing the directory"))?;
    if listed.iter().any(|listed| listed.name == names::IDENTITY) {
        let identity = read_identity(disk)?;
        check_unfinished(&listed)?;
        let clean = read_clean(disk, identity.uuid, &listed)?;
        return Ok(Some(Directory { identity, clean, created: false }));
    }
    check_half_created(disk, &listed, cache_bytes)?;
    Ok(None)
}

/// What was left unfinished is removed later, when it would be too late to refuse it.
fn check_unfinished(listed: &[Listed]) -> Result<(), OpenError> {
    let unfinished = [names::IDENTITY_NEW, names::CLEAN_NEW];
    let is_odd = |listed: &&Listed| {
        unfinished.contains(&listed.name.as_str()) && listed.kind != ListedKind::File
    };
    match listed.iter().find(is_odd) {
        Some(listed) => Err(OpenError::corrupt(&listed.name, "it is not a plain file")),
        None => Ok(()),
    }
}

fn read_identity(disk: &dyn Disk) -> Result<Identity, OpenError> {
    let bytes = read_small(disk, names::IDENTITY, identity::BYTES)?;
    let identity = Identity::decode(&bytes)
        .ok_or_else(|| OpenError::corrupt(names::IDENTITY, "its bytes do not verify"))?;
    if identity.version != VERSION {
        let file = names::IDENTITY.into();
        return Err(OpenError::UnsupportedFormat { file, version: identity.version });
    }
    Ok(identity)
}

pub(super) fn read_clean(
    disk: &dyn Disk,
    uuid: u128,
    listed: &[Listed],
) -> Result<Option<Clean>, OpenError> {
    if !listed.iter().any(|listed| listed.name == names::CLEAN) {
        return Ok(None);
    }
    let bytes = read_small(disk, names::CLEAN, clean::BYTES)?;
    match Clean::decode(&bytes) {
        Some(clean) if clean.uuid == uuid => Ok(Some(clean)),
        Some(_) => Err(OpenError::corrupt(names::CLEAN, "it belongs to another database")),
        None => Err(OpenError::corrupt(names::CLEAN, "its bytes do not verify")),
    }
}

fn read_small(disk: &dyn Disk, name: &str, bytes: usize) -> Result<Vec<u8>, OpenError> {
    let file = open(disk, name)?;
    let io = || OpenError::io(format!("reading {name}"));
    let length = file.len().map_err(io())?;
    if length != bytes as u64 {
        return Err(OpenError::corrupt(name, format!("it has {length} bytes instead of {bytes}")));
    }
    let mut buffer = vec![0; bytes];
    file.read_exact_at(0, &mut buffer).map_err(io())?;
    Ok(buffer)
}

/// Opens a file of ours; one that is not a plain file with one name is damage.
pub(crate) fn open(disk: &dyn Disk, name: &str) -> Result<Arc<dyn File>, OpenError> {
    disk.open(name).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => OpenError::corrupt(name, "the file is missing"),
        io::ErrorKind::InvalidInput => OpenError::corrupt(name, error.to_string()),
        _ => OpenError::io(format!("opening {name}"))(error),
    })
}

/// Without an identity, only what a creation leaves behind may be there, and no entry of a log.
fn check_half_created(
    disk: &dyn Disk,
    listed: &[Listed],
    cache_bytes: usize,
) -> Result<(), OpenError> {
    for Listed { name, kind } in listed {
        let ours = match name.as_str() {
            names::SEGMENTS => *kind == ListedKind::Folder,
            names::CHECKPOINT | names::IDENTITY_NEW => *kind == ListedKind::File,
            names::CLEAN if listed.iter().any(|listed| listed.name == names::SEGMENTS) => {
                let what = "the file is missing, and the database was closed once";
                return Err(OpenError::corrupt(names::IDENTITY, what));
            }
            _ => false,
        };
        if !ours {
            let what = format!("it holds {name:?} and no {}", names::IDENTITY);
            return Err(OpenError::NotADatabase { what });
        }
    }
    if listed.iter().any(|listed| listed.name == names::CHECKPOINT) {
        check_empty_checkpoint(disk, cache_bytes)?;
    }
    if !listed.iter().any(|listed| listed.name == names::SEGMENTS) {
        // A creation makes the folder first.
        return match listed.iter().find(|listed| listed.name == names::CHECKPOINT) {
            Some(_) => {
                let what = format!("it holds {:?} alone", names::CHECKPOINT);
                Err(OpenError::NotADatabase { what })
            }
            None => Ok(()),
        };
    }
    let segments = list_segments(disk)?;
    let foreign = segments.foreign.first().map(|name| format!("{}/{name}", names::SEGMENTS));
    let odd = segments.odd.first().map(|&number| names::segment(number));
    if let Some(name) = foreign.or(odd) {
        let what = format!("it holds {name:?} and no {}", names::IDENTITY);
        return Err(OpenError::NotADatabase { what });
    }
    if segments.named.iter().any(|&number| number > 1) {
        return Err(OpenError::corrupt(names::IDENTITY, "the file is missing, and there is a log"));
    }
    Ok(())
}

/// An unfinished creation leaves a checkpoint without an entry, or one that is not whole.
fn check_empty_checkpoint(disk: &dyn Disk, cache_bytes: usize) -> Result<(), OpenError> {
    let file = open(disk, names::CHECKPOINT)?;
    let applied = Checkpoint::open_held(file, cache_bytes)
        .and_then(|checkpoint| Ok(checkpoint.reader()?.meta().clone()));
    match applied {
        // Of a database that began with a later number nothing was written before its first group.
        Ok(meta) if meta.applied_seq.get() > 0 && meta.applied_g > 0 => {
            let what = "the file is missing, and there is a checkpoint with entries";
            Err(OpenError::corrupt(names::IDENTITY, what))
        }
        Ok(_) | Err(CheckpointError::Damaged { .. }) => Ok(()),
        Err(error) => Err(OpenError::checkpoint(error)),
    }
}

/// Lists the segments of a database, which must have a folder for them.
pub(crate) fn list_segments(disk: &dyn Disk) -> Result<segments::Listing, OpenError> {
    segments::list(disk).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => OpenError::corrupt(names::SEGMENTS, "the folder is missing"),
        io::ErrorKind::NotADirectory => OpenError::corrupt(names::SEGMENTS, "it is not a folder"),
        _ => OpenError::io("listing the segments")(error),
    })
}

/// Makes a database, from whatever an unfinished creation left. `IDENTITY` comes last, so that without it there is
/// nothing to lose.
fn create(
    disk: &dyn Disk,
    entropy: &dyn Entropy,
    cache_bytes: usize,
) -> Result<Identity, OpenError> {
    create_after(disk, entropy, cache_bytes, Beginning::default())
}

fn create_after(
    disk: &dyn Disk,
    entropy: &dyn Entropy,
    cache_bytes: usize,
    after: Beginning,
) -> Result<Identity, OpenError> {
    let io = || OpenError::io("creating the database");
    let uuid = entropy.random().map_err(io())?;
    let identity = Identity { version: VERSION, uuid };
    match disk.create_dir(names::SEGMENTS) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io()(error)),
        _ => {}
    }
    // Without this a power cut could leave a checkpoint alone, which would then be taken for somebody else's.
    disk.sync_dir("").map_err(io())?;
    let leftovers = segments::list(disk).map_err(io())?;
    let named = leftovers.named.iter().map(|&number| names::segment(number));
    let notes = leftovers.newest.iter().map(|&number| names::newest(number));
    for name in named.chain(notes).chain(leftovers.spares) {
        disk.remove(&name).map_err(io())?;
    }
    remove_if_there(disk, names::CHECKPOINT).map_err(io())?;
    remove_if_there(disk, names::IDENTITY_NEW).map_err(io())?;

    let nonce = entropy.random().map_err(io())?;
    let genesis = segments::prepare(disk, uuid, 1, GENESIS_BYTES, nonce).map_err(io())?;
    segments::adopt(disk, &genesis).map_err(io())?;
    let file = disk.create(names::CHECKPOINT).map_err(io())?;
    Checkpoint::create(file, &empty(uuid, after), cache_bytes).map_err(OpenError::checkpoint)?;
    let file = disk.create(names::IDENTITY_NEW).map_err(io())?;
    file.write_all_at(0, &identity.encode()).map_err(io())?;
    file.sync_data().map_err(io())?;
    // The other names must be durable before the one that says all is there.
    disk.sync_dir("").map_err(io())?;
    disk.rename(names::IDENTITY_NEW, names::IDENTITY).map_err(io())?;
    disk.sync_dir("").map_err(io())?;
    Ok(identity)
}

#[cfg(feature = "testing")]
impl super::Machine {
    /// Makes a database whose entries come after `seq` and `time`, as closed in order, where there is none yet.
    pub(crate) fn begin_after(
        &self,
        seq: SeqNo,
        time: LogTime,
        cache_bytes: usize,
    ) -> Result<(), OpenError> {
        let io = || OpenError::io("creating the database");
        let disk = &*self.disk;
        let _lock = disk.lock().map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::Locked,
            _ => io()(error),
        })?;
        let listed = disk.list("").map_err(io())?;
        if listed.iter().any(|listed| listed.name == names::IDENTITY) {
            return Ok(());
        }
        check_half_created(disk, &listed, cache_bytes)?;
        let after = Beginning { seq, time };
        let Identity { uuid, .. } = create_after(disk, &*self.entropy, cache_bytes, after)?;
        let genesis = Position { g: 0, chain: [0; 32], segment: 1, end: DATA };
        let (disk, last_g) = (self.disk.clone(), BTreeMap::from([(1, 0)]));
        let mut writer = Writer::new(disk, Epoch::new(0), genesis, false, false, last_g, 0);
        writer.mark_clean(uuid).map_err(io())
    }
}

fn empty(uuid: u128, after: Beginning) -> Meta {
    Meta {
        format: VERSION,
        uuid,
        applied_seq: after.seq,
        applied_g: 0,
        applied_time: after.time,
        chain: [0; 32],
        digest_version: digest::VERSION,
        digest: StateDigest::default(),
        epoch: Epoch::new(0),
        trim: 1,
    }
}
