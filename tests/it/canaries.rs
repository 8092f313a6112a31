//! Bugs planted on purpose: each must be caught, and what catches it must pass without it.
//!
//! ```sh
//! RUSTFLAGS="--cfg steadfast_canary" cargo test --release --features testing --test it canaries -- --nocapture --test-threads=1
//! ```

use std::{collections::BTreeMap, fs, path::Path};

#[cfg(steadfast_canary)]
mod caught;

/// The names that stand in `canary!`, with how often, in all of the source.
fn planted(folder: &Path, found: &mut BTreeMap<String, usize>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            planted(&path, found);
        } else if !path.ends_with("base/canary.rs") {
            for place in fs::read_to_string(&path).unwrap().split("canary!(").skip(1) {
                let name = place.split(|c: char| !c.is_alphanumeric()).next().unwrap();
                *found.entry(name.to_owned()).or_default() += 1;
            }
        }
    }
}

#[test]
fn each_bug_is_planted_in_one_place() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    planted(&source, &mut found);
    let text = fs::read_to_string(source.join("base/canary.rs")).unwrap();
    let list = text.split("canaries! {").nth(1).unwrap().split("\n    }").next().unwrap();
    let names =
        list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("///"));
    let mut names: Vec<_> = names.map(|name| name.trim_end_matches(',')).collect();
    names.sort_unstable();
    assert_eq!(found.keys().collect::<Vec<_>>(), names);
    assert!(found.values().all(|places| *places == 1), "{found:?}");
}

/// In a normal build no condition that plants a bug can hold: `src/base/canary.rs` asserts it where it is compiled. Here,
/// that such a build is what this is.
#[cfg(not(steadfast_canary))]
#[test]
fn a_normal_build_has_none_of_them() {
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    assert!(!flags.contains("steadfast_canary"), "{flags}");
    assert!(!cfg!(steadfast_canary));
}
