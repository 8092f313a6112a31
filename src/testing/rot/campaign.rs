//! Much damage: all there is, or a share of each kind, and several pieces at once at random.

use super::{
    case::{Case, Failure, When},
    damage::Damage,
    dice::Dice,
    image::FileKind,
    plan::{self, Strata},
    scene::{Scene, Subject},
    summary::Summary,
};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Failures after which a campaign gives up.
const ENOUGH_FAILURES: usize = 5;

/// Damage of every kind to every kind of file of some scenes.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Where the random numbers come from.
    pub seed: u64,
    /// What is damaged.
    pub scenes: Vec<Scene>,
    /// How many single pieces of damage at most to each scene that nobody has open: the same share of every kind of
    /// damage to every kind of file, and all where there are no more.
    pub at_rest: usize,
    /// The same while an engine has it open.
    pub while_open: usize,
    /// How often each scene gets two or three pieces of damage at once.
    pub several: usize,
    /// How many threads share the work.
    pub threads: usize,
}

impl Campaign {
    /// A campaign over all small scenes that does nothing yet, on two threads.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let scenes = Scene::SMALL.to_vec();
        Self { seed, scenes, at_rest: 0, while_open: 0, several: 0, threads: 2 }
    }

    /// Damages, one after the other, a copy of each scene.
    ///
    /// # Panics
    /// When a scene can't be set: the engine does what it must not do without any damage.
    #[must_use]
    pub fn run(&self) -> (Summary, Vec<Failure>) {
        self.up_to(ENOUGH_FAILURES)
    }

    /// As [`run`](Self::run), but in order, by one thread, and only up to the first failure: the summary counts what it
    /// took to find that.
    ///
    /// # Panics
    /// As [`run`](Self::run).
    #[must_use]
    pub fn until_failure(&self) -> (Summary, Option<Failure>) {
        let (summary, failures) = Self { threads: 1, ..self.clone() }.up_to(1);
        (summary, failures.into_iter().next())
    }

    fn up_to(&self, most_failures: usize) -> (Summary, Vec<Failure>) {
        let mut all = (Summary::default(), Vec::new());
        for scene in &self.scenes {
            let subject = scene.subject(self.seed);
            let (summary, failures) = self.scene(&subject, most_failures);
            all.0 += summary;
            all.1.extend(failures);
            if all.1.len() >= most_failures {
                break;
            }
        }
        all
    }

    fn scene(&self, subject: &Subject, most_failures: usize) -> (Summary, Vec<Failure>) {
        let cases = self.cases(subject);
        let next = AtomicUsize::new(0);
        let done = Mutex::new((Summary::default(), Vec::new()));
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| {
                    let (mut summary, mut failures) = (Summary::default(), Vec::new());
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = case.run_on(subject);
                        let kind = result.as_ref().map_err(|failure| failure.kind);
                        summary.count(case, file_kind(subject, case), kind.copied());
                        failures.extend(result.err().map(|failure| *failure));
                        if failures.len() >= most_failures {
                            next.store(cases.len(), Ordering::Relaxed);
                        }
                    }
                    let mut done = done.lock().expect("held only here");
                    done.0 += summary;
                    done.1.extend(failures);
                });
            }
        });
        done.into_inner().expect("no thread panicked")
    }

    fn cases(&self, subject: &Subject) -> Vec<Case> {
        let mut dice = Dice::seeded(self.seed ^ 0xD1CE);
        let case = |when, damages| Case { seed: self.seed, scene: subject.scene, when, damages };
        let at_rest = share(plan::all(subject), self.at_rest, &mut dice);
        let mut cases: Vec<Case> =
            at_rest.into_iter().map(|damage| case(When::AtRest, vec![damage])).collect();
        let mut strata = plan::all(subject);
        // A directory that is in use can't be replaced as a whole.
        strata.retain(|(file, _), _| *file != FileKind::Several);
        let while_open = share(strata, self.while_open, &mut dice);
        cases.extend(while_open.into_iter().map(|damage| case(When::WhileOpen, vec![damage])));
        for _ in 0..self.several {
            let pieces = 2 + dice.below(2);
            let mut damages = plan::some(subject, &mut dice, pieces);
            damages.retain(|damage| !matches!(damage, Damage::OlderDirectory { .. }));
            cases.push(case(When::AtRest, damages));
        }
        cases
    }
}

/// The same share of every stratum, and of small ones all there is, up to `most` altogether.
fn share(mut strata: Strata, most: usize, dice: &mut Dice<'_>) -> Vec<Damage> {
    let mut chosen = Vec::new();
    while !strata.is_empty() && chosen.len() < most {
        for damages in strata.values_mut() {
            let one = damages.swap_remove(dice.below(damages.len()));
            chosen.push(one);
        }
        strata.retain(|_, damages| !damages.is_empty());
    }
    chosen.truncate(most);
    chosen
}

fn file_kind(subject: &Subject, case: &Case) -> FileKind {
    match &case.damages[..] {
        [damage] => match damage.files()[..] {
            [file] => FileKind::of(file, subject.last_segment()),
            _ => FileKind::Several,
        },
        _ => FileKind::Several,
    }
}
