//! An oracle that finds nothing wrong proves nothing, unless it can.

use super::{
    Block, Case, Damage, Found, Kind, Scene, When,
    oracle::{judge, place, refused},
    scene::Subject,
};
use crate::{
    Error,
    disk::SimDisk,
    testing::model::{Action, Operation, Order},
};

/// Harmless damage.
fn harmless(scene: Scene) -> Case {
    let damages = vec![Damage::Duplicate { file: "IDENTITY".into(), copy: "copy".into() }];
    Case { seed: 1, scene, when: When::AtRest, damages }
}

fn verdict(subject: &Subject, case: &Case) -> Result<Found, Kind> {
    judge(subject, case).map_err(|problem| problem.kind)
}

#[test]
fn a_wrong_value_is_found_out() {
    for when in [When::AtRest, When::WhileOpen] {
        let mut subject = Scene::Clean.subject(1);
        let case = Case { when, ..harmless(Scene::Clean) };
        assert_eq!(verdict(&subject, &case), Ok(Found::Exact));
        // Nobody carried this one out.
        let action = Action::Put(5);
        let operations = vec![Operation { key: 77, expect: crate::Expect::Any, action }];
        let order = Order { name: None, operations, result_bytes: 0 };
        let last = subject.model.last();
        subject.model.carry_out(&order, last);
        assert_eq!(verdict(&subject, &case), Err(Kind::WrongValue), "{when:?}");
    }
}

#[test]
fn a_shorter_history_is_found_out() {
    let mut subject = Scene::Crashed.subject(1);
    assert_eq!(verdict(&subject, &harmless(Scene::Crashed)), Ok(Found::Exact));
    // The directory of some syncs ago, which nobody said it would be.
    let older = subject.moments.len() - 3;
    let disk = SimDisk::new();
    crate::disk::Disk::create_dir(&disk, "segments").unwrap();
    crate::disk::Disk::sync_dir(&disk, "").unwrap();
    for (name, bytes) in &subject.moments[older].files {
        disk.plant_file(name, bytes).unwrap();
    }
    subject.disk = disk;
    assert_eq!(verdict(&subject, &harmless(Scene::Crashed)), Err(Kind::SilentLoss));
}

#[test]
fn evidence_that_is_left_is_found() {
    let subject = Scene::Crashed.subject(1);
    let x = subject.layout.last_sync().unwrap() - 3;
    let whole = subject.layout.whole(&subject.files).unwrap();
    assert_eq!((whole.x, whole.last_seq), (x + 4, subject.model.last()));
    let begin = super::layout::Place { segment: 1, offset: 0 };
    assert!(subject.layout.evidence(&subject.files, begin, x).is_some());
    assert_eq!(subject.layout.evidence(&subject.files, whole.end, whole.x), None);
}

#[test]
fn a_refusal_without_a_place_or_that_changes_something_is_found_out() {
    let case = harmless(Scene::Clean);
    let nothing = || Error::Corruption {
        file: String::new(),
        offset: 0,
        seq: None,
        evidence: "something".into(),
    };
    assert_eq!(place(&case, &nothing()).unwrap_err().kind, Kind::NoPlace);
    assert_eq!(place(&case, &Error::Closed).unwrap_err().kind, Kind::NoPlace);
    let good = Error::Corruption {
        file: "copy".into(),
        offset: 0,
        seq: None,
        evidence: "something".into(),
    };
    assert!(place(&case, &good).unwrap());
    assert_eq!(refused(&case, &good, false).unwrap_err().kind, Kind::Changed);
}

#[test]
fn what_no_rule_can_tell_is_told_by_its_name() {
    let subject = Scene::Crashed.subject(1);
    let last = format!("segments/{:020}", subject.last_segment());
    let at = subject.layout.places().last().unwrap().0.offset;
    let case = |damage| Case { damages: vec![damage], ..harmless(Scene::Crashed) };
    let flip = Damage::Flip { file: last.as_str().into(), byte: at + 40, bit: 3 };
    assert_eq!(verdict(&subject, &case(flip)), Ok(Found::TornTail));
    let file = Damage::StaleFile { file: last.as_str().into(), moment: subject.moments.len() - 3 };
    assert_eq!(verdict(&subject, &case(file)), Ok(Found::RolledBack));
    let older = Damage::OlderDirectory { moment: 4 };
    assert_eq!(verdict(&subject, &case(older)), Ok(Found::OlderDirectory));

    // Its last group has one block.
    let subject = Scene::Rotating.subject(1);
    let (at, length) = subject.layout.places().last().unwrap();
    assert!(length <= 4096);
    let block = Block::new(format!("segments/{:020}", at.segment), at.offset / 4096);
    let damages = vec![Damage::Stale { block, moment: 0 }];
    let case = Case { damages, ..harmless(Scene::Rotating) };
    assert_eq!(verdict(&subject, &case), Ok(Found::Vanished));
}
