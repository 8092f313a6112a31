//! Creations that were cut short, and what is not to be taken for one.

use super::{WORDS, database, open, put, refused};
use crate::support::{Node, paint, picture, refusal};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use steadfast::{
    Engine, ErrorKind, Verdict,
    testing::{Choice, SimClock, SimDisk, SimEntropy},
};

#[test]
fn a_creation_that_was_cut_short_is_finished() {
    let fresh = tempfile::tempdir().unwrap();
    Engine::open(fresh.path()).unwrap().close().unwrap();
    let mut whole = picture(fresh.path());
    whole.remove(Path::new("CLEAN"));
    let file = |name: &str| whole.keys().find(|path| path.ends_with(name)).unwrap().clone();
    let (identity, genesis) = (file("IDENTITY"), file("00000000000000000001"));
    let without = |names: &[&Path]| -> BTreeMap<PathBuf, Node> {
        let mut rest = whole.clone();
        rest.retain(|path, _| !names.contains(&path.as_path()));
        rest
    };
    let with = |mut nodes: BTreeMap<PathBuf, Node>, name: &str, bytes: &[u8]| {
        nodes.insert(name.into(), Node::File(bytes.to_vec()));
        nodes
    };
    let checkpoint = Path::new("checkpoint.redb");
    let no_identity = without(&[&identity]);
    let stages = [
        BTreeMap::new(),
        BTreeMap::from([(PathBuf::from("segments"), Node::Folder)]),
        without(&[&identity, checkpoint, &genesis]),
        without(&[&identity, checkpoint]),
        without(&[&identity, &genesis]),
        with(no_identity.clone(), "checkpoint.redb", &[]),
        with(no_identity.clone(), "checkpoint.redb", &[7; 5000]),
        with(no_identity.clone(), "IDENTITY.new", &[]),
        with(no_identity.clone(), "IDENTITY.new", &[7; 32]),
        with(no_identity.clone(), "segments/spare-00000000000000000001", &[7; 32]),
        no_identity,
    ];
    for (stage, nodes) in stages.iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        paint(dir.path(), nodes);
        let engine = open(dir.path()).unwrap_or_else(|error| panic!("stage {stage}: {error}"));
        assert_eq!(engine.recovery().verdict, Verdict::Created, "stage {stage}");
        put(&engine, "a");
        engine.close().unwrap();
        let engine = open(dir.path()).unwrap();
        assert_eq!(engine.recovery().verdict, Verdict::Clean);
        assert_eq!(engine.len(&WORDS).unwrap(), 1);
        engine.close().unwrap();
        assert!(!dir.path().join("IDENTITY.new").exists());
    }
    // With the identity in its place, what was to become one is only rubbish.
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    fs::write(dir.path().join("IDENTITY.new"), [7; 32]).unwrap();
    fs::write(dir.path().join("CLEAN.new"), [7; 3]).unwrap();
    fs::write(dir.path().join("segments").join("spare-00000000000000000009"), [7; 3]).unwrap();
    assert_eq!(open(dir.path()).unwrap().len(&WORDS).unwrap(), 1);
    assert!(!dir.path().join("IDENTITY.new").exists());
    assert!(!dir.path().join("CLEAN.new").exists());
}

#[test]
fn a_creation_is_finished_wherever_the_power_went() {
    let open = |disk: &SimDisk| {
        Engine::builder()
            .clock(SimClock::new(1_000, 1))
            .entropy(SimEntropy::new(1))
            .background(steadfast::Background::Manual)
            .open_on(disk.clone())
    };
    let whole = SimDisk::new();
    drop(open(&whole).unwrap());
    let calls = whole.io_count();
    let mut cuts = 0;
    for call in 1..=calls {
        let disk = SimDisk::new();
        disk.assume_powersafe("checkpoint.redb");
        disk.crash_at(call);
        drop(open(&disk));
        for choice in [Choice::None, Choice::All, Choice::Seeded(call), Choice::Seeded(!call)] {
            let disk = disk.after_power_cut(&choice);
            let engine = open(&disk).unwrap_or_else(|error| {
                panic!("power cut at call {call} of {calls}, {choice:?}: {error}")
            });
            put(&engine, "a");
            engine.close().unwrap();
            assert_eq!(open(&disk).unwrap().len(&WORDS).unwrap(), 1);
            cuts += 1;
        }
    }
    println!("{cuts} power cuts within {calls} calls");
    assert!(calls > 20);
}

#[test]
fn an_identity_missing_beside_a_log_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    fs::remove_file(dir.path().join("CLEAN")).unwrap();
    fs::remove_file(dir.path().join("IDENTITY")).unwrap();
    refused(dir.path(), ErrorKind::Corruption, &["IDENTITY", "missing"]);
    fs::remove_file(dir.path().join("checkpoint.redb")).unwrap();
    refused(dir.path(), ErrorKind::Corruption, &["IDENTITY", "missing"]);
}

#[test]
fn a_checkpoint_with_records_is_never_taken_for_the_start_of_a_creation() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    put(&engine, "a");
    engine.checkpoint().unwrap();
    engine.close().unwrap();
    for file in ["CLEAN", "IDENTITY"] {
        fs::remove_file(dir.path().join(file)).unwrap();
    }
    fs::remove_dir_all(dir.path().join("segments")).unwrap();
    let before = picture(dir.path());
    let error = refusal(open(dir.path()));
    assert!(matches!(error.kind(), ErrorKind::Corruption | ErrorKind::NotADatabase), "{error}");
    assert!(picture(dir.path()) == before);
}
