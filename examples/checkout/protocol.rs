//! What the client tells its parent, one line each on standard output.

use std::fmt;

/// One line of the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// The engine is open; its recovery report as JSON: `{"report": .., "text": ".."}`.
    Opened(String),
    /// A delivery got its answer, after the commit returned.
    Answered(Answered),
    /// A snapshot taken while the others worked: revenue, spend and total agreed.
    Audited,
    /// Everything is delivered and the engine is closed.
    Done,
}

/// The answer to one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Which basket of which round: round * baskets + basket.
    pub index: u32,
    /// The result the engine keeps under the key: how many baskets the chain had sold with this one.
    pub number: u64,
    /// Whether the engine had this answer already.
    pub replayed: bool,
    /// How often a read of this operation had changed before it could be written.
    pub conflicts: u32,
    /// Whether another thread was delivering the same basket at that moment.
    pub at_once: bool,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened(report) => write!(f, "opened {report}"),
            Self::Answered(Answered { index, number, replayed, conflicts, at_once }) => {
                let (replayed, at_once) = (u8::from(*replayed), u8::from(*at_once));
                write!(f, "answered {index} {number} {replayed} {conflicts} {at_once}")
            }
            Self::Audited => f.write_str("audited"),
            Self::Done => f.write_str("done"),
        }
    }
}

impl Message {
    /// Reads a line without its end.
    pub fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "opened" => Some(Self::Opened(rest.to_owned())),
            "answered" => Answered::parse(rest).map(Self::Answered),
            "audited" => Some(Self::Audited),
            "done" => Some(Self::Done),
            _ => None,
        }
    }
}

impl Answered {
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(' ');
        let answered = Self {
            index: fields.next()?.parse().ok()?,
            number: fields.next()?.parse().ok()?,
            replayed: fields.next()? == "1",
            conflicts: fields.next()?.parse().ok()?,
            at_once: fields.next()? == "1",
        };
        fields.next().is_none().then_some(answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_what_is_heard() {
        let answered = |replayed, at_once| {
            let (index, number, conflicts) = (7, u64::MAX, 3);
            Message::Answered(Answered { index, number, replayed, conflicts, at_once })
        };
        for message in [
            Message::Opened(r#"{"text":"a b"}"#.to_owned()),
            answered(true, false),
            answered(false, true),
            Message::Audited,
            Message::Done,
        ] {
            assert_eq!(Message::parse(&message.to_string()), Some(message));
        }
    }

    #[test]
    fn anything_else_is_not_understood() {
        for line in ["", "hello", "answered", "answered 1 2 0 0", "answered 1 2 0 0 0 0"] {
            assert_eq!(Message::parse(line), None, "{line:?}");
        }
    }
}
