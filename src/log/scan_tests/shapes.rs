//! Logs of unusual shapes.

use super::*;
use crate::log::sample::{body, plain_header};

/// A log with two dead segments: the `Link` of segment 3 was torn when it was begun, and so was that of segment 4, which
/// the opening after that began. The next opening began segment 5.
pub(super) fn dead_segments() -> Sample {
    let mut sample = Sample::new();
    (0..4).for_each(|_| sample.append(100));
    let tear = |sample: &Sample, segment| sample.write(segment, DATA, &[0; HEADER]);
    tear(&sample, 3);
    sample.reopen();
    tear(&sample, 4);
    sample.reopen();
    (0..4).for_each(|_| sample.append(100));
    assert_eq!(sample.segments.len(), 6);
    sample
}

#[test]
fn what_is_known_of_a_whole_log() {
    let sample = Sample::two_segments();
    let groups = sample.groups();
    let scanned = scan(&sample.segments, &NOTHING, &mut |_| Ok::<(), ()>(())).unwrap();
    let expected = Scanned {
        accepted: groups[7].position(),
        last_seq: SeqNo::new(6),
        epoch: Epoch::new(1),
        segments: 3,
        groups: 8,
        bytes: 8 * BLOCK,
        last_g: BTreeMap::from([(1, 0), (2, 4), (3, 8)]),
        torn: Torn::default(),
    };
    assert_eq!(scanned, expected);
}

#[test]
fn a_database_that_was_never_written_to() {
    let sample = Sample::new();
    let empty = Seen::Accepted(GENESIS, Torn::default());
    assert_eq!(look(&sample, &[], &NOTHING), empty);
    assert_eq!(look(&sample, &[], &known::clean(&[], 0)), empty);
    let refused = |vouch| Seen::Corrupt { segment: 1, offset: DATA, g: 1, vouch: Some(vouch) };
    let checkpoint = Known { checkpoint_g: 1, ..NOTHING };
    assert_eq!(look(&sample, &[], &checkpoint), refused(Vouch::Checkpoint { g: 1 }));
    let clean = known::clean(&[], 0).clean.map(|clean| Clean { g: 1, ..clean });
    let clean = Known { clean, ..NOTHING };
    assert_eq!(look(&sample, &[], &clean), refused(Vouch::Clean { g: 1 }));
}

#[test]
fn a_named_segment_that_was_never_begun_is_passed_over() {
    let mut sample = Sample::two_segments();
    let next = sample.prepare();
    assert_eq!(next.number(), 4);
    let groups = sample.groups();
    let whole = Seen::Accepted(groups[7].position(), Torn::default());
    assert_eq!(look(&sample, &groups, &NOTHING), whole);
    sample.reopen();
    let scanned = scan(&sample.segments, &NOTHING, &mut |_| Ok::<(), ()>(())).unwrap();
    let position = scanned.accepted;
    assert_eq!((position.g, position.segment, position.end), (9, 5, DATA + BLOCK));
}

#[test]
fn dead_segments_are_left_out_and_numbers_jump() {
    let sample = dead_segments();
    let groups = sample.groups();
    let places: Vec<_> = groups.iter().map(|group| group.segment).collect();
    assert_eq!(places, [2, 2, 2, 2, 5, 5, 5, 5, 6, 6]);
    let scanned = scan(&sample.segments, &NOTHING, &mut |_| Ok::<(), ()>(())).unwrap();
    assert_eq!(scanned.accepted, groups[9].position());
    assert_eq!(scanned.torn, Torn::default());
    assert_eq!(scanned.epoch, Epoch::new(3));
    assert_eq!(scanned.last_g, BTreeMap::from([(1, 0), (2, 4), (5, 8), (6, 10)]));
    let gap = crate::base::limits::UNSYNCED_ENTRIES;
    assert_eq!(groups[5].header.first_seq, SeqNo::new(3 + gap));
    assert_eq!(scanned.last_seq, SeqNo::new(6 + gap));
}

/// An opening that finds a torn tail records where it cut it: groups behind the cut never come back.
#[test]
fn what_an_opening_dropped_stays_dropped() {
    let mut sample = Sample::new();
    sample.append(100);
    sample.write_past_the_end(&[2, 2]);
    let bad = sample.groups()[2].clone();
    sample.write(bad.segment, bad.offset, &[0; HEADER]);
    sample.reopen();
    sample.append(100);
    let groups = sample.groups();
    assert_eq!(groups.iter().map(|group| group.segment).collect::<Vec<_>>(), [2, 2, 3, 3]);
    let whole = Seen::Accepted(groups[3].position(), Torn::default());
    assert_eq!(look(&sample, &groups, &NOTHING), whole);
    // The bytes that were torn turn up after all.
    sample.write(bad.segment, bad.offset, &bad.bytes);
    assert_eq!(look(&sample, &groups, &NOTHING), whole);
}

/// Opening, scanning and opening again never changes what was accepted.
#[test]
fn opening_again_finds_the_same_end() {
    let mut sample = Sample::two_segments();
    let first = sample.groups();
    for opening in 1..=3 {
        sample.reopen();
        let groups = sample.groups();
        assert_eq!(groups.len(), first.len() + opening);
        let whole = Seen::Accepted(groups.last().unwrap().position(), Torn::default());
        assert_eq!(look(&sample, &groups, &NOTHING), whole);
    }
}

/// Groups that verify under the segment's nonce and still do not belong where they stand.
#[test]
fn a_planted_group_does_not_belong() {
    let mut sample = Sample::two_segments();
    sample.append(100);
    let groups = sample.groups();
    let whole = &groups[9];
    let plant = |change: &dyn Fn(&mut GroupHeader), nonce_change| {
        let mut header = GroupHeader {
            g: 10,
            first_seq: SeqNo::new(7),
            last_seq: SeqNo::new(7),
            durable_g: 9,
            entries: 1,
            chain: whole.header.chain,
            ..plain_header()
        };
        change(&mut header);
        let mut bytes = body(3, 100);
        header.seal(sample.segments[&4].header.nonce + nonce_change, &mut bytes);
        sample.write(4, whole.offset, &bytes);
        look(&sample, &groups[..9], &NOTHING)
    };
    let before = groups[8].position();
    let torn = |groups| Seen::Accepted(before, Torn { bytes: BLOCK, groups });
    assert_eq!(plant(&|header| header.chain = [1; 32], 0), torn(1), "another chain");
    assert_eq!(plant(&|header| header.g = 11, 0), torn(1), "another number");
    assert_eq!(
        plant(&|h| (h.first_seq, h.last_seq) = (SeqNo::new(6), SeqNo::new(6)), 0),
        torn(1),
        "a number used before"
    );
    assert_eq!(plant(&|header| header.kind = Kind::Link, 0), torn(1), "a link within a segment");
    assert_eq!(plant(&|_| {}, 1), torn(0), "another segment's nonce");
}

#[test]
fn a_whole_group_of_another_log_is_no_successor() {
    let mut other = Sample::new();
    (0..6).for_each(|_| other.append(90));
    let sample = Sample::two_segments();
    let groups = sample.groups();
    // Segments of one number have one nonce here, so each of these verifies; the first two have the right chain, too.
    for foreign in &other.groups()[2..7] {
        let place = &groups[foreign.header.g as usize - 1];
        sample.write(foreign.segment, foreign.offset, &foreign.bytes);
        let seen = look(&sample, &groups, &NOTHING);
        assert!(matches!(seen, Seen::Corrupt { g, .. } if g == foreign.header.g), "{seen:?}");
        sample.write(place.segment, place.offset, &[0; 300]);
        sample.write(place.segment, place.offset, &place.bytes);
    }
}

/// Whatever a `Link` says, the groups before it must end where it says that they do.
#[test]
fn a_link_that_records_another_end_is_refused() {
    let mut sample = Sample::new();
    sample.append(100);
    sample.append(5000);
    sample.reopen();
    let groups = sample.groups();
    let link = groups.last().unwrap();
    // The `Link` of segment 2, a group of one block, a group of two: where they end, and where they do not.
    let refused_at = [(1, 1, 2), (2, 2, 3), (3, 2, 3), (5, 4, 4)];
    for (blocks, place, g) in refused_at {
        let end = DATA + blocks * BLOCK;
        let mut bytes = vec![0; HEADER];
        Link { end, ..Link::decode(&link.bytes[HEADER..]).unwrap() }.encode(&mut bytes);
        link.header.seal(sample.segments[&3].header.nonce, &mut bytes);
        sample.write(3, link.offset, &bytes);
        let vouch = Some(Vouch::Link { segment: 3 });
        let refused = Seen::Corrupt { segment: 2, offset: DATA + place * BLOCK, g, vouch };
        assert_eq!(look(&sample, &groups, &NOTHING), refused, "{blocks} blocks");
    }
    sample.write(3, link.offset, &link.bytes);
    let whole = Seen::Accepted(link.position(), Torn::default());
    assert_eq!(look(&sample, &groups, &NOTHING), whole);
}
