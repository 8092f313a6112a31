//! What an update read is changed by another thread before it writes: both changes count.

use super::{Hunted, hunt, loss, violation};
use crate::support::key;
use std::thread;
use steadfast::{Abort, Background, Engine, Expect, Keyspace, Request, testing::SimDisk};

const SUMS: Keyspace<u32, i64> = Keyspace::new("sums");
const ROUNDS: i64 = 10;

pub fn lost_update() -> Hunted {
    hunt(|tally| {
        let builder = Engine::builder().background(Background::Manual);
        let engine = builder.open_on(SimDisk::new()).map_err(violation)?;
        (tally.runs, tally.openings) = (1, 1);
        for round in 0..ROUNDS {
            let mut disturbed = false;
            let updated = engine.update(key(&format!("round {round}")), &round, |tx| {
                let seen = tx.get(&SUMS, &1)?.map_or(0, |record| record.value);
                if !std::mem::replace(&mut disturbed, true) {
                    let other = Request::unkeyed().put(&SUMS, &1, &(seen + 1), Expect::Any);
                    let _outcome =
                        thread::scope(|scope| scope.spawn(|| engine.commit(other)).join())
                            .expect("the other thread does not panic")?;
                }
                tx.put(&SUMS, &1, &(seen + 1))?;
                Ok::<_, Abort>(())
            });
            updated.map_err(violation)?.committed().map_err(violation)?;
            let sum = engine.get(&SUMS, &1).map_err(violation)?.map_or(0, |record| record.value);
            if sum != 2 * (round + 1) {
                return Err(loss(format!("{sum} of {} changes are there", 2 * (round + 1))));
            }
        }
        Ok(())
    })
}

#[test]
fn no_update_is_lost() {
    super::assert_clean("lost update", &lost_update());
}
