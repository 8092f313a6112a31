//! Opening whatever a directory may hold.

mod changes;
mod made_up;

use super::{
    input::Input,
    subject::{Left, open, order},
};
use crate::{
    Engine, Error, SeqNo,
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
            Ok((left, found)) if !made_up => {
                assert_eq!(left, found, "closing lost something");
                assert_eq!(left.0.len() as u64, left.1, "the count is wrong");
            }
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

/// What can be seen: the records, how many are counted, and the last entry.
type Seen = (Vec<(u32, i64)>, u64, SeqNo);

fn see(engine: &Engine) -> Result<Seen, Error> {
    let items = engine.snapshot().range(&NUMBERS, ..);
    let records = items.map(|item| item.map(|(key, record)| (key, record.value)));
    Ok((records.collect::<Result<_, _>>()?, engine.len(&NUMBERS)?, engine.durable_seq()))
}

/// Reads, writes, checkpoints, closes and opens again: what was to be seen before closing, and after.
fn use_it(disk: &SimDisk, engine: Engine) -> Result<(Seen, Seen), Error> {
    see(&engine)?;
    let nothing = Model::default();
    for n in 0..8 {
        let mut order = order(n, &nothing);
        order.name = order.name.map(|name| name + (1 << 40));
        let _answer = engine.commit(order.request())?;
    }
    engine.checkpoint()?;
    let left = see(&engine)?;
    engine.close()?;
    let engine = open(disk, 3)?;
    let found = see(&engine)?;
    engine.close()?;
    Ok((left, found))
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
