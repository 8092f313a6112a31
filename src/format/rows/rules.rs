//! The rules that entries are written under, and their totals; part of the control row, and of the step that changes them:
//! ```text
//! rules       | count u16 | rule ... | count u16 | total ... |
//! rule        | kind u8 | keyspace length u8 | keyspace | name length u8 | name | mark |
//! mark        | version u32 | severity u8 | enforcement u8 | details 16 |
//! total       | name length u8 | name | value i128 |
//! ```
//! Both lists ascend, rules by kind, keyspace and name, and for each rule of kind 3 there is a total of its name, and no other.
//!
//! The state digest has a row for each rule, of the key `| kind | keyspace length u8 | keyspace | name |` and the mark as its body, and one
//! for each total, of its name and the value.

use crate::{
    base::{Bytes, Recorded, RuleKind, RuleMark, RuleName, RuleSet, Totals},
    format::bytes::{Reader, put_bytes, put_bytes8, put_u8, put_u16, put_u32, put_u128},
};
use std::sync::Arc;

/// Appends rules and totals.
pub(crate) fn encode_rules(rules: &Recorded, out: &mut Vec<u8>) {
    put_u16(out, count(rules.set.len()));
    for (rule, mark) in &*rules.set {
        put_u8(out, rule.kind as u8);
        put_bytes8(out, &rule.keyspace);
        put_bytes8(out, &rule.name);
        encode_mark(mark, out);
    }
    encode_totals(rules.totals.iter().map(|(name, value)| (&name[..], *value)), out);
}

/// Reads rules and totals.
pub(crate) fn decode_rules(reader: &mut Reader<'_>) -> Option<Recorded> {
    let mut set = RuleSet::new();
    for _ in 0..reader.u16()? {
        let rule = RuleName {
            kind: decode_kind(reader.u8()?)?,
            keyspace: reader.bytes8()?.into(),
            name: reader.bytes8()?.into(),
        };
        if set.last_key_value().is_some_and(|(last, _)| *last >= rule) {
            return None;
        }
        set.insert(rule, decode_mark(reader)?);
    }
    let totals: Totals = decode_totals(reader)?.into_iter().collect();
    let rules = Recorded { set: Arc::new(set), totals: Arc::new(totals) };
    rules.is_whole().then_some(rules)
}

/// Appends totals, which ascend by name.
pub(crate) fn encode_totals<'a>(
    totals: impl ExactSizeIterator<Item = (&'a [u8], i128)>,
    out: &mut Vec<u8>,
) {
    put_u16(out, count(totals.len()));
    for (name, value) in totals {
        put_bytes8(out, name);
        encode_total(value, out);
    }
}

/// Reads totals.
pub(crate) fn decode_totals(reader: &mut Reader<'_>) -> Option<Vec<(Bytes, i128)>> {
    let mut totals = Vec::new();
    for _ in 0..reader.u16()? {
        let total: (Bytes, i128) = (reader.bytes8()?.into(), reader.u128()? as i128);
        if totals.last().is_some_and(|(last, _)| *last >= total.0) {
            return None;
        }
        totals.push(total);
    }
    Some(totals)
}

/// The key of a rule in the state digest.
pub(crate) fn encode_rule_name(rule: &RuleName, out: &mut Vec<u8>) {
    put_u8(out, rule.kind as u8);
    put_bytes8(out, &rule.keyspace);
    put_bytes(out, &rule.name);
}

/// Appends what a rule says.
pub(crate) fn encode_mark(mark: &RuleMark, out: &mut Vec<u8>) {
    put_u32(out, mark.version);
    put_u8(out, mark.severity);
    put_u8(out, mark.enforcement);
    put_bytes(out, &mark.details);
}

/// Appends the value of a total.
pub(crate) fn encode_total(value: i128, out: &mut Vec<u8>) {
    put_u128(out, value as u128);
}

fn decode_mark(reader: &mut Reader<'_>) -> Option<RuleMark> {
    Some(RuleMark {
        version: reader.u32()?,
        severity: reader.u8()?,
        enforcement: reader.u8()?,
        details: reader.array()?,
    })
}

const fn decode_kind(number: u8) -> Option<RuleKind> {
    Some(match number {
        1 => RuleKind::Guard,
        2 => RuleKind::Invariant,
        3 => RuleKind::Total,
        4 => RuleKind::SumInvariant,
        5 => RuleKind::CrossInvariant,
        _ => return None,
    })
}

fn count(items: usize) -> u16 {
    items.try_into().expect("there are no more rules than the limit on them")
}
