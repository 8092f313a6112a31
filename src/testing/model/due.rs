//! What an answer must be.

use super::{
    super::laws::{Breach, Law},
    order::{Deed, Order},
};
use crate::{
    Encoded, Error, KeyStatus, LogTime, Outcome, OutcomeClass, Receipt, Rejection, SeqNo, Version,
};

/// What becomes of an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It is carried out.
    Commit,
    /// It was decided before.
    Remembered,
    /// An expected version is stale; this one is there.
    Conflict(Option<Version>),
    /// `Absent` or `Present` does not hold; this version is there.
    Unmet(Option<Version>),
    /// A sum would leave its bounds; this is what would be added to.
    OutOfBounds(i64),
    /// An error: nothing happens.
    Error(Reason),
}

/// Why nothing happens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The key was used for something else.
    Reused,
    /// The key was fenced.
    Fenced,
    /// It was decided before; only a stub is left of that, or it wanted to be told.
    Decided,
    /// The key is older than what is forgotten: all up to then.
    Expired(LogTime),
    /// The deadline has passed.
    Late,
    /// The database takes no writes, for this reason.
    ReadOnly(String),
    /// A version from the future was named.
    Future,
    /// A key, and an answer that a crash may take, where that is not allowed.
    BufferedKey,
}

/// The entry that decided something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Its number.
    pub seq: SeqNo,
    /// Its time, where that is known.
    pub time: Option<LogTime>,
}

/// What a key stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// Carried out, with this result.
    Committed(At, Vec<u8>),
    /// Refused like this.
    Rejected(At, Decision),
    /// Decided this way; no more is remembered.
    Stub(At, OutcomeClass),
    /// Fenced; as which entry may not be known yet.
    Fenced(Option<At>),
    /// Nothing is remembered; what was decided up to then is forgotten.
    NotRemembered(Option<LogTime>),
}

/// The answer that is due.
#[derive(Clone, Debug)]
pub enum Due {
    /// A receipt.
    Receipt {
        /// Of this entry, where that is known.
        at: Option<At>,
        /// Whether an earlier delivery was carried out.
        replayed: bool,
    },
    /// A refusal that says this.
    Refusal(Decision),
    /// The very answer that was given before.
    Same(Outcome<Vec<u8>>),
    /// An error, about what this entry decided.
    Error(Reason, Option<(OutcomeClass, At)>),
    /// What the key stands for.
    Status(Status),
    /// The number of the entry, which is not known yet or this.
    Entry(Option<SeqNo>),
}

/// An answer of the engine.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To an order.
    Outcome(Outcome<Vec<u8>>),
    /// To a fence.
    Status(KeyStatus),
    /// To a change of the mode.
    Entry(SeqNo),
}

impl At {
    fn is(self, seq: SeqNo, time: LogTime) -> bool {
        self.seq == seq && self.time.is_none_or(|known| known == time)
    }
}

impl Due {
    /// Holds an answer against what is due: laws 2 to 5.
    ///
    /// # Errors
    /// They differ.
    pub fn check(&self, order: &Order, answer: &Outcome<Vec<u8>>) -> Result<(), Breach> {
        let agrees = match self {
            Self::Receipt { at, replayed } => is_receipt(order, answer, *replayed, *at),
            Self::Refusal(decision) => is_refusal(answer, decision),
            Self::Same(first) => first == answer,
            Self::Error(..) | Self::Status(_) | Self::Entry(_) => false,
        };
        if agrees {
            return Ok(());
        }
        let carried_out = matches!(answer, Outcome::Committed(_));
        let law = match self {
            Self::Same(_) | Self::Receipt { replayed: true, .. } => Law::Once,
            Self::Error(Reason::Reused | Reason::Fenced | Reason::Decided, _) => Law::Once,
            Self::Refusal(Decision::Conflict(_)) if carried_out => Law::Versions,
            Self::Refusal(_) | Self::Error(..) if carried_out => Law::Rejected,
            _ => Law::Shown,
        };
        Err(Breach::new(law, format!("{order:?} got {answer:?}, and {self:?} was due")))
    }

    /// Holds any answer against what is due.
    ///
    /// # Errors
    /// They differ.
    pub fn check_answer(&self, deed: &Deed, answer: &Answer) -> Result<(), Breach> {
        let agrees = match (self, deed, answer) {
            (_, Deed::Order(order), Answer::Outcome(outcome)) => return self.check(order, outcome),
            (Self::Status(due), _, Answer::Status(status)) => due.is(status),
            (Self::Entry(due), _, Answer::Entry(seq)) => due.is_none_or(|due| due == *seq),
            _ => false,
        };
        if agrees {
            return Ok(());
        }
        let law = if matches!(self, Self::Status(_)) { Law::Once } else { Law::Shown };
        Err(Breach::new(law, format!("{deed:?} got {answer:?}, and {self:?} was due")))
    }

    /// Whether an error is the one that is due.
    #[must_use]
    pub fn is_error(&self, error: &Error) -> bool {
        let Self::Error(reason, of) = self else { return false };
        let by = |class: OutcomeClass, seq: SeqNo, time: LogTime| {
            of.is_some_and(|(due, at)| due == class && at.is(seq, time))
        };
        match (reason, error) {
            (Reason::Reused, Error::KeyReused { class, seq, time, .. })
            | (Reason::Decided, Error::AlreadyDecided { class, seq, time }) => {
                by(*class, *seq, *time)
            }
            (Reason::Fenced, Error::Fenced { seq, time }) => by(OutcomeClass::Fenced, *seq, *time),
            (Reason::Expired(due), Error::KeyExpired { horizon, .. }) => due == horizon,
            (Reason::ReadOnly(due), Error::ReadOnly { reason }) => **due == **reason,
            (Reason::Late, Error::DeadlineExceeded)
            | (Reason::Future, Error::FutureVersion { .. }) => true,
            (Reason::BufferedKey, Error::Shape(_)) => true,
            _ => false,
        }
    }
}

impl Status {
    /// Whether this is what the engine says.
    #[must_use]
    pub fn is(&self, told: &KeyStatus) -> bool {
        match (self, told) {
            (Self::Committed(at, result), KeyStatus::Committed(receipt)) => {
                let Receipt { seq, time, result: told, replayed, .. } = receipt;
                let same = told.decode::<Vec<u8>>().is_ok_and(|told| told == *result);
                same && *replayed && at.is(*seq, *time)
            }
            (Self::Rejected(at, decision), KeyStatus::Rejected { rejection, seq, time }) => {
                at.is(*seq, *time) && is_rejection(rejection, decision, number)
            }
            (Self::Stub(at, due), KeyStatus::Stub { class, seq, time }) => {
                due == class && at.is(*seq, *time)
            }
            (Self::Fenced(at), KeyStatus::Fenced { seq, time }) => {
                at.is_none_or(|at| at.is(*seq, *time))
            }
            (Self::NotRemembered(due), KeyStatus::NotRemembered { horizon }) => due == horizon,
            _ => false,
        }
    }
}

/// What a closure refused with.
fn number(told: &Encoded) -> Option<i64> {
    told.decode().ok()
}

/// The answer every retry gets after this one.
pub fn again(answer: &Outcome<Vec<u8>>) -> Outcome<Vec<u8>> {
    let mut again = answer.clone();
    if let Outcome::Committed(receipt) = &mut again {
        receipt.replayed = true;
    }
    again
}

fn is_receipt(order: &Order, answer: &Outcome<Vec<u8>>, replayed: bool, at: Option<At>) -> bool {
    match answer {
        Outcome::Committed(receipt) => {
            receipt.replayed == replayed
                && receipt.result == order.result()
                && at.is_none_or(|at| at.is(receipt.seq, receipt.time))
        }
        Outcome::Rejected(_) => false,
    }
}

fn is_refusal(answer: &Outcome<Vec<u8>>, decision: &Decision) -> bool {
    match answer {
        Outcome::Committed(_) => false,
        Outcome::Rejected(rejection) => is_rejection(rejection, decision, |never| match *never {}),
    }
}

/// Whether a rejection says this; a closure refuses with what it would have added to.
fn is_rejection<R>(
    rejection: &Rejection<R>,
    decision: &Decision,
    refused: impl Fn(&R) -> Option<i64>,
) -> bool {
    match (rejection, decision) {
        (Rejection::Conflict(conflict), Decision::Conflict(found)) => conflict.found() == *found,
        (Rejection::Expectation(unmet), Decision::Unmet(version)) => {
            unmet.found.as_ref().map(|found| found.version) == *version
        }
        (Rejection::OutOfBounds(over), Decision::OutOfBounds(current)) => over.current == *current,
        (Rejection::Procedure(told), Decision::OutOfBounds(current)) => {
            refused(told) == Some(*current)
        }
        _ => false,
    }
}
