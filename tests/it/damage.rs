//! Damage of every kind at every place of a database: it is harmless, or it is refused with the place and nothing is
//! changed. Never a panic, never another state, and never a shorter history in silence. See `steadfast::testing::rot` for what
//! is done and what is checked.

use crate::support::{key, paint, picture, refusal};
use std::{collections::BTreeMap, time::Instant};
use steadfast::{
    Engine, Error, Expect, Keyspace, Outcome, Record, Request, Verdict,
    testing::rot::{
        Campaign, Case, Damage, DamageKind, FileKind, Found, Scene, Summary, When, fuzz,
    },
};

/// How much of a campaign is done: ten times as much with `STEADFAST_DAMAGES=10 cargo test --release damage`.
fn times() -> usize {
    std::env::var("STEADFAST_DAMAGES").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// Runs a campaign in which nothing may be broken.
fn passed(name: &str, campaign: Campaign) -> Summary {
    let began = Instant::now();
    let (summary, failures) = campaign.run();
    println!("{name}: {:.1} s, {summary}", began.elapsed().as_secs_f64());
    for failure in &failures {
        println!("{failure}");
    }
    assert_eq!(summary.total.broken_laws(), 0, "see above");
    assert!(failures.is_empty());
    assert!(summary.total.exact > 0 && summary.total.refused_at_open > 0);
    summary
}

#[test]
fn damage_of_every_kind_to_every_kind_of_file() {
    let at_rest = 2_200 * times();
    let summary = passed("at rest", Campaign { at_rest, ..Campaign::new(1) });
    let scenes = Scene::SMALL.len() as u64;
    assert!(summary.total.damages > 18_000, "{summary}");
    assert_eq!(summary.by_scene.len() as u64, scenes);
    // What no rule can tell is recognised, and occurs.
    let total = summary.total;
    assert!(total.torn_tails > 0 && total.vanished > 0 && total.rolled_back > 0, "{total}");
    assert!(total.older_directories > 0, "{total}");
    for file in [
        FileKind::Identity,
        FileKind::Clean,
        FileKind::Checkpoint,
        FileKind::Genesis,
        FileKind::Segment,
        FileKind::LastSegment,
        FileKind::Spare,
        FileKind::Note,
    ] {
        assert!(summary.by_file.contains_key(&file), "{file:?} was never damaged");
    }
    for kind in [
        DamageKind::Flip,
        DamageKind::Zero,
        DamageKind::Unreadable,
        DamageKind::Swap,
        DamageKind::Misdirect,
        DamageKind::Double,
        DamageKind::Stale,
        DamageKind::StaleFile,
        DamageKind::Truncate,
        DamageKind::Extend,
        DamageKind::Remove,
        DamageKind::Duplicate,
    ] {
        let done = summary.by_file.values().filter(|kinds| kinds.contains_key(&kind)).count();
        assert!(done > 0, "{kind:?} was never done");
        let last = &summary.by_file[&FileKind::LastSegment];
        assert!(last.contains_key(&kind), "{kind:?} was never done to the end of the log");
    }
}

#[test]
fn damage_while_it_is_open() {
    let while_open = 150 * times();
    let summary = passed("while open", Campaign { while_open, ..Campaign::new(2) });
    assert_eq!(summary.by_when[&When::WhileOpen], summary.total);
}

/// With a checkpoint that does not fit into the cache: what is read comes from the medium.
#[test]
fn damage_to_a_large_checkpoint_while_it_is_open() {
    let scenes = vec![Scene::Large];
    let (at_rest, while_open) = (20 * times(), 60 * times());
    let campaign = Campaign { scenes, at_rest, while_open, ..Campaign::new(3) };
    let summary = passed("large", campaign);
    let checkpoint = &summary.by_file[&FileKind::Checkpoint];
    let refused: u64 = checkpoint.values().map(|counts| counts.refused_at_read).sum();
    assert!(refused > 0, "no read ever met damage: {summary}");
}

/// A request was carried out a second time: the pages that led to its outcome were put back to what they had been before it,
/// each one whole, and what is not found was believed to be absent.
#[test]
fn a_row_that_damage_hides_while_it_is_open_is_not_absent() {
    for moment in [14, 21] {
        let damages = vec![Damage::StaleFile { file: "checkpoint.redb".into(), moment }];
        let case = Case { seed: 3, scene: Scene::Large, when: When::WhileOpen, damages };
        let found = case.run().unwrap_or_else(|failure| panic!("{failure}"));
        assert_ne!(found, Found::NoDamage);
    }
}

#[test]
fn several_pieces_of_damage_at_once() {
    let several = 350 * times();
    let _summary = passed("several", Campaign { several, ..Campaign::new(4) });
}

#[test]
fn one_seed_does_the_same_damage() {
    let campaign = Campaign {
        scenes: vec![Scene::Torn, Scene::Clean],
        at_rest: 150,
        while_open: 20,
        several: 20,
        ..Campaign::new(5)
    };
    let (first, _) = campaign.run();
    assert_eq!(first, Campaign { threads: 1, ..campaign }.run().0);
}

#[test]
fn any_bytes_are_damage() {
    let mut state = 1_u64;
    for length in 0..400 * times() {
        let bytes: Vec<u8> = (0..length % 40)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                (state >> 56) as u8
            })
            .collect();
        fuzz(&bytes);
    }
}

const TEXTS: Keyspace<u32, String> = Keyspace::new("texts");
const TOTALS: Keyspace<String, i64> = Keyspace::new("totals");

const LAST: u32 = 86;

/// All that a reader can see.
type State = (BTreeMap<u32, Record<String>>, BTreeMap<String, Record<i64>>);

/// Commits, refusals, deletions: whatever a log can hold.
fn request(n: u32) -> Request<u32> {
    let request = Request::new(key(&format!("request {n}"))).actor(format!("actor {n}"));
    let text = "text ".repeat(30 + n as usize);
    match n % 5 {
        0 => request.put(&TEXTS, &(n % 17), &text, Expect::Any),
        1 => request.put(&TEXTS, &(n % 17), &text, Expect::Absent),
        2 => request.add(&TOTALS, "sum", i64::from(n), 0..=1_000),
        3 => request.delete(&TEXTS, &(n % 17), Expect::Present).put(
            &TEXTS,
            &(100 + n),
            &text,
            Expect::Any,
        ),
        _ => request.put(&TEXTS, &(n % 7), &text, Expect::Any).add(&TOTALS, "other", 1, 0..=9),
    }
    .result(&n)
}

fn state(engine: &Engine) -> Result<State, Error> {
    let snapshot = engine.snapshot();
    Ok((
        snapshot.range(&TEXTS, ..).collect::<Result<_, _>>()?,
        snapshot.range(&TOTALS, ..).collect::<Result<_, _>>()?,
    ))
}

#[test]
fn a_directory_copied_while_it_is_open_is_what_a_kill_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::builder().segment_bytes(64 << 10).open(dir.path().join("open")).unwrap();
    let outcomes: Vec<_> = (0..LAST).map(|n| engine.commit(request(n)).unwrap()).collect();
    engine.checkpoint().unwrap();
    let more = Request::new(key("more")).put(&TEXTS, &9_999, &"more".into(), Expect::Absent);
    let _receipt = engine.commit(more).unwrap().committed().unwrap();
    let expected = state(&engine).unwrap();
    let image = picture(&dir.path().join("open"));

    let copy = dir.path().join("copy");
    paint(&copy, &image);
    let copied = Engine::open(&copy).unwrap();
    assert_eq!(copied.recovery().verdict, Verdict::Unclean);
    assert!(state(&copied).unwrap() == expected);
    for (n, outcome) in outcomes.iter().enumerate() {
        match (outcome, copied.commit(request(n as u32)).unwrap()) {
            (Outcome::Committed(first), Outcome::Committed(again)) => {
                assert_eq!(
                    (first.seq, first.time, first.result),
                    (again.seq, again.time, again.result)
                );
                assert!(again.replayed);
            }
            (first, again) => assert_eq!(*first, again),
        }
    }
    assert!(state(&copied).unwrap() == expected, "a retry changed something");

    // The same on real files: refused, and every byte as it was.
    for name in image.keys().filter(|name| copy.join(name).is_file() && !name.ends_with("CLEAN")) {
        let damaged = dir.path().join("damaged");
        paint(&damaged, &image);
        let path = damaged.join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len().min(8192 + 150);
        bytes[..end].iter_mut().for_each(|byte| *byte = !*byte);
        std::fs::write(&path, bytes).unwrap();
        let before = picture(&damaged);
        let error = refusal(Engine::open(&damaged));
        assert!(matches!(error, Error::Corruption { .. }), "{}: {error}", name.display());
        assert!(picture(&damaged) == before, "{}", name.display());
        std::fs::remove_dir_all(&damaged).unwrap();
    }
}
