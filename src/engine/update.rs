//! Read, decide, write: the caller's own code between reading and writing, run again when what it read has changed.

use super::{
    core::Core,
    error::Error,
    fingerprint,
    merge::Chunk,
    outcome::{Answer, Outcome},
    payload,
    pressure::Terms,
    reentrancy,
    transaction::{Moment, Scan, Source, Transaction},
};
use crate::{
    admission::shape::{ShapeError, check_request},
    base::{
        Bytes, IdempotencyKey, KeyspaceDefinition, KeyspaceId, Never, RequestData, Row, SeqNo,
        Verdict, sync::thread,
    },
    codec::{ByteRange, Codec},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

/// How often a closure is run before the conflict is given to the caller.
const ATTEMPTS: u32 = 64;
/// Greatest pause between two runs.
const PAUSE_MAX: Duration = Duration::from_millis(4);

/// Why a closure ends without committing.
#[derive(Debug)]
pub enum Abort<R = Never> {
    /// It refuses: nothing changes, and this is remembered under the key.
    Reject(R),
    /// The engine failed in it: nothing changes, and nothing is remembered.
    Engine(Error),
}

impl<R, E: Into<Error>> From<E> for Abort<R> {
    fn from(error: E) -> Self {
        Self::Engine(error.into())
    }
}

/// The newest state, durable or not, in which others go on writing.
struct Shared<'a>(&'a Core);

impl Source for Shared<'_> {
    fn definition(&self, name: &[u8]) -> Option<KeyspaceDefinition> {
        self.0.registry.read().newest(name)
    }

    fn row(&mut self, keyspace: KeyspaceId, key: &Bytes) -> Result<Option<Row>, Error> {
        let view = self.0.view.read().clone();
        view.row(self.0, keyspace, key, || SeqNo::MAX)
    }

    fn rows(&mut self, _: &Scan<'_>, _: usize, _: &ByteRange) -> Result<Chunk, Error> {
        Err(ShapeError::RangeInUpdate.into())
    }

    fn moment(&mut self) -> Moment {
        let time = self.0.log_time(&mut self.0.sequencer.lock());
        Moment { time, seed: self.0.seed() }
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// Runs a closure until what it read is still so when it is sequenced.
pub(super) fn update<T, R>(
    core: &Core,
    key: &IdempotencyKey,
    intent: &(impl Serialize + ?Sized),
    mut closure: impl FnMut(&mut Transaction<'_>) -> Result<T, Abort<R>>,
) -> Result<Outcome<T, R>, Error>
where
    T: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned,
{
    let fingerprint = fingerprint::of_intent(&Codec::DEFAULT.encode(intent)?);
    let blank = RequestData::empty(Some((key.clone(), fingerprint)));
    for attempt in 1.. {
        let answer = match core.probe(&blank)? {
            Some(answer) => answer,
            None => match run(core, blank.clone(), attempt, &mut closure) {
                Ok(request) => core.commit(request, Terms::patient())?,
                Err(error) => {
                    // It may tell of something the closure read, so it waits until that is durable.
                    core.settle()?;
                    return Err(error);
                }
            },
        };
        if matches!(answer, Answer::Conflict(_)) && attempt < ATTEMPTS {
            pause(core, attempt);
            continue;
        }
        return answer.decode(payload::decode, payload::decode);
    }
    unreachable!("the last attempt returns")
}

/// Runs the closure once, and makes a request of what it did.
fn run<T: Serialize, R: Serialize>(
    core: &Core,
    data: RequestData,
    attempt: u32,
    closure: &mut impl FnMut(&mut Transaction<'_>) -> Result<T, Abort<R>>,
) -> Result<RequestData, Error> {
    let mut source = Shared(core);
    let mut transaction = Transaction::new(&mut source, data, attempt);
    let result = {
        let _inside = reentrancy::enter();
        catch_unwind(AssertUnwindSafe(|| closure(&mut transaction)))
    };
    let mut data = transaction.into_data();
    match result.map_err(|_| Error::Panicked { what: "update" })? {
        Ok(result) => data.verdict = Verdict::Commit(payload::encode(&result)?),
        Err(Abort::Reject(rejection)) => {
            data.operations.clear();
            data.verdict = Verdict::Reject(payload::encode(&rejection)?);
        }
        Err(Abort::Engine(error)) => return Err(error),
    }
    check_request(&data)?;
    Ok(data)
}

/// Waits a random while, longer after each run, so that those in conflict do not meet again at once.
fn pause(core: &Core, attempt: u32) {
    if !core.options.threads {
        return;
    }
    let most = Duration::from_micros(10 << attempt.min(16)).min(PAUSE_MAX);
    let random = core.machine.entropy.random().unwrap_or(0) % most.as_nanos();
    let pause = Duration::from_nanos(u64::try_from(random).unwrap_or(0));
    #[allow(clippy::disallowed_methods, reason = "nothing is decided by how long this takes")]
    thread::sleep(pause);
}
