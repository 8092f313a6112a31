//! Every call of the disk fails in turn, in every way. See `steadfast::testing::faults`.

use std::thread;
use steadfast::testing::{
    faults::{Script, Swept, Way},
    swarm::Failure,
};

fn sweep(script: &Script) -> (Swept, Vec<Failure>) {
    let mut total = (Swept::default(), Vec::new());
    for way in Way::all() {
        // A script that only reads makes no changing calls while it is fine, and the other way round.
        let (swept, failures) = script.sweep(way);
        total.0 += swept;
        total.1.extend(failures);
    }
    println!("{}: {}", script.name, total.0);
    total
}

#[test]
fn every_call_fails_in_every_way() {
    let (scripts, total) = (Script::all(), std::sync::Mutex::new((Swept::default(), Vec::new())));
    thread::scope(|scope| {
        for half in [0, 1] {
            let (scripts, total) = (&scripts, &total);
            scope.spawn(move || {
                for script in scripts.iter().skip(half).step_by(2) {
                    let (swept, failures) = sweep(script);
                    assert!(swept.calls > 10, "{} makes calls", script.name);
                    let mut total = total.lock().unwrap();
                    total.0 += swept;
                    total.1.extend(failures);
                }
            });
        }
    });
    let (swept, failures) = total.into_inner().unwrap();
    println!("{} scripts, {} ways: {swept}", scripts.len(), Way::all().len());
    for failure in failures.iter().take(5) {
        println!("{}", failure.shrink(200));
    }
    assert!(failures.is_empty(), "see above");
    assert_eq!((swept.refusals, swept.losses, swept.violations), (0, 0, 0));
    assert!(swept.calls > 2_000 && swept.failed_openings > 500 && swept.in_doubt > 50);
    assert!(swept.failed_syncs > 200 && swept.healings > 1_000);
}
