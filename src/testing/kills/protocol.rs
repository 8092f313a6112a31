//! What a child tells its parent, one line each.

use super::{
    super::model::Order,
    order_text::{OrderText, parse_order},
};
use crate::{Epoch, Outcome, Rejection, SeqNo, Verdict, Version};
use std::{fmt, str::FromStr};

/// Stands before every line of a child: a test harness prints lines of its own.
const MARK: &str = "steadfast-child ";

/// One line of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// It opens the database next.
    Starting,
    /// Somebody else has the directory.
    Locked,
    /// The database is open.
    Opened(Opened),
    /// An order is handed in next.
    Begins {
        /// The number of the delivery.
        id: u64,
        /// The last durable entry before it.
        durable: SeqNo,
        /// What is asked.
        order: Order,
    },
    /// The engine answered.
    Answered {
        /// The number of the delivery.
        id: u64,
        /// The last durable entry after it.
        durable: SeqNo,
        /// What it answered.
        answer: Answer,
    },
    /// A checkpoint that was asked for is written.
    Checkpointed,
    /// A commit of a contender is durable.
    Wrote(SeqNo),
    /// The database is closed.
    Closed,
    /// Something failed that has no reason to.
    Failed(String),
}

/// What an opening found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub epoch: Epoch,
    pub applied: SeqNo,
    pub digest: String,
    pub torn: bool,
    /// How long it took.
    pub micros: u64,
}

/// An outcome as it can be told and compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Committed { seq: SeqNo, time: u64, replayed: bool, result: Vec<u8> },
    Conflict(Option<Version>),
    Unmet(Option<Version>),
    OutOfBounds(i64),
}

impl Answer {
    pub fn of(outcome: &Outcome<Vec<u8>>) -> Self {
        match outcome {
            Outcome::Committed(receipt) => Self::Committed {
                seq: receipt.seq,
                time: receipt.time.get(),
                replayed: receipt.replayed,
                result: receipt.result.clone(),
            },
            Outcome::Rejected(Rejection::Conflict(conflict)) => Self::Conflict(conflict.found()),
            Outcome::Rejected(Rejection::Expectation(unmet)) => {
                Self::Unmet(unmet.found.as_ref().map(|found| found.version))
            }
            Outcome::Rejected(Rejection::OutOfBounds(over)) => Self::OutOfBounds(over.current),
            Outcome::Rejected(Rejection::Procedure(never)) => match *never {},
            Outcome::Rejected(
                Rejection::IllegalTransition(_)
                | Rejection::Invariant(_)
                | Rejection::SumInvariant(_)
                | Rejection::TotalOverflow { .. },
            ) => {
                unreachable!("the campaign has no rules")
            }
        }
    }

    /// Whether a retry that got this repeats `first`.
    pub fn repeats(&self, first: &Self) -> bool {
        let fresh = |answer: &Self| match answer.clone() {
            Self::Committed { seq, time, result, .. } => {
                Self::Committed { seq, time, result, replayed: false }
            }
            refusal => refusal,
        };
        fresh(self) == fresh(first)
    }
}

impl Opened {
    pub fn of(report: &crate::RecoveryReport) -> Self {
        let phases = &report.phases;
        Self {
            epoch: report.epoch,
            applied: report.applied_seq,
            digest: report.state_digest.clone(),
            torn: report.verdict == Verdict::TornTail,
            micros: phases.settle_us + phases.checkpoint_us + phases.log_us + phases.apply_us,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MARK)?;
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Locked => f.write_str("locked"),
            Self::Opened(Opened { epoch, applied, digest, torn, micros }) => {
                write!(f, "opened {epoch} {applied} {digest} {torn} {micros}")
            }
            Self::Begins { id, durable, order } => {
                write!(f, "begins {id} {durable} {}", OrderText(order))
            }
            Self::Answered { id, durable, answer } => write!(f, "answered {id} {durable} {answer}"),
            Self::Checkpointed => f.write_str("checkpointed"),
            Self::Wrote(seq) => write!(f, "wrote {seq}"),
            Self::Closed => f.write_str("closed"),
            Self::Failed(what) => write!(f, "failed {}", what.replace('\n', " ")),
        }
    }
}

impl Line {
    /// Reads a line without its end; `None` when it is not one of a child. One that is, and is not understood, is a
    /// failure.
    pub fn hear(line: &str) -> Option<Self> {
        let said = line.strip_prefix(MARK)?;
        Some(Self::parse(said).unwrap_or_else(|| Self::Failed(format!("it said `{said}`"))))
    }

    fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut fields = Fields(rest);
        let line = match word {
            "starting" => Self::Starting,
            "locked" => Self::Locked,
            "opened" => Self::Opened(Opened {
                epoch: Epoch::new(fields.number()?),
                applied: fields.seq()?,
                digest: fields.word()?.to_owned(),
                torn: fields.number()?,
                micros: fields.number()?,
            }),
            "begins" => {
                let (id, durable) = (fields.number()?, fields.seq()?);
                return Some(Self::Begins { id, durable, order: parse_order(fields.0)? });
            }
            "answered" => {
                let (id, durable) = (fields.number()?, fields.seq()?);
                Self::Answered { id, durable, answer: Answer::parse(&mut fields)? }
            }
            "checkpointed" => Self::Checkpointed,
            "wrote" => Self::Wrote(fields.seq()?),
            "closed" => Self::Closed,
            "failed" => return Some(Self::Failed(rest.to_owned())),
            _ => return None,
        };
        fields.0.is_empty().then_some(line)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = |version: &Option<Version>| version.map_or(0, Version::get);
        match self {
            Self::Committed { seq, time, replayed, result } => {
                write!(f, "committed {seq} {time} {replayed} x")?;
                result.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Conflict(found) => write!(f, "conflict {}", version(found)),
            Self::Unmet(found) => write!(f, "unmet {}", version(found)),
            Self::OutOfBounds(current) => write!(f, "bounds {current}"),
        }
    }
}

impl Answer {
    fn parse(fields: &mut Fields) -> Option<Self> {
        Some(match fields.word()? {
            "committed" => Self::Committed {
                seq: fields.seq()?,
                time: fields.number()?,
                replayed: fields.number()?,
                result: parse_hex(fields.word()?.strip_prefix('x')?)?,
            },
            "conflict" => Self::Conflict(fields.version()?),
            "unmet" => Self::Unmet(fields.version()?),
            "bounds" => Self::OutOfBounds(fields.number()?),
            _ => return None,
        })
    }
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// What is left of a line.
struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    fn word(&mut self) -> Option<&'a str> {
        let (word, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        self.0 = rest;
        Some(word).filter(|word| !word.is_empty())
    }

    fn number<N: FromStr>(&mut self) -> Option<N> {
        self.word()?.parse().ok()
    }

    fn seq(&mut self) -> Option<SeqNo> {
        self.number().map(SeqNo::new)
    }

    /// A version; 0 stands for none.
    fn version(&mut self) -> Option<Option<Version>> {
        let number = self.number()?;
        Some((number > 0).then(|| Version::new(number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_is_heard() {
        let (id, durable) = (3, SeqNo::new(9));
        let order = parse_order("7 20 1:any:put:-5 2:3:check").expect("an order");
        let committed = |replayed| {
            let (seq, time, result) = (SeqNo::new(10), u64::MAX, vec![0, 255, 16]);
            Answer::Committed { seq, time, replayed, result }
        };
        let answers = [
            committed(true),
            committed(false),
            Answer::Committed { seq: SeqNo::new(1), time: 1, replayed: false, result: Vec::new() },
            Answer::Conflict(None),
            Answer::Conflict(Some(Version::new(4))),
            Answer::Unmet(Some(Version::new(5))),
            Answer::OutOfBounds(-3),
        ];
        let answered = answers.into_iter().map(|answer| Line::Answered { id, durable, answer });
        let (epoch, applied, digest) = (Epoch::new(2), SeqNo::new(8), "00ff".to_owned());
        let others = [
            Line::Starting,
            Line::Locked,
            Line::Opened(Opened { epoch, applied, digest, torn: true, micros: 12 }),
            Line::Begins { id, durable, order },
            Line::Checkpointed,
            Line::Wrote(SeqNo::new(4)),
            Line::Closed,
            Line::Failed("it is a shame".to_owned()),
        ];
        for line in others.into_iter().chain(answered) {
            assert_eq!(Line::hear(&line.to_string()), Some(line));
        }
    }

    #[test]
    fn anything_else_is_not_understood() {
        for line in ["", "running 1 test", "wrote 4", "steadfast-child"] {
            assert_eq!(Line::hear(line), None, "{line:?}");
        }
        for said in ["wrote", "wrote x", "wrote 4 5", "hello", "begins 1 2 3"] {
            let heard = Line::hear(&format!("{MARK}{said}"));
            assert_eq!(heard, Some(Line::Failed(format!("it said `{said}`"))));
        }
    }

    #[test]
    fn a_retry_repeats_all_but_being_the_first() {
        let answer = |time, replayed| {
            let (seq, result) = (SeqNo::new(1), vec![1]);
            Answer::Committed { seq, time, replayed, result }
        };
        assert!(answer(5, true).repeats(&answer(5, false)));
        assert!(!answer(6, true).repeats(&answer(5, false)));
        assert!(!Answer::Conflict(None).repeats(&answer(5, false)));
    }
}
