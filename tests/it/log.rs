//! The log alone, cut off at random. See `steadfast::testing::log` for what is checked.

use std::time::Instant;
use steadfast::testing::{Lie, log::LogCampaign};

/// How many logs: more of them with `STEADFAST_SEEDS=100000 cargo test --release --test it logs`.
fn seeds() -> u64 {
    std::env::var("STEADFAST_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(200)
}

fn campaign(seeds: u64) -> LogCampaign {
    LogCampaign { seeds: 0..seeds, cuts: 10, lie: None, threads: 2 }
}

#[test]
fn random_crashes_of_random_logs() {
    let began = Instant::now();
    let (summary, failures) = campaign(seeds()).run();
    let rate = (summary.crashes + summary.recovery_crashes) as f64 / began.elapsed().as_secs_f64();
    println!("logs: {summary}, {rate:.0} crashes/s on two threads");
    for failure in failures.iter().take(5) {
        println!("{failure}");
        let again = failure.case.run().expect_err("a case that failed fails again");
        assert_eq!(again.what, failure.what);
    }
    assert!(failures.is_empty(), "see above");
    assert!(summary.crashes > 0 && summary.recovery_crashes > 0);
    assert!(summary.torn_tails > 0, "no torn tail was ever seen");
    assert!(summary.trimmed > 0, "no segment was ever removed");
}

#[test]
fn a_disk_that_lies_under_a_log_is_found_out() {
    for lie in [Lie::Files, Lie::Names] {
        let (summary, failures) = LogCampaign { lie: Some(lie), ..campaign(10) }.run();
        println!("{lie:?}: {summary}");
        assert!(summary.losses + summary.refusals > 0, "{lie:?} was not found out");
        let again = failures[0].case.run().expect_err("a case that failed fails again");
        assert_eq!(again.what, failures[0].what);
    }
}
