//! Content of somebody else.

use super::{database, make_fifo, open, refused};
use crate::support::assert_healthy;
use std::{fs, os::unix::fs::symlink, path::Path};
use steadfast::{ErrorKind, Retry};

#[test]
fn foreign_content_is_left_alone() {
    type Plant = fn(&Path);
    let plants: [(&str, Plant); 10] = [
        ("notes.txt", |dir| fs::write(dir.join("notes.txt"), "mine").unwrap()),
        ("lost+found", |dir| fs::create_dir(dir.join("lost+found")).unwrap()),
        (".hidden", |dir| fs::write(dir.join(".hidden"), "").unwrap()),
        ("CLEAN", |dir| fs::write(dir.join("CLEAN"), "mine").unwrap()),
        ("segments", |dir| fs::write(dir.join("segments"), "a file").unwrap()),
        ("segments", |dir| symlink("/tmp", dir.join("segments")).unwrap()),
        ("checkpoint.redb", |dir| fs::create_dir(dir.join("checkpoint.redb")).unwrap()),
        ("IDENTITY.new", |dir| make_fifo(&dir.join("IDENTITY.new"))),
        ("segments/00000000000000000001", |dir| {
            fs::create_dir_all(dir.join("segments").join(format!("{:020}", 1))).unwrap();
        }),
        ("segments/photo.jpg", |dir| {
            fs::create_dir(dir.join("segments")).unwrap();
            fs::write(dir.join("segments").join("photo.jpg"), "mine").unwrap();
        }),
    ];
    for (name, plant) in plants {
        let dir = tempfile::tempdir().unwrap();
        plant(dir.path());
        let error = refused(dir.path(), ErrorKind::NotADatabase, &[name]);
        assert_eq!(error.retry(), Retry::Never);
        assert!(error.to_string().contains(dir.path().file_name().unwrap().to_str().unwrap()));
    }
}

#[test]
fn a_stranger_among_the_segments_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    fs::write(dir.path().join("segments").join("notes.txt"), "mine").unwrap();
    refused(dir.path(), ErrorKind::Corruption, &["notes.txt", "not ours"]);
    fs::remove_file(dir.path().join("segments").join("notes.txt")).unwrap();
    // What lies beside our names is none of our business.
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    let engine = open(dir.path()).unwrap();
    assert_healthy(&engine);
    engine.close().unwrap();
    assert_eq!(fs::read(dir.path().join("notes.txt")).unwrap(), b"mine");
}
