//! Names of files.

pub(crate) const IDENTITY: &str = "IDENTITY";
pub(crate) const IDENTITY_NEW: &str = "IDENTITY.new";
pub(crate) const CLEAN: &str = "CLEAN";
pub(crate) const CLEAN_NEW: &str = "CLEAN.new";
pub(crate) const CHECKPOINT: &str = "checkpoint.redb";
pub(crate) const SEGMENTS: &str = "segments";

const SPARE: &str = "spare-";
const NEWEST: &str = "newest-";

/// What a name in the segments folder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentName {
    /// Part of the log.
    Named(u64),
    /// Prepared for use, of no meaning to recovery.
    Spare,
    /// Says that the segment of this number was begun.
    Newest(u64),
}

/// The path of a segment.
pub(crate) fn segment(number: u64) -> String {
    format!("{SEGMENTS}/{number:020}")
}

/// The path of a segment that is being prepared.
pub(crate) fn spare(number: u64) -> String {
    format!("{SEGMENTS}/{SPARE}{number:020}")
}

/// The path of the empty file which says that a segment was begun, so that its absence is noticed.
pub(crate) fn newest(number: u64) -> String {
    format!("{SEGMENTS}/{NEWEST}{number:020}")
}

/// What `name`, without its folder, stands for; `None` when it is not ours.
pub(crate) fn parse(name: &str) -> Option<SegmentName> {
    if let Some(digits) = name.strip_prefix(SPARE) {
        return number(digits).map(|_| SegmentName::Spare);
    }
    if let Some(digits) = name.strip_prefix(NEWEST) {
        return number(digits).map(SegmentName::Newest);
    }
    number(name).map(SegmentName::Named)
}

fn number(digits: &str) -> Option<u64> {
    let well_formed = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|&number| well_formed && number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        let file = |path: String| path.strip_prefix("segments/").unwrap().to_owned();
        assert_eq!(parse(&file(segment(7))), Some(SegmentName::Named(7)));
        assert_eq!(parse(&file(spare(7))), Some(SegmentName::Spare));
        assert_eq!(parse(&file(newest(7))), Some(SegmentName::Newest(7)));
        for foreign in [
            "",
            "7",
            "spare-",
            "x",
            "0000000000000000000a",
            "00000000000000000000",
            "99999999999999999999",
        ] {
            assert_eq!(parse(foreign), None, "{foreign}");
        }
    }
}
