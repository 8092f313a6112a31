//! Everything that can be seen of a database, as JSON.

use super::scenes::{RAW, REQUESTS, TEXTS, TOTALS, answer};
use serde_json::{Value, json};
use std::fmt::Debug;
use steadfast::{Engine, Error, Key, Keyspace, Outcome, Record, Rejection};

/// What an opening gave: the refusal, or all there is to see.
pub fn of(opened: Result<Engine, Error>) -> Value {
    let engine = match opened {
        Ok(engine) => engine,
        Err(Error::Corruption { file, offset, seq, evidence }) => {
            let seq = seq.map(|seq| seq.get());
            return json!({ "refusal": {
                "kind": "Corruption", "file": file, "offset": offset, "seq": seq, "evidence": evidence,
            } });
        }
        Err(error) => panic!("{error}"),
    };
    let mut report = serde_json::to_value(engine.recovery()).unwrap();
    // Durations are not the directory's.
    report.as_object_mut().unwrap().remove("phases");
    let head = engine.chain_head();
    let records = json!({
        "texts": records(&engine, &TEXTS, |text| json!(text)),
        "totals": records(&engine, &TOTALS, |total| json!(total)),
        "raw": records(&engine, &RAW, |bytes| json!(hex(bytes))),
    });
    let keyspaces = engine.keyspaces();
    // Only what was decided before is retried.
    let decided = engine.durable_seq();
    let outcomes: Vec<Value> = (0..REQUESTS)
        .map_while(|n| {
            let outcome = answer(&engine, n).unwrap();
            (engine.durable_seq() == decided)
                .then(|| json!({ "request": n, "outcome": outcome_of(&outcome) }))
        })
        .collect();
    json!({
        "report": report,
        "chain_head": { "group": head.group, "digest": hex(&head.digest) },
        "keyspaces": keyspaces,
        "records": records,
        "remembered": outcomes,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn records<K: Key + Debug, V>(
    engine: &Engine,
    keyspace: &Keyspace<K, V>,
    value: fn(&V) -> Value,
) -> Vec<Value> {
    let items = engine.snapshot().range(keyspace, ..);
    items
        .map(|item| {
            let (key, record): (K, Record<V>) = item.unwrap();
            json!({
                "key": format!("{key:?}"),
                "value": value(&record.value),
                "version": record.version.get(),
                "created": record.created.get(),
                "time": record.time.get(),
                "actor": String::from_utf8_lossy(&record.actor),
            })
        })
        .collect()
}

fn outcome_of(outcome: &Outcome<u32, String>) -> Value {
    match outcome {
        Outcome::Committed(receipt) => json!({ "committed": {
            "seq": receipt.seq.get(),
            "time": receipt.time.get(),
            "result": receipt.result,
            "replayed": receipt.replayed,
        } }),
        Outcome::Rejected(Rejection::Expectation(unmet)) => json!({ "unmet": {
            "keyspace": unmet.keyspace,
            "found": unmet.found.as_ref().map(|found| json!({
                "version": found.version.get(),
                "time": found.time.get(),
                "actor": String::from_utf8_lossy(&found.actor),
            })),
        } }),
        Outcome::Rejected(Rejection::OutOfBounds(over)) => json!({ "out_of_bounds": {
            "keyspace": over.keyspace,
            "current": over.current,
            "delta": over.delta,
        } }),
        Outcome::Rejected(Rejection::Procedure(text)) => json!({ "refused": text }),
        other => panic!("nothing remembers {other:?}"),
    }
}
