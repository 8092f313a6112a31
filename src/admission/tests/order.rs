//! The order of checks: of two that fail, the earlier one answers.

use super::*;
use crate::{
    admission::rules::{
        CrossJudge, Enforcement, Judge, Judged, Lookup, Marked, Net, Severity, SumInvariant, Sums,
        Violation,
    },
    base::{self, Era, Transition},
};
use std::{collections::BTreeSet, sync::LazyLock};

/// A value says of itself whether a rule refuses it.
#[derive(Debug)]
struct Told;

static RULES: LazyLock<RuleBook> = LazyLock::new(|| {
    let mut rules = RuleBook::new();
    rules.add(Arc::new(Told));
    rules.add_sum(SumInvariant::new("even", ["first"], |[first]| match first % 2 {
        0 => Ok(()),
        _ => Err(Violation::new("odd")),
    }));
    rules.add_across(Arc::new(ToldAcross(identity("a"))));
    rules
});

/// And whether a rule across records does.
struct ToldAcross(KeyspaceIdentity);

impl CrossJudge for ToldAcross {
    fn declared_version(&self) -> u32 {
        1
    }

    fn name(&self) -> &'static str {
        "told across"
    }

    fn how(&self) -> (Severity, Enforcement) {
        (Severity::Error, Enforcement::Enforce)
    }

    fn anchor(&self) -> &KeyspaceIdentity {
        &self.0
    }

    fn footprint(&self) -> Vec<&KeyspaceIdentity> {
        Vec::new()
    }

    fn flaw(&self) -> Option<&'static str> {
        None
    }

    fn concerned(&self, net: &Net<'_>, anchors: &mut BTreeSet<Bytes>) -> Result<(), Unjudged> {
        anchors.extend(net.changed(&self.0)?.map(|change| change.key.clone()));
        Ok(())
    }

    fn check(
        &self,
        _: &Bytes,
        row: &Row,
        _: &Net<'_>,
        _: &mut dyn Lookup,
    ) -> Result<Option<base::Broken>, Ended> {
        Ok((row.value.as_ref() == b"crossed").then(|| base::Broken {
            invariant: Bytes::from_static(b"told across"),
            severity: 2,
            reason: Bytes::new(),
        }))
    }
}

impl Judge for Told {
    fn identity(&self) -> KeyspaceIdentity {
        identity("a")
    }

    fn fields(&self) -> Vec<&'static str> {
        vec!["told"]
    }

    fn invariants(&self) -> Vec<(&'static str, Severity, Enforcement)> {
        vec![("told", Severity::Error, Enforcement::Enforce)]
    }

    fn totals(&self) -> Vec<&'static str> {
        vec!["first", "second"]
    }

    fn marks(&self) -> Vec<Marked> {
        Vec::new()
    }

    fn sum(
        &self,
        _: &[u8],
        _: Option<&Row>,
        new: Option<&Row>,
        sums: &mut Sums,
    ) -> Result<(), Unjudged> {
        match new.map(|row| row.value.as_ref()) {
            Some(b"too much") => sums.of("second").add(i128::MAX),
            Some(b"odd") => sums.of("first").add(1),
            _ => {}
        }
        Ok(())
    }

    fn flaw(&self) -> Option<(&'static str, &'static str)> {
        None
    }

    fn judge(
        &self,
        _: &[u8],
        _: Option<&Row>,
        new: Option<&Row>,
        _: &mut Vec<Monitored>,
    ) -> Result<Judged, Unjudged> {
        Ok(match new.map(|row| row.value.as_ref()) {
            Some(b"illegal") => Judged::Illegal(Transition {
                field: Bytes::from_static(b"told"),
                from: None,
                to: None,
                allowed: Vec::new(),
            }),
            Some(b"broken") => Judged::Broken(base::Broken {
                invariant: Bytes::from_static(b"told"),
                severity: 2,
                reason: Bytes::new(),
            }),
            _ => Judged::Holds,
        })
    }

    fn audit(&self, _: &[u8], _: &Row, _: &mut Vec<Monitored>) -> Result<(), Unjudged> {
        Ok(())
    }
}

/// The checks, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    Remembered,
    KeyReused,
    AlreadyDecided,
    Fenced,
    KeyExpired,
    KeyAhead,
    KeyUntimed,
    Late,
    NotWritable,
    ReadOnly,
    WindowFull,
    Keyspace,
    FutureVersion,
    StaleRead,
    StaleVersion,
    NotAbsent,
    NotPresent,
    OutOfBounds,
    Illegal,
    Broken,
    Overflow,
    BrokenSum,
    Crossed,
}

use Check::{
    AlreadyDecided, Broken, BrokenSum, Crossed, Fenced, FutureVersion, Illegal, KeyAhead,
    KeyExpired, KeyReused, KeyUntimed, Keyspace, Late, NotAbsent, NotPresent, NotWritable,
    OutOfBounds, Overflow, ReadOnly, Remembered, StaleRead, StaleVersion, WindowFull,
};

const ORDER: [Check; 23] = [
    Remembered,
    KeyReused,
    AlreadyDecided,
    Fenced,
    KeyExpired,
    KeyAhead,
    KeyUntimed,
    Late,
    NotWritable,
    ReadOnly,
    WindowFull,
    Keyspace,
    FutureVersion,
    StaleRead,
    StaleVersion,
    NotAbsent,
    NotPresent,
    OutOfBounds,
    Illegal,
    Broken,
    Overflow,
    BrokenSum,
    Crossed,
];

/// Checks of which a request can fail one only: what is remembered under a key is one thing, and so is when it was made.
const ONE_OF: [&[Check]; 2] =
    [&[Remembered, KeyReused, AlreadyDecided, Fenced], &[KeyExpired, KeyAhead, KeyUntimed]];

fn impossible(first: Check, second: Check) -> bool {
    ONE_OF.iter().any(|few| few.contains(&first) && few.contains(&second))
}

/// Pairs that the position of the operations puts in order, not the kind of check.
const BY_POSITION: [(Check, Check); 1] = [(NotAbsent, NotPresent)];

/// A case in the making.
struct Case {
    state: State,
    request: RequestData,
    writable: bool,
    late: bool,
    policy: Policy,
}

impl Case {
    fn failing(checks: &[Check]) -> Self {
        let (mut state, request) = (State::sample(), request(Some("key")));
        let totals = [("first", 0), ("second", 1)];
        let totals = totals.map(|(name, value)| (Bytes::from_static(name.as_bytes()), value));
        state.control.rules.totals = Arc::new(totals.into());
        let mut case =
            Self { policy: state.at().policy, state, request, writable: true, late: false };
        for check in checks {
            case.fail(*check);
        }
        case
    }

    /// Makes the request fail one more check.
    fn fail(&mut self, check: Check) {
        let request = std::mem::replace(&mut self.request, request(None));
        self.request = match check {
            Remembered => self.remember(request, 1, StoredOutcome::Committed(Bytes::new())),
            KeyReused => self.remember(request, 2, StoredOutcome::Committed(Bytes::new())),
            Fenced => self.remember(request, 2, StoredOutcome::Fenced),
            AlreadyDecided => {
                let request = self.remember(request, 1, StoredOutcome::Committed(Bytes::new()));
                let last = SeqNo::new(self.state.control.forgotten.get() + 1);
                self.state.control.eras = vec![Era { last, ..Era::default() }];
                request
            }
            KeyExpired => {
                // Of what was decided since, nothing is forgotten.
                self.state.control.forgotten = SeqNo::new(1);
                self.state.window = std::mem::take(&mut self.state.window)
                    .into_iter()
                    .map(|(key, row)| {
                        (key, Arc::new(WindowRow { seq: SeqNo::new(2), ..(*row).clone() }))
                    })
                    .collect();
                self.state.control.eras.iter_mut().for_each(|era| era.last = SeqNo::new(2));
                self.made_at(request, 0)
            }
            KeyAhead => self.made_at(request, u64::MAX / 1_000_000),
            KeyUntimed => {
                self.policy.time_ordered = true;
                request
            }
            Late => {
                self.late = true;
                request
            }
            NotWritable => {
                self.writable = false;
                request
            }
            ReadOnly => {
                self.state.control.mode = Mode::ReadOnly { reason: "moving".into() };
                request
            }
            WindowFull => {
                self.policy.window_limit = 0;
                request
            }
            Keyspace => {
                let mut request = request;
                let shape = Bytes::from_static(&[1]);
                let other = request.keyspace(KeyspaceIdentity { shape, ..identity("a") });
                request.operation(other, "x", Expect::Any, Action::Check)
            }
            FutureVersion => request.check("future", version(3)),
            StaleRead => request.read("there", None),
            StaleVersion => request.check("number", version(1)),
            NotAbsent => request.check("there", Expect::Absent),
            NotPresent => request.check("missing", Expect::Present),
            OutOfBounds => request.add("sum", 2, 0, 1),
            Illegal => request.put("guarded", b"illegal"),
            Broken => request.put("bound", b"broken"),
            Overflow => request.put("summed", b"too much"),
            BrokenSum => request.put("also summed", b"odd"),
            Crossed => request.put("across", b"crossed"),
        };
    }

    /// The same key says when it was made.
    fn made_at(&mut self, mut request: RequestData, unix_millis: u64) -> RequestData {
        let (key, fingerprint) = request.key.take().unwrap();
        let timed = IdempotencyKey::time_ordered("test", unix_millis, "key").unwrap();
        if let Some(row) = self.state.window.remove(key.as_bytes()) {
            self.state.window.insert(timed.as_bytes().clone(), row);
        }
        RequestData { key: Some((timed, fingerprint)), ..request }
    }

    fn remember(
        &mut self,
        request: RequestData,
        intent: u8,
        outcome: StoredOutcome,
    ) -> RequestData {
        let (key, _) = request.key.as_ref().unwrap();
        let seq = SeqNo::new(self.state.control.forgotten.get() + 1);
        let time = LogTime::new(1);
        self.state.control.eras.iter_mut().for_each(|era| era.last = seq);
        let row = WindowRow { fingerprint: fingerprint(intent), seq, time, outcome };
        self.state.window.insert(key.as_bytes().clone(), Arc::new(row));
        request
    }

    fn answer(self) -> Check {
        let Self { writable, late, policy, .. } = self;
        let rules = &RULES;
        let at = At { writable, late, policy, rules, ..self.state.at() };
        match admit(self.request, &self.state, at) {
            Decision::Remembered(_) => Remembered,
            Decision::Refused(refusal) => refused(&refusal),
            Decision::Conflict(conflict) if conflict.expected.is_none() => StaleRead,
            Decision::Conflict(_) => StaleVersion,
            Decision::Append(admitted) => match admitted.entry.outcome {
                StoredOutcome::Rejected(rejection) => rejected(&rejection),
                StoredOutcome::Committed(_) | StoredOutcome::Fenced => panic!("it was carried out"),
            },
            Decision::Rejected(_) => panic!("it has a key"),
            Decision::Known(_) => panic!("nobody asked for what is known"),
            Decision::Cold(_) => panic!("everything is at hand"),
        }
    }
}

fn refused(refusal: &Refusal) -> Check {
    match refusal {
        Refusal::KeyReused { .. } => KeyReused,
        Refusal::AlreadyDecided(_) => AlreadyDecided,
        Refusal::Fenced(_) => Fenced,
        Refusal::KeyExpired { .. } => KeyExpired,
        Refusal::KeyAhead { .. } => KeyAhead,
        Refusal::KeyUntimed => KeyUntimed,
        Refusal::ReadOnly { .. } => ReadOnly,
        Refusal::Limit(_) => WindowFull,
        Refusal::DeadlineExceeded => Late,
        Refusal::NotWritable => NotWritable,
        Refusal::Keyspace(_) => Keyspace,
        Refusal::FutureVersion { .. } => FutureVersion,
        Refusal::NotANumber { .. } => panic!("nothing here is not a number"),
        Refusal::Unjudged(_) => panic!("everything here can be judged"),
    }
}

fn rejected(rejection: &StoredRejection) -> Check {
    match rejection {
        StoredRejection::NotAbsent { .. } => NotAbsent,
        StoredRejection::NotPresent { .. } => NotPresent,
        StoredRejection::OutOfBounds { .. } => OutOfBounds,
        StoredRejection::Procedure(_) => panic!("it was not rejected by its maker"),
        StoredRejection::Illegal { .. } => Illegal,
        StoredRejection::Broken { broken, .. } if broken.invariant.as_ref() == b"told" => Broken,
        StoredRejection::Broken { .. } => Crossed,
        StoredRejection::TotalOverflow { .. } => Overflow,
        StoredRejection::BrokenSum(_) => BrokenSum,
    }
}

#[test]
fn each_check_fails_alone() {
    for check in ORDER {
        assert_eq!(Case::failing(&[check]).answer(), check);
    }
}

#[test]
fn of_two_failing_checks_the_earlier_one_answers() {
    let mut pairs = 0;
    for (index, &first) in ORDER.iter().enumerate() {
        for &second in &ORDER[index + 1..] {
            if impossible(first, second) {
                continue;
            }
            let by_position = BY_POSITION.contains(&(first, second));
            assert_eq!(Case::failing(&[first, second]).answer(), first, "before {second:?}");
            let reversed = if by_position { second } else { first };
            assert_eq!(Case::failing(&[second, first]).answer(), reversed, "{second:?} first");
            pairs += 1;
        }
    }
    assert_eq!(pairs, 23 * 22 / 2 - 6 - 3);
}

#[test]
fn all_at_once_fail_in_order() {
    for first in 0..ORDER.len() {
        let mut failing: Vec<Check> = Vec::new();
        for &check in &ORDER[first..] {
            if failing.iter().all(|&other| !impossible(other, check)) {
                failing.push(check);
            }
        }
        assert_eq!(Case::failing(&failing).answer(), ORDER[first]);
    }
}

#[test]
fn a_row_that_holds_no_number_is_found_when_it_is_added_to() {
    let mut state = State::sample();
    let request = request(Some("key")).add("there", 1, 0, 9);
    let not_a_number = |decision| {
        matches!(decision, Decision::Refused(Refusal::NotANumber { row_schema: 1, schema: 1, .. }))
    };
    assert!(not_a_number(state.decide(&request)));
    // What is before it answers first.
    let out = State::sample()
        .append(&super::request(Some("key")).add("new", 2, 0, 1).add("there", 1, 0, 9));
    assert!(matches!(out.entry.outcome, StoredOutcome::Rejected(_)));
    let mut raised = request;
    raised.keyspaces[0] = KeyspaceIdentity { schema: 2, upgrades_from: vec![1], ..identity("a") };
    raised.operations[0].key = b"number".as_slice().into();
    let decision = state.decide(&raised);
    assert!(matches!(
        decision,
        Decision::Refused(Refusal::NotANumber { row_schema: 1, schema: 2, .. })
    ));
}

#[test]
fn what_differs_is_said() {
    let intent = fingerprint(1);
    let operations = |hash, operations, expectations| Fingerprint {
        hash: [hash; 32],
        kind: Fingerprint::OPERATIONS,
        operations,
        expectations,
    };
    let rows = [
        (intent, intent, None),
        (intent, fingerprint(2), Some(Differs::Intent)),
        (intent, operations(2, 1, 1), Some(Differs::Kind)),
        (operations(1, 1, 1), fingerprint(2), Some(Differs::Kind)),
        (operations(1, 1, 1), operations(1, 1, 1), None),
        (operations(1, 1, 1), operations(2, 2, 1), Some(Differs::Operations)),
        (operations(1, 1, 1), operations(2, 2, 2), Some(Differs::Operations)),
        (operations(1, 1, 1), operations(2, 1, 2), Some(Differs::Expectations)),
    ];
    for (remembered, asked, expected) in rows {
        assert_eq!(differs(&remembered, &asked), expected);
    }
}
