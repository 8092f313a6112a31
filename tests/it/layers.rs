//! The modules of the crate depend on each other in one direction, and some crates are named in one place only.
//!
//! Reads the source as text: `crate::` paths outside of comments and tests. What is re-exported by `src/lib.rs` is for
//! users; inside, a thing is named where it lives.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A module uses only itself and those before it.
const ORDER: [&str; 11] = [
    "base",
    "codec",
    "format",
    "disk",
    "state",
    "admission",
    "log",
    "checkpoint",
    "recovery",
    "engine",
    "testing",
];

/// These do not know each other at all: `recovery` and `engine` put them together.
const STRANGERS: [&str; 3] = ["admission", "log", "checkpoint"];

/// Crates, and the modules that name them.
const HOMES: [(&str, &[&str]); 8] = [
    ("bincode", &["codec"]),
    ("crc32fast", &["format"]),
    ("getrandom", &["disk"]),
    ("postcard", &["codec"]),
    ("redb", &["checkpoint"]),
    ("rustix", &["disk"]),
    ("shuttle", &["base"]),
    // The simulated disk compares its images by a digest, and what differs in a request is told by one, too.
    ("xxhash_rust", &["state", "disk", "engine"]),
];

/// A file of the crate, without its comments and tests.
struct Source {
    file: String,
    module: String,
    /// How many modules it lies in, itself included.
    depth: usize,
    code: String,
}

#[test]
fn modules_depend_in_one_direction() {
    let mut wrong = Vec::new();
    for Source { file, module, depth, code } in sources() {
        for used in used(&code) {
            if !may_use(&module, used) {
                wrong.push(format!("{file}: `{module}` must not use `crate::{used}`"));
            }
        }
        if climbs(&code) >= depth {
            wrong.push(format!(
                "{file}: a path of `super` leaves `{module}`: write it from `crate`"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_crate_is_named_at_its_home_only() {
    let mut wrong = Vec::new();
    for Source { file, module, code, .. } in sources() {
        for (name, homes) in HOMES {
            if !homes.contains(&&module[..]) && names_crate(&code, name) {
                wrong.push(format!("{file}: only {homes:?} names `{name}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn paths_are_found_in_every_form() {
    let code =
        "use crate::a;\nuse crate::{b::{c, d}, e, f::g,};\nlet x: crate::h::X = crate::a::y();";
    assert_eq!(used(code), ["a", "b", "e", "f", "h", "a"]);
    assert_eq!(climbs("super::x(super::super::y)"), 2);
    assert!(names_crate("use redb::Table", "redb") && names_crate("(redb::Error)", "redb"));
    assert!(!names_crate("with_redb::commit", "redb"));
    assert!(may_use("log", "format") && may_use("log", "log") && !may_use("log", "engine"));
    assert!(!may_use("log", "admission") && !may_use("log", "Engine"));
}

fn may_use(module: &str, used: &str) -> bool {
    let place = |name: &str| ORDER.iter().position(|known| *known == name);
    let strangers = module != used && STRANGERS.contains(&module) && STRANGERS.contains(&used);
    // The test kit stands outside, where the users do.
    let as_user = module == "testing" && used.starts_with(char::is_uppercase);
    as_user || (place(used).is_some() && place(used) <= place(module) && !strangers)
}

/// The first names of all paths from the root of the crate: `crate::a::b`, `crate::{a::b, c}`.
fn used(code: &str) -> Vec<&str> {
    let paths = code.split("crate::").skip(1);
    paths
        .flat_map(|path| path.strip_prefix('{').map_or_else(|| vec![first_name(path)], members))
        .collect()
}

/// The first name of each member of a group whose brace is open already.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        if depth == 0 && matches!(c, ',' | '}') {
            found.push(first_name(group[start..at].trim_start()));
            start = at + 1;
        }
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            _ => {}
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

fn first_name(path: &str) -> &str {
    path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// The longest run of `super` in a path.
fn climbs(code: &str) -> usize {
    (1..).take_while(|&run| code.contains(&"super::".repeat(run))).count()
}

fn names_crate(code: &str, name: &str) -> bool {
    let inside_a_name = |before: &str| before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    code.match_indices(&format!("{name}::")).any(|(at, _)| !inside_a_name(&code[..at]))
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    find(&root, &mut files);
    let sources: Vec<_> = files.iter().filter_map(|file| source(&root, file)).collect();
    for module in ORDER {
        assert!(sources.iter().any(|source| source.module == module), "there is no `{module}`");
    }
    sources
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
}

/// `None` for the root of the crate, and for files of tests.
fn source(root: &Path, path: &Path) -> Option<Source> {
    let file = path.strip_prefix(root).unwrap().with_extension("");
    let mut parts: Vec<&str> = file.iter().map(|part| part.to_str().unwrap()).collect();
    let tests = |part: &&str| part.ends_with("tests") || *part == "conformance";
    if parts == ["lib"] || parts.iter().any(tests) {
        return None;
    }
    if parts.last() == Some(&"mod") {
        parts.pop();
    }
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().map(|line| line.split("//").next().unwrap());
    Some(Source {
        file: format!("src/{}.rs", file.display()),
        module: parts[0].to_owned(),
        depth: parts.len(),
        code: lines.collect::<Vec<_>>().join("\n"),
    })
}
