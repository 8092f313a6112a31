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

/// The names of all bugs.
fn names() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/base/canary.rs");
    let text = fs::read_to_string(path).unwrap();
    let list = text.split("canaries! {").nth(1).unwrap().split("\n    }").next().unwrap();
    let names = list.lines().map(str::trim).filter(|line| !line.starts_with("///"));
    let names = names.filter_map(|line| line.strip_suffix(',')).map(str::to_owned);
    let names: Vec<_> = names.collect();
    assert!(names.len() >= 16, "{names:?}");
    names
}

#[test]
fn each_bug_is_planted_in_one_place() {
    let mut found = BTreeMap::new();
    planted(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    let mut names = names();
    names.sort_unstable();
    assert_eq!(found.keys().cloned().collect::<Vec<_>>(), names);
    assert!(found.values().all(|places| *places == 1), "{found:?}");
}

/// Looks for the names in this very program: all of them with the cfg, none without.
#[test]
fn a_normal_build_has_no_trace_of_them() {
    let program = fs::read(std::env::current_exe().unwrap()).unwrap();
    let program = String::from_utf8_lossy(&program);
    let there: Vec<_> = names().into_iter().filter(|name| program.contains(&name[..])).collect();
    if cfg!(steadfast_canary) {
        assert_eq!(there, names());
    } else {
        assert!(there.is_empty(), "{there:?}");
    }
}
