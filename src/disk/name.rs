//! The names of a disk: `file` or `folder/file`, nothing that could lead out of the directory.

use std::io;

/// Splits a name into its folder (`""` is the directory itself) and its last part.
pub(super) fn split(name: &str) -> io::Result<(&str, &str)> {
    let (folder, leaf) = match name.split_once('/') {
        Some((folder, leaf)) => (check(folder, name)?, leaf),
        None => ("", name),
    };
    Ok((folder, check(leaf, name)?))
}

/// Accepts the name of a folder: `""` or one plain part.
pub(super) fn folder(name: &str) -> io::Result<&str> {
    if name.is_empty() { Ok(name) } else { check(name, name) }
}

fn check<'a>(part: &'a str, name: &str) -> io::Result<&'a str> {
    if part.is_empty() || part == "." || part == ".." || part.contains(['/', '\0']) {
        let text = format!("{name:?} is not a name of the form `file` or `folder/file`");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_split() {
        assert_eq!(split("IDENTITY").unwrap(), ("", "IDENTITY"));
        assert_eq!(split("segments/1").unwrap(), ("segments", "1"));
        assert_eq!(folder("").unwrap(), "");
        assert_eq!(folder("segments").unwrap(), "segments");
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", "/", "/a", "a/", "a/b/c", "..", ".", "../a", "a/..", "a\0b"] {
            assert_eq!(split(name).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
        assert!(folder("a/b").is_err());
        assert!(folder("..").is_err());
    }
}
