//! Verified replay in the tests of a service: that a log comes out the same, and that procedures do.

use crate::{
    Background, Builder, Engine, Error, IdempotencyKey, LogRetention, Procedure, Registry,
    VerifyReport,
    disk::{Disk, MemoryDisk, SimClock},
};
use std::path::Path;

/// How often each input is run again: what depends on chance differs in one of them.
const AGAIN: usize = 8;

/// [`verify`](crate::verify) on a disk of the caller's.
///
/// # Errors
/// As [`verify`](crate::verify).
pub fn verify_on(disk: impl Disk, registry: &Registry) -> Result<VerifyReport, Error> {
    crate::engine::verify_on(disk, registry)
}

/// Verifies the log of a closed database, or of a copy of one: for the tests of a service, on a directory that an older version of
/// it left.
///
/// ```
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let dir = dir.path();
/// use steadfast::{Engine, Expect, Keyspace, Registry, Request, testing::replay::assert_replays};
///
/// const STOCK: Keyspace<u64, u32> = Keyspace::new("stock");
///
/// let engine = Engine::open(dir)?;
/// engine.commit(Request::unkeyed().put(&STOCK, &12, &7, Expect::Any))?.committed()?;
/// engine.close()?;
/// let report = assert_replays(dir, &Registry::new());
/// assert_eq!(report.exact, 1);
/// # Ok::<(), steadfast::Error>(())
/// ```
///
/// # Panics
/// With the report, when an entry comes out otherwise or can't be decided once more; with the error, when the directory is damaged.
#[track_caller]
pub fn assert_replays(path: impl AsRef<Path>, registry: &Registry) -> VerifyReport {
    let path = path.as_ref();
    match crate::engine::verify::verify(path, registry) {
        Ok(report) if report.is_exact() => report,
        Ok(report) => panic!("the log in {} does not replay: {report}", path.display()),
        Err(error) => panic!("the log in {} can't be verified: {error}", path.display()),
    }
}

/// Calls a procedure with each of the inputs, in a database in memory, and runs each again, on the state it found and with the time,
/// ids and random numbers it had: what it gives back and writes must be the same, byte for byte. `set_up` makes the state they begin
/// with; each input finds what those before it left. An input that is refused is an outcome like any other.
///
/// It notices what differs from run to run: clocks, random sources, counters that live on, the order of a `HashMap` (each input is run
/// eight more times). It can't notice what is the same in all of them, and another tomorrow, such as the date or the
/// environment.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use steadfast::{
///     Abort, Expect, Keyspace, Never, Procedure, Registry, Request, Transaction,
///     testing::replay::assert_deterministic,
/// };
///
/// const STOCK: Keyspace<u64, i64> = Keyspace::new("stock");
///
/// #[derive(Serialize, Deserialize)]
/// struct Take(u64);
///
/// impl Procedure for Take {
///     const NAME: &'static str = "take";
///     const VERSION: u32 = 1;
///     type Output = i64;
///     type Rejection = Never;
///
///     fn run(&self, tx: &mut Transaction<'_>) -> Result<i64, Abort> {
///         let left = tx.get(&STOCK, &self.0)?.map_or(0, |units| units.value) - 1;
///         tx.put(&STOCK, &self.0, &left)?;
///         Ok(left)
///     }
/// }
///
/// let stocked = |engine: &steadfast::Engine| {
///     engine.commit(Request::unkeyed().put(&STOCK, &12, &7, Expect::Any)).map(drop)
/// };
/// assert_deterministic(&Registry::new(), stocked, [Take(12), Take(13)]);
/// ```
///
/// # Panics
/// With the first difference, when a run differs; when the set-up or a call fails.
#[track_caller]
pub fn assert_deterministic<P: Procedure>(
    registry: &Registry,
    set_up: impl FnOnce(&Engine) -> Result<(), Error>,
    inputs: impl IntoIterator<Item = P>,
) {
    let registry = registry.clone().procedure::<P>();
    let disk = MemoryDisk::new();
    let engine = builder(&registry).open_on(disk.clone());
    let engine = engine.unwrap_or_else(|error| panic!("an engine in memory: {error}"));
    set_up(&engine).unwrap_or_else(|error| panic!("the set-up: {error}"));
    let before = engine.durable_seq();
    let mut called = 0;
    for input in inputs {
        let key = IdempotencyKey::new("assert_deterministic", called.to_string());
        let outcome = key.map_err(Error::from).and_then(|key| engine.call(key, &input).map(drop));
        if let Err(error) = outcome {
            panic!("input {called} of procedure {:?}: {error}", P::NAME);
        }
        called += 1;
    }
    assert!(called > 0, "there are no inputs");
    engine.close().unwrap_or_else(|error| panic!("closing: {error}"));
    for _ in 0..AGAIN {
        let report = verify_on(disk.clone(), &registry);
        let report = report.unwrap_or_else(|error| panic!("running the inputs again: {error}"));
        if let Some(divergence) = report.first_divergence() {
            let input = divergence.seq.get().saturating_sub(before.get() + 1);
            panic!(
                "procedure {:?} is not deterministic, or the set-up not: input {input} came out otherwise when it was run again, as entry {divergence}",
                P::NAME
            );
        }
    }
}

fn builder(registry: &Registry) -> Builder {
    Engine::builder()
        .registry(registry)
        .background(Background::Manual)
        .log_retention(LogRetention::KeepAll)
        .clock(SimClock::new(1_700_000_000_000_000_000, 1_000))
}
