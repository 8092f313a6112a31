//! Opening whatever a directory may hold.

mod changes;
mod made_up;

use super::{
    input::Input,
    subject::{Left, open, order},
};
use crate::{
    Engine, Error, Verdict,
    disk::{Disk, SimDisk},
    format::names,
    testing::model::{Model, NUMBERS},
};

/// An arbitrary directory: one that the engine left, or none, with files planted, damaged, copied, removed, and with
/// groups and rows that verify and were never written.
///
/// - opening it gives an engine or an error of the documented kinds, with a place; it does not panic;
/// - a refusal changes no byte and no name;
/// - what opens can be read and written, and opens again as closed. Only where groups or rows were made up may a later
///   call be refused, with an error.
///
/// # Panics
/// When any of that does not hold.
pub fn open_dir(data: &[u8]) {
    let input = &mut Input::new(data);
    let (disk, made_up) = directory(input);
    let before = disk.digest();
    match open(&disk, 1) {
        Err(error) => {
            check_refusal(&error);
            assert_eq!(disk.digest(), before, "a refusal changed something: {error}");
            let again = open(&disk, 2).map(drop).expect_err("it was refused before");
            assert_eq!(again.to_string(), error.to_string(), "the second refusal is another");
        }
        Ok(engine) => match use_it(&disk, engine) {
            Err(error) if !made_up => panic!("it opened, and then: {error}"),
            _ => {}
        },
    }
}

fn check_refusal(error: &Error) {
    match error {
        Error::Corruption { file, evidence, .. } => {
            assert!(!file.is_empty() && !evidence.is_empty(), "no place: {error:?}");
        }
        Error::NotADatabase { what, .. } => assert!(!what.is_empty(), "no reason: {error:?}"),
        Error::UnsupportedFormat { supported, version, .. } => assert_ne!(version, supported),
        error => panic!("the machine is whole, and opening says: {error:?}"),
    }
}

/// Reads, writes, checkpoints, closes and opens again.
fn use_it(disk: &SimDisk, engine: Engine) -> Result<(), Error> {
    let read = |engine: &Engine| {
        let items = engine.snapshot().range(&NUMBERS, ..);
        items
            .map(|item| item.map(|(key, record)| (key, record.value)))
            .collect::<Result<Vec<_>, _>>()
    };
    let records = read(&engine)?;
    assert_eq!(engine.len(&NUMBERS)?, records.len() as u64, "the count is wrong");
    let nothing = Model::default();
    for n in 0..8 {
        let mut order = order(n, &nothing);
        order.name = order.name.map(|name| name + (1 << 40));
        let _answer = engine.commit(order.request())?;
    }
    engine.checkpoint()?;
    let records = read(&engine)?;
    let seq = engine.durable_seq();
    engine.close()?;
    let engine = open(disk, 3)?;
    assert_eq!(engine.recovery().verdict, Verdict::Clean, "{}", engine.recovery());
    assert_eq!((read(&engine)?, engine.durable_seq()), (records, seq), "closing lost something");
    engine.close()
}

/// A directory, and whether groups or rows were made up in it.
fn directory(input: &mut Input<'_>) -> (SimDisk, bool) {
    let left = match input.below(8) {
        place @ 0..5 => Left::ALL[place],
        5 => Left::Closed,
        6 => Left::Crashed,
        _ => {
            let disk = SimDisk::new();
            if input.flag() {
                disk.create_dir(names::SEGMENTS).expect("the disk is empty");
            }
            return (disk.clone(), changes::change_all(input, &disk, None));
        }
    };
    let disk = left.subject().disk.snapshot();
    let made_up = changes::change_all(input, &disk, Some(left));
    (disk, made_up)
}
