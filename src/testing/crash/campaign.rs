//! Many crashes: all of some kind, or random ones.

use super::{
    super::luck::Luck,
    case::{Case, End, Failure},
    oracle::{Oracle, Problem, caught, few},
    session::Ended,
    step::Step,
    summary::Summary,
    world::{Start, World},
};
use crate::disk::{Choice, Lie, SimDisk};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Up to so many units all subsets are tried.
const EXHAUSTIVE_UNITS: usize = 8;
/// Seeded cuts, which also damage sectors, on top of all subsets.
const DAMAGING: usize = 8;
/// Failures after which a campaign gives up.
const ENOUGH_FAILURES: usize = 5;

/// Every crash of every sequence of up to `longest` steps.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Where the random numbers come from.
    pub seed: u64,
    /// What the sequences begin with.
    pub start: Start,
    /// What the disk only says it does: to see that it is found out.
    pub lie: Option<Lie>,
    /// Steps that come first in every sequence, with no crash in them.
    pub first: Vec<Step>,
    /// The most steps in a sequence after those.
    pub longest: usize,
    /// Tried where there are too many units for all subsets.
    pub samples: usize,
    /// How many threads share the work.
    pub threads: usize,
}

impl Campaign {
    /// Cuts the power at every I/O. A crash in a step is tried in the sequence that ends with it: longer ones begin the
    /// same, call by call.
    #[must_use]
    pub fn run(&self) -> (Summary, Vec<Failure>) {
        let world = match caught(|| self.start.world(self.seed)) {
            Ok(world) => world.lying(self.lie),
            Err(problem) => return failed(*self.case(&[], 0).failure(problem, vec![], vec![])),
        };
        let sequences = self.sequences();
        let next = AtomicUsize::new(0);
        let done = Mutex::new((Summary::default(), Vec::new()));
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| {
                    while let Some(steps) = sequences.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let (summary, failures) = self.sequence(&world, steps, ENOUGH_FAILURES);
                        let mut done = done.lock().expect("held only here");
                        done.0 += summary;
                        done.1.extend(failures);
                        if done.1.len() >= ENOUGH_FAILURES {
                            return;
                        }
                    }
                });
            }
        });
        done.into_inner().expect("held only by the threads")
    }

    /// All sequences, shorter ones first.
    pub(super) fn sequences(&self) -> Vec<Vec<Step>> {
        let mut all = vec![self.first.clone()];
        let mut from = 0;
        for depth in 0..self.longest {
            let to = all.len();
            for shorter in from..to {
                for step in Step::ALL {
                    let long = all[shorter].iter().chain([&step]).any(|step| step.is_long());
                    if depth > 0 && long {
                        continue;
                    }
                    let mut longer = all[shorter].clone();
                    longer.push(step);
                    all.push(longer);
                }
            }
            from = to;
        }
        if !self.first.is_empty() {
            all.remove(0);
        }
        all
    }

    /// Crashes one sequence at every I/O, up to so many failures.
    pub(super) fn sequence(
        &self,
        world: &World,
        steps: &[Step],
        enough: usize,
    ) -> (Summary, Vec<Failure>) {
        let mut oracle = Oracle::default();
        let mut failures = Vec::new();
        oracle.summary.sequences = 1;
        let marks = match caught(|| world.run(steps, None)) {
            Ok(Ended { marks, .. }) => marks,
            Err(problem) => {
                oracle.summary.count(problem.breach.kind);
                failures.push(*self.case(steps, u64::MAX).failure(problem, vec![], vec![]));
                return (oracle.summary, failures);
            }
        };
        // The mark before the last step: everything up to there happens in a shorter sequence, too.
        let from = marks.iter().rev().nth(1).filter(|_| !steps.is_empty()).map_or(1, |at| at + 1);
        let to = marks.last().map_or(1, |at| at + 1);
        for call in from..=to {
            oracle.summary.crashes += 1;
            if let Err(failure) = self.crash(&mut oracle, world, steps, call) {
                oracle.summary.count(failure.kind);
                failures.push(*failure);
                if failures.len() >= enough {
                    break;
                }
            }
        }
        (oracle.summary, failures)
    }

    /// One crash, and every way the disk may come up after it.
    fn crash(
        &self,
        oracle: &mut Oracle,
        world: &World,
        steps: &[Step],
        call: u64,
    ) -> Result<(), Box<Failure>> {
        let case = self.case(steps, call);
        let ended = caught(|| world.run(steps, Some(call)));
        let cut_off = ended.map_err(|problem| case.failure(problem, vec![], vec![]))?.world;
        let failure = |end: End, problem: Problem| {
            let disk = &cut_off.disk;
            Case { end, ..case.clone() }.failure(problem, disk.describe_pending(), disk.trace())
        };
        // Every crash meets other damage.
        let place = steps.iter().fold(self.seed, |all, step| all.wrapping_mul(31) ^ *step as u64);
        let all = choices(&cut_off.disk, place << 16 | call & 0xFFFF, self.samples);
        let all = all.into_iter().map(|choice| (End::PowerCut(choice), false));
        let few = few(&cut_off.disk, call).into_iter().map(|choice| (End::PowerCut(choice), true));
        for (end, crash_again) in all.chain(few).chain([(End::Kill, true)]) {
            oracle.summary.subsets += 1;
            oracle
                .check(&cut_off.after(&end), crash_again)
                .map_err(|problem| failure(end, problem))?;
        }
        Ok(())
    }

    pub(super) fn case(&self, steps: &[Step], crash_at: u64) -> Case {
        let Self { seed, start, lie, .. } = *self;
        Case { seed, start, lie, steps: steps.to_vec(), crash_at, end: End::Kill, again: None }
    }
}

/// The ways a disk may come up: all subsets of what is pending, or samples where there are too many.
fn choices(disk: &SimDisk, salt: u64, samples: usize) -> Vec<Choice> {
    let (units, telling) = (disk.pending_units(), disk.telling_units());
    let seeded =
        |count: usize| (0..count as u64).map(move |n| Choice::Seeded(salt.wrapping_mul(64) | n));
    let damaging = if units == 0 { 0 } else { DAMAGING };
    if telling.len() <= EXHAUSTIVE_UNITS {
        let subsets = (0..1u32 << telling.len()).map(|kept| {
            let mut subset = vec![false; units];
            for (bit, unit) in telling.iter().enumerate() {
                subset[*unit] = kept & 1 << bit != 0;
            }
            Choice::Subset(subset)
        });
        return subsets.chain(seeded(damaging)).collect();
    }
    let each = samples / 5;
    let spread = |n: usize| telling[n * (telling.len() - 1) / each.max(2).saturating_sub(1)];
    let mut choices = vec![Choice::None, Choice::All];
    choices.extend((0..each).map(|n| Choice::Only(spread(n))));
    choices.extend((0..each).map(|n| Choice::AllBut(spread(n))));
    let rest = samples.saturating_sub(choices.len());
    choices.extend(seeded(rest));
    choices
}

fn failed(failure: Failure) -> (Summary, Vec<Failure>) {
    let mut summary = Summary::default();
    summary.count(failure.kind);
    (summary, vec![failure])
}

/// A database that lives through several power cuts: in each life random steps, a cut at a random I/O, damage by seed,
/// now and then a second cut during the recovery; and all checks after each.
///
/// A failure is seen again with the same `seed`: its case names the life it happened in, and is no case of its own.
#[must_use]
pub fn lives(seed: u64, count: u64) -> (Summary, Vec<Failure>) {
    let mut life = match Life::new(seed) {
        Ok(life) => life,
        Err(problem) => {
            let case = Life::case(seed, Start::Empty, Vec::new(), 0);
            return failed(*case.failure(problem, vec![], vec![]));
        }
    };
    life.oracle.summary.sequences = 1;
    for _ in 0..count {
        if let Err(failure) = life.live() {
            life.oracle.summary.count(failure.kind);
            return (life.oracle.summary, vec![*failure]);
        }
    }
    (life.oracle.summary, Vec::new())
}

/// Everything one seed does to the disk, call by call: a life, a power cut, and another life.
///
/// # Panics
/// When something is wrong with those lives.
#[must_use]
pub fn trace(seed: u64) -> Vec<String> {
    let traced = caught(|| {
        let life = Life::new(seed)?;
        let (first, second) = (life.steps(), life.steps());
        let whole = life.world.run(&first, None)?.world.disk;
        let call = 1 + life.luck.below(whole.io_count());
        let cut_off = life.world.run(&first, Some(call))?.world;
        let end = End::PowerCut(Choice::Seeded(life.luck.below(u64::MAX)));
        let ended = cut_off.after(&end).run(&second, None)?.world.disk;
        let disks = [whole, cut_off.disk, ended];
        let trace = |disk: &SimDisk| [disk.trace(), vec![format!("{:032x}", disk.digest())]];
        Ok(disks.iter().flat_map(trace).flatten().collect())
    });
    traced.unwrap_or_else(|problem| panic!("{}", problem.breach))
}

struct Life {
    start: Start,
    world: World,
    oracle: Oracle,
    luck: Luck,
}

impl Life {
    fn new(seed: u64) -> Result<Self, Problem> {
        let start = [Start::Empty, Start::Closed, Start::Torn, Start::Due][(seed % 4) as usize];
        let start = if seed % 8 == 7 { Start::Kept } else { start };
        let world = start.world(seed)?;
        let luck = Luck::new(!seed);
        Ok(Self { start, world, oracle: Oracle::default(), luck })
    }

    fn live(&mut self) -> Result<(), Box<Failure>> {
        let (seed, lives) = (self.world.seed, self.world.lives);
        let steps = self.steps();
        let case = |crash_at| Self::case(seed, self.start, steps.clone(), crash_at);
        let tell = |mut problem: Problem| {
            problem.breach.what += &format!(" (seed {seed}, life {lives})");
            problem
        };
        let failed =
            |crash_at, problem| case(crash_at).failure(tell(problem), Vec::new(), Vec::new());
        let measured =
            caught(|| self.world.run(&steps, None)).map_err(|problem| failed(u64::MAX, problem))?;
        let total = measured.marks.last().map_or(1, |at| at + 1);
        let call = 1 + self.luck.below(total);
        let ended = caught(|| self.world.run(&steps, Some(call)));
        let mut cut_off = ended.map_err(|problem| failed(call, problem))?.world;
        self.oracle.summary.crashes += 1;
        loop {
            let end = match self.luck.below(8) {
                0 => End::Kill,
                _ => End::PowerCut(Choice::Seeded(self.luck.below(u64::MAX))),
            };
            let world = cut_off.after(&end);
            self.oracle.summary.subsets += 1;
            self.oracle.check(&world, false).map_err(|problem| {
                let (pending, trace) = (cut_off.disk.describe_pending(), cut_off.disk.trace());
                Case { end, ..case(call) }.failure(tell(problem), pending, trace)
            })?;
            self.world = world;
            if self.luck.below(2) == 0 {
                return Ok(());
            }
            let measured =
                caught(|| self.world.run(&[], None)).map_err(|problem| failed(0, problem))?;
            let total = measured.marks.last().map_or(1, |at| at + 1);
            let again = 1 + self.luck.below(total);
            let ended = caught(|| self.world.run(&[], Some(again)));
            cut_off = ended.map_err(|problem| failed(again, problem))?.world;
            self.oracle.summary.recovery_crashes += 1;
        }
    }

    fn steps(&self) -> Vec<Step> {
        // What makes checkpoints and new segments is taken more often.
        let often = [Step::Rotate, Step::Background, Step::Checkpoint];
        let step =
            |n: u64| *Step::ALL.iter().chain(&often).chain(&often).nth(n as usize).expect("below");
        let steps = Step::ALL.len() + 2 * often.len();
        (0..8 + self.luck.below(5)).map(|_| step(self.luck.below(steps as u64))).collect()
    }

    fn case(seed: u64, start: Start, steps: Vec<Step>, crash_at: u64) -> Case {
        Case { seed, start, lie: None, steps, crash_at, end: End::Kill, again: None }
    }
}
