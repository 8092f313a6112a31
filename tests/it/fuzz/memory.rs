//! No input makes a decoder, a scan or an opening allocate much: a length is checked before anything is allocated for it.
//!
//! A child process does the work under a limit of its address space, so that even memory that is never touched counts.

use super::{corpus_files, random};
use crate::support::{child_arguments, told};
use std::{
    fs,
    process::{Command, Output},
};
use steadfast::testing::fuzz::TARGETS;

const LIMIT_KIB: u64 = 384 << 10;
/// What a damaged length can ask for.
const GREEDY_BYTES: usize = 1 << 30;
const VARIABLE: &str = "STEADFAST_FUZZ_CHILD";
/// Those that decode what anybody may have written.
const DECODING: [&str; 3] = ["frame", "segment_scan", "open_dir"];

fn child(what: &str) -> Output {
    let limited = format!("ulimit -v {LIMIT_KIB}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.arg("-c").arg(limited).arg(std::env::current_exe().unwrap());
    command.args(child_arguments("fuzz::memory::plays_a_process_with_little_memory"));
    command.env(VARIABLE, what).output().unwrap()
}

#[test]
fn no_input_makes_it_allocate_much() {
    let output = child("fuzz");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "with {LIMIT_KIB} KiB:\n{out}\n{err}");
    assert!(out.contains("called 3 functions"), "it did nothing:\n{out}");
    // Under that limit something greedy does not get far.
    let output = child("greedy");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{GREEDY_BYTES} bytes were there for it");
    assert!(err.contains("memory allocation of"), "{err}");
}

#[test]
fn plays_a_process_with_little_memory() {
    match told(VARIABLE).as_deref() {
        Some("fuzz") => {
            let targets = TARGETS.into_iter().filter(|(name, _)| DECODING.contains(name));
            let called = targets.map(|(name, target)| {
                corpus_files(name).iter().for_each(|file| target(&fs::read(file).unwrap()));
                (10_000..10_200).for_each(|seed| target(&random(seed)));
            });
            println!("called {} functions", called.count());
        }
        Some("greedy") => println!("{}", Vec::<u8>::with_capacity(GREEDY_BYTES).capacity()),
        _ => {}
    }
}
