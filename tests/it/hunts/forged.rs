//! Bytes that changed before they were sealed, so that every checksum is right: the state digest shows it where the state
//! would be another, and the chain where the history would.

use super::{Found, Hunted, Tally, hunt, loss, violation};
use crate::support::key;
use steadfast::{
    Background, Engine, Error, Expect, Keyspace, Request,
    testing::{Choice, SimClock, SimDisk, SimEntropy, reseal},
};

const TEXTS: Keyspace<u32, String> = Keyspace::new("texts");
const REQUESTS: u32 = 6;

fn open(disk: &SimDisk) -> Result<Engine, Error> {
    Engine::builder()
        .clock(SimClock::new(1_700_000_000_000_000_000, 1_000))
        .entropy(SimEntropy::new(5))
        .background(Background::Manual)
        .segment_bytes(64 << 10)
        .open_on(disk.clone())
}

/// A log that was not closed, its segment, and where its groups begin.
fn log() -> Result<(SimDisk, String, Vec<u64>), Error> {
    let disk = SimDisk::new();
    let engine = open(&disk)?;
    for n in 0..REQUESTS {
        let request = Request::new(key(&format!("request {n}"))).correlation("correlation");
        engine.commit(request.put(&TEXTS, &n, &"contents".into(), Expect::Any))?.committed()?;
    }
    let left = disk.after_power_cut(&Choice::None);
    let mut files = left.files().into_iter();
    let (segment, _) = files.rfind(|(name, _)| name.starts_with("segments/0")).expect("a log");
    let groups = reseal::groups(&left, &segment).expect("a whole segment");
    Ok((left, segment, groups))
}

/// Turns the first byte of `what` into another, wherever that stands in a group.
fn forge(
    (disk, segment, groups): &(SimDisk, String, Vec<u64>),
    from_last: usize,
    what: &str,
    tally: &mut Tally,
) -> Result<(), Found> {
    let disk = disk.snapshot();
    let change = |body: &mut [u8]| {
        let found = body.windows(what.len()).position(|bytes| bytes == what.as_bytes());
        body[found.expect("every request holds it")] ^= 1;
    };
    let group = groups[groups.len() - 1 - from_last];
    reseal::reseal(&disk, segment, group, change).map_err(violation)?;
    tally.damages += 1;
    let before = disk.digest();
    match open(&disk) {
        Err(Error::Corruption { .. }) if disk.digest() == before => Ok(()),
        Err(error) => Err(violation(format!("refused otherwise: {error}"))),
        Ok(engine) => {
            Err(loss(format!("another {what} was believed, group {group}: {}", engine.recovery())))
        }
    }
}

pub fn forged() -> Hunted {
    hunt(|tally| {
        let log = log().map_err(violation)?;
        tally.runs = 1;
        for from_last in 0..REQUESTS as usize {
            forge(&log, from_last, "contents", tally)?;
        }
        // What nothing but the chain shows is found once more than one sync follows.
        for from_last in 2..REQUESTS as usize {
            forge(&log, from_last, "correlation", tally)?;
        }
        open(&log.0).map_err(violation)?;
        tally.openings += 1;
        Ok(())
    })
}

#[test]
fn what_changed_before_it_was_sealed_is_refused() {
    let hunted = forged();
    super::assert_clean("forged", &hunted);
    assert_eq!(hunted.0.damages, 10);
}
