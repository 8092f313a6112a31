//! One damaged database, as data: what a failure prints, and what can be run again.

use super::{
    damage::Damage,
    dice::Dice,
    image::Files,
    oracle::{Found, Kind, judge},
    plan,
    scene::{Scene, Subject},
};
use crate::disk::SimDisk;
use serde::Serialize;
use std::{fmt, sync::OnceLock};

/// When damage appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum When {
    /// While nobody has the database open.
    AtRest,
    /// While an engine has it open. What it reads, what it goes on to write, and the next opening are looked at.
    WhileOpen,
}

/// One damaged database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Case {
    /// Where the random numbers come from.
    pub seed: u64,
    /// What was damaged.
    pub scene: Scene,
    /// When.
    pub when: When,
    /// How, in this order.
    pub damages: Vec<Damage>,
}

/// Damage after which something was wrong. Printed, it is all that is needed to see it again.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Failure {
    /// The damage.
    pub case: Case,
    /// What was broken.
    pub kind: Kind,
    /// In words.
    pub what: String,
}

impl Case {
    /// Runs the case, and says what became of the damage.
    ///
    /// # Errors
    /// The [`Failure`], if it is not as it must be.
    pub fn run(&self) -> Result<Found, Box<Failure>> {
        self.run_on(&self.scene.subject(self.seed))
    }

    pub(super) fn run_on(&self, subject: &Subject) -> Result<Found, Box<Failure>> {
        judge(subject, self).map_err(|problem| {
            let (kind, what) = (problem.kind, problem.what);
            Box::new(Failure { case: self.clone(), kind, what })
        })
    }

    pub(super) fn inflict(&self, disk: &SimDisk, moments: &[&Files]) {
        for damage in &self.damages {
            damage.inflict(disk, moments);
        }
    }

    /// Whether some of the damage can't be seen by comparing bytes.
    pub(super) fn hides_bytes(&self) -> bool {
        self.damages.iter().any(|damage| matches!(damage, Damage::Unreadable { .. }))
    }

    /// The moment whose copy the whole directory is.
    pub(super) fn older_directory(&self) -> Option<usize> {
        match self.damages[..] {
            [Damage::OlderDirectory { moment }] => Some(moment),
            _ => None,
        }
    }

    /// Whether more than the last sync can be gone with all that vouched for it: more than one block is damaged.
    pub(super) fn may_roll_back(&self) -> bool {
        let wide =
            |damage: &Damage| matches!(damage, Damage::StaleFile { .. } | Damage::Misdirect { .. });
        self.damages.len() > 1 || self.damages.iter().any(wide)
    }
}

/// Makes a scene and damage of any bytes at all, and looks at what the engine makes of it. The same bytes do the same.
///
/// The first byte is the scene, the second whether it is open meanwhile and how many pieces of damage there are, three at
/// most; each choice after that takes up to three bytes. What is not there counts as zeros.
///
/// # Panics
/// When a damaged database gives a wrong value, a shorter history in silence, or an error that names no place, when a
/// refusal changes it, or something panics. The message has the [`Case`].
pub fn fuzz(bytes: &[u8]) {
    static SUBJECTS: [OnceLock<Subject>; Scene::SMALL.len()] =
        [const { OnceLock::new() }; Scene::SMALL.len()];
    let (scene, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let (shape, rest) = rest.split_first().unwrap_or((&0, &[]));
    let place = usize::from(*scene) % SUBJECTS.len();
    let subject = SUBJECTS[place].get_or_init(|| Scene::SMALL[place].subject(1));
    let when = if shape & 0x80 == 0 { When::AtRest } else { When::WhileOpen };
    // What is damaged while it is open has one piece of damage, and then it goes on.
    let pieces = if when == When::WhileOpen { 1 } else { shape % 3 + 1 };
    let mut dice = Dice::Bytes(rest);
    let mut damages = plan::some(subject, &mut dice, usize::from(pieces));
    // A directory that is in use can't be replaced as a whole, and only by itself is it told what it is then.
    if when == When::WhileOpen || damages.len() > 1 {
        damages.retain(|damage| !matches!(damage, Damage::OlderDirectory { .. }));
    }
    let case = Case { seed: 1, scene: subject.scene, when, damages };
    if let Err(failure) = case.run_on(subject) {
        panic!("{failure}");
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, scene, when, damages } = self;
        write!(
            f,
            "Case {{ seed: {seed}, scene: Scene::{scene:?}, when: When::{when:?}, damages: vec!{damages:?} }}.run()"
        )
    }
}

/// The case prints as an expression, given `use steadfast::testing::rot::{*, Damage::*}`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}: {}", self.kind, self.what)?;
        write!(f, "  {}", self.case)
    }
}

impl std::error::Error for Failure {}
