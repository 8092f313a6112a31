//! The table itself: each way of damage, at each group, against everything that can vouch for it.

use super::{known::with, *};

/// Damages each group alone, under each thing that can be known of the log.
fn sweep(sample: &Sample) {
    let groups = sample.groups();
    for x in 0..groups.len() {
        for damage in DAMAGES {
            damaged(sample, &groups[x..=x], damage, || {
                for known in with(&groups) {
                    let (seen, expected) =
                        (look(sample, &groups, &known), expected(sample, &groups, x, &known));
                    assert_eq!(seen, expected, "{damage:?} of group {}, {known:?}", x + 1);
                }
            });
        }
    }
}

/// Two segments as they are after the first groups only: as a power cut finds them.
fn first(count: usize) -> Sample {
    let sample = Sample::two_segments();
    for group in &sample.groups()[count..] {
        sample.write(group.segment, group.offset, &vec![0; group.bytes.len()]);
    }
    sample
}

#[test]
fn each_group_of_each_length_of_log() {
    (1..=8).rev().step_by(STRIDE).for_each(|count| sweep(&first(count)));
}

#[test]
fn after_openings_that_ended_unclean() {
    sweep(&shapes::dead_segments());
}

/// The rows in numbers, so that the oracle of the other tests is not the only judge.
#[test]
fn the_rows_by_hand() {
    const CORRUPT: fn(u64, u64, u64, Vouch) -> Seen = |segment, block, g, vouch| Seen::Corrupt {
        segment,
        offset: DATA + block * BLOCK,
        g,
        vouch: Some(vouch),
    };
    let sample = Sample::two_segments();
    let groups = sample.groups();
    let torn = |blocks, torn| {
        Seen::Accepted(groups[6].position(), Torn { bytes: blocks * BLOCK, groups: torn })
    };
    let rows = [
        (1, NOTHING, CORRUPT(2, 0, 1, Vouch::Link { segment: 3 })),
        (2, NOTHING, CORRUPT(2, 1, 2, Vouch::Link { segment: 3 })),
        (4, NOTHING, CORRUPT(2, 3, 4, Vouch::Link { segment: 3 })),
        (5, NOTHING, CORRUPT(2, 4, 5, Vouch::Later { g: 8 })),
        (6, NOTHING, CORRUPT(3, 1, 6, Vouch::Later { g: 8 })),
        (7, NOTHING, CORRUPT(3, 2, 7, Vouch::Later { g: 8 })),
        (8, NOTHING, torn(1, 0)),
        (8, known::checkpoint(&groups, 7), torn(1, 0)),
        (8, known::checkpoint(&groups, 8), CORRUPT(3, 3, 8, Vouch::Checkpoint { g: 8 })),
        (8, known::clean(&groups, 7), torn(1, 0)),
        (8, known::clean(&groups, 8), CORRUPT(3, 3, 8, Vouch::Clean { g: 8 })),
        (4, known::clean(&groups, 8), CORRUPT(2, 3, 4, Vouch::Clean { g: 8 })),
        (4, known::checkpoint(&groups, 6), CORRUPT(2, 3, 4, Vouch::Checkpoint { g: 6 })),
    ];
    for (x, known, expected) in rows {
        damaged(&sample, &groups[x - 1..x], Damage::FlipBody, || {
            assert_eq!(look(&sample, &groups, &known), expected, "group {x}, {known:?}");
        });
    }
}

#[test]
fn any_groups_of_the_last_sync_may_be_lost() {
    let mut sample = Sample::two_segments();
    sample.append(100);
    sample.write_past_the_end(&[10, 10]);
    let groups = sample.groups();
    let last = &groups[10..];
    assert_eq!(last.len(), 2);
    for lost in 1..4usize {
        let lost: Vec<_> = (0..2).filter(|i| lost & 1 << i != 0).collect();
        let bad: Vec<_> = lost.iter().map(|&i| last[i].clone()).collect();
        for damage in DAMAGES {
            damaged(&sample, &bad, damage, || {
                for known in [NOTHING, known::checkpoint(&groups, 10), known::clean(&groups, 10)] {
                    let Seen::Accepted(accepted, _) = look(&sample, &groups, &known) else {
                        panic!("a legal power cut is refused: {damage:?} of {lost:?}");
                    };
                    assert_eq!(accepted, groups[9 + lost[0]].position());
                }
            });
        }
    }
    damaged(&sample, &last[..1], Damage::FlipHeader, || {
        let torn = Torn { bytes: 2 * BLOCK, groups: 1 };
        let seen = look(&sample, &groups, &NOTHING);
        assert_eq!(seen, Seen::Accepted(groups[9].position(), torn));
    });
}

#[test]
fn a_group_vouches_for_what_it_knew_to_be_durable_and_no_more() {
    for durable_g in 10..=11 {
        let mut sample = Sample::two_segments();
        sample.append(100);
        sample.write_past_the_end(&[10, durable_g]);
        let groups = sample.groups();
        damaged(&sample, &groups[10..11], Damage::ZeroHeader, || {
            let seen = look(&sample, &groups, &NOTHING);
            assert_eq!(seen, expected(&sample, &groups, 10, &NOTHING));
            assert_eq!(matches!(seen, Seen::Corrupt { .. }), durable_g == 11);
        });
    }
}

/// One bit in each 64 bytes of the data, a different one each time.
#[test]
fn every_flipped_bit_is_torn_or_corrupt_or_in_padding() {
    let sample = Sample::two_segments();
    let groups = sample.groups();
    let whole = groups.last().unwrap().position();
    let closed = known::clean(&groups, 8);
    for (step, (number, offset)) in [2, 3]
        .into_iter()
        .flat_map(|number| (DATA..sample.segments[&number].header.bytes).map(move |o| (number, o)))
        .step_by(if cfg!(miri) { 5 * 61 } else { 61 })
        .enumerate()
    {
        let byte = sample.bytes(number, offset)[0];
        sample.write(number, offset, &[byte ^ 1 << (step % 8)]);
        let hit = groups.iter().position(|group| {
            let end = group.offset + group.bytes.len() as u64;
            group.segment == number && (group.offset..end).contains(&offset)
        });
        for known in [NOTHING, closed] {
            let seen = look(&sample, &groups, &known);
            let place = format!("segment {number}, offset {offset}, {known:?}");
            match hit {
                None => assert_eq!(seen, Seen::Accepted(whole, Torn::default()), "{place}"),
                Some(x) => {
                    assert_eq!(seen, expected(&sample, &groups, x, &known), "{place}");
                    let vouched = x < 7 || known.clean.is_some();
                    assert_eq!(matches!(seen, Seen::Corrupt { .. }), vouched, "{place}");
                }
            }
        }
        sample.write(number, offset, &[byte]);
    }
}
