//! Damage of every kind at every place of a database: it is harmless, or it is refused with the place and nothing is
//! changed. Never a panic, never another state, and never a shorter history in silence.
//!
//! What no rule can tell from a power cut is damage within the groups of the last sync of a log that was not closed: they
//! may be cut off, and then the report says so.

use crate::support::{key, paint, picture, refusal};
use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use steadfast::{
    Background, Engine, Error, Expect, Keyspace, Outcome, Record, Request, Verdict,
    testing::{Choice, Disk, File, ListedKind, SimClock, SimDisk, SimEntropy},
};

const TEXTS: Keyspace<u32, String> = Keyspace::new("texts");
const TOTALS: Keyspace<String, i64> = Keyspace::new("totals");

/// Requests before the first checkpoint, before the second, and after it.
const FIRST: u32 = 20;
const SECOND: u32 = 40;
const LAST: u32 = 86;

/// All that a reader can see.
type State = (BTreeMap<u32, Record<String>>, BTreeMap<String, Record<i64>>);

/// Commits, refusals, deletions: whatever a log can hold.
fn request(n: u32) -> Request<u32> {
    let request = Request::new(key(&format!("request {n}"))).actor(format!("actor {n}"));
    let text = "text ".repeat(30 + n as usize);
    match n % 5 {
        0 => request.put(&TEXTS, &(n % 17), &text, Expect::Any),
        1 => request.put(&TEXTS, &(n % 17), &text, Expect::Absent),
        2 => request.add(&TOTALS, "sum", i64::from(n), 0..=1_000),
        3 => request.delete(&TEXTS, &(n % 17), Expect::Present).put(
            &TEXTS,
            &(100 + n),
            &text,
            Expect::Any,
        ),
        _ => request.put(&TEXTS, &(n % 7), &text, Expect::Any).add(&TOTALS, "other", 1, 0..=9),
    }
    .result(&n)
}

fn open(disk: &SimDisk) -> Result<Engine, Error> {
    Engine::builder()
        .clock(SimClock::new(1_700_000_000_000_000_000, 1_000))
        .entropy(SimEntropy::new(5))
        .background(Background::Manual)
        .memtable_limit_bytes(1 << 20)
        .checkpoint_cache_bytes(1 << 20)
        .segment_bytes(64 << 10)
        .open_on(disk.clone())
}

fn state(engine: &Engine) -> Result<State, Error> {
    let snapshot = engine.snapshot();
    Ok((
        snapshot.range(&TEXTS, ..).collect::<Result<_, _>>()?,
        snapshot.range(&TOTALS, ..).collect::<Result<_, _>>()?,
    ))
}

/// A database with all that is known of it.
struct Subject {
    disk: SimDisk,
    image: BTreeMap<String, Vec<u8>>,
    /// After the last request, after the one before, and so on.
    states: Vec<State>,
    outcomes: Vec<Outcome<u32>>,
    /// What the last sync wrote; `None` for a database that was closed.
    last_sync: Option<(String, Range<usize>)>,
}

fn subject(closed: bool) -> Subject {
    let disk = SimDisk::new();
    let engine = open(&disk).unwrap();
    let mut outcomes = Vec::new();
    let mut states = vec![state(&engine).unwrap()];
    for n in 0..LAST {
        if n == FIRST || n == SECOND {
            engine.checkpoint().unwrap();
        }
        disk.clear_trace();
        outcomes.push(engine.commit(request(n)).unwrap());
        states.insert(0, state(&engine).unwrap());
    }
    assert!(states[0] != states[1]);
    let last_sync = last_write(&disk);
    let disk = if closed {
        engine.close().unwrap();
        disk.after_kill()
    } else {
        // What SIGKILL leaves; everything acknowledged is on the medium as well.
        disk.after_power_cut(&Choice::None)
    };
    let image = image(&disk);
    let segments = image.keys().filter(|name| name.starts_with("segments/")).count();
    assert!(segments >= 4, "only {segments} segments");
    assert_eq!(image.contains_key("CLEAN"), closed);
    Subject { disk, image, states, outcomes, last_sync: (!closed).then_some(last_sync) }
}

/// The only write in the trace: file and bytes.
fn last_write(disk: &SimDisk) -> (String, Range<usize>) {
    let trace = disk.trace();
    let writes: Vec<_> =
        trace.iter().filter_map(|call| call.strip_prefix("write segments/0")).collect();
    assert_eq!(writes.len(), 1, "the last sync wrote more than one group: {trace:?}");
    let (name, range) = writes[0].split_once(' ').unwrap();
    let (offset, bytes) = range.split_once('+').unwrap();
    let offset: usize = offset.parse().unwrap();
    (format!("segments/0{name}"), offset..offset + bytes.parse::<usize>().unwrap())
}

/// Every file with its bytes.
fn image(disk: &SimDisk) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for folder in ["", "segments"] {
        for listed in disk.list(folder).unwrap() {
            if listed.kind == ListedKind::File {
                let name = format!("{folder}/{}", listed.name).trim_start_matches('/').to_owned();
                let file = disk.open(&name).unwrap();
                let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
                file.read_exact_at(0, &mut bytes).unwrap();
                files.insert(name, bytes);
            }
        }
    }
    files
}

/// One piece of damage.
#[derive(Clone, Copy)]
enum Damage {
    Flip { byte: usize, bit: u8 },
    ZeroSector(usize),
    Cut(usize),
    Extend(usize),
    Remove,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flip { byte, bit } => write!(f, "bit {bit} of byte {byte} flipped"),
            Self::ZeroSector(sector) => write!(f, "sector at {} zeroed", sector * 512),
            Self::Cut(len) => write!(f, "cut to {len} bytes"),
            Self::Extend(len) => write!(f, "extended by {len} bytes"),
            Self::Remove => f.write_str("removed"),
        }
    }
}

impl Damage {
    fn inflict(self, disk: &SimDisk, name: &str, bytes: &[u8]) {
        let file: Arc<dyn File> = disk.open(name).unwrap();
        match self {
            Self::Flip { byte, bit } => {
                file.write_all_at(byte as u64, &[bytes[byte] ^ 1 << bit]).unwrap();
            }
            Self::ZeroSector(sector) => {
                let length = 512.min(bytes.len() - sector * 512);
                file.write_all_at(sector as u64 * 512, &vec![0; length]).unwrap();
            }
            Self::Cut(len) => file.set_len(len as u64).unwrap(),
            Self::Extend(len) => file.set_len((bytes.len() + len) as u64).unwrap(),
            Self::Remove => disk.remove(name).unwrap(),
        }
        // It is on the medium, not in some cache.
        if !matches!(self, Self::Remove) {
            file.sync_data().unwrap();
        }
    }

    /// Whether it lies within `range` alone.
    fn within(self, range: &Range<usize>) -> bool {
        match self {
            Self::Flip { byte, .. } => range.contains(&byte),
            Self::ZeroSector(sector) => {
                range.contains(&(sector * 512)) && sector * 512 + 512 <= range.end
            }
            Self::Cut(_) | Self::Extend(_) | Self::Remove => false,
        }
    }
}

/// What became of it.
#[derive(Debug, Default)]
struct Tally {
    harmless: u32,
    refused: BTreeMap<&'static str, u32>,
    /// Refusals that name the damaged file.
    named: u32,
    cut: u32,
    wrong: Vec<String>,
}

impl Subject {
    /// All kinds of damage to one file: every `step`-th byte of what is used.
    fn damages(&self, name: &str, step: usize) -> Vec<Damage> {
        let bytes = &self.image[name];
        let step = if bytes.len() < 200 { 1 } else { step };
        let mut all = vec![Damage::Remove];
        let mut flips: Vec<usize> = (0..bytes.len())
            .step_by(step)
            .filter(|byte| !self.sector(bytes, byte / 512).iter().all(|byte| *byte == 0))
            .collect();
        if name.starts_with("segments/") && !bytes.is_empty() {
            // Headers closely: both copies, and those of the first groups and the last.
            let groups = (2..bytes.len() / 4096)
                .filter(|block| bytes[block * 4096..].starts_with(b"STEADGRP"))
                .collect::<Vec<_>>();
            for block in [0, 1].iter().chain(groups.iter().take(2)).chain(groups.last()) {
                flips.extend((block * 4096..block * 4096 + 160).step_by(step.div_ceil(16)));
            }
            flips.push(bytes.len() - 1);
        }
        all.extend(
            flips
                .into_iter()
                .enumerate()
                .map(|(n, byte)| Damage::Flip { byte, bit: ((n * 5 + byte) % 8) as u8 }),
        );
        for sector in 0..bytes.len().div_ceil(512) {
            if self.sector(bytes, sector).iter().any(|byte| *byte != 0) {
                all.push(Damage::ZeroSector(sector));
            }
        }
        let mut lengths: Vec<usize> = vec![0, 1, 8, 511, 512, 4095, 4096, 8191, 8192, 12_288];
        lengths.extend((1..8).map(|part| bytes.len() * part / 8));
        lengths.extend([1, 2, 512, 4096].map(|less| bytes.len().saturating_sub(less)));
        lengths.retain(|length| *length < bytes.len());
        all.extend(lengths.into_iter().map(Damage::Cut));
        all.extend([1, 512, 4096].map(Damage::Extend));
        all
    }

    fn sector<'a>(&self, bytes: &'a [u8], sector: usize) -> &'a [u8] {
        &bytes[sector * 512..bytes.len().min(sector * 512 + 512)]
    }

    fn try_one(&self, name: &str, damage: Damage, tally: &mut Tally) {
        let disk = self.disk.snapshot();
        damage.inflict(&disk, name, &self.image[name]);
        let before = image(&disk);
        disk.clear_trace();
        let mut wrong = |what: String| tally.wrong.push(format!("{name}, {damage}: {what}"));
        let opened = match catch_unwind(AssertUnwindSafe(|| open(&disk))) {
            Ok(opened) => opened,
            Err(_) => return wrong("panic".into()),
        };
        match opened {
            Err(error) => {
                let kind = match &error {
                    Error::Corruption { file, evidence, .. } => {
                        if file.is_empty() || evidence.is_empty() {
                            wrong(format!("no place: {error}"));
                        }
                        tally.named += u32::from(file == name);
                        "corruption"
                    }
                    Error::UnsupportedFormat { .. } => "unsupported format",
                    Error::NotADatabase { .. } => "not a database",
                    _ => return wrong(format!("an error of the wrong kind: {error}")),
                };
                *tally.refused.entry(kind).or_default() += 1;
                if image(&disk) != before {
                    tally.wrong.push(format!("{name}, {damage}: changed by a refusal: {error}"));
                }
            }
            Ok(engine) => match catch_unwind(AssertUnwindSafe(|| self.judge(&engine))) {
                Ok(Ok(0)) => tally.harmless += 1,
                Ok(Ok(lost)) => {
                    let allowed = lost == 1
                        && self
                            .last_sync
                            .as_ref()
                            .is_some_and(|(file, range)| file == name && damage.within(range));
                    if !allowed {
                        wrong(format!("a shorter history: {}", engine.recovery()));
                    } else if engine.recovery().torn_tail.is_none()
                        || engine.recovery().verdict != Verdict::TornTail
                    {
                        wrong(format!("cut in silence: {}", engine.recovery()));
                    } else {
                        tally.cut += 1;
                    }
                }
                Ok(Err(what)) => wrong(what),
                Err(_) => wrong("panic while it was used".into()),
            },
        }
    }

    /// How many requests are lost, if what is there is otherwise as it should be.
    fn judge(&self, engine: &Engine) -> Result<usize, String> {
        let failed = |error: Error| format!("opened, then: {error}");
        let state = state(engine).map_err(failed)?;
        let Some(lost) = self.states.iter().position(|known| *known == state) else {
            return Err(format!("another state: {}", engine.recovery()));
        };
        let kept = self.outcomes.len() - lost;
        for (n, first) in self.outcomes.iter().enumerate() {
            let again = engine.commit(request(n as u32)).map_err(failed)?;
            let expected = match first {
                Outcome::Committed(receipt) => {
                    let mut receipt = receipt.clone();
                    receipt.replayed = true;
                    Outcome::Committed(receipt)
                }
                rejected => rejected.clone(),
            };
            if n < kept && again != expected {
                return Err(format!("request {n} was answered with {again:?}"));
            }
            if n >= kept && matches!(&again, Outcome::Committed(receipt) if receipt.replayed) {
                return Err(format!("lost request {n} was answered with {again:?}"));
            }
        }
        Ok(lost)
    }
}

fn campaign(closed: bool, segment_step: usize, checkpoint_step: usize) {
    let subject = subject(closed);
    {
        let disk = subject.disk.snapshot();
        let engine = open(&disk).unwrap();
        let verdict = if closed { Verdict::Clean } else { Verdict::Unclean };
        assert_eq!(engine.recovery().verdict, verdict);
        assert_eq!(subject.judge(&engine), Ok(0));
    }
    let names: Vec<_> = subject.image.keys().cloned().collect();
    let mut total = Tally::default();
    for name in names {
        let mut tally = Tally::default();
        let step = if name.starts_with("checkpoint") { checkpoint_step } else { segment_step };
        let damages = subject.damages(&name, step);
        for &damage in &damages {
            subject.try_one(&name, damage, &mut tally);
        }
        let Tally { harmless, refused, named, cut, wrong } = tally;
        println!(
            "{name} ({} bytes): {} damages, {harmless} harmless, refused {refused:?} ({named} name this file), {cut} cut \
             and reported, {} wrong",
            subject.image[&name].len(),
            damages.len(),
            wrong.len(),
        );
        // A note that a segment was begun is empty, and only asks for that segment to be there.
        let noticed = refused.values().sum::<u32>() > 0 || subject.image[&name].is_empty();
        assert!(noticed, "{name}: nothing was ever noticed");
        total.cut += cut;
        total.wrong.extend(wrong);
    }
    assert!(total.wrong.is_empty(), "{} wrong:\n{}", total.wrong.len(), total.wrong.join("\n"));
    assert_eq!(total.cut > 0, !closed, "the last sync of a log that was not closed was never hit");
}

#[test]
fn damage_to_a_closed_database_is_harmless_or_refused() {
    campaign(true, 11, 61);
}

#[test]
fn damage_to_a_database_that_was_not_closed_is_harmless_or_refused_or_the_last_sync() {
    campaign(false, 11, 61);
}

#[test]
fn a_directory_copied_while_it_is_open_is_what_a_kill_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::builder().segment_bytes(64 << 10).open(dir.path().join("open")).unwrap();
    let outcomes: Vec<_> = (0..LAST).map(|n| engine.commit(request(n)).unwrap()).collect();
    engine.checkpoint().unwrap();
    let more = Request::new(key("more")).put(&TEXTS, &9_999, &"more".into(), Expect::Absent);
    let _receipt = engine.commit(more).unwrap().committed().unwrap();
    let expected = state(&engine).unwrap();
    let image = picture(&dir.path().join("open"));

    let copy = dir.path().join("copy");
    paint(&copy, &image);
    let copied = Engine::open(&copy).unwrap();
    assert_eq!(copied.recovery().verdict, Verdict::Unclean);
    assert!(state(&copied).unwrap() == expected);
    for (n, outcome) in outcomes.iter().enumerate() {
        match (outcome, copied.commit(request(n as u32)).unwrap()) {
            (Outcome::Committed(first), Outcome::Committed(again)) => {
                assert_eq!(
                    (first.seq, first.time, first.result),
                    (again.seq, again.time, again.result)
                );
                assert!(again.replayed);
            }
            (first, again) => assert_eq!(*first, again),
        }
    }
    assert!(state(&copied).unwrap() == expected, "a retry changed something");

    // The same on real files: refused, and every byte as it was.
    for name in image.keys().filter(|name| copy.join(name).is_file() && !name.ends_with("CLEAN")) {
        let damaged = dir.path().join("damaged");
        paint(&damaged, &image);
        let path = damaged.join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len().min(8192 + 150);
        bytes[..end].iter_mut().for_each(|byte| *byte = !*byte);
        std::fs::write(&path, bytes).unwrap();
        let before = picture(&damaged);
        let error = refusal(Engine::open(&damaged));
        assert!(matches!(error, Error::Corruption { .. }), "{}: {error}", name.display());
        assert!(picture(&damaged) == before, "{}", name.display());
        std::fs::remove_dir_all(&damaged).unwrap();
    }
}
