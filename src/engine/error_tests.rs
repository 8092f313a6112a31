//! The table of errors in `docs/ERRORS.md` against the code.

use super::*;
use crate::base::Bytes;
use std::{collections::BTreeMap, error::Error as _};

const TABLE: &str = include_str!("../../docs/ERRORS.md");

/// One error of each kind. The match has no wildcard: a new kind does not compile until it stands here.
macro_rules! examples {
    ($($kind:ident => $error:expr,)*) => {
        const KINDS: &[ErrorKind] = &[$(ErrorKind::$kind),*];

        fn example(kind: ErrorKind) -> Error {
            match kind { $(ErrorKind::$kind => $error,)* }
        }
    };
}

const SEQ: SeqNo = SeqNo::new(7);
const TIME: LogTime = LogTime::new(9);

fn limit() -> LimitError {
    LimitError { what: "things", actual: 2, min: 0, max: 1, hint: "take fewer", passes: false }
}

examples! {
    Rejected => Error::from(Rejection::Procedure(())),
    KeyReused => Error::KeyReused {
        class: OutcomeClass::Committed, seq: SEQ, time: TIME, differs: Differs::Intent,
    },
    AlreadyDecided => Error::AlreadyDecided { class: OutcomeClass::Rejected, seq: SEQ, time: TIME },
    Fenced => Error::Fenced { seq: SEQ, time: TIME },
    KeyExpired => Error::KeyExpired { made: TIME, horizon: TIME },
    KeyAhead => Error::KeyAhead { made: TIME, now: TIME },
    KeyUntimed => Error::KeyUntimed,
    ReadOnly => Error::ReadOnly { reason: "moving".into() },
    Overloaded => Error::Overloaded { retry_after: Duration::from_millis(5) },
    DeadlineExceeded => Error::DeadlineExceeded,
    Shape => Error::Shape(ShapeError::NoOperation),
    Limit => Error::Limit(limit()),
    Codec => Error::Codec(CodecError::Untyped),
    FutureVersion => Error::FutureVersion {
        keyspace: "stock".into(), version: Version::new(9), newest: SEQ,
    },
    NotANumber => Error::NotANumber { keyspace: "stock".into(), row_schema: 1, schema: 2 },
    KeyspaceMismatch => Error::KeyspaceMismatch {
        name: "stock".into(), differs: Difference::Schema { stored: 2, given: 1 },
    },
    NoSpace => Error::NoSpace { what: "preparing a segment".into() },
    Indeterminate => Error::Indeterminate { seq: SEQ },
    Poisoned => Error::Poisoned { reason: "writing the log failed".into() },
    Closed => Error::Closed,
    Panicked => Error::Panicked { what: "update" },
    UnknownProcedure => Error::UnknownProcedure { name: "transfer", version: 2 },
    Cold => Error::Cold,
    Reentrant => Error::Reentrant { what: "commit" },
    Forked => Error::Forked { what: "commit" },
    Locked => Error::Locked { location: "state".into() },
    NotADatabase => Error::NotADatabase { location: "state".into(), what: "it holds a file".into() },
    ClockJump => Error::ClockJump { location: "state".into(), last: TIME, now: TIME },
    RuleBroken => Error::RuleBroken { what: "\"solvent\" does not hold of 1 record".into() },
    UnsupportedFormat => Error::UnsupportedFormat { file: "IDENTITY".into(), version: 9, supported: 2 },
    Corruption => Error::Corruption {
        file: "IDENTITY".into(), offset: 3, seq: Some(SEQ), evidence: "its bytes do not verify".into(),
    },
    Io => Error::Io { what: "reading IDENTITY".into(), source: io::ErrorKind::Other.into() },
    SequenceExhausted => Error::SequenceExhausted,
}

/// The cells of the rows of the tables whose first column has this head, by the name in it.
fn rows(head: &str) -> BTreeMap<&'static str, Vec<&'static str>> {
    let (mut rows, mut within) = (BTreeMap::new(), false);
    for line in TABLE.lines() {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        if !line.starts_with('|') {
            within = false;
        } else if let Some(name) =
            cells[0].strip_prefix('`').and_then(|name| name.strip_suffix('`'))
        {
            if within {
                assert!(rows.insert(name, cells).is_none(), "{name} stands there twice");
            }
        } else if !cells[0].starts_with("---") {
            within = cells[0] == head;
        }
    }
    rows
}

#[test]
fn every_error_is_in_the_table_with_its_advice() {
    let mut rows = rows("kind");
    for &kind in KINDS {
        let error = example(kind);
        assert_eq!(error.kind(), kind);
        let cells = rows.remove(format!("{kind:?}").as_str());
        let cells = cells.unwrap_or_else(|| panic!("{kind:?} is not in docs/ERRORS.md"));
        assert_eq!(cells.len(), 5, "{cells:?}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{cells:?}");
        let advice = match kind {
            ErrorKind::Rejected => "of the rejection".to_owned(),
            ErrorKind::Limit => {
                let quota = Error::Limit(LimitError { passes: true, ..limit() });
                format!("`{:?}`; of a quota `{:?}`", error.retry(), quota.retry())
            }
            _ => format!("`{:?}`", error.retry()),
        };
        assert_eq!(cells[3], advice, "{kind:?}");
    }
    assert!(rows.is_empty(), "there is no such error: {:?}", rows.keys());
}

#[test]
fn every_rejection_is_in_the_table_with_its_advice() {
    let conflict = || crate::admission::Conflict {
        keyspace: Bytes::copy_from_slice(b"stock"),
        key: Bytes::new(),
        expected: None,
        current: None,
    };
    let mut rows = rows("rejection");
    for rejection in crate::engine::outcome::examples(conflict()) {
        // Without a wildcard: a new rejection does not compile until it stands here and among the examples.
        let name = match &rejection {
            Rejection::Conflict(_) => "Conflict",
            Rejection::Expectation(_) => "Expectation",
            Rejection::OutOfBounds(_) => "OutOfBounds",
            Rejection::IllegalTransition(_) => "IllegalTransition",
            Rejection::Invariant(_) => "Invariant",
            Rejection::SumInvariant(_) => "SumInvariant",
            Rejection::TotalOverflow { .. } => "TotalOverflow",
            Rejection::Procedure(()) => "Procedure",
        };
        let cells = rows.remove(name).unwrap_or_else(|| panic!("{name} is not in docs/ERRORS.md"));
        assert_eq!(cells[3], format!("`{:?}`", rejection.retry()), "{name}");
        assert_eq!(Error::from(rejection.clone()).retry(), rejection.retry());
        assert_eq!(Error::from(rejection.clone()).to_string(), rejection.to_string());
    }
    assert!(rows.is_empty(), "there is no such rejection: {:?}", rows.keys());
}

#[test]
fn every_advice_is_explained() {
    let mut explained = rows("advice");
    for retry in [Retry::SameKey, Retry::NewKey, Retry::AfterRefresh, Retry::Resolve, Retry::Never]
    {
        // Without a wildcard: a new piece of advice does not compile until it stands here.
        let name = match retry {
            Retry::SameKey => "SameKey",
            Retry::NewKey => "NewKey",
            Retry::AfterRefresh => "AfterRefresh",
            Retry::Resolve => "Resolve",
            Retry::Never => "Never",
        };
        assert!(explained.remove(name).is_some(), "{name} is not explained");
    }
    assert!(explained.is_empty(), "{explained:?}");
}

#[test]
fn an_error_with_a_cause_gives_it() {
    for &kind in KINDS {
        let error = example(kind);
        let causes = matches!(
            kind,
            ErrorKind::Rejected
                | ErrorKind::Shape
                | ErrorKind::Limit
                | ErrorKind::Codec
                | ErrorKind::Io
        );
        assert_eq!(error.source().is_some(), causes, "{kind:?}");
        if let Some(source) = error.source() {
            assert!(error.to_string().ends_with(&source.to_string()), "{error}: {source}");
        }
    }
    let source = |error: &Error| error.source().unwrap().to_string();
    assert!(Error::Limit(limit()).source().unwrap().downcast_ref::<LimitError>().is_some());
    assert_eq!(source(&Error::Limit(limit())), limit().to_string());
}
