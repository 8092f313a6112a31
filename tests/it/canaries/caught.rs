//! The nets, from the cheapest to the dearest, and what is caught in which.

use crate::hunts::{
    Found, Hunted, Tally, assert_clean, campaign, faults, forged, hunted, lost_update, model, rot,
    totals,
};
use std::{panic, time::Instant};
use steadfast::testing::{
    Lie,
    canary::{Canary, select},
    crash::{Kind, Start, Summary, lives},
    log::LogCampaign,
    swarm::Plan,
};

/// A campaign that ends with the first failure.
struct Net {
    name: &'static str,
    run: fn() -> Hunted,
}

const NETS: [Net; 16] = [
    Net { name: "lost update", run: lost_update::lost_update },
    Net { name: "totals", run: totals::totals },
    Net { name: "model, closed", run: || model(Start::Closed) },
    Net { name: "model, due", run: || model(Start::Due) },
    Net { name: "random lives", run: random_lives },
    Net { name: "random machines", run: random_machines },
    Net { name: "log alone", run: logs },
    Net { name: "failing reads", run: faults::reads },
    Net { name: "failing writes", run: faults::writes },
    Net { name: "rot, not closed", run: || rot::rot(false) },
    Net { name: "rot, closed", run: || rot::rot(true) },
    Net { name: "rot, open", run: rot::live },
    Net { name: "forged groups", run: forged::forged },
    Net { name: "crashes, closed", run: || crashes(Start::Closed) },
    Net { name: "crashes, torn", run: || crashes(Start::Torn) },
    Net { name: "crashes, empty", run: || crashes(Start::Empty) },
];

fn crashes(start: Start) -> Hunted {
    hunted(campaign(start, 1, None).until_failure())
}

fn random_lives() -> Hunted {
    let mut total = Summary::default();
    for seed in 0..60 {
        let (summary, failures) = lives(seed, 4);
        total += summary;
        if let Some(failure) = failures.into_iter().next() {
            return hunted((total, Some(failure)));
        }
    }
    hunted((total, None))
}

/// Seeds of the random simulation; a failure is not shrunk.
fn random_machines() -> Hunted {
    let mut tally = Tally::default();
    for seed in 0..10 {
        let ran = Plan::from_seed(seed).run();
        let failure = ran.as_ref().err();
        let summary = failure.map_or_else(|| ran.as_ref().unwrap(), |failure| &failure.summary);
        tally.runs += 1;
        tally.crashes += summary.all_crashes();
        tally.openings += summary.openings;
        tally.faults += summary.faults.values().sum::<u64>();
        if let Some(failure) = failure {
            let found = Found { kind: failure.breach.kind, what: failure.breach.to_string() };
            return (tally, Some(found));
        }
    }
    (tally, None)
}

fn logs() -> Hunted {
    let mut tally = Tally::default();
    for seed in 0..40 {
        let campaign = LogCampaign { seeds: seed..seed + 1, cuts: 10, lie: None, threads: 1 };
        let (summary, failures) = campaign.run();
        tally.runs += 1;
        tally.crashes += summary.crashes + summary.recovery_crashes;
        tally.openings += summary.openings;
        if let Some(failure) = failures.into_iter().next() {
            let kind = match (summary.refusals, summary.losses) {
                (1.., _) => Kind::Refusal,
                (_, 1..) => Kind::Loss,
                _ => Kind::Violation,
            };
            return (tally, Some(Found { kind, what: failure.what }));
        }
    }
    (tally, None)
}

/// The promise that a bug breaks, and the law of `docs/TESTING.md` it falls under; 0 for what the caller was promised
/// without any crash.
fn promise(bug: Canary) -> (u8, &'static str) {
    use Canary as C;
    match bug {
        C::AckBeforeSync => (1, "a reply means synced"),
        C::SyncRetried => (1, "after a failed sync no other is believed"),
        C::PoisonIgnored => (1, "the first failed write is the last"),
        C::IndeterminateDenied => (2, "a request that failed has no effect, or is in doubt"),
        C::FloorTooHigh => (6, "a legal power cut is never refused"),
        C::FloorTooLow => (8, "the group after vouches for the one before"),
        C::RotTakenForTornTail => (8, "what was durable is never cut off"),
        C::CleanDoesNotVouch => (8, "a clean end vouches for all of the log"),
        C::NewestNoteIgnored => (8, "a missing segment is noticed"),
        C::ReadErrorTakenForEnd => (9, "an error while reading concludes nothing"),
        C::CutInSilence => (8, "what is cut off is reported"),
        C::VerdictNotDurable => (7, "the verdict is durable before anyone is served"),
        C::SettleSkipped => (7, "an opening believes the medium, not the cache"),
        C::CleanMarkKept => (6, "the mark of a clean end goes before the log goes on"),
        C::NumbersReused => (5, "no number that was seen is given again"),
        C::GroupCrcIgnored => (6, "a torn group is no group"),
        C::ChainIgnored => (8, "the log is the history that was written"),
        C::DigestIgnored => (8, "the recovered state is the one that was served"),
        C::BatchReplayedInPart => (1, "a request is replayed whole"),
        C::ReplayOffByOne => (1, "the log goes on right after the checkpoint"),
        C::AppliedOutsideTransaction => (1, "rows and position are one transaction"),
        C::AppliedTooFar => (1, "the position is that of the rows"),
        C::WindowNotInCheckpoint => (4, "outcomes outlive the log"),
        C::DeleteNotInCheckpoint => (1, "what was deleted stays deleted"),
        C::CreatedLost => (5, "a record keeps the version that created it"),
        C::TrimBeforeCheckpoint => (1, "the log is kept until the checkpoint is durable"),
        C::CheckpointNotHeld => (6, "a refusal changes no byte"),
        C::FilterNotExtended => (4, "a key is applied once"),
        C::StaleCasAccepted => (5, "a CAS succeeds on the version it names"),
        C::ReadsNotValidated => (5, "an update writes on what it read"),
        C::KeyReuseAccepted => (4, "a key stands for one request"),
        C::RetryRunsAgain => (4, "a retry gets the first result"),
        C::RejectionForgotten => (4, "a refusal is remembered"),
        C::VersionOffByOne => (5, "a version is its entry's number"),
        C::CountDrifts => (1, "counts are those of the records"),
        C::ReadsBeforeDurable => (3, "readers see only what is durable"),
        C::RefusalBeforeDurable => (3, "a refusal quotes only what is durable"),
        C::LockLetGo => (6, "one opening at a time"),
        C::FenceIgnored => (4, "after its fence a key is never applied"),
        C::StubRunsAgain => (4, "a key is applied once while a stub is left of it"),
        C::ForgottenEarly => (4, "no key is forgotten before its time"),
        C::DemotedEarly => (4, "an outcome is whole until its time is over"),
        C::BufferedShown => (3, "readers see only what is durable"),
        C::SyncTooEarly => (1, "after a sync everything before it is durable"),
        C::ShownBeforeUnmarked => (5, "no number that was told is given again"),
        C::ModeIgnored => (2, "while it rests, the database takes no writes"),
        C::LateCarriedOut => (2, "after its deadline a request has no effect"),
        C::ExpiredAccepted => (4, "an expired key is never applied"),
        C::TotalsNotReplayed => (8, "the recovered totals are those that were served"),
        C::RulesNotRecorded => (0, "totals are those of the rules that are recorded"),
        C::RulesNotAudited => (0, "a new rule is held against all records"),
    }
}

struct Row {
    bug: String,
    law: u8,
    promise: &'static str,
    caught: Option<Caught>,
    /// In nets that let it through.
    crashes_before: u64,
}

struct Caught {
    net: &'static str,
    found: Found,
    /// In that net, up to the find.
    tally: Tally,
}

/// Goes through the nets until the bug is caught.
fn cast(bug: Canary) -> Row {
    let (law, promise) = promise(bug);
    let mut row = Row { bug: format!("{bug:?}"), law, promise, caught: None, crashes_before: 0 };
    for net in &NETS {
        select(Some(bug));
        let (tally, found) = (net.run)();
        select(None);
        if let Some(found) = found {
            row.caught = Some(Caught { net: net.name, found, tally });
            break;
        }
        row.crashes_before += tally.crashes;
    }
    row
}

/// What a lying disk can express needs nothing planted.
fn lie(lie: Lie, promise: &'static str) -> Row {
    let (tally, found) = hunted(campaign(Start::Closed, 1, Some(lie)).until_failure());
    let caught = found.map(|found| Caught { net: "crashes, closed", found, tally });
    Row { bug: format!("Lie::{lie:?}"), law: 1, promise, caught, crashes_before: 0 }
}

#[test]
fn every_planted_bug_is_caught() {
    let began = Instant::now();
    // Some damage, and some bugs, end in panics that are caught.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let passed: Vec<_> = NETS.iter().map(|net| (net.name, (net.run)())).collect();
    let mut rows = vec![
        lie(Lie::Files, "what was synced is there"),
        lie(Lie::Names, "names that were synced are there"),
    ];
    rows.extend(Canary::ALL.iter().map(|&bug| cast(bug)));
    panic::set_hook(hook);

    println!("Nothing planted:");
    for (name, (tally, found)) in &passed {
        println!("  {name:15} | {tally} | {}", if found.is_none() { "passed" } else { "FAILED" });
    }
    println!("Planted:");
    print(&rows);
    let missed: Vec<_> =
        rows.iter().filter(|row| row.caught.is_none()).map(|row| &row.bug[..]).collect();
    let (caught, seconds) = (rows.len() - missed.len(), began.elapsed().as_secs());
    println!("{caught}/{} caught, {seconds} s", rows.len());
    passed.iter().for_each(|(name, hunted)| assert_clean(name, hunted));
    assert!(missed.is_empty(), "not caught: {missed:?}");
    assert!(rows.len() >= 16);
}

/// Crashes, openings, failing calls and damaged places are those of the net that caught it, up to the find.
fn print(rows: &[Row]) {
    println!(
        "{:25} | law | {:52} | {:15} | {:9} | {:>7} | {:>6} | {:>8} | {:>6} | {:>7} | what",
        "canary",
        "promise",
        "caught by",
        "as",
        "crashes",
        "before",
        "openings",
        "faults",
        "damages"
    );
    for Row { bug, law, promise, caught, crashes_before: before } in rows {
        let Some(Caught { net, found: Found { kind, what }, tally }) = caught else {
            println!("{bug:25} | {law:3} | {promise:52} | NOT CAUGHT");
            continue;
        };
        let kind = format!("{kind:?}");
        let what: String = what.lines().next().unwrap_or_default().chars().take(90).collect();
        let Tally { crashes, openings, faults, damages, .. } = tally;
        println!(
            "{bug:25} | {law:3} | {promise:52} | {net:15} | {kind:9} | {crashes:7} | {before:6} | {openings:8} | \
             {faults:6} | {damages:7} | {what}",
        );
    }
}
