//! How an order is written down.

use super::super::model::{Action, Operation, Order};
use crate::{Expect, Version};
use std::fmt;

/// An order in one line: `name result-bytes operation operation ..`.
pub(super) struct OrderText<'a>(pub &'a Order);

impl fmt::Display for OrderText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Order { name, operations, result_bytes } = self.0;
        write!(f, "{} {result_bytes}", name.unwrap_or(0))?;
        for Operation { key, expect, action } in operations {
            write!(f, " {key}:")?;
            match expect {
                Expect::Any => f.write_str("any:")?,
                Expect::Absent => f.write_str("absent:")?,
                Expect::Present => f.write_str("present:")?,
                Expect::Version(version) => write!(f, "{version}:")?,
            }
            match action {
                Action::Check => f.write_str("check")?,
                Action::Put(value) => write!(f, "put:{value}")?,
                Action::Delete => f.write_str("delete")?,
                Action::Add { delta, bounds: (min, max) } => write!(f, "add:{delta}:{min}:{max}")?,
            }
        }
        Ok(())
    }
}

/// Reads what [`OrderText`] shows.
pub(super) fn parse_order(text: &str) -> Option<Order> {
    let mut words = text.split(' ');
    let name: u64 = words.next()?.parse().ok()?;
    let result_bytes = words.next()?.parse().ok()?;
    let operations: Option<Vec<_>> = words.map(parse_operation).collect();
    Some(Order { name: (name > 0).then_some(name), operations: operations?, result_bytes })
}

fn parse_operation(text: &str) -> Option<Operation> {
    let mut parts = text.split(':');
    let key = parts.next()?.parse().ok()?;
    let expect = match parts.next()? {
        "any" => Expect::Any,
        "absent" => Expect::Absent,
        "present" => Expect::Present,
        version => Expect::Version(Version::new(version.parse().ok()?)),
    };
    let word = parts.next()?;
    let mut number = || parts.next()?.parse().ok();
    let action = match word {
        "check" => Action::Check,
        "put" => Action::Put(number()?),
        "delete" => Action::Delete,
        "add" => Action::Add { delta: number()?, bounds: (number()?, number()?) },
        _ => return None,
    };
    parts.next().is_none().then_some(Operation { key, expect, action })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One operation with every expectation and every action.
    fn order() -> Order {
        let bounds = (-5, i64::MAX);
        let operations = [
            (Expect::Any, Action::Put(i64::MIN)),
            (Expect::Absent, Action::Delete),
            (Expect::Present, Action::Check),
            (Expect::Version(Version::new(7)), Action::Add { delta: -1, bounds }),
        ];
        let operation = |(key, (expect, action))| Operation { key, expect, action };
        let operations = (1..).zip(operations).map(operation).collect();
        Order { name: Some(u64::MAX), operations, result_bytes: 20 }
    }

    /// A line that a kill cut off does not pass for a shorter one: it has no end.
    #[test]
    fn what_is_written_is_read_and_half_of_it_is_not() {
        let text = OrderText(&order()).to_string();
        assert_eq!(parse_order(&text), Some(order()));
        assert_eq!(parse_order(&text[..text.len() - 30]), None);
    }
}
