//! Real processes on real files, killed with SIGKILL at random moments, and processes that fight for one directory. See
//! `steadfast::testing::kills` for what is checked.

use super::support::{child_arguments, paint, picture};
use std::{env, fs, path::Path, process::Command};
use steadfast::testing::{
    crash::Kind,
    kills::{self, Campaign, Fight},
};

#[test]
fn plays_the_child() {
    // As one of many tests it has nothing to do.
    let _ = kills::child();
}

fn command() -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(child_arguments("kills::plays_the_child"));
    command
}

/// A number that can be chosen: `STEADFAST_KILLS=1000 cargo test --release kills -- --nocapture`.
fn chosen(variable: &str, default: u64) -> u64 {
    env::var(variable).ok().map_or(default, |number| number.parse().expect("a number"))
}

/// Runs `act` in a directory that is kept if it fails.
fn in_directory<T>(act: impl FnOnce(&Path) -> T) -> T {
    let directory = tempfile::tempdir().unwrap().keep();
    let done = act(&directory);
    fs::remove_dir_all(&directory).unwrap();
    done
}

#[test]
fn whatever_a_kill_interrupts_nothing_acknowledged_is_lost() {
    let (seed, kills) = (chosen("STEADFAST_SEED", 1), chosen("STEADFAST_KILLS", 50));
    in_directory(|directory| {
        let campaign = Campaign { seed, kills, clients: 4, directory: directory.into() };
        let summary = campaign.run(command).unwrap_or_else(|failure| panic!("{failure}"));
        println!("kills: {summary}");
        assert_eq!(summary.kills, kills);
        assert_eq!((summary.losses, summary.refusals, summary.violations), (0, 0, 0));
        assert!(summary.kills_while_opening > 0, "no opening was interrupted");
        assert!(summary.commits > 0 && summary.refused_requests > 0 && summary.replays > 0);
        assert!(summary.in_doubt > 0, "nothing was in doubt");
        assert!(summary.reopenings > summary.kills / 4 && summary.retries > 0);
        assert!(summary.segments > 0 && summary.trimmed > 0 && summary.checkpoints > 0);
    });
}

/// Checks that can't fail prove nothing: between two lives, the directory is put back to what it was.
#[test]
fn a_directory_that_is_put_back_is_found_out() {
    in_directory(|directory| {
        let database = directory.join("7-0");
        let (mut starts, mut earlier) = (0, None);
        let campaign = Campaign { seed: 7, kills: 20, clients: 2, directory: directory.into() };
        let result = campaign.run(|| {
            starts += 1;
            match starts {
                4 => earlier = Some(picture(&database)),
                8 => {
                    fs::remove_dir_all(&database).unwrap();
                    paint(&database, earlier.as_ref().expect("taken before"));
                }
                _ => {}
            }
            command()
        });
        let failure = result.expect_err("it was not found out");
        println!("found out: {failure}");
        assert_eq!(failure.kind, Kind::Loss, "{failure}");
        assert!(failure.directory.exists(), "the directory is kept");
    });
}

#[test]
fn never_two_processes_in_one_directory() {
    let (seed, rounds) = (chosen("STEADFAST_SEED", 1), chosen("STEADFAST_FIGHTS", 25));
    in_directory(|directory| {
        let directory = directory.join("state");
        let fight = Fight { seed, rounds, contenders: 4, directory };
        let summary = fight.run(command).unwrap_or_else(|failure| panic!("{failure}"));
        println!("fights: {summary}");
        assert_eq!(summary.rounds, rounds);
        assert!(summary.winners >= rounds && summary.locked > 0, "nobody had to wait");
        assert!(summary.kills_inside > 0 && summary.kills_outside > 0 && summary.closes > 0);
        assert!(summary.freed_at_once > 0, "no round ended with a kill");
    });
}
