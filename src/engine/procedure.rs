//! Procedures: the caller's own code that decides in the order of the log, registered under a name and a version.

use super::{error::Error, payload, transaction::Transaction, update::Abort};
use crate::{
    admission::shape::ShapeError,
    base::{Bytes, limits::PROCEDURE_NAME_BYTES},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{any::TypeId, collections::BTreeMap, fmt};

/// A named, versioned, deterministic function of the caller's, called with these arguments by
/// [`Engine::call`](crate::Engine::call).
///
/// It runs when its turn has come, on the newest state and with nobody else writing meanwhile: however many call it on the
/// same records, none is run in vain. So it should be short, and it must decide from its arguments, from what it reads
/// through the [`Transaction`], and from the time, ids and random numbers the transaction gives, alone: then running it
/// again for the same entry does the same, which is how its log is verified. It must call no engine
/// ([`Error::Reentrant`]), pass errors of the transaction on, and have no effects of its own, since it may run more than
/// once before it is decided.
///
/// What it wrote goes into the log beside its arguments: recovery applies that and runs no code, so a procedure can be
/// changed freely. A version that changes what comes out gets a new [`VERSION`](Self::VERSION), as another type with the same
/// [`NAME`](Self::NAME); the old one stays registered for as long as entries of it are to be verified.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use steadfast::{Abort, Engine, Error, IdempotencyKey, Keyspace, Outcome, Procedure, Rejection, Transaction};
///
/// const ACCOUNTS: Keyspace<String, i64> = Keyspace::new("accounts");
///
/// #[derive(Serialize, Deserialize)]
/// struct Transfer { from: String, to: String, cents: i64 }
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// enum Refused { Insufficient { there: i64 } }
///
/// impl Procedure for Transfer {
///     const NAME: &'static str = "transfer";
///     const VERSION: u32 = 1;
///     type Output = i64;
///     type Rejection = Refused;
///
///     fn run(&self, tx: &mut Transaction<'_>) -> Result<i64, Abort<Refused>> {
///         let there = tx.get(&ACCOUNTS, &self.from)?.map_or(0, |account| account.value);
///         if there < self.cents {
///             return Err(Abort::Reject(Refused::Insufficient { there }));
///         }
///         tx.put(&ACCOUNTS, &self.from, &(there - self.cents))?;
///         tx.add(&ACCOUNTS, &self.to, self.cents, 0..=i64::MAX)?;
///         Ok(there - self.cents)
///     }
/// }
///
/// let engine = Engine::builder().procedure::<Transfer>().in_memory()?;
/// let transfer = Transfer { from: "ann".into(), to: "bob".into(), cents: 5 };
/// let key = IdempotencyKey::new("ann", "payment-1")?;
/// match engine.call(key.clone(), &transfer)? {
///     Outcome::Rejected(Rejection::Procedure(Refused::Insufficient { there })) => assert_eq!(there, 0),
///     other => panic!("{other:?}"),
/// }
/// // The refusal is remembered: a retry gets it, whatever ann has by then.
/// assert!(matches!(engine.call(key, &transfer)?, Outcome::Rejected(_)));
/// # Ok::<(), Error>(())
/// ```
pub trait Procedure: Serialize + DeserializeOwned + Send + 'static {
    /// What it is called in the log, 1 to 64 bytes. Another name is another procedure.
    const NAME: &'static str;
    /// Which version of its code this is.
    const VERSION: u32;
    /// What it gives back, up to 64 KiB encoded: remembered, and given to every retry.
    type Output: Serialize + DeserializeOwned;
    /// How it refuses: [`Never`](crate::Never) if it does not.
    type Rejection: Serialize + DeserializeOwned;

    /// Reads, decides and writes. It is run on what its encoded arguments decode to.
    ///
    /// # Errors
    /// [`Abort::Reject`] refuses: nothing changes, and the refusal is remembered. [`Abort::Engine`] passes an error of the
    /// transaction on: nothing is remembered.
    fn run(&self, tx: &mut Transaction<'_>) -> Result<Self::Output, Abort<Self::Rejection>>;
}

/// Runs a procedure on encoded arguments.
pub(super) type Run = fn(&[u8], &mut Transaction<'_>) -> Result<Bytes, Abort<Bytes>>;

/// The procedures an engine knows.
#[derive(Clone, Default)]
pub(super) struct Procedures {
    known: BTreeMap<(&'static str, u32), (TypeId, Run)>,
    twice: Option<(&'static str, u32)>,
}

impl Procedures {
    pub(super) fn register<P: Procedure>(&mut self) {
        const { assert!(!P::NAME.is_empty() && P::NAME.len() <= PROCEDURE_NAME_BYTES) };
        let place = (P::NAME, P::VERSION);
        let of = TypeId::of::<P>();
        let (there, _) = self.known.entry(place).or_insert((of, run::<P>));
        if *there != of {
            self.twice = Some(place);
        }
    }

    /// Takes over what another one has.
    pub(super) fn extend(&mut self, other: &Self) {
        for (&place, &(of, run)) in &other.known {
            let (there, _) = self.known.entry(place).or_insert((of, run));
            if *there != of {
                self.twice = Some(place);
            }
        }
        self.twice = self.twice.or(other.twice);
    }

    /// Refuses two types under one name and version.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.twice {
            Some((name, version)) => Err(ShapeError::ProcedureTwice { name, version }.into()),
            None => Ok(()),
        }
    }

    /// The code that goes by this name and version.
    pub(super) fn named(&self, name: &str, version: u32) -> Option<Run> {
        self.known.get(&(name, version)).map(|(_, run)| *run)
    }

    /// The code of a procedure.
    pub(super) fn find<P: Procedure>(&self) -> Result<Run, Error> {
        let known = self.known.get(&(P::NAME, P::VERSION));
        let known = known.filter(|(of, _)| *of == TypeId::of::<P>()).map(|(_, run)| *run);
        known.ok_or(Error::UnknownProcedure { name: P::NAME, version: P::VERSION })
    }
}

fn run<P: Procedure>(arguments: &[u8], tx: &mut Transaction<'_>) -> Result<Bytes, Abort<Bytes>> {
    let procedure: P = payload::decode(arguments)?;
    match procedure.run(tx) {
        Ok(output) => Ok(payload::encode(&output)?),
        Err(Abort::Reject(rejection)) => Err(Abort::Reject(payload::encode(&rejection)?)),
        Err(Abort::Engine(error)) => Err(Abort::Engine(error)),
    }
}

impl fmt::Debug for Procedures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.known.keys()).finish()
    }
}
