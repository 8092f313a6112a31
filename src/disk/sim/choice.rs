//! What a power cut takes and what it leaves.

use super::rng::Rng;

/// Which pending units reach the disk before a power cut takes the rest.
///
/// A unit is what can be lost on its own: a sector of 512 bytes (with everything written to it since the last sync), the
/// length of a file, or one change of a name. Units are numbered file by file in the order of creation, sectors first and
/// then the length; the changes of names come last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Nothing pending reaches the disk.
    None,
    /// Everything pending does, as if all had been synced.
    All,
    /// Only this unit does.
    Only(usize),
    /// All but this unit do.
    AllBut(usize),
    /// The units whose place holds `true` do; those past the end do not.
    Subset(Vec<bool>),
    /// Each unit meets a fate of its own, picked by this seed: a sector may be old, new, zeroed, one of its earlier pending
    /// versions, garbage, or new up to some byte; a length may be any of the pending ones; a name is changed or
    /// not.
    Seeded(u64),
}

/// What happens to a sector.
pub(super) enum Fate {
    Old,
    New,
    Zero,
    Stale(usize),
    Garbage(Rng),
    Cut(usize),
}

/// Goes over the units once, in order, and decides each.
pub(super) struct Picker<'a> {
    choice: &'a Choice,
    unit: usize,
    luck: Option<Luck>,
}

impl<'a> Picker<'a> {
    pub(super) fn new(choice: &'a Choice) -> Self {
        let luck = match choice {
            Choice::Seeded(seed) => Some(Luck::new(*seed)),
            _ => None,
        };
        Self { choice, unit: 0, luck }
    }

    /// Decides a sector with so many pending versions.
    pub(super) fn sector(&mut self, versions: usize, powersafe: bool) -> Fate {
        if let Some(luck) = &mut self.luck {
            luck.sector(versions, powersafe)
        } else if self.keep() {
            Fate::New
        } else {
            Fate::Old
        }
    }

    /// Decides how many of the pending lengths of a file apply.
    pub(super) fn length(&mut self, lengths: usize) -> usize {
        if lengths == 0 {
            0
        } else if let Some(luck) = &mut self.luck {
            luck.length(lengths)
        } else if self.keep() {
            lengths
        } else {
            0
        }
    }

    /// Decides a change of a name.
    pub(super) fn name(&mut self) -> bool {
        match &mut self.luck {
            Some(luck) => luck.kept(),
            None => self.keep(),
        }
    }

    fn keep(&mut self) -> bool {
        let unit = self.unit;
        self.unit += 1;
        match self.choice {
            Choice::None | Choice::Seeded(_) => false,
            Choice::All => true,
            Choice::Only(only) => unit == *only,
            Choice::AllBut(lost) => unit != *lost,
            Choice::Subset(kept) => kept.get(unit).copied().unwrap_or(false),
        }
    }
}

/// The chances of one seeded power cut. They differ from cut to cut: with even odds everywhere, a cut that loses one unit
/// out of hundreds, or a long run of them, would never be seen.
struct Luck {
    rng: Rng,
    /// Out of 8, how often a unit is kept.
    kept: u64,
    /// Out of 8, how often a sector that is not kept is damaged instead of old.
    damaged: u64,
    /// How many sectors at most share a decision to be kept or not.
    longest_run: u64,
    run: u64,
    run_kept: bool,
}

impl Luck {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let kept = [1, 4, 4, 7][rng.below(4) as usize];
        let damaged = [0, 2, 6][rng.below(3) as usize];
        let longest_run = [1, 1, 8, 64][rng.below(4) as usize];
        Self { rng, kept, damaged, longest_run, run: 0, run_kept: false }
    }

    fn kept(&mut self) -> bool {
        self.rng.below(8) < self.kept
    }

    fn sector(&mut self, versions: usize, powersafe: bool) -> Fate {
        if self.run == 0 {
            self.run = 1 + self.rng.below(self.longest_run);
            self.run_kept = self.kept();
        }
        self.run -= 1;
        if self.run_kept {
            return Fate::New;
        }
        if self.rng.below(8) >= self.damaged {
            return Fate::Old;
        }
        match self.rng.below(if powersafe { 2 } else { 4 }) {
            0 => Fate::Stale(self.rng.below(versions as u64) as usize),
            1 => Fate::Cut(1 + self.rng.below(super::inode::SECTOR_BYTES - 1) as usize),
            2 => Fate::Zero,
            _ => Fate::Garbage(Rng::new(self.rng.next())),
        }
    }

    fn length(&mut self, lengths: usize) -> usize {
        if self.kept() { lengths } else { self.rng.below(lengths as u64) as usize }
    }
}
