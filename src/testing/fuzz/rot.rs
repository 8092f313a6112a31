//! One piece of damage to a whole database.

use super::{
    damage::Damage,
    input::Input,
    subject::{Left, Subject, abandon, carry_out, open},
};
use crate::{Engine, Error, Verdict, disk::SimDisk, testing::model::Order};
use std::ops::Range;

/// A database that was closed, or cut off with everything on the medium, and one piece of damage anywhere in it.
///
/// It opens with all of the data, or is refused with the place and without changing a byte. Only damage within what the
/// last sync wrote may be taken for a torn tail, where nothing was written after it, and then the report says so, unless nothing of it is
/// left at all.
///
/// # Panics
/// When any of that does not hold.
pub fn rot(data: &[u8]) {
    let input = &mut Input::new(data);
    let left = input.pick(&[Left::Closed, Left::Crashed]);
    let subject = left.subject();
    let disk = subject.disk.snapshot();
    let files: Vec<_> = disk.files().into_iter().map(|(name, _)| name).collect();
    let damage = Damage::of_bytes(input, &disk, &files);
    damage.inflict(&disk);
    let before = disk.digest();
    match open(&disk, 1) {
        Ok(engine) => {
            judge(subject, &disk, &damage, &engine);
            abandon(&disk, engine);
        }
        Err(Error::Corruption { file, evidence, .. }) => {
            assert!(!file.is_empty() && !evidence.is_empty(), "{damage:?}: no place");
            assert_eq!(disk.digest(), before, "{damage:?}: a refusal changed something");
        }
        Err(Error::NotADatabase { .. } | Error::UnsupportedFormat { .. }) => {
            assert_eq!(disk.digest(), before, "{damage:?}: a refusal changed something");
        }
        Err(error) => panic!("{damage:?}: an error of the wrong kind: {error:?}"),
    }
}

/// Everything is there, or all but what the last sync wrote.
fn judge(subject: &Subject, disk: &SimDisk, damage: &Damage, engine: &Engine) {
    let report = engine.recovery();
    let mut model = match subject.model.compare(engine) {
        Ok(()) => subject.model.clone(),
        Err(what) => {
            let Some(last) = subject.last_sync.as_ref().filter(|last| is_within(damage, last))
            else {
                panic!("{damage:?}: {what}");
            };
            let told = report.verdict == Verdict::TornTail && report.torn_tail.is_some();
            // Of zeros alone nobody can say that they were something else.
            assert!(told || is_zero(disk, last), "{damage:?}: cut in silence: {report}");
            let one_less = subject.before.compare(engine);
            one_less.unwrap_or_else(|what| panic!("{damage:?}: {what}"));
            subject.before.clone()
        }
    };
    let remembered: Vec<Order> = model.remembered().cloned().collect();
    remembered.iter().for_each(|order| carry_out(engine, &mut model, order));
}

fn is_zero(disk: &SimDisk, (file, range): &(String, Range<u64>)) -> bool {
    let bytes = disk.read_file(file).expect("it is only damaged");
    bytes[range.start as usize..range.end as usize].iter().all(|byte| *byte == 0)
}

fn is_within(damage: &Damage, (file, range): &(String, Range<u64>)) -> bool {
    damage.place().is_some_and(|(damaged, touched)| {
        damaged == file && touched.start >= range.start && touched.end <= range.end
    })
}
