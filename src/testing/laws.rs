//! What must hold whatever happens to the machine: ten laws, each a function where it can be one.
//!
//! A check that fails gives a [`Breach`], which names the law. Laws 4 and 5 are about answers, and so are most of law 3:
//! [`Model::agree`] and [`Due::check`](super::model::Due::check) hold every answer against them.

use super::model::{Action, At, Deed, Held, Model, Operation, Order, records};
use crate::{
    Coverage, Engine, Error, ErrorKind, Expect, RecoveryReport, Registry, SeqNo, Snapshot, Verdict,
    VerifyReport,
    disk::{Disk, SimDisk},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// A law. Their numbers are their places here, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Law {
    /// The recovered state is the model's state after some prefix of the log that contains every acknowledged entry.
    Prefix,
    /// A rejected operation never shows an effect.
    Rejected,
    /// Whatever any reader, reply or refusal ever showed is in that prefix.
    Shown,
    /// A key is applied at most once, and never after its fence; while it is remembered whole, every retry returns the first
    /// result byte for byte, and nothing is forgotten early.
    Once,
    /// A CAS succeeded only on the version it named; versions only grow.
    Versions,
    /// `open` gives an engine or a typed error; it never panics, hangs or aborts; a refusal changes no byte.
    Opening,
    /// Recovering what was recovered gives the same state, also when the recovery is cut off at any I/O.
    Repeatable,
    /// Damaged acknowledged data is refused or reported exactly, never a shorter history in silence.
    Damage,
    /// After the fault ends, a fresh open succeeds and more operations succeed.
    Healing,
    /// Every entry that is in the log comes out the same when it is decided once more, and looking changes no byte.
    Replay,
}

impl Law {
    /// All of them, by number.
    pub const ALL: [Self; 10] = [
        Self::Prefix,
        Self::Rejected,
        Self::Shown,
        Self::Once,
        Self::Versions,
        Self::Opening,
        Self::Repeatable,
        Self::Damage,
        Self::Healing,
        Self::Replay,
    ];

    /// Its number, 1 to 10.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8 + 1
    }

    /// What it says.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Prefix => {
                "the recovered state is the model's after some prefix of the log that contains every acknowledged entry"
            }
            Self::Rejected => "a rejected operation never shows an effect",
            Self::Shown => "whatever any reader, reply or refusal ever showed is in that prefix",
            Self::Once => {
                "a key is applied at most once, and every retry returns the first result byte for byte, while it is remembered"
            }
            Self::Versions => "a CAS succeeded only on the version it named; versions only grow",
            Self::Opening => {
                "open gives an engine or a typed error, never panics or hangs, and a refusal changes no byte"
            }
            Self::Repeatable => {
                "recovering what was recovered gives the same state, also when cut off"
            }
            Self::Damage => {
                "damaged acknowledged data is refused or reported, never a shorter history in silence"
            }
            Self::Healing => {
                "after the fault ends, a fresh open succeeds and more operations succeed"
            }
            Self::Replay => {
                "every entry comes out the same when it is decided once more, and looking changes no byte"
            }
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "law {}: {}", self.number(), self.sentence())
    }
}

/// What a broken law means to whoever owns the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Kind {
    /// A disk was refused, although nothing acknowledged was damaged.
    Refusal,
    /// Something acknowledged was missing.
    Loss,
    /// Anything else.
    Violation,
}

/// A law was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Breach {
    /// Which one.
    pub law: Law,
    /// What that means.
    pub kind: Kind,
    /// In words.
    pub what: String,
}

impl Breach {
    /// A law was broken, and nothing was lost or refused.
    pub fn new(law: Law, what: impl Into<String>) -> Self {
        Self { law, kind: Kind::Violation, what: what.into() }
    }

    /// Something acknowledged is missing.
    pub fn loss(law: Law, what: impl Into<String>) -> Self {
        Self { kind: Kind::Loss, ..Self::new(law, what) }
    }

    /// A disk was refused that must open.
    #[must_use]
    pub fn refusal(error: &Error) -> Self {
        let what = format!("refused: {error}");
        Self { kind: Kind::Refusal, ..Self::new(Law::Healing, what) }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.law)
    }
}

impl std::error::Error for Breach {}

/// Runs a check; a panic in it breaks law 6.
///
/// # Errors
/// What the check found, or the panic.
pub fn caught<T>(check: impl FnOnce() -> Result<T, Breach>) -> Result<T, Breach> {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Breach::new(Law::Opening, format!("a panic: {}", text.unwrap_or_default())))
    })
}

/// What nobody was told of whether it is there, with the entry it was said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// What was asked.
    pub deed: Deed,
    /// The entry.
    pub at: At,
}

/// Law 1: the model of what an engine shows after recovery, with all that was acknowledged, and some of what is `unknown`,
/// in order, as the entries it was said to be. What is remembered, for how long, and the mode are part of that.
///
/// # Errors
/// No such prefix gives what the engine shows.
pub fn prefix(acknowledged: &Model, unknown: &[Unknown], engine: &Engine) -> Result<Model, Breach> {
    let applied = engine.recovery().applied_seq;
    if applied < acknowledged.last() {
        let what = format!("the log ends at {applied}, {} was acknowledged", acknowledged.last());
        return Err(Breach::loss(Law::Prefix, what));
    }
    let mut candidate = acknowledged.clone();
    let mut rest = unknown.iter();
    while candidate.last() < applied {
        let Some(Unknown { deed, at }) = rest.next() else {
            let what = format!("the log ends at {applied}, which nobody asked for");
            return Err(Breach::new(Law::Prefix, what));
        };
        candidate.carry_out_deed(deed, *at);
    }
    candidate.compare(engine)?;
    candidate.compare_memory(engine)?;
    // Somebody knows of the others' numbers.
    for Unknown { at, .. } in rest {
        candidate.pass(at.seq);
    }
    Ok(candidate)
}

/// Law 2: no record holds what only a rejected order would have put there. Orders that put the same value as one that was
/// carried out can't be told apart, so give each its own.
///
/// # Errors
/// The effect.
pub fn rejected(rejected: &[Order], model: &Model, engine: &Engine) -> Result<(), Breach> {
    let seen = records(engine)
        .map_err(|error| Breach::new(Law::Healing, format!("reading the records: {error}")))?;
    for order in rejected {
        for operation in &order.operations {
            let Action::Put(value) = operation.action else { continue };
            let there = seen.get(&operation.key).is_some_and(|held| held.value == value);
            let due = model.records().get(&operation.key).is_some_and(|held| held.value == value);
            if there && !due {
                let what = format!("{order:?} was rejected, and record {} has it", operation.key);
                return Err(Breach::new(Law::Rejected, what));
            }
        }
    }
    Ok(())
}

/// Law 3 after a recovery: everything up to `shown` was seen by somebody, so it is there.
///
/// # Errors
/// It is not.
pub fn shown(shown: SeqNo, engine: &Engine) -> Result<(), Breach> {
    let applied = engine.recovery().applied_seq;
    if applied >= shown {
        return Ok(());
    }
    let what = format!("the log ends at {applied}, and entry {shown} had been shown");
    Err(Breach::loss(Law::Shown, what))
}

/// Law 3 for a snapshot: it shows the `due` records, whatever came after. Gives back false when it was closed with its
/// engine, which may be.
///
/// # Errors
/// Where it differs; an error of the engine's is no breach, and given back as it is.
pub fn snapshot(
    snapshot: &Snapshot,
    due: &BTreeMap<u32, Held>,
) -> Result<Result<(), Error>, Breach> {
    match super::model::records_of(snapshot) {
        Err(error) => Ok(Err(error)),
        Ok(seen) if seen == *due => Ok(Ok(())),
        Ok(seen) => {
            let what = format!("a snapshot as of {} shows {seen:?}, not {due:?}", snapshot.seq());
            Err(Breach::new(Law::Shown, what))
        }
    }
}

/// Law 6: opening gives an engine or a typed error, without a panic, and a refusal leaves the disk as it was. What the
/// system did wrong (`Io`, `NoSpace`) is no refusal.
///
/// # Errors
/// A panic, or a change. The result of the opening is given back as it is.
pub fn opening(
    disk: &SimDisk,
    open: impl FnOnce() -> Result<Engine, Error>,
) -> Result<Result<Engine, Error>, Breach> {
    let before = disk.snapshot();
    let opened = caught(|| Ok(open()))?;
    if let Err(error) = &opened {
        let refused = !matches!(error.kind(), ErrorKind::Io | ErrorKind::NoSpace);
        if refused && disk.digest() != before.digest() {
            return Err(Breach::new(Law::Opening, format!("a refusal changed the disk: {error}")));
        }
    }
    Ok(opened)
}

/// Law 7: two recoveries came to the same.
///
/// # Errors
/// They did not.
pub fn repeatable(first: &RecoveryReport, second: &RecoveryReport) -> Result<(), Breach> {
    let what = |report: &RecoveryReport| (report.applied_seq, report.state_digest.clone());
    if what(first) == what(second) {
        return Ok(());
    }
    let (first, second) = (what(first), what(second));
    Err(Breach::loss(Law::Repeatable, format!("one recovery gives {first:?}, the next {second:?}")))
}

/// Law 8: a database that was closed, and then damaged, is refused with the place, or it is all there.
///
/// # Errors
/// It opened and shows something else, or was refused as anything but damaged.
pub fn damage(model: &Model, opened: Result<Engine, Error>) -> Result<(), Breach> {
    let told = |error: &Error| {
        let told = matches!(
            error.kind(),
            ErrorKind::Corruption | ErrorKind::NotADatabase | ErrorKind::UnsupportedFormat
        );
        if told { Ok(()) } else { Err(Breach::new(Law::Damage, format!("damage became: {error}"))) }
    };
    let engine = match opened {
        Ok(engine) => engine,
        Err(error) => return told(&error),
    };
    match records(&engine) {
        Err(error) => told(&error),
        Ok(seen) if seen == *model.records() => Ok(()),
        Ok(seen) => {
            let what = format!("the damaged records are {seen:?}, not {:?}", model.records());
            Err(Breach::loss(Law::Damage, what))
        }
    }
}

/// Law 9: `count` more operations succeed, under idempotency keys from `name` on.
///
/// # Errors
/// One of them failed, or got a wrong answer.
pub fn healing(model: &mut Model, engine: &Engine, name: u64, count: u64) -> Result<(), Breach> {
    for n in 0..count {
        let key = (n % 5) as u32;
        let there = model.records().get(&key).map(|held| held.version);
        let expect = there.map_or(Expect::Absent, Expect::Version);
        let (expect, action) = match n % 4 {
            0 => (expect, Action::Put((name + n) as i64)),
            1 => (Expect::Any, Action::Add { delta: 1, bounds: (i64::MIN, i64::MAX) }),
            2 => (Expect::Any, Action::Put(n as i64)),
            _ => (expect, if there.is_some() { Action::Delete } else { Action::Check }),
        };
        let operations = vec![Operation { key, expect, action }];
        let order = Order { name: Some(name + n), operations, result_bytes: 5 };
        commit(model, engine, &order)?;
    }
    model.compare(engine)
}

/// Commits an order on an engine that has no reason to fail, and holds the answer against the model.
///
/// # Errors
/// It failed (law 9), or the answer is wrong.
pub fn commit(model: &mut Model, engine: &Engine, order: &Order) -> Result<(), Breach> {
    let answer = engine.commit(order.request());
    let answer =
        answer.map_err(|error| Breach::new(Law::Healing, format!("{order:?}: {error}")))?;
    model.agree(order, &answer, engine.durable_seq())
}

/// Law 10: what a copy of a disk holds comes out the same when it is verified, from the first entry on where the log was `kept`. `None`
/// where there is no database yet.
///
/// # Errors
/// An entry comes out otherwise, the copy was changed, or it was refused.
pub fn replays(disk: &SimDisk, kept: bool) -> Result<Option<VerifyReport>, Breach> {
    let copy = disk.snapshot();
    copy.crash_at(u64::MAX);
    let before = without_cache(&copy);
    let verified = caught(|| Ok(super::replay::verify_on(copy.clone(), &Registry::new())))?;
    if copy.digest() != before {
        return Err(Breach::new(Law::Replay, "verifying changed the disk"));
    }
    let report = match verified {
        Err(Error::NotADatabase { .. }) => return Ok(None),
        verified => verified.map_err(|error| Breach::refusal(&error))?,
    };
    if !report.is_exact() || kept && report.coverage != Coverage::Whole {
        return Err(Breach::new(Law::Replay, report.to_string()));
    }
    Ok(Some(report))
}

/// What a disk shows once it is synced and its cache dropped, as every look at it begins: after a write or a sync that failed, the
/// cache of a process that was killed shows what is not on the medium.
fn without_cache(disk: &SimDisk) -> u128 {
    let settled = disk.snapshot();
    settled.crash_at(u64::MAX);
    for (name, _) in settled.files() {
        let dropped = settled.open(&name).and_then(|file| {
            file.sync_data()?;
            file.drop_cache()
        });
        drop(dropped);
    }
    settled.digest()
}

/// Law 10, beside an opening of the same disk: both found the same. How many entries were verified.
///
/// # Errors
/// They found different things.
pub fn verified_as_opened(
    verified: Option<&VerifyReport>,
    opened: &RecoveryReport,
) -> Result<u64, Breach> {
    let Some(verified) = verified else {
        return match opened.verdict {
            Verdict::Created => Ok(0),
            verdict => {
                let what = format!("there was no database to verify, and one to open: {verdict:?}");
                Err(Breach::new(Law::Replay, what))
            }
        };
    };
    repeatable(&verified.recovery, opened)?;
    let found = |report: &RecoveryReport| (report.verdict, report.torn_tail.clone());
    if found(&verified.recovery) != found(opened) {
        let what = format!("verifying finds {}, opening {opened}", verified.recovery);
        return Err(Breach::new(Law::Replay, what));
    }
    Ok(verified.entries)
}
