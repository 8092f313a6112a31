//! What a program keeps in the database is nowhere but in the data files: no error of any kind shows it, no `Debug`, no
//! report, no name of a file, and nothing is printed.

mod errors;
mod own;

use crate::support::{MARKER, as_child, picture, told};
use errors::{NUMBER, Secrets, in_files, secret};
use std::{collections::BTreeSet, error::Error as _, fmt::Debug, path::Path};
use steadfast::{
    Abort, Background, Durability, Engine, Error, Expect, KeyStatus, Keyspace, Mode, OnDuplicate,
    Outcome, Rejection, Request, Version,
};

/// The kinds that cannot be brought about from outside: a forked child needs unsafe code, and its error holds only the name
/// of a call.
const OUT_OF_REACH: [&str; 1] = ["Forked"];

/// What was shown, and the kinds of the errors among it.
#[derive(Default)]
pub struct Shown {
    count: usize,
    kinds: BTreeSet<String>,
}

impl Shown {
    fn text(&mut self, what: &str, text: &str) {
        self.count += 1;
        assert!(!text.contains(MARKER), "{what}: {text}");
        // Byte strings print as numbers, in decimal or hexadecimal, on one line or each on its own.
        let numbers: String = text.split_whitespace().collect();
        for value in ["83,51,67,82", "53,33,43,52", "53334352", "0x53,0x33", &NUMBER.to_string()] {
            assert!(!numbers.contains(value), "{what}: {text}");
        }
    }

    pub fn debug(&mut self, what: &str, value: &impl Debug) {
        self.text(what, &format!("{value:?}"));
        self.text(what, &format!("{value:#?}"));
    }

    /// An error with its kind, and every error that caused it.
    pub fn error(&mut self, what: &str, error: &Error) {
        self.kinds.insert(format!("{:?}", error.kind()));
        self.debug(what, error);
        self.text(what, &error.to_string());
        self.text(what, &format!("{error:#}"));
        let mut cause = error.source();
        while let Some(error) = cause {
            self.debug(what, &error);
            self.text(what, &error.to_string());
            cause = error.source();
        }
    }

    /// The error of a call that must fail.
    pub fn failed<T>(&mut self, what: &str, result: Result<T, Error>) {
        match result {
            Ok(_) => panic!("{what}: it did not fail"),
            Err(error) => self.error(what, &error),
        }
    }
}

#[test]
fn the_marker_is_found_in_every_form() {
    type Show = fn(&mut Shown);
    let forms: [(&str, Show); 6] = [
        ("text", |shown| shown.debug("", &format!("within {MARKER} it"))),
        ("bytes", |shown| shown.debug("", &Some(MARKER.as_bytes()))),
        ("hexadecimal", |shown| shown.text("", &format!("{:02x?}", MARKER.as_bytes()))),
        ("a number", |shown| shown.debug("", &(1, NUMBER))),
        ("an error", |shown| {
            shown.error("", &Error::Poisoned { reason: MARKER.into() });
        }),
        ("a cause", |shown| {
            let source = std::io::Error::other(MARKER);
            shown.error("", &Error::Io { what: "reading".into(), source });
        }),
    ];
    for (what, show) in forms {
        let shown = std::panic::AssertUnwindSafe(|| show(&mut Shown::default()));
        assert!(std::panic::catch_unwind(shown).is_err(), "{what} is not seen");
    }
    Shown::default().debug("", &(1, "another text", b"bytes"));
}

/// The kinds that the documentation knows.
fn documented() -> BTreeSet<String> {
    let table = include_str!("../../docs/ERRORS.md").split("## Rejections").next().unwrap();
    let names = table.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0));
    let advice = ["SameKey", "NewKey", "AfterRefresh", "Resolve", "Never"];
    names.filter(|name| !advice.contains(name)).map(str::to_owned).collect()
}

#[test]
fn no_error_of_any_kind_shows_what_is_stored() {
    let mut shown = Shown::default();
    errors::of_requests(&mut shown);
    errors::of_keys(&mut shown);
    errors::of_codecs(&mut shown);
    errors::of_calls(&mut shown);
    errors::of_disks(&mut shown);
    errors::of_openings(&mut shown);
    own::show(&mut shown);
    let Shown { count, kinds } = shown;
    let reached: BTreeSet<String> =
        kinds.iter().cloned().chain(OUT_OF_REACH.map(str::to_owned)).collect();
    assert_eq!(reached, documented());
    assert!(OUT_OF_REACH.iter().all(|kind| !kinds.contains(*kind)));
    println!("{count} texts of errors of {} kinds", kinds.len());
}

/// Everything there is to show, of a database that holds the marker wherever it can.
fn show_everything(shown: &mut Shown, directory: &Path) {
    const NAMES: Keyspace<String, String> = Keyspace::new("names");
    let builder = Engine::builder().background(Background::Manual);
    shown.debug("builder", &builder);
    let engine = builder.open(directory).unwrap();
    let request = || {
        Request::new(secret("k"))
            .put(&NAMES, MARKER, &MARKER.into(), Expect::Any)
            .actor(MARKER)
            .correlation(MARKER)
            .intent(&MARKER)
            .on_duplicate(OnDuplicate::Return)
            .durability(Durability::Synced)
            .result(&Secrets(MARKER.into()))
    };
    shown.debug("keyspace", &NAMES);
    shown.debug("key", &secret("k"));
    shown.debug("request", &request());
    let ticket = engine.submit(request());
    shown.debug("ticket", &ticket);
    shown.debug("queue", &engine.queue());
    let outcome = ticket.wait().unwrap();
    shown.debug("outcome", &outcome);
    let Outcome::Committed(receipt) = outcome else { panic!("{outcome:?}") };
    shown.debug("receipt", &receipt);
    let ticket = engine.try_submit(request()).unwrap();
    shown.debug("answered ticket", &ticket);

    let updated = engine.update(secret("u"), &MARKER, |tx| {
        let read = tx.get(&NAMES, MARKER)?;
        shown.debug("transaction", tx);
        assert_eq!(read.unwrap().value, MARKER);
        tx.put(&NAMES, "other", &MARKER.into())?;
        shown.debug("transaction that wrote", tx);
        Err::<(), _>(Abort::Reject(Secrets(MARKER.into())))
    });
    shown.debug("rejected update", &updated);
    engine.fence(&secret("f")).unwrap();
    let absent = Request::new(secret("x")).put(&NAMES, MARKER, &MARKER.into(), Expect::Absent);
    let rejected = engine.commit(absent.actor(MARKER)).unwrap();
    shown.debug("unmet", &rejected);
    let stale = Request::unkeyed().delete(&NAMES, MARKER, Version::new(0));
    let rejection = engine.commit(stale).unwrap().committed().unwrap_err();
    shown.debug("conflict", &rejection);
    let Rejection::Conflict(conflict) = &rejection else { panic!("{rejection:?}") };
    assert_eq!(conflict.current(&NAMES).unwrap().unwrap().value, MARKER);
    shown.debug("conflict itself", conflict);

    let mut statuses = Vec::new();
    for name in ["k", "u", "f", "x", "never"] {
        let status = engine.resolve(&secret(name)).unwrap();
        shown.debug("status", &status);
        statuses.push(status);
    }
    assert!(matches!(
        &statuses[..],
        [
            KeyStatus::Committed(_),
            KeyStatus::Rejected { .. },
            KeyStatus::Fenced { .. },
            KeyStatus::Rejected { .. },
            KeyStatus::NotRemembered { .. },
        ]
    ));
    let snapshot = engine.snapshot();
    shown.debug("snapshot", &snapshot);
    shown.debug("applied snapshot", &engine.snapshot_applied());
    let mut iter = snapshot.range(&NAMES, ..);
    shown.debug("iterator", &iter);
    let (key, record) = iter.next().unwrap().unwrap();
    assert_eq!((&key[..], &record.value[..]), (MARKER, MARKER));
    shown.debug("iterator that holds rows", &iter);
    // All of a record but the value, which is of a type of the user's.
    shown.debug("actor", &record.actor);
    let mut report = |engine: &Engine| {
        shown.debug("engine", engine);
        shown.debug("recovery", engine.recovery());
        shown.text("recovery", &engine.recovery().to_string());
        shown.text("recovery", &serde_json::to_string(engine.recovery()).unwrap());
        shown.debug("window", &engine.window());
        shown.debug("head", &engine.chain_head());
        shown.debug("keyspaces", &engine.keyspaces());
        shown.debug("mode", &engine.mode().unwrap());
    };
    report(&engine);
    engine.checkpoint().unwrap();
    report(&engine);
    // A reason is text for people, and shown.
    engine.set_mode(Mode::ReadOnly { reason: "for people".into() }).unwrap();
    let refused = engine.commit(Request::unkeyed().delete(&NAMES, MARKER, Expect::Any));
    shown.failed("read-only", refused);
    let closed = engine.close().unwrap();
    shown.debug("closing", &closed);
    shown.text("closing", &closed.to_string());
    shown.text("closing", &serde_json::to_string(&closed).unwrap());
}

#[test]
fn nothing_shows_what_is_stored_and_only_data_files_hold_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut shown = Shown::default();
    show_everything(&mut shown, directory.path());
    let nodes = picture(directory.path());
    let holders = in_files(&nodes);
    println!("{} texts; held by {holders:?}", shown.count);
    assert!(shown.count > 60 && !holders.is_empty());
}

/// What is printed by a process that does all of this.
#[test]
fn nothing_is_printed() {
    const CHILD: &str = "discreet::nothing_is_printed";
    const VARIABLE: &str = "STEADFAST_DISCREET";
    if let Some(directory) = told(VARIABLE) {
        let mut shown = Shown::default();
        show_everything(&mut shown, Path::new(&directory));
        println!("answer:{}", shown.count);
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let child = || as_child(CHILD, VARIABLE, directory.path().to_str().unwrap());
    let output = child().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for printed in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(printed);
        assert!(!text.contains(MARKER), "{text}");
    }
    assert!(String::from_utf8_lossy(&output.stdout).contains("answer:"));
}
