//! Input that cannot be: each kind has its own error, with what is wrong and what to do; nothing is logged, the engine
//! stays healthy, and no message holds a key or a value.

mod keyspaces;

use crate::support::{MARKER, assert_discreet, assert_healthy, key};
use steadfast::{
    Abort, Bytes, Codec, CodecError, Difference, Engine, Error, ErrorKind, Expect, IdempotencyKey,
    Keyspace, LimitError, Request, Retry, Version, limits,
};

const NAMES: Keyspace<String, String> = Keyspace::new("names");
const NUMBERS: Keyspace<String, i64> = Keyspace::new("numbers");
const BLOBS: Keyspace<Vec<u8>, Bytes> = Keyspace::raw("blobs");

/// An error and all that is expected of it.
struct Case {
    what: &'static str,
    error: Error,
    kind: ErrorKind,
    retry: Retry,
    says: &'static [&'static str],
}

fn check(engine: &Engine, before: u64, case: &Case) {
    let text = case.error.to_string();
    assert_eq!(case.error.kind(), case.kind, "{}: {text}", case.what);
    assert_eq!(case.error.retry(), case.retry, "{}: {text}", case.what);
    for part in case.says {
        assert!(text.contains(part), "{}: {text:?} does not say {part:?}", case.what);
    }
    assert_discreet(&case.error);
    assert_eq!(engine.durable_seq().get(), before, "{}: something was logged", case.what);
}

/// The error that `act` gives, checked in every respect.
fn refused<T: std::fmt::Debug>(
    engine: &Engine,
    what: &'static str,
    kind: ErrorKind,
    says: &'static [&'static str],
    act: impl FnOnce(&Engine) -> Result<T, Error>,
) {
    let before = engine.durable_seq().get();
    let error = match act(engine) {
        Ok(outcome) => panic!("{what}: {outcome:?}"),
        Err(error) => error,
    };
    check(engine, before, &Case { what, error, kind, retry: Retry::Never, says });
    assert_healthy(engine);
}

fn limit(what: &'static str, actual: usize, min: usize, max: usize) -> LimitError {
    LimitError { what, actual, min, max, hint: "change the request", passes: false }
}

fn blob(bytes: usize) -> Bytes {
    MARKER.as_bytes().iter().copied().cycle().take(bytes).collect::<Vec<_>>().into()
}

#[test]
fn an_idempotency_key_has_two_parts_of_1_to_255_bytes() {
    let long = blob(256);
    for (scope, name, what, actual) in [
        (&b""[..], &b"k"[..], "idempotency scope bytes", 0),
        (b"s", b"", "idempotency key bytes", 0),
        (&long, b"k", "idempotency scope bytes", 256),
        (b"s", &long, "idempotency key bytes", 256),
    ] {
        let error = IdempotencyKey::new(scope, name).unwrap_err();
        assert_eq!(error, limit(what, actual, 1, 255));
        assert!(error.to_string().contains("change the request"), "{error}");
        assert_discreet(&error);
        let error = Error::from(error);
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Limit, Retry::Never));
        assert_discreet(&error);
    }
    let key = IdempotencyKey::new(&long[..255], &long[..255]).unwrap();
    assert_eq!(format!("{key:?}"), "IdempotencyKey(255+255 bytes)");
    let engine = Engine::in_memory().unwrap();
    let request = || Request::new(key.clone()).add(&NUMBERS, "n", 1, 0..=1);
    assert!(!engine.commit(request()).unwrap().committed().unwrap().replayed);
    assert!(engine.commit(request()).unwrap().committed().unwrap().replayed);
}

#[test]
fn what_is_empty_or_too_long_is_refused() {
    use ErrorKind::Limit;
    let engine = &Engine::in_memory().unwrap();
    let new = || Request::new(key("x"));
    let empty: &[&str] = &["record key bytes is 0", "allowed are 1..=4096", "change the request"];
    refused(engine, "empty string key", Limit, empty, |e| {
        e.commit(new().put(&NAMES, "", &MARKER.into(), Expect::Any))
    });
    refused(engine, "empty bytes key", Limit, empty, |e| {
        e.commit(new().delete(&BLOBS, &vec![], Expect::Any))
    });
    refused(engine, "empty key of a read", Limit, empty, |e| e.get(&NAMES, ""));
    refused(engine, "empty key of many", Limit, empty, |e| e.get_many(&NAMES, ["a", ""]));

    let long_key = MARKER.repeat(400);
    let long: &[&str] = &["record key bytes is", "allowed are 1..=4096", "change the request"];
    refused(engine, "long key", Limit, long, |e| {
        e.commit(new().put(&NAMES, &long_key, &String::new(), Expect::Any))
    });
    refused(engine, "long key of a check", Limit, long, |e| {
        e.commit(new().check(&NAMES, &long_key, Expect::Any))
    });
    refused(engine, "long key of a read", Limit, long, |e| e.contains(&NAMES, &long_key));
    refused(engine, "long key of a snapshot's read", Limit, long, |e| {
        e.snapshot().get(&NAMES, &long_key)
    });
    // The longest: what ends a byte string takes two bytes.
    let longest = vec![7; limits::RECORD_KEY_BYTES - 2];
    let request = Request::unkeyed().put(&BLOBS, &longest, &blob(1), Expect::Any);
    assert_eq!(engine.commit(request).unwrap().committed().unwrap().seq, engine.durable_seq());
    let longer = vec![7; limits::RECORD_KEY_BYTES - 1];
    refused(engine, "key one byte too long", Limit, long, |e| e.get(&BLOBS, &longer));

    let value: &[&str] = &["value bytes is", "allowed are 0..=1048576", "change the request"];
    refused(engine, "long raw value", Limit, value, |e| {
        e.commit(new().put(&BLOBS, &vec![1], &blob(limits::VALUE_BYTES + 1), Expect::Any))
    });
    refused(engine, "long string value", Limit, value, |e| {
        e.commit(new().put(&NAMES, "n", &MARKER.repeat(100_000), Expect::Any))
    });
    refused(engine, "long value in an update", Limit, value, |e| {
        e.update(key("x"), &1, |tx| {
            tx.put(&BLOBS, &vec![1], &blob(limits::VALUE_BYTES + 1))?;
            Ok::<_, Abort>(())
        })
    });

    let request: &[&str] = &["request bytes is", "allowed are 0..=1048576", "change the request"];
    refused(engine, "large request", Limit, request, |e| {
        let half = blob(limits::REQUEST_BYTES / 2 + 1);
        let request = new().put(&BLOBS, &vec![1], &half, Expect::Any);
        e.commit(request.put(&BLOBS, &vec![2], &half, Expect::Any))
    });
    refused(engine, "large update", Limit, request, |e| {
        e.update(key("x"), &1, |tx| {
            tx.put(&BLOBS, &vec![1], &blob(limits::REQUEST_BYTES / 2 + 1))?;
            tx.put(&BLOBS, &vec![2], &blob(limits::REQUEST_BYTES / 2 + 1))?;
            Ok::<_, Abort>(())
        })
    });

    let result: &[&str] = &["result bytes is", "allowed are 0..=65536", "change the request"];
    let long_result = MARKER.repeat(6_000);
    refused(engine, "long result", Limit, result, |e| {
        e.commit(new().add(&NUMBERS, "n", 1, 0..=1).result(&long_result))
    });
    refused(engine, "long result of an update", Limit, result, |e| {
        e.update(key("x"), &1, |_| Ok::<_, Abort>(long_result.clone()))
    });
    refused(engine, "long rejection of an update", Limit, result, |e| {
        e.update(key("x"), &1, |_| Err::<(), _>(Abort::Reject(long_result.clone())))
    });

    let metadata: &[&str] =
        &["correlation bytes is 1025", "allowed are 0..=1024", "change the request"];
    refused(engine, "long correlation", Limit, metadata, |e| {
        e.commit(new().add(&NUMBERS, "n", 1, 0..=1).correlation(blob(1025)))
    });
    refused(engine, "long correlation of an update", Limit, metadata, |e| {
        e.update(key("x"), &1, |tx| {
            tx.correlation(blob(1025));
            Ok::<_, Abort>(())
        })
    });
    let actor: &[&str] = &["actor bytes is 65", "allowed are 0..=64", "change the request"];
    refused(engine, "long actor", Limit, actor, |e| {
        e.commit(new().add(&NUMBERS, "n", 1, 0..=1).actor(blob(65)))
    });
    refused(engine, "long intent", Limit, &["bytes is", "change the request"], |e| {
        e.commit(new().add(&NUMBERS, "n", 1, 0..=1).intent(&MARKER.repeat(100_000)))
    });
    refused(engine, "long intent of an update", Limit, &["bytes is", "change the request"], |e| {
        e.update(key("x"), &MARKER.repeat(100_000), |_| Ok::<_, Abort>(()))
    });

    // None of it is remembered: the key is as good as new, and everything may be as long as it may be.
    let request = new()
        .put(&NUMBERS, "n", &1, Expect::Any)
        .actor(blob(64))
        .correlation(blob(1024))
        .result(&"r".repeat(65_000));
    assert!(!engine.commit(request).unwrap().committed().unwrap().replayed);
    assert_eq!(engine.get(&NUMBERS, "n").unwrap().unwrap().actor, blob(64));
}

#[test]
fn a_request_has_1_to_1024_operations() {
    let engine = &Engine::in_memory().unwrap();
    let many = |count: u32| {
        (0..count).fold(Request::new(key("many")), |request, n| {
            request.add(&NUMBERS, &n.to_string(), 1, 0..=9)
        })
    };
    let says: &[&str] = &["operations and reads is 1025", "allowed are", "1024", "change"];
    refused(engine, "1,025 operations", ErrorKind::Limit, says, |e| e.commit(many(1025)));
    refused(engine, "1,025 operations of an update", ErrorKind::Limit, says, |e| {
        e.update(key("many"), &1, |tx| {
            for n in 0..1025u32 {
                tx.add(&NUMBERS, &n.to_string(), 1, 0..=9)?;
            }
            Ok::<_, Abort>(())
        })
    });
    refused(engine, "1,025 reads of an update", ErrorKind::Limit, says, |e| {
        e.update(key("many"), &1, |tx| {
            for n in 0..1025u32 {
                tx.get(&NUMBERS, &n.to_string())?;
            }
            Ok::<_, Abort>(())
        })
    });
    let none: &[&str] = &["no operation", "add a `put`", "nothing was logged"];
    refused(engine, "zero operations", ErrorKind::Shape, none, |e| {
        e.commit(Request::new(key("many")))
    });
    refused(engine, "zero operations of a ticket", ErrorKind::Shape, none, |e| {
        e.submit(Request::unkeyed()).wait()
    });
    assert!(!engine.commit(many(1024)).unwrap().committed().unwrap().replayed);
    assert_eq!(engine.len(&NUMBERS).unwrap(), 1024);
}

#[test]
fn a_record_is_mutated_twice_only_without_an_expectation() {
    let engine = &Engine::in_memory().unwrap();
    let says: &[&str] = &["operation 1", "\"names\"", "put it on the first", "nothing was logged"];
    for (what, expect) in [
        ("absent", Expect::Absent),
        ("present", Expect::Present),
        ("version", Expect::Version(Version::new(1))),
    ] {
        refused(engine, what, ErrorKind::Shape, says, |e| {
            let request = Request::new(key("twice"));
            let request = request.put(&NAMES, MARKER, &MARKER.into(), Expect::Any);
            e.commit(request.delete(&NAMES, MARKER, expect))
        });
    }
    let again = Request::new(key("twice"))
        .put(&NAMES, MARKER, &MARKER.into(), Expect::Absent)
        .check(&NAMES, MARKER, Expect::Absent)
        .put(&NAMES, MARKER, &"last".into(), Expect::Any);
    assert!(!engine.commit(again).unwrap().committed().unwrap().replayed);
    assert_eq!(engine.get(&NAMES, MARKER).unwrap().unwrap().value, "last");
}

#[test]
fn one_keyspace_has_one_definition_in_a_request() {
    const OLD: Keyspace<u32, i64> = Keyspace::new("numbered");
    const NEW: Keyspace<u32, i64> =
        Keyspace::new("numbered").schema(2).upgrade(1, |bytes| Codec::DEFAULT.decode(bytes));
    let engine = &Engine::in_memory().unwrap();
    let says: &[&str] = &["\"numbered\"", "two definitions", "use one", "nothing was logged"];
    refused(engine, "two definitions", ErrorKind::Shape, says, |e| {
        let request = Request::new(key("two")).put(&NEW, &1, &1, Expect::Absent);
        e.commit(request.put(&OLD, &2, &2, Expect::Absent))
    });
    refused(engine, "two definitions in an update", ErrorKind::Shape, says, |e| {
        e.update(key("two"), &1, |tx| {
            tx.get(&OLD, &1)?;
            tx.put(&NEW, &1, &1)?;
            Ok::<_, Abort>(())
        })
    });
}

#[test]
fn an_addition_has_bounds_that_hold_something() {
    let engine = &Engine::in_memory().unwrap();
    let says: &[&str] = &["operation 0", "empty bounds", "least", "nothing was logged"];
    let (low, high) = (1, 2);
    refused(engine, "empty bounds", ErrorKind::Shape, says, |e| {
        e.commit(Request::new(key("b")).add(&NUMBERS, MARKER, 1, high..=low))
    });
    refused(engine, "empty bounds of an update", ErrorKind::Shape, says, |e| {
        e.update(key("b"), &1, |tx| {
            tx.add(&NUMBERS, MARKER, 1, high..=low)?;
            Ok::<_, Abort>(())
        })
    });
    let good = Request::new(key("b")).add(&NUMBERS, MARKER, 1, low..=high);
    assert!(!engine.commit(good).unwrap().committed().unwrap().replayed);
}

#[test]
fn a_version_from_the_future_is_not_believed() {
    let engine = &Engine::in_memory().unwrap();
    assert_healthy(engine);
    let request = |version| {
        let expect = Expect::Version(Version::new(version));
        Request::new(key("later")).put(&NAMES, MARKER, &MARKER.into(), expect)
    };
    let says: &[&str] = &["version 900", "\"names\"", "from the future", "another database"];
    refused(engine, "future", ErrorKind::FutureVersion, says, |e| e.commit(request(900)));
    refused(engine, "future check", ErrorKind::FutureVersion, says, |e| {
        e.commit(Request::unkeyed().check(&NAMES, MARKER, Version::new(900)))
    });
    refused(engine, "most future", ErrorKind::FutureVersion, &["from the future"], |e| {
        e.commit(request(u64::MAX))
    });
    // Nothing is remembered under the key.
    let good = Request::new(key("later")).put(&NAMES, MARKER, &MARKER.into(), Expect::Absent);
    assert!(!engine.commit(good).unwrap().committed().unwrap().replayed);
}

#[test]
fn an_addition_to_what_is_no_number_is_refused() {
    const WORDS: Keyspace<String, String> = Keyspace::new("numbers");
    const LATER: Keyspace<String, i64> =
        Keyspace::new("numbers").schema(2).upgrade(1, |bytes| Codec::DEFAULT.decode(bytes));
    let engine = &Engine::in_memory().unwrap();
    let put = Request::unkeyed().put(&WORDS, MARKER, &MARKER.into(), Expect::Any);
    let _receipt = engine.commit(put).unwrap().committed().unwrap();
    let says: &[&str] = &["`add`", "\"numbers\"", "rewrite it with `update`", "nothing was logged"];
    refused(engine, "a word", ErrorKind::NotANumber, says, |e| {
        e.commit(Request::new(key("n")).add(&NUMBERS, MARKER, 1, 0..=9))
    });
    refused(engine, "an older schema", ErrorKind::NotANumber, says, |e| {
        e.commit(Request::new(key("n")).add(&LATER, MARKER, 1, 0..=9))
    });
    refused(engine, "read as a number", ErrorKind::Codec, &["left over"], |e| {
        e.get(&NUMBERS, MARKER)
    });
    refused(engine, "iterated as a number", ErrorKind::Codec, &["left over"], |e| {
        e.snapshot().range(&NUMBERS, ..).collect::<Result<Vec<_>, _>>()
    });
    let rewritten = engine.update(key("n"), &1, |tx| {
        tx.put(&NUMBERS, MARKER, &4)?;
        Ok::<_, Abort>(())
    });
    let _receipt = rewritten.unwrap().committed().unwrap();
    let add = Request::new(key("m")).add(&NUMBERS, MARKER, 1, 0..=9);
    let _receipt = engine.commit(add).unwrap().committed().unwrap();
    assert_eq!(engine.get(&NUMBERS, MARKER).unwrap().unwrap().value, 5);
}

#[test]
fn nothing_that_holds_a_key_or_a_value_prints_it() {
    let engine = Engine::in_memory().unwrap();
    let secret = IdempotencyKey::new(MARKER, MARKER).unwrap();
    let request = || {
        Request::new(secret.clone())
            .put(&BLOBS, &MARKER.as_bytes().to_vec(), &blob(40), Expect::Absent)
            .put(&NAMES, MARKER, &MARKER.into(), Expect::Any)
            .actor(MARKER)
            .correlation(MARKER)
            .intent(&MARKER)
    };
    let shown = [
        format!("{:?}", request()),
        format!("{:?}", request().result(&MARKER.to_owned())),
        format!("{:?}", engine.submit(request())),
        format!("{:?}", engine.commit(request()).unwrap()),
        format!("{:?}", engine.get(&BLOBS, &MARKER.as_bytes().to_vec()).unwrap()),
        format!("{engine:?} {:?} {:?}", engine.snapshot(), engine.recovery()),
        format!("{:?}", engine.snapshot().range(&NAMES, ..)),
        format!("{NAMES:?} {secret:?}"),
    ];
    for text in shown {
        assert!(!text.contains(MARKER) && !text.contains("83, 51, 67"), "{text}");
    }
    let reused = engine.commit(request().intent(&"another")).unwrap_err();
    assert_eq!((reused.kind(), reused.retry()), (ErrorKind::KeyReused, Retry::Resolve));
    assert_discreet(&reused);
    let absent = Request::unkeyed().put(&NAMES, MARKER, &MARKER.into(), Expect::Absent);
    let rejection = engine.commit(absent).unwrap().committed().unwrap_err();
    assert_discreet(&rejection);
    assert_discreet(&Error::from(rejection));
    let stale = Request::unkeyed().delete(&NAMES, MARKER, Version::new(0));
    let rejection = engine.commit(stale).unwrap().committed().unwrap_err();
    assert_discreet(&rejection);
    let number = Request::unkeyed().add(&NUMBERS, MARKER, 836_751_777, 0..=8);
    let rejection = engine.commit(number).unwrap().committed().unwrap_err();
    assert_discreet(&rejection);
    assert!(!format!("{rejection:?} {rejection}").contains("836751777"), "{rejection:?}");
}

#[test]
fn a_closed_engine_refuses_every_call() {
    let engine = Engine::in_memory().unwrap();
    assert_healthy(&engine);
    let clone = engine.clone();
    engine.close().unwrap();
    let errors = [
        clone.get(&NAMES, "a").unwrap_err(),
        clone.contains(&NAMES, "a").unwrap_err(),
        clone.get_many(&NAMES, ["a"]).unwrap_err(),
        clone.len(&NAMES).unwrap_err(),
        clone.commit(Request::unkeyed().add(&NUMBERS, "a", 1, 0..=1)).unwrap_err(),
        clone.submit(Request::unkeyed().add(&NUMBERS, "a", 1, 0..=1)).wait().unwrap_err(),
        clone.update(key("a"), &1, |_| Ok::<_, Abort>(())).unwrap_err(),
        clone.checkpoint().unwrap_err(),
    ];
    for error in errors {
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Closed, Retry::SameKey));
        assert!(error.to_string().contains("closed"), "{error}");
    }
    clone.close().unwrap();
}
