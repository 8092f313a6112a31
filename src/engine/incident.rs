//! The life cycle of an incident: an opening in steps, for those who want to see what was found before anything is done about it, to
//! settle what callers left in doubt, and to hold the records against the rules before anyone is served.

use super::{
    AuditReport, Engine, KeyStatus, OnBrokenRule, RuleSetStatus, Snapshot,
    audit::Scope,
    builder::Options,
    closure::{Audit, ClosureReport, ClosureVerdict, Reconciliation},
    error::Error,
    outcome::Answer,
    pressure::Terms,
    registry::Registry,
};
use crate::{
    base::{Bytes, IdempotencyKey, Mode, RequestData, SeqNo, Verdict},
    recovery::{self, Machine, RecoveryReport},
};
use std::{fmt, sync::Arc};

/// What entries that hold a [`ClosureReport`] say of the flow they are part of.
const CORRELATION: &[u8] = b"steadfast.closure";

/// A database that is locked and verified, and as it was found: the first step of [`Builder::recover`](crate::Builder::recover). Nobody else
/// can open it. Dropped, it is let go, and no byte has changed.
#[must_use = "dropped, the database is as it was found"]
pub struct Contained {
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
        let found = super::opening::contain(&options, &registry, &machine)?;
        Ok(Self { options, registry, machine, found })
    }

    /// What was found: how the log ended, what of it will be cut off, how many digests agree.
    #[must_use]
    pub fn report(&self) -> &RecoveryReport {
        self.found.report()
    }

    /// Carries out what was planned: what was never acknowledged is cut off, durably, and the state is there to be read. Blocks and
    /// syncs. Rules that are new or changed are held against the records that are there; see [`OnBrokenRule`].
    ///
    /// # Errors
    /// As [`Builder::open`](crate::Builder::open); what can be tried again there can be here.
    pub fn restore(self) -> Result<Restored, Error> {
        let Self { options, registry, machine, found } = self;
        Ok(Restored { engine: Engine::restore(options, registry, machine, found)? })
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
    /// fenced is synced.
    ///
    /// # Errors
    /// As [`Engine::resolve`] and [`Engine::fence`]. The database is closed then; what was fenced stays fenced.
    pub fn reconcile(
        self,
        keys: impl IntoIterator<Item = IdempotencyKey>,
        mut settle: impl FnMut(&IdempotencyKey, &KeyStatus) -> Settle,
    ) -> Result<Reconciled, Error> {
        let mut reconciliation = Reconciliation::default();
        for key in keys {
            let status = self.engine.resolve(&key)?;
            let fences = settle(&key, &status) == Settle::Fence
                && matches!(status, KeyStatus::NotRemembered { .. });
            if fences {
                self.engine.fence(&key)?;
            }
            reconciliation.note(&status, fences);
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
        // What a checkpoint took in while opening can't be told from the rest any more.
        let settled = core.sequencer.lock().base.meta().applied_seq;
        let whole = audit == Audit::Full || settled != engine.recovery().checkpoint_seq;
        let audit = if whole { Audit::Full } else { Audit::Touched };
        let mut scope = Scope::of(&core.rules);
        if audit == Audit::Touched {
            scope = scope.of_touched();
        }
        let (found, obstacles) = engine.audit_within(&scope)?;
        let broken = super::rule_set::broken(&found, obstacles);
        let refusing = core.options.on_broken_rule;
        if let (OnBrokenRule::Refuse, false) = (refusing, broken.is_empty()) {
            return Err(Error::RuleBroken { what: broken.join("; ") });
        }
        let mut why = broken.clone();
        why.extend(engine.rule_set().refused.filter(|refused| !why.contains(refused)));
        if reconciliation.left > 0 {
            let left = reconciliation.left;
            why.push(format!("of {left} keys nothing is remembered, and they are not fenced"));
        }
        let report = ClosureReport {
            recovery: engine.recovery().clone(),
            reconciliation,
            coverage: audit,
            audit: found,
            verdict: ClosureVerdict::of(why),
            refuses_writes: refusing != OnBrokenRule::Accept && !broken.is_empty(),
            entry: None,
        };
        Ok(Verified { engine, report })
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
        let location = self.machine.disk.location();
        f.debug_struct("Contained").field("location", &location).finish_non_exhaustive()
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
