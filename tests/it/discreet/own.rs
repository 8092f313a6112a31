//! Errors and refusals of the program's own code, procedures and rules, with the marker in arguments, values and reasons.

use super::{Shown, errors::secret};
use crate::support::MARKER;
use serde::{Deserialize, Serialize};
use std::sync::Mutex;
use steadfast::{
    Abort, Engine, Error, Expect, Guard, Invariant, Keyspace, Never, Outcome, Procedure, Rejection,
    Request, Rules, Transaction, Violation, testing::SimDisk,
};

const NAMES: Keyspace<String, String> = Keyspace::new("names");

/// What a procedure was told inside.
static INSIDE: Mutex<Vec<Error>> = Mutex::new(Vec::new());

/// Copies a record.
#[derive(Debug, Serialize, Deserialize)]
struct Copy {
    from: String,
    to: String,
}

impl Procedure for Copy {
    const NAME: &'static str = "copy";
    const VERSION: u32 = 1;
    type Output = ();
    type Rejection = Never;

    fn run(&self, tx: &mut Transaction<'_>) -> Result<(), Abort> {
        let record = match tx.get(&NAMES, &self.from) {
            Ok(record) => record,
            Err(error) => {
                INSIDE.lock().unwrap().push(error);
                return Err(Error::Cold.into());
            }
        };
        // The hook would print it.
        let record = record.unwrap_or_else(|| std::panic::resume_unwind(Box::new(MARKER)));
        Ok(tx.put(&NAMES, &self.to, &record.value)?)
    }
}

fn rules() -> Rules<String, String> {
    let short =
        Invariant::new(
            "short",
            |_: &String, name: &String| {
                if name.len() < 60 { Ok(()) } else { Err(Violation::new(MARKER)) }
            },
        );
    let length = |name: &String| if name.is_empty() { "empty" } else { "full" };
    let guard = Guard::new("length", length).creates(&["full"]);
    Rules::of(&NAMES).guard(guard).invariant(short)
}

fn refused(shown: &mut Shown, outcome: Outcome) {
    match outcome {
        Outcome::Rejected(rejection) => {
            shown.debug("a refusal", &rejection);
            shown.text("a refusal", &rejection.to_string());
            if let Rejection::Invariant(broken) = &rejection {
                assert_eq!(broken.reason, MARKER, "it is there for who asks");
            }
            shown.error("a refusal", &rejection.into());
        }
        Outcome::Committed(_) => panic!("it was carried out"),
    }
}

pub fn show(shown: &mut Shown) {
    let disk = SimDisk::new();
    let builder = || Engine::builder().procedure::<Copy>().rules(rules());
    let engine = builder().open_on(disk.clone()).unwrap();
    let put = |value: String| Request::unkeyed().put(&NAMES, MARKER, &value, Expect::Any);
    engine.commit(put(MARKER.into())).unwrap().committed().unwrap();
    refused(shown, engine.commit(put(MARKER.repeat(20))).unwrap());
    refused(shown, engine.commit(put(String::new())).unwrap());
    refused(shown, engine.commit(Request::unkeyed().delete(&NAMES, MARKER, Expect::Any)).unwrap());
    let copy = Copy { from: MARKER.into(), to: format!("{MARKER}-2") };
    engine.checkpoint().unwrap();
    engine.call(secret("c"), &copy).unwrap().committed().unwrap();
    let inside: Vec<_> = INSIDE.lock().unwrap().drain(..).collect();
    assert!(!inside.is_empty(), "the record was in the checkpoint alone");
    inside.iter().for_each(|error| shown.error("inside", error));
    let nothing = Copy { from: format!("{MARKER}-3"), to: MARKER.into() };
    shown.failed("a panic in a procedure", engine.call(secret("d"), &nothing));
    shown.debug("a builder", &builder());
    shown.debug("rules", &(engine.rules(), engine.audit().unwrap().holds()));
    engine.close().unwrap();
    let engine = Engine::builder().open_on(disk).unwrap();
    shown.failed("an unknown procedure", engine.call(secret("e"), &copy));
}
