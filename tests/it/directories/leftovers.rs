//! What an opening or closing that was cut off left behind.

use super::{database, open};
use std::fs;

#[test]
fn what_nothing_needs_any_more_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    let left = ["IDENTITY.new", "CLEAN.new", "segments/spare-00000000000000009999"]
        .map(|name| dir.path().join(name));
    for path in &left {
        fs::write(path, b"half of it").unwrap();
    }
    let engine = open(dir.path()).unwrap();
    for path in &left {
        assert!(!path.exists(), "{} is still there", path.display());
    }
    engine.close().unwrap();
}
