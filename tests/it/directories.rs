//! What a path can lead to besides a database, who may have one open, and what it takes to be refused: nothing in it
//! is changed, nothing hangs.

mod creation;

use crate::support::{
    Node, answer, as_child, assert_healthy, child_arguments, in_time, key, paint, picture, refusal,
    told,
};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};
use steadfast::{
    Engine, Error, ErrorKind, Expect, Keyspace, Request, Retry, Verdict,
    testing::{Choice, SimClock, SimDisk, SimEntropy},
};

const WORDS: Keyspace<String, String> = Keyspace::new("words");

fn put(engine: &Engine, name: &str) {
    let request = Request::new(key(name)).put(&WORDS, name, &name.to_owned(), Expect::Absent);
    assert!(!engine.commit(request).unwrap().committed().unwrap().replayed);
}

/// A closed database with one record, not yet in the checkpoint.
fn database(directory: &Path) {
    let engine = Engine::open(directory).unwrap();
    put(&engine, "first");
    engine.close().unwrap();
}

fn open(directory: &Path) -> Result<Engine, Error> {
    let directory = directory.to_owned();
    in_time(move || Engine::open(directory))
}

/// Opening gives this kind of error, twice, and leaves everything as it was.
fn refused(directory: &Path, kind: ErrorKind, says: &[&str]) -> Error {
    let before = picture(directory);
    let error = refusal(open(directory));
    assert_eq!(error.kind(), kind, "{error}");
    for part in says {
        assert!(error.to_string().contains(part), "{error} does not say {part:?}");
    }
    assert_eq!(refusal(open(directory)).kind(), kind, "the second time it is another error");
    assert!(picture(directory) == before, "something was changed by {error}");
    error
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// The path of the only segment with groups of a small database.
fn segment(directory: &Path) -> PathBuf {
    let mut segments: Vec<_> = fs::read_dir(directory.join("segments"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with('0'))
        .collect();
    segments.sort();
    segments.pop().unwrap()
}

#[test]
fn a_file_is_not_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "mine").unwrap();
    let error = refusal(open(&path));
    assert_eq!((error.kind(), error.retry()), (ErrorKind::NotADatabase, Retry::Never));
    assert!(error.to_string().contains("file") && error.to_string().contains("not a directory"));
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    let error = refusal(open(&path.join("below")));
    assert!(matches!(error.kind(), ErrorKind::NotADatabase | ErrorKind::Io), "{error}");
}

#[test]
fn a_pipe_is_refused_without_hanging() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    make_fifo(&path);
    let error = refusal(open(&path));
    assert_eq!(error.kind(), ErrorKind::NotADatabase, "{error}");
}

#[test]
fn a_link_to_a_directory_is_followed_and_one_to_nowhere_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    database(&link);
    assert!(real.join("IDENTITY").is_file());
    let engine = open(&link).unwrap();
    assert_eq!(engine.get(&WORDS, "first").unwrap().unwrap().value, "first");
    // By whichever name, it is one directory.
    assert_eq!(refusal(open(&real)).kind(), ErrorKind::Locked);
    // It is resolved once: the engine holds on to the directory, not to the name.
    fs::remove_file(&link).unwrap();
    put(&engine, "second");
    engine.checkpoint().unwrap();
    engine.close().unwrap();
    assert_eq!(open(&real).unwrap().len(&WORDS).unwrap(), 2);

    let nowhere = dir.path().join("nowhere");
    symlink(dir.path().join("missing"), &nowhere).unwrap();
    let error = refusal(open(&nowhere));
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(error.to_string().contains("nowhere"), "{error}");
    assert!(!dir.path().join("missing").exists());
}

#[test]
fn a_directory_that_is_moved_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    let engine = open(&old).unwrap();
    put(&engine, "before");
    fs::rename(&old, &new).unwrap();
    put(&engine, "after");
    engine.checkpoint().unwrap();
    engine.close().unwrap();
    assert!(!old.exists());
    assert_eq!(open(&new).unwrap().len(&WORDS).unwrap(), 2);
}

#[test]
fn missing_directories_are_made_for_their_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a").join("b").join("c");
    let engine = open(&path).unwrap();
    put(&engine, "x");
    engine.checkpoint().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let check = || {
        for folder in ["a", "a/b", "a/b/c", "a/b/c/segments"] {
            assert_eq!(mode(&dir.path().join(folder)), 0o700, "{folder}");
        }
        let files = picture(&path).into_iter().filter(|(_, node)| matches!(node, Node::File(_)));
        let files: Vec<_> = files.map(|(name, _)| name).collect();
        assert!(files.len() >= 3, "{files:?}");
        for file in &files {
            assert_eq!(mode(&path.join(file)), 0o600, "{}", file.display());
        }
        files.len()
    };
    check();
    engine.close().unwrap();
    check();
}

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
fn a_file_of_ours_that_is_missing_is_damage() {
    for name in ["checkpoint.redb", "segments"] {
        let dir = tempfile::tempdir().unwrap();
        database(dir.path());
        let path = dir.path().join(name);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        refused(dir.path(), ErrorKind::Corruption, &[name]);
    }
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    fs::remove_file(segment(dir.path())).unwrap();
    refused(dir.path(), ErrorKind::Corruption, &["segments/"]);
}

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
fn the_newest_segment_of_a_log_that_was_not_closed_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    let engine = open(dir.path()).unwrap();
    put(&engine, "second");
    engine.close().unwrap();
    // As a kill would have left it.
    fs::remove_file(dir.path().join("CLEAN")).unwrap();
    let newest = segment(dir.path());
    fs::remove_file(&newest).unwrap();
    let name = newest.file_name().unwrap().to_str().unwrap();
    refused(dir.path(), ErrorKind::Corruption, &[name, "missing"]);
}

/// CRC-32 over the seed 0 and `bytes`, as every fixed record of the directory ends in.
fn crc(bytes: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[0; 16]);
    hasher.update(bytes);
    hasher.finalize().to_le_bytes()
}

#[test]
fn a_later_format_is_told_from_damage() {
    let rewrite = |path: &Path, copies: &[usize], body: usize| {
        let mut bytes = fs::read(path).unwrap();
        for &start in copies {
            bytes[start + 8..start + 12].copy_from_slice(&9u32.to_le_bytes());
            let sum = crc(&bytes[start..start + body]);
            bytes[start + body..start + body + 4].copy_from_slice(&sum);
        }
        fs::write(path, bytes).unwrap();
    };
    let check = |directory: &Path, file: &str| {
        let error = refused(directory, ErrorKind::UnsupportedFormat, &[file, "9"]);
        assert_eq!(error.retry(), Retry::Never);
        match error {
            Error::UnsupportedFormat { file: named, version, supported } => {
                assert!(named.contains(file));
                assert_eq!((version, supported), (9, 1));
            }
            other => panic!("{other}"),
        }
    };
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    rewrite(&dir.path().join("IDENTITY"), &[0], 28);
    check(dir.path(), "IDENTITY");

    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    rewrite(&segment(dir.path()), &[0, 4096], 64);
    check(dir.path(), "segments/");

    for longer in [0, 40] {
        let dir = tempfile::tempdir().unwrap();
        database(dir.path());
        rewrite_meta(&dir.path().join("checkpoint.redb"), |body| {
            body[..4].copy_from_slice(&9u32.to_le_bytes());
            body.resize(body.len() + longer, 1);
        });
        check(dir.path(), "checkpoint.redb");
    }
}

/// Every checksum is right: the digest alone shows it, before the log is looked at.
#[test]
fn a_checkpoint_without_the_digest_it_records_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    put(&engine, "first");
    engine.checkpoint().unwrap();
    engine.close().unwrap();
    // Behind the format, the identity, three numbers, the chain digest and the digest's version.
    rewrite_meta(&dir.path().join("checkpoint.redb"), |body| body[80] ^= 1);
    refused(dir.path(), ErrorKind::Corruption, &["checkpoint.redb", "state digest it records"]);
}

/// Changes the row that says what the checkpoint is of, and gives it the right checksum.
fn rewrite_meta(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    use redb::ReadableTable;
    const META: redb::TableDefinition<'_, (), &[u8]> = redb::TableDefinition::new("meta");
    let database = redb::Database::open(path).unwrap();
    let write = database.begin_write().unwrap();
    {
        let mut table = write.open_table(META).unwrap();
        let mut body = table.get(()).unwrap().unwrap().value()[4..].to_vec();
        change(&mut body);
        // Tag of a meta row, length of its empty key.
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&[4, 0, 0, 0, 0]);
        hasher.update(&body);
        let mut row = hasher.finalize().to_le_bytes().to_vec();
        row.extend(body);
        table.insert((), &row[..]).unwrap();
    }
    write.commit().unwrap();
}

#[test]
fn one_opening_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path()).unwrap();
    put(&engine, "a");
    let child = || {
        answer(as_child(
            "directories::plays_a_second_process",
            "STEADFAST_TEST_DIRECTORY",
            dir.path().to_str().unwrap(),
        ))
    };
    let error = refusal(open(dir.path()));
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Locked, Retry::SameKey));
    assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
    assert_eq!(child(), "Locked");
    // Whoever was refused has disturbed nothing.
    put(&engine, "b");
    let clone = engine.clone();
    engine.close().unwrap();
    assert_eq!(child(), "2 records");
    let engine = open(dir.path()).unwrap();
    assert_eq!(engine.len(&WORDS).unwrap(), 2);
    assert_eq!(child(), "Locked");
    drop(clone);
    assert_eq!(child(), "Locked", "a clone of a closed engine holds nothing any more");
    // Dropping the last clone closes, too.
    drop(engine);
    assert_eq!(child(), "2 records");
}

#[test]
fn plays_a_second_process() {
    let Some(directory) = told("STEADFAST_TEST_DIRECTORY") else { return };
    match Engine::open(directory) {
        Ok(engine) => println!("answer: {} records", engine.len(&WORDS).unwrap()),
        Err(error) => println!("answer: {:?}", error.kind()),
    }
}

#[test]
fn two_engines_have_two_directories() {
    let (left, right) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (l, r) = (open(left.path()).unwrap(), open(right.path()).unwrap());
    put(&l, "left");
    put(&r, "right");
    put(&r, "left");
    assert_eq!((l.len(&WORDS).unwrap(), r.len(&WORDS).unwrap()), (1, 2));
    l.close().unwrap();
    r.close().unwrap();
    // A part of one is damage in the other.
    let of = |dir: &Path, name: &str| fs::read(dir.join(name)).unwrap();
    for name in ["checkpoint.redb", "CLEAN", "IDENTITY"] {
        let mine = of(left.path(), name);
        fs::write(left.path().join(name), of(right.path(), name)).unwrap();
        refused(left.path(), ErrorKind::Corruption, &["another database"]);
        fs::write(left.path().join(name), mine).unwrap();
    }
    let mine = fs::read(segment(left.path())).unwrap();
    fs::write(segment(left.path()), fs::read(segment(right.path())).unwrap()).unwrap();
    refused(left.path(), ErrorKind::Corruption, &["another database"]);
    fs::write(segment(left.path()), mine).unwrap();
    assert_eq!(open(left.path()).unwrap().len(&WORDS).unwrap(), 1);
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

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    // Everybody may come by, so that the child can: who it is has no way in otherwise.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let empty = dir.path().join("empty");
    fs::DirBuilder::new().mode(0o500).create(&empty).unwrap();
    let test = "directories::plays_one_who_may_not_write";
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
