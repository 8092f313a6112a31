//! What a campaign did, so that one that explored nothing does not look like a pass.

use super::{
    super::counts::counts,
    case::{Case, When},
    damage::DamageKind,
    image::FileKind,
    oracle::{Found, Kind},
    scene::Scene,
};
use std::{collections::BTreeMap, fmt};

counts! {
    /// What became of damage, counted.
    #[derive(Copy)]
    pub struct Counts {
        /// Damaged databases.
        pub damages: u64,
        /// Every record and outcome was as before.
        pub exact: u64,
        /// The opening was refused with the place, and no byte changed.
        pub refused_at_open: u64,
        /// Of those, how many named a file that was not damaged: the place where something was missed.
        pub named_another: u64,
        /// What was read was refused with the place, or what was to be written.
        pub refused_at_read: u64,
        /// Not detectable: the last sync was cut off as a torn tail, and reported.
        pub torn_tails: u64,
        /// Not detectable: the last sync reads as if it had never been written.
        pub vanished: u64,
        /// Not detectable: more than the last sync was put back, with all that vouched for it.
        pub rolled_back: u64,
        /// Not detectable: the directory is an older copy of itself.
        pub older_directories: u64,
        /// Something was read that was not so.
        pub wrong_values: u64,
        /// Panics.
        pub panics: u64,
        /// A history shorter than it had to be, or shorter in silence.
        pub silent_losses: u64,
        /// Refused openings that changed something.
        pub changed: u64,
        /// Errors of the wrong kind, or without a place.
        pub no_place: u64,
    }
}

counts! {
    /// Counts of a campaign.
    pub struct Summary {
        /// All of them.
        pub total: Counts,
        /// By what was damaged.
        pub by_scene: BTreeMap<Scene, Counts>,
        /// By when.
        pub by_when: BTreeMap<When, Counts>,
        /// By file and kind of damage.
        pub by_file: BTreeMap<FileKind, BTreeMap<DamageKind, Counts>>,
    }
}

impl Counts {
    fn found(&mut self, found: Found) {
        match found {
            Found::NoDamage => return,
            Found::Exact => self.exact += 1,
            Found::RefusedAtOpen { named } => {
                self.refused_at_open += 1;
                self.named_another += u64::from(!named);
            }
            Found::RefusedAtRead => self.refused_at_read += 1,
            Found::TornTail => self.torn_tails += 1,
            Found::Vanished => self.vanished += 1,
            Found::RolledBack => self.rolled_back += 1,
            Found::OlderDirectory => self.older_directories += 1,
        }
        self.damages += 1;
    }

    fn broken(&mut self, kind: Kind) {
        self.damages += 1;
        match kind {
            Kind::WrongValue => self.wrong_values += 1,
            Kind::Panic => self.panics += 1,
            Kind::SilentLoss => self.silent_losses += 1,
            Kind::Changed => self.changed += 1,
            Kind::NoPlace => self.no_place += 1,
        }
    }

    /// How many laws were broken.
    #[must_use]
    pub const fn broken_laws(&self) -> u64 {
        self.wrong_values + self.panics + self.silent_losses + self.changed + self.no_place
    }
}

impl Summary {
    /// Counts a case in everywhere it belongs.
    pub(super) fn count(&mut self, case: &Case, file: FileKind, result: Result<Found, Kind>) {
        if result == Ok(Found::NoDamage) {
            return;
        }
        let kind = match &case.damages[..] {
            [damage] => damage.kind(),
            _ => DamageKind::Several,
        };
        let by_kind = self.by_file.entry(file).or_default();
        let all = [
            &mut self.total,
            self.by_scene.entry(case.scene).or_default(),
            self.by_when.entry(case.when).or_default(),
            by_kind.entry(kind).or_default(),
        ];
        for counts in all {
            match result {
                Ok(found) => counts.found(found),
                Err(kind) => counts.broken(kind),
            }
        }
    }
}

/// What is 0 is left out, but for what was broken.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} damaged", self.damages)?;
        let counts = [
            (self.exact, "exact"),
            (self.refused_at_open, "refused at open"),
            (self.named_another, "of those name another file"),
            (self.refused_at_read, "refused at read"),
            (self.torn_tails, "last syncs cut and reported"),
            (self.vanished, "last syncs vanished"),
            (self.rolled_back, "rolled back"),
            (self.older_directories, "older directories"),
        ];
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        if self.broken_laws() == 0 {
            return write!(f, "; broken 0");
        }
        write!(
            f,
            "; BROKEN: {} wrong values, {} panics, {} silent losses, {} changed by a refusal, {} without a place",
            self.wrong_values, self.panics, self.silent_losses, self.changed, self.no_place,
        )
    }
}

/// The total, then one line for each scene and for each kind of damage to each kind of file.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.total)?;
        for (scene, counts) in &self.by_scene {
            write!(f, "\n  {scene:?}: {counts}")?;
        }
        for (when, counts) in &self.by_when {
            write!(f, "\n  {when:?}: {counts}")?;
        }
        for (file, kinds) in &self.by_file {
            for (kind, counts) in kinds {
                write!(f, "\n  {file:?}, {kind:?}: {counts}")?;
            }
        }
        Ok(())
    }
}
