//! A crash at every I/O of a service's work.

use super::{
    super::crash::End,
    Done,
    case::{Case, Failure, Stage},
    journal::Journal,
    life::{self, Ended, Problem},
    summary::Summary,
};
use crate::{
    Engine, Error, Registry, Verdict,
    disk::{Choice, SimDisk},
};
use std::{collections::BTreeSet, fmt, fmt::Debug};

/// Pieces that are kept alone, and lost alone, at one crash.
const SINGLES: usize = 4;

/// Explores the crashes of a service: `work` is what it does, `check` what must be true of it at any time. See the
/// [module](super) for what is done with them.
///
/// `work` is run from its beginning each time, before a crash and after it: like a service whose clients repeat what they
/// were not told the outcome of. It may return early, with the error that the engine gave it when the power failed. With
/// the power on, an error is a failure.
///
/// `check` must change nothing. After the crash it sees some of the work done; when the journal is
/// [`finished`](Journal::finished), all of it.
///
/// ```
/// use steadfast::{Engine, IdempotencyKey, Keyspace, Request};
/// use steadfast::testing::service::{Done, Journal, explore};
///
/// const BALANCES: Keyspace<String, i64> = Keyspace::new("balances");
///
/// fn key(step: &str) -> IdempotencyKey {
///     IdempotencyKey::new("transfer-1", step).expect("short and not empty")
/// }
///
/// fn open_accounts(engine: &Engine) -> Done {
///     let request = Request::new(key("open")).add(&BALANCES, "ann", 100, 0..=100);
///     engine.commit(request)?.committed()?;
///     Ok(())
/// }
///
/// fn sum_is_constant(engine: &Engine, transfers: &Journal<u32>) -> Done {
///     let value = |name| Ok::<_, steadfast::Error>(engine.get(&BALANCES, name)?.map_or(0, |record| record.value));
///     let (ann, bob) = (value("ann")?, value("bob")?);
///     if ann + bob != 100 {
///         return Err(format!("ann has {ann} and bob has {bob}").into());
///     }
///     if transfers.facts().contains(&1) && bob == 0 {
///         return Err("bob was told, and has nothing".into());
///     }
///     Ok(())
/// }
///
/// // Two commits, where one is needed: each is durable and done once, and still money disappears.
/// let careless = |engine: &Engine, transfers: &mut Journal<u32>| {
///     engine.commit(Request::new(key("take")).add(&BALANCES, "ann", -10, 0..=100))?.committed()?;
///     engine.commit(Request::new(key("give")).add(&BALANCES, "bob", 10, 0..=100))?.committed()?;
///     transfers.record(1);
///     Ok(())
/// };
/// let failure = explore(careless, sum_is_constant).prepared(open_accounts).run().unwrap_err();
/// assert_eq!(failure.what, "ann has 90 and bob has 0");
///
/// let careful = |engine: &Engine, transfers: &mut Journal<u32>| {
///     let request = Request::new(key("move")).add(&BALANCES, "ann", -10, 0..=100).add(&BALANCES, "bob", 10, 0..=100);
///     engine.commit(request)?.committed()?;
///     transfers.record(1);
///     Ok(())
/// };
/// let summary = explore(careful, sum_is_constant).prepared(open_accounts).run()?;
/// assert!(summary.crashes > 0 && summary.restarts > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn explore<'a, F: Clone + Debug>(
    work: impl Fn(&Engine, &mut Journal<F>) -> Done + 'a,
    check: impl Fn(&Engine, &Journal<F>) -> Done + 'a,
) -> Exploration<'a, F> {
    let prepare = Box::new(|_: &Engine| Ok(()));
    let registry = Registry::new();
    Exploration {
        work: Box::new(work),
        check: Box::new(check),
        prepare,
        registry,
        seed: 1,
        damaged: 6,
    }
}

type Work<'a, F> = Box<dyn Fn(&Engine, &mut Journal<F>) -> Done + 'a>;
type Check<'a, F> = Box<dyn Fn(&Engine, &Journal<F>) -> Done + 'a>;

/// A service, and how its crashes are explored. Made by [`explore`].
#[must_use = "nothing is explored before it is run"]
pub struct Exploration<'a, F> {
    work: Work<'a, F>,
    check: Check<'a, F>,
    prepare: Box<dyn Fn(&Engine) -> Done + 'a>,
    registry: Registry,
    seed: u64,
    damaged: usize,
}

/// A service without power.
struct Dark<F> {
    disk: SimDisk,
    journal: Journal<F>,
    /// Changing calls until the database was open.
    opened: u64,
}

impl<'a, F: Clone + Debug> Exploration<'a, F> {
    /// Where the random numbers come from, those of the engine and those of the damage. Default 1.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The procedures and rules of the service. Default: none.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// What is done to a new database before the work, with no crash in it. Default: nothing.
    pub fn prepared(mut self, prepare: impl Fn(&Engine) -> Done + 'a) -> Self {
        self.prepare = Box::new(prepare);
        self
    }

    /// How many disks with damage, each by a seed of its own, come up after each crash. Default 6.
    pub fn damaged(mut self, disks: usize) -> Self {
        self.damaged = disks;
        self
    }

    /// Cuts the power at every I/O of the work.
    ///
    /// # Errors
    /// The first [`Failure`].
    pub fn run(&self) -> Result<Summary, Box<Failure>> {
        let mut summary = Summary::default();
        let plain = |problem, summary| self.failure(problem, None, None, summary);
        let start = self.start(self.seed).map_err(|problem| plain(problem, summary))?;
        let opened;
        (opened, summary.ios) =
            self.undisturbed(&start).map_err(|problem| plain(problem, summary))?;
        // The work's own calls first: that is where a service has its mistakes.
        for crash_at in (opened + 1..=summary.ios + 1).chain(1..=opened) {
            summary.crashes += 1;
            let case = |end| Case { seed: self.seed, crash_at, end };
            let dark = self.work_until(&start, self.seed, Some(crash_at)).map_err(|problem| {
                self.failure(problem, Some(case(End::PowerCut(Choice::None))), None, summary)
            })?;
            let mut seen = BTreeSet::new();
            for end in self.ends(&dark.disk, crash_at) {
                summary.disks += 1;
                let disk = after(&dark.disk, &end);
                if seen.insert((disk.digest(), disk.pending_units())) {
                    summary.images += 1;
                    self.bring_up(&disk, dark.journal.clone(), self.seed, &mut summary).map_err(
                        |(problem, journal)| {
                            let dark = Dark { disk: dark.disk.clone(), journal, opened };
                            self.failure(problem, Some(case(end)), Some(dark), summary)
                        },
                    )?;
                }
            }
        }
        Ok(summary)
    }

    /// Runs one crash again.
    ///
    /// # Errors
    /// The [`Failure`], if it still fails.
    pub fn run_case(&self, case: &Case) -> Result<(), Box<Failure>> {
        let mut summary = Summary { crashes: 1, disks: 1, images: 1, ..Summary::default() };
        let failed =
            |problem, dark, summary| self.failure(problem, Some(case.clone()), dark, summary);
        let start = self.start(case.seed).map_err(|problem| failed(problem, None, summary))?;
        let dark = self.work_until(&start, case.seed, Some(case.crash_at));
        let dark = dark.map_err(|problem| failed(problem, None, summary))?;
        let disk = after(&dark.disk, &case.end);
        let brought_up = self.bring_up(&disk, dark.journal, case.seed, &mut summary);
        brought_up.map_err(|(problem, journal)| {
            failed(problem, Some(Dark { disk: dark.disk, journal, opened: dark.opened }), summary)
        })
    }

    /// A closed database, prepared.
    fn start(&self, seed: u64) -> Result<SimDisk, Problem> {
        let disk = life::disk();
        let preparing = |error: Error| Problem::new(Stage::Preparing, error);
        let engine = life::open(&disk, &self.registry, seed, 0).map_err(preparing)?;
        life::call(|| (self.prepare)(&engine)).map_err(|ended| ended.at(Stage::Preparing))?;
        life::settle(&engine).and_then(|()| engine.close()).map_err(preparing)?;
        Ok(disk.after_power_cut(&Choice::None))
    }

    /// Does the work twice without a crash, and says how many I/Os the opening takes, and all of it.
    fn undisturbed(&self, start: &SimDisk) -> Result<(u64, u64), Problem> {
        let at = |ended: Ended| ended.at(Stage::Undisturbed);
        let first = self.work_until(start, self.seed, None)?;
        // Before it is done twice: this tells which entry it is that differs.
        life::replay(&first.disk, &self.registry)?;
        let again = self.work_until(start, self.seed, None)?;
        if first.disk.trace() != again.disk.trace() || first.disk.digest() != again.disk.digest() {
            let what = "the work differs from run to run: it must use no threads, clocks, random numbers or memory of \
                        its own";
            return Err(Problem::new(Stage::Undisturbed, what));
        }
        let ios = first.disk.io_count();
        let disk = first.disk.after_power_cut(&Choice::None);
        let engine = life::open(&disk, &self.registry, self.seed, 2);
        let engine = engine.map_err(|error| Problem::new(Stage::Undisturbed, error))?;
        life::call(|| (self.check)(&engine, &first.journal)).map_err(at)?;
        Ok((first.opened, ios))
    }

    /// Does the work until the power fails right before a changing call, or to the end, with the database closed.
    fn work_until(
        &self,
        start: &SimDisk,
        seed: u64,
        call: Option<u64>,
    ) -> Result<Dark<F>, Problem> {
        let disk = start.snapshot();
        if let Some(call) = call {
            disk.crash_at(call);
        }
        let stage = if call.is_some() { Stage::Working } else { Stage::Undisturbed };
        let (mut journal, mut opened) = (Journal::new(), 0);
        let excused = |error: Error| match disk.powered_off() {
            true => Ok(()),
            false => Err(Problem::new(stage, error)),
        };
        match life::open(&disk, &self.registry, seed, 1) {
            Err(error) => excused(error)?,
            Ok(engine) => {
                opened = disk.io_count();
                match life::call(|| (self.work)(&engine, &mut journal)) {
                    Err(Ended::Error(_)) if disk.powered_off() => {}
                    Err(ended) => return Err(ended.at(stage)),
                    Ok(()) => {
                        if !disk.powered_off() {
                            journal.finish();
                        }
                        life::settle(&engine).or_else(excused)?;
                    }
                }
                engine.close().map(drop).or_else(excused)?;
            }
        }
        // Whatever comes later is not done by this process any more.
        life::cut(&disk);
        Ok(Dark { disk, journal, opened })
    }

    /// Opens a disk that came up, checks it, goes on with the work, and checks again. With a problem comes the journal.
    fn bring_up(
        &self,
        disk: &SimDisk,
        mut journal: Journal<F>,
        seed: u64,
        summary: &mut Summary,
    ) -> Result<(), (Problem, Journal<F>)> {
        let engine = match life::open(disk, &self.registry, seed, 2) {
            Ok(engine) => engine,
            Err(error) => return Err((Problem::new(Stage::Opening, error), journal)),
        };
        summary.openings += 1;
        summary.torn_tails += u64::from(engine.recovery().verdict == Verdict::TornTail);
        let lived = self.live_on(&engine, &mut journal, summary);
        life::cut(disk);
        drop(engine);
        lived
            .and_then(|()| life::replay(disk, &self.registry))
            .map_err(|problem| (problem, journal))
    }

    fn live_on(
        &self,
        engine: &Engine,
        journal: &mut Journal<F>,
        summary: &mut Summary,
    ) -> Result<(), Problem> {
        let check = |journal: &Journal<F>, stage| {
            life::call(|| (self.check)(engine, journal)).map_err(|ended| ended.at(stage))
        };
        summary.checks += 1;
        check(journal, Stage::AfterCrash)?;
        journal.start_again();
        summary.restarts += 1;
        let worked = life::call(|| (self.work)(engine, journal));
        worked.map_err(|ended| ended.at(Stage::Restarted))?;
        life::settle(engine).map_err(|error| Problem::new(Stage::Restarted, error))?;
        journal.finish();
        summary.checks += 1;
        check(journal, Stage::AfterRestart)
    }

    /// The ways a disk may come up.
    fn ends(&self, disk: &SimDisk, crash_at: u64) -> Vec<End> {
        let telling = disk.telling_units();
        let mut choices = vec![Choice::None, Choice::All];
        let singles = telling.len().min(SINGLES);
        for n in 0..singles {
            let unit = telling[n * (telling.len() - 1) / singles.max(2).saturating_sub(1)];
            choices.extend([Choice::Only(unit), Choice::AllBut(unit)]);
        }
        let damaged = if disk.pending_units() == 0 { 0 } else { self.damaged as u64 };
        let salt = self.seed.wrapping_mul(1 << 24).wrapping_add(crash_at << 8);
        choices.extend((0..damaged).map(|n| Choice::Seeded(salt.wrapping_add(n))));
        choices.into_iter().map(End::PowerCut).chain([End::Kill]).collect()
    }

    fn failure(
        &self,
        problem: Problem,
        case: Option<Case>,
        dark: Option<Dark<F>>,
        summary: Summary,
    ) -> Box<Failure> {
        let Problem { stage, what } = problem;
        let dark = dark.as_ref();
        let facts = dark.map(|dark| dark.journal.facts().iter().map(|fact| format!("{fact:?}")));
        let facts = facts.map(Iterator::collect).unwrap_or_default();
        let pending = dark.map(|dark| dark.disk.describe_pending()).unwrap_or_default();
        let trace = dark.map(|dark| dark.disk.trace()).unwrap_or_default();
        Box::new(Failure { stage, what, case, facts, pending, trace, summary })
    }
}

fn after(disk: &SimDisk, end: &End) -> SimDisk {
    match end {
        End::Kill => disk.after_kill(),
        End::PowerCut(choice) => disk.after_power_cut(choice),
    }
}

impl<F> Debug for Exploration<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, damaged, .. } = self;
        f.debug_struct("Exploration")
            .field("seed", seed)
            .field("damaged", damaged)
            .finish_non_exhaustive()
    }
}
