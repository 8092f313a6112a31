//! Directories that may not be written.

use super::database;
use crate::support::{Node, answer, as_child, child_arguments, picture, told};
use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
    process::Command,
};
use steadfast::{Engine, Error};

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    // Everybody may come by, so that the child can: who it is has no way in otherwise.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let empty = dir.path().join("empty");
    fs::DirBuilder::new().mode(0o500).create(&empty).unwrap();
    let test = "directories::permissions::plays_one_who_may_not_write";
    let mut command = as_child(test, "STEADFAST_TEST_READ_ONLY", dir.path().to_str().unwrap());
    let held = dir.path().join("held");
    database(&held);
    if fs::write(empty.join("probe"), "").is_ok() {
        // The superuser may do everything, so somebody else has to try.
        fs::remove_file(empty.join("probe")).unwrap();
        for path in [&empty, &held, &held.join("segments")] {
            std::os::unix::fs::chown(path, Some(65_534), None).unwrap();
        }
        for (name, node) in picture(&held) {
            if matches!(node, Node::File(_)) {
                std::os::unix::fs::chown(held.join(name), Some(65_534), None).unwrap();
            }
        }
        command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--clear-groups", "--inh-caps=-all"])
            .arg(std::env::current_exe().unwrap())
            .args(child_arguments(test))
            .env("STEADFAST_TEST_READ_ONLY", dir.path());
        let probe = Command::new("setpriv")
            .args(["--reuid=65534", "--clear-groups", "--inh-caps=-all"])
            .arg(std::env::current_exe().unwrap())
            .arg("--list")
            .output();
        if !probe.is_ok_and(|output| output.status.success()) {
            println!("skipped: the superuser may write everywhere, and cannot become another user");
            return;
        }
    }
    for path in [&held.join("segments"), &held] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o500)).unwrap();
    }
    for (name, node) in picture(&held) {
        if matches!(node, Node::File(_)) {
            fs::set_permissions(held.join(name), fs::Permissions::from_mode(0o400)).unwrap();
        }
    }
    let before = (picture(&empty), picture(&held));
    assert_eq!(answer(command), "Io PermissionDenied, Io PermissionDenied, NotADatabase, opened");
    assert!((picture(&empty), picture(&held)) == before);
    // So that the directory can be removed.
    for path in [&empty, &held, &held.join("segments")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn plays_one_who_may_not_write() {
    let Some(directory) = told("STEADFAST_TEST_READ_ONLY") else { return };
    let tell = |opened: Result<Engine, Error>| match opened {
        Ok(_) => "opened".to_owned(),
        Err(Error::Io { source, .. }) => format!("Io {:?}", source.kind()),
        Err(error) => format!("{:?}", error.kind()),
    };
    let path = |name: &str| Path::new(&directory).join(name);
    let written = ["empty", "held"].map(|name| tell(Engine::open(path(name))));
    let read = ["empty", "held"].map(|name| tell(Engine::open_read_only(path(name))));
    println!("answer: {}, {}", written.join(", "), read.join(", "));
}
