//! Damage to what was acknowledged, one place at a time: it is refused and nothing is changed, or it is harmless. But for the
//! last sync of a log that was not closed, nothing is lost; and what is cut is reported.

use super::{Found, Hunted, Tally, hunt, loss, refusal, violation};
use crate::support::key;
use std::{collections::BTreeMap, ops::Range};
use steadfast::{
    Background, Engine, Error, Expect, Keyspace, Record, Request, SeqNo, Verdict,
    testing::{Choice, SimClock, SimDisk, SimEntropy, reseal},
};

const TEXTS: Keyspace<u32, String> = Keyspace::new("texts");
const REQUESTS: u32 = 28;
const SECTOR: usize = 512;

type State = BTreeMap<u32, Record<String>>;

/// A database, and all that is known of it.
struct Subject {
    disk: SimDisk,
    /// After the last request, after the one before, and so on.
    states: Vec<State>,
    seqs: Vec<SeqNo>,
    /// Where the last sync wrote; nothing vouches for that yet when the log was not closed.
    last_sync: Option<(String, Range<u64>)>,
}

enum Damage {
    Flip { byte: u64, bit: u8 },
    Zero { sector: u64 },
    Remove,
}

fn open(disk: &SimDisk) -> Result<Engine, Error> {
    Engine::builder()
        .clock(SimClock::new(1_700_000_000_000_000_000, 1_000))
        .entropy(SimEntropy::new(5))
        .background(Background::Manual)
        .checkpoint_cache_bytes(1 << 20)
        .segment_bytes(64 << 10)
        .open_on(disk.clone())
}

fn request(n: u32) -> Request<u32> {
    let text = format!("{n}").repeat(200);
    Request::new(key(&format!("request {n}"))).put(&TEXTS, &(n % 9), &text, Expect::Any).result(&n)
}

fn state(engine: &Engine) -> Result<State, Error> {
    engine.snapshot().range(&TEXTS, ..).collect()
}

fn subject(closed: bool) -> Result<Subject, Error> {
    let disk = SimDisk::new();
    let engine = open(&disk)?;
    let (mut states, mut seqs) = (vec![state(&engine)?], Vec::new());
    for n in 0..REQUESTS {
        if n == REQUESTS / 4 || n == REQUESTS / 2 {
            engine.checkpoint()?;
        }
        seqs.push(engine.commit(request(n))?.committed()?.seq);
        states.insert(0, state(&engine)?);
    }
    let unclean = disk.after_power_cut(&Choice::None);
    engine.close()?;
    let disk = if closed { disk.after_power_cut(&Choice::None) } else { unclean };
    let last_sync = (!closed).then(|| last_group(&disk));
    Ok(Subject { disk, states, seqs, last_sync })
}

fn last_group(disk: &SimDisk) -> (String, Range<u64>) {
    let mut files = disk.files().into_iter();
    let (segment, bytes) =
        files.rfind(|(name, _)| name.starts_with("segments/0")).expect("there is a log");
    let groups = reseal::groups(disk, &segment).expect("a whole segment");
    (segment, *groups.last().expect("the last segment was written to")..bytes)
}

impl Damage {
    fn inflict(&self, disk: &SimDisk, name: &str) {
        match *self {
            Self::Flip { byte, bit } => disk.flip_bit(name, byte, bit),
            Self::Zero { sector } => disk.zero_sector(name, sector),
            Self::Remove => disk.remove_file(name),
        }
        .expect("the file is there");
    }

    fn within(&self, range: &Range<u64>) -> bool {
        match *self {
            Self::Flip { byte: at, .. } | Self::Zero { sector: at } => range.contains(&at),
            Self::Remove => false,
        }
    }
}

impl Subject {
    /// The file as a whole, and every sector of it that holds anything: one bit of it, and all of it.
    fn damages(&self, name: &str) -> Vec<Damage> {
        let bytes = self.disk.read_file(name).expect("it is listed");
        let mut damages = vec![Damage::Remove];
        for (number, sector) in bytes.chunks(SECTOR).enumerate() {
            let used: Vec<_> = (0..sector.len()).filter(|&byte| sector[byte] != 0).collect();
            let start = (number * SECTOR) as u64;
            if let Some(&byte) = used.get(number * 7 % used.len().max(1)) {
                damages.push(Damage::Flip { byte: start + byte as u64, bit: (number % 8) as u8 });
                damages.push(Damage::Zero { sector: start });
            }
        }
        damages
    }

    fn try_one(&self, name: &str, damage: &Damage, tally: &mut Tally) -> Result<bool, Found> {
        let disk = self.disk.snapshot();
        damage.inflict(&disk, name);
        tally.damages += 1;
        let before = disk.digest();
        let engine = match open(&disk) {
            Ok(engine) => engine,
            Err(
                Error::Corruption { .. }
                | Error::UnsupportedFormat { .. }
                | Error::NotADatabase { .. },
            ) => {
                if disk.digest() != before {
                    return Err(violation("a refusal changed something"));
                }
                return Ok(false);
            }
            Err(error) => return Err(refusal(error)),
        };
        tally.openings += 1;
        let lost = self.judge(&engine)?;
        if lost == 0 {
            return Ok(true);
        }
        let last = self.last_sync.as_ref();
        if lost > 1 || !last.is_some_and(|(file, range)| file == name && damage.within(range)) {
            return Err(loss(format!("{lost} requests are lost: {}", engine.recovery())));
        }
        let report = engine.recovery();
        if report.torn_tail.is_none() || report.verdict != Verdict::TornTail {
            return Err(loss(format!("one request is lost in silence: {report}")));
        }
        Ok(true)
    }

    /// How many requests are lost, if what is there is otherwise as it should be.
    fn judge(&self, engine: &Engine) -> Result<usize, Found> {
        let state = state(engine).map_err(violation)?;
        let Some(lost) = self.states.iter().position(|known| *known == state) else {
            return Err(violation("the state is none that ever was"));
        };
        for (n, seq) in self.seqs.iter().enumerate().take(self.seqs.len() - lost) {
            let outcome = engine.commit(request(n as u32)).map_err(violation)?;
            let receipt = outcome.committed().map_err(violation)?;
            if !receipt.replayed || receipt.seq != *seq {
                return Err(violation(format!("request {n} was repeated: {receipt:?}")));
            }
        }
        Ok(lost)
    }
}

pub fn rot(closed: bool) -> Hunted {
    hunt(|tally| {
        let subject = subject(closed).map_err(violation)?;
        tally.runs = 1;
        // Segments first, the newest before the others; the checkpoint has the most sectors.
        let mut files = subject.disk.files();
        files.sort_by_key(|(name, _)| (!name.starts_with("segments/"), name.clone()));
        let log = files.iter().filter(|(name, _)| name.starts_with("segments/")).count();
        files[..log].reverse();
        let mut refused = 0;
        for (name, _) in files {
            for damage in subject.damages(&name) {
                refused += u64::from(!subject.try_one(&name, &damage, tally)?);
            }
        }
        if refused == 0 {
            return Err(violation("nothing was ever refused"));
        }
        Ok(())
    })
}

/// Damage under an engine that is open, to records it has to read again: the record as it was, or an error.
pub fn live() -> Hunted {
    const RECORDS: u32 = 3_000;
    hunt(|tally| {
        let disk = SimDisk::new();
        let engine = open(&disk).map_err(violation)?;
        (tally.runs, tally.openings) = (1, 1);
        // More than the cache of the checkpoint holds.
        let text = |n: u32| format!("record {n:08} ").repeat(60);
        for first in (0..RECORDS).step_by(100) {
            let put = |request: Request, n| request.put(&TEXTS, &n, &text(n), Expect::Any);
            let request = (first..first + 100).fold(Request::unkeyed(), put);
            engine.commit(request).map_err(violation)?.committed().map_err(violation)?;
        }
        engine.checkpoint().map_err(violation)?;
        let bytes = disk.read_file("checkpoint.redb").map_err(violation)?;
        let mut refused = 0;
        for n in (0..RECORDS).step_by(50) {
            let marker = format!("record {n:08} ");
            let places = bytes.windows(marker.len()).enumerate();
            for (place, _) in places.filter(|(_, text)| *text == marker.as_bytes()).take(1) {
                disk.flip_bit("checkpoint.redb", place as u64, 1).map_err(violation)?;
                tally.damages += 1;
            }
            match engine.get(&TEXTS, &n) {
                Ok(Some(record)) if record.value == text(n) => {}
                Ok(record) => {
                    let value = record.map(|record| record.value[..16].to_owned());
                    return Err(violation(format!("record {n} is {value:?} all at once")));
                }
                Err(Error::Corruption { .. }) => refused += 1,
                Err(error) => return Err(violation(error)),
            }
        }
        if refused == 0 { Err(violation("nothing was read again")) } else { Ok(()) }
    })
}

#[test]
fn damage_under_an_open_engine_is_refused_or_not_seen() {
    let hunted = live();
    super::assert_clean("under an open engine", &hunted);
    assert!(hunted.0.damages > 10);
}

#[test]
fn damage_is_refused_or_harmless() {
    for closed in [true, false] {
        let hunted = rot(closed);
        super::assert_clean(&format!("closed {closed}"), &hunted);
        let tally = hunted.0;
        assert!(tally.damages > 100 && tally.openings > 10, "{tally}");
    }
}
