//! What a scan must find, worked out from the groups that were written and the bytes that are there.

use super::*;
use std::convert::Infallible;

/// What a scan found, without its words.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Accepted(Position, Torn),
    Corrupt { segment: u64, offset: u64, g: u64, vouch: Option<Vouch> },
}

/// Ways to make a group invalid.
#[derive(Clone, Copy, Debug)]
pub(super) enum Damage {
    ZeroHeader,
    FlipHeader,
    FlipBody,
    TruncateBody,
    Missing,
}

pub(super) const DAMAGES: [Damage; 5] = [
    Damage::ZeroHeader,
    Damage::FlipHeader,
    Damage::FlipBody,
    Damage::TruncateBody,
    Damage::Missing,
];

impl Damage {
    fn of(self, group: &Placed) -> Vec<u8> {
        let mut bytes = group.bytes.clone();
        let (half, last) = ((HEADER + bytes.len()) / 2, bytes.len() - 1);
        match self {
            Self::ZeroHeader => bytes[..HEADER].fill(0),
            Self::FlipHeader => bytes[HEADER / 2] ^= 4,
            Self::FlipBody => bytes[last] ^= 1,
            Self::TruncateBody => bytes[half..].fill(0),
            Self::Missing => bytes.fill(0),
        }
        assert_ne!(bytes, group.bytes);
        bytes
    }
}

/// Does `act` while some groups are damaged.
pub(super) fn damaged<T>(
    sample: &Sample,
    groups: &[Placed],
    damage: Damage,
    act: impl FnOnce() -> T,
) -> T {
    for group in groups {
        sample.write(group.segment, group.offset, &damage.of(group));
    }
    let result = act();
    for group in groups {
        sample.write(group.segment, group.offset, &group.bytes);
    }
    result
}

/// Scans, and checks that the groups handed out are `groups` up to the accepted end.
pub(super) fn look(sample: &Sample, groups: &[Placed], known: &Known) -> Seen {
    let mut handed = Vec::new();
    let result = scan(&sample.segments, known, &mut |group| {
        handed.push((group.position, group.body.to_vec()));
        Ok::<(), Infallible>(())
    });
    let written =
        groups.iter().map(|group| (group.position(), group.bytes[HEADER..].to_vec())).collect();
    let in_order = |handed: &Vec<_>, written: Vec<_>| written.starts_with(handed);
    assert!(in_order(&handed, written), "what was handed out is not what was written");
    match result {
        Ok(scanned) => {
            assert_eq!(scanned.groups, handed.len() as u64);
            assert_eq!(handed.last().map(|group| group.0), after(groups, handed.len()));
            Seen::Accepted(scanned.accepted, scanned.torn)
        }
        Err(ScanError::Corruption { segment, offset, g, vouch, .. }) => {
            Seen::Corrupt { segment, offset, g, vouch }
        }
        Err(error) => panic!("{error:?}"),
    }
}

fn after(groups: &[Placed], count: usize) -> Option<Position> {
    groups[..count].last().map(Placed::position)
}

/// What the verdict table says when `groups[invalid]` is the first that is not whole.
pub(super) fn expected(sample: &Sample, groups: &[Placed], invalid: usize, known: &Known) -> Seen {
    let x = invalid as u64 + 1;
    let accepted = after(groups, invalid).unwrap_or(GENESIS);
    let clean = known.clean.map_or(0, |clean| clean.g);
    let (torn, later) = behind(sample, &accepted);
    let vouch = if known.checkpoint_g >= x {
        Some(Vouch::Checkpoint { g: known.checkpoint_g })
    } else if clean >= x {
        Some(Vouch::Clean { g: clean })
    } else if let Some(segment) = link_after(sample, accepted.segment) {
        Some(Vouch::Link { segment })
    } else {
        later.filter(|later| later.durable_g >= x).map(|later| Vouch::Later { g: later.g })
    };
    match vouch {
        None => Seen::Accepted(accepted, torn),
        vouch => {
            // The `Link` of a segment that a later one says it goes on from is named itself.
            let missing =
                link_after(sample, accepted.segment).map(|next| goes_on_from(groups, next));
            let (segment, offset) = match missing {
                Some(previous) if previous > accepted.segment => (previous, DATA),
                _ => (accepted.segment, accepted.end),
            };
            Seen::Corrupt { segment, offset, g: x, vouch }
        }
    }
}

/// The segment before this one, as its `Link` says.
fn goes_on_from(groups: &[Placed], segment: u64) -> u64 {
    let first = groups.iter().find(|group| (group.segment, group.offset) == (segment, DATA));
    let first = first.expect("a segment that was begun has a first group");
    let length = first.header.body_len as usize;
    Link::decode(&first.bytes[HEADER..HEADER + length]).expect("which is its link").previous
}

/// The first segment after this one that has a whole `Link`.
fn link_after(sample: &Sample, segment: u64) -> Option<u64> {
    let later = sample.segments.range(segment + 1..);
    later
        .map(|(&number, _)| number)
        .find(|&number| parse(sample, number, &sample.bytes(number, DATA)).is_some_and(|g| g.1))
}

/// What there is behind the accepted end, and of the headers there the one that knows most.
fn behind(sample: &Sample, accepted: &Position) -> (Torn, Option<GroupHeader>) {
    let (mut torn, mut knows) = (Torn::default(), None::<GroupHeader>);
    for &number in sample.segments.keys().filter(|&&number| number >= accepted.segment) {
        let from = if number == accepted.segment { accepted.end } else { DATA };
        let bytes = sample.bytes(number, from);
        for offset in (0..bytes.len()).step_by(BLOCK as usize) {
            let used = bytes[offset..][..BLOCK as usize].iter().any(|&byte| byte != 0);
            torn.bytes += u64::from(used) * BLOCK;
            if let Some((header, whole)) = parse(sample, number, &bytes[offset..]) {
                torn.groups += u64::from(whole);
                knows = knows.filter(|other| other.durable_g > header.durable_g).or(Some(header));
            }
        }
    }
    (torn, knows)
}

/// The header at the front of `bytes`, and whether its body is whole.
fn parse(sample: &Sample, segment: u64, bytes: &[u8]) -> Option<(GroupHeader, bool)> {
    let nonce = sample.segments[&segment].header.nonce;
    let header = GroupHeader::decode(nonce, bytes)?;
    let body = bytes.get(HEADER..HEADER + header.body_len as usize).unwrap_or(&[]);
    Some((header, header.covers(nonce, body)))
}
