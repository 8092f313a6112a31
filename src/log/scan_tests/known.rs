//! What the checkpoint and `CLEAN` may say.

use super::*;
use crate::log::sample::UUID;

pub(super) fn checkpoint(groups: &[Placed], g: u64) -> Known {
    Known { checkpoint_g: g, checkpoint_chain: at(groups, g).chain, clean: None }
}

pub(super) fn clean(groups: &[Placed], g: u64) -> Known {
    let Position { g, chain, segment, end } = at(groups, g);
    Known { clean: Some(Clean { uuid: UUID, g, segment, end, chain }), ..NOTHING }
}

/// Each checkpoint with each `CLEAN`.
pub(super) fn with(groups: &[Placed]) -> Vec<Known> {
    let all = || 0..=groups.len() as u64;
    all()
        .flat_map(|g| {
            let made = checkpoint(groups, g);
            let closed = all().map(move |g| Known { clean: clean(groups, g).clean, ..made });
            closed.chain([made])
        })
        .step_by(STRIDE)
        .collect()
}

fn at(groups: &[Placed], g: u64) -> Position {
    g.checked_sub(1).map_or(GENESIS, |index| groups[index as usize].position())
}

#[test]
fn a_marker_that_was_put_back_says_nothing() {
    let sample = Sample::two_segments();
    let groups = sample.groups();
    let whole = Seen::Accepted(groups[7].position(), Torn::default());
    for g in 0..=8 {
        assert_eq!(look(&sample, &groups, &clean(&groups, g)), whole, "g {g}");
    }
}

#[test]
fn a_checkpoint_or_marker_of_another_log_is_refused() {
    let sample = Sample::two_segments();
    let groups = sample.groups();
    for g in 1..=8 {
        let group = &groups[g as usize - 1];
        let before = after(&groups, g);
        let refused =
            Seen::Corrupt { segment: group.segment, offset: group.offset, g, vouch: None };
        assert_eq!(before.g, g - 1);
        let other = Known { checkpoint_chain: [9; 32], ..checkpoint(&groups, g) };
        assert_eq!(look(&sample, &groups, &other), refused, "checkpoint at {g}");
        let right = clean(&groups, g).clean.unwrap();
        for wrong in [Clean { chain: [9; 32], ..right }, Clean { end: right.end + BLOCK, ..right }]
        {
            let other = Known { clean: Some(wrong), ..NOTHING };
            assert_eq!(look(&sample, &groups, &other), refused, "closed at {g}");
        }
    }
}

fn after(groups: &[Placed], g: u64) -> Position {
    at(groups, g - 1)
}

#[test]
fn a_checkpoint_or_marker_past_the_end_is_refused() {
    let sample = Sample::two_segments();
    let groups = sample.groups();
    let end = groups[7].position();
    let refused = |vouch| Seen::Corrupt { segment: 3, offset: end.end, g: 9, vouch: Some(vouch) };
    let past = Known { checkpoint_g: 9, checkpoint_chain: [9; 32], clean: None };
    assert_eq!(look(&sample, &groups, &past), refused(Vouch::Checkpoint { g: 9 }));
    let closed = Clean { uuid: UUID, g: 11, segment: 4, end: DATA, chain: [9; 32] };
    let past = Known { clean: Some(closed), ..NOTHING };
    assert_eq!(look(&sample, &groups, &past), refused(Vouch::Clean { g: 11 }));
}

#[test]
fn a_trimmed_log_must_meet_the_checkpoint() {
    let mut sample = Sample::two_segments();
    let groups = sample.groups();
    sample.segments.remove(&1);
    sample.segments.remove(&2);
    let rest = &groups[4..];
    let seen = |known: &Known| {
        let mut handed = 0;
        match scan(&sample.segments, known, &mut |_| {
            handed += 1;
            Ok::<(), ()>(())
        }) {
            Ok(scanned) => Ok((scanned.accepted, handed)),
            Err(ScanError::Corruption { segment, offset, g, vouch, .. }) => {
                Err((segment, offset, g, vouch))
            }
            Err(error) => panic!("{error:?}"),
        }
    };
    for g in 4..=8 {
        let known = checkpoint(&groups, g);
        assert_eq!(seen(&known), Ok((groups[7].position(), 4)), "checkpoint at {g}");
        let other = Known { checkpoint_chain: [9; 32], ..known };
        let offset = if g == 4 { DATA } else { groups[g as usize - 1].offset };
        assert_eq!(seen(&other), Err((3, offset, g.max(5), None)), "checkpoint at {g}");
    }
    for g in 0..4 {
        let vouch = Some(Vouch::Checkpoint { g });
        assert_eq!(seen(&checkpoint(&groups, g)), Err((3, DATA, 5, vouch)), "checkpoint at {g}");
    }
    for damage in DAMAGES {
        damaged(&sample, &rest[..1], damage, || {
            assert_eq!(seen(&checkpoint(&groups, 4)), Err((3, DATA, 1, None)), "{damage:?}");
        });
    }
}
