//! The functions that fuzzers call, over their corpora and over random input.

#[cfg(target_os = "linux")]
mod memory;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};
use steadfast::testing::fuzz::{Seed, TARGETS, Target, seeds};

/// Random bytes, the same for the same seed: mostly short, some long, some made of few different bytes.
fn random(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let length = [8, 40, 200, 1_000][(next() >> 20) as usize % 4];
    let length = (next() >> 20) as usize % length;
    let mask = [0xFF, 0xFF, 0x0F, 0x3F][(next() >> 20) as usize % 4];
    (0..length).map(|_| (next() >> 24) as u8 & mask).collect()
}

/// How often each function is called with random input.
fn inputs(target: &str) -> u64 {
    match target {
        "frame" | "segment_scan" => 2_000,
        "crash_recovery" => 150,
        _ => 300,
    }
}

fn call(name: &str, from: &str, target: Target, bytes: &[u8]) {
    let called = std::panic::catch_unwind(|| target(bytes));
    assert!(called.is_ok(), "{name}, {from}: see above; the input is {bytes:?}");
}

fn random_input(name: &str) {
    let began = Instant::now();
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).unwrap();
    let count = inputs(name);
    for seed in 0..count {
        call(name, &format!("seed {seed}"), target, &random(seed));
    }
    println!("{name}: {count} random inputs, {:.1} s", began.elapsed().as_secs_f64());
}

macro_rules! random_inputs {
    ($($name:ident),*) => {$(
        mod $name {
            #[test]
            fn random_input() {
                super::random_input(stringify!($name));
            }
        }
    )*};
}

random_inputs!(frame, segment_scan, open_dir, crash_recovery, model, faults, rot);

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name)
}

/// Begins the corpora anew: `cargo test --test it -- --ignored make_corpus`.
#[test]
#[ignore = "writes to the repository"]
fn make_corpus() {
    for Seed { target, name, bytes } in seeds() {
        fs::create_dir_all(corpus(target)).unwrap();
        fs::write(corpus(target).join(name), bytes).unwrap();
    }
}

/// A seed that is not what is made today was made for other bytes on the disk.
#[test]
fn the_corpora_hold_what_is_made() {
    let seeds = seeds();
    for (name, _) in TARGETS {
        assert!(seeds.iter().filter(|seed| seed.target == name).count() > 10, "{name}");
    }
    for Seed { target, name, bytes } in seeds {
        let held = fs::read(corpus(target).join(&name)).unwrap_or_default();
        assert!(held == bytes, "{target}/{name} is stale: run the ignored test `make_corpus`");
    }
}

fn corpus_files(name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(corpus(name)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{name} has no corpus");
    files
}

#[test]
fn every_corpus() {
    for (name, target) in TARGETS {
        let began = Instant::now();
        let files = corpus_files(name);
        for file in &files {
            call(name, &file.display().to_string(), target, &fs::read(file).unwrap());
        }
        println!("{name}: {} files, {:.1} s", files.len(), began.elapsed().as_secs_f64());
    }
}

#[test]
fn every_target_has_a_shell() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
    let shells = package.join("fuzz_targets");
    assert_eq!(fs::read_dir(&shells).unwrap().count(), TARGETS.len());
    for (name, _) in TARGETS {
        let shell = fs::read_to_string(shells.join(format!("{name}.rs"))).unwrap();
        assert!(shell.contains(&format!("steadfast::testing::fuzz::{name};")), "{name}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}
