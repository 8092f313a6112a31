//! One simulated file: what is on the medium, what readers see, and what lies between the two.
//!
//! Always holds, unless a sync failed or the medium was damaged: the medium with every pending sector and length
//! applied is what readers see.

use super::{
    allocated::Allocated,
    choice::{Fate, Picker},
};
use crate::disk::contents::{Contents, PAGE_BYTES, Page, ZERO_PAGE, end_of, parts};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};
use xxhash_rust::xxh3::Xxh3;

/// What a medium writes at once.
pub(super) const SECTOR_BYTES: u64 = 512;
const SECTORS_PER_PAGE: u64 = PAGE_BYTES / SECTOR_BYTES;

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    durable: Contents,
    cached: Contents,
    /// By page, what was written since the last sync, oldest first.
    dirty: BTreeMap<u64, Vec<Version>>,
    /// Lengths since the last sync, oldest first.
    lengths: Vec<u64>,
    /// Sectors of the medium that cannot be read.
    unreadable: BTreeSet<u64>,
    /// The pages that take room: those that were ever written. Growing the length alone takes none.
    allocated: Allocated,
    /// Also held by every open handle, so that a file without a name is kept while it is open.
    pub(super) handles: Arc<()>,
}

/// A page after a write, and which of its sectors (a bit each) the write touched.
#[derive(Clone)]
struct Version {
    sectors: u8,
    page: Option<Arc<Page>>,
}

impl Inode {
    pub(super) fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let before = self.cached.len();
        self.cached.write_at(offset, bytes)?;
        for (number, within, part) in parts(offset, bytes) {
            self.allocated.insert(number);
            let sectors = sectors_of(within as u64, (within + part.len()) as u64);
            self.dirtied(number, sectors);
        }
        if self.cached.len() != before {
            self.lengths.push(self.cached.len());
        }
        Ok(())
    }

    pub(super) fn set_len(&mut self, len: u64) -> io::Result<()> {
        end_of(len, 0)?;
        if len == self.cached.len() {
            return Ok(());
        }
        self.cached.set_len(len);
        self.allocated.cut(len);
        self.lengths.push(len);
        // Pending sectors past a shorter length become zeros, also when the file grows again before the sync.
        let cut: Vec<u64> = self.dirty.range(len / PAGE_BYTES..).map(|(page, _)| *page).collect();
        for number in cut {
            let past = sectors_of(len.saturating_sub(number * PAGE_BYTES), PAGE_BYTES);
            let touched = union(&self.dirty[&number]) & past;
            if touched != 0 {
                self.dirtied(number, touched);
            }
        }
        Ok(())
    }

    /// Makes what is pending durable.
    pub(super) fn sync(&mut self) {
        let shortest = self.lengths.iter().min().copied().unwrap_or(u64::MAX);
        if shortest < self.durable.len() {
            self.durable.set_len(shortest);
        }
        let mut end = 0;
        for (number, versions) in std::mem::take(&mut self.dirty) {
            apply(&mut self.durable, number, &versions);
            end = (number + 1) * PAGE_BYTES;
        }
        // Bytes written where a failed sync has lost the length bring it back as far as they reach.
        let reached = self.durable.len().max(end.min(self.cached.len()));
        let len = self.lengths.last().copied().unwrap_or(reached);
        self.durable.set_len(len);
        self.lengths.clear();
    }

    /// Loses what is pending while readers go on seeing it: what a failed sync does.
    pub(super) fn lose_pending(&mut self) {
        self.dirty.clear();
        self.lengths.clear();
    }

    /// Makes readers see the medium again, but for what is pending. The length is not forgotten.
    pub(super) fn drop_cache(&mut self) {
        let len = self.cached.len();
        self.cached = self.durable.clone();
        let shortest = self.lengths.iter().min().copied().unwrap_or(u64::MAX);
        if shortest < self.cached.len() {
            self.cached.set_len(shortest);
        }
        for (number, versions) in &self.dirty {
            apply(&mut self.cached, *number, versions);
        }
        self.cached.set_len(len);
    }

    /// Changes the medium itself, below any cache.
    pub(super) fn damage(&mut self, change: impl FnOnce(&mut Contents)) {
        change(&mut self.durable);
        self.drop_cache();
    }

    /// Cuts the medium and what readers see.
    pub(super) fn truncate(&mut self, len: u64) {
        self.sync();
        self.durable.set_len(len);
        self.cached = self.durable.clone();
        self.allocated.cut(len);
    }

    /// How many of the pages that a write touches take no room yet, and where the first of them that no more than `most`
    /// pages leave out begins.
    pub(super) fn fresh_pages(&self, offset: u64, bytes: u64, most: u64) -> (u64, Option<u64>) {
        let touched = offset / PAGE_BYTES..offset.saturating_add(bytes).div_ceil(PAGE_BYTES);
        let (mut count, mut left_out) = (0, None);
        for page in touched.filter(|page| !self.allocated.contains(*page)) {
            if count == most {
                left_out.get_or_insert(page * PAGE_BYTES);
            }
            count += 1;
        }
        (count, left_out)
    }

    /// Bytes of room it takes.
    pub(super) fn used_bytes(&self) -> u64 {
        self.allocated.count() * PAGE_BYTES
    }

    pub(super) fn make_unreadable(&mut self, offset: u64) {
        self.unreadable.insert(offset / SECTOR_BYTES);
    }

    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.cached.read_at(offset, buffer);
        let sectors = offset / SECTOR_BYTES..(offset + read as u64).div_ceil(SECTOR_BYTES);
        if read > 0 && self.unreadable.range(sectors).next().is_some() {
            return Err(io::Error::other("a sector of the simulated medium cannot be read"));
        }
        Ok(read)
    }

    pub(super) fn len(&self) -> u64 {
        self.cached.len()
    }

    /// Everything readers see.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(self.cached.len()).unwrap_or(0)];
        self.cached.read_at(0, &mut bytes);
        bytes
    }

    /// What could be lost on its own: sectors, then the length.
    pub(super) fn pending_units(&self) -> usize {
        let sectors = self.dirty.values().map(|versions| union(versions).count_ones() as usize);
        sectors.sum::<usize>() + usize::from(!self.lengths.is_empty())
    }

    /// For each of these, whether it would change the medium.
    pub(super) fn telling_units(&self, telling: &mut Vec<bool>) {
        // What a shorter length cuts off is zero afterwards, whatever it was before.
        let shortest = self.lengths.iter().min().copied().unwrap_or(u64::MAX);
        for (number, versions) in &self.dirty {
            let durable = self.durable.page(*number).map_or(&ZERO_PAGE, |page| &**page);
            for sector in set_bits(union(versions)) {
                let start = (sector * SECTOR_BYTES) as usize;
                let old = &durable[start..start + SECTOR_BYTES as usize];
                let cut = number * PAGE_BYTES + (sector + 1) * SECTOR_BYTES > shortest
                    && shortest < self.durable.len();
                telling.push(cut || versions.last().is_some_and(|last| last.sector(sector) != old));
            }
        }
        if let Some(len) = self.lengths.last() {
            telling.push(*len != self.durable.len() || shortest < self.durable.len());
        }
    }

    /// Adds what readers see: pages that are not all zeros, and the length.
    pub(super) fn digest(&self, hasher: &mut Xxh3) {
        hasher.update(&self.cached.len().to_le_bytes());
        for number in 0..self.cached.len().div_ceil(PAGE_BYTES) {
            if let Some(page) = self.cached.page(number).filter(|page| ***page != ZERO_PAGE) {
                hasher.update(&number.to_le_bytes());
                hasher.update(&page[..]);
            }
        }
    }

    /// The same, in words.
    pub(super) fn describe_pending(&self, name: &str, lines: &mut Vec<String>) {
        for (number, versions) in &self.dirty {
            for sector in set_bits(union(versions)) {
                let offset = number * PAGE_BYTES + sector * SECTOR_BYTES;
                lines.push(format!("sector {name} {offset}"));
            }
        }
        if let Some(len) = self.lengths.last() {
            lines.push(format!("length {name} {} -> {len}", self.durable.len()));
        }
    }

    /// The file after a power cut.
    pub(super) fn after_power_cut(&self, picker: &mut Picker<'_>, powersafe: bool) -> Self {
        let mut pieces = Vec::new();
        for (number, versions) in &self.dirty {
            for sector in set_bits(union(versions)) {
                let touching = versions.iter().filter(|version| version.sectors & 1 << sector != 0);
                let bytes: Vec<&[u8]> = touching.map(|version| version.sector(sector)).collect();
                let offset = number * PAGE_BYTES + sector * SECTOR_BYTES;
                pieces.push((offset, picker.sector(bytes.len(), powersafe), bytes));
            }
        }
        let applied = picker.length(self.lengths.len());
        let mut medium = self.durable.clone();
        let lengths = &self.lengths[..applied];
        if let Some(shortest) = lengths.iter().min().filter(|len| **len < medium.len()) {
            medium.set_len(*shortest);
        }
        let len = lengths.last().copied().unwrap_or(self.durable.len());
        for (offset, fate, versions) in pieces {
            settle(&mut medium, offset, fate, &versions);
        }
        medium.set_len(len);
        let mut allocated = self.allocated.clone();
        allocated.cut(len);
        Self {
            durable: medium.clone(),
            cached: medium,
            unreadable: self.unreadable.clone(),
            allocated,
            ..Self::default()
        }
    }

    fn dirtied(&mut self, number: u64, sectors: u8) {
        let page = self.cached.page(number).cloned();
        self.dirty.entry(number).or_default().push(Version { sectors, page });
    }
}

impl Version {
    fn sector(&self, sector: u64) -> &[u8] {
        let page = self.page.as_deref().unwrap_or(&ZERO_PAGE);
        &page[(sector * SECTOR_BYTES) as usize..][..SECTOR_BYTES as usize]
    }
}

/// Sector numbers only: the bytes may be someone's.
impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Version({:#010b})", self.sectors)
    }
}

/// Applies all versions of a page.
fn apply(contents: &mut Contents, number: u64, versions: &[Version]) {
    let Some(last) = versions.last() else { return };
    // Every version is the whole page as it was then, so the last one has the newest bytes of all touched sectors.
    let touched = union(versions);
    if touched == u8::MAX {
        contents.put_page(number, last.page.clone());
        return;
    }
    for sector in set_bits(touched) {
        contents.patch(number * PAGE_BYTES + sector * SECTOR_BYTES, last.sector(sector));
    }
}

/// Gives a sector of the medium its fate. `versions` are the pending ones, oldest first, at least one.
fn settle(medium: &mut Contents, offset: u64, fate: Fate, versions: &[&[u8]]) {
    let newest = versions[versions.len() - 1];
    match fate {
        Fate::Old => {}
        Fate::New => medium.patch(offset, newest),
        Fate::Stale(version) => medium.patch(offset, versions[version]),
        Fate::Cut(bytes) => medium.patch(offset, &newest[..bytes]),
        Fate::Zero => medium.patch(offset, &[0; SECTOR_BYTES as usize]),
        Fate::Garbage(mut rng) => {
            let mut garbage = [0; SECTOR_BYTES as usize];
            rng.fill(&mut garbage);
            medium.patch(offset, &garbage);
        }
    }
}

fn union(versions: &[Version]) -> u8 {
    versions.iter().fold(0, |all, version| all | version.sectors)
}

/// The sectors of a page that a range of its bytes touches, a bit each.
fn sectors_of(from: u64, to: u64) -> u8 {
    let touched = from / SECTOR_BYTES..to.div_ceil(SECTOR_BYTES);
    touched.fold(0, |bits, sector| bits | 1 << sector)
}

fn set_bits(bits: u8) -> impl Iterator<Item = u64> {
    (0..SECTORS_PER_PAGE).filter(move |sector| bits & 1 << sector != 0)
}
