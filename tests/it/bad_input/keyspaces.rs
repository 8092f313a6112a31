//! Keyspaces that are not what they were: names, shapes, codecs, schema numbers.

use super::*;

#[test]
fn a_name_made_at_run_time_is_checked() {
    let leak = |bytes: usize| -> &'static str { Box::leak("n".repeat(bytes).into_boxed_str()) };
    for bytes in [0, 65, 1000] {
        let error = Keyspace::<u32, u32>::try_new(leak(bytes)).unwrap_err();
        assert_eq!(error, limit("keyspace name bytes", bytes, 1, 64));
        assert!(error.to_string().contains("allowed are 1..=64"), "{error}");
    }
    let longest = Keyspace::<u32, u32>::try_new(leak(64)).unwrap();
    let engine = Engine::in_memory().unwrap();
    let put = Request::unkeyed().put(&longest, &1, &2, Expect::Absent);
    let _receipt = engine.commit(put).unwrap().committed().unwrap();
    assert_eq!(engine.get(&longest, &1).unwrap().unwrap().value, 2);
    assert_eq!(engine.keyspaces(), [longest.name()]);
}

/// Every way of using a keyspace gives the same error, and writes nothing.
fn mismatched<K, V>(
    engine: &Engine,
    wrong: &Keyspace<K, V>,
    key_of: &(impl steadfast::AsKey<K> + ?Sized),
    value: &V,
    expected: &Difference,
    says: &'static [&'static str],
) where
    K: steadfast::Key + std::fmt::Debug,
    V: std::fmt::Debug,
{
    use ErrorKind::KeyspaceMismatch;
    refused(engine, "put", KeyspaceMismatch, says, |e| {
        e.commit(Request::new(key("k")).put(wrong, key_of, value, Expect::Any))
    });
    refused(engine, "put by ticket", KeyspaceMismatch, says, |e| {
        e.submit(Request::new(key("k")).put(wrong, key_of, value, Expect::Any)).wait()
    });
    refused(engine, "delete", KeyspaceMismatch, says, |e| {
        e.commit(Request::new(key("k")).delete(wrong, key_of, Expect::Any))
    });
    refused(engine, "check", KeyspaceMismatch, says, |e| {
        e.commit(Request::new(key("k")).check(wrong, key_of, Expect::Any))
    });
    refused(engine, "get", KeyspaceMismatch, says, |e| e.get(wrong, key_of));
    refused(engine, "contains", KeyspaceMismatch, says, |e| e.contains(wrong, key_of));
    refused(engine, "get_many", KeyspaceMismatch, says, |e| e.get_many(wrong, [key_of]));
    refused(engine, "len", KeyspaceMismatch, says, |e| e.len(wrong));
    refused(engine, "range", KeyspaceMismatch, says, |e| {
        e.snapshot().range(wrong, ..).collect::<Result<Vec<_>, _>>()
    });
    refused(engine, "range backwards", KeyspaceMismatch, says, |e| {
        e.snapshot().range(wrong, ..).rev().collect::<Result<Vec<_>, _>>()
    });
    refused(engine, "get in an update", KeyspaceMismatch, says, |e| {
        e.update(key("k"), &1, |tx| {
            tx.get(wrong, key_of)?;
            Ok::<_, Abort>(())
        })
    });
    refused(engine, "put in an update", KeyspaceMismatch, says, |e| {
        e.update(key("k"), &1, |tx| {
            tx.put(wrong, key_of, value)?;
            Ok::<_, Abort>(())
        })
    });
    let mut items = engine.snapshot().range(wrong, ..);
    assert!(matches!(items.next(), Some(Err(Error::KeyspaceMismatch { .. }))));
    assert!(items.next().is_none(), "after an error it ends");
    match engine.get(wrong, key_of) {
        Err(Error::KeyspaceMismatch { name, differs }) => {
            assert_eq!((name.as_str(), &differs), (wrong.name(), expected));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_keyspace_of_another_shape_codec_or_schema_is_refused() {
    const STORED: Keyspace<String, String> = Keyspace::new("things").schema(2);
    let engine = &Engine::in_memory().unwrap();
    let put = Request::unkeyed().put(&STORED, MARKER, &MARKER.into(), Expect::Any);
    let _receipt = engine.commit(put).unwrap().committed().unwrap();
    for checkpointed in [false, true] {
        let shape = Difference::Shape { stored: "string".into(), given: "u64".into() };
        let wrong: Keyspace<u64, String> = Keyspace::new("things").schema(2);
        let says: &[&str] = &["\"things\"", "u64", "open it with the definition"];
        let shape = match engine.get(&wrong, &1) {
            Err(Error::KeyspaceMismatch {
                differs: differs @ Difference::Shape { .. }, ..
            }) => differs,
            other => panic!("{other:?} instead of {shape:?}"),
        };
        mismatched(engine, &wrong, &1, &MARKER.into(), &shape, says);

        let codec = Difference::Codec { stored: "bincode", given: "raw" };
        let wrong: Keyspace<String, Bytes> = Keyspace::raw("things").schema(2);
        let says: &[&str] = &["\"things\"", "bincode, not raw", "open it with the definition"];
        mismatched(engine, &wrong, MARKER, &blob(20), &codec, says);

        let older = Difference::Schema { stored: 2, given: 1 };
        let wrong: Keyspace<String, String> = Keyspace::new("things");
        let says: &[&str] = &["\"things\"", "schema 2", "open it with the definition"];
        mismatched(engine, &wrong, MARKER, &MARKER.into(), &older, says);

        let newer = Difference::Schema { stored: 2, given: 3 };
        let wrong: Keyspace<String, String> = Keyspace::new("things").schema(3);
        mismatched(engine, &wrong, MARKER, &MARKER.into(), &newer, says);
        if !checkpointed {
            engine.checkpoint().unwrap();
        }
    }
    assert_eq!(engine.get(&STORED, MARKER).unwrap().unwrap().value, MARKER);
}

#[test]
fn rows_of_older_schemas_are_upgraded_as_they_are_read() {
    type V1 = Keyspace<u32, u32>;
    type V2 = Keyspace<u32, (u32, String)>;
    const ONE: V1 = Keyspace::new("people");
    const TWO: V2 = Keyspace::new("people")
        .schema(2)
        .upgrade(1, |bytes| Ok((Codec::DEFAULT.decode(bytes)?, "upgraded".into())));
    const FUSSY: V2 = Keyspace::new("people").schema(2).upgrade(1, |bytes| {
        match Codec::DEFAULT.decode(bytes)? {
            8 => Err(CodecError::Upgrade("not this one")),
            n => Ok((n, String::new())),
        }
    });
    // Reads schema 2, but forgot that there were rows of schema 1.
    const THREE: V2 = Keyspace::new("people").schema(3).upgrade(2, |b| Codec::DEFAULT.decode(b));
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    let request =
        (0..10).fold(Request::unkeyed(), |request, n| request.put(&ONE, &n, &n, Expect::Absent));
    let _receipt = engine.commit(request).unwrap().committed().unwrap();
    assert_eq!(engine.get(&TWO, &7).unwrap().unwrap().value, (7, "upgraded".into()));
    assert_eq!(engine.get(&ONE, &7).unwrap().unwrap().value, 7, "reading raises nothing");
    refused(&engine, "refused upgrade", ErrorKind::Codec, &["not this one"], |e| e.get(&FUSSY, &8));

    let update = engine.update(key("raise"), &7, |tx| {
        let (n, _) = tx.get(&TWO, &7)?.unwrap().value;
        tx.put(&TWO, &7, &(n + 100, "written".into()))?;
        Ok::<_, Abort>(())
    });
    let _receipt = update.unwrap().committed().unwrap();
    let check = |engine: &Engine| {
        assert_eq!(engine.get(&TWO, &7).unwrap().unwrap().value, (107, "written".into()));
        assert_eq!(engine.get(&TWO, &6).unwrap().unwrap().value, (6, "upgraded".into()));
        let all: Vec<_> =
            engine.snapshot().range(&TWO, ..).map(|item| item.unwrap().1.value.0).collect();
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6, 107, 8, 9]);
        refused(engine, "older", ErrorKind::KeyspaceMismatch, &["schema 2"], |e| e.get(&ONE, &6));
        refused(engine, "forgotten", ErrorKind::Codec, &["schema 1", "upgrade from 1"], |e| {
            e.get(&THREE, &6)
        });
        assert_eq!(engine.get(&THREE, &7).unwrap().unwrap().value.0, 107);
    };
    check(&engine);
    engine.checkpoint().unwrap();
    check(&engine);
    engine.close().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    check(&engine);
}
