//! Damage to what was acknowledged, up to the first that is neither refused nor harmless. See `steadfast::testing::rot`.

use super::{Found, Hunted, Tally, hunt, violation};
use steadfast::testing::{
    crash::Kind,
    rot::{Campaign, Kind as Broken, Scene},
};

fn damaged(campaign: &Campaign) -> Hunted {
    hunt(|tally| {
        let (summary, failure) = campaign.until_failure();
        let total = summary.total;
        *tally = Tally {
            runs: summary.by_scene.len() as u64,
            openings: total.damages - total.refused_at_open - total.broken_laws(),
            damages: total.damages,
            ..Tally::default()
        };
        match failure {
            None if total.refused_at_open + total.refused_at_read == 0 => {
                Err(violation("nothing was ever refused"))
            }
            None => Ok(()),
            Some(failure) => Err(Found {
                kind: match failure.kind {
                    Broken::SilentLoss => Kind::Loss,
                    Broken::NoPlace => Kind::Refusal,
                    _ => Kind::Violation,
                },
                what: failure.to_string(),
            }),
        }
    })
}

/// Of a database that nobody has open.
pub fn rot(closed: bool) -> Hunted {
    let scenes = if closed { vec![Scene::Clean] } else { vec![Scene::Crashed, Scene::Torn] };
    damaged(&Campaign { scenes, at_rest: 400, ..Campaign::new(1) })
}

/// Under an engine that is open, to records it has to read again.
pub fn live() -> Hunted {
    damaged(&Campaign { scenes: vec![Scene::Large], while_open: 60, ..Campaign::new(1) })
}

#[test]
fn damage_is_refused_or_harmless() {
    for (name, hunted) in
        [("not closed", rot(false)), ("closed", rot(true)), ("under an open engine", live())]
    {
        super::assert_clean(name, &hunted);
        assert!(hunted.0.damages > 30, "{name}: {}", hunted.0);
    }
}
