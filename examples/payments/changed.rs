//! The same program, in which somebody changed how the fee is rounded and left the version as it was.

use super::business::{self, Authorize, Capture, Refund, Refused};
use serde::{Deserialize, Serialize};
use steadfast::{Abort, Procedure, Registry, Transaction};

#[derive(Serialize, Deserialize)]
struct RoundsDown(Capture);

impl Procedure for RoundsDown {
    const NAME: &'static str = Capture::NAME;
    const VERSION: u32 = Capture::VERSION;
    type Output = i64;
    type Rejection = Refused;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<i64, Abort<Refused>> {
        business::capture(&self.0, self.0.cents * 29 / 1000, tx)
    }
}

pub fn registry() -> Registry {
    business::rules().procedure::<Authorize>().procedure::<RoundsDown>().procedure::<Refund>()
}
