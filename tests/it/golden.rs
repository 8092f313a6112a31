//! Directories that were written once and open for ever, with all that is known of them: `tests/data/golden/<format>/`.
//!
//! Of each there is an archive (`archive.rs` says how it is written) and, beside it, what opening it must give: verdict and
//! report, chain head, records, remembered outcomes, or the refusal. When the format changes, its version must change, and
//! a new set is written:
//!
//! ```text
//! STEADFAST_WRITE_GOLDEN=1 cargo test --test it golden::write -- --ignored
//! STEADFAST_WRITE_GOLDEN=1 cargo test --no-default-features --features postcard --test it golden::write -- --ignored
//! ```

mod archive;
mod expected;
mod scenes;

use crate::support::picture;
use archive::Files;
use scenes::Scene;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};
use steadfast::{
    Background, Builder, Codec, Engine, Error,
    testing::{SimClock, SimDisk, SimEntropy},
};

const COMMAND: &str = "STEADFAST_WRITE_GOLDEN=1 cargo test --test it golden::write -- --ignored, and the same with \
                       --no-default-features --features postcard";

/// Where the sets are. The packaged crate comes without them.
fn home() -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden");
    if !home.is_dir() {
        println!(
            "skipped: {} is not there; it is in the repository, not in the package",
            home.display()
        );
        return None;
    }
    Some(home)
}

/// The version of the format that this crate writes, as its own `IDENTITY` says.
fn version() -> u32 {
    let files = Scene::Empty.files();
    u32::from_le_bytes(files["IDENTITY"][8..12].try_into().unwrap())
}

/// The scenes whose codec is the default of this build: only those can be written again.
fn writable() -> impl Iterator<Item = Scene> {
    Scene::ALL.into_iter().filter(|scene| scene.codec() == format!("{:?}", Codec::DEFAULT))
}

fn builder() -> Builder {
    Engine::builder()
        .background(Background::Manual)
        .segment_bytes(64 << 10)
        .checkpoint_cache_bytes(1 << 20)
        .clock(SimClock::new(1_800_000_000_000_000_000, 1_000))
        .accept_clock_jump(true)
        .entropy(SimEntropy::new(77))
}

fn read(folder: &Path, scene: Scene) -> (Files, Value) {
    let text = |extension: &str| {
        let path = folder.join(format!("{}.{extension}", scene.name()));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    (archive::unpack(&text("txt")), serde_json::from_str(&text("json")).unwrap())
}

#[test]
fn stored_directories_open_as_they_always_did() {
    let Some(home) = home() else { return };
    let folder = home.join(version().to_string());
    assert!(folder.is_dir(), "there is no {}: write it by {COMMAND}", folder.display());
    let mut opened = 0;
    for scene in Scene::ALL.into_iter().filter(|scene| scene.can_be_read()) {
        let (files, expected) = read(&folder, scene);
        let name = scene.name();
        assert_eq!(on_sim_disk(&files), expected, "{name}, on a simulated disk");
        assert_eq!(on_real_files(&files), expected, "{name}, on real files");
        opened += 1;
    }
    assert!(opened > 0, "no directory is of a codec of this build");
}

fn on_sim_disk(files: &Files) -> Value {
    let disk = SimDisk::new();
    archive::plant(&disk, files);
    let before = disk.digest();
    let seen = expected::of(builder().open_on(disk.clone()));
    if seen.get("refusal").is_some() {
        assert_eq!(disk.digest(), before, "a refusal changed something");
    }
    seen
}

fn on_real_files(files: &Files) -> Value {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let before = picture(dir.path());
    let seen = expected::of(builder().open(dir.path()));
    if seen.get("refusal").is_some() {
        assert!(picture(dir.path()) == before, "a refusal changed something");
    }
    seen
}

/// Directories of an older format are told from damage. (From 0.1.0 on they open.)
#[test]
fn older_formats_are_known() {
    let Some(home) = home() else { return };
    for entry in fs::read_dir(&home).unwrap() {
        let folder = entry.unwrap().path();
        let of: u32 = folder.file_name().unwrap().to_str().unwrap().parse().unwrap();
        assert!(of <= version(), "{} is of a format to come", folder.display());
        if of < version() {
            let (files, _) = read(&folder, Scene::Clean);
            let disk = SimDisk::new();
            archive::plant(&disk, &files);
            let refused = builder().open_on(disk);
            assert!(matches!(refused, Err(Error::UnsupportedFormat { .. })), "{refused:?}");
        }
    }
}

#[test]
fn the_format_does_not_change_without_its_version() {
    let Some(home) = home() else { return };
    let version = version();
    let folder = home.join(version.to_string());
    assert!(folder.is_dir(), "there is no {}: write it by {COMMAND}", folder.display());
    let mut compared = 0;
    for scene in writable() {
        let (stored, expected) = read(&folder, scene);
        let written = scene.files();
        let name = scene.name();
        let different = differences(&stored, &written);
        let checkpoint_alone = different.iter().all(|file| file.starts_with("checkpoint.redb"));
        assert!(
            different.is_empty() || checkpoint_alone,
            "{name}: the same operations no longer write the same bytes, and the format still has version {version}. If the \
             format was meant to change, raise format::VERSION, say in docs/FORMAT.md what is new, and write a new set \
             by {COMMAND}. If it was not, this is the bug:\n{}",
            different.join("\n"),
        );
        assert!(
            different.is_empty(),
            "{name}: only the checkpoint's file differs. If its rows or tables were meant to change, raise format::VERSION and \
             write a new set by {COMMAND}. If only redb was updated, and it still reads the stored ones (the other test \
             passes), remove the set of this version and write it again:\n{}",
            different.join("\n"),
        );
        assert_eq!(on_sim_disk(&written), expected, "{name}");
        compared += 1;
    }
    assert!(compared > 0, "nothing is of the default codec of this build");
}

/// Where two directories differ, by file and first offset.
fn differences(stored: &Files, written: &Files) -> Vec<String> {
    let names = stored.keys().chain(written.keys().filter(|name| !stored.contains_key(*name)));
    let different = names.filter_map(|name| match (stored.get(name), written.get(name)) {
        (Some(stored), Some(written)) if stored == written => None,
        (Some(stored), Some(written)) => {
            let first = stored.iter().zip(written).position(|(left, right)| left != right);
            let first = first.unwrap_or(stored.len().min(written.len()));
            let lengths = (stored.len(), written.len());
            Some(format!("{name}: from offset {first} on, lengths {lengths:?}"))
        }
        (Some(_), None) => Some(format!("{name}: no longer written")),
        (None, _) => Some(format!("{name}: not stored")),
    });
    different.collect()
}

#[test]
fn archives_unpack_to_what_was_packed() {
    for scene in writable() {
        let files = scene.files();
        let text = archive::pack(&files);
        assert!(archive::unpack(&text) == files, "{}", scene.name());
        assert!(text.len() < 200 << 10, "{}: {} bytes", scene.name(), text.len());
        assert!(scene.files() == files, "{}: it is not written the same twice", scene.name());
    }
}

/// Writes the set of this version, for the default codec of this build. What is there is never replaced.
#[test]
#[ignore = "a command, not a test"]
fn write() {
    assert!(crate::support::told("STEADFAST_WRITE_GOLDEN").is_some(), "say so: {COMMAND}");
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden").join(version().to_string());
    fs::create_dir_all(&folder).unwrap();
    for scene in writable() {
        let path = folder.join(format!("{}.txt", scene.name()));
        assert!(
            !path.exists(),
            "{} is there: sets of a version are never replaced",
            path.display()
        );
        let files = scene.files();
        fs::write(&path, archive::pack(&files)).unwrap();
        let expected = serde_json::to_string_pretty(&on_sim_disk(&files)).unwrap();
        fs::write(path.with_extension("json"), expected + "\n").unwrap();
        println!("written: {}", path.display());
    }
}
