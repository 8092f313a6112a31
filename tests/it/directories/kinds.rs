//! Links, pipes and folders in the place of our files, and the other way round.

use super::{WORDS, database, make_fifo, open, put, refused, segment};
use std::{fs, os::unix::fs::symlink, path::Path};
use steadfast::{Engine, ErrorKind};

/// These were refused as well, but as an error of the system, and only after other files had been removed.
#[test]
fn a_folder_in_place_of_an_unfinished_file_is_damage() {
    type Plant = fn(&Path);
    let plants: [(&str, Plant); 3] = [
        ("CLEAN.new", |path| fs::create_dir(path).unwrap()),
        ("IDENTITY.new", |path| fs::create_dir(path).unwrap()),
        ("CLEAN.new", |path| symlink("/tmp", path).unwrap()),
    ];
    for (name, plant) in plants {
        let dir = tempfile::tempdir().unwrap();
        database(dir.path());
        fs::write(dir.path().join("segments").join(format!("spare-{:020}", 9)), "").unwrap();
        plant(&dir.path().join(name));
        refused(dir.path(), ErrorKind::Corruption, &[name]);
    }
}

/// As above: a segment that the checkpoint made void is removed without being opened.
#[test]
fn a_folder_in_place_of_a_void_segment_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    for name in ["first", "second", "third"] {
        put(&engine, name);
        engine.checkpoint().unwrap();
    }
    engine.close().unwrap();
    let void = format!("{:020}", 1);
    let path = dir.path().join("segments").join(&void);
    assert!(!path.exists(), "segment 1 is still there");
    fs::create_dir(path).unwrap();
    refused(dir.path(), ErrorKind::Corruption, &[&void]);
}

#[test]
fn nothing_but_a_plain_file_is_used() {
    type Plant = fn(&Path, &Path);
    // Each gets the file's path, and the path to which the file was moved.
    let plants: [(&str, Plant); 4] = [
        ("symbolic link", |path, moved| symlink(moved, path).unwrap()),
        ("pipe", |path, _| make_fifo(path)),
        ("hard link", |path, moved| fs::hard_link(moved, path).unwrap()),
        ("folder", |path, _| fs::create_dir(path).unwrap()),
    ];
    for unclean in [false, true] {
        for (what, plant) in plants {
            for name in ["IDENTITY", "CLEAN", "checkpoint.redb", "a segment"] {
                if unclean && name == "CLEAN" {
                    continue;
                }
                let (dir, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
                database(dir.path());
                if unclean {
                    fs::remove_file(dir.path().join("CLEAN")).unwrap();
                }
                let path = match name {
                    "a segment" => segment(dir.path()),
                    name => dir.path().join(name),
                };
                let moved = aside.path().join("moved");
                fs::rename(&path, &moved).unwrap();
                let held = fs::read(&moved).unwrap();
                plant(&path, &moved);
                let file = path.file_name().unwrap().to_str().unwrap();
                refused(dir.path(), ErrorKind::Corruption, &[file, what]);
                assert!(fs::read(&moved).unwrap() == held, "it was followed");

                if path.is_dir() {
                    fs::remove_dir(&path).unwrap();
                } else {
                    fs::remove_file(&path).unwrap();
                }
                fs::rename(&moved, &path).unwrap();
                assert_eq!(open(dir.path()).unwrap().len(&WORDS).unwrap(), 1);
            }
        }
    }
}

#[test]
fn a_link_in_place_of_the_segments_is_not_followed() {
    let (dir, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    database(dir.path());
    let (path, moved) = (dir.path().join("segments"), aside.path().join("segments"));
    fs::rename(&path, &moved).unwrap();
    symlink(&moved, &path).unwrap();
    refused(dir.path(), ErrorKind::Corruption, &["segments"]);
    fs::remove_file(dir.path().join("CLEAN")).unwrap();
    refused(dir.path(), ErrorKind::Corruption, &["segments"]);
    fs::remove_file(&path).unwrap();
    make_fifo(&path);
    refused(dir.path(), ErrorKind::Corruption, &["segments"]);
}
