//! The nets, from the cheapest to the dearest, and what is caught in which.

use crate::hunts::{Found, Hunted, Tally, faults, forged, rot};
use std::{panic, time::Instant};
use steadfast::testing::{
    Lie,
    canary::{Canary, select},
    crash::{Campaign, Kind, Start, Step, Summary, lives},
    log::LogCampaign,
};

/// A campaign that ends with the first failure.
struct Net {
    name: &'static str,
    run: fn() -> Hunted,
}

const NETS: [Net; 12] = [
    Net { name: "model, no crash", run: || model(Start::Closed) },
    Net { name: "model, checkpoint", run: || model(Start::Due) },
    Net { name: "forged groups", run: forged::forged },
    Net { name: "random lives", run: random_lives },
    Net { name: "log alone", run: logs },
    Net { name: "failing reads", run: faults::reads },
    Net { name: "failing writes", run: faults::writes },
    Net { name: "rot, not closed", run: || rot::rot(false) },
    Net { name: "rot, closed", run: || rot::rot(true) },
    Net { name: "crashes, closed", run: || crashes(Start::Closed) },
    Net { name: "crashes, torn", run: || crashes(Start::Torn) },
    Net { name: "crashes, empty", run: || crashes(Start::Empty) },
];

fn campaign(start: Start, longest: usize) -> Campaign {
    Campaign { seed: 1, start, lie: None, first: Vec::new(), longest, samples: 64, threads: 1 }
}

fn hunted(summary: Summary, failure: Option<(Kind, String)>) -> Hunted {
    let tally = Tally {
        runs: summary.sequences,
        crashes: summary.subsets + summary.recovery_subsets,
        openings: summary.openings,
        ..Tally::default()
    };
    (tally, failure.map(|(kind, what)| Found { kind, what }))
}

fn model(start: Start) -> Hunted {
    let (summary, failure) = campaign(start, 2).without_crashes();
    hunted(summary, failure.map(|failure| (failure.kind, failure.what)))
}

fn crashes(start: Start) -> Hunted {
    let (summary, failure) = campaign(start, 1).until_failure();
    hunted(summary, failure.map(|failure| (failure.kind, failure.what)))
}

fn random_lives() -> Hunted {
    let mut total = Summary::default();
    for seed in 0..60 {
        let (summary, failures) = lives(seed, 4);
        total += summary;
        if let Some(failure) = failures.into_iter().next() {
            return hunted(total, Some((failure.kind, failure.what)));
        }
    }
    hunted(total, None)
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
        C::KeyReuseAccepted => (4, "a key stands for one request"),
        C::RetryRunsAgain => (4, "a retry gets the first result"),
        C::RejectionForgotten => (4, "a refusal is remembered"),
        C::VersionOffByOne => (5, "a version is its entry's number"),
        C::CountDrifts => (1, "counts are those of the records"),
        C::ReadsBeforeDurable => (3, "readers see only what is durable"),
        C::RefusalBeforeDurable => (3, "a refusal quotes only what is durable"),
        C::LockLetGo => (6, "one opening at a time"),
    }
}

struct Row {
    bug: String,
    law: u8,
    promise: &'static str,
    /// Where it was caught, as what, and what that took, other nets before it included.
    caught: Option<(&'static str, Kind, Tally)>,
    what: String,
}

/// Goes through the nets until the bug is caught.
fn cast(bug: Canary) -> Row {
    let (law, promise) = promise(bug);
    let mut row = Row { bug: format!("{bug:?}"), law, promise, caught: None, what: String::new() };
    let mut total = Tally::default();
    for net in &NETS {
        select(Some(bug));
        let (tally, found) = (net.run)();
        select(None);
        total = Tally {
            runs: total.runs + tally.runs,
            crashes: total.crashes + tally.crashes,
            openings: total.openings + tally.openings,
            faults: total.faults + tally.faults,
            damages: total.damages + tally.damages,
        };
        if let Some(Found { kind, what }) = found {
            row.caught = Some((net.name, kind, total));
            row.what = what;
            break;
        }
    }
    row
}

/// What a lying disk can express needs nothing planted.
fn lie(lie: Lie, promise: &'static str) -> Row {
    let campaign = Campaign { lie: Some(lie), ..campaign(Start::Closed, 1) };
    let (summary, failure) = campaign.until_failure();
    let (tally, found) = hunted(summary, failure.map(|failure| (failure.kind, failure.what)));
    let what = found.as_ref().map_or(String::new(), |found| found.what.clone());
    let caught = found.map(|found| ("crashes, closed", found.kind, tally));
    Row { bug: format!("Lie::{lie:?}"), law: 1, promise, caught, what }
}

#[test]
fn every_planted_bug_is_caught() {
    let began = Instant::now();
    println!("Nothing planted:");
    for net in &NETS {
        let begun = Instant::now();
        let (tally, found) = (net.run)();
        println!("{:18} {tally}, {:.1} s", net.name, begun.elapsed().as_secs_f64());
        assert!(found.is_none(), "{}, with nothing planted: {found:?}", net.name);
        assert!(tally.runs > 0 && tally.openings > 0, "{} explored nothing", net.name);
    }
    // Some bugs end in panics, which the nets catch.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let mut rows = vec![
        lie(Lie::Files, "a disk that does not sync is found out"),
        lie(Lie::Names, "a disk that does not sync names is found out"),
    ];
    rows.extend(Canary::ALL.iter().map(|&bug| cast(bug)));
    panic::set_hook(hook);
    print(&rows);
    let missed: Vec<_> =
        rows.iter().filter(|row| row.caught.is_none()).map(|row| &row.bug[..]).collect();
    println!(
        "{}/{} caught, {:.0} s",
        rows.len() - missed.len(),
        rows.len(),
        began.elapsed().as_secs_f64()
    );
    assert!(missed.is_empty(), "not caught: {missed:?}");
    assert!(rows.len() >= 16);
}

fn print(rows: &[Row]) {
    println!(
        "{:26} | {:3} | {:52} | {:18} | {:9} | {:>7} | {:>8} | {:>6} | {:>7} | what",
        "canary", "law", "promise", "caught by", "as", "crashes", "openings", "faults", "damages"
    );
    for Row { bug, law, promise, caught, what } in rows {
        let what = what.lines().next().unwrap_or_default();
        let what: String = what.chars().take(110).collect();
        let (net, kind, tally) = match caught {
            Some((net, kind, tally)) => (*net, format!("{kind:?}"), *tally),
            None => ("NOT CAUGHT", String::new(), Tally::default()),
        };
        let Tally { crashes, openings, faults, damages, .. } = tally;
        println!(
            "{bug:26} | {law:3} | {promise:52} | {net:18} | {kind:9} | {crashes:7} | {openings:8} | {faults:6} | \
             {damages:7} | {what}",
        );
    }
}
