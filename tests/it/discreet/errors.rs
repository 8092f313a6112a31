//! Every kind of error, brought about with the marker wherever a caller can put something.

use super::Shown;
use crate::support::{MARKER, Node};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};
use steadfast::{
    Abort, Background, Builder, Engine, Error, Expect, IdempotencyKey, Invariant, Keyspace, Mode,
    OnBrokenRule, OnDuplicate, Request, Rules, SumInvariant, Total, Version, Violation,
    testing::{Choice, Repeat, SimClock, SimDisk, SimEntropy},
};

const NAMES: Keyspace<String, String> = Keyspace::new("names");
const NUMBERS: Keyspace<String, i64> = Keyspace::new("numbers");
/// Stands for a value that is a number.
pub const NUMBER: i64 = 836_751_777;
const BEGIN: u64 = 1_700_000_000_000_000_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A result or a rejection whose own `Debug` gives nothing away.
#[derive(Serialize, Deserialize)]
pub struct Secrets(pub String);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

/// Neither encodes nor decodes, and says why with the marker.
#[derive(Debug)]
struct Refuses;

impl Serialize for Refuses {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom(MARKER))
    }
}

impl<'de> Deserialize<'de> for Refuses {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom(MARKER))
    }
}

/// A key whose scope holds the marker, and the key too.
pub fn secret(name: &str) -> IdempotencyKey {
    IdempotencyKey::new(MARKER, format!("{MARKER}-{name}")).unwrap()
}

/// The files that hold the marker: only those of the log and the checkpoint may. No name holds it.
pub fn in_files(nodes: &BTreeMap<PathBuf, Node>) -> Vec<&Path> {
    let marked = |bytes: &[u8]| bytes.windows(MARKER.len()).any(|part| part == MARKER.as_bytes());
    let mut holders = Vec::new();
    for (name, node) in nodes {
        assert!(!name.to_string_lossy().contains(MARKER), "{}", name.display());
        if let Node::File(bytes) = node
            && marked(bytes)
        {
            let data = name == Path::new("checkpoint.redb") || name.starts_with("segments");
            assert!(data, "{} holds it", name.display());
            holders.push(name.as_path());
        }
    }
    holders
}

fn builder(clock: &SimClock) -> Builder {
    let builder = Engine::builder().clock(clock.clone()).entropy(SimEntropy::new(8));
    builder.background(Background::Manual).segment_bytes(64 << 10)
}

fn simulated(set: impl FnOnce(Builder) -> Builder) -> (SimDisk, SimClock, Engine) {
    let (disk, clock) = (SimDisk::new(), SimClock::new(BEGIN, 1_000));
    disk.assume_powersafe("checkpoint.redb");
    let engine = set(builder(&clock)).open_on(disk.clone()).unwrap();
    (disk, clock, engine)
}

fn put(name: &str) -> Request {
    marked(Request::new(secret(name)))
}

/// A request with the marker in everything.
fn marked(request: Request) -> Request {
    let request = request.put(&NAMES, MARKER, &MARKER.into(), Expect::Any);
    request.actor(MARKER).correlation(MARKER).intent(&MARKER)
}

fn done(engine: &Engine, request: Request) {
    engine.commit(request).unwrap().committed().unwrap();
}

pub fn of_requests(shown: &mut Shown) {
    let (_, _, engine) = simulated(|builder| builder);
    done(&engine, put("k"));
    // Rejections, as errors.
    let requests = [
        Request::unkeyed().delete(&NAMES, MARKER, Version::new(0)),
        Request::unkeyed().put(&NAMES, MARKER, &MARKER.into(), Expect::Absent).actor(MARKER),
        Request::new(secret("p")).delete(&NAMES, &MARKER.repeat(2), Expect::Present),
        Request::new(secret("b")).add(&NUMBERS, MARKER, NUMBER, 0..=4),
    ];
    for request in requests {
        let rejection = engine.commit(request).unwrap().committed().unwrap_err();
        shown.debug("rejection", &rejection);
        shown.error("rejection", &rejection.into());
    }
    let refused = engine
        .update(secret("r"), &MARKER, |_| Err::<(), _>(Abort::Reject(Secrets(MARKER.into()))));
    shown.error("procedure", &refused.unwrap().committed().unwrap_err().into());
    // Malformed ones.
    shown.failed("shape", engine.commit(Request::new(secret("s")).actor(MARKER)));
    let twice = put("s").put(&NAMES, MARKER, &MARKER.into(), Expect::Absent);
    shown.failed("second mutation", engine.commit(twice));
    let buffered = put("s").durability(steadfast::Durability::Buffered);
    shown.failed("buffered", engine.commit(buffered));
    #[allow(clippy::reversed_empty_ranges)]
    let empty = Request::new(secret("s")).add(&NUMBERS, MARKER, 1, 2..=1);
    shown.failed("empty bounds", engine.commit(empty));
    let long = MARKER.repeat(100_000);
    let limits = [
        Request::unkeyed().put(&NAMES, &long[..5_000], &MARKER.into(), Expect::Any),
        Request::unkeyed().put(&NAMES, MARKER, &long, Expect::Any),
        put("l").actor(&long[..100]),
        put("l").correlation(&long[..2_000]),
        put("l").intent(&long),
    ];
    for request in limits {
        shown.failed("limit", engine.commit(request));
    }
    shown.failed("result", engine.commit(put("l").result(&long[..70_000].to_owned())));
    shown.error("key", &IdempotencyKey::new(MARKER, &long[..256]).unwrap_err().into());
    shown.failed("reason", engine.set_mode(Mode::ReadOnly { reason: long[..1_025].to_owned() }));
    let future = put("v").put(&NAMES, &MARKER.repeat(2), &MARKER.into(), Version::new(900));
    shown.failed("future", engine.commit(future));
    const WORDS: Keyspace<String, String> = Keyspace::new("numbers");
    done(&engine, Request::unkeyed().put(&WORDS, MARKER, &MARKER.into(), Expect::Any));
    shown.failed(
        "no number",
        engine.commit(Request::new(secret("n")).add(&NUMBERS, MARKER, 1, 0..=9)),
    );
    const BYTES: Keyspace<String, steadfast::Bytes> = Keyspace::raw("names");
    shown.failed("keyspace", engine.get(&BYTES, MARKER));
    const KEYS: Keyspace<u32, String> = Keyspace::new("names");
    let other = Request::new(secret("d")).put(&KEYS, &1, &MARKER.into(), Expect::Any);
    shown.failed("shape of keys", engine.commit(other));
}

pub fn of_keys(shown: &mut Shown) {
    let minute = Duration::from_secs(60);
    let (_, clock, engine) =
        simulated(|builder| builder.remember_outcomes_for(minute).remember_keys_for(minute * 60));
    let key = |millis| IdempotencyKey::time_ordered(MARKER, millis, MARKER).unwrap();
    let now = BEGIN / 1_000_000;
    done(&engine, put("k"));
    done(&engine, marked(Request::new(key(now))));
    shown.failed("reused", engine.commit(put("k").intent(&"another")));
    shown.failed("duplicate", engine.commit(put("k").on_duplicate(OnDuplicate::Reject)));
    engine.fence(&secret("f")).unwrap();
    shown.failed("fenced", engine.commit(put("f")));
    shown.failed("ahead", engine.commit(marked(Request::new(key(now + 86_400_000)))));
    let mut ticks = 0;
    while engine.window().horizon.is_none() {
        clock.advance(minute * 5);
        done(&engine, marked(Request::unkeyed()));
        ticks += 1;
        if ticks == 2 {
            shown.failed("stub", engine.commit(put("k")));
            shown.debug("stub", &engine.resolve(&secret("k")).unwrap());
            shown.failed("stub of another", engine.commit(put("k").intent(&"another")));
        }
        assert!(ticks < 100, "nothing is forgotten");
    }
    shown.failed("expired", engine.commit(marked(Request::new(key(now)))));
    shown.debug("window", &engine.window());

    let (.., engine) = simulated(|builder| builder.require_time_ordered_keys(true));
    shown.failed("untimed", engine.commit(put("k")));
    for set in [|b: Builder| b.window_limit_bytes(1), |b: Builder| b.scope_limit_bytes(1)] {
        let (.., engine) = simulated(set);
        done(&engine, put("k"));
        shown.failed("window", engine.commit(put("l")));
    }
}

pub fn of_codecs(shown: &mut Shown) {
    const REFUSES: Keyspace<String, Refuses> = Keyspace::new("names");
    let (_, _, engine) = simulated(|builder| builder);
    let encoded = || Request::new(secret("e"));
    shown.failed("value", engine.commit(encoded().put(&REFUSES, MARKER, &Refuses, Expect::Any)));
    shown.failed("intent", engine.commit(put("e").intent(&Refuses)));
    shown.failed("result", engine.commit(put("e").result(&Refuses)));
    done(&engine, put("k"));
    shown.failed("reading", engine.get(&REFUSES, MARKER));
    for record in engine.snapshot().range(&REFUSES, ..) {
        shown.failed("ranging", record);
    }
    let result = || put("r").result(&MARKER.to_owned());
    engine.commit(result()).unwrap().committed().unwrap();
    struct Other;
    impl Serialize for Other {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str(MARKER)
        }
    }
    impl<'de> Deserialize<'de> for Other {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(de::Error::custom(MARKER))
        }
    }
    shown.failed("another result", engine.commit(put("r").result(&Other)));
    match engine.resolve(&secret("r")).unwrap() {
        steadfast::KeyStatus::Committed(receipt) => {
            shown.failed("result of a status", receipt.result.decode::<Other>());
        }
        other => panic!("{other:?}"),
    }
    let refused = engine.update(secret("u"), &MARKER, |_| Err::<(), _>(Abort::Reject(Refuses)));
    shown.failed("rejection", refused);
}

pub fn of_calls(shown: &mut Shown) {
    let (_, _, engine) = simulated(|builder| builder.queue_limit_requests(1));
    done(&engine, put("k"));
    let late = put("late").deadline_in(Duration::ZERO);
    shown.failed("late", engine.commit(late));
    let ticket = engine.submit(put("waits"));
    shown.failed("overloaded", engine.try_submit(put("more")));
    ticket.wait().unwrap().committed().unwrap();
    let panicked = engine.update(secret("p"), &MARKER, |_| -> Result<(), Abort> {
        // The hook would print it.
        std::panic::resume_unwind(Box::new(MARKER))
    });
    shown.failed("panic", panicked);
    let inside = engine.update(secret("i"), &MARKER, |_| {
        let _ = engine.commit(put("inside"))?;
        Ok::<_, Abort>(())
    });
    shown.failed("reentrant", inside);
    engine.set_mode(Mode::ReadOnly { reason: "for people".into() }).unwrap();
    shown.failed("read-only", engine.commit(put("new")));
    let clone = engine.clone();
    shown.debug("closing", &engine.close().unwrap());
    shown.failed("closed", clone.commit(put("new")));
    shown.failed("closed", clone.get(&NAMES, MARKER));
    let (.., engine) = simulated(|builder| builder.first_seq(u64::MAX));
    shown.failed("exhausted", engine.commit(put("new")));
}

pub fn of_disks(shown: &mut Shown) {
    let (disk, _, engine) = simulated(|builder| builder);
    done(&engine, put("k"));
    let used: u64 = disk.files().iter().map(|(_, bytes)| bytes).sum();
    disk.set_capacity(Some(used));
    let full = (0..100).find_map(|n: u32| {
        let value = MARKER.repeat(300);
        let request = put(&n.to_string()).put(&NAMES, &MARKER.repeat(2), &value, Expect::Any);
        engine.commit(request).err()
    });
    shown.error("full", &full.expect("the disk is full"));

    let (disk, _, engine) = simulated(|builder| builder);
    done(&engine, put("k"));
    disk.fail_call(disk.io_count() + 1, io::ErrorKind::Other, Repeat::Once);
    shown.failed("lost", engine.commit(put("l")));
    shown.failed("poisoned", engine.commit(put("m")));
    shown.failed("asked", engine.resolve(&secret("l")));
    shown.failed("closing", engine.close());

    // The first commit of an opening prepares a segment.
    let (disk, _, engine) = simulated(|builder| builder);
    disk.fail_call(disk.io_count() + 1, io::ErrorKind::PermissionDenied, Repeat::Once);
    shown.failed("system", engine.commit(put("k")));
}

pub fn of_openings(shown: &mut Shown) {
    let (disk, clock, engine) = simulated(|builder| builder);
    done(&engine, put("k"));
    done(&engine, put("l"));
    shown.failed("locked", builder(&clock).open_on(disk.clone()));
    engine.checkpoint().unwrap();
    drop(engine);
    clock.advance(DAY * 31);
    shown.failed("clock", builder(&clock).open_on(disk.clone()));

    // Damage everywhere, a bit of every block of every file.
    let (mut refused, mut damaged) = (0, 0);
    for (name, bytes) in disk.files() {
        for offset in (0..bytes).step_by(4096).flat_map(|block| [block + 9, block + 200]) {
            let disk = disk.after_power_cut(&Choice::All);
            if disk.flip_bit(&name, offset, 3).is_err() {
                continue;
            }
            damaged += 1;
            let opened = builder(&clock).accept_clock_jump(true).open_on(disk);
            if let Err(error) = &opened {
                refused += 1;
                shown.error(&name, error);
            }
        }
    }
    assert!(refused > 10 && damaged > refused, "{refused} of {damaged} refused");
    println!("{refused} of {damaged} damages refused");
    let unreadable = disk.after_power_cut(&Choice::All);
    unreadable.fail_read(1, io::ErrorKind::Other, Repeat::Once);
    let opened = builder(&clock).accept_clock_jump(true).open_on(unreadable);
    shown.failed("unreadable", opened);

    let foreign = tempfile::tempdir().unwrap();
    fs::write(foreign.path().join("notes.txt"), MARKER).unwrap();
    shown.failed("foreign", Engine::open(foreign.path()));
    later_format(shown);
    rules(shown);
}

/// Rules whose reasons quote what is stored, and records that break them.
fn rules(shown: &mut Shown) {
    let (disk, clock, engine) = simulated(|builder| builder);
    done(&engine, put("k"));
    done(&engine, Request::unkeyed().put(&NUMBERS, MARKER, &NUMBER, Expect::Any));
    engine.close().unwrap();
    let violation = || Err(Violation::new(format!("{MARKER} {NUMBER}")));
    let ruled = |then| {
        let empty = Invariant::new("empty", move |_: &String, _: &String| violation());
        let sum = Total::new("sum", |_: &String, number: &i64| i128::from(*number));
        let none = SumInvariant::new("none", ["sum"], move |[sum]| match sum {
            0 => Ok(()),
            _ => violation(),
        });
        let builder = builder(&clock).rules(Rules::of(&NAMES).invariant(empty));
        let builder = builder.rules(Rules::of(&NUMBERS).total(sum)).sum_invariant(none);
        builder.on_broken_rule(then).open_on(disk.clone())
    };
    shown.failed("refused by rules", ruled(OnBrokenRule::Refuse));
    let engine = ruled(OnBrokenRule::ReadOnly).unwrap();
    shown.failed("reads by rules", engine.commit(put("l")));
    shown.debug("rule set", &engine.rule_set());
    drop(engine);
    let engine = ruled(OnBrokenRule::Accept).unwrap();
    shown.debug("totals", &engine.totals());
    shown.debug("audit", &engine.audit().unwrap());
    let more = Request::unkeyed().put(&NUMBERS, MARKER, &(NUMBER + 1), Expect::Any);
    let rejection = engine.commit(more).unwrap().committed().unwrap_err();
    shown.debug("rejection by a sum", &rejection);
    shown.error("rejection by a sum", &rejection.into());
}

/// A database of a later version of the crate.
fn later_format(shown: &mut Shown) {
    let (disk, clock, engine) = simulated(|builder| builder);
    done(&engine, put("k"));
    drop(engine);
    let mut identity = disk.read_file("IDENTITY").unwrap();
    identity[8..12].copy_from_slice(&99u32.to_le_bytes());
    let body = identity.len() - 4;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[0; 16]);
    hasher.update(&identity[..body]);
    identity[body..].copy_from_slice(&hasher.finalize().to_le_bytes());
    disk.overwrite("IDENTITY", 0, &identity).unwrap();
    let opened: Result<Engine, Error> = builder(&clock).open_on(disk);
    shown.failed("later format", opened);
}
