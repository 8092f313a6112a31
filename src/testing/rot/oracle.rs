//! What must be true of a damaged database.

use super::{
    super::model::{Held, Model, NUMBERS, Order},
    case::{Case, When},
    image::{self, Files},
    layout::{Whole, anything_behind},
    live,
    scene::{Subject, order},
};
use crate::{
    Engine, Error, Record, RecoveryReport, Verdict,
    disk::{Choice, SimDisk},
    format::names,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt::Display,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// What became of damage, all of it as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Found {
    /// It was none: every byte is as it was.
    NoDamage,
    /// Every record and every outcome is as it was.
    Exact,
    /// The opening was refused, with the place, and no byte has changed.
    RefusedAtOpen {
        /// Whether the place is in a file that was damaged.
        named: bool,
    },
    /// Something that was read was refused, with the place; nothing was wrong.
    RefusedAtRead,
    /// *Not detectable.* The groups of the last sync were damaged, and nothing is left that vouches for them: cut off and
    /// reported.
    TornTail,
    /// *Not detectable.* The last sync reads as if nothing had been written: there is nothing to report.
    Vanished,
    /// *Not detectable.* More than the last sync is gone with everything that vouched for it, since a file was put back to
    /// what it was before, or more than one block was damaged. Reported, if anything is left of it.
    RolledBack,
    /// *Not detectable.* The directory is an older copy of itself, and exactly that.
    OlderDirectory,
}

/// What was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Kind {
    /// A value, an outcome or a version is another than it was.
    WrongValue,
    /// Something panicked.
    Panic,
    /// Something acknowledged is missing although there was something left to tell of it, or it was not reported.
    SilentLoss,
    /// A refused opening has changed the directory.
    Changed,
    /// A refusal of the wrong kind, or one that names no place.
    NoPlace,
}

/// Something that must not happen.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub kind: Kind,
    pub what: String,
}

impl Problem {
    pub(super) fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into() }
    }
}

/// Runs a check; a panic in it is a problem.
pub(super) fn caught<T>(check: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Problem::new(Kind::Panic, text.unwrap_or_default()))
    })
}

/// Damages a copy of the subject, and looks at what the engine makes of it.
pub(super) fn judge(subject: &Subject, case: &Case) -> Result<Found, Problem> {
    caught(|| match case.when {
        When::AtRest => at_rest(subject, case),
        When::WhileOpen => live::while_open(subject, case),
    })
}

fn at_rest(subject: &Subject, case: &Case) -> Result<Found, Problem> {
    let disk = subject.disk.snapshot();
    case.inflict(&disk, &subject.older());
    let before = disk.digest();
    if before == subject.disk.digest() && !case.hides_bytes() {
        return Ok(Found::NoDamage);
    }
    let damaged = disk.snapshot();
    let engine = match subject.open(&disk, 0) {
        Ok(engine) => engine,
        Err(error) => return refused(case, &error, disk.digest() == before),
    };
    let (mut model, found) = match case.older_directory() {
        Some(moment) => (subject.moments[moment].model.clone(), Found::OlderDirectory),
        None => kept(subject, case, &damaged, engine.recovery())?,
    };
    match exact(case, &mut model, &engine)? {
        Read::Refused => Ok(Found::RefusedAtRead),
        // What comes after it is the same for most damage, so it is enough to look now and then.
        Read::Exact if before.is_multiple_of(8) => go_on(subject, case, &disk, &mut model, engine)
            .map(|read| match read {
                Read::Exact => found,
                Read::Refused => Found::RefusedAtRead,
            }),
        Read::Exact => Ok(found),
    }
}

/// A refused opening names the place and changes nothing.
pub(super) fn refused(case: &Case, error: &Error, unchanged: bool) -> Result<Found, Problem> {
    let named = place(case, error)?;
    if !unchanged {
        return Err(Problem::new(Kind::Changed, format!("changed by a refusal: {error}")));
    }
    Ok(Found::RefusedAtOpen { named })
}

/// Whether an error names a file that was damaged. It must be of a kind that damage can cause, and name some place.
pub(super) fn place(case: &Case, error: &Error) -> Result<bool, Problem> {
    let names =
        |text: &str| case.damages.iter().flat_map(|d| d.files()).any(|f| text.contains(&**f));
    let named = match error {
        Error::Corruption { file, evidence, .. } if !file.is_empty() && !evidence.is_empty() => {
            names(file)
        }
        Error::UnsupportedFormat { file, .. } if !file.is_empty() => names(file),
        Error::NotADatabase { .. } => names(names::IDENTITY),
        // Of what can't be read, and of a file whose end is gone while it is in use.
        Error::Io { what, .. } if names(what) => true,
        error => return Err(Problem::new(Kind::NoPlace, format!("no place: {error}"))),
    };
    Ok(named)
}

/// How much of the history must be there after an opening that was not refused, and what that is called.
fn kept(
    subject: &Subject,
    case: &Case,
    damaged: &SimDisk,
    report: &RecoveryReport,
) -> Result<(Model, Found), Problem> {
    let loss = |what: String| Problem::new(Kind::SilentLoss, format!("{what}\n{report}"));
    if report.checkpoint_seq != subject.checkpoint_seq
        && damaged.read_file(names::CHECKPOINT).ok().as_ref()
            == subject.files.get(names::CHECKPOINT).map(|bytes| &**bytes)
    {
        return Err(loss("it is not the checkpoint that is there".into()));
    }
    if report.applied_seq == subject.model.last() {
        return Ok((subject.model.clone(), Found::Exact));
    }
    let damaged = &image::files(damaged);
    let whole = subject.layout.whole(damaged);
    let Some(whole) = whole else {
        return Err(loss("a log without groups came to another end".into()));
    };
    let Whole { x, end, last_seq } = whole;
    let due = last_seq.max(report.checkpoint_seq);
    if report.applied_seq != due {
        return Err(loss(format!("it ends at entry {}, {due} is whole", report.applied_seq)));
    }
    if let Some(evidence) = subject.layout.evidence(damaged, end, x) {
        return Err(loss(format!("group {x} is gone, although {evidence}")));
    }
    reported(damaged, &whole, report).map_err(loss)?;
    let mut model = subject
        .history
        .get(&due)
        .cloned()
        .ok_or_else(|| loss(format!("nobody knows of the state at entry {due}")))?;
    let last_sync = subject.layout.last_sync().is_some_and(|first| x >= first);
    let found = match (last_sync, report.torn_tail.is_some()) {
        (true, true) => Found::TornTail,
        (true, false) => Found::Vanished,
        (false, _) if case.may_roll_back() => Found::RolledBack,
        (false, _) => {
            return Err(loss(format!("more is gone than the last sync, from group {x} on")));
        }
    };
    if last_sync && report.verdict != Verdict::Clean {
        // Somebody was told the numbers of what is gone.
        model.pass(subject.model.last());
    }
    Ok((model, found))
}

/// What was cut off must be reported, with its place, if there is anything left of it.
fn reported(damaged: &Files, whole: &Whole, report: &RecoveryReport) -> Result<(), String> {
    let file = names::segment(whole.end.segment);
    match &report.torn_tail {
        Some(torn) if (&torn.file, torn.offset) != (&file, whole.end.offset) => Err(format!(
            "the cut is reported at {} {}, not at {:?}",
            torn.file, torn.offset, whole.end
        )),
        Some(_) if report.verdict != Verdict::TornTail => Err("a cut, and no torn tail".into()),
        None if anything_behind(damaged, whole.end) => Err("cut in silence".into()),
        _ => Ok(()),
    }
}

/// Whether what was read was right, as far as it was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Exact,
    Refused,
}

/// Reads every record, by itself and in order, and retries every request that is remembered.
pub(super) fn exact(case: &Case, model: &mut Model, engine: &Engine) -> Result<Read, Problem> {
    let mut all = Read::Exact;
    let items = engine.snapshot().range(&NUMBERS, ..);
    let records: Result<BTreeMap<u32, Held>, Error> =
        items.map(|item| item.map(|(key, record)| (key, held(&record)))).collect();
    if let Some(records) = unless_refused(case, &mut all, records)?
        && records != *model.records()
    {
        let due = model.records();
        return Err(wrong(format!("the records are {records:?} instead of {due:?}")));
    }
    // Two that are not there come last.
    let keys: Vec<u32> = model.records().keys().copied().chain([1 << 20, u32::MAX]).collect();
    for key in keys {
        let record = unless_refused(case, &mut all, engine.get(&NUMBERS, &key))?;
        if let Some(record) = record
            && record.as_ref().map(held).as_ref() != model.records().get(&key)
        {
            return Err(wrong(format!("record {key} is {record:?}")));
        }
    }
    if let Some(counted) = unless_refused(case, &mut all, engine.len(&NUMBERS))?
        && counted != model.records().len() as u64
    {
        return Err(wrong(format!("{counted} records are counted")));
    }
    let remembered: Vec<Order> = model.remembered().cloned().collect();
    for order in &remembered {
        if let Some(answer) = unless_refused(case, &mut all, engine.commit(order.request()))? {
            model.agree(order, &answer, engine.durable_seq()).map_err(wrong)?;
        }
    }
    Ok(all)
}

fn held(record: &Record<i64>) -> Held {
    Held { value: record.value, version: record.version, created: record.created }
}

/// What was read, or that it was refused with a place.
fn unless_refused<T>(
    case: &Case,
    all: &mut Read,
    read: Result<T, Error>,
) -> Result<Option<T>, Problem> {
    let refused = match &read {
        Ok(_) => false,
        Err(Error::Corruption { file, evidence, .. }) => !file.is_empty() && !evidence.is_empty(),
        Err(Error::Io { .. }) => true,
        // An engine that came upon damage while it wrote still reads what it can.
        Err(Error::Poisoned { .. }) => case.when == When::WhileOpen,
        Err(_) => false,
    };
    if refused {
        *all = Read::Refused;
        return Ok(None);
    }
    read.map(Some).map_err(|error| Problem::new(Kind::NoPlace, format!("no place: {error}")))
}

fn wrong(what: impl Display) -> Problem {
    Problem::new(Kind::WrongValue, what.to_string())
}

/// Works on over damage that did no harm, closes, and opens again: what comes of that is exact as well, or refused.
fn go_on(
    subject: &Subject,
    case: &Case,
    disk: &SimDisk,
    model: &mut Model,
    engine: Engine,
) -> Result<Read, Problem> {
    for name in subject.name..subject.name + 3 {
        let order = order(model, name);
        match engine.commit(order.request()) {
            Ok(answer) => model.agree(&order, &answer, engine.durable_seq()).map_err(wrong)?,
            Err(error) => return place(case, &error).map(|_| Read::Refused),
        }
    }
    if let Err(error) = engine.checkpoint() {
        return match error {
            Error::Poisoned { .. } => Ok(Read::Refused),
            error => place(case, &error).map(|_| Read::Refused),
        };
    }
    if let Err(error) = engine.close() {
        return place(case, &error).map(|_| Read::Refused);
    }
    let disk = disk.after_power_cut(&Choice::None);
    let before = disk.digest();
    match subject.open(&disk, 1) {
        Ok(engine) if engine.recovery().verdict != Verdict::Clean => {
            Err(wrong(format!("not clean after closing: {}", engine.recovery())))
        }
        Ok(engine) => exact(case, model, &engine),
        Err(error) => refused(case, &error, disk.digest() == before).map(|_| Read::Refused),
    }
}
