//! Histories made by hand: the checkers must tell those that are legal from those that are not.

use super::{
    super::model::{Action, Decision, Held, Operation, Order},
    Answer, Asked, Call, End, History, linearizable, serial,
};
use crate::{Expect, SeqNo, Version};

/// A history under construction; every call has its own times.
#[derive(Default)]
struct Told(History);

fn version(version: u64) -> Expect {
    Expect::Version(Version::new(version))
}

/// A put to each of the records.
fn put(name: Option<u64>, puts: &[(u32, i64, Expect)]) -> Order {
    let operation = |&(key, value, expect)| Operation { key, expect, action: Action::Put(value) };
    Order { name, operations: puts.iter().map(operation).collect(), result_bytes: 0 }
}

fn held(value: i64, version: u64, created: u64) -> Option<Held> {
    let (version, created) = (Version::new(version), Version::new(created));
    Some(Held { value, version, created })
}

fn committed(seq: u64) -> Answer {
    Answer::Committed { seq: SeqNo::new(seq), replayed: false }
}

fn replayed(seq: u64) -> Answer {
    Answer::Committed { seq: SeqNo::new(seq), replayed: true }
}

fn conflict(found: u64) -> Answer {
    Answer::Refused(Decision::Conflict(Some(Version::new(found))))
}

impl Told {
    fn call(mut self, times: [u64; 2], asked: Asked, answer: Answer) -> Self {
        let [invoked, returned] = times;
        let process = self.0.calls.len();
        self.0.calls.push(Call { process, invoked, handed_in: returned, returned, asked, answer });
        self
    }

    fn write(self, times: [u64; 2], order: Order, answer: Answer) -> Self {
        self.call(times, Asked::Write(order), answer)
    }

    fn put(self, times: [u64; 2], value: i64, expect: Expect, answer: Answer) -> Self {
        self.write(times, put(None, &[(1, value, expect)]), answer)
    }

    fn read(self, times: [u64; 2], record: Option<Held>) -> Self {
        let answer = Answer::Found { at: None, records: vec![record] };
        self.call(times, Asked::Read(vec![1]), answer)
    }

    fn read_both(self, times: [u64; 2], at: Option<u64>, records: [Option<Held>; 2]) -> Self {
        let answer = Answer::Found { at: at.map(SeqNo::new), records: records.to_vec() };
        self.call(times, Asked::Read(vec![1, 2]), answer)
    }

    fn end(mut self, reopened: u64, applied: u64) -> Self {
        self.0.ends.push(End { reopened, applied: SeqNo::new(applied) });
        self
    }

    #[track_caller]
    fn legal(self) {
        linearizable(&self.0).unwrap_or_else(|illegal| panic!("{illegal}"));
        serial(&self.0).unwrap_or_else(|illegal| panic!("{illegal}"));
    }

    /// Both checkers find it illegal, and for sure.
    #[track_caller]
    fn illegal(self) {
        let found = linearizable(&self.0).expect_err("no order explains it");
        assert!(!found.undecided, "{found}");
        self.illegal_by_number();
    }

    /// Some order explains it, but not that of the numbers.
    #[track_caller]
    fn illegal_by_number(self) {
        let found = serial(&self.0).expect_err("the order of the numbers does not explain it");
        assert!(!found.undecided, "{found}");
    }
}

#[test]
fn one_after_the_other() {
    let told = Told::default().read([0, 1], None).put([2, 3], 7, Expect::Absent, committed(1));
    let told = told.read([4, 5], held(7, 1, 1)).put([6, 7], 8, version(1), committed(2));
    told.read([8, 9], held(8, 2, 1)).legal();
}

#[test]
fn a_read_during_a_write_sees_either() {
    let told = || Told::default().put([0, 9], 7, Expect::Any, committed(1));
    told().read([1, 2], None).legal();
    told().read([1, 2], held(7, 1, 1)).legal();
    told().read([1, 2], None).read([3, 4], held(7, 1, 1)).legal();
}

#[test]
fn a_stale_read() {
    let told = || Told::default().put([0, 9], 7, Expect::Any, committed(1));
    told().read([10, 11], None).illegal();
    // Once one has seen it, the next must.
    told().read([1, 2], held(7, 1, 1)).read([3, 4], None).illegal();
}

#[test]
fn a_value_from_nowhere() {
    Told::default().put([0, 1], 7, Expect::Any, committed(1)).read([2, 3], held(8, 1, 1)).illegal();
    Told::default().read([0, 1], held(7, 1, 1)).put([2, 3], 7, Expect::Any, committed(1)).illegal();
}

#[test]
fn a_lost_update() {
    let told = || Told::default().put([0, 1], 7, Expect::Any, committed(1));
    let both = || told().put([2, 9], 8, version(1), committed(2));
    // Both replaced the same version.
    both().put([3, 8], 9, version(1), committed(3)).illegal();
    both().put([3, 8], 9, version(1), conflict(2)).legal();
    // The first is gone, although nobody removed it.
    told().put([2, 3], 8, Expect::Absent, committed(2)).illegal();
}

#[test]
fn a_swap_over_another_version() {
    let told = Told::default().put([0, 1], 7, Expect::Any, committed(1));
    let told = told.put([2, 3], 8, Expect::Any, committed(2));
    told.put([4, 5], 9, version(1), committed(3)).illegal();
}

#[test]
fn a_conflict_that_was_none() {
    let told = || Told::default().put([0, 1], 7, Expect::Any, committed(1));
    told().put([2, 3], 8, version(1), conflict(1)).illegal();
    told().put([2, 3], 8, version(1), conflict(2)).illegal();
    told()
        .put([2, 9], 8, version(1), committed(2))
        .put([10, 11], 9, version(1), conflict(1))
        .illegal();
    // Told while the other one was at work, and before it was.
    told().put([2, 9], 8, version(1), committed(2)).put([3, 4], 9, version(1), conflict(2)).legal();
    told()
        .put([5, 9], 8, version(1), committed(2))
        .put([3, 4], 9, version(1), conflict(2))
        .illegal();
}

#[test]
fn half_a_batch() {
    let batch = || put(Some(1), &[(1, 7, Expect::Any), (2, 8, Expect::Any)]);
    let told = || Told::default().write([0, 9], batch(), committed(1));
    told().read_both([1, 2], None, [held(7, 1, 1), held(8, 1, 1)]).legal();
    told().read_both([1, 2], None, [None, None]).legal();
    told().read_both([1, 2], None, [held(7, 1, 1), None]).illegal();
    told().read_both([1, 2], Some(0), [None, None]).legal();
    // It shows what is at entry 1, and says that it is from before.
    told().read_both([1, 2], Some(0), [held(7, 1, 1), held(8, 1, 1)]).illegal();
    told().read_both([1, 2], Some(1), [None, None]).illegal_by_number();
}

#[test]
fn a_retry() {
    let order = || put(Some(1), &[(1, 7, Expect::Any)]);
    let told = || Told::default().write([0, 5], order(), committed(1));
    told().write([6, 7], order(), replayed(1)).legal();
    told().write([1, 2], order(), replayed(1)).legal();
    told().write([6, 7], order(), committed(2)).illegal();
    told().write([6, 7], order(), replayed(2)).illegal();
    told().write([1, 2], order(), committed(1)).illegal();
    // The first answer stands, whatever the state is by now.
    let insert = || put(Some(1), &[(1, 8, Expect::Absent)]);
    let there = Answer::Refused(Decision::Unmet(Some(Version::new(1))));
    let told = Told::default().put([0, 1], 7, Expect::Any, committed(1));
    let told = told.write([2, 3], insert(), there.clone());
    let delete = Operation { key: 1, expect: Expect::Any, action: Action::Delete };
    let delete = Order { name: None, operations: vec![delete], result_bytes: 0 };
    let told = || Told(told.0.clone()).write([4, 5], delete.clone(), committed(2));
    told().write([6, 7], insert(), there.clone()).legal();
    told().write([6, 7], insert(), committed(3)).illegal();
}

#[test]
fn order_in_real_time() {
    // The second had ended before the first began.
    let told = Told::default().put([2, 3], 7, Expect::Any, committed(1));
    told.put([0, 1], 8, Expect::Any, committed(2)).illegal();
    // Records that nothing connects: each on its own is fine, and so is any order, but not that of the numbers.
    let told = Told::default().write([2, 3], put(None, &[(1, 7, Expect::Any)]), committed(1));
    told.write([0, 1], put(None, &[(2, 7, Expect::Any)]), committed(2)).illegal_by_number();
    // One is handed in first and answered last.
    let told = Told::default().put([0, 9], 7, Expect::Any, committed(2));
    let mut told = told.put([2, 3], 8, Expect::Any, committed(1));
    told.0.calls[0].handed_in = 1;
    told.illegal_by_number();
}

#[test]
fn a_write_nobody_was_told_of() {
    for seq in [None, Some(SeqNo::new(1))] {
        let order = || put(Some(1), &[(1, 7, Expect::Any)]);
        let told = || Told::default().write([0, 1], order(), Answer::Unknown(seq));
        let never = told().read([2, 3], None).write([4, 5], order(), committed(2));
        never.read([6, 7], held(7, 2, 2)).end(2, 0).legal();
        let late = told().read([2, 3], None).read([4, 5], held(7, 1, 1));
        late.write([6, 7], order(), replayed(1)).legal();
        let again = told().read([2, 3], held(7, 1, 1)).read([4, 5], None);
        again.write([6, 7], order(), replayed(1)).illegal();
    }
    let error = Told::default().put([0, 1], 7, Expect::Any, Answer::Nothing);
    error.read([2, 3], held(7, 1, 1)).illegal();
}

#[test]
fn an_acknowledged_write_that_is_gone() {
    let told = || Told::default().put([0, 1], 7, Expect::Any, committed(1));
    told().read([3, 4], held(7, 1, 1)).end(2, 1).legal();
    told().read([3, 4], None).end(2, 0).illegal();
    // Not even without anyone looking for it.
    told().end(2, 0).illegal_by_number();
}

#[test]
fn an_answer_nobody_can_get() {
    let told = Told::default().put([0, 1], 7, Expect::Any, Answer::Wrong("a panic".into()));
    let found = linearizable(&told.0).expect_err("it is wrong in itself");
    assert!(!found.undecided && found.what.contains("a panic"));
    told.illegal();
}
