//! Rules that come and go, and a crash in between: totals are what the records come to, and no rule is taken unseen.

use super::{Found, Hunted, hunt, loss, violation};
use steadfast::{
    Background, Builder, Engine, Error, Expect, Invariant, Keyspace, Request, Rules, Total,
    Violation,
    testing::{Choice, SimDisk},
};

const SUMS: Keyspace<u32, i64> = Keyspace::new("sums");

fn summed() -> Rules<u32, i64> {
    Rules::of(&SUMS).total(Total::new("sum", |_: &u32, sum: &i64| i128::from(*sum)))
}

fn open(builder: Builder, disk: &SimDisk) -> Result<Engine, Found> {
    builder.background(Background::Manual).open_on(disk.clone()).map_err(violation)
}

fn put(engine: &Engine, n: u32, sum: i64) -> Result<(), Found> {
    let request = Request::unkeyed().put(&SUMS, &n, &sum, Expect::Any);
    engine.commit(request).map_err(violation)?.committed().map_err(violation)?;
    Ok(())
}

fn compare(engine: &Engine, due: i128) -> Result<(), Found> {
    match engine.totals().get("sum") {
        Some(sum) if sum == due => Ok(()),
        other => Err(loss(format!("the total is {other:?}, and the records come to {due}"))),
    }
}

pub fn totals() -> Hunted {
    hunt(|tally| {
        let disk = SimDisk::new();
        let rules = || Engine::builder().rules(summed());
        let engine = open(rules(), &disk)?;
        (1..=3).try_for_each(|n| put(&engine, n, 10))?;
        compare(&engine, 30)?;
        disk.crash_at(disk.io_count() + 1);
        drop(engine);
        let disk = disk.after_power_cut(&Choice::None);
        (tally.runs, tally.crashes) = (1, 1);

        let engine = open(rules(), &disk)?;
        compare(&engine, 30)?;
        engine.close().map_err(violation)?;
        // A life without rules.
        let engine = open(Engine::builder(), &disk)?;
        put(&engine, 1, -5)?;
        engine.close().map_err(violation)?;
        let engine = open(rules(), &disk)?;
        compare(&engine, 15)?;
        engine.close().map_err(violation)?;

        let positive = Invariant::new("positive", |_: &u32, sum: &i64| {
            if *sum > 0 { Ok(()) } else { Err(Violation::new("not positive")) }
        });
        let engine = open(Engine::builder().rules(summed().invariant(positive)), &disk)?;
        tally.openings = 5;
        let request = Request::unkeyed().put(&SUMS, &2, &1, Expect::Any);
        match engine.commit(request) {
            Err(Error::ReadOnly { .. }) => Ok(()),
            other => {
                Err(violation(format!("a record breaks a new rule, and a write is {other:?}")))
            }
        }
    })
}

#[test]
fn totals_follow_the_records_through_crashes_and_lives_without_rules() {
    super::assert_clean("totals", &totals());
}
