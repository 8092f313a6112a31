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
}

impl Pair {
    fn new() -> Self {
        let (control, digest) = (Control::default(), StateDigest::default());
        Self { control, hasher: RowHasher::new(3), digest, rows: Vec::new() }
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
            assert!(bytes > key.as_bytes().len() as u64 + 49);
            self.digest.add(digest);
            self.rows.push((key, row));
        }
    }

    fn check(&mut self, now: u64) {
        let (mut digest, mut whole, mut stubs) = (StateDigest::default(), 0, 0);
        for (key, row) in &self.rows {
            let (age, place) = (now - row.time.get(), self.control.place(row.seq));
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
                }
                Some(Remembered::Stub(stub)) => {
                    digest.add(self.hasher.stub(key.hash(), &stub));
                    stubs += 1;
                }
                None => {}
            }
        }
        digest.add(self.hasher.control(&self.control));
        assert_eq!(self.digest, digest);
        let rows = |rows: &mut dyn Iterator<Item = u64>| rows.sum::<u64>();
        assert_eq!(rows(&mut self.control.generations.iter().map(|g| g.rows)), whole);
        assert_eq!(rows(&mut self.control.eras.iter().map(|era| era.rows)), stubs);
        let parts = PARTS as usize + 2;
        assert!(self.control.generations.len() <= parts && self.control.eras.len() <= parts);
    }
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
}
