//! The tests of the crate as its users see it, in one binary.
#![allow(clippy::disallowed_methods, reason = "tests look at real files and start real processes")]

mod across;
mod bad_input;
mod basics;
mod buffered;
mod canaries;
mod clock;
mod crash;
mod damage;
mod directories;
mod discreet;
mod duplicates;
mod ending;
mod ends;
mod failure;
mod faults;
mod fuzz;
mod golden;
mod hunts;
mod incident;
mod joining;
mod kills;
mod layers;
mod linearizable;
mod log;
#[cfg(target_os = "linux")]
mod memory;
mod outcomes;
mod pressure;
mod procedures;
mod read_only;
mod reads;
mod resolving;
mod retention;
mod rule_sets;
mod rules;
#[cfg(steadfast_shuttle)]
mod schedules;
mod service;
mod support;
mod swarm;
mod totals;
mod verify;
