//! Damage that appears while an engine has the database open.

use super::{
    super::model::{Model, Order},
    case::Case,
    oracle::{Found, Kind, Problem, Read, exact, refused},
    scene::{Subject, order},
};
use crate::{
    Engine, Error, SeqNo,
    disk::{Choice, SimDisk},
};

/// What went on after the damage.
struct Session<'a> {
    subject: &'a Subject,
    case: &'a Case,
    model: Model,
    /// A request nobody was told the outcome of.
    unknown: Option<(Order, SeqNo)>,
    refused: bool,
}

/// Opens a copy of the subject, damages it, reads, works on, cuts the power, and opens it again. What was acknowledged before
/// and after the damage must be there then, whole, or the opening is refused: by then something later vouches for all
/// that was there before.
pub(super) fn while_open(subject: &Subject, case: &Case) -> Result<Found, Problem> {
    let disk = subject.disk.snapshot();
    let opened = subject.open(&disk, 0);
    let engine = opened.map_err(|error| Problem::new(Kind::NoPlace, error.to_string()))?;
    let sound = disk.digest();
    case.inflict(&disk, &subject.older());
    let damaged = disk.digest();
    if damaged == sound && !case.hides_bytes() {
        return Ok(Found::NoDamage);
    }
    let model = subject.model.clone();
    let mut session = Session { subject, case, model, unknown: None, refused: false };
    session.read(&engine)?;
    session.work(&engine, damaged.is_multiple_of(2))?;
    session.read(&engine)?;
    // What an engine does when it is dropped comes after the power cut.
    disk.crash_at(disk.io_count() + 1);
    drop(engine);
    session.restart(&disk.after_power_cut(&Choice::None))
}

impl Session<'_> {
    fn read(&mut self, engine: &Engine) -> Result<(), Problem> {
        self.refused |= exact(self.case, &mut self.model, engine)? == Read::Refused;
        Ok(())
    }

    /// Hands requests in, and may write a checkpoint. After the first failure it stops.
    fn work(&mut self, engine: &Engine, checkpoint: bool) -> Result<(), Problem> {
        for name in self.subject.name..self.subject.name + 4 {
            let order = order(&self.model, name);
            match engine.commit(order.request()) {
                Ok(answer) => {
                    let agreed = self.model.agree(&order, &answer, engine.durable_seq());
                    agreed.map_err(|breach| Problem::new(Kind::WrongValue, breach.to_string()))?;
                }
                Err(Error::Indeterminate { seq }) => {
                    self.unknown = Some((order, seq));
                    return self.failed(&Error::Indeterminate { seq });
                }
                Err(error) => return self.failed(&error),
            }
        }
        match if checkpoint { engine.checkpoint() } else { Ok(()) } {
            Err(error) => self.failed(&error),
            Ok(()) => Ok(()),
        }
    }

    fn failed(&mut self, error: &Error) -> Result<(), Problem> {
        self.refused = true;
        match error {
            Error::Corruption { .. }
            | Error::Io { .. }
            | Error::Poisoned { .. }
            | Error::Indeterminate { .. } => Ok(()),
            error => Err(Problem::new(Kind::NoPlace, format!("without a reason: {error}"))),
        }
    }

    fn restart(mut self, disk: &SimDisk) -> Result<Found, Problem> {
        let before = disk.digest();
        let engine = match self.subject.open(disk, 1) {
            Ok(engine) => engine,
            Err(error) => return refused(self.case, &error, disk.digest() == before),
        };
        let applied = engine.recovery().applied_seq;
        if let Some((order, seq)) = self.unknown.take()
            && applied > self.model.last()
        {
            self.model.carry_out(&order, seq);
        }
        if applied != self.model.last() {
            let (last, report) = (self.model.last(), engine.recovery());
            let what = format!("it ends at entry {applied} instead of {last}\n{report}");
            return Err(Problem::new(Kind::SilentLoss, what));
        }
        self.read(&engine)?;
        Ok(if self.refused { Found::RefusedAtRead } else { Found::Exact })
    }
}
