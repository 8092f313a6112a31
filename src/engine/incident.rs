//! The life cycle of an incident: an opening in steps, for those who want to see what was found before anything is done about it, to
//! settle what callers left in doubt, and to hold the records against the rules before anyone is served.

use super::{
    AuditReport, Engine, KeyStatus, OnBrokenRule, RuleSetStatus, Snapshot,
    audit::{Obstacles, Scope},
    builder::Options,
    closure::{Audit, ClosureReport, ClosureVerdict, Reconciliation, Settled},
    error::Error,
    opening::Lacking,
    outcome::Answer,
    owner::Owner,
    pressure::Terms,
    registry::Registry,
};
use crate::{
    base::{Bytes, IdempotencyKey, Mode, RequestData, SeqNo, Verdict},
    recovery::{self, Machine, RecoveryReport},
};
use std::{collections::BTreeSet, fmt, mem, sync::Arc};

/// What entries that hold a [`ClosureReport`] say of the flow they are part of.
const CORRELATION: &[u8] = b"steadfast.closure";

/// A database that is locked and verified, and as it was found: the first step of [`Builder::recover`](crate::Builder::recover). Nobody else
/// can open it. Dropped, it is let go, and no byte has changed.
#[must_use = "dropped, the database is as it was found"]
pub struct Contained {
    owner: Owner,
    location: String,
    /// `None` once it is restored.
    parts: Option<Parts>,
}

/// What it takes to restore a database.
struct Parts {
    options: Options,
    registry: Registry,
    machine: Machine,
    found: recovery::Contained,
}

/// A database whose state is there again, and which nobody writes yet: the second step.
#[must_use = "dropped, the database is closed"]
pub struct Restored {
    engine: Engine,
}

/// A database of which nothing is left in doubt that its caller asked for: the third step.
#[must_use = "dropped, the database is closed"]
pub struct Reconciled {
    engine: Engine,
    reconciliation: Reconciliation,
}

/// A database whose records were held against its rules: the last step before it is served.
#[must_use = "dropped, the database is closed without a report"]
pub struct Verified {
    engine: Engine,
    report: ClosureReport,
}

/// What is to be done about a key after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// Nothing: it stands for what it stands for. A request that was never carried out can still arrive, and is then.
    Leave,
    /// See to it that nothing is ever decided under it, if nothing was: see [`Engine::fence`].
    Fence,
}

impl Contained {
    pub(super) fn new(
        options: Options,
        registry: Registry,
        machine: Machine,
    ) -> Result<Self, Error> {
        let found = super::opening::contain(&options, &registry, &machine, Lacking::Refused)?;
        let location = machine.disk.location();
        let parts = Some(Parts { options, registry, machine, found });
        Ok(Self { owner: Owner::here(), location, parts })
    }

    /// What was found: how the log ended, what of it will be cut off, how many digests agree.
    #[must_use]
    pub fn report(&self) -> &RecoveryReport {
        self.parts().found.report()
    }

    /// Carries out what was planned: what was never acknowledged is cut off, durably, and the state is there to be read. Blocks and
    /// syncs. Rules that are new or changed are held against the records that are there; see [`OnBrokenRule`].
    ///
    /// # Errors
    /// As [`Builder::open`](crate::Builder::open); what can be tried again there can be here. [`Error::Forked`] in a forked child.
    pub fn restore(mut self) -> Result<Restored, Error> {
        self.owner.check("restore")?;
        let parts = self.parts.take().expect("it is restored once");
        let Parts { options, registry, machine, found } = parts;
        Ok(Restored { engine: Engine::restore(options, registry, machine, found)? })
    }

    const fn parts(&self) -> &Parts {
        self.parts.as_ref().expect("it is not restored yet")
    }
}

impl Drop for Contained {
    /// A forked child leaves alone what is its parent's: unlocking it would unlock it for both.
    fn drop(&mut self) {
        if self.owner.is_elsewhere() {
            mem::forget(self.parts.take());
        }
    }
}

impl Restored {
    /// What is there.
    pub fn snapshot(&self) -> Snapshot {
        self.engine.snapshot()
    }

    /// How the database stands to the rules it was opened with.
    #[must_use]
    pub fn rule_set(&self) -> RuleSetStatus {
        self.engine.rule_set()
    }

    /// Asks what became of each of these keys, as [`Engine::resolve`] does, shows that to `settle`, and does what that says. The keys
    /// are those the caller has no answer for: of its outbox, of its clients, of another database. Blocks; each key that is
    /// fenced is synced. A key that is given twice is asked for once.
    ///
    /// One that can't be fenced is counted: as [expired](Reconciliation::expired) where a late delivery would be refused anyway, else as
    /// [left](Reconciliation::left).
    ///
    /// # Errors
    /// As [`Engine::resolve`], and [`Engine::fence`] when something could not be written. The database is closed then; what was fenced
    /// stays fenced.
    pub fn reconcile(
        self,
        keys: impl IntoIterator<Item = IdempotencyKey>,
        mut settle: impl FnMut(&IdempotencyKey, &KeyStatus) -> Settle,
    ) -> Result<Reconciled, Error> {
        let mut reconciliation = Reconciliation::default();
        let mut seen = BTreeSet::new();
        for key in keys.into_iter().filter(|key| seen.insert(key.clone())) {
            let status = self.engine.resolve(&key)?;
            let fences = settle(&key, &status) == Settle::Fence
                && matches!(status, KeyStatus::NotRemembered { .. });
            let settled = if fences { fence(&self.engine, &key)? } else { Settled::Left };
            reconciliation.note(&status, settled);
        }
        Ok(Reconciled { engine: self.engine, reconciliation })
    }

    /// Goes on where nobody is left without an answer.
    pub fn nothing_in_doubt(self) -> Reconciled {
        Reconciled { engine: self.engine, reconciliation: Reconciliation::default() }
    }
}

impl Reconciled {
    /// What became of the keys that were asked for.
    #[must_use]
    pub fn reconciliation(&self) -> &Reconciliation {
        &self.reconciliation
    }

    /// Holds records against the rules the database was opened with. [`Audit::Touched`] looks at those that changed since the last checkpoint,
    /// [`Audit::Full`] at all, and counts every total anew. Reads as much as that takes.
    ///
    /// # Errors
    /// [`Error::RuleBroken`] when an enforced rule is broken and [`OnBrokenRule::Refuse`] was chosen; as [`Engine::audit`]. The
    /// database is closed then.
    pub fn verify(self, audit: Audit) -> Result<Verified, Error> {
        let Self { engine, reconciliation } = self;
        let core = engine.core();
        let (coverage, (found, obstacles)) = match audit {
            Audit::Touched => touched(&engine)?,
            Audit::Full => (audit, engine.audit_within(&Scope::of(&core.rules))?),
        };
        let (grave, broken) = super::rule_set::broken(&found, obstacles);
        let accepts = core.options.on_broken_rule == OnBrokenRule::Accept;
        let refuses_writes = !grave.is_empty() || !broken.is_empty() && !accepts;
        let mut why: Vec<_> = grave.into_iter().chain(broken).collect();
        if core.options.on_broken_rule == OnBrokenRule::Refuse && refuses_writes {
            return Err(Error::RuleBroken { what: why.join("; ") });
        }
        if why.is_empty() {
            why.extend(engine.rule_set().refused);
        }
        if reconciliation.left > 0 {
            let left = reconciliation.left;
            why.push(format!("of {left} keys nothing is remembered, and they are not fenced"));
        }
        let report = ClosureReport {
            recovery: engine.recovery().clone(),
            reconciliation,
            coverage,
            audit: found,
            verdict: ClosureVerdict::of(why),
            refuses_writes,
            entry: None,
        };
        Ok(Verified { engine, report })
    }
}

/// Looks at what is in memory; at all, where a checkpoint took some of that in meanwhile.
fn touched(engine: &Engine) -> Result<(Audit, (AuditReport, Obstacles)), Error> {
    let core = engine.core();
    let found = engine.audit_within(&Scope::of(&core.rules).of_touched())?;
    let settled = core.sequencer.lock().base.meta().applied_seq;
    if settled == engine.recovery().checkpoint_seq {
        return Ok((Audit::Touched, found));
    }
    Ok((Audit::Full, engine.audit_within(&Scope::of(&core.rules))?))
}

/// Fences a key, as far as it can be.
fn fence(engine: &Engine, key: &IdempotencyKey) -> Result<Settled, Error> {
    match engine.fence(key) {
        Ok(_) => Ok(Settled::Fenced),
        Err(Error::KeyExpired { .. }) => Ok(Settled::Expired),
        Err(
            Error::KeyAhead { .. }
            | Error::KeyUntimed
            | Error::Limit(_)
            | Error::ReadOnly { .. }
            | Error::NoSpace { .. },
        ) => Ok(Settled::Left),
        Err(error) => Err(error),
    }
}

impl Verified {
    /// What was found, as it will be recorded.
    #[must_use]
    pub fn report(&self) -> &ClosureReport {
        &self.report
    }

    /// What the rules were held against.
    #[must_use]
    pub fn audit(&self) -> &AuditReport {
        &self.report.audit
    }

    /// What is there.
    pub fn snapshot(&self) -> Snapshot {
        self.engine.snapshot()
    }

    /// Ends the incident: records the report in the log, in words without keys and values, and gives the engine. Blocks and syncs. Where an
    /// enforced rule is broken that [`OnBrokenRule::Accept`] does not accept, the engine takes no writes until it is opened again: what
    /// is there can be read, and the reason is what whoever writes is told. A database that takes no writes takes no report either;
    /// that is said in it.
    ///
    /// # Errors
    /// As [`Engine::commit`], but for those of keys, versions and expectations. The database is closed then.
    pub fn close(self) -> Result<(Engine, ClosureReport), Error> {
        let Self { engine, mut report } = self;
        match engine.append_closure(&report) {
            Ok(seq) => report.entry = Some(seq),
            Err(Error::ReadOnly { reason }) => {
                report.verdict.also(format!("the report is not in the log: {reason}"));
            }
            Err(error) => return Err(error),
        }
        if let (true, ClosureVerdict::Conditional { why }) =
            (report.refuses_writes, &report.verdict)
        {
            let why: Arc<str> = why.join("; ").into();
            engine.core().findings.set(why).expect("an incident is closed once");
        }
        Ok((engine, report))
    }
}

impl Engine {
    fn append_closure(&self, report: &ClosureReport) -> Result<SeqNo, Error> {
        if let Mode::ReadOnly { reason } = self.mode()? {
            return Err(Error::ReadOnly { reason: reason.into() });
        }
        let text = report.to_string();
        let most = text.floor_char_boundary(crate::base::limits::RESULT_BYTES);
        let request = RequestData {
            correlation: Bytes::from_static(CORRELATION),
            verdict: Verdict::Commit(Bytes::copy_from_slice(&text.as_bytes()[..most])),
            ..RequestData::empty(None)
        };
        match self.core().commit(request, Terms::patient())? {
            Answer::Remembered { seq, .. } => Ok(seq),
            other => unreachable!("{other:?} is no answer to a report"),
        }
    }
}

impl fmt::Debug for Contained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contained").field("location", &self.location).finish_non_exhaustive()
    }
}

impl fmt::Debug for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restored").field("engine", &self.engine).finish()
    }
}

impl fmt::Debug for Reconciled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { engine, reconciliation } = self;
        f.debug_struct("Reconciled")
            .field("engine", engine)
            .field("reconciliation", reconciliation)
            .finish()
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { engine, report } = self;
        f.debug_struct("Verified").field("engine", engine).field("report", report).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Background, disk::MemoryDisk};

    /// Unlocking what a child inherited would unlock it for its parent, too.
    #[test]
    fn a_forked_child_is_refused_and_lets_nothing_go() {
        let disk = MemoryDisk::new();
        let builder = || Engine::builder().background(Background::Manual);
        drop(builder().open_on(disk.clone()).unwrap());
        let contained = builder().recover_on(disk.clone()).unwrap();
        contained.owner.pretend(true);
        assert!(matches!(contained.restore(), Err(Error::Forked { what: "restore" })));
        assert!(matches!(builder().open_on(disk), Err(Error::Locked { .. })));
    }

    #[test]
    fn where_there_is_no_database_none_is_made() {
        let disk = MemoryDisk::new();
        let opened = Engine::builder().recover_on(disk.clone());
        assert!(matches!(opened, Err(Error::NotADatabase { .. })), "{opened:?}");
        assert!(crate::disk::Disk::list(&disk, "").unwrap().is_empty());
    }
}
