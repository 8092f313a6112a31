//! Opening in steps: what each of them does and tells, and what a crash in any of them leaves behind.

use crate::support::{key, picture};
use std::fs;
use steadfast::{
    Audit, Background, Builder, ClosureVerdict, Contained, Engine, Error, Expect, IdempotencyKey,
    Invariant, KeyStatus, Keyspace, Mode, OnBrokenRule, Request, Rules, Settle, Total, Verdict,
    Violation,
    testing::{Choice, Disk, SimClock, SimDisk},
};

const ACCOUNTS: Keyspace<String, i64> = Keyspace::new("accounts");

fn put(name: &str, cents: i64) -> Request {
    Request::new(key(name)).put(&ACCOUNTS, name, &cents, Expect::Absent)
}

fn builder() -> Builder {
    let solvent =
        Invariant::new(
            "solvent",
            |_: &String, cents: &i64| {
                if *cents < 0 { Err(Violation::new("below 0")) } else { Ok(()) }
            },
        );
    let cents = Total::new("cents", |_: &String, cents: &i64| (*cents).into());
    Engine::builder()
        .rules(Rules::of(&ACCOUNTS).invariant(solvent).total(cents))
        .background(Background::Manual)
        .clock(SimClock::new(1_790_000_000_000_000_000, 1_000))
}

fn committed(engine: &Engine, request: Request) {
    engine.commit(request).unwrap().committed().unwrap();
}

/// What a power cut leaves of a database with one account.
fn cut_off() -> SimDisk {
    let disk = SimDisk::new();
    let engine = builder().open_on(disk.clone()).unwrap();
    committed(&engine, put("ann", 5));
    disk.after_power_cut(&Choice::None)
}

/// A database in which `ann` is below zero, and the rule that forbids that is recorded all the same; with that account in the
/// checkpoint or only in the log.
fn planted(checkpoint: bool) -> SimDisk {
    let disk = SimDisk::new();
    let careless = Engine::builder().background(Background::Manual).open_on(disk.clone()).unwrap();
    committed(&careless, put("ann", -5));
    careless.close().unwrap();
    let engine = builder().on_broken_rule(OnBrokenRule::Accept).open_on(disk.clone()).unwrap();
    committed(&engine, put("bob", 7));
    if checkpoint {
        engine.checkpoint().unwrap();
    }
    disk.after_power_cut(&Choice::None)
}

#[test]
fn what_is_contained_is_locked_and_as_it_was_found() {
    let dir = tempfile::tempdir().unwrap();
    let (there, left) = (dir.path().join("there"), dir.path().join("left"));
    let engine = Engine::builder().open(&there).unwrap();
    committed(&engine, put("ann", 5));
    // As a killed process leaves it.
    fs::create_dir_all(left.join("segments")).unwrap();
    for (name, node) in picture(&there) {
        if let crate::support::Node::File(bytes) = node {
            fs::write(left.join(name), bytes).unwrap();
        }
    }
    let before = picture(&left);
    let contained = Engine::recover(&left).unwrap();
    assert_eq!(contained.report().verdict, Verdict::Unclean);
    assert_eq!(contained.report().applied_seq, engine.durable_seq());
    assert!(matches!(Engine::open(&left), Err(Error::Locked { .. })));
    drop(contained);
    assert!(picture(&left) == before, "something was changed");
    let engine = Engine::open(&left).unwrap();
    assert_eq!(engine.get(&ACCOUNTS, "ann").unwrap().unwrap().value, 5);
}

fn stop_after(steps: usize, contained: Contained) {
    if steps == 0 {
        return;
    }
    let restored = contained.restore().unwrap();
    assert_eq!(restored.snapshot().get(&ACCOUNTS, "ann").unwrap().unwrap().value, 5);
    if steps == 1 {
        return;
    }
    let reconciled = restored.nothing_in_doubt();
    if steps > 2 {
        drop(reconciled.verify(Audit::Full).unwrap());
    }
}

#[test]
fn whoever_stops_at_a_step_has_lost_nothing() {
    for steps in 0..4 {
        let disk = cut_off();
        stop_after(steps, builder().recover_on(disk.clone()).unwrap());
        let engine = builder().open_on(disk).unwrap();
        assert_eq!(engine.get(&ACCOUNTS, "ann").unwrap().unwrap().value, 5, "{steps} steps");
    }
}

#[test]
fn keys_in_doubt_are_told_and_fenced_as_the_caller_says() {
    let disk = SimDisk::new();
    let engine = builder().open_on(disk.clone()).unwrap();
    committed(&engine, put("done", 5));
    let refused = Request::new(key("refused")).put(&ACCOUNTS, "done", &1, Expect::Absent);
    drop(engine.commit(refused).unwrap());
    engine.fence(&key("fenced")).unwrap();
    let restored =
        builder().recover_on(disk.after_power_cut(&Choice::None)).unwrap().restore().unwrap();
    let names = ["done", "refused", "fenced", "give up", "still on its way"];
    let mut told = Vec::new();
    let reconciled = restored
        .reconcile(names.map(key), |asked: &IdempotencyKey, status| {
            told.push(status.clone());
            // Also for those that are decided: that changes nothing.
            if asked.key() == b"still on its way" { Settle::Leave } else { Settle::Fence }
        })
        .unwrap();
    assert!(matches!(
        told[..],
        [
            KeyStatus::Committed(_),
            KeyStatus::Rejected { .. },
            KeyStatus::Fenced { .. },
            KeyStatus::NotRemembered { .. },
            KeyStatus::NotRemembered { .. }
        ]
    ));
    let counted = *reconciled.reconciliation();
    let counts = [counted.asked, counted.committed, counted.rejected, counted.fenced];
    assert_eq!(counts, [5, 1, 1, 1]);
    assert_eq!((counted.stubs, counted.fenced_now, counted.left), (0, 1, 1));
    let (engine, report) = reconciled.verify(Audit::Full).unwrap().close().unwrap();
    let ClosureVerdict::Conditional { why } = &report.verdict else { panic!("{report}") };
    assert!(why[0].starts_with("of 1 keys nothing is remembered"), "{why:?}");
    assert!(matches!(engine.commit(put("give up", 1)), Err(Error::Fenced { .. })));
    committed(&engine, put("still on its way", 1));
    assert_eq!(engine.resolve(&key("done")).unwrap(), told[0]);
}

#[test]
fn the_report_goes_to_the_log_and_the_engine_is_served() {
    let disk = cut_off();
    let restored = builder().recover_on(disk.clone()).unwrap().restore().unwrap();
    let verified = restored.nothing_in_doubt().verify(Audit::Touched).unwrap();
    assert_eq!((verified.report().coverage, verified.audit().records), (Audit::Touched, 1));
    let (engine, report) = verified.close().unwrap();
    assert_eq!((&report.verdict, report.refuses_writes), (&ClosureVerdict::Clean, false));
    assert_eq!(report.entry, Some(engine.durable_seq()));
    assert_eq!(&report.recovery, engine.recovery());
    let line = report.to_string().lines().last().unwrap().to_owned();
    assert_eq!(line, "  verdict     clean");
    let logged = disk.list("segments").unwrap().iter().any(|listed| {
        let file = disk.open(&format!("segments/{}", listed.name)).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(0, &mut bytes).unwrap();
        bytes.windows(line.len()).any(|window| window == line.as_bytes())
    });
    assert!(logged, "the report is not in the log");
    committed(&engine, put("bob", 7));
    // An entry like any other.
    engine.close().unwrap();
    let engine = builder().open_on(disk).unwrap();
    assert_eq!((engine.recovery().verdict, engine.len(&ACCOUNTS).unwrap()), (Verdict::Clean, 2));
    let shown: steadfast::ClosureReport =
        serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(shown, report);
}

#[test]
fn an_enforced_rule_that_is_broken_leaves_a_database_that_is_only_read() {
    let restored = builder().recover_on(planted(true)).unwrap().restore().unwrap();
    let verified = restored.nothing_in_doubt().verify(Audit::Full).unwrap();
    assert_eq!(verified.audit().invariants[0].violations, 1);
    let (engine, report) = verified.close().unwrap();
    let ClosureVerdict::Conditional { why } = &report.verdict else { panic!("{report}") };
    assert!(why.len() == 1 && why[0].contains("\"solvent\" does not hold of 1 record"), "{why:?}");
    assert!(report.refuses_writes && report.entry.is_some());
    assert_eq!(engine.get(&ACCOUNTS, "ann").unwrap().unwrap().value, -5);
    match engine.commit(put("eve", 1)) {
        Err(Error::ReadOnly { reason }) => assert_eq!(*reason, *why[0]),
        other => panic!("{other:?}"),
    }
    // What is remembered is told all the same.
    assert!(matches!(engine.resolve(&key("bob")).unwrap(), KeyStatus::Committed(_)));
}

#[test]
fn a_broken_rule_is_refused_or_accepted_as_the_builder_says() {
    let refuse = builder().on_broken_rule(OnBrokenRule::Refuse).recover_on(planted(true)).unwrap();
    let verified = refuse.restore().unwrap().nothing_in_doubt().verify(Audit::Full);
    assert!(matches!(verified, Err(Error::RuleBroken { .. })), "{verified:?}");

    let accept = builder().on_broken_rule(OnBrokenRule::Accept).recover_on(planted(true)).unwrap();
    let verified = accept.restore().unwrap().nothing_in_doubt().verify(Audit::Full).unwrap();
    let (engine, report) = verified.close().unwrap();
    assert!(matches!(report.verdict, ClosureVerdict::Conditional { .. }) && !report.refuses_writes);
    committed(&engine, put("eve", 1));
}

/// What was in the checkpoint before is not looked at, and the report says so.
#[test]
fn an_audit_of_what_was_touched_looks_at_what_changed_since_the_checkpoint() {
    for (checkpoint, records) in [(true, 0), (false, 2)] {
        let restored = builder().recover_on(planted(checkpoint)).unwrap().restore().unwrap();
        let verified = restored.nothing_in_doubt().verify(Audit::Touched).unwrap();
        assert_eq!(verified.audit().records, records, "with a checkpoint: {checkpoint}");
        let broken = verified.report().verdict != ClosureVerdict::Clean;
        assert_eq!(broken, !checkpoint);
        assert_eq!(verified.report().coverage, Audit::Touched);
    }
}

#[test]
fn a_database_that_takes_no_writes_takes_no_report_and_says_so() {
    let disk = cut_off();
    let engine = builder().open_on(disk.clone()).unwrap();
    engine.set_mode(Mode::ReadOnly { reason: "moving".into() }).unwrap();
    drop(engine);
    let restored = builder().recover_on(disk).unwrap().restore().unwrap();
    let (engine, report) =
        restored.nothing_in_doubt().verify(Audit::Full).unwrap().close().unwrap();
    assert_eq!(report.entry, None);
    let ClosureVerdict::Conditional { why } = report.verdict else { panic!("it is not clean") };
    assert_eq!(why, ["the report is not in the log: moving"]);
    engine.set_mode(Mode::ReadWrite).unwrap();
    committed(&engine, put("bob", 7));
}

/// All steps, with a crash at each call of the disk.
#[test]
fn a_crash_at_any_step_is_an_incident_like_the_first() {
    let steps = |disk: &SimDisk| -> Result<(), Error> {
        let restored = builder().recover_on(disk.clone())?.restore()?;
        let reconciled = restored.reconcile([key("late")], |_, _| Settle::Fence)?;
        let (engine, _) = reconciled.verify(Audit::Full)?.close()?;
        drop(engine);
        Ok(())
    };
    let left = cut_off();
    let mut call = 0;
    loop {
        let disk = left.snapshot();
        disk.crash_at(disk.io_count() + call);
        let done = steps(&disk);
        if !disk.powered_off() {
            done.unwrap();
            break;
        }
        for choice in [Choice::None, Choice::All] {
            let after = disk.after_power_cut(&choice);
            steps(&after).unwrap_or_else(|error| panic!("after a crash at call {call}: {error}"));
            let engine = builder().open_on(after).unwrap();
            assert_eq!(engine.get(&ACCOUNTS, "ann").unwrap().unwrap().value, 5);
            assert!(matches!(engine.commit(put("late", 1)), Err(Error::Fenced { .. })));
            assert_eq!(engine.totals().get("cents"), Some(5));
        }
        call += 1;
    }
    assert!(call > 20, "{call} calls were cut off");
}
