//! Names of files.

pub(crate) const IDENTITY: &str = "IDENTITY";
pub(crate) const IDENTITY_NEW: &str = "IDENTITY.new";
pub(crate) const CLEAN: &str = "CLEAN";
pub(crate) const CLEAN_NEW: &str = "CLEAN.new";
pub(crate) const CHECKPOINT: &str = "checkpoint.redb";
pub(crate) const SEGMENTS: &str = "segments";

const SPARE: &str = "spare-";

/// What a name in the segments folder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentName {
    /// Part of the log.
    Named(u64),
    /// Prepared for use, of no meaning to recovery.
    Spare,
}

/// The path of a segment.
pub(crate) fn segment(number: u64) -> String {
    format!("{SEGMENTS}/{number:020}")
}

/// The path of a segment that is being prepared.
pub(crate) fn spare(number: u64) -> String {
    format!("{SEGMENTS}/{SPARE}{number:020}")
}

/// What `name`, without its folder, stands for; `None` when it is not ours.
pub(crate) fn parse(name: &str) -> Option<SegmentName> {
    let digits = name.strip_prefix(SPARE).unwrap_or(name);
    let well_formed = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    let number = digits.parse().ok().filter(|&number| well_formed && number > 0)?;
    Some(if digits.len() == name.len() { SegmentName::Named(number) } else { SegmentName::Spare })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        let file = |path: String| path.strip_prefix("segments/").unwrap().to_owned();
        assert_eq!(parse(&file(segment(7))), Some(SegmentName::Named(7)));
        assert_eq!(parse(&file(spare(7))), Some(SegmentName::Spare));
        for foreign in ["", "7", "spare-", "x", "0000000000000000000a", "00000000000000000000", "99999999999999999999"] {
            assert_eq!(parse(foreign), None, "{foreign}");
        }
    }
}
