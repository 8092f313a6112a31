use super::*;
use crate::base::{Bytes, Fingerprint, Mode, StoredOutcome};
use proptest::{collection::vec, prelude::*};

const RETENTION: Retention = Retention { whole: 800, stubs: 4_000 };

/// Control, and beside it all that was ever remembered.
struct Pair {
    control: Control,
    hasher: RowHasher,
    digest: StateDigest,
    rows: Vec<(IdempotencyKey, WindowRow)>,
    /// The generation each row joined.
    joined: Vec<u32>,
}

impl Pair {
    fn new() -> Self {
        let (control, digest) = (Control::default(), StateDigest::default());
        Self { control, hasher: RowHasher::new(3), digest, rows: Vec::new(), joined: Vec::new() }
    }

    /// An entry: first its steps, then what it remembers.
    fn entry(&mut self, now: u64, remembers: bool) {
        let (seq, time) = (SeqNo::new(self.rows.len() as u64 + 1), LogTime::new(now));
        let steps = self.control.steps_due(RETENTION, time);
        assert!(!steps.is_empty() || self.control.due(RETENTION) > time);
        self.digest.sub(self.hasher.control(&self.control));
        for step in &steps {
            self.control.step(step, &mut self.digest).expect("it was said to be due");
        }
        self.digest.add(self.hasher.control(&self.control));
        assert!(self.control.due(RETENTION) > time, "nothing is left to do");
        if remembers {
            let key = IdempotencyKey::new("test", seq.get().to_le_bytes()).unwrap();
            let fingerprint =
                Fingerprint { hash: [1; 32], kind: 1, operations: 0, expectations: 0 };
            let outcome = StoredOutcome::Committed(Bytes::from(vec![7; now as usize % 9]));
            let row = WindowRow { fingerprint, seq, time, outcome };
            let (digest, bytes) = self.control.remember(&key, &row, &mut self.hasher);
            assert_eq!(bytes, stored(&mut self.hasher, &key, &row));
            self.digest.add(digest);
            self.joined.push(self.control.open().number);
            self.rows.push((key, row));
        }
    }

    fn check(&mut self, now: u64) {
        let (mut digest, mut whole, mut stubs) = (StateDigest::default(), 0, 0);
        let (mut bytes, mut horizon) = (0, None);
        for ((key, row), joined) in self.rows.iter().zip(&self.joined) {
            let (age, place) = (now - row.time.get(), self.control.place(row.seq));
            assert_eq!(self.control.place_of(*joined), place, "generation {joined}");
            // Never too early, and not much too late.
            let due = match place {
                Place::Generation(_) => 0..=RETENTION.whole + RETENTION.whole / PARTS,
                Place::Era(_) => {
                    RETENTION.whole..=RETENTION.stubs + RETENTION.stubs / PARTS + RETENTION.whole
                }
                Place::Forgotten => RETENTION.stubs..=u64::MAX,
            };
            assert!(due.contains(&age), "{place:?} at the age of {age}");
            match self.control.recall_row(Arc::new(row.clone())) {
                Some(Remembered::Row(_)) => {
                    digest.add(self.hasher.window(key.as_bytes(), row));
                    whole += 1;
                    bytes += stored(&mut self.hasher, key, row);
                }
                Some(Remembered::Stub(stub)) => {
                    digest.add(self.hasher.stub(key.hash(), &stub));
                    stubs += 1;
                    bytes += 53;
                }
                None => horizon = Some(row.time),
            }
        }
        digest.add(self.hasher.control(&self.control));
        assert_eq!(self.digest, digest);
        let rows = |rows: &mut dyn Iterator<Item = u64>| rows.sum::<u64>();
        assert_eq!(rows(&mut self.control.generations.iter().map(|g| g.rows)), whole);
        assert_eq!(rows(&mut self.control.eras.iter().map(|era| era.rows)), stubs);
        assert_eq!((self.control.rows(), self.control.bytes()), (whole + stubs, bytes));
        assert_eq!(self.control.horizon(), horizon);
        let parts = PARTS as usize + 2;
        assert!(self.control.generations.len() <= parts && self.control.eras.len() <= parts);
    }
}

/// Bytes of a key and what is stored under it.
fn stored(hasher: &mut RowHasher, key: &IdempotencyKey, row: &WindowRow) -> u64 {
    (key.as_bytes().len() + hasher.window_sized(key.as_bytes(), row).1) as u64
}

proptest! {
    #[test]
    fn what_a_row_is_follows_from_its_age(entries in vec((0..400u64, any::<bool>()), 1..120)) {
        let (mut pair, mut now) = (Pair::new(), 1_000);
        for (passes, remembers) in entries {
            now += passes;
            pair.entry(now, remembers);
            pair.check(now);
        }
        // What is never looked at again goes, too.
        pair.entry(now + 100_000, false);
        pair.check(now + 100_000);
        prop_assert_eq!(pair.control.bytes(), 0);
    }

    #[test]
    fn steps_that_cannot_be_taken_change_nothing(steps in vec((0..4u8, 0..3u32), 1..20)) {
        let mut pair = Pair::new();
        (0..30).for_each(|n| pair.entry(1_000 + 90 * n, true));
        for (kind, era) in steps {
            let step = match kind {
                0 => Step::Mode(Mode::ReadWrite),
                1 => Step::Close,
                2 => Step::Demote { era },
                _ => Step::Forget,
            };
            let (before, mut digest) = (pair.control.clone(), pair.digest);
            if pair.control.step(&step, &mut digest).is_none() {
                prop_assert_eq!(&pair.control, &before);
                prop_assert_eq!(digest, pair.digest);
            }
            pair.digest = digest;
        }
    }
}

#[test]
fn for_ever_is_for_ever() {
    let retention = Retention { whole: u64::MAX, stubs: u64::MAX };
    let mut pair = Pair::new();
    pair.entry(1_000, true);
    assert_eq!(pair.control.due(retention), LogTime::new(u64::MAX));
    assert!(pair.control.steps_due(retention, LogTime::new(u64::MAX)).is_empty());
    let stubs = Retention { whole: 800, stubs: u64::MAX };
    let steps = pair.control.steps_due(stubs, LogTime::new(u64::MAX - 1));
    assert_eq!(steps, [Step::Close, Step::Demote { era: 0 }]);
    // Past the end of time, where everything would be over, nothing more is done.
    assert!(pair.control.steps_due(stubs, LogTime::new(u64::MAX)).is_empty());
    // What is kept whole for ever stays so while stubs of before are forgotten.
    pair.control.eras = vec![Era::default()];
    let whole = Retention { whole: u64::MAX, stubs: 4_000 };
    let steps = pair.control.steps_due(whole, LogTime::new(u64::MAX - 1));
    assert_eq!(steps, [Step::Forget]);
}

#[test]
fn steps_that_no_entry_of_ours_takes_are_refused() {
    let mut pair = Pair::new();
    let refused = |pair: &mut Pair, steps: &[Step]| {
        let before = pair.control.clone();
        for step in steps {
            assert_eq!(pair.control.step(step, &mut StateDigest::default()), None, "{step:?}");
            assert_eq!(pair.control, before);
        }
    };
    // Nothing to close, only what is open to demote, nothing to forget.
    refused(&mut pair, &[Step::Close, Step::Demote { era: 0 }, Step::Forget]);
    pair.entry(1_000, true);
    refused(&mut pair, &[Step::Demote { era: 0 }, Step::Forget]);
    pair.control.step(&Step::Close, &mut StateDigest::default()).unwrap();
    // An era that is neither the last nor the one that begins here.
    refused(&mut pair, &[Step::Close, Step::Demote { era: 1 }, Step::Forget]);
    pair.control.step(&Step::Demote { era: 0 }, &mut StateDigest::default()).unwrap();
    refused(&mut pair, &[Step::Demote { era: 0 }]);
}

/// Each step comes at the first moment it is due, and no other comes with it.
#[test]
fn steps_come_when_they_are_due() {
    let mut pair = Pair::new();
    let due = |pair: &Pair, now| pair.control.steps_due(RETENTION, LogTime::new(now));
    pair.entry(1_000, true);
    pair.entry(1_050, true);
    assert_eq!(due(&pair, 1_099), []);
    assert_eq!(due(&pair, 1_100), [Step::Close]);
    pair.entry(1_100, false);
    pair.entry(1_820, true);
    // What was closed is demoted by its last row, and what is open stays open.
    assert_eq!(due(&pair, 1_849), []);
    assert_eq!(due(&pair, 1_850), [Step::Demote { era: 0 }]);
    pair.entry(1_850, false);
    assert_eq!(due(&pair, 1_919), []);
    assert_eq!(due(&pair, 1_920), [Step::Close]);
    pair.entry(1_920, false);
    assert_eq!(due(&pair, 2_619), []);
    // More than a part of the time of stubs after the first row of the era.
    assert_eq!(due(&pair, 2_620), [Step::Demote { era: 1 }]);
    pair.entry(2_620, false);
    assert_eq!(due(&pair, 5_049), []);
    assert_eq!(due(&pair, 5_050), [Step::Forget]);
    pair.entry(5_050, false);
    pair.check(5_050);
    assert_eq!(due(&pair, 5_820), [Step::Forget]);
}

#[test]
fn an_era_takes_an_eighth_of_the_time_of_stubs() {
    for (second, era) in [(1_500, 0), (1_501, 1)] {
        let mut pair = Pair::new();
        pair.entry(1_000, true);
        pair.entry(1_200, false);
        pair.entry(second, true);
        pair.entry(second + 100, false);
        pair.entry(second + 799, false);
        let steps = pair.control.steps_due(RETENTION, LogTime::new(second + 800));
        assert_eq!(steps, [Step::Demote { era }], "the second at {second}");
    }
}

#[test]
fn an_entry_takes_no_more_than_its_share_of_steps() {
    let generations = (0..=100)
        .map(|number| Generation {
            number,
            rows: u64::from(number < 100),
            last: SeqNo::new(u64::from(number) + 1),
            ..Generation::default()
        })
        .collect();
    let mut control = Control { generations, ..Control::default() };
    let now = LogTime::new(RETENTION.whole);
    for left in [64, 36, 0] {
        let steps = control.steps_due(RETENTION, now);
        assert_eq!(steps.len(), left);
        for step in &steps {
            control.step(step, &mut StateDigest::default()).unwrap();
        }
    }
}

/// Rows alone leave it as it was made: the digest of a database that never took a step knows nothing of steps.
#[test]
fn the_first_step_of_any_kind_shows() {
    let mut pair = Pair::new();
    assert!(pair.control.is_as_made());
    pair.entry(1_000, true);
    assert!(pair.control.is_as_made());
    assert_eq!(pair.hasher.control(&pair.control), 0);
    let mut seen = vec![0];
    let read_only = Step::Mode(Mode::ReadOnly { reason: "moving".into() });
    for step in [read_only, Step::Close, Step::Demote { era: 0 }, Step::Forget] {
        pair.control.step(&step, &mut pair.digest).unwrap();
        assert!(!pair.control.is_as_made(), "{step:?}");
        let digest = pair.hasher.control(&pair.control);
        assert!(!seen.contains(&digest), "{step:?}");
        seen.push(digest);
    }
}
