//! Opening to read only: the same state as an opening that writes would recover, and not one byte changed, whatever the
//! directory has gone through.

use crate::support::{assert_healthy, key, picture, refusal};
use std::io;
use steadfast::{
    Abort, Background, Engine, Error, ErrorKind, Expect, Keyspace, Request, Retry, Verdict,
    testing::{Choice, Repeat, SimClock, SimDisk, SimEntropy},
};

const WORDS: Keyspace<String, u32> = Keyspace::new("words");

fn builder() -> steadfast::Builder {
    Engine::builder()
        .clock(SimClock::new(1_700_000_000_000_000_000, 1_000))
        .entropy(SimEntropy::new(9))
        .background(Background::Manual)
        .checkpoint_cache_bytes(1 << 20)
        .segment_bytes(64 << 10)
}

fn open(disk: &SimDisk) -> Result<Engine, Error> {
    builder().open_on(disk.clone())
}

fn read(disk: &SimDisk) -> Result<Engine, Error> {
    builder().open_read_only_on(disk.clone())
}

fn new_disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.assume_powersafe("checkpoint.redb");
    disk
}

fn put(name: &str) -> Request {
    Request::new(key(name)).put(&WORDS, name, &(name.len() as u32), Expect::Any)
}

/// What an engine does in a life: a checkpoint, more after it, a segment that fills up.
fn work(engine: &Engine) -> Result<(), Error> {
    for name in ["one", "two", "three"] {
        engine.commit(put(name))?.committed()?;
    }
    engine.checkpoint()?;
    engine.commit(put("four"))?.committed()?;
    let large = vec![0u8; 60_000];
    let request = Request::new(key("large")).put(&WORDS, "large", &5, Expect::Any).result(&large);
    engine.commit(request)?.committed()?;
    engine.run_background_step()?;
    let request = Request::new(key("also")).put(&WORDS, "also", &4, Expect::Any).result(&large);
    engine.commit(request)?.committed()?;
    engine.checkpoint()?;
    engine.commit(put("last"))?.committed()?;
    Ok(())
}

fn words(engine: &Engine) -> Vec<(String, u32)> {
    let snapshot = engine.snapshot();
    let items = snapshot.range(&WORDS, ..).map(|item| item.unwrap());
    items.map(|(word, record)| (word, record.value)).collect()
}

/// Everything that would write.
fn refused(engine: &Engine, call: &str) -> Error {
    let done = match call {
        "commit" => engine.commit(put("new")).map(drop),
        "commit without a key" => {
            engine.commit(Request::unkeyed().put(&WORDS, "new", &1, Expect::Any)).map(drop)
        }
        "a check" => engine.commit(Request::unkeyed().check(&WORDS, "one", Expect::Any)).map(drop),
        "submit" => engine.submit(put("new")).wait().map(drop),
        "update" => engine
            .update(key("new"), &1, |tx| {
                tx.put(&WORDS, "new", &1)?;
                Ok::<_, Abort>(())
            })
            .map(drop),
        "checkpoint" => engine.checkpoint(),
        other => unreachable!("{other}"),
    };
    done.expect_err("it wrote")
}

const CALLS: [&str; 6] =
    ["commit", "commit without a key", "a check", "submit", "update", "checkpoint"];

#[test]
fn a_closed_database_is_read_and_answers_and_takes_no_writes() {
    let disk = new_disk();
    let engine = open(&disk).unwrap();
    work(&engine).unwrap();
    let expected = words(&engine);
    let first = engine.commit(put("one")).unwrap().committed().unwrap();
    let head = engine.chain_head();
    engine.close().unwrap();
    let before = disk.digest();

    let engine = read(&disk).unwrap();
    assert_eq!(engine.recovery().verdict, Verdict::Clean);
    assert_eq!(engine.recovery().epoch.get(), 1);
    assert_eq!((words(&engine), engine.len(&WORDS).unwrap()), (expected, 7));
    assert_eq!((engine.chain_head(), engine.durable_seq()), (head, engine.snapshot().seq()));
    for call in CALLS {
        let error = refused(&engine, call);
        assert_eq!((error.kind(), error.retry()), (ErrorKind::ReadOnly, Retry::SameKey), "{call}");
        let text = error.to_string();
        assert!(text.contains("opened to be read only"), "{call}: {text}");
    }
    // What is remembered is told, from the checkpoint and from the log.
    let again = engine.commit(put("one")).unwrap().committed().unwrap();
    assert!(again.replayed && (again.seq, again.time) == (first.seq, first.time));
    assert!(engine.submit(put("last")).wait().unwrap().committed().unwrap().replayed);
    let other = Request::new(key("last")).put(&WORDS, "other", &1, Expect::Any);
    assert_eq!(engine.commit(other).unwrap_err().kind(), ErrorKind::KeyReused);
    // A request that is wrong is wrong first.
    let long = Request::new(key("long")).put(&WORDS, &"x".repeat(5_000), &1, Expect::Any);
    assert_eq!(engine.commit(long).unwrap_err().kind(), ErrorKind::Limit);
    let ran = std::cell::Cell::new(false);
    let update = engine.update(key("another"), &1, |_| {
        ran.set(true);
        Ok::<_, Abort>(())
    });
    assert_eq!(update.unwrap_err().kind(), ErrorKind::ReadOnly);
    assert!(!ran.get(), "a closure ran for nothing");
    assert!(!engine.run_background_step().unwrap());
    let clone = engine.clone();
    engine.close().unwrap();
    assert_eq!(clone.get(&WORDS, "one").unwrap_err().kind(), ErrorKind::Closed);
    drop(clone);
    assert_eq!(disk.digest(), before, "something was changed");
    let engine = open(&disk).unwrap();
    assert_eq!((engine.recovery().verdict, engine.recovery().epoch.get()), (Verdict::Clean, 2));
    assert_healthy(&engine);
}

#[test]
fn many_read_and_nobody_writes_meanwhile() {
    let disk = new_disk();
    let engine = open(&disk).unwrap();
    work(&engine).unwrap();
    assert_eq!(refusal(read(&disk)).kind(), ErrorKind::Locked);
    engine.close().unwrap();
    let readers = [read(&disk).unwrap(), read(&disk).unwrap(), read(&disk).unwrap()];
    for reader in &readers {
        assert_eq!(words(reader).len(), 7);
        let error = refusal(open(&disk));
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Locked, Retry::SameKey));
    }
    let [first, second, third] = readers;
    first.close().unwrap();
    drop(second);
    assert_eq!(refusal(open(&disk)).kind(), ErrorKind::Locked);
    third.close().unwrap();
    assert_healthy(&open(&disk).unwrap());
}

/// After a stop at any call, the state is the one that an opening which writes recovers, and an opening that reads changes
/// nothing.
#[test]
fn what_a_crash_leaves_is_read_as_it_would_be_recovered() {
    let (mut opened, mut refused) = (0, 0);
    let mut verdicts = Vec::new();
    for call in 1.. {
        let disk = new_disk();
        disk.crash_at(call);
        let worked = open(&disk).and_then(|engine| work(&engine));
        if worked.is_ok() {
            assert!(call > 100);
            break;
        }
        let mut disks = vec![disk.after_kill()];
        let choices = [Choice::None, Choice::All, Choice::Only(0), Choice::Seeded(call)];
        disks.extend(choices.iter().map(|choice| disk.after_power_cut(choice)));
        for disk in disks {
            let before = disk.digest();
            let read = read(&disk);
            assert_eq!(disk.digest(), before, "call {call}: something was changed");
            let copy = disk.snapshot();
            let written = open(&copy).unwrap_or_else(|error| panic!("call {call}: {error}"));
            let due = written.recovery().clone();
            match read {
                Ok(engine) => {
                    let found = engine.recovery().clone();
                    assert_eq!(
                        (found.verdict, found.applied_seq, found.state_digest, found.torn_tail),
                        (due.verdict, due.applied_seq, due.state_digest, due.torn_tail)
                    );
                    assert_eq!(words(&engine), words(&written));
                    for (word, _) in words(&engine) {
                        assert!(word.len() > 5 || engine.get(&WORDS, &word).unwrap().is_some());
                    }
                    engine.close().unwrap();
                    assert_eq!(disk.digest(), before, "call {call}: something was changed");
                    opened += 1;
                    if !verdicts.contains(&found.verdict) {
                        verdicts.push(found.verdict);
                    }
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::NotADatabase, "call {call}: {error}");
                    assert_eq!(due.verdict, Verdict::Created, "call {call}: {error}");
                    refused += 1;
                }
            }
        }
    }
    println!("{opened} read, {refused} not created yet; {verdicts:?}");
    assert!(opened > 300 && refused > 20);
    assert!(verdicts.contains(&Verdict::Unclean) && verdicts.contains(&Verdict::TornTail));
}

#[test]
fn damage_is_told_as_ever_and_nothing_is_changed() {
    let disk = new_disk();
    let engine = open(&disk).unwrap();
    work(&engine).unwrap();
    engine.close().unwrap();
    let (mut told, mut harmless) = (0, 0);
    for (name, bytes) in disk.files() {
        for place in 0..40u64 {
            let damaged = disk.snapshot();
            let offset = (place * place * 67) % bytes.max(1);
            if damaged.flip_bit(&name, offset, (place % 8) as u8).is_err() {
                continue;
            }
            let before = damaged.digest();
            let read = read(&damaged).map(drop);
            assert_eq!(damaged.digest(), before, "{name} at {offset}: something was changed");
            let written = open(&damaged.snapshot()).map(drop);
            match (read, written) {
                (Ok(()), Ok(())) => harmless += 1,
                (Err(read), Err(written)) => {
                    assert_eq!(read.to_string(), written.to_string());
                    told += 1;
                }
                (read, written) => panic!("{name} at {offset}: {read:?}, and {written:?}"),
            }
        }
    }
    println!("{told} told, {harmless} harmless");
    assert!(told > 50 && harmless > 5);
}

#[test]
fn a_medium_that_can_only_be_read_is_read() {
    for closed in [true, false] {
        let disk = new_disk();
        let engine = open(&disk).unwrap();
        work(&engine).unwrap();
        let disk = if closed {
            engine.close().unwrap();
            disk.after_kill()
        } else {
            disk.after_power_cut(&Choice::None)
        };
        disk.fail_call(1, io::ErrorKind::ReadOnlyFilesystem, Repeat::Forever);
        assert_eq!(refusal(open(&disk)).kind(), ErrorKind::Io);
        let engine = read(&disk).unwrap();
        assert_eq!(engine.recovery().verdict == Verdict::Clean, closed);
        assert_eq!(words(&engine).len(), 7);
        assert!(engine.commit(put("last")).unwrap().committed().unwrap().replayed);
        engine.close().unwrap();
    }
}

/// A sync that fails for another reason is told: what is read may not be on the medium.
#[test]
fn a_failing_medium_is_told() {
    let disk = new_disk();
    let engine = open(&disk).unwrap();
    work(&engine).unwrap();
    engine.close().unwrap();
    disk.fail_call(disk.io_count() + 1, io::ErrorKind::Other, Repeat::Once);
    assert_eq!(refusal(read(&disk)).kind(), ErrorKind::Io);
    let mut reads = 0;
    for call in 1.. {
        disk.clear_faults();
        let before = disk.digest();
        disk.fail_read(disk.read_count() + call, io::ErrorKind::Other, Repeat::Once);
        let opened = read(&disk).map(drop);
        assert_eq!(disk.digest(), before);
        match opened {
            Ok(()) => break,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Io, "read {call}: {error}"),
        }
        reads = call;
    }
    println!("each of {reads} reads failed");
    assert!(reads > 50);
}

#[test]
fn a_directory_is_not_changed_in_any_way() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let error = refusal(Engine::open_read_only(&path));
    assert_eq!((error.kind(), error.retry()), (ErrorKind::NotADatabase, Retry::Never), "{error}");
    assert!(!path.exists(), "it was made");
    for (name, what) in [("missing/below", "there is nothing"), ("", "it is empty")] {
        let error = refusal(Engine::open_read_only(dir.path().join(name)));
        assert_eq!(error.kind(), ErrorKind::NotADatabase);
        assert!(error.to_string().contains(what), "{error}");
    }
    assert!(picture(dir.path()).is_empty());

    // Closed; then as a process that was killed would leave it: copied while it is open.
    let engine = Engine::open(&path).unwrap();
    engine.commit(put("one")).unwrap().committed().unwrap();
    engine.checkpoint().unwrap();
    engine.commit(put("two")).unwrap().committed().unwrap();
    let killed = dir.path().join("killed");
    crate::support::paint(&killed, &picture(&path));
    assert_eq!(refusal(Engine::open_read_only(&path)).kind(), ErrorKind::Locked);
    engine.close().unwrap();
    for (path, verdict) in [(&path, Verdict::Clean), (&killed, Verdict::Unclean)] {
        let before = picture(path);
        let first = Engine::open_read_only(path).unwrap();
        let second = Engine::builder().open_read_only(path).unwrap();
        for engine in [&first, &second] {
            assert_eq!(engine.recovery().verdict, verdict);
            assert_eq!(words(engine), [("one".to_owned(), 3), ("two".to_owned(), 3)]);
        }
        assert_eq!(refusal(Engine::open(path)).kind(), ErrorKind::Locked);
        first.close().unwrap();
        drop(second);
        assert!(picture(path) == before, "something was changed");
        assert_eq!(Engine::open(path).unwrap().recovery().verdict, verdict);
    }
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert_eq!(refusal(Engine::open_read_only(file)).kind(), ErrorKind::NotADatabase);
}
