//! What a request makes of the totals, and what its entry says of that.

use super::*;
use crate::{
    admission::rules::{
        Enforcement, Judge, Judged, Marked, Severity, SumInvariant, Sums, Violation,
    },
    base::{RuleKind, RuleMark, RuleName, Step},
};
use std::sync::LazyLock;

/// Sums up the lengths of values, and their number.
#[derive(Debug)]
struct Lengths;

static RULES: LazyLock<RuleBook> = LazyLock::new(|| {
    let mut rules = RuleBook::new();
    rules.add(Arc::new(Lengths));
    let short = SumInvariant::new("short", ["bytes", "records"], |[bytes, records]| {
        if bytes <= 10 * records { Ok(()) } else { Err(Violation::new("too long")) }
    });
    rules.add_sum(short);
    let few = SumInvariant::new("few", ["records"], |[records]| match records {
        ..=3 => Ok(()),
        _ => Err(Violation::new("too many")),
    });
    rules.add_sum(few.enforcement(Enforcement::Monitor));
    rules
});

impl Judge for Lengths {
    fn identity(&self) -> KeyspaceIdentity {
        identity("a")
    }

    fn fields(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn invariants(&self) -> Vec<(&'static str, Severity, Enforcement)> {
        Vec::new()
    }

    fn totals(&self) -> Vec<&'static str> {
        vec!["records", "bytes"]
    }

    fn marks(&self) -> Vec<Marked> {
        let mark = RuleMark { version: 1, severity: 0, enforcement: 0, details: [0; 16] };
        let rule = |name: &'static str| RuleName {
            kind: RuleKind::Total,
            keyspace: Bytes::from_static(b"a"),
            name: Bytes::from_static(name.as_bytes()),
        };
        self.totals().into_iter().map(|name| (rule(name), mark)).collect()
    }

    fn flaw(&self) -> Option<(&'static str, &'static str)> {
        None
    }

    fn judge(
        &self,
        _: &[u8],
        _: Option<&Row>,
        _: Option<&Row>,
        _: &mut Vec<Monitored>,
    ) -> Result<Judged, Unjudged> {
        Ok(Judged::Holds)
    }

    fn sum(
        &self,
        _: &[u8],
        old: Option<&Row>,
        new: Option<&Row>,
        sums: &mut Sums,
    ) -> Result<(), Unjudged> {
        if let Some(row) = old {
            sums.of("bytes").sub(row.value.len() as i128);
            sums.of("records").sub(1);
        }
        if let Some(row) = new {
            sums.of("bytes").add(row.value.len() as i128);
            sums.of("records").add(1);
        }
        Ok(())
    }

    fn audit(&self, _: &[u8], _: &Row, _: &mut Vec<Monitored>) -> Result<(), Unjudged> {
        Ok(())
    }
}

fn recorded(bytes: i128, records: i128) -> Recorded {
    let totals = [(&b"bytes"[..], bytes), (b"records", records)];
    let totals: Totals = totals.map(|(name, value)| (name.into(), value)).into();
    Recorded { set: RULES.set().into(), totals: totals.into() }
}

/// Holds "there", of one byte, and "number", of eight.
fn sample() -> State {
    let mut state = State::sample();
    state.control.rules = recorded(9, 2);
    state
}

fn decide(state: &State, request: &RequestData, unrecorded: Option<&Recorded>) -> Decision {
    let at = At { rules: &RULES, ..state.at() };
    admit(request.clone(), state, At { unrecorded, ..at })
}

fn admitted(decision: Decision) -> Admitted {
    match decision {
        Decision::Append(admitted) => admitted,
        other => panic!("{other:?}"),
    }
}

/// What the entry of a request says of the totals.
fn totals(request: &RequestData) -> Vec<(String, i128)> {
    let entry = admitted(decide(&sample(), request, None)).entry;
    let text = |name: Bytes| String::from_utf8(name.to_vec()).unwrap();
    entry.totals.into_iter().map(|(name, value)| (text(name), value)).collect()
}

fn of(totals: &[(&str, i128)]) -> Vec<(String, i128)> {
    totals.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

#[test]
fn an_entry_says_what_the_totals_become_that_it_changes() {
    assert_eq!(totals(&request(None).put("new", b"12")), of(&[("bytes", 11), ("records", 3)]));
    assert_eq!(totals(&request(None).delete("there")), of(&[("bytes", 8), ("records", 1)]));
    assert_eq!(totals(&request(None).put("there", b"123")), of(&[("bytes", 11)]));
    assert_eq!(totals(&request(None).put("there", b"w")), of(&[]));
    assert_eq!(totals(&request(None).check("there", Expect::Present)), of(&[]));
    // The net change of each record, and of all together.
    let again =
        request(None).delete("there").put("there", b"12").delete("there").put("there", b"x");
    assert_eq!(totals(&again), of(&[]));
    let moved = request(None).delete("there").put("elsewhere", b"v");
    assert_eq!(totals(&moved), of(&[]));
    assert_eq!(totals(&request(None).add("new", 1, 0, 9)), of(&[("bytes", 17), ("records", 3)]));
    assert_eq!(totals(&request(None).add("number", 1, 0, 9)), of(&[]));
    assert_eq!(totals(&request(None).delete("missing")), of(&[]));
}

#[test]
fn what_is_refused_changes_no_total() {
    for broken in [
        request(Some("key")).put("new", b"123456789012345678901234"),
        request(Some("key")).put("new", b"1").check("there", Expect::Absent),
    ] {
        let admitted = admitted(decide(&sample(), &broken, None));
        assert!(matches!(admitted.entry.outcome, StoredOutcome::Rejected(_)));
        assert!(admitted.entry.totals.is_empty() && admitted.monitored.is_empty());
    }
    // What is only monitored is carried out.
    let many = request(None).put("x", b"1").put("y", b"1");
    let admitted = admitted(decide(&sample(), &many, None));
    assert_eq!(admitted.entry.totals.len(), 2);
    assert_eq!(admitted.monitored, [Monitored { invariant: "few", key: None }]);
}

#[test]
fn rules_that_are_not_recorded_go_with_whatever_comes_first() {
    let state = State::sample();
    let unrecorded = recorded(9, 2);
    let put = admitted(decide(&state, &request(None).put("new", b"12"), Some(&unrecorded)));
    assert_eq!(put.entry.steps, [Step::Rules(unrecorded.clone())]);
    assert_eq!(put.entry.totals.len(), 2, "on top of those");
    let mut fence = request(Some("key"));
    fence.verdict = Verdict::Fence;
    let refused = request(Some("key")).check("there", Expect::Absent);
    let mut mode = request(None);
    mode.verdict = Verdict::Mode(Mode::ReadWrite);
    for (request, steps) in [(fence, 1), (refused, 1), (mode, 2)] {
        let entry = admitted(decide(&state, &request, Some(&unrecorded))).entry;
        assert_eq!((entry.steps.len(), entry.totals.len()), (steps, 0));
        assert_eq!(entry.steps[0], Step::Rules(unrecorded.clone()));
    }
    // Nothing is logged of a refusal without a key.
    let refused =
        decide(&state, &super::request(None).check("there", Expect::Absent), Some(&unrecorded));
    assert!(matches!(refused, Decision::Rejected(_)));
}
